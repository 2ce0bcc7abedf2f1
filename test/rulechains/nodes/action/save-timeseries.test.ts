import assert from 'node:assert/strict';
import test from 'node:test';
import type { Value } from '#engine/json.ts';
import saveTimeseries from '#rulechains/nodes/action/save-timeseries.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { NOW, run, services, start } from '#test/support/services.ts';

const LONG = (value: number): Value => ({ type: 'LONG', value });
const ALL = { ttlMs: 0, history: true, latest: true };
const QUIET = { to: 'Success', effect: false };
const skip = { type: 'SKIP' };
const every = { type: 'ON_EVERY_MESSAGE' };
const advanced = (parts: object) => ({
  processingSettings: { type: 'ADVANCED', timeseries: skip, latest: skip, webSockets: skip, calculatedFields: skip, ...parts },
});

for (const { name, config, data, metadata = {}, type = 'POST_TELEMETRY_REQUEST', to = 'Success', did = [] } of [
  {
    name: 'every type, strings cast',
    data: '{"t":25,"d":1.0,"b":true,"s":"txt","j":{"x":[1]},"n":"12"}',
    metadata: { ts: '1700000000001' },
    did: [
      [
        'save telemetry',
        DEVICE,
        1700000000001,
        {
          t: LONG(25),
          d: { type: 'DOUBLE', value: 1 },
          b: { type: 'BOOLEAN', value: true },
          s: { type: 'STRING', value: 'txt' },
          j: { type: 'JSON', value: '{"x":[1]}' },
          n: LONG(12),
        },
        ALL,
      ],
    ],
  },
  {
    name: 'a ts that is no number: the message’s',
    data: { t: 1 },
    metadata: { ts: 'soon' },
    did: [['save telemetry', DEVICE, 1_700_000_000_000, { t: LONG(1) }, ALL]],
  },
  {
    name: 'server time only where the values have none',
    config: { useServerTs: true },
    data: [{ t: 1 }, { ts: 5, values: { t: 2 } }],
    metadata: { ts: '9' },
    did: [
      ['save telemetry', DEVICE, NOW, { t: LONG(1) }, ALL],
      ['save telemetry', DEVICE, 5, { t: LONG(2) }, ALL],
    ],
  },
  {
    name: 'metadata TTL wins',
    config: { defaultTTL: 2 },
    data: { t: 1 },
    metadata: { TTL: '1' },
    did: [['save telemetry', DEVICE, 1_700_000_000_000, { t: LONG(1) }, { ...ALL, ttlMs: 1000 }]],
  },
  {
    name: 'an empty metadata TTL does not',
    config: { defaultTTL: 3 },
    data: { t: 1 },
    metadata: { TTL: '' },
    did: [['save telemetry', DEVICE, 1_700_000_000_000, { t: LONG(1) }, { ...ALL, ttlMs: 3000 }]],
  },
  { name: 'a metadata TTL that is no number', data: { t: 1 }, metadata: { TTL: 'long' }, to: { to: 'Failure', error: 'For input string: "long"' } },
  { name: 'another type', data: { t: 1 }, type: 'TIMESERIES_UPDATED', to: { to: 'Failure', error: 'Unsupported msg type: TIMESERIES_UPDATED' } },
  { name: 'nothing in it', data: '{"ts":1,"values":{}}', to: { to: 'Failure', error: 'Msg body is empty: {"ts":1,"values":{}}' } },
  { name: 'a null stores nothing', data: { t: 1, n: null }, to: { to: 'Failure', error: "Can't parse value: null" } },
  { name: 'an empty key stores nothing', data: { x: 2, '': 1 }, to: { to: 'Failure', error: "Key can't be null or empty" } },
  {
    name: 'a key of 256',
    data: { ['k'.repeat(256)]: 1 },
    to: { to: 'Failure', error: 'Validation error: key length must be equal or less than 255' },
  },
  {
    name: 'keys are no patterns',
    data: { 'a.b': 1, '${x}': 4 },
    metadata: { x: 'z' },
    did: [['save telemetry', DEVICE, 1_700_000_000_000, { 'a.b': LONG(1), '${x}': LONG(4) }, ALL]],
  },
  { name: 'live only: nothing is stored', config: { processingSettings: { type: 'WEBSOCKETS_ONLY' } }, data: { t: 1 }, to: QUIET },
  {
    name: 'live only: what can not be read fails',
    config: { processingSettings: { type: 'WEBSOCKETS_ONLY' } },
    data: {},
    to: { to: 'Failure', error: 'Msg body is empty: {}' },
  },
  { name: 'nothing to do: not even read', config: advanced({}), data: 'no json', to: QUIET },
  {
    name: 'history only',
    config: advanced({ timeseries: every }),
    data: { t: 1 },
    did: [['save telemetry', DEVICE, 1_700_000_000_000, { t: LONG(1) }, { ...ALL, latest: false }]],
  },
  {
    name: 'latest only',
    config: advanced({ latest: every }),
    data: { t: 1 },
    did: [['save telemetry', DEVICE, 1_700_000_000_000, { t: LONG(1) }, { ...ALL, history: false }]],
  },
])
  test(`save time series: ${name}`, async () => {
    const given = services();
    const outcomes = await run(saveTimeseries, [message({ data, type, metadata: metadata as Record<string, string> })], { config, services: given });
    assert.deepEqual([outcomes, given.did], [[to], did]);
  });

test('save time series: once in an interval and originator, the same message again counts as the first', async () => {
  const given = services();
  const first = message({ id: '1', data: { t: 1 }, ts: 60_000 });
  const messages = [
    first,
    message({ id: '2', data: { t: 2 }, ts: 119_999 }),
    message({ id: '3', data: { t: 3 }, ts: 60_001, originator: { entityType: 'DEVICE', id: 'other' } }),
    message({ id: '4', data: { t: 4 }, ts: 120_000 }),
    first,
    message({ id: '5', data: { t: 5 }, ts: 60_002 }),
  ];
  const outcomes = await run(saveTimeseries, messages, {
    config: { processingSettings: { type: 'DEDUPLICATE', deduplicationIntervalSecs: 60 } },
    services: given,
  });
  assert.deepEqual(outcomes, ['Success', QUIET, 'Success', 'Success', 'Success', QUIET]);
  assert.deepEqual(
    given.did.map(([, id, , values]) => [id, (values as { t: Value }).t.value]),
    [
      [DEVICE, 1],
      ['other', 3],
      [DEVICE, 4],
      [DEVICE, 1],
    ],
  );
});

test('save time series: by server time the interval is the server’s too', async () => {
  const messages = [message({ id: '1', data: { t: 1 }, ts: 0 }), message({ id: '2', data: { t: 2 }, ts: 60_000 })];
  const config = { useServerTs: true, processingSettings: { type: 'DEDUPLICATE', deduplicationIntervalSecs: 60 } };
  assert.deepEqual(await run(saveTimeseries, messages, { config, services: services() }), ['Success', QUIET]);
});

test('save time series: strategies are judged one by one', async () => {
  const given = services();
  const once = (deduplicationIntervalSecs: number) => ({ type: 'DEDUPLICATE', deduplicationIntervalSecs });
  const messages = [message({ id: '1', data: { t: 1 }, ts: 0.5 }), message({ id: '2', data: { t: 2 }, ts: 11_000 })];
  await run(saveTimeseries, messages, { config: advanced({ timeseries: once(60), latest: once(10) }), services: given });
  assert.deepEqual(
    given.did.map(([, , , , options]) => options),
    [ALL, { ...ALL, history: false }],
  );
});

for (const processingSettings of [
  { type: 'DEDUPLICATE', deduplicationIntervalSecs: 0 },
  { type: 'DEDUPLICATE' },
  { type: 'DEDUPLICATE', deduplicationIntervalSecs: 86_401 },
  { type: 'SOMETIMES' },
]) {
  test(`save time series: unusable with ${JSON.stringify(processingSettings)}`, () =>
    assert.rejects(start(saveTimeseries, { config: { processingSettings } }), /^Error: Can't convert value: /));
}

test('save time series: refused at save without settings', () => {
  assert.equal(saveTimeseries.refuse!({ defaultTTL: 0, processingSettings: null }), 'processingSettings must not be null');
  assert.equal(saveTimeseries.refuse!(saveTimeseries.defaults), null);
});
