import { type Static, Type } from 'typebox';
import { fromValue, type Json, toValue, valueText } from '#engine/json.ts';
import { ATTRIBUTE_SCOPES, type AttributeScope, type EntityRef } from '#engine/message.ts';
import type { Script } from '#engine/script.ts';
import type { Services } from '#engine/services.ts';
import { type Aggregate, type Aggregation, add, aggregation, result } from './aggregation.ts';
import { nullable, texts } from './fields.ts';
import { scriptError, scriptLang } from './script.ts';

/** Aggregating what entities have as latest values: the mappings of "aggregate latest" (specs: rule-nodes §3.8). */

const code = (title: string) =>
  nullable(Type.String(), { title, description: 'Body of a function of (attributes) that returns true or false.', control: 'code' });

const filter = nullable(
  Type.Object(
    {
      clientAttributeNames: texts({ title: 'Client attributes', description: 'The script finds them as cs_NAME.' }),
      sharedAttributeNames: texts({ title: 'Shared attributes', description: 'The script finds them as shared_NAME.' }),
      serverAttributeNames: texts({ title: 'Server attributes', description: 'The script finds them as ss_NAME.' }),
      latestTsKeyNames: texts({ title: 'Latest telemetry', description: 'The script finds them under their keys.' }),
      scriptLang,
      filterFunction: code('Filter (JavaScript)'),
      tbelFilterFunction: code('Filter (TBEL)'),
    },
    { additionalProperties: true },
  ),
  { title: 'Filter', description: 'Which entities count. None: all.' },
);

const mapping = Type.Object(
  {
    source: nullable(Type.String(), { title: 'Source', description: 'Key of the telemetry or attribute; of COUNT none.' }),
    sourceScope: nullable(Type.String(), { title: 'Scope', description: 'LATEST_TELEMETRY (none), CLIENT_SCOPE, SHARED_SCOPE or SERVER_SCOPE.' }),
    defaultValue: nullable(Type.Number(), { title: 'Default', description: 'In place of a value that is missing. None: the entity does not count.' }),
    target: nullable(Type.String(), { title: 'Target', description: 'Telemetry key of the result.' }),
    aggFunction: aggregation,
    filter,
  },
  { additionalProperties: true },
);
export type Mapping = Static<typeof mapping>;

export const aggMappings = nullable(Type.Array(mapping), {
  title: 'Mappings',
  description: 'What is aggregated, and under which key the result goes.',
});

/** One mapping, ready. */
export interface Rule {
  readonly mapping: Mapping;
  readonly fn: Aggregation;
  readonly script: Script | null;
}

/** @throws Error for a mapping that can not be used. */
export async function startRules(mappings: readonly Mapping[] | null, scripts: Pick<Services['scripts'], 'check'>): Promise<Rule[]> {
  if (!mappings || mappings.length === 0) throw new Error('Aggregation mappings should be specified!');
  return Promise.all(
    mappings.map(async (each): Promise<Rule> => {
      // Lists of files may hold null.
      if (!each?.target || !each.aggFunction) throw new Error('Target and function of every mapping should be specified!');
      if (!each.source && each.aggFunction !== 'COUNT') throw new Error(`Source of '${each.target}' should be specified!`);
      return { mapping: each, fn: each.aggFunction, script: each.filter && (await startFilter(each.filter, scripts)) };
    }),
  );
}

async function startFilter(given: NonNullable<Mapping['filter']>, scripts: Pick<Services['scripts'], 'check'>): Promise<Script | null> {
  const language = given.scriptLang ?? 'JS';
  const body = (language === 'JS' ? given.filterFunction : given.tbelFilterFunction) ?? '';
  if (body.trim() === '') return null;
  const script: Script = { kind: 'filter', language, body, argNames: ['attributes', 'metadata', 'msgType'] };
  const fault = await scripts.check(script);
  if (fault) throw new Error(`Unexpected error when creating script engine: ${fault.message}`);
  return script;
}

type Needed = Pick<Services, 'attributes' | 'telemetry' | 'scripts'>;
/** Entities that are read at the same time. */
const AT_ONCE = 100;

const PREFIXES: Readonly<Record<AttributeScope, string>> = { CLIENT_SCOPE: 'cs_', SHARED_SCOPE: 'shared_', SERVER_SCOPE: 'ss_' };
const LATEST = '';
type Values = ReadonlyMap<string, Json>;

/** The result of each rule over these entities, in the order of the rules; an error is that rule's alone. */
export async function aggregateLatest(entities: readonly EntityRef[], rules: readonly Rule[], services: Needed): Promise<(Json | Error)[]> {
  const keys = keysOf(rules);
  const values: Values[] = [];
  for (let at = 0; at < entities.length; at += AT_ONCE)
    values.push(...(await Promise.all(entities.slice(at, at + AT_ONCE).map((entity) => valuesOf(entity, keys, services)))));
  return Promise.all(
    rules.map(async ({ mapping: each, fn, script }) => {
      try {
        const wanted = script ? await passing(values, script, services) : values;
        let aggregate: Aggregate = { n: 0 };
        const from = prefixOf(each.sourceScope) + (each.source ?? '');
        for (const of of wanted) {
          const value = fn === 'COUNT' ? null : (of.get(from) ?? (each.defaultValue === null ? undefined : each.defaultValue));
          if (value !== undefined) aggregate = add(fn, aggregate, value);
        }
        return aggregate.n === 0 && fn !== 'COUNT' ? (each.defaultValue ?? 0) : result(fn, aggregate);
      } catch (cause) {
        return new Error(`${each.target}: ${(cause as Error).message}`, { cause });
      }
    }),
  );
}

function prefixOf(scope: string | null): string {
  return (ATTRIBUTE_SCOPES as readonly (string | null)[]).includes(scope) ? PREFIXES[scope as AttributeScope] : LATEST;
}

/** Keys by prefix, for all rules at once: each entity is read once. */
function keysOf(rules: readonly Rule[]): Map<string, Set<string>> {
  const keys = new Map<string, Set<string>>();
  const want = (prefix: string, names: readonly (string | null)[] | null): void => {
    const known = keys.get(prefix) ?? new Set<string>();
    for (const name of names ?? []) if (name) known.add(name);
    if (known.size > 0) keys.set(prefix, known);
  };
  for (const { mapping: each, fn, script } of rules) {
    if (fn !== 'COUNT') want(prefixOf(each.sourceScope), [each.source]);
    if (!script || !each.filter) continue;
    want(PREFIXES.CLIENT_SCOPE, each.filter.clientAttributeNames);
    want(PREFIXES.SHARED_SCOPE, each.filter.sharedAttributeNames);
    want(PREFIXES.SERVER_SCOPE, each.filter.serverAttributeNames);
    want(LATEST, each.filter.latestTsKeyNames);
  }
  return keys;
}

async function valuesOf(entity: EntityRef, keys: ReadonlyMap<string, ReadonlySet<string>>, { attributes, telemetry }: Needed): Promise<Values> {
  const values = new Map<string, Json>();
  const latest = keys.get(LATEST);
  if (latest) for (const [key, { value }] of await telemetry.latest(entity, [...latest])) values.set(key, fromValue(value));
  for (const scope of ATTRIBUTE_SCOPES) {
    const names = keys.get(PREFIXES[scope]);
    if (names) for (const { key, value } of await attributes.find(entity, scope, [...names])) values.set(PREFIXES[scope] + key, fromValue(value));
  }
  return values;
}

/** @throws Error when the script fails for one of them. */
async function passing(values: readonly Values[], script: Script, { scripts }: Needed): Promise<Values[]> {
  if (values.length === 0) return [];
  const results = await scripts.run(
    script,
    values.map((each) => [JSON.stringify(plain(each)), '{}', '']),
  );
  return values.filter((_, index) => {
    const given = results[index]!;
    if (!given.ok) throw scriptError(given.fault);
    return given.json === 'true';
  });
}

/** As scripts see them: numbers as JS has them. */
const plain = (values: Values): Record<string, unknown> =>
  Object.fromEntries([...values].map(([key, value]) => [key, typeof value === 'object' || typeof value === 'bigint' ? asScript(value) : value]));

function asScript(value: Json): unknown {
  const typed = toValue(value, false);
  if (typed === null) return null;
  return typed.type === 'JSON' ? JSON.parse(typed.value) : typed.type === 'STRING' ? valueText(typed) : Number(typed.value);
}
