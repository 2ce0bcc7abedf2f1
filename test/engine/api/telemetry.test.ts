import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AttributeChange } from '#engine/control.ts';
import { type Api, startApi } from '#test/support/api.ts';
import { takeMessages } from '#test/support/lane.ts';

const BASE = '/api/plugins/telemetry';
let api: Api;
let device: string;

before(async () => {
  api = await startApi();
  device = (await api.call('POST', '/api/device', { body: { name: 'th-1', type: 'default' } })).body.id.id;
  await takeMessages(api.context.backend, device);
});
after(() => api.close());

const values = async (scope: string, keys = ''): Promise<Record<string, unknown>> =>
  Object.fromEntries(
    (await api.call('GET', `${BASE}/DEVICE/${device}/values/attributes/${scope}?keys=${keys}`)).body.map((one: { key: string; value: unknown }) => [
      one.key,
      one.value,
    ]),
  );

test('attributes: saved with what their text says, the chain is told in the same commit', async () => {
  const text = '{"whole":1,"half":1.5,"dotted":1.0,"big":9007199254740993,"cast":"5","plain":"x","yes":true,"json":{"a":[1]}}';
  const saved = await api.call('POST', `${BASE}/DEVICE/${device}/attributes/SERVER_SCOPE`, { text, type: 'text/plain' });
  assert.deepEqual([saved.status, saved.text], [200, '']);
  const { text: raw } = await api.call('GET', `${BASE}/DEVICE/${device}/values/attributes/SERVER_SCOPE?keys=dotted,big`);
  assert.match(raw, /"key":"dotted","value":1\.0\}/);
  assert.match(raw, /"key":"big","value":9007199254740993\}/);
  const [message, ...more] = await takeMessages(api.context.backend, device);
  assert.deepEqual(more, []);
  assert.equal(message!.type, 'ATTRIBUTES_UPDATED');
  assert.equal(message!.data, '{"whole":1,"half":1.5,"dotted":1.0,"big":9007199254740993,"cast":5,"plain":"x","yes":true,"json":{"a":[1]}}');
  const { userId, ...metadata } = message!.metadata;
  assert.ok(userId);
  assert.deepEqual(metadata, { scope: 'SERVER_SCOPE', userName: 'tenant@thingsboard.org', userEmail: 'tenant@thingsboard.org' });
  const ledger = await api.call('GET', '/api/ledger');
  assert.equal(ledger.body.messages.created, ledger.body.messages.inFlight + 2, 'the device and the attributes, whose messages this test took');
});

for (const { path, scope } of [
  { path: () => `${BASE}/DEVICE/${device}/SHARED_SCOPE`, scope: 'SHARED_SCOPE' },
  { path: () => `${BASE}/${device}/SERVER_SCOPE`, scope: 'SERVER_SCOPE' },
]) {
  test(`attributes: the older path ending in ${scope} saves too`, async () => {
    assert.equal((await api.call('POST', path(), { body: { older: scope } })).status, 200);
    assert.deepEqual(await values(scope, 'older'), { older: scope });
    assert.equal((await api.call('DELETE', `${path()}?keys=older`)).status, 200);
    assert.deepEqual(await values(scope, 'older'), {});
    await takeMessages(api.context.backend, device);
  });
}

for (const { name, scope = 'SERVER_SCOPE', text, message } of [
  { name: 'client scope', scope: 'CLIENT_SCOPE', text: '{"a":1}', message: 'Invalid scope: CLIENT_SCOPE' },
  { name: 'unknown scope', scope: 'NOPE', text: '{"a":1}', message: 'Invalid scope: NOPE' },
  { name: 'no JSON', text: '{"a":', message: 'Invalid JSON' },
  { name: 'an array', text: '[{"a":1}]', message: 'Request is not a JSON object' },
  { name: 'an empty object', text: '{}', message: 'No attributes data found in request body!' },
  { name: 'a null value', text: '{"ok":1,"a":null}', message: "Can't parse value: null" },
  { name: 'a blank key', text: '{" ":1}', message: 'Key cannot be blank' },
  { name: 'markup in a key', text: '{"<b>":1}', message: 'Validation error: key is malformed' },
  { name: 'a long key', text: `{"${'k'.repeat(256)}":1}`, message: 'Validation error: key length must be equal or less than 255' },
  { name: 'nothing', text: ' ', message: 'Required request body is missing' },
]) {
  test(`attributes refused: ${name}`, async () => {
    const { status, body } = await api.call('POST', `${BASE}/DEVICE/${device}/attributes/${scope}`, { text });
    assert.deepEqual([status, body.errorCode, body.message], [400, 31, message]);
    assert.deepEqual(await takeMessages(api.context.backend, device), [], 'nothing of it was stored');
  });
}

test('a change of shared attributes reaches the device’s session after the commit, one of server attributes does not', async () => {
  const changes: AttributeChange[] = [];
  const end = api.context.waiting.openSession({
    id: 's',
    deviceId: device,
    onRpc: null,
    onReply: null,
    onAttributes: (change) => changes.push(change),
  });
  await api.call('POST', `${BASE}/DEVICE/${device}/attributes/SERVER_SCOPE`, { body: { hidden: 1 } });
  await api.call('POST', `${BASE}/DEVICE/${device}/attributes/SHARED_SCOPE`, { body: { target: 21 } });
  await api.call('DELETE', `${BASE}/DEVICE/${device}/SHARED_SCOPE?keys=target`);
  end();
  assert.deepEqual(changes, [
    { scope: 'SHARED_SCOPE', updated: [['target', { type: 'LONG', value: 21 }]] },
    { scope: 'SHARED_SCOPE', deleted: ['target'] },
  ]);
  const messages = await takeMessages(api.context.backend, device);
  assert.deepEqual(
    messages.map(({ type, data }) => [type, data]),
    [
      ['ATTRIBUTES_UPDATED', '{"hidden":1}'],
      ['ATTRIBUTES_UPDATED', '{"target":21}'],
      ['ATTRIBUTES_DELETED', '{"attributes":["target"]}'],
    ],
  );
});

test('telemetry: written, read as latest, as history and in buckets, removed', async () => {
  const rows = [1000, 2000, 3000, 61_000].map((ts, index) => ({ ts, values: { t: index + 0.5, n: index } }));
  assert.equal((await api.call('POST', `${BASE}/DEVICE/${device}/timeseries/ANY`, { body: rows })).status, 200);
  const [message] = await takeMessages(api.context.backend, device);
  assert.deepEqual([message!.type, JSON.parse(message!.data)], ['TIMESERIES_UPDATED', { timeseries: rows }]);

  const read = async (query: string) => (await api.call('GET', `${BASE}/DEVICE/${device}/values/timeseries${query}`)).body;
  assert.deepEqual((await api.call('GET', `${BASE}/DEVICE/${device}/keys/timeseries`)).body.sort(), ['n', 't']);
  assert.deepEqual(await read('?keys=t'), { t: [{ ts: 61_000, value: '3.5' }] });
  assert.deepEqual(await read('?keys=n&useStrictDataTypes=true'), { n: [{ ts: 61_000, value: 3 }] });
  const missing = await read('?keys=none');
  assert.deepEqual(missing, { none: [{ ts: missing.none[0].ts, value: null }] });
  assert.deepEqual(await read('/history?keys=n&startTs=1000&endTs=3000'), {
    n: [
      { ts: 2000, value: '1' },
      { ts: 1000, value: '0' },
    ],
  });
  assert.deepEqual(await read('?keys=n&startTs=1000&endTs=3001&limit=1&orderBy=ASC'), { n: [{ ts: 1000, value: '0' }] }, 'the path without /history');
  assert.deepEqual(await read('/history?keys=t&startTs=0&endTs=120000&agg=AVG&interval=60000'), {
    t: [
      { ts: 30_000, value: '1.5' },
      { ts: 90_000, value: '3.5' },
    ],
  });
  assert.deepEqual(await read('/history?keys=n&startTs=0&endTs=120000&agg=SUM&intervalType=MONTH&timeZone=Europe/Berlin'), {
    n: [{ ts: 60_000, value: '6' }],
  });

  assert.equal((await api.call('DELETE', `${BASE}/DEVICE/${device}/timeseries/delete?keys=n&startTs=0&endTs=2500`)).status, 200);
  assert.deepEqual(await read('/history?keys=n&startTs=0&endTs=99000&orderBy=ASC'), {
    n: [
      { ts: 3000, value: '2' },
      { ts: 61_000, value: '3' },
    ],
  });
  assert.equal((await api.call('DELETE', `${BASE}/DEVICE/${device}/timeseries/delete?keys=n&deleteAllDataForKeys=true`)).status, 200);
  assert.deepEqual(await read('/history?keys=n&startTs=0&endTs=99000'), {});
  const deleted = await takeMessages(api.context.backend, device);
  assert.deepEqual(
    deleted.map(({ type }) => type),
    ['TIMESERIES_DELETED', 'TIMESERIES_DELETED'],
  );
});

for (const { name, method = 'GET', path, body, message } of [
  { name: 'a limit of 0', path: 'values/timeseries/history?keys=a&startTs=0&endTs=1&limit=0', message: /limit/i },
  { name: 'no end', path: 'values/timeseries/history?keys=a&startTs=0', message: /endTs/ },
  { name: 'a time that is none', path: 'values/timeseries/history?keys=a&startTs=x&endTs=1', message: /startTs/ },
  {
    name: 'too many buckets',
    path: 'values/timeseries/history?keys=a&startTs=0&endTs=99999999&agg=MAX&interval=1000',
    message: /^Number of intervals is to high/,
  },
  { name: 'an unknown aggregation', path: 'values/timeseries/history?keys=a&startTs=0&endTs=1&agg=MEDIAN', message: /agg/ },
  { name: 'an empty write', method: 'POST', path: 'timeseries/ANY', body: {}, message: /^No time series data found in request body!$/ },
  { name: 'a null value', method: 'POST', path: 'timeseries/ANY', body: { a: null }, message: /^Can't parse value: null$/ },
  { name: 'a TTL that is no number', method: 'POST', path: 'timeseries/ANY/soon', body: { a: 1 }, message: /TTL/ },
  { name: 'a removal without range', method: 'DELETE', path: 'timeseries/delete?keys=a', message: /^When deleteAllDataForKeys is false/ },
  { name: 'a removal without keys', method: 'DELETE', path: 'timeseries/delete?deleteAllDataForKeys=true', message: /^Empty keys/ },
]) {
  test(`telemetry refused: ${name}`, async () => {
    const answer = await api.call(method, `${BASE}/DEVICE/${device}/${path}`, { body });
    assert.equal(answer.status, 400);
    assert.match(answer.body.message, message);
  });
}

test('nobody writes attributes of the tenant itself, everybody of it may read them', async () => {
  const { body: me } = await api.call('GET', '/api/auth/user');
  const tenant = `${BASE}/TENANT/${me.tenantId.id}`;
  assert.equal((await api.call('POST', `${tenant}/attributes/SERVER_SCOPE`, { body: { a: 1 } })).status, 403);
  assert.deepEqual((await api.call('GET', `${tenant}/values/attributes`)).body, []);
});
