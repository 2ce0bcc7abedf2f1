import assert from 'node:assert/strict';
import test from 'node:test';
import { newDevice } from '#engine/entities.ts';
import { createMessage, type EntityRef, type Message } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import node from '#rulechains/nodes/analytics/aggregate-stream.ts';
import { group } from '../../../support/groups.ts';
import { DEVICE, message, TENANT } from '../../../support/message.ts';
import { NODE, NOW, services, start } from '../../../support/services.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** NOW is the start of an hour. */
assert.equal(NOW % HOUR, 0);
const custom = { aggIntervalType: null, aggIntervalTimeUnit: 'HOURS', aggIntervalValue: 1, inputValueKey: 't', outputValueKey: 'o' };
const device = newDevice({ tenantId: TENANT, name: 'A', type: 'default', profileId: 'p' }, 1).device;
const me: EntityRef = { entityType: 'DEVICE', id: DEVICE };

/** The node with a clock of its own; timers fire when the test lets them. */
async function open(config: Record<string, unknown> = {}, world: Parameters<typeof services>[0] = {}) {
  let now = NOW;
  const given = services({ docs: { [DEVICE]: { ...device, id: DEVICE } }, ...world });
  const messages = { ...given.messages, now: () => now };
  const ticks: { everyMs: number; tick: (run: never) => Promise<unknown> }[] = [];
  const context = (config2 = config) =>
    start(node, { config: { ...custom, ...config2 }, services: { ...given, messages }, ticks: ticks as never }) as Promise<never>;
  let running = await context();
  const told = (list: readonly Emission[]) =>
    list.map(({ to, message: out }) => [to, out!.type, out!.originator.id, out!.data, out!.metadata] as const);
  return {
    did: given.did,
    ticks,
    setNow: (ts: number) => {
      now = ts;
    },
    /** As after a restart: only what is remembered is left. */
    restart: async (config2?: Record<string, unknown>) => {
      running = await context({ ...config, ...config2 });
    },
    send: async (...values: (Message | unknown)[]) => {
      const batch = values.map((value) => message({ data: { t: value }, metadata: { ts: String(now) } }));
      return node.processBatch!(batch, running);
    },
    give: (batch: readonly Message[]) => node.processBatch!(batch, running),
    due: async (key = 'check', originator = me) => {
      const timer = createMessage({ tenantId: TENANT, type: 'TIMER', originator, data: '' }, () => 'timer', now);
      return told((await node.due!(key, timer, running)) as readonly Emission[]);
    },
    reminders: () => given.did.filter(([what]) => what === 'remind').map(([, of, key, at]) => [of, key, Number(at) - NOW]),
    told,
  };
}
const result = (data: string, ts = NOW) => ['Success', 'POST_TELEMETRY_REQUEST', DEVICE, data, { ts: String(ts), overwriteValue: 'true' }];

for (const { fn, values, out } of [
  { fn: 'SUM', values: [1, 2, 3], out: '6' },
  { fn: 'SUM', values: [1, 2.5], out: '3.5' },
  { fn: 'SUM', values: ['1.5', 2], out: '3.5' },
  { fn: 'AVG', values: [20, 21], out: '20.5' },
  { fn: 'AVG', values: [20, 22], out: '21.0' },
  { fn: 'MIN', values: [3, -1, 2], out: '-1' },
  { fn: 'MAX', values: [3, 2.5], out: '3.0' },
  { fn: 'COUNT', values: ['a', {}, 1], out: '3' },
  { fn: 'COUNT_UNIQUE', values: ['a', 'b', 'a', 1, true], out: '4' },
])
  test(`aggregate stream: ${fn} of ${JSON.stringify(values)} is ${out}`, async () => {
    const stream = await open({ mathFunction: fn });
    assert.deepEqual(
      await stream.send(...values),
      values.map(() => []),
    );
    stream.setNow(NOW + HOUR + MINUTE);
    assert.deepEqual(await stream.due(), [result(`{"o":${out}}`)]);
  });

test('aggregate stream: whole numbers beyond 2^53 stay exact, and beyond 64 bits they are real', async () => {
  const stream = await open({ mathFunction: 'SUM' });
  const texts = ['9007199254740993', '2'];
  await stream.give(texts.map((text) => message({ data: `{"t":${text}}`, metadata: { ts: String(NOW) } })));
  stream.setNow(NOW + HOUR + MINUTE);
  assert.deepEqual(await stream.due(), [result('{"o":9007199254740995}')]);
});

for (const { name, data, error } of [
  { name: 'no object', data: '[1]', error: 'Message body is not an object!' },
  { name: 'no JSON', data: '', error: 'Unexpected end of JSON input' },
  { name: 'no such key', data: '{"x":1}', error: "Message data doesn't contain key: 't'!" },
  { name: 'null', data: '{"t":null}', error: "Message data doesn't contain key: 't'!" },
  { name: 'no number', data: '{"t":"warm"}', error: 'Value is not a number: "warm"' },
  { name: 'a boolean', data: '{"t":true}', error: 'Value is not a number: true' },
  { name: 'an object', data: '{"t":{}}', error: 'Value is not a number: {}' },
])
  test(`aggregate stream: ${name} fails, and its batch mates count`, async () => {
    const stream = await open({ mathFunction: 'SUM' });
    const mate = message({ data: '{"t":1}', metadata: { ts: String(NOW) } });
    const outcomes = await stream.give([mate, message({ data, metadata: { ts: String(NOW) } }), mate]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome instanceof Error ? outcome.message : outcome)),
      [[], error, []],
    );
    stream.setNow(NOW + HOUR + MINUTE);
    assert.deepEqual(await stream.due(), [result('{"o":2}')]);
  });

test('aggregate stream: what is aggregated so far is remembered with the batch and outlives a restart', async () => {
  const stream = await open({ mathFunction: 'AVG' });
  await stream.send(10, 20);
  await stream.restart();
  await stream.send(30);
  stream.setNow(NOW + HOUR + MINUTE);
  await stream.restart();
  assert.deepEqual(await stream.due(), [result('{"o":20.0}')]);
  assert.equal(stream.did.filter(([what]) => what === 'remember').length, 3, 'once a batch');
  assert.deepEqual(stream.reminders(), [[DEVICE, 'check', HOUR + MINUTE]], 'one timer for the interval');
});

test('aggregate stream: another function begins anew', async () => {
  const stream = await open({ mathFunction: 'SUM' });
  await stream.send(10);
  await stream.restart({ mathFunction: 'MAX' });
  await stream.send(1);
  stream.setNow(NOW + HOUR + MINUTE);
  assert.deepEqual(await stream.due(), [result('{"o":1}')]);
});

test('aggregate stream: after the end, at the first check; later values are ignored, or with a wait give it again', async () => {
  for (const { wait, after } of [
    { wait: 0, after: [] },
    { wait: 1, after: [result('{"o":8}')] },
  ]) {
    const stream = await open({ mathFunction: 'SUM', intervalTtlTimeUnit: 'HOURS', intervalTtlValue: wait });
    await stream.send(5);
    assert.deepEqual(await stream.due(), [], 'the interval is open');
    stream.setNow(NOW + HOUR + MINUTE);
    assert.deepEqual(await stream.due(), [result('{"o":5}')]);
    await stream.give([message({ data: { t: 3 }, metadata: { ts: String(NOW + HOUR - 1) } })]);
    stream.setNow(NOW + HOUR + 2 * MINUTE);
    assert.deepEqual(await stream.due(), after);
    stream.setNow(NOW + 3 * HOUR);
    assert.deepEqual(await stream.due(), []);
  }
});

test('aggregate stream: values of several intervals and originators, each its own', async () => {
  const stream = await open({ mathFunction: 'SUM' }, { docs: { [DEVICE]: { ...device, id: DEVICE }, other: { ...device, id: 'other' } } });
  const other: EntityRef = { entityType: 'DEVICE', id: 'other' };
  const at = (ts: number, t: number, originator = me) => message({ data: { t }, metadata: { ts: String(ts) }, originator });
  await stream.give([at(NOW, 1), at(NOW + HOUR, 10), at(NOW, 2), at(NOW, 100, other)]);
  stream.setNow(NOW + 3 * HOUR);
  assert.deepEqual(await stream.due(), [result('{"o":3}'), result('{"o":10}', NOW + HOUR)]);
  assert.deepEqual(await stream.due('check', other), [['Success', 'POST_TELEMETRY_REQUEST', 'other', '{"o":100}', result('', NOW)[4]]]);
});

test('aggregate stream: with each message, or at each check where something changed', async () => {
  const rolling = await open({ mathFunction: 'SUM', intervalPersistencePolicy: 'ON_EACH_MESSAGE', outMsgType: 'MINE' });
  const outcomes = (await rolling.send(1, 2)) as Emission[];
  assert.deepEqual(
    rolling.told(outcomes).map(([to, type, , data]) => [to, type, data]),
    [
      ['Success', 'MINE', '{"o":1}'],
      ['Success', 'MINE', '{"o":3}'],
    ],
  );
  const checked = await open({ mathFunction: 'SUM', intervalPersistencePolicy: 'ON_EACH_CHECK', intervalCheckValue: 5 });
  await checked.send(1);
  assert.deepEqual(checked.reminders(), [[DEVICE, 'check', 5 * MINUTE]]);
  checked.setNow(NOW + 5 * MINUTE);
  assert.deepEqual(await checked.due(), [result('{"o":1}')]);
  assert.deepEqual(await checked.due(), [], 'nothing changed');
  await checked.send(2);
  checked.setNow(NOW + 10 * MINUTE);
  assert.deepEqual(await checked.due(), [result('{"o":3}')]);
});

test('aggregate stream: a device that is gone gives nothing, and is forgotten', async () => {
  const stream = await open({ mathFunction: 'SUM' }, { docs: {} });
  await stream.send(1);
  stream.setNow(NOW + 2 * HOUR);
  assert.deepEqual(await stream.due(), []);
  assert.deepEqual(stream.did.at(-1), ['remember', `DEVICE ${DEVICE}`, null]);
});

test('aggregate stream: a clock that jumps opens no end of intervals', async () => {
  const stream = await open({ mathFunction: 'SUM' });
  const jumps = Array.from({ length: 1001 }, (_, i) => message({ data: { t: 1 }, metadata: { ts: String(NOW + i * HOUR) } }));
  const outcomes = await stream.give(jumps);
  assert.equal((outcomes[1000] as Error).message, 'More than 1000 intervals are open: is the clock of the originator right?');
});

test('aggregate stream: silent members of a group give the result of nothing, for each interval once', async () => {
  const query = { type: 'group', entityGroupId: { entityType: 'ENTITY_GROUP', id: 'group TENANT Cold' } };
  const config = { mathFunction: 'SUM', autoCreateIntervals: true, parentEntitiesQuery: query, periodValue: 10 };
  const stream = await open(config, {
    docs: { [DEVICE]: { ...device, id: DEVICE } },
    groups: [group('Cold')],
    members: { 'group TENANT Cold': [me] },
  });
  assert.deepEqual(
    stream.ticks.map(({ everyMs }) => everyMs),
    [10 * MINUTE],
  );
  const own: Message[] = [];
  await stream.ticks[0]!.tick({ messages: { enqueue: (each: Message) => own.push(each), newId: () => 'id', now: () => NOW } } as never);
  assert.deepEqual(
    own.map(({ originator, at }) => [originator, at]),
    [
      [
        { entityType: 'RULE_NODE', id: NODE.id },
        { chainId: NODE.chainId, nodeId: NODE.id, labels: null, due: 'entities' },
      ],
    ],
  );
  assert.deepEqual(await stream.due('entities', { entityType: 'RULE_NODE', id: NODE.id }), []);
  assert.deepEqual(stream.reminders(), [[DEVICE, 'fill', 0]]);
  assert.deepEqual(await stream.due('fill'), []);
  stream.setNow(NOW + HOUR + MINUTE);
  assert.deepEqual(await stream.due(), [result('{"o":0}')]);
  await stream.send(7);
  stream.setNow(NOW + 2 * HOUR + MINUTE);
  assert.deepEqual(await stream.due(), [result('{"o":7}', NOW + HOUR)]);
  stream.setNow(NOW + 3 * HOUR + MINUTE);
  assert.deepEqual(await stream.due('fill'), [result('{"o":0}', NOW + 2 * HOUR)], 'the one that had a value is not overwritten');
});

const utc = (text: string): number => Date.parse(text);
for (const { type, zone, ts, from, to } of [
  { type: 'HOUR', zone: 'Asia/Kolkata', ts: '2026-05-05T10:00:00Z', from: '2026-05-05T09:30:00Z', to: '2026-05-05T10:30:00Z' },
  { type: 'DAY', zone: 'Europe/Kyiv', ts: '2026-03-29T12:00:00Z', from: '2026-03-28T22:00:00Z', to: '2026-03-29T21:00:00Z' },
  { type: 'WEEK', zone: null, ts: '2026-05-06T12:00:00Z', from: '2026-05-04T00:00:00Z', to: '2026-05-11T00:00:00Z' },
  { type: 'WEEK_SUN_SAT', zone: null, ts: '2026-05-06T12:00:00Z', from: '2026-05-03T00:00:00Z', to: '2026-05-10T00:00:00Z' },
  { type: 'MONTH', zone: 'America/New_York', ts: '2026-03-01T04:00:00Z', from: '2026-02-01T05:00:00Z', to: '2026-03-01T05:00:00Z' },
  { type: 'YEAR', zone: 'UTC', ts: '2026-03-01T04:00:00Z', from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z' },
  { type: 'CUSTOM', zone: null, ts: '2026-03-01T04:20:00Z', from: '2026-03-01T04:00:00Z', to: '2026-03-01T05:00:00Z' },
])
  test(`aggregate stream: ${type} ${zone} of ${ts}`, async () => {
    const stream = await open({ mathFunction: 'COUNT', aggIntervalType: type, timeZoneId: zone });
    stream.setNow(utc(ts));
    await stream.send(1);
    assert.deepEqual(stream.reminders(), [[DEVICE, 'check', utc(to) + MINUTE - NOW]]);
    stream.setNow(utc(to) + MINUTE);
    assert.deepEqual(await stream.due(), [result('{"o":1}', utc(from))]);
  });

for (const { name, config, error } of [
  { name: 'no function', config: { mathFunction: null }, error: 'Aggregation function should be specified!' },
  { name: 'no key', config: { inputValueKey: '' }, error: 'Input and output value keys should be specified!' },
  { name: 'no length', config: { aggIntervalValue: 0 }, error: 'Aggregation interval should be greater than 0!' },
  { name: 'an unknown zone', config: { aggIntervalType: 'DAY', timeZoneId: 'Mars/North' }, error: 'Unknown time-zone ID: Mars/North' },
  { name: 'intervals of nobody', config: { autoCreateIntervals: true }, error: 'Entities should be specified!' },
])
  test(`aggregate stream: does not start with ${name}`, () => assert.rejects(open({ mathFunction: 'SUM', ...config }), { message: error }));

test('aggregate stream: the keys of published files', async () => {
  const published = {
    mathFunction: 'AVG',
    aggIntervalTimeUnit: 'MINUTES',
    aggIntervalValue: 1,
    autoCreateIntervals: true,
    parentEntitiesQuery: { type: 'group', entityGroupId: 'f3f0c4a0-0c1f-11e9-8a3c-8b1f8f9a7f77' },
    periodTimeUnit: 'MINUTES',
    periodValue: 5,
    intervalPersistencePolicy: 'ON_EACH_CHECK_AFTER_INTERVAL_END',
    intervalCheckTimeUnit: 'MINUTES',
    intervalCheckValue: 1,
    intervalTtlTimeUnit: 'DAYS',
    intervalTtlValue: 1,
    inputValueKey: 'temperature',
    outputValueKey: 'avgTemperature',
    statePersistencePolicy: 'ON_EACH_CHANGE',
    statePersistenceTimeUnit: 'MINUTES',
    statePersistenceValue: 1,
    someKeyOfAnotherVersion: true,
  };
  await assert.doesNotReject(start(node, { exact: published }));
});
