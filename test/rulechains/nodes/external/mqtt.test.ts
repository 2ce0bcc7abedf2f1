import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import mqtt from '#rulechains/nodes/external/mqtt.ts';
import { type Certificates, makeCertificates } from '#test/support/certificates.ts';
import { external, sendAll } from '#test/support/external.ts';
import { message } from '#test/support/message.ts';
import { type Broker, freePort, missing, mosquittoSub, program, startMosquitto } from '#test/support/servers.ts';
import { NODE } from '#test/support/services.ts';
import { eventually, within } from '#test/support/wait.ts';

/** Against Mosquitto: its log says by which protocol, user and session the node came. */

const skip = missing('mosquitto');
let broker: Broker;
let secure: Broker;
let certificates: Certificates;
let log: string;

before(async () => {
  if (skip) return;
  certificates = makeCertificates();
  const { folder } = certificates;
  log = join(folder, 'broker.log');
  for (const name of ['ca.crt', 'server.crt', 'server.key']) chmodSync(join(folder, name), 0o644);
  writeFileSync(log, '');
  chmodSync(log, 0o666);
  chmodSync(folder, 0o755);
  broker = await startMosquitto({ conf: ['log_type all', `log_dest file ${log}`] });
  execFileSync(program('mosquitto_passwd'), ['-c', '-b', join(folder, 'passwords'), 'jo', 'secret']);
  chmodSync(join(folder, 'passwords'), 0o644);
  secure = await startMosquitto({
    conf: [
      `cafile ${folder}/ca.crt`,
      `certfile ${folder}/server.crt`,
      `keyfile ${folder}/server.key`,
      'require_certificate true',
      'use_subject_as_username true',
    ],
  });
});
after(async () => {
  await broker?.close();
  await secure?.close();
  certificates?.close();
});

type Config = Record<string, unknown>;
const at = ({ port }: { port: number }, config: Config = {}) => ({
  config: { host: '127.0.0.1', port, topicPattern: 'out/${deviceName}', ...config },
});
const given = message({ data: '{"t":1.0}', metadata: { deviceName: 'TH1' } });

for (const { protocolVersion, level } of [
  { protocolVersion: 'MQTT_3_1', level: 'p1' },
  { protocolVersion: 'MQTT_3_1_1', level: 'p2' },
  { protocolVersion: 'MQTT_5', level: 'p5' },
  { protocolVersion: null, level: 'p2' },
])
  test(`publishes by ${protocolVersion}`, { skip }, async () => {
    const subscription = await mosquittoSub(broker, 'out/#');
    const clientId = `node-${level}-${protocolVersion === null}`;
    assert.deepEqual(await sendAll(mqtt, [given], at(broker, { protocolVersion, clientId })), ['Success']);
    assert.deepEqual(await subscription.next(), { topic: 'out/TH1', payload: '{"t":1.0}' });
    await subscription.close();
    assert.match(readFileSync(log, 'utf8'), new RegExp(`as ${clientId} \\(${level}, c1, k60\\)`));
  });

test('a persistent session, the server in its client id, a retained message, plain text', { skip }, async () => {
  const config = {
    clientId: 'keep',
    appendClientIdSuffix: true,
    cleanSession: false,
    retainedMessage: true,
    parseToPlainText: true,
    topicPattern: 'kept',
  };
  assert.deepEqual(await sendAll(mqtt, [message({ data: '"a\\"b"' })], at(broker, config)), ['Success']);
  const subscription = await mosquittoSub(broker, 'kept');
  assert.deepEqual(await subscription.next(), { topic: 'kept', payload: 'a"b' });
  await subscription.close();
  assert.match(readFileSync(log, 'utf8'), new RegExp(`as keep_${NODE.serviceId} \\(p2, c0, k60\\)`));
});

test('a hundred messages over one connection, each once, in order', { skip }, async () => {
  const subscription = await mosquittoSub(broker, 'many');
  const node = await external(mqtt, at(broker, { topicPattern: 'many', clientId: 'many' }));
  const outcomes = await Promise.all(Array.from({ length: 100 }, (_, n) => node.send(message({ data: String(n) }))));
  assert.deepEqual(outcomes, Array(100).fill('Success'));
  for (let n = 0; n < 100; n++) assert.equal((await subscription.next()).payload, String(n));
  node.stop();
  await subscription.close();
  assert.equal([...readFileSync(log, 'utf8').matchAll(/ as many \(/g)].length, 1);
  await eventually(() => /Client many disconnected/.test(readFileSync(log, 'utf8')), 'the node says good-bye');
});

test('a broker that goes and comes again: messages wait for it, the node stays', { skip }, async () => {
  const own = await startMosquitto();
  const node = await external(mqtt, at(own, { topicPattern: 'x' }));
  try {
    assert.equal(await node.send(given), 'Success');
    await own.stop();
    const error = `Not connected to 127.0.0.1:${own.port}: connect ECONNREFUSED 127.0.0.1:${own.port}`;
    await eventually(async () => ((await node.send(given)) as { error?: string }).error === error, 'the node sees it');
    assert.deepEqual(await node.send(given), {
      to: 'Failure',
      error,
      away: true,
      metadata: { deviceName: 'TH1', error: `class NotConnected: ${error}` },
    });
    await own.start();
    await eventually(async () => (await node.send(given)) === 'Success', 'the node connects again');
  } finally {
    node.stop();
    await own.close();
  }
});

test('user and password, and the wrong ones', { skip }, async () => {
  const own = await startMosquitto({ port: await freePort(), conf: ['allow_anonymous false', `password_file ${certificates.folder}/passwords`] });
  try {
    const via = (credentials: Config, more: Config = {}) => sendAll(mqtt, [given], at(own, { credentials, ...more }));
    const reader = await subscribe({ port: own.port, username: 'jo', password: 'secret' });
    assert.deepEqual(await via({ type: 'basic', username: 'jo', password: 'secret' }), ['Success']);
    assert.equal(await reader.next(), '{"t":1.0}');
    await reader.client.endAsync();
    for (const { credentials, protocolVersion, why } of [
      { credentials: { type: 'basic', username: 'jo', password: 'no' }, protocolVersion: 'MQTT_3_1_1', why: 'Not authorized' },
      { credentials: { type: 'anonymous' }, protocolVersion: 'MQTT_5', why: 'Not authorized' },
    ]) {
      const error = `The broker at 127.0.0.1:${own.port} refused the connection: ${why}`;
      assert.deepEqual(await via(credentials, { protocolVersion }), [
        { to: 'Failure', error, away: true, metadata: { deviceName: 'TH1', error: `class Refused: ${error}` } },
      ]);
    }
  } finally {
    await own.close();
  }
});

test('TLS with a client certificate, without one, and with the wrong authority', { skip }, async () => {
  const { ca, foreignCa, client } = certificates;
  const via = async (credentials: Config, ssl = true) =>
    (await sendAll(mqtt, [given], at(secure, { ssl, connectTimeoutSec: 2, credentials: { type: 'cert.PEM', ...credentials } })))[0] as {
      error: string;
      away: boolean;
    };
  const pair = { cert: client.cert, privateKey: client.key };
  const reader = await subscribe({ port: secure.port, protocol: 'mqtts', ca, cert: client.cert, key: client.key });
  assert.equal(await via({ caCert: ca, ...pair }), 'Success');
  assert.equal(await reader.next(), '{"t":1.0}');
  await reader.client.endAsync();
  const wrong = await via({ caCert: foreignCa, ...pair });
  assert.match(
    wrong.error,
    new RegExp(`^TLS with 127.0.0.1:${secure.port} failed: .*\\((SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE)\\)$`),
  );
  const nameless = await via({ caCert: ca });
  assert.match(nameless.error, /certificate required|handshake failure|ERR_SSL|ECONNRESET|closed before the CONNACK/);
  const plain = await via({}, false);
  assert.match(plain.error, /^Not connected to /);
  assert.deepEqual([wrong.away, nameless.away, plain.away], [true, true, true]);
});

for (const { name, config, data = {}, error, retry } of [
  {
    name: 'a topic with a wildcard from the data',
    config: { topicPattern: 'a/$[t]' },
    data: { t: '#' },
    error: "Invalid MQTT topic to publish to: 'a/#'",
  },
  { name: 'an empty topic', config: { topicPattern: '' }, error: "Invalid MQTT topic to publish to: ''" },
  { name: 'data that is no JSON', config: {}, data: 'x', error: 'Failed to process pattern!' },
  {
    name: 'a metadata address',
    config: { host: '169.254.169.254' },
    error: 'Connecting to 169.254.169.254 is refused: it is a link-local or cloud metadata address. The setting ALLOWED_HOSTS lets it through',
  },
] as { name: string; config: Config; data?: unknown; error: string; retry?: string }[])
  test(`refused: ${name}`, { skip }, async () => {
    const [outcome] = await sendAll(mqtt, [message({ data })], at(broker, { topicPattern: 't', ...config }));
    const { to, error: got, away = false } = outcome as { to: string; error: string; away?: boolean };
    assert.deepEqual([to, got, away], ['Failure', error, false], retry);
  });

test('a peer that takes the connection and says nothing', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  try {
    const [outcome] = await within(sendAll(mqtt, [given], at({ port }, { connectTimeoutSec: 1 })), 'the limit of connecting');
    assert.equal((outcome as { error: string }).error, `Not connected to 127.0.0.1:${port}: no CONNACK within 1000 ms`);
  } finally {
    for (const socket of sockets) socket.destroy();
    silent.close();
  }
});

for (const { name, config, says } of [
  { name: 'no host', config: { host: null }, says: /^MQTT broker host must be set!$/ },
  {
    name: 'a client id too long for 3.1',
    config: { protocolVersion: 'MQTT_3_1', clientId: 'x'.repeat(24) },
    says: /^Client ID is too long 'x{24}'\. The length of Client ID cannot be longer than 23, but current length is 24\.$/,
  },
  { name: 'a client id too long', config: { clientId: 'x'.repeat(257) }, says: /cannot be longer than 256, but current length is 257\.$/ },
  {
    name: 'a CA that is none',
    config: { ssl: true, credentials: { type: 'cert.PEM', caCert: 'x' } },
    says: /^The CA certificate is not a certificate in PEM$/,
  },
  { name: 'an unknown version', config: { protocolVersion: 'MQTT_4' }, says: /^Can't convert value: / },
] as { name: string; config: Config; says: RegExp }[])
  test(`does not start: ${name}`, () =>
    assert.rejects(external(mqtt, { config: { host: 'h', ...config } }), (cause: Error) => says.test(cause.message)));

for (const { from, old, upgraded } of [
  { from: 0, old: { host: 'h' }, upgraded: { host: 'h', parseToPlainText: false, protocolVersion: 'MQTT_3_1' } },
  { from: 1, old: { parseToPlainText: true, protocolVersion: 'MQTT_5' }, upgraded: { parseToPlainText: true, protocolVersion: 'MQTT_5' } },
])
  test(`upgrade from ${from}`, () =>
    assert.deepEqual(
      mqtt.upgrades!.slice(from).reduce((config, step) => step(config), old as Config),
      upgraded,
    ));

/** A subscriber with a login; the broker between it and the node is the real one. */
async function subscribe(options: IClientOptions): Promise<{ client: MqttClient; next(): Promise<string> }> {
  const client = await connectAsync({ host: '127.0.0.1', ...options });
  const came: string[] = [];
  client.on('message', (_topic, payload) => void came.push(payload.toString()));
  await client.subscribeAsync('out/#', { qos: 1 });
  return {
    client,
    async next() {
      await eventually(() => came.length > 0, 'a message');
      return came.shift()!;
    },
  };
}
