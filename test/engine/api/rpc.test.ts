import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Message } from '#engine/message.ts';
import { type Api, startApi } from '#test/support/api.ts';
import { takeMessages } from '#test/support/lane.ts';
import { eventually } from '#test/support/wait.ts';

const PATHS = { v2: '/api/rpc', v1: '/api/plugins/rpc' };
let api: Api;
let device: string;

before(async () => {
  api = await startApi();
  device = (await api.call('POST', '/api/device?accessToken=rpc-1', { body: { name: 'relay', type: 'default' } })).body.id.id;
  await takeMessages(api.context.backend, device);
});
after(() => api.close());

/** The call as it stands in the device's lane. */
async function callInLane(): Promise<Message> {
  let message: Message | undefined;
  await eventually(async () => {
    message = (await takeMessages(api.context.backend, device)).find(({ type }) => type === 'RPC_CALL_FROM_SERVER_TO_DEVICE');
    return message !== undefined;
  }, 'the call');
  return message!;
}

test('the message of a call', async () => {
  const answer = api.call('POST', `/api/rpc/oneway/${device}`, {
    text: '{"method":"setRelay","params":{"on":1.0},"additionalInfo":{"x":1},"retries":2}',
    type: 'text/plain',
  });
  const message = await callInLane();
  const { requestUUID, expirationTime, userId, userName, userEmail, ...metadata } = message.metadata;
  assert.deepEqual(JSON.parse(message.data), { method: 'setRelay', params: '{"on":1.0}', additionalInfo: '{"x":1}' });
  assert.deepEqual(metadata, {
    originServiceId: 'test',
    oneway: 'true',
    persistent: 'false',
    retries: '2',
    deviceName: 'relay',
    deviceType: 'default',
  });
  assert.ok(Math.abs(Number(expirationTime) - Date.now() - 10_000) < 5000);
  assert.ok(userId && userName && userEmail);
  api.context.waiting.answerRpc(requestUUID!, { ok: true, data: null });
  const { status, text } = await answer;
  assert.deepEqual([status, text], [200, ''], 'as soon as a downlink node took it');
});

for (const { name, kind, answers, status, text } of [
  {
    name: 'one-way: a missing session is no answer, the downlink is',
    kind: 'oneway',
    answers: [
      { ok: false, error: 'NO_ACTIVE_CONNECTION' },
      { ok: true, data: null },
    ],
    status: 200,
    text: '',
  },
  {
    name: 'two-way: the downlink is no answer, the data is',
    kind: 'twoway',
    answers: [
      { ok: true, data: null },
      { ok: true, data: '{"on":true}' },
    ],
    status: 200,
    text: '{"on":true}',
  },
  { name: 'two-way: an answer that is no JSON', kind: 'twoway', answers: [{ ok: true, data: 'on' }], status: 406, text: '' },
  { name: 'two-way: the device failed', kind: 'twoway', answers: [{ ok: false, error: 'FAILED' }], status: 504, text: '' },
] as const) {
  test(`answers: ${name}`, async () => {
    const waiting = api.call('POST', `/api/rpc/${kind}/${device}`, { body: { method: 'm', params: {} } });
    const { metadata } = await callInLane();
    for (const answer of answers) api.context.waiting.answerRpc(metadata['requestUUID']!, answer);
    const got = await waiting;
    assert.deepEqual([got.status, got.text], [status, text]);
  });
}

test('nothing took it: 504, on the older path 409, at the time-out', async () => {
  // A time in the past waits for the shortest time that there is.
  const body = { method: 'm', params: {}, expirationTime: 1 };
  const got = await Promise.all([
    api.call('POST', `${PATHS.v2}/oneway/${device}`, { body }),
    api.call('POST', `${PATHS.v1}/twoway/${device}`, { body }),
  ]);
  assert.deepEqual(
    got.map(({ status, text }) => [status, text]),
    [
      [504, ''],
      [409, ''],
    ],
  );
});

for (const [name, path, text, status, message] of [
  ['no JSON', `oneway/`, '{', 400, 'Invalid request body'],
  ['an array', `oneway/`, '[1]', 400, 'Invalid request body'],
  ['no method', `twoway/`, '{"params":{}}', 400, 'Invalid request body: method must not be null'],
  ['a time-out that is none', `oneway/`, '{"method":"m","timeout":"soon"}', 400, 'Invalid request body: timeout is not a whole number'],
  ['a request id that is none', `oneway/`, '{"method":"m","requestUUID":"x"}', 400, 'Invalid UUID string: x'],
  ['nothing', `oneway/`, '', 400, 'Required request body is missing'],
] as const) {
  for (const base of Object.values(PATHS)) {
    test(`refused at ${base}: ${name}`, async () => {
      const answer = await api.call('POST', `${base}/${path}${device}`, { text });
      assert.deepEqual([answer.status, answer.body.message], [status, message]);
    });
  }
}

test('a device that nobody has', async () => {
  const answer = await api.call('POST', '/api/rpc/oneway/784f394c-42b6-435a-983c-b7beff2784f9', { body: { method: 'm', params: {} } });
  assert.deepEqual([answer.status, answer.body.message], [404, "Device with requested id wasn't found!"]);
});

test('a persistent call waits for the device’s next poll', async () => {
  const made = await api.call('POST', `/api/rpc/twoway/${device}`, {
    body: { method: 'later', params: { a: 1 }, persistent: true, additionalInfo: { x: 1 } },
  });
  const id = made.body.rpcId;
  const read = async () => (await api.call('GET', `/api/rpc/persistent/${id}`)).body;
  const { createdTime, tenantId, expirationTime, ...rpc } = await read();
  assert.ok(createdTime && expirationTime > createdTime);
  const deviceId = { entityType: 'DEVICE', id: device };
  const request = {
    id,
    tenantId,
    deviceId,
    oneway: false,
    expirationTime,
    body: { method: 'later', params: '{"a":1}' },
    persisted: true,
    retries: null,
  };
  assert.deepEqual(rpc, { id: { entityType: 'RPC', id }, deviceId, request, response: null, status: 'QUEUED', additionalInfo: { x: 1 } });

  const polled = await api.call('GET', '/api/v1/rpc-1/rpc?timeout=5000', { token: null });
  assert.deepEqual([polled.body.method, polled.body.params], ['later', { a: 1 }]);
  await eventually(async () => (await read()).status === 'DELIVERED', 'DELIVERED');
  await api.call('POST', `/api/v1/rpc-1/rpc/${polled.body.id}`, { token: null, body: { done: true } });
  await eventually(async () => (await read()).status === 'SUCCESSFUL', 'SUCCESSFUL');
  assert.deepEqual((await read()).response, { done: true });

  const list = async (query: string) => (await api.call('GET', `/api/rpc/persistent/device/${device}?pageSize=10&page=0${query}`)).body;
  assert.equal((await list('&rpcStatus=SUCCESSFUL')).totalElements, 1);
  assert.equal((await list('&rpcStatus=QUEUED')).totalElements, 0);
  assert.equal((await list('&rpcStatus=DELETED')).status, 400);
  assert.equal((await api.call('DELETE', `/api/rpc/persistent/${id}`)).status, 200);
  assert.equal((await api.call('GET', `/api/rpc/persistent/${id}`)).status, 404);
});

test('the end of the server ends who waits', async () => {
  const own = await startApi();
  const id = (await own.call('POST', '/api/device?accessToken=w', { body: { name: 'w', type: 'default' } })).body.id.id;
  const waiting = [
    own.call('POST', `/api/rpc/oneway/${id}`, { body: { method: 'm', params: {}, timeout: 60_000 } }),
    own.call('POST', `/api/rule-engine/DEVICE/${id}/60000`, { body: {} }),
    own.call('GET', '/api/v1/w/rpc?timeout=60000', { token: null }),
  ];
  await eventually(() => own.context.backend.queue.depth().messages >= 3, 'two wait');
  const begin = Date.now();
  await own.close();
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ status }) => status),
    [504, 408, 408],
  );
  assert.ok(Date.now() - begin < 4000);
});
