import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Role } from '#engine/cluster.ts';
import type { AttributeChange, DeviceSession } from '#engine/control.ts';
import type { Backend } from '#engine/queue.ts';
import { createWaiting } from '#engine/waiting.ts';
import { overProcesses } from '#engine/waiting-shared.ts';
import { twoProcesses } from '#test/support/two-processes.ts';
import { eventually, within } from '#test/support/wait.ts';

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
  expiresAt: Date.now() + 5000,
  ...fields,
});

/** Two processes; sessions and callers are in `a` and `b` as the test has it. */
function plant(t: TestContext, roles: { a?: readonly Role[]; b?: readonly Role[] } = {}) {
  const processes = twoProcesses({} as Backend, roles);
  const [a, b] = [processes.a, processes.b].map(({ cluster }) => overProcesses(createWaiting({ shared: true }), cluster)) as [
    ReturnType<typeof overProcesses>,
    ReturnType<typeof overProcesses>,
  ];
  t.after(() => {
    a.close();
    b.close();
  });
  return { processes, a, b };
}

test('a REST caller is answered from the process of the chain, and an answer of its own process costs no word', async (t) => {
  const { processes, a, b } = plant(t);
  const words: string[] = [];
  processes.a.cluster.subscribe('waiting.rest', (_data, from) => void words.push(from));
  const [first, second] = [a.restReply('r1', 5000), a.restReply('r2', 5000)];
  a.answerRest('r1', '1');
  b.answerRest('r2', '2');
  assert.deepEqual(await Promise.all([first, second]), ['1', '2']);
  assert.deepEqual(words, ['b']);
});

test('an RPC caller is answered from the process of the chain', async (t) => {
  const { a, b } = plant(t);
  const answer = a.rpcAnswer('r1', 5000, true);
  b.answerRpc('r1', { ok: true, data: '{"on":true}' });
  assert.deepEqual(await answer, { ok: true, data: '{"on":true}' });
});

test('a request finds the device’s session in another process, and its answer the one who asked, by whatever process it comes', async (t) => {
  const { a, b } = plant(t);
  const seen: { id: number; method: string }[] = [];
  b.openSession(session({ onRpc: ({ id, method }) => seen.push({ id, method }) }));
  const [first, second] = [a.callDevice(call({ requestUUID: 'x', method: 'one' })), a.callDevice(call({ requestUUID: 'y', method: 'two' }))];
  await eventually(() => seen.length === 2, 'both requests');
  const idOf = (method: string) => seen.find((each) => each.method === method)!.id;
  b.answerDeviceCall(device, idOf('two'), '2');
  a.answerDeviceCall(device, idOf('one'), '1');
  assert.deepEqual(await within(Promise.all([first, second]), 'the answers'), [
    { ok: true, data: '1' },
    { ok: true, data: '2' },
  ]);
});

test('both processes number their requests to a device without meeting', async (t) => {
  const { a, b } = plant(t);
  const ids: number[] = [];
  a.openSession(session({ onRpc: ({ id }) => ids.push(id) }));
  const answers = [a, b, a, b].map((from, n) => from.callDevice(call({ requestUUID: `${n}` })));
  await eventually(() => ids.length === 4, 'all requests');
  assert.equal(new Set(ids).size, 4);
  for (const id of ids) b.answerDeviceCall(device, id, `${id}`);
  assert.deepEqual((await Promise.all(answers)).map((answer) => answer.ok && Number(answer.data)).toSorted(), ids.toSorted());
});

test('sessions of a device in two processes both get the request', async (t) => {
  const { a, b } = plant(t);
  const seen: string[] = [];
  for (const [name, waiting] of Object.entries({ a, b })) waiting.openSession(session({ id: name, onRpc: () => seen.push(name) }));
  assert.deepEqual(await a.callDevice(call({ oneway: true })), { ok: true, data: null });
  await eventually(() => seen.length === 2, 'both');
});

for (const { name, roles, ask } of [
  { name: 'all who could have a session said no', roles: {}, ask: 'a' },
  { name: 'nobody else could have one', roles: { b: ['rules'] }, ask: 'a' },
  { name: 'also for a process without sessions of its own', roles: { b: ['rules'] }, ask: 'b' },
] as const) {
  test(`no session: ${name}`, async (t) => {
    const waiting = plant(t, roles);
    const begin = performance.now();
    assert.deepEqual(await waiting[ask].callDevice(call()), { ok: false, error: 'NO_ACTIVE_CONNECTION' });
    assert.ok(performance.now() - begin < 900, 'known at once, not after a wait');
  });
}

test('no session: who does not answer is waited for a second', async (t) => {
  const { processes, a } = plant(t);
  processes.cut(true);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const answer = a.callDevice(call());
  t.mock.timers.tick(1000);
  assert.deepEqual(await answer, { ok: false, error: 'NO_ACTIVE_CONNECTION' });
});

test('the caller in one process learns that a session in another has the request: a deadline is then a time-out', async (t) => {
  const { processes, a, b } = plant(t);
  const marked = Promise.withResolvers<void>();
  processes.a.cluster.subscribe('waiting.taken', () => marked.resolve());
  a.openSession(session({ onRpc: () => {} }));
  const answer = b.rpcAnswer('r1', 300, true);
  const called = a.callDevice(call({ expiresAt: Date.now() + 5000 }));
  await within(marked.promise, 'the word');
  assert.deepEqual(await answer, { ok: false, error: 'TIMEOUT' });
  a.close();
  await called;
});

test('changes and replies reach the session where it is, with every kind of value', async (t) => {
  const { a, b } = plant(t);
  const seen: unknown[] = [];
  const change: AttributeChange = {
    scope: 'SHARED_SCOPE',
    updated: [
      ['long', { type: 'LONG', value: 9_007_199_254_740_993n }],
      ['small', { type: 'LONG', value: 7 }],
      ['text', { type: 'STRING', value: '9' }],
    ],
  };
  b.openSession(session({ onAttributes: (got) => seen.push(got), onReply: (id, data) => seen.push([id, data]) }));
  a.notifyAttributes(device, change);
  a.notifyAttributes(device, { scope: 'SHARED_SCOPE', deleted: ['k'] });
  a.replyToDevice('s1', '3', '{}');
  await eventually(() => seen.length === 3, 'all words');
  assert.deepEqual(seen, [change, { scope: 'SHARED_SCOPE', deleted: ['k'] }, ['3', '{}']]);
});
