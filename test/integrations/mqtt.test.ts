import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectAsync, type MqttClient } from 'mqtt';
import { ConfigError, Refused, Rejected } from '#engine/errors.ts';
import type { Connection, RawDownlink } from '#engine/integration.ts';
import { toTopic, toUplink } from '#integrations/mqtt/codec.ts';
import mqtt from '#integrations/mqtt/index.ts';
import { configured, INFO, integrationContract, openWith, type Peer, refusedConfig, takeUplinks } from '#test/contract/integration.ts';
import { type BrokerOptions, freePort, missing, startMosquitto } from '#test/support/servers.ts';
import { within } from '#test/support/wait.ts';

const skip = missing('mosquitto');
const downlink = (metadata: Record<string, string>, data = '{"freq":30}'): RawDownlink => ({
  contentType: 'JSON',
  data: Buffer.from(data),
  metadata,
});

interface MqttPeer extends Peer {
  readonly client: MqttClient;
  readonly port: number;
}

const configOf = (port: number, client: Record<string, unknown> = {}, filters = [{ filter: 'up/#', qos: 1 }]) => ({
  clientConfiguration: { host: '127.0.0.1', port, ...client },
  topicFilters: filters,
});

async function startPeer(client: Record<string, unknown> = {}, options: BrokerOptions = {}): Promise<MqttPeer> {
  const broker = await startMosquitto({ persistent: true, ...options });
  const unused = await freePort();
  const user = await connectAsync(broker.url, { reconnectPeriod: 20, clientId: 'user' });
  user.on('error', () => {}); // While the broker is away.
  const got: { topic: string; payload: string }[] = [];
  const first = Promise.withResolvers<void>();
  user.on('message', (topic, payload) => {
    got.push({ topic, payload: payload.toString() });
    first.resolve();
  });
  await user.subscribeAsync('down/#', { qos: 1 });
  return {
    client: user,
    port: broker.port,
    config: configOf(broker.port, client),
    unreachable: configOf(unused, client),
    downlink: downlink({ topic: 'down/SN-1' }),
    async send(payload) {
      await user.publishAsync('up/SN-1', payload, { qos: 1 });
    },
    async received() {
      await first.promise;
      return got;
    },
    async restart() {
      await broker.stop();
      await broker.start();
      if (!user.connected) await new Promise((resolve) => user.once('connect', resolve));
    },
    async close() {
      await user.endAsync(true);
      await broker.close();
    },
  };
}

integrationContract(mqtt, startPeer, { skip });

async function withPeer(body: (peer: MqttPeer) => Promise<void>, client: Record<string, unknown> = {}, options: BrokerOptions = {}): Promise<void> {
  const peer = await startPeer(client, options);
  try {
    await body(peer);
  } finally {
    await peer.close();
  }
}

for (const protocolVersion of ['MQTT_3_1', 'MQTT_3_1_1', 'MQTT_5']) {
  for (const qos of [0, 1, 2] as const) {
    test(`mqtt: ${protocolVersion} delivers QoS ${qos} once and in order`, { skip }, () =>
      withPeer(
        async ({ config, client }) => {
          const taken = takeUplinks();
          const connection = await openWith(mqtt, { ...config, topicFilters: [{ filter: 'up/#', qos }] }, taken);
          const payloads = Array.from({ length: 40 }, (_, n) => String(n));
          // One by one: Mosquitto 2.0.11 loses QoS 2 messages of a publisher that has more than its window under way.
          for (const payload of payloads) await client.publishAsync('up/a', payload, { qos });
          await taken.count(40);
          await connection.close();
          assert.deepEqual(taken.payloads, payloads);
        },
        { protocolVersion },
      ),
    );
  }
}

test('mqtt: a message that comes while we are away waits at the broker', { skip }, () =>
  withPeer(async ({ config, send }) => {
    const first = takeUplinks();
    await (await openWith(mqtt, config, first)).close();
    await send('meanwhile');
    const taken = takeUplinks();
    const connection = await openWith(mqtt, config, taken);
    await taken.count(1);
    await connection.close();
    assert.deepEqual(taken.payloads, ['meanwhile']);
  }),
);

test('mqtt: a filter that was taken out gives no messages any more', { skip }, () =>
  withPeer(async ({ config, client }) => {
    await (
      await openWith(
        mqtt,
        {
          ...config,
          topicFilters: [
            { filter: 'up/#', qos: 1 },
            { filter: 'old/#', qos: 1 },
          ],
        },
        takeUplinks(),
      )
    ).close();
    const taken = takeUplinks();
    const connection = await openWith(mqtt, config, taken);
    await client.publishAsync('old/a', 'old', { qos: 1 });
    await client.publishAsync('up/a', 'new', { qos: 1 });
    await taken.count(1);
    await connection.close();
    assert.deepEqual(taken.payloads, ['new']);
  }),
);

test('mqtt: says what it got', { skip }, () =>
  withPeer(async ({ config, client }) => {
    await client.publishAsync('up/kept', '{"a":1}', { qos: 1, retain: true });
    const taken = takeUplinks();
    const connection = await openWith(mqtt, config, taken);
    await taken.count(1);
    await client.publishAsync('up/SN-1', Buffer.from([1, 2]), { qos: 1 });
    await taken.count(2);
    await connection.close();
    assert.deepEqual(
      taken.raw.map(({ contentType, metadata }) => ({ contentType, metadata })),
      [
        { contentType: 'JSON', metadata: { topic: 'up/kept', retained: 'true' } },
        { contentType: 'BINARY', metadata: { topic: 'up/SN-1' } },
      ],
    );
  }),
);

test('mqtt: several downlinks leave in order, retained when asked', { skip }, () =>
  withPeer(
    async ({ config, client }) => {
      const connection = await openWith(mqtt, config, takeUplinks());
      const payloads = Array.from({ length: 50 }, (_, n) => `{"n":${n}}`);
      await Promise.all(payloads.map((payload) => connection.send!(downlink({ topic: 'kept/x' }, payload), {} as never)));
      await connection.close();
      const retained = Promise.withResolvers<string>();
      client.on('message', (topic, payload) => topic === 'kept/x' && retained.resolve(payload.toString()));
      await client.subscribeAsync('kept/#', { qos: 1 });
      assert.equal(await within(retained.promise, 'the retained message'), '{"n":49}');
    },
    { retainedMessage: true },
  ),
);

test('mqtt: a wrong password is refused, the right one not', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fieldbridge-mqtt-'));
  const passwords = join(folder, 'passwords');
  assert.equal(
    spawnSync('mosquitto_passwd', ['-b', '-c', passwords, 'plant', 'secret'], { env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` } })
      .status,
    0,
  );
  spawnSync('chmod', ['-R', 'a+rX', folder]);
  const broker = await startMosquitto({ conf: [`password_file ${passwords}`, 'allow_anonymous false'] });
  try {
    const open = (password: string): Promise<Connection> =>
      openWith(mqtt, configOf(broker.port, { credentials: { type: 'basic', username: 'plant', password } }), takeUplinks());
    await assert.rejects(open('wrong'), Refused);
    await (await open('secret')).close();
  } finally {
    await broker.close();
    rmSync(folder, { recursive: true });
  }
});

test('mqtt: TLS with a client certificate', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fieldbridge-mqtt-'));
  const openssl = (...args: string[]) => assert.equal(spawnSync('openssl', args, { cwd: folder }).status, 0, args.join(' '));
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
  );
  for (const name of ['server', 'client']) {
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      '-copy_extensions',
      'copy',
    );
  }
  spawnSync('chmod', ['-R', 'a+rX', folder]);
  const file = (name: string) => join(folder, name);
  const broker = await startMosquitto({
    conf: [`cafile ${file('ca.pem')}`, `certfile ${file('server.pem')}`, `keyfile ${file('server.key')}`, 'require_certificate true'],
  });
  const text = (name: string) => readFileSync(file(name), 'utf8');
  try {
    const open = (credentials: Record<string, unknown>): Promise<Connection> =>
      openWith(mqtt, configOf(broker.port, { ssl: true, credentials }), takeUplinks());
    await (await open({ type: 'cert.PEM', caCert: text('ca.pem'), cert: text('client.pem'), privateKey: text('client.key') })).close();
    await assert.rejects(open({ type: 'anonymous' }), { retry: 'reconnect' }, 'a broker of an unknown CA');
    await assert.rejects(open({ type: 'anonymous', caCert: text('ca.pem') }), { retry: 'reconnect' }, 'no client certificate');
    await assert.rejects(open({ type: 'cert.PEM', caCert: text('ca.pem'), cert: text('client.pem'), privateKey: 'no key' }), ConfigError);
    await assert.rejects(open({ type: 'anonymous', caCert: 'no certificate' }), {
      problems: [{ path: 'clientConfiguration.credentials.caCert', message: 'is not a certificate in PEM' }],
    });
  } finally {
    await broker.close();
    rmSync(folder, { recursive: true });
  }
});

for (const { name, config, wrong } of [
  { name: 'a filter with # in the middle', config: { topicFilters: [{ filter: 'a/#/b', qos: 0 }] }, wrong: ['topicFilters.0.filter'] },
  { name: 'a filter with + in a level', config: { topicFilters: [{ filter: 'a/b+', qos: 0 }] }, wrong: ['topicFilters.0.filter'] },
  {
    name: 'the same filter twice',
    config: {
      topicFilters: [
        { filter: 'a', qos: 0 },
        { filter: 'a', qos: 1 },
      ],
    },
    wrong: ['topicFilters.1.filter'],
  },
  { name: 'no filter', config: { topicFilters: [] }, wrong: ['topicFilters'] },
  { name: 'a shared subscription is fine', config: { topicFilters: [{ filter: '$share/g/a/+', qos: 1 }] }, wrong: [] },
  { name: 'a port out of range', config: { clientConfiguration: { host: 'b', port: 70_000 } }, wrong: ['clientConfiguration.port'] },
  { name: 'unknown keys are kept', config: { another: 1, clientConfiguration: { host: 'b', more: true } }, wrong: [] },
]) {
  test(`mqtt: ${name}`, () => {
    assert.deepEqual(refusedConfig(mqtt, { clientConfiguration: { host: 'b' }, topicFilters: [{ filter: 'a', qos: 0 }], ...config }), wrong);
  });
}

test('mqtt: what the server completes', () => {
  const complete = (client: Record<string, unknown>) =>
    mqtt.complete!({ clientConfiguration: client }, { ...INFO, isNew: false })['clientConfiguration'] as Record<string, unknown>;
  assert.deepEqual(complete({ host: 'b' }), { host: 'b', cleanSession: false, clientId: `fb-${INFO.id}` });
  assert.deepEqual(complete({ host: 'b', cleanSession: true, clientId: 'mine' }), { host: 'b', cleanSession: true, clientId: 'mine' });
  const warned = mqtt.warnings!(configured(mqtt, configOf(1883, { cleanSession: true })) as never);
  assert.deepEqual(warned, ['messages during an outage are lost']);
});

test('mqtt: a message over the limit is not converted', () => {
  const packet = { cmd: 'publish', topic: 'a', payload: Buffer.alloc(11), qos: 0, dup: false, retain: false } as const;
  assert.equal(toUplink(packet, 10, 5).problem, 'Message of 11 bytes exceeds the limit of 10');
  assert.equal(toUplink(packet, 11, 5).problem, undefined);
});

for (const { pattern, metadata, topic } of [
  { pattern: '${topic}', metadata: { topic: 'a/b' }, topic: 'a/b' },
  { pattern: 'plant/${line}/${id}', metadata: { line: '7', id: '$&' }, topic: 'plant/7/$&' },
  { pattern: '${topic}', metadata: {}, topic: "'topic' is missing in the downlink metadata" },
  { pattern: 'a/${x}', metadata: { x: '#' }, topic: "'a/#' is not a topic to publish to" },
]) {
  test(`mqtt: topic of ${pattern} with ${JSON.stringify(metadata)}`, () => {
    const make = () => toTopic(pattern, downlink(metadata as Record<string, string>));
    if (topic.includes("'")) assert.throws(make, (cause) => cause instanceof Rejected && cause.message === topic);
    else assert.equal(make(), topic);
  });
}
