import { Type } from 'typebox';
import { fromValue, type Json } from '#engine/json.ts';
import type { AttributeScope, Message } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { checkFetchTo, checkTarget, enriched } from '../../shared/enrich.ts';
import { fetchTo, texts } from '../../shared/fields.ts';

type Entry = readonly [key: string, value: Json];

const PREFIXES: readonly (readonly [AttributeScope, string])[] = [
  ['CLIENT_SCOPE', 'cs_'],
  ['SHARED_SCOPE', 'shared_'],
  ['SERVER_SCOPE', 'ss_'],
];

/** What is missing sends the message to Failure, with everything that was found already in it. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetAttributesNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'originator attributes',
  summary: 'Adds attributes and latest telemetry of the originator to the message.',
  relations: ['Success'],
  config: Config({
    fetchTo,
    clientAttributeNames: texts({ title: 'Client attributes', description: 'Patterns; the values are added as cs_NAME.' }),
    sharedAttributeNames: texts({ title: 'Shared attributes', description: 'Patterns; the values are added as shared_NAME.' }),
    serverAttributeNames: texts({ title: 'Server attributes', description: 'Patterns; the values are added as ss_NAME.' }),
    latestTsKeyNames: texts({ title: 'Latest telemetry', description: 'Patterns; the values are added under the key itself.' }),
    tellFailureIfAbsent: Type.Boolean({ title: 'Fail when absent', description: 'Something that does not exist sends the message to Failure.' }),
    getLatestValueWithTs: Type.Boolean({ title: 'Telemetry with time', description: 'Adds {"ts", "value"} in place of the value.' }),
  }),
  defaults: {
    fetchTo: 'METADATA',
    clientAttributeNames: [],
    sharedAttributeNames: [],
    serverAttributeNames: [],
    latestTsKeyNames: [],
    tellFailureIfAbsent: true,
    getLatestValueWithTs: false,
  },
  upgrades: [({ fetchToData, ...config }) => ({ ...config, fetchTo: fetchToData === true ? 'DATA' : 'METADATA' })],
  needs: ['attributes', 'telemetry'],
  start: ({ config }) => checkFetchTo(config.fetchTo),
  async process(message, { config, attributes, telemetry }) {
    checkTarget(message, config.fetchTo!);
    const names: Record<AttributeScope, readonly (string | null)[] | null> = {
      CLIENT_SCOPE: config.clientAttributeNames,
      SHARED_SCOPE: config.sharedAttributeNames,
      SERVER_SCOPE: config.serverAttributeNames,
    };
    const found: Entry[] = [];
    let absent = '';
    const note = (group: string, keys: readonly string[], has: (key: string) => boolean): void => {
      const missing = keys.filter((key) => !has(key));
      if (missing.length > 0) absent += `\t[${group}]:[${missing.join(', ')}]\n`;
    };
    for (const [scope, prefix] of PREFIXES) {
      const keys = filled(names[scope], message);
      if (keys.length === 0) continue;
      if (keys.some((key) => key.trim() === '')) throw new Error('Incorrect attribute key');
      const values = new Map((await attributes.find(message.originator, scope, keys)).map(({ key, value }) => [key, value]));
      for (const [key, value] of values) found.push([prefix + key, fromValue(value)]);
      note(scope, keys, (key) => values.has(key));
    }
    const keys = filled(config.latestTsKeyNames, message);
    if (keys.length > 0) {
      const points = await telemetry.latest(message.originator, keys);
      for (const [key, { ts, value }] of points) found.push([key, config.getLatestValueWithTs ? { ts, value: fromValue(value) } : fromValue(value)]);
      note('LATEST_TS', keys, (key) => points.has(key));
    }
    const result = enriched(message, config.fetchTo!, found);
    if (absent === '' || !config.tellFailureIfAbsent) return { to: 'Success', message: result };
    return { to: 'Failure', message: result, error: `The following attribute/telemetry keys is not present in the DB: \n${absent}` };
  },
});

const filled = (patterns: readonly (string | null)[] | null, message: Message): string[] => [
  ...new Set((patterns ?? []).filter((pattern) => pattern !== null).map((pattern) => fillPattern(pattern, message))),
];
