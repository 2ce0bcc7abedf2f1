import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';
import { takeMessages } from '#test/support/lane.ts';
import { eventually } from '#test/support/wait.ts';

const TOKEN = 'th-1-token';
let api: Api;
let device: string;
const active: string[] = [];

before(async () => {
  api = await startApi();
  Object.assign(api.context.control.devices, { activity: (_tenantId: string, id: string) => active.push(id) });
  device = (await api.call('POST', `/api/device?accessToken=${TOKEN}`, { body: { name: 'th-1', type: 'default' } })).body.id.id;
  await takeMessages(api.context.backend, device);
});
after(() => api.close());

const said = (method: string, path: string, text?: string, type = 'application/json') =>
  api.call(method, `/api/v1/${TOKEN}/${path}`, { token: null, text, type });
const said2 = (method: string, path: string) => api.call(method, `/api/v1/${TOKEN}/${path}`, { token: null });

for (const { name, path = 'telemetry', text, type, want } of [
  { name: 'a flat object', text: '{"t":1.50,"whole":3}', want: [['POST_TELEMETRY_REQUEST', '{"t":1.5,"whole":3}', 'now']] },
  { name: 'with its time', text: '{"ts":1700000000000,"values":{"h":1}}', want: [['POST_TELEMETRY_REQUEST', '{"h":1}', '1700000000000']] },
  {
    name: 'several times',
    text: '[{"ts":1,"values":{"h":1}},{"ts":2,"values":{"h":2}}]',
    want: [
      ['POST_TELEMETRY_REQUEST', '{"h":1}', '1'],
      ['POST_TELEMETRY_REQUEST', '{"h":2}', '2'],
    ],
  },
  { name: 'as plain text', text: '{"t":1}', type: 'text/plain', want: [['POST_TELEMETRY_REQUEST', '{"t":1}', 'now']] },
  { name: 'of an unknown content type', text: '{"t":1}', type: 'application/x-whatever', want: [['POST_TELEMETRY_REQUEST', '{"t":1}', 'now']] },
  { name: 'nulls are left out', text: '{"t":1,"n":null}', want: [['POST_TELEMETRY_REQUEST', '{"t":1}', 'now']] },
  { name: 'nothing to say', text: '{}', want: [] },
  { name: 'attributes', path: 'attributes', text: '{"fw":"1.2.3","n":5}', want: [['POST_ATTRIBUTES_REQUEST', '{"fw":"1.2.3","n":5}', null]] },
] as { name: string; path?: string; text: string; type?: string; want: [string, string, string | null][] }[]) {
  test(`from the device: ${name}`, async () => {
    const before = Date.now();
    const answer = await said('POST', path, text, type);
    assert.deepEqual([answer.status, answer.text], [200, '']);
    const messages = await takeMessages(api.context.backend, device);
    assert.deepEqual(
      messages.map(({ type, data, metadata: { ts = null } }) => [type, data, ts === null || Number(ts) < before ? ts : 'now']),
      want,
    );
    for (const { metadata, owner, tenantId } of messages) {
      assert.deepEqual([metadata['deviceName'], metadata['deviceType'], metadata['userId']], ['th-1', 'default', undefined]);
      assert.equal(owner, tenantId, 'no integration: the tenant’s ledger');
    }
    assert.ok(active.includes(device));
  });
}

for (const { name, method = 'POST', path, text, status } of [
  { name: 'broken JSON', path: 'telemetry', text: '{"a":', status: 400 },
  { name: 'a number', path: 'telemetry', text: '5', status: 400 },
  { name: 'an empty list', path: 'telemetry', text: '[]', status: 400 },
  { name: 'a time that is none', path: 'telemetry', text: '{"ts":"x","values":{"a":1}}', status: 400 },
  { name: 'attributes in a list', path: 'attributes', text: '[{"a":1}]', status: 400 },
  { name: 'a call without a method', path: 'rpc', text: '{"params":{}}', status: 400 },
  { name: 'a request id that is none', path: 'rpc/x', text: '{}', status: 400 },
  { name: 'an unknown path', method: 'GET', path: 'nothing', status: 404 },
  { name: 'another verb', method: 'GET', path: 'telemetry', status: 405 },
] as { name: string; method?: string; path: string; text?: string; status: number }[]) {
  test(`from the device, refused: ${name}`, async () => {
    const answer = await said(method, path, text);
    assert.deepEqual([answer.status, answer.body.status], [status, status]);
    assert.deepEqual(await takeMessages(api.context.backend, device), []);
  });
}

for (const [method, path] of [
  ['POST', 'telemetry'],
  ['GET', 'attributes'],
  ['GET', 'rpc?timeout=500'],
  ['GET', 'attributes/updates?timeout=500'],
] as const) {
  test(`an unknown token: ${method} ${path}`, async () => {
    const answer = await api.call(method, `/api/v1/nobody/${path}`, { token: null, body: method === 'POST' ? { a: 1 } : undefined });
    assert.deepEqual([answer.status, answer.text], [401, '']);
  });
}

test('a token that was changed is no longer known', async () => {
  const made = await api.call('POST', '/api/device?accessToken=old', { body: { name: 'changing', type: 'default' } });
  const id = made.body.id.id;
  const post = (token: string) => api.call('POST', `/api/v1/${token}/telemetry`, { token: null, body: { a: 1 } });
  assert.equal((await post('old')).status, 200);
  const credentials = await api.call('GET', `/api/device/${id}/credentials`);
  await api.call('POST', '/api/device/credentials', { body: { ...credentials.body, credentialsId: 'new' } });
  assert.deepEqual([(await post('old')).status, (await post('new')).status], [401, 200]);
});

test('its own attributes, by section and key', async () => {
  const base = `/api/plugins/telemetry/DEVICE/${device}/attributes`;
  await api.call('POST', `${base}/SHARED_SCOPE`, { body: { target: 21.5, mode: 'auto' } });
  await api.call('POST', `${base}/SERVER_SCOPE`, { body: { secret: 1 } });
  await takeMessages(api.context.backend, device);
  assert.deepEqual((await said2('GET', 'attributes')).body, { shared: { target: 21.5, mode: 'auto' } });
  assert.deepEqual((await said2('GET', 'attributes?sharedKeys=mode,none')).body, { shared: { mode: 'auto' } });
  assert.deepEqual((await said2('GET', 'attributes?clientKeys=mode')).body, {});
});

test('a long poll gets the change of a shared attribute, or 408', async () => {
  const waiting = said2('GET', 'attributes/updates?timeout=10000');
  let answer: Awaited<typeof waiting> | undefined;
  void waiting.then((got) => (answer = got));
  await eventually(async () => {
    await api.call('POST', `/api/plugins/telemetry/DEVICE/${device}/attributes/SHARED_SCOPE`, { body: { target: 22 } });
    return answer !== undefined;
  }, 'the change');
  assert.deepEqual([answer!.status, answer!.body], [200, { target: 22 }]);
  assert.equal((await said2('GET', 'attributes/updates?timeout=20')).status, 408);
  assert.equal((await said2('GET', 'rpc?timeout=20')).status, 408);
  await takeMessages(api.context.backend, device);
});

test('a two-way call: poll, answer by its id', async () => {
  const poll = said2('GET', 'rpc?timeout=10000');
  let called = api.context.waiting.callDevice({
    requestUUID: 'r',
    deviceId: device,
    method: 'getRelay',
    params: '{"pin":1}',
    oneway: false,
    expiresAt: Date.now() + 10_000,
  });
  await eventually(async () => {
    const early = await Promise.race([called, Promise.resolve(null)]);
    if (early && !early.ok)
      called = api.context.waiting.callDevice({
        requestUUID: 'r',
        deviceId: device,
        method: 'getRelay',
        params: '{"pin":1}',
        oneway: false,
        expiresAt: Date.now() + 10_000,
      });
    return !early;
  }, 'the poll takes the call');
  const request = await poll;
  assert.deepEqual([request.status, request.body.method, request.body.params], [200, 'getRelay', { pin: 1 }]);
  assert.equal((await said('POST', `rpc/${request.body.id}`, '{"on":true}')).status, 200);
  assert.deepEqual(await called, { ok: true, data: '{"on":true}' });
});

test('a call of the device waits for the chain’s reply to its session', async () => {
  const answer = said('POST', 'rpc', '{"method":"getTime","params":{}}');
  let message: Awaited<ReturnType<typeof takeMessages>>[number] | undefined;
  await eventually(async () => {
    [message] = await takeMessages(api.context.backend, device);
    return message !== undefined;
  }, 'the request in the chain');
  assert.deepEqual(
    [message!.type, message!.data, message!.metadata['requestId']],
    ['TO_SERVER_RPC_REQUEST', '{"method":"getTime","params":{}}', '0'],
  );
  api.context.waiting.replyToDevice(message!.metadata['sessionId']!, '0', '{"time":1}');
  const { status, text } = await answer;
  assert.deepEqual([status, text], [200, '{"time":1}']);
});
