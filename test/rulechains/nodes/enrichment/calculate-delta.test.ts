import assert from 'node:assert/strict';
import test from 'node:test';
import type { Value } from '#engine/json.ts';
import calculateDelta from '#rulechains/nodes/enrichment/calculate-delta.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { run, services, start, type World } from '#test/support/services.ts';

const LONG = (value: number | bigint): Value => ({ type: 'LONG', value });
const stored = (value: Value, ts = 1): World => ({ latest: { [DEVICE]: { p: { ts, value } } } });
const config = { inputValueKey: 'p', outputValueKey: 'd' };
const at = (ts: number, data: unknown) => message({ data, metadata: { ts: String(ts) } });
/** Data behind the node, or where else the message went. */
const told = (outcomes: unknown[]) =>
  outcomes.map((outcome) => (outcome as { data?: string; error?: string }).data ?? (outcome as { error?: string }).error ?? outcome);

for (const { name, more = {}, world = {}, data, to } of [
  {
    name: 'whole differences are integers',
    data: ['{"p":10}', '{"p":12.0}', '{"p":12.5}', '{"p":20.5}'],
    to: ['{"p":10,"d":0}', '{"p":12.0,"d":2}', '{"p":12.5,"d":0.5}', '{"p":20.5,"d":8}'],
  },
  { name: 'the first follows what is stored', world: stored(LONG(40)), data: ['{"p":42,"x":1.0}'], to: ['{"p":42,"x":1.0,"d":2}'] },
  { name: 'stored text', world: stored({ type: 'STRING', value: ' 40.0 ' }), data: ['{"p":42}'], to: ['{"p":42,"d":2}'] },
  {
    name: 'stored double, rounded',
    more: { round: 1 },
    world: stored({ type: 'DOUBLE', value: 40.5 }),
    data: ['{"p":42}'],
    to: ['{"p":42,"d":1.5}'],
  },
  { name: 'doubles, not decimals', data: ['{"p":0.1}', '{"p":0.3}'], to: ['{"p":0.1,"d":0}', '{"p":0.3,"d":0.19999999999999998}'] },
  { name: 'rounded half up', more: { round: 2 }, data: ['{"p":4.5}', '{"p":4.655}'], to: ['{"p":4.5,"d":0}', '{"p":4.655,"d":0.16}'] },
  { name: 'rounded to whole', more: { round: 0 }, data: ['{"p":0}', '{"p":2.5}'], to: ['{"p":0,"d":0}', '{"p":2.5,"d":3}'] },
  { name: 'rounded to tens', more: { round: -1 }, data: ['{"p":0}', '{"p":15}'], to: ['{"p":0,"d":0}', '{"p":15,"d":20}'] },
  { name: 'in doubles', data: ['{"p":3.0}', '{"p":9007199254740993}'], to: ['{"p":3.0,"d":0}', '{"p":9007199254740993,"d":9007199254740989}'] },
  { name: 'into its own key', more: { outputValueKey: 'p' }, data: ['{"p":5}', '{"p":8}'], to: ['{"p":0}', '{"p":3}'] },
  {
    name: 'negative fails, and is what the next one follows',
    data: ['{"p":10}', '{"p":5}', '{"p":7}'],
    to: ['{"p":10,"d":0}', 'Delta value is negative!', '{"p":7,"d":2}'],
  },
  {
    name: 'negative, allowed',
    more: { tellFailureIfDeltaIsNegative: false },
    data: ['{"p":10}', '{"p":5.5}'],
    to: ['{"p":10,"d":0}', '{"p":5.5,"d":-4.5}'],
  },
  {
    name: 'zero left out',
    more: { excludeZeroDeltas: true },
    data: ['{"p":1}', '{"p":1.0}', '{"p":2}'],
    to: ['Success', 'Success', '{"p":2,"d":1}'],
  },
  {
    name: 'what is no number reads leniently',
    data: ['{"p":null}', '{"p":{"a":1}}', '{"p":[1]}', '{"p":""}', '{"p":"x"}', '{"p":true}', '{"p":" 5 "}', '{"p":"10"}'],
    to: [
      '{"p":null,"d":0}',
      '{"p":{"a":1},"d":0}',
      '{"p":[1],"d":0}',
      '{"p":"","d":0}',
      '{"p":"x","d":0}',
      '{"p":true,"d":1}',
      '{"p":" 5 ","d":4}',
      '{"p":"10","d":5}',
    ],
  },
  {
    name: 'what is infinite fails, and is not remembered',
    data: ['{"p":1}', '{"p":"NaN"}', '{"p":1e400}', '{"p":2}'],
    to: ['{"p":1,"d":0}', 'Delta value is NaN!', 'Delta value is Infinity!', '{"p":2,"d":1}'],
  },
  { name: 'beyond 64 bits', data: ['{"p":0}', '{"p":1e19}'], to: ['{"p":0,"d":0}', 'Overflow'] },
  { name: 'without the key, or no object', data: ['{"x":1}', '[]', '"t"', '5', 'null', ''], to: Array(6).fill('Other') },
] as { name: string; more?: Record<string, unknown>; world?: World; data: string[]; to: unknown[] }[])
  test(`calculate delta: ${name}`, async () => {
    const outcomes = await run(
      calculateDelta,
      data.map((text, index) => at(index, text)),
      { config: { ...config, ...more }, services: services(world) },
    );
    assert.deepEqual(told(outcomes), to);
  });

test('calculate delta: other message types, and data that is no JSON', async () => {
  const [other, broken] = await run(calculateDelta, [message({ type: 'POST_ATTRIBUTES_REQUEST', data: { p: 1 } }), message({ data: '{"p":' })], {
    config,
  });
  assert.equal(other, 'Other');
  assert.equal((broken as { to: string }).to, 'Failure');
});

test('calculate delta: the period is the difference of the times; the storage is read once', async () => {
  const given = services(stored(LONG(40), 1));
  let reads = 0;
  const { latest } = given.telemetry;
  given.telemetry.latest = (...asked) => {
    reads++;
    return latest(...asked);
  };
  const outcomes = await run(calculateDelta, [at(3, { p: 42 }), at(6, { p: 42 }), message({ data: { p: 43 }, ts: 9 })], {
    config: { ...config, addPeriodBetweenMsgs: true, periodValueKey: 'per' },
    services: given,
  });
  assert.deepEqual(told(outcomes), ['{"p":42,"d":2,"per":2}', '{"p":42,"d":0,"per":3}', '{"p":43,"d":1,"per":3}']);
  assert.equal(reads, 1);
});

test('calculate delta: without a value before the period is 0', async () => {
  const outcomes = await run(calculateDelta, [at(3, { p: 42 })], { config: { ...config, addPeriodBetweenMsgs: true, periodValueKey: 'per' } });
  assert.deepEqual(told(outcomes), ['{"p":42,"d":0,"per":0}']);
});

test('calculate delta: each originator has its own value', async () => {
  const other = { entityType: 'ASSET', id: 'cccccccc-0000-1000-8000-000000000001' } as const;
  const from = (p: number, originator?: typeof other) => message({ data: { p }, ...(originator ? { originator } : {}) });
  const outcomes = await run(calculateDelta, [from(1), from(100, other), from(3), from(150, other)], { config });
  assert.deepEqual(told(outcomes), ['{"p":1,"d":0}', '{"p":100,"d":0}', '{"p":3,"d":2}', '{"p":150,"d":50}']);
});

test('calculate delta: what it remembers outlives it, and belongs to the key', async () => {
  const given = services(stored(LONG(40)));
  await run(calculateDelta, [at(5, { p: 42 })], { config, services: given });
  assert.deepEqual(given.did, [['remember', `${DEVICE} p`, { value: 42, ts: 5 }]]);
  assert.deepEqual(told(await run(calculateDelta, [at(6, { p: 45 })], { config, services: given })), ['{"p":45,"d":3}']);
  assert.deepEqual(told(await run(calculateDelta, [at(7, { q: 50 })], { config: { ...config, inputValueKey: 'q' }, services: given })), [
    '{"q":50,"d":0}',
  ]);
});

test('calculate delta: without the cache the storage is asked each time', async () => {
  const given = services(stored(LONG(40)));
  const outcomes = await run(calculateDelta, [at(5, { p: 42 }), at(6, { p: 43 })], { config: { ...config, useCache: false }, services: given });
  assert.deepEqual(told(outcomes), ['{"p":42,"d":2}', '{"p":43,"d":3}']);
  assert.deepEqual(given.did, []);
});

for (const { value, error } of [
  { value: { type: 'STRING', value: 'abc' }, error: 'Calculation failed. Unable to parse value [abc] of telemetry [p] to Double' },
  { value: { type: 'BOOLEAN', value: true }, error: 'Calculation failed. Boolean values are not supported!' },
  { value: { type: 'JSON', value: '{}' }, error: 'Calculation failed. JSON values are not supported!' },
] as { value: Value; error: string }[])
  test(`calculate delta: a stored ${value.type} that is no number fails, and what came is not remembered`, async () => {
    const given = services(stored(value));
    assert.deepEqual(told(await run(calculateDelta, [at(5, { p: 1 }), at(6, { p: 2 })], { config, services: given })), [error, error]);
    assert.deepEqual(given.did, []);
  });

for (const { more, reason } of [
  { more: { inputValueKey: '' }, reason: 'Input value key should be specified!' },
  { more: { outputValueKey: ' ' }, reason: 'Output value key should be specified!' },
  { more: { outputValueKey: null }, reason: 'Output value key should be specified!' },
  { more: { addPeriodBetweenMsgs: true, periodValueKey: '' }, reason: 'Period value key should be specified!' },
])
  test(`calculate delta: unusable with ${JSON.stringify(more)}`, () =>
    assert.rejects(start(calculateDelta, { config: { ...config, ...more } }), { message: reason }));
