import type { TSchema } from 'typebox';
import type { AnyNode } from '#engine/node.ts';
import { problems, withDefaults } from '#engine/schema.ts';

/**
 * A node's stored configuration as its class reads it. ThingsBoard's nodes follow Java's mapping (rule-nodes §1.6): an unknown key refuses the whole, a missing
 * key or null reads as false, 0 or null whatever the defaults say, scalars are turned into one another where no meaning is lost. Our own nodes are checked
 * by their schema, every problem named.
 * @throws Error with the text that the node's status shows.
 */
export function mapConfiguration(definition: AnyNode, configuration: unknown): unknown {
  if (!definition.type.startsWith('org.thingsboard.')) {
    const config = withDefaults(definition.config, configuration);
    const found = problems(definition.config, config);
    if (found.length > 0)
      throw new Error(found.map((problem) => (problem.path ? `${problem.path}: ${problem.message}` : problem.message)).join('; '));
    return config;
  }
  try {
    if (typeof configuration !== 'object' || configuration === null || Array.isArray(configuration)) throw new Unmappable();
    return mapObject(definition.config, configuration as Record<string, unknown>, definition.anyKey ?? false, definition.missing ?? {});
  } catch (cause) {
    if (cause instanceof Unmappable) throw new Error(`Can't convert value: ${JSON.stringify(configuration) ?? 'null'}`);
    throw cause;
  }
}

class Unmappable extends Error {}

/** The parts of JSON Schema that configurations use. */
interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
}

function mapObject(
  typed: TSchema | Schema,
  value: Record<string, unknown>,
  anyKey: boolean,
  missing: Record<string, unknown>,
): Record<string, unknown> {
  const schema = typed as Schema;
  const properties = schema.properties ?? {};
  const result: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    if (Object.hasOwn(properties, key)) continue;
    const open =
      Object.values(schema.patternProperties ?? {})[0] ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : null);
    if (open) result[key] = mapValue(open, item);
    else if (!anyKey && schema.additionalProperties !== true) throw new Unmappable();
  }
  for (const [key, property] of Object.entries(properties)) {
    if (Object.hasOwn(value, key)) result[key] = mapValue(property, value[key]);
    else result[key] = Object.hasOwn(missing, key) ? structuredClone(missing[key]) : mapValue(property, null);
  }
  return result;
}

function mapValue(schema: Schema, value: unknown): unknown {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return mapChoice(choices, value);
  if (schema.enum || 'const' in schema) {
    if (value === null || value === undefined) return null;
    if ((schema.enum ?? [schema.const]).some((allowed) => allowed === value)) return value;
    throw new Unmappable();
  }
  switch (schema.type) {
    case 'boolean':
      return mapBoolean(value);
    case 'integer':
      return Math.trunc(mapNumber(value, /^[+-]?\d+$/));
    case 'number':
      return mapNumber(value, /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/);
    case 'string':
      if (value === null || value === undefined) return null;
      if (typeof value === 'object') throw new Unmappable();
      return String(value);
    case 'null':
      if (value === null || value === undefined) return null;
      throw new Unmappable();
    case 'array':
      if (value === null || value === undefined) return null;
      if (!Array.isArray(value)) throw new Unmappable();
      return schema.items ? value.map((item) => mapValue(schema.items!, item)) : value;
    case 'object':
      if (value === null || value === undefined) return null;
      if (typeof value !== 'object' || Array.isArray(value)) throw new Unmappable();
      return mapObject(schema, value as Record<string, unknown>, false, {});
    default:
      return value ?? null;
  }
}

/** A union of literals is an enum; one with null is a nullable field; else the first shape that fits. */
function mapChoice(choices: readonly Schema[], value: unknown): unknown {
  if (value === null || value === undefined) return null;
  for (const exact of choices) if ('const' in exact && exact.const === value) return value;
  for (const choice of choices) {
    if ('const' in choice || choice.type === 'null') continue;
    if (SCALARS.has(choice.type ?? '') && isNothing(value)) return null;
    try {
      return mapValue(choice, value);
    } catch (cause) {
      if (!(cause instanceof Unmappable)) throw cause;
    }
  }
  throw new Unmappable();
}

const SCALARS: ReadonlySet<string> = new Set(['boolean', 'integer', 'number']);

/** What reads as null where no text is wanted. */
const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === 'string' && /^\s*(?:null)?\s*$/.test(value));

function mapBoolean(value: unknown): boolean {
  if (isNothing(value)) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isInteger(value)) return value !== 0;
  const text = typeof value === 'string' ? value.trim() : null;
  if (text === 'true' || text === 'True' || text === 'TRUE') return true;
  if (text === 'false' || text === 'False' || text === 'FALSE') return false;
  throw new Unmappable();
}

function mapNumber(value: unknown, pattern: RegExp): number {
  if (isNothing(value)) return 0;
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') throw new Unmappable();
  const text = value.trim();
  if (!pattern.test(text)) throw new Unmappable();
  return Number(text);
}
