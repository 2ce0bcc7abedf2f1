import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { connectAsync, type MqttClient } from 'mqtt';
import { createIntegrations, type Integrations } from '#actors/integrations.ts';
import { newDoc } from '#engine/entities.ts';
import { newId } from '#engine/id.ts';
import { Registry } from '#engine/registry.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import type { ScriptEngine } from '#engine/script.ts';
import type { Secrets } from '#engine/secrets.ts';
import { openSecrets } from '#engine/secrets-aes.ts';
import type { Doc } from '#engine/store.ts';
import { integrations as types } from '#integrations/index.ts';
import { request } from '#test/contract/integration.ts';
import { type AedesBroker, startAedes } from '#test/support/aedes.ts';
import { commit, downlink, message, type Running, sqlite } from '#test/support/backend.ts';
import { TENANT } from '#test/support/message.ts';
import { eventually, within } from '#test/support/wait.ts';

let running: Running & { readonly folder: string };
let scripts: ScriptEngine;
let secrets: Secrets;
let broker: AedesBroker;
let client: MqttClient;
let control: Integrations;
const errors: string[] = [];

beforeEach(async () => {
  running = await sqlite.start();
  scripts = openScriptEngine();
  secrets = await openSecrets({ folder: running.folder });
  broker = await startAedes();
  client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { reconnectPeriod: 20 });
  client.on('error', () => {}); // While the broker is away.
  errors.length = 0;
  control = createIntegrations({
    backend: running.backend,
    scripts,
    types: new Registry(types),
    secrets,
    devices: { activity: () => {} },
    server: 'test',
    now: Date.now,
    log: { error: (fields, text) => errors.push(`${text} ${String((fields as { err?: unknown }).err)}`) },
  });
});
afterEach(async () => {
  await control.stop();
  await client.endAsync(true);
  await broker.close();
  await scripts.close();
  await running.stop();
  assert.deepEqual(errors, []);
});

const DECODER = "return { deviceName: 'D', deviceType: 't', telemetry: { text: String.fromCharCode.apply(String, payload) } };";
const ENCODER = "return { contentType: 'TEXT', data: String(msg.n), metadata: { topic: 'down/' + metadata.deviceName } };";

const converter = (kind: 'UPLINK' | 'DOWNLINK', body: string): Doc =>
  newDoc(
    {
      collection: 'CONVERTER',
      tenantId: TENANT,
      name: kind,
      kind,
      body: { configuration: kind === 'UPLINK' ? { decoder: body } : { encoder: body } },
    },
    Date.now(),
  );

/** Saved as the API does. */
async function save(...docs: Doc[]): Promise<void> {
  await commit(running.backend, (work) => work.docs.push(...docs.map((doc) => ({ doc }))));
}

const mqttConfig = (fields: Record<string, unknown> = {}) => ({
  clientConfiguration: { host: '127.0.0.1', port: broker.port, clientId: 'fb', ...fields },
  topicFilters: [{ filter: 'up/#', qos: 1 }],
});

function integration(
  uplink: Doc,
  fields: { type?: string; body?: Record<string, unknown>; configuration?: Record<string, unknown>; downlink?: Doc } = {},
): Doc {
  const { type = 'MQTT', body = {}, configuration = mqttConfig(), downlink: down } = fields;
  const routingKey = newId();
  return newDoc(
    {
      collection: 'INTEGRATION',
      tenantId: TENANT,
      name: 'Plant',
      kind: type,
      uniqueKey: routingKey,
      body: {
        enabled: true,
        allowCreateDevicesOrAssets: true,
        routingKey,
        defaultConverterId: { entityType: 'CONVERTER', id: uplink.id },
        downlinkConverterId: down ? { entityType: 'CONVERTER', id: down.id } : null,
        configuration,
        ...body,
      },
    },
    Date.now(),
  );
}

const edited = (doc: Doc, body: Record<string, unknown>): Doc => ({ ...doc, body: { ...doc.body, ...body } });
const state = ({ id }: Doc) => control.status(id)?.state ?? null;
const becomes = (doc: Doc, wanted: string | null) =>
  eventually(() => state(doc) === wanted, `${wanted}, but it is ${JSON.stringify(control.status(doc.id))}`);
const received = async ({ id }: Doc) => (await running.backend.store.ledger(TENANT, id)).uplinks.received;
const lifecycle = async ({ id }: Doc) =>
  (await running.backend.store.events(TENANT, { entityType: 'INTEGRATION', id }, { type: 'LC_EVENT', order: 'ASC' })).data.map(({ body }) =>
    body['success'] === true ? body['event'] : `${body['event']} failed`,
  );

async function started(fields: Parameters<typeof integration>[1] = {}): Promise<{ doc: Doc; up: Doc }> {
  const up = converter('UPLINK', DECODER);
  const doc = integration(up, fields);
  await save(up, ...(fields.downlink ? [fields.downlink] : []), doc);
  await control.start();
  return { doc, up };
}

test('integrations: those of the store run, and what they take is stored', async () => {
  const { doc } = await started();
  await becomes(doc, 'active');
  await client.publishAsync('up/1', 'one', { qos: 1 });
  await eventually(async () => (await received(doc)) === 1, 'the uplink');
  assert.ok(await running.backend.store.docByName('DEVICE', TENANT, 'D'));
  await eventually(() => control.status(doc.id)!.lastUplinkAt !== null, 'the time of the uplink');
});

test('integrations: a saved converter is used from then on, without a new connection', async () => {
  const { doc, up } = await started();
  await becomes(doc, 'active');
  const { since } = control.status(doc.id)!;
  await save(edited(up, { configuration: { decoder: "return { deviceName: 'E', deviceType: 't' };" } }));
  await eventually(async () => {
    await client.publishAsync('up/1', 'one', { qos: 1 });
    return (await running.backend.store.docByName('DEVICE', TENANT, 'E')) !== null;
  }, 'the new converter');
  assert.equal(control.status(doc.id)!.since, since);
});

test('integrations: saved, disabled, enabled, deleted', async () => {
  const { doc } = await started();
  await becomes(doc, 'active');
  const first = control.status(doc.id)!.since;
  await save(doc);
  await eventually(() => state(doc) === 'active' && control.status(doc.id)!.since > first, 'the new connection');
  await save(edited(doc, { enabled: false }));
  await becomes(doc, 'disabled');
  await save(doc);
  await becomes(doc, 'active');
  await commit(running.backend, (work) => work.docs.push({ remove: { collection: 'INTEGRATION', tenantId: TENANT, id: doc.id } }));
  await becomes(doc, null);
  // Its last event is stored beside its end.
  await eventually(async () => (await lifecycle(doc)).length === 5, 'the events');
  assert.deepEqual(await lifecycle(doc), ['STARTED', 'UPDATED', 'STOPPED', 'STARTED', 'STOPPED']);
});

test('integrations: a broker that is away is told at once, and nothing is lost', async () => {
  const { doc } = await started();
  await becomes(doc, 'active');
  await broker.stop();
  await becomes(doc, 'backing-off');
  assert.match(control.status(doc.id)!.reason!, /^Not connected to 127\.0\.0\.1:/);
  await broker.start();
  await becomes(doc, 'active');
  await client.publishAsync('up/1', 'after', { qos: 1 });
  await eventually(async () => (await received(doc)) === 1, 'the uplink');
  await eventually(async () => (await lifecycle(doc)).length === 3, 'the events');
  assert.deepEqual(await lifecycle(doc), ['STARTED', 'FAILED failed', 'ACTIVATED']);
});

for (const { name, fields, reason } of [
  { name: 'a configuration that does not fit', fields: { configuration: { clientConfiguration: { port: 1 }, topicFilters: [] } }, reason: /host/ },
  { name: 'an unknown type', fields: { type: 'TELEX' }, reason: /The integration type TELEX is not available/ },
  {
    name: 'a secret that was never sealed',
    fields: {
      configuration: {
        clientConfiguration: { host: 'b', credentials: { type: 'basic', username: 'u', password: 'p' } },
        topicFilters: [{ filter: 'a', qos: 0 }],
      },
    },
    reason: /not sealed/,
  },
]) {
  test(`integrations: ${name} rests in failed, with the reason`, async () => {
    const { doc } = await started(fields);
    await becomes(doc, 'failed');
    assert.match(control.status(doc.id)!.reason!, reason);
    assert.match(control.downlinkTarget(TENANT, doc.id)!.problem!, reason);
  });
}

test('integrations: an edit ends failed', async () => {
  const { doc } = await started({ configuration: { topicFilters: [] } });
  await becomes(doc, 'failed');
  await save(edited(doc, { configuration: mqttConfig() }));
  await becomes(doc, 'active');
});

test('integrations: sealed credentials are opened for the one who connects', async () => {
  const seen: string[] = [];
  broker.aedes.authenticate = (_client, username, password, done) => {
    seen.push(`${username}/${password}`);
    done(null, true);
  };
  const configuration = secrets.sealConfig(
    types.find(({ type }) => type === 'MQTT')!.config,
    mqttConfig({ credentials: { type: 'basic', username: 'u', password: 'p' } }),
  );
  const { doc } = await started({ configuration: configuration as Record<string, unknown> });
  await becomes(doc, 'active');
  assert.deepEqual(seen, ['u/p']);
});

test('integrations: downlinks go out when the connection is there', async () => {
  const down = converter('DOWNLINK', ENCODER);
  const { doc } = await started({ downlink: down });
  await becomes(doc, 'active');
  const got = Promise.withResolvers<string>();
  client.on('message', (topic, payload) => got.resolve(`${topic} ${payload}`));
  await client.subscribeAsync('down/#', { qos: 1 });
  await broker.stop();
  await becomes(doc, 'backing-off');
  const entity = { entityType: 'DEVICE', id: newId() } as const;
  const one = downlink({
    tenantId: TENANT,
    integrationId: doc.id,
    entity,
    delivery: 'now',
    policy: 'fifo',
    message: message(TENANT, entity, '{"n":7}', { metadata: { deviceName: 'D' } }),
  });
  await commit(running.backend, (work) => work.downlinks.push(one));
  await broker.start();
  assert.equal(await within(got.promise, 'the downlink', 8000), 'down/D 7');
  await eventually(async () => (await running.backend.store.downlink(TENANT, one.id))!.state === 'DELIVERED', 'DELIVERED');
});

test('integrations: inbound requests by routing key and type', async () => {
  const { doc } = await started({ type: 'HTTP', configuration: {} });
  await becomes(doc, 'active');
  const call = async (type: string, key: string) => (await control.inbound(type, key, request({ body: Buffer.from('x') }))).status;
  assert.deepEqual([await call('http', doc.uniqueKey!), await call('sigfox', doc.uniqueKey!), await call('http', 'unknown')], [204, 404, 404]);
  await save(edited(doc, { enabled: false }));
  await becomes(doc, 'disabled');
  assert.equal(await call('http', doc.uniqueKey!), 503);
});

test('integrations: when the process stops, a sender is told to come again, not that there is nothing', async () => {
  const { doc } = await started({ type: 'HTTP', configuration: {} });
  await becomes(doc, 'active');
  const call = () => control.inbound('http', doc.uniqueKey!, request({ body: Buffer.from('x') }));
  const stopping = control.stop();
  const during = await call();
  await stopping;
  for (const { status, headers } of [during, await call()]) assert.deepEqual([status, headers?.['retry-after']], [503, '1']);
});

test('integrations: a new routing key replaces the old one', async () => {
  const { doc } = await started({ type: 'HTTP', configuration: {} });
  await save({ ...doc, uniqueKey: 'new-key', body: { ...doc.body, routingKey: 'new-key' } });
  const call = async (key: string) => (await control.inbound('http', key, request({ body: Buffer.from('x') }))).status;
  await eventually(async () => (await call('new-key')) === 204, 'the new key');
  assert.equal(await call(doc.uniqueKey!), 404);
});

test('integrations: a dead letter goes through conversion again', async () => {
  const { doc, up } = await started();
  await becomes(doc, 'active');
  await save(edited(up, { configuration: { decoder: "throw 'no'" } }));
  const letters = async () => (await running.backend.store.deadLetters(TENANT, doc.id, 0, 100)).data;
  await eventually(async () => {
    await client.publishAsync('up/1', 'one', { qos: 1 });
    return (await letters()).length > 0;
  }, 'a dead letter');
  await save(edited(up, { configuration: { decoder: DECODER } }));
  await eventually(async () => {
    for (const { id } of await letters()) await control.requeueUplink(id, TENANT);
    return (await letters()).length === 0;
  }, 'the conversion');
  const { uplinks } = await running.backend.store.ledger(TENANT, doc.id);
  assert.deepEqual([uplinks.received, uplinks.dead], [uplinks.converted, 0]);
  await assert.rejects(control.requeueUplink(newId(), TENANT), { code: 'not-found' });
});

for (const { name, fields, rule } of [
  { name: 'MQTT', fields: {}, rule: { delivery: 'now', policy: 'fifo', ttlMs: 86_400_000, problem: null } },
  { name: 'HTTP', fields: { type: 'HTTP', configuration: {} }, rule: { delivery: 'pending', policy: 'last', ttlMs: 86_400_000, problem: null } },
  {
    name: 'HTTP with rules of its own',
    fields: { type: 'HTTP', configuration: { downlinkPolicy: 'fifo', downlinkTtlMinutes: 5 } },
    rule: { delivery: 'pending', policy: 'fifo', ttlMs: 300_000, problem: null },
  },
  {
    name: 'disabled',
    fields: { body: { enabled: false } },
    rule: { delivery: 'now', policy: 'fifo', ttlMs: 86_400_000, problem: 'The integration is disabled' },
  },
  {
    name: 'remote',
    fields: { body: { remote: true } },
    rule: { delivery: 'now', policy: 'fifo', ttlMs: 86_400_000, problem: 'Runs in a remote process' },
  },
]) {
  test(`integrations: how downlinks leave, ${name}`, async () => {
    const { doc } = await started(fields);
    assert.deepEqual(control.downlinkTarget(TENANT, doc.id), rule);
    assert.equal(control.downlinkTarget(newId(), doc.id), null);
  });
}

test('integrations: a check connects, and leaves the running session alone', async () => {
  const { doc } = await started();
  await becomes(doc, 'active');
  const { since } = control.status(doc.id)!;
  const body = { id: { entityType: 'INTEGRATION', id: doc.id }, type: 'MQTT', name: 'Plant', configuration: mqttConfig() };
  await control.check(body, TENANT);
  assert.equal(control.status(doc.id)!.since, since);
  await broker.stop();
  await assert.rejects(control.check(body, TENANT), { code: 'not-connected' });
  await assert.rejects(control.check({ ...body, configuration: {} }, TENANT), { code: 'config' });
  await assert.rejects(control.check({ ...body, remote: true }, TENANT), { code: 'config' });
});

test('integrations: a clean session is a warning', async () => {
  const { doc } = await started({ configuration: mqttConfig({ cleanSession: true }) });
  await becomes(doc, 'active');
  assert.deepEqual(control.status(doc.id)!.warnings, ['messages during an outage are lost']);
});
