import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { IntegrationStatus } from '#engine/control.ts';
import { NotConnected } from '#engine/errors.ts';
import { Work } from '#engine/work.ts';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
let uplink: { id: { id: string } };
let downlink: { id: { id: string } };

before(async () => {
  api = await startApi();
  uplink = (await api.call('POST', '/api/converter', { body: { name: 'up', type: 'UPLINK', configuration: { decoder: 'return [];' } } })).body;
  downlink = (await api.call('POST', '/api/converter', { body: { name: 'down', type: 'DOWNLINK', configuration: { encoder: 'return [];' } } })).body;
});
after(() => api.close());

const save = (body: object) => api.call('POST', '/api/integration', { body });
const mqtt = (fields: object = {}, client: object = {}) => ({
  name: 'plant',
  type: 'MQTT',
  defaultConverterId: uplink.id,
  downlinkConverterId: downlink.id,
  configuration: {
    clientConfiguration: { host: '127.0.0.1', port: 1, credentials: { type: 'basic', username: 'u', password: 'geheim' }, ...client },
    topicFilters: [{ filter: 'a/+', qos: 1 }],
    downlinkTopicPattern: '${topic}',
    metadata: { site: 'A' },
  },
  ...fields,
});

test('what is left out is made, and the password is neither shown nor readable in the store', async () => {
  const { status, body } = await save(mqtt());
  assert.equal(status, 200);
  assert.match(body.routingKey, /^[0-9a-f-]{36}$/);
  assert.match(body.secret, /^[A-Za-z0-9]{20}$/);
  assert.deepEqual(body.configuration.clientConfiguration.credentials, { type: 'basic', username: 'u' });
  assert.deepEqual([body.enabled, body.remote, body.allowCreateDevicesOrAssets, body.version], [true, false, true, 1]);
  const { host, cleanSession, clientId, protocolVersion } = body.configuration.clientConfiguration;
  assert.deepEqual([host, cleanSession, clientId, protocolVersion], ['127.0.0.1', false, `fb-${body.id.id}`, 'MQTT_3_1_1']);
  const stored = await api.context.backend.store.doc('INTEGRATION', body.tenantId.id, body.id.id);
  assert.ok(!JSON.stringify(stored).includes('geheim') && !JSON.stringify(stored).includes(body.secret));

  const changed = await save({ ...body, name: 'plant 2' });
  assert.equal(changed.status, 200, 'what was read can be sent back: a secret that is not there stays');
  const { password } = (await openedCredentials(body)) as { password: string };
  assert.equal(password, 'geheim');
  const stale = await save({ ...body, name: 'plant 3' });
  assert.deepEqual([stale.status, stale.body.errorCode], [409, 35]);
});

async function openedCredentials({ id, tenantId }: { id: { id: string }; tenantId: { id: string } }): Promise<unknown> {
  const stored = await api.context.backend.store.doc('INTEGRATION', tenantId.id, id.id);
  const opened = api.context.secrets.openConfig(api.context.integrations.get('MQTT')!.config, stored!.body['configuration']);
  return (opened as { clientConfiguration: { credentials: unknown } }).clientConfiguration.credentials;
}

for (const { name, body, message } of [
  { name: 'no name', body: () => mqtt({ name: ' ' }), message: /^Integration name should be specified!$/ },
  {
    name: 'a type that is not there yet',
    body: () => mqtt({ type: 'KAFKA' }),
    message: /^Integration type KAFKA is not available yet\. Available: HTTP, MQTT, SIGFOX$/,
  },
  { name: 'a type that nobody knows', body: () => mqtt({ type: 'PIGEON' }), message: /^Integration type should be one of HTTP, MQTT, SIGFOX$/ },
  { name: 'no converter', body: () => mqtt({ defaultConverterId: null }), message: /^Integration default converter should be specified!$/ },
  {
    name: 'a converter that is not there',
    body: () => mqtt({ defaultConverterId: { entityType: 'CONVERTER', id: '784f394c-42b6-435a-983c-b7beff2784f9' } }),
    message: /non-existent converter/,
  },
  {
    name: 'a converter of the other kind',
    body: () => mqtt({ defaultConverterId: downlink.id }),
    message: /^Converter 'down' is of type DOWNLINK, defaultConverterId needs UPLINK$/,
  },
  { name: 'a configuration that does not fit', body: () => mqtt({}, { port: 'x' }), message: /clientConfiguration\.port/ },
  {
    name: 'metadata that is not flat',
    body: () => mqtt({ configuration: { metadata: { a: {} } } }),
    message: /configuration\.metadata is not a map of texts/,
  },
  { name: 'a routing key with a slash', body: () => mqtt({ routingKey: 'a/b' }), message: /routingKey/ },
  { name: 'enabled that is neither', body: () => mqtt({ enabled: 'yes' }), message: /^Validation error: enabled is not true or false$/ },
]) {
  test(`refused: ${name}`, async () => {
    const answer = await save(body());
    assert.deepEqual([answer.status, answer.body.errorCode], [400, 31]);
    assert.match(answer.body.message, message);
  });
}

test('a routing key belongs to one integration, the type stays', async () => {
  const http = { name: 'h', type: 'HTTP', defaultConverterId: uplink.id, configuration: {}, routingKey: 'key-1' };
  const first = (await save(http)).body;
  assert.equal((await save(http)).body.message, 'Integration with such routing key already exists!');
  assert.equal(first.configuration.httpEndpoint, 'http://127.0.0.1:8080/api/v1/integrations/http/key-1');
  assert.equal((await api.call('GET', '/api/integration/routingKey/key-1')).body.id.id, first.id.id);
  assert.equal((await api.call('GET', '/api/integration/routingKey/none')).status, 404);
  assert.equal((await save({ ...first, type: 'SIGFOX' })).body.message, 'Integration type can not be changed!');
});

test('unknown keys are kept and told, the state is that of the actors', async () => {
  const { body } = await save(mqtt({ name: 'odd' }, { foo: 1 }));
  assert.equal(body.configuration.clientConfiguration.foo, 1);
  const read = async () => (await api.call('GET', `/api/integration/${body.id.id}/status`)).body;
  const unknown = 'configuration.clientConfiguration.foo is not used by this type';
  const { since, ...pending } = await read();
  assert.ok(since > 0);
  assert.deepEqual(pending, { state: 'connecting', reason: null, warnings: [unknown], nextAttemptAt: null, lastUplinkAt: null });

  const status: IntegrationStatus = {
    state: 'backing-off',
    reason: 'Connection refused',
    since: 5,
    warnings: ['w'],
    nextAttemptAt: 9,
    lastUplinkAt: 4,
  };
  Object.assign(api.context.control.integrations, {
    status: (id: string) => (id === body.id.id ? status : null),
    statistics: () => [...Array(23).fill(0), 7],
  });
  assert.deepEqual(await read(), { ...status, warnings: ['w', unknown] });
  const infos = (await api.call('GET', '/api/integrationInfos?pageSize=10&page=0&textSearch=odd')).body.data;
  const { id, createdTime, tenantId, debugSettings, additionalInfo, defaultConverterId, downlinkConverterId, externalId, ...info } = infos[0];
  assert.ok(
    id && createdTime && tenantId && debugSettings && defaultConverterId && downlinkConverterId && additionalInfo === null && externalId === null,
  );
  assert.deepEqual(info, {
    name: 'odd',
    type: 'MQTT',
    enabled: true,
    remote: false,
    allowCreateDevicesOrAssets: true,
    edgeTemplate: false,
    debugMode: false,
    version: 1,
    status: { success: false, serviceId: 'test', error: 'Connection refused' },
    stats: [...Array(23).fill(0), 7],
  });
});

test('check: the cause of the failure with 400, nothing is kept; a DELETE is answered', async () => {
  const seen: Record<string, unknown>[] = [];
  Object.assign(api.context.control.integrations, {
    check: async (integration: Record<string, unknown>) => {
      seen.push(integration);
      throw new NotConnected('127.0.0.1:1');
    },
  });
  const before = (await api.call('GET', '/api/integrations?pageSize=100&page=0')).body.totalElements;
  const refused = await api.call('POST', '/api/integration/check', { body: mqtt() });
  assert.deepEqual([refused.status, refused.body.errorCode, refused.body.message], [400, 31, 'Not connected to 127.0.0.1:1']);
  assert.equal(
    (seen[0] as { configuration: { clientConfiguration: { credentials: { password: string } } } }).configuration.clientConfiguration.credentials
      .password,
    'geheim',
  );
  Object.assign(api.context.control.integrations, { check: async () => {} });
  const fine = await api.call('POST', '/api/integration/check', { body: mqtt() });
  assert.deepEqual([fine.status, fine.text], [200, '']);
  assert.equal((await api.call('DELETE', '/api/integration/check')).status, 200);
  assert.equal((await api.call('GET', '/api/integrations?pageSize=100&page=0')).body.totalElements, before);
});

test('a deleted one is gone with its events', async () => {
  const { body } = await save(mqtt({ name: 'short' }));
  const { id, tenantId } = body;
  const work = new Work();
  work.events.push({
    id: id.id,
    tenantId: tenantId.id,
    entity: id,
    type: 'LC_EVENT',
    createdTime: Date.now(),
    body: { event: 'STARTED', success: true },
  });
  await api.context.backend.commit(work);
  assert.equal((await api.call('DELETE', `/api/integration/${id.id}`)).status, 200);
  assert.equal((await api.call('GET', `/api/integration/${id.id}`)).status, 404);
  assert.deepEqual((await api.context.backend.store.events(tenantId.id, id, { type: 'LC_EVENT' })).data, []);
});
