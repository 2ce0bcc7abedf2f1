import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttributeChange, DeviceSession } from '#engine/control.ts';
import type { RpcAnswer } from '#engine/services.ts';
import { createWaiting } from '#engine/waiting.ts';

const device = '784f394c-42b6-435a-983c-b7beff2784f9';
const session = (fields: Partial<DeviceSession> = {}): DeviceSession => ({
  id: 's1',
  deviceId: device,
  onRpc: null,
  onAttributes: null,
  onReply: null,
  ...fields,
});
const call = (fields = {}) => ({
  requestUUID: 'r1',
  deviceId: device,
  method: 'm',
  params: '{}',
  oneway: false,
  expiresAt: Date.now() + 1000,
  ...fields,
});

test('a REST caller gets the reply of its request, once', async () => {
  const waiting = createWaiting();
  const reply = waiting.restReply('r1', 60_000);
  waiting.answerRest('other', '1');
  waiting.answerRest('r1', '{"a":1}');
  waiting.answerRest('r1', '{"a":2}');
  assert.equal(await reply, '{"a":1}');
});

test('a second caller under the same request id ends the first', async () => {
  const waiting = createWaiting();
  const first = waiting.restReply('r1', 60_000);
  const second = waiting.restReply('r1', 60_000);
  waiting.answerRest('r1', '2');
  assert.deepEqual(await Promise.all([first, second]), [null, '2']);
});

test('a REST caller gets null at the deadline', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const waiting = createWaiting();
  const reply = waiting.restReply('r1', 5000);
  t.mock.timers.tick(5000);
  assert.equal(await reply, null);
});

test('a deadline beyond 32 bits does not fire at once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const waiting = createWaiting();
  const reply = waiting.restReply('r1', 1e13);
  t.mock.timers.tick(60_000);
  waiting.answerRest('r1', '1');
  assert.equal(await reply, '1');
});

for (const { name, twoWay, answers, want } of [
  { name: 'one-way: an accepted downlink answers', twoWay: false, answers: [{ ok: true, data: null }], want: { ok: true, data: null } },
  {
    name: 'one-way: a missing connection waits for the deadline',
    twoWay: false,
    answers: [{ ok: false, error: 'NO_ACTIVE_CONNECTION' }],
    want: { ok: false, error: 'NO_ACTIVE_CONNECTION' },
  },
  {
    name: 'one-way: a missing connection, then a downlink',
    twoWay: false,
    answers: [
      { ok: false, error: 'NO_ACTIVE_CONNECTION' },
      { ok: true, data: null },
    ],
    want: { ok: true, data: null },
  },
  {
    name: 'two-way: an accepted downlink is no answer, data is',
    twoWay: true,
    answers: [
      { ok: true, data: null },
      { ok: true, data: '{"on":true}' },
    ],
    want: { ok: true, data: '{"on":true}' },
  },
  { name: 'two-way: nothing took it', twoWay: true, answers: [], want: { ok: false, error: 'NO_ACTIVE_CONNECTION' } },
  { name: 'a failure answers at once', twoWay: true, answers: [{ ok: false, error: 'FAILED' }], want: { ok: false, error: 'FAILED' } },
] as { name: string; twoWay: boolean; answers: RpcAnswer[]; want: RpcAnswer }[]) {
  test(`rpc: ${name}`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    const waiting = createWaiting();
    const answer = waiting.rpcAnswer('r1', 5000, twoWay);
    for (const one of answers) waiting.answerRpc('r1', one);
    t.mock.timers.tick(5000);
    assert.deepEqual(await answer, want);
  });
}

test('rpc: TIMEOUT when a session took the request and did not answer', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const waiting = createWaiting();
  waiting.openSession(session({ onRpc: () => {} }));
  const answer = waiting.rpcAnswer('r1', 5000, true);
  const called = waiting.callDevice(call({ expiresAt: Date.now() + 6000 }));
  t.mock.timers.tick(5000);
  assert.deepEqual(await answer, { ok: false, error: 'TIMEOUT' });
  t.mock.timers.tick(1000);
  assert.deepEqual(await called, { ok: false, error: 'TIMEOUT' });
});

test('a device without a session that takes requests has no connection', async () => {
  const waiting = createWaiting();
  waiting.openSession(session({ onAttributes: () => {} }));
  assert.deepEqual(await waiting.callDevice(call()), { ok: false, error: 'NO_ACTIVE_CONNECTION' });
});

test('calls of a device count from 0 and are answered by their id', async () => {
  const waiting = createWaiting();
  const seen: unknown[] = [];
  const end = waiting.openSession(session({ onRpc: (request) => seen.push(request) }));
  const first = waiting.callDevice(call({ requestUUID: 'a', params: '1' }));
  const second = waiting.callDevice(call({ requestUUID: 'b', params: '2' }));
  end();
  assert.deepEqual(seen, [
    { id: 0, method: 'm', params: '1' },
    { id: 1, method: 'm', params: '2' },
  ]);
  assert.equal(waiting.answerDeviceCall(device, 1, '"two"'), true);
  assert.equal(waiting.answerDeviceCall(device, 1, '"again"'), false);
  assert.equal(waiting.answerDeviceCall(device, 7, '"nobody"'), false);
  assert.equal(waiting.answerDeviceCall(device, 0, '"one"'), true);
  assert.deepEqual(
    [await first, await second],
    [
      { ok: true, data: '"one"' },
      { ok: true, data: '"two"' },
    ],
  );
  assert.deepEqual(await waiting.callDevice(call()), { ok: false, error: 'NO_ACTIVE_CONNECTION' });
});

test('a one-way call is done when a session has it', async () => {
  const waiting = createWaiting();
  waiting.openSession(session({ onRpc: () => {} }));
  assert.deepEqual(await waiting.callDevice(call({ oneway: true })), { ok: true, data: null });
});

test('attribute changes reach the sessions of the device alone, replies the session alone', () => {
  const waiting = createWaiting();
  const seen: unknown[] = [];
  const other = session({ id: 's2', deviceId: 'other', onAttributes: () => seen.push('other'), onReply: () => seen.push('other') });
  waiting.openSession(other);
  const end = waiting.openSession(
    session({ onAttributes: (change) => seen.push(change), onReply: (requestId, data) => seen.push([requestId, data]) }),
  );
  const change: AttributeChange = { scope: 'SHARED_SCOPE', deleted: ['a'] };
  waiting.notifyAttributes(device, change);
  waiting.replyToDevice('s1', '3', '{}');
  end();
  waiting.notifyAttributes(device, change);
  waiting.replyToDevice('s1', '4', '{}');
  assert.deepEqual(seen, [change, ['3', '{}']]);
});

test('close answers everybody as the deadline would', async () => {
  const waiting = createWaiting();
  waiting.openSession(session({ onRpc: () => {} }));
  const all = [waiting.restReply('r', 60_000), waiting.rpcAnswer('x', 60_000), waiting.callDevice(call({ expiresAt: Date.now() + 60_000 }))];
  waiting.close();
  assert.deepEqual(await Promise.all(all), [null, { ok: false, error: 'NO_ACTIVE_CONNECTION' }, { ok: false, error: 'TIMEOUT' }]);
  assert.equal(await waiting.restReply('later', 60_000), null, 'who comes after the close does not wait');
});
