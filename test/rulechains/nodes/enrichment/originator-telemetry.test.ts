import assert from 'node:assert/strict';
import test from 'node:test';
import type { Value } from '#engine/json.ts';
import type { Services } from '#engine/services.ts';
import originatorTelemetry from '#rulechains/nodes/enrichment/originator-telemetry.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { NOW, run, services, start } from '#test/support/services.ts';

type Query = Parameters<Services['telemetry']['history']>[1];
const LONG = (value: number): Value => ({ type: 'LONG', value });
const ROWS: Record<string, [ts: number, value: Value][]> = {
  t: [
    [1000, { type: 'DOUBLE', value: 22.4 }],
    [2000, LONG(23)],
    [3000, { type: 'DOUBLE', value: 21 }],
  ],
  s: [[1500, { type: 'STRING', value: 'a "q"' }]],
  b: [[1500, { type: 'BOOLEAN', value: true }]],
  j: [[1500, { type: 'JSON', value: '{"x":[1.0]}' }]],
  big: [[1500, { type: 'LONG', value: 9007199254740993n }]],
};
const world = () => {
  const asked: [string, Query][] = [];
  const given = services({
    history: async ({ id }, query) => {
      asked.push([id, query]);
      const found = query.keys.filter((key) => ROWS[key]).map((key) => [key, ROWS[key]!.map(([ts, value]) => ({ ts, value }))] as const);
      return new Map(found.map(([key, points]) => [key, (query.order === 'ASC' ? points : points.toReversed()).slice(0, query.limit)]));
    },
  });
  return { ...given, asked };
};
const fromMessage = { useMetadataIntervalPatterns: true, startIntervalPattern: '${start}', endIntervalPattern: '$[end]' };

for (const { name, config, data = { end: 4000 }, metadata = { start: '1000' }, to } of [
  { name: 'the oldest, as a JSON text', config: { latestTsKeyNames: ['t'] }, to: { t: '"22.4"' } },
  { name: 'the newest: a whole double', config: { latestTsKeyNames: ['t'], fetchMode: 'LAST' }, to: { t: '"21.0"' } },
  {
    name: 'the oldest of every type',
    config: { latestTsKeyNames: ['s', 'b', 'j', 'big', 'none'] },
    to: { s: '"a \\"q\\""', b: '"true"', j: '"{\\"x\\":[1.0]}"', big: '"9007199254740993"' },
  },
  {
    name: 'all, with their types',
    config: { latestTsKeyNames: ['t', 's', 'b', 'j', 'big', 'none'], fetchMode: 'ALL' },
    to: {
      t: '[{"ts":1000,"value":22.4},{"ts":2000,"value":23},{"ts":3000,"value":21.0}]',
      s: '[{"ts":1500,"value":"a \\"q\\""}]',
      b: '[{"ts":1500,"value":true}]',
      j: '[{"ts":1500,"value":{"x":[1.0]}}]',
      big: '[{"ts":1500,"value":9007199254740993}]',
    },
  },
  {
    name: 'all, newest first, limited',
    config: { latestTsKeyNames: ['t'], fetchMode: 'ALL', orderBy: 'DESC', limit: 2 },
    to: { t: '[{"ts":3000,"value":21.0},{"ts":2000,"value":23}]' },
  },
  {
    name: 'all, a key twice',
    config: { latestTsKeyNames: ['b', 't', 'b'], fetchMode: 'ALL', limit: 2 },
    to: { b: '[{"ts":1500,"value":true},{"ts":1500,"value":true}]', t: '[{"ts":1000,"value":22.4},{"ts":2000,"value":23}]' },
  },
  { name: 'a key that is null', config: { latestTsKeyNames: ['t', null] }, to: 'Failed to process pattern!' },
  {
    name: 'keys are patterns',
    config: { latestTsKeyNames: ['${k}', '$[m]'] },
    data: { end: 4000, m: 's' },
    metadata: { start: '1', k: 't' },
    to: { t: '"22.4"', s: '"a \\"q\\""' },
  },
  {
    name: 'what is in metadata is replaced, and stays without data',
    config: { latestTsKeyNames: ['t', 'none'] },
    metadata: { start: '1', t: 'old', none: 'old' },
    to: { t: '"22.4"' },
  },
  { name: 'an interval without length', config: { latestTsKeyNames: ['none'] }, metadata: { start: '4000' }, to: {} },
  {
    name: 'start behind end',
    config: { latestTsKeyNames: ['t'] },
    metadata: { start: '4001' },
    to: 'Interval start should be less than Interval end',
  },
  { name: 'no start', config: { latestTsKeyNames: ['t'] }, metadata: {}, to: "Message value: 'start' is undefined" },
  { name: 'no end', config: { latestTsKeyNames: ['t'] }, data: {}, to: "Message value: 'end' is undefined" },
  { name: 'a literal start', config: { latestTsKeyNames: ['t'], startIntervalPattern: '1000' }, to: "Message value: '1000' is undefined" },
  { name: 'no pattern', config: { latestTsKeyNames: ['t'], startIntervalPattern: null }, to: "Message value: '' is undefined" },
  { name: 'a word', config: { latestTsKeyNames: ['t'] }, metadata: { start: 'x1' }, to: "Message value: 'start' has invalid format" },
  { name: 'empty', config: { latestTsKeyNames: ['t'] }, metadata: { start: '' }, to: "Message value: 'start' has invalid format" },
  { name: 'signed', config: { latestTsKeyNames: ['t'] }, metadata: { start: '+5' }, to: "Message value: 'start' has invalid format" },
  { name: 'a fraction', config: { latestTsKeyNames: ['t'] }, data: { end: 1.5 }, to: 'For input string: "1.5"' },
  {
    name: 'beyond 64 bits',
    config: { latestTsKeyNames: ['t'] },
    data: '{"end":99999999999999999999}',
    to: 'For input string: "99999999999999999999"',
  },
  {
    name: 'an empty key',
    config: { latestTsKeyNames: ['${k}'] },
    metadata: { start: '1', k: '' },
    to: "Incorrect ReadTsKvQuery. Key can't be empty",
  },
  { name: 'an end in an array', config: { latestTsKeyNames: ['t'] }, data: [], to: "Message value: 'end' is undefined" },
  { name: 'data that is no JSON', config: { latestTsKeyNames: ['t'] }, data: 'x', to: 'Failed to process pattern!' },
] as { name: string; config: Record<string, unknown>; data?: unknown; metadata?: Record<string, string>; to: string | Record<string, string> }[])
  test(`originator telemetry: ${name}`, async () => {
    const outcomes = await run(originatorTelemetry, [message({ data, metadata })], { config: { ...fromMessage, ...config }, services: world() });
    assert.deepEqual(outcomes, [typeof to === 'string' ? { to: 'Failure', error: to } : { to: 'Success', metadata: { ...metadata, ...to } }]);
  });

/** The interval and what is read of it: order, aggregation and limit are of ALL alone. */
for (const { name, config, query } of [
  {
    name: 'two minutes to one minute ago',
    config: {},
    query: { startTs: NOW - 120_000, endTs: NOW - 60_000, aggregation: 'NONE', limit: 1, order: 'ASC' },
  },
  {
    name: 'units, and an end in the future',
    config: {
      startInterval: 1,
      startIntervalTimeUnit: 'DAYS',
      endInterval: -90,
      endIntervalTimeUnit: 'SECONDS',
      fetchMode: 'LAST',
      orderBy: 'ASC',
      aggregation: 'MAX',
      limit: 0,
    },
    query: { startTs: NOW - 86_400_000, endTs: NOW + 90_000, aggregation: 'NONE', limit: 1, order: 'DESC' },
  },
  {
    name: 'less than a millisecond is nothing',
    config: { startInterval: 1500, startIntervalTimeUnit: 'MICROSECONDS', endInterval: 999_999, endIntervalTimeUnit: 'NANOSECONDS' },
    query: { startTs: NOW - 1, endTs: NOW, aggregation: 'NONE', limit: 1, order: 'ASC' },
  },
  {
    name: 'all',
    config: { fetchMode: 'ALL', orderBy: 'DESC', aggregation: 'SUM', limit: 7, startIntervalTimeUnit: 'HOURS' },
    query: { startTs: NOW - 7_200_000, endTs: NOW - 60_000, aggregation: 'SUM', limit: 7, order: 'DESC' },
  },
])
  test(`originator telemetry: asks for ${name}`, async () => {
    const given = world();
    await run(originatorTelemetry, [message()], { config: { latestTsKeyNames: ['a', 'a', 'b'], ...config }, services: given });
    assert.deepEqual(given.asked, [[DEVICE, { keys: ['a', 'b'], ...query }]]);
  });

for (const { config, error } of [
  { config: { startIntervalTimeUnit: 'WEEKS' }, error: 'No enum constant java.util.concurrent.TimeUnit.WEEKS' },
  { config: { endIntervalTimeUnit: null }, error: 'Name is null' },
])
  test(`originator telemetry: each message fails with ${JSON.stringify(config)}`, async () => {
    assert.deepEqual(await run(originatorTelemetry, [message()], { config: { latestTsKeyNames: ['t'], ...config } }), [{ to: 'Failure', error }]);
  });

for (const { config, reason } of [
  { config: {}, reason: 'Telemetry should be specified!' },
  { config: { latestTsKeyNames: null }, reason: 'Telemetry should be specified!' },
  { config: { latestTsKeyNames: ['t'], fetchMode: null }, reason: 'FetchMode should be specified!' },
  { config: { latestTsKeyNames: ['t'], fetchMode: 'ALL', limit: 1 }, reason: 'Limit should be in a range from 2 to 1000.' },
  { config: { latestTsKeyNames: ['t'], fetchMode: 'ALL', limit: 1001 }, reason: 'Limit should be in a range from 2 to 1000.' },
  { config: { latestTsKeyNames: ['t'], fetchMode: 'ALL', orderBy: null }, reason: 'OrderBy should be specified!' },
  { config: { latestTsKeyNames: ['t'], fetchMode: 'ALL', aggregation: null }, reason: 'Aggregation should be specified!' },
])
  test(`originator telemetry: unusable with ${JSON.stringify(config)}`, () =>
    assert.rejects(start(originatorTelemetry, { config }), { message: reason }));
