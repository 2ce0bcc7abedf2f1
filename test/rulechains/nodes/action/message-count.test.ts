import assert from 'node:assert/strict';
import test from 'node:test';
import type { Emission } from '#engine/node.ts';
import messageCount from '#rulechains/nodes/action/message-count.ts';
import synchronizationEnd from '#rulechains/nodes/action/synchronization-end.ts';
import synchronizationStart from '#rulechains/nodes/action/synchronization-start.ts';
import { message, TENANT } from '#test/support/message.ts';
import { NODE, type RunOptions, run, services, start } from '#test/support/services.ts';

test('message count: every message ends, and each tick gives the count since the last', async () => {
  const ticks: NonNullable<RunOptions['ticks']> = [];
  const given = services();
  const context = await start(messageCount, { config: { interval: 2, telemetryPrefix: 'cnt' }, services: given, ticks });
  const [{ everyMs, tick }] = ticks as [(typeof ticks)[0]];
  assert.equal(everyMs, 2000);
  let now = 1000;
  const count = async () => {
    const [emission] = (await tick({ ...given, messages: { ...given.messages, now: () => now } })) as Emission[];
    const { type, originator, data, metadata } = emission!.message!;
    assert.deepEqual([emission!.to, type, originator], ['Success', 'POST_TELEMETRY_REQUEST', { entityType: 'TENANT', id: TENANT }]);
    return { data, delta: metadata['delta'] };
  };
  for (const data of ['{}', '[1]', 'no json']) assert.deepEqual(messageCount.process!(message({ data }), context as never), []);
  assert.deepEqual(await count(), { data: `{"cnt_${NODE.serviceId}":3}`, delta: '2000' });
  now += 2005;
  assert.deepEqual(await count(), { data: `{"cnt_${NODE.serviceId}":0}`, delta: '2005' });
  messageCount.process!(message(), context as never);
  now += 1995;
  assert.deepEqual(await count(), { data: `{"cnt_${NODE.serviceId}":1}`, delta: '1995' });
});

for (const { config, everyMs, key } of [
  { config: {}, everyMs: 1000, key: 'messageCount' },
  { config: { telemetryPrefix: null }, everyMs: 1000, key: 'null' },
  { config: { interval: 0 }, everyMs: 1000, key: 'messageCount' },
  { config: { interval: -5 }, everyMs: 1000, key: 'messageCount' },
])
  test(`message count: ${JSON.stringify(config)} counts each ${everyMs} ms under ${key}`, async () => {
    const ticks: NonNullable<RunOptions['ticks']> = [];
    const given = services();
    await start(messageCount, { config, services: given, ticks });
    const [emission] = (await ticks[0]!.tick(given)) as Emission[];
    assert.deepEqual([ticks[0]!.everyMs, emission!.message!.data], [everyMs, `{"${key}_${NODE.serviceId}":0}`]);
  });

test('message count: unusable with an interval that is none', () =>
  assert.rejects(start(messageCount, { exact: { interval: 'x', telemetryPrefix: 'cnt' } }), {
    message: 'Can\'t convert value: {"interval":"x","telemetryPrefix":"cnt"}',
  }));

for (const node of [synchronizationStart, synchronizationEnd])
  test(`${node.label}: everything goes through`, async () =>
    assert.deepEqual(await run(node, [message(), message({ data: '[]' }), message({ data: 'no json' })]), ['Success', 'Success', 'Success']));
