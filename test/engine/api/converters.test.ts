import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Work } from '#engine/work.ts';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const decoder = "return {deviceName: 'd', deviceType: 't', telemetry: {first: payload[0]}};";
const save = (body: object) => api.call('POST', '/api/converter', { body });

test('an exported file of 2018 is saved as it is', async () => {
  const { status, body } = await save({
    name: 'old',
    type: 'UPLINK',
    debugMode: true,
    debugAll: true,
    configuration: { decoder, encoder: null },
    additionalInfo: null,
  });
  assert.equal(status, 200);
  const { id, createdTime, tenantId, debugSettings, ...rest } = body;
  assert.ok(id.id && createdTime && tenantId.id && debugSettings.allEnabledUntil > Date.now());
  assert.deepEqual(rest, {
    name: 'old',
    type: 'UPLINK',
    integrationType: null,
    converterVersion: 1,
    edgeTemplate: false,
    debugMode: true,
    configuration: { decoder, encoder: null },
    additionalInfo: null,
    externalId: null,
    version: 1,
  });
  const stored = (await api.call('GET', `/api/converter/${id.id}`)).body;
  assert.deepEqual(stored, body);
  const changed = (await save({ ...stored, name: 'old, changed' })).body;
  assert.deepEqual([changed.name, changed.version], ['old, changed', 2]);
  const stale = await save(stored);
  assert.deepEqual([stale.status, stale.body.errorCode], [409, 35]);
});

for (const { name, body, message } of [
  { name: 'no name', body: { type: 'UPLINK', configuration: {} }, message: 'Converter name should be specified!' },
  { name: 'a name that is taken', body: { name: 'taken', type: 'UPLINK', configuration: {} }, message: 'Converter with such name already exists!' },
  { name: 'no type', body: { name: 'x', configuration: {} }, message: 'Converter type should be UPLINK or DOWNLINK!' },
  { name: 'no configuration', body: { name: 'x', type: 'UPLINK' }, message: 'Converter configuration should be specified!' },
  {
    name: 'a script that is no text',
    body: { name: 'x', type: 'UPLINK', configuration: { decoder: 5 } },
    message: 'Validation error: configuration.decoder is not a text',
  },
  {
    name: 'an unknown language',
    body: { name: 'x', type: 'UPLINK', configuration: { scriptLang: 'LUA' } },
    message: 'Validation error: configuration.scriptLang should be JS or TBEL',
  },
]) {
  test(`refused: ${name}`, async () => {
    await save({ name: 'taken', type: 'UPLINK', configuration: { decoder } });
    const answer = await save(body);
    assert.deepEqual([answer.status, answer.body.errorCode, answer.body.message], [400, 31, message]);
  });
}

for (const [name, configuration, problem] of [
  ['one that compiles', { decoder }, undefined],
  ['one that does not', { decoder: 'return (' }, /SyntaxError/],
  ['one that is too long', { decoder: `return {};${' '.repeat(50_000)}` }, /^The script has 50010 characters, more than 50000$/],
  ['TBEL', { scriptLang: 'TBEL', tbelDecoder: 'return {};' }, undefined],
  ['TBEL that does not compile', { scriptLang: 'TBEL', tbelDecoder: 'return {a: 1;' }, /^unbalanced braces: \{ \(line 1, column 8\)$/],
] as const) {
  test(`a script is kept, and why it can not run is told: ${name}`, async () => {
    const { status, body } = await save({ name, type: 'UPLINK', configuration });
    assert.equal(status, 200);
    if (problem) assert.match(body.problem, problem);
    else assert.equal('problem' in body, false);
    assert.deepEqual((await api.call('GET', `/api/converter/${body.id.id}`)).body.configuration, configuration);
  });
}

test('a converter in use is not deleted, and the refusal says who uses it', async () => {
  const converter = (await save({ name: 'used', type: 'UPLINK', configuration: { decoder } })).body;
  const integration = (
    await api.call('POST', '/api/integration', { body: { name: 'the user', type: 'HTTP', defaultConverterId: converter.id, configuration: {} } })
  ).body;
  const refused = await api.call('DELETE', `/api/converter/${converter.id.id}`);
  assert.deepEqual([refused.status, refused.body.message], [400, "The converter referenced by the integration 'the user' cannot be deleted!"]);
  await api.call('DELETE', `/api/integration/${integration.id.id}`);
  assert.equal((await api.call('DELETE', `/api/converter/${converter.id.id}`)).status, 200);
  assert.equal((await api.call('GET', `/api/converter/${converter.id.id}`)).status, 404);
});

test('lists: pages, by type of integration, by ids', async () => {
  const typed = (await save({ name: 'zz typed', type: 'UPLINK', integrationType: 'SIGFOX', configuration: { decoder } })).body;
  const names = async (query: string) => (await api.call('GET', `/api/converters?${query}`)).body.data.map(({ name }: { name: string }) => name);
  assert.ok((await names('pageSize=100&page=0')).includes('zz typed'));
  assert.ok((await names('pageSize=100&page=0&integrationType=SIGFOX')).includes('zz typed'));
  assert.ok(!(await names('pageSize=100&page=0&integrationType=HTTP')).includes('zz typed'));
  assert.deepEqual(await names('pageSize=1&page=0&sortProperty=name&sortOrder=DESC'), ['zz typed']);
  assert.deepEqual((await api.call('GET', `/api/converters?converterIds=${typed.id.id}`)).body, [typed]);
  assert.equal((await api.call('GET', '/api/converters?pageSize=0&page=0')).status, 400);
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const up = (script: string, fields: object = {}) =>
  api.call('POST', '/api/converter/testUpLink', { body: { metadata: { site: 'A' }, payload: base64('{"a":1}'), decoder: script, ...fields } });
const down = (script: string) =>
  api.call('POST', '/api/converter/testDownLink', {
    body: { metadata: {}, msg: '{"a":1}', msgType: 'X', integrationMetadata: { i: 1 }, encoder: script },
  });

test('testUpLink: the result as JSON text', async () => {
  const { status, body } = await up("return {deviceName: metadata.site, deviceType: 't', telemetry: {first: payload[0], n: payload.length}};");
  assert.deepEqual([status, body], [200, { output: '{"deviceName":"A","deviceType":"t","telemetry":{"first":123,"n":7}}', error: '' }]);
  assert.deepEqual((await up('return [];')).body, { output: '[]', error: '' });
});

for (const [name, script, error] of [
  ['throws', "throw new Error('no');", /no/],
  ['throws what never ends', 'throw {get message() { while (true) {} }};', /./],
  ['loops', 'while (true) {}', /timed out/],
  ['loops in a getter', 'return {get a() { while (true) {} }};', /./],
  ['loops in toJSON', 'return {toJSON() { while (true) {} }};', /./],
  ['loops in a proxy', 'return new Proxy({}, {ownKeys() { while (true) {} }});', /./],
  ['eats memory', 'let a = []; while (true) a.push(new Array(1e6).fill(1));', /./],
  ['returns 50 MB', "return 'x'.repeat(5e7);", /./],
  ['never settles', 'return new Promise(() => {});', /./],
  ['recurses', 'function f() { f(); } f();', /./],
  ['names no device', 'return {telemetry: {a: 1}};', /^Either 'deviceName' or 'assetName' must be specified$/],
  ['does not compile', 'return (', /SyntaxError/],
] as const) {
  test(`testUpLink says what went wrong, in time: ${name}`, async () => {
    const begin = Date.now();
    const { status, body } = await up(script);
    assert.equal(status, 200);
    assert.match(body.error, error);
    assert.ok(Date.now() - begin < 6000);
  });
}

test('testDownLink: the result in both forms', async () => {
  const { body } = await down("return {contentType: 'BINARY', data: btoa('ab'), metadata: {topic: 'x/' + msg.a + integrationMetadata.i}};");
  const first = { contentType: 'BINARY', data: 'YWI=', metadata: { topic: 'x/11' } };
  assert.deepEqual(body, { ...first, output: JSON.stringify(first), error: '' });
  assert.deepEqual((await down("return {data: 'x'};")).body.error, "'contentType' is missing or not one of JSON, TEXT, BINARY");
});

test('a test without its script or with a payload that is none is refused', async () => {
  assert.equal((await up(decoder, { payload: 'no base64!' })).status, 400);
  assert.equal((await api.call('POST', '/api/converter/testUpLink', { body: { payload: '' } })).status, 400);
  assert.equal((await api.call('POST', '/api/converter/testDownLink', { body: { msg: '{}' } })).status, 400);
});

test('debugIn: a sample, then what came in last', async () => {
  const converter = (await save({ name: 'debugged', type: 'UPLINK', configuration: { decoder } })).body;
  const read = async () => (await api.call('GET', `/api/converter/${converter.id.id}/debugIn`)).body;
  assert.equal((await read()).inContentType, 'JSON');
  const work = new Work();
  const body = {
    server: 'test',
    type: 'Uplink',
    in: 'aGk=',
    inMessageType: 'BINARY',
    out: '',
    outMessageType: 'JSON',
    metadata: '{"topic":"t"}',
    error: 'no',
  };
  work.events.push({
    id: converter.id.id,
    tenantId: converter.tenantId.id,
    entity: converter.id,
    type: 'DEBUG_CONVERTER',
    createdTime: Date.now(),
    body,
  });
  await api.context.backend.commit(work);
  assert.deepEqual(await read(), { inContentType: 'BINARY', inContent: 'aGk=', inMetadata: '{"topic":"t"}' });
});
