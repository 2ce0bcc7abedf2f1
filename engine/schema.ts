import { type Static, type TObject, type TProperties, type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';
import { ConfigError, type Problem } from './errors.ts';

/**
 * One schema, four uses: the type, the validation, the reference page, the form (house style, "Config").
 * Annotations beside JSON Schema's own: `unit` ('ms', 's', 'bytes', …), `secret` (encrypted at rest, never sent back), `advanced` (folded away),
 * `control` ('code', 'topic', …).
 */
export interface ConfigOptions {
  /** A rule across fields. */
  check?: (config: never) => Problem[];
  /** Unknown keys: `refuse` (our own types), `keep` (integrations: kept for the way back). Default refuse. */
  unknownKeys?: 'refuse' | 'keep';
}

const CHECKS = new WeakMap<TSchema, (config: never) => Problem[]>();

export function Config<P extends TProperties>(properties: P, { check, unknownKeys = 'refuse' }: ConfigOptions = {}): TObject<P> {
  const schema = Type.Object(properties, { additionalProperties: unknownKeys === 'keep' });
  if (check) CHECKS.set(schema, check);
  return schema;
}

const COMPILED = new WeakMap<TSchema, ReturnType<typeof Compile>>();

function compiled(schema: TSchema) {
  let validator = COMPILED.get(schema);
  if (!validator) {
    validator = Compile(schema);
    COMPILED.set(schema, validator);
  }
  return validator;
}

const dotted = (pointer: string): string => pointer.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');

/** Every problem of `value` under `schema`, with dotted paths; empty when it fits. */
export function problems(schema: TSchema, value: unknown): Problem[] {
  const validator = compiled(schema);
  if (!validator.Check(value)) {
    return validator.Errors(value).map((error) => ({ path: dotted(error.instancePath), message: error.message }));
  }
  return CHECKS.get(schema)?.(value as never) ?? [];
}

/** @throws ConfigError listing every problem by path. */
export function validate<S extends TSchema>(schema: S, value: unknown): Static<S> {
  const found = problems(schema, value);
  if (found.length > 0) throw new ConfigError(found);
  return value as Static<S>;
}

/** A copy of `value` in which absent fields have the schema's defaults. Does not validate. */
export const withDefaults = <S extends TSchema>(schema: S, value: unknown): unknown => Value.Default(schema, structuredClone(value));
