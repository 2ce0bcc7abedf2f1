import { type Static, Type } from 'typebox';
import { firstJson, isJsonObject, type Json, type JsonObject } from '#engine/json.ts';
import { type Message, metadataTs } from '#engine/message.ts';
import { defineNode, type NodeContext, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Point } from '#engine/store.ts';
import { enriched } from '../../shared/enrich.ts';
import { nullable } from '../../shared/fields.ts';
import { inOrderByOriginator } from '../../shared/in-order.ts';
import { lenientDouble, parseDouble, roundHalfUp, wholeOrDouble } from '../../shared/numbers.ts';

const CalculateDelta = Config({
  inputValueKey: nullable(Type.String(), { title: 'Input key', description: 'Looked up in the data; its differences are calculated.' }),
  outputValueKey: nullable(Type.String(), { title: 'Output key', description: 'Where the difference is put.' }),
  useCache: Type.Boolean({
    title: 'Remember the last value',
    description: 'Off: the value before is read from the latest telemetry for every message.',
  }),
  addPeriodBetweenMsgs: Type.Boolean({ title: 'Add the period', description: 'Adds the time between the two values.' }),
  periodValueKey: nullable(Type.String(), { title: 'Period key', description: 'Where the period is put.', unit: 'ms' }),
  round: nullable(Type.Integer(), { title: 'Decimals', description: 'Rounds the difference, half up; empty: not rounded.', examples: [2] }),
  tellFailureIfDeltaIsNegative: Type.Boolean({
    title: 'Fail when negative',
    description: 'A value below the one before sends the message to Failure.',
  }),
  excludeZeroDeltas: Type.Boolean({ title: 'Leave out zero', description: 'Without a difference the message goes on as it is.' }),
});
type Context = NodeContext<Static<typeof CalculateDelta>, unknown, 'telemetry' | 'memory'>;

interface Before {
  readonly value: number;
  readonly ts: number;
}

/**
 * The value before is what the node remembers of the originator, else its latest telemetry. It is remembered with the batch, so that a batch that runs again, another
 * process and a restart find what they would have found.
 */
export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.CalculateDeltaNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'calculate delta',
  summary: 'Adds the difference between a value and the one before it.',
  relations: ['Success', 'Other'],
  config: CalculateDelta,
  anyKey: true,
  defaults: {
    inputValueKey: 'pulseCounter',
    outputValueKey: 'delta',
    useCache: true,
    addPeriodBetweenMsgs: false,
    periodValueKey: 'periodInMs',
    round: null,
    tellFailureIfDeltaIsNegative: true,
    excludeZeroDeltas: false,
  },
  upgrades: [(config) => ({ excludeZeroDeltas: false, ...config })],
  needs: ['telemetry', 'memory'],
  start({ config }) {
    if (isBlank(config.inputValueKey)) throw new Error('Input value key should be specified!');
    if (isBlank(config.outputValueKey)) throw new Error('Output value key should be specified!');
    if (config.addPeriodBetweenMsgs && isBlank(config.periodValueKey)) throw new Error('Period value key should be specified!');
  },
  processBatch: (messages, context) => inOrderByOriginator(messages, (message) => calculate(message, context)),
});

const isBlank = (text: string | null): boolean => (text ?? '').trim() === '';

async function calculate(message: Message, context: Context): Promise<Outcome> {
  const { config } = context;
  const data = message.type === 'POST_TELEMETRY_REQUEST' && message.data !== '' ? firstJson(message) : null;
  if (!isJsonObject(data as Json) || !Object.hasOwn(data as JsonObject, config.inputValueKey!)) return 'Other';
  const value = lenientDouble((data as JsonObject)[config.inputValueKey!]!);
  const ts = metadataTs(message);
  const before = await valueBefore(message, { value, ts }, context);
  const difference = before === null ? 0 : value - before.value;
  if (!Number.isFinite(difference)) throw new Error(`Delta value is ${difference}!`);
  if (config.tellFailureIfDeltaIsNegative && difference < 0) throw new Error('Delta value is negative!');
  if (config.excludeZeroDeltas && difference === 0) return 'Success';
  const delta = wholeOrDouble(config.round === null ? difference : roundHalfUp(difference, config.round));
  const found: [string, Json][] = [[config.outputValueKey!, delta]];
  if (config.addPeriodBetweenMsgs) found.push([config.periodValueKey!, before === null ? 0 : ts - before.ts]);
  return { to: 'Success', message: enriched(message, 'DATA', found) };
}

async function valueBefore({ originator }: Message, now: Before, { config, node, memory, telemetry }: Context): Promise<Before | null> {
  const inputKey = config.inputValueKey!;
  const place = `${originator.id} ${inputKey}`;
  const remembered = config.useCache ? ((await memory.get(node.id, place)) as Before | null) : null;
  const before = remembered ?? storedBefore(inputKey, (await telemetry.latest(originator, [inputKey])).get(inputKey));
  // Also when the message then fails: the next one starts from here.
  if (config.useCache && Number.isFinite(now.value)) memory.set(node.id, place, now);
  return before;
}

function storedBefore(key: string, point: Point | undefined): Before | null {
  if (!point) return null;
  const { ts, value } = point;
  switch (value.type) {
    case 'LONG':
    case 'DOUBLE':
      return { ts, value: Number(value.value) };
    case 'STRING': {
      const number = parseDouble(value.value);
      if (number === null) throw new Error(`Calculation failed. Unable to parse value [${value.value}] of telemetry [${key}] to Double`);
      return { ts, value: number };
    }
    case 'BOOLEAN':
      throw new Error('Calculation failed. Boolean values are not supported!');
    case 'JSON':
      throw new Error('Calculation failed. JSON values are not supported!');
  }
}
