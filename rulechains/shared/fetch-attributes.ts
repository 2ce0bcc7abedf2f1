import { Type } from 'typebox';
import { fromValue, type Json } from '#engine/json.ts';
import type { AttributeScope, EntityRef, Message } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import type { Services } from '#engine/services.ts';
import { enriched, type FetchTo, toFetchTo } from './enrich.ts';
import { fetchTo, texts } from './fields.ts';
import { fillRequired } from './required-pattern.ts';

/** Attributes of all scopes and latest telemetry of one entity, put into the message: what "originator attributes" and "related device attributes" share. */

export const attributeFields = {
  fetchTo,
  clientAttributeNames: texts({ title: 'Client attributes', description: 'Patterns; the values are added as cs_NAME.' }),
  sharedAttributeNames: texts({ title: 'Shared attributes', description: 'Patterns; the values are added as shared_NAME.' }),
  serverAttributeNames: texts({ title: 'Server attributes', description: 'Patterns; the values are added as ss_NAME.' }),
  latestTsKeyNames: texts({ title: 'Latest telemetry', description: 'Patterns; the values are added under the key itself.' }),
  tellFailureIfAbsent: Type.Boolean({ title: 'Fail when absent', description: 'Something that does not exist sends the message to Failure.' }),
  getLatestValueWithTs: Type.Boolean({ title: 'Telemetry with time', description: 'Adds {"ts", "value"} in place of the value.' }),
} as const;

export const ATTRIBUTE_DEFAULTS = {
  fetchTo: 'METADATA',
  clientAttributeNames: [],
  sharedAttributeNames: [],
  serverAttributeNames: [],
  latestTsKeyNames: [],
  tellFailureIfAbsent: true,
  getLatestValueWithTs: false,
} as const;

/** 0→1. Here alone the old flag may be missing. */
export const attributesToVersion1 = (config: Record<string, unknown>): Record<string, unknown> =>
  toFetchTo({ ...config, fetchToData: config['fetchToData'] ?? false }, 'fetchToData', 'DATA', 'METADATA');

interface Names {
  readonly clientAttributeNames: readonly (string | null)[] | null;
  readonly sharedAttributeNames: readonly (string | null)[] | null;
  readonly serverAttributeNames: readonly (string | null)[] | null;
  readonly latestTsKeyNames: readonly (string | null)[] | null;
  readonly tellFailureIfAbsent: boolean;
  readonly getLatestValueWithTs: boolean;
  readonly fetchTo: string | null;
}

const SCOPES = [
  ['CLIENT_SCOPE', 'cs_', 'clientAttributeNames'],
  ['SHARED_SCOPE', 'shared_', 'sharedAttributeNames'],
  ['SERVER_SCOPE', 'ss_', 'serverAttributeNames'],
] as const satisfies readonly (readonly [AttributeScope, string, keyof Names])[];

/** What is missing sends the message to Failure, with everything that was found already in it. */
export async function fetchAttributes(
  message: Message,
  entity: EntityRef,
  config: Names,
  { attributes, telemetry }: Pick<Services, 'attributes' | 'telemetry'>,
): Promise<Emission> {
  const found: [key: string, value: Json][] = [];
  let absent = '';
  const note = (group: string, missing: readonly string[]): void => {
    absent += `\t[${group}]:[${missing.join(', ')}]\n`;
  };
  for (const [scope, prefix, field] of SCOPES) {
    const keys = filled(config[field], message);
    if (keys.length === 0) continue;
    checkAttributeKeys(keys);
    const values = new Map((await attributes.find(entity, scope, [...new Set(keys)])).map(({ key, value }) => [key, value]));
    for (const [key, value] of values) found.push([prefix + key, fromValue(value)]);
    // A name that is there twice counts as one too few, as in the original.
    if (values.size < keys.length) {
      note(
        scope,
        keys.filter((key) => !values.has(key)),
      );
    }
  }
  const keys = filled(config.latestTsKeyNames, message);
  if (keys.length > 0) {
    checkTelemetryKeys(keys);
    const points = await telemetry.latest(entity, [...new Set(keys)]);
    for (const [key, { ts, value }] of points) found.push([key, config.getLatestValueWithTs ? { ts, value: fromValue(value) } : fromValue(value)]);
    const missing = keys.filter((key) => !points.has(key));
    if (missing.length > 0) note('LATEST_TS', missing);
  }
  const result = enriched(message, config.fetchTo as FetchTo, found);
  if (absent === '' || !config.tellFailureIfAbsent) return { to: 'Success', message: result };
  return { to: 'Failure', message: result, error: `The following attribute/telemetry keys is not present in the DB: \n${absent}` };
}

/** @throws Error where one is empty: the whole read is refused. */
export function checkAttributeKeys(keys: readonly string[]): void {
  if (keys.includes('')) throw new Error('Incorrect attribute key');
}

export function checkTelemetryKeys(keys: readonly string[]): void {
  if (keys.includes('')) throw new Error('Incorrect key');
}

const filled = (patterns: readonly (string | null)[] | null, message: Message): string[] =>
  (patterns ?? []).map((pattern) => fillRequired(pattern, message));
