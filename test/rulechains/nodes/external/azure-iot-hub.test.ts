import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { connect } from 'node:net';
import test, { after, before, mock } from 'node:test';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import azureIotHub from '#rulechains/nodes/external/azure-iot-hub.ts';
import { type Certificates, makeCertificates } from '#test/support/certificates.ts';
import { type External, external } from '#test/support/external.ts';
import { message } from '#test/support/message.ts';
import { type Broker, missing, mosquittoSub, startMosquitto } from '#test/support/servers.ts';
import { eventually } from '#test/support/wait.ts';

/**
 * The hub's TLS end checks the login as Microsoft documents it and hands the bytes on to Mosquitto. The port is fixed, so the stand-in has an address of its own in
 * the loopback network, which only Linux has without asking.
 */
const skip = process.platform === 'linux' ? missing('mosquitto') : 'not run: needs a second loopback address, which Linux has';
const HOST = '127.71.0.1';
const DEVICE = 'plant-7';
const KEY = Buffer.from('key of the device').toString('base64');
const TOPIC = `devices/${DEVICE}/messages/events/`;

let broker: Broker;
let hub: Server;
let certificates: Certificates;
const logins: Login[] = [];
const connections = new Set<TLSSocket>();

before(async () => {
  if (skip) return;
  certificates = makeCertificates([HOST]);
  const { ca, server } = certificates;
  broker = await startMosquitto();
  hub = createServer({ ...server, ca, requestCert: true, rejectUnauthorized: false }, (socket) => {
    connections.add(socket);
    socket.on('error', () => {}).on('close', () => connections.delete(socket));
    socket.once('data', (first) => {
      const login = readConnect(first);
      logins.push(login);
      if (problemOf(login, socket)) return void socket.end(Buffer.from([0x20, 2, 0, 5]));
      const through = connect(broker.port, '127.0.0.1').on('error', () => {});
      through.write(first);
      socket.pipe(through).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => hub.listen(8883, HOST, resolve));
});
after(async () => {
  for (const socket of connections) socket.destroy();
  hub?.close();
  await broker?.close();
  certificates?.close();
});

interface Login {
  readonly clientId: string;
  readonly clean: boolean;
  readonly username: string | null;
  readonly password: string | null;
}

/** CONNECT without a will (MQTT 3.1.1 §3.1). */
function readConnect(packet: Buffer): Login {
  let at = 1;
  while (packet[at++]! & 0x80);
  const text = (): string => {
    const size = packet.readUInt16BE(at);
    at += 2 + size;
    return packet.toString('utf8', at - size, at);
  };
  text();
  const flags = packet[at + 1]!;
  at += 4;
  const clientId = text();
  return { clientId, clean: (flags & 2) !== 0, username: flags & 0x80 ? text() : null, password: flags & 0x40 ? text() : null };
}

/** What a hub would refuse it for. */
function problemOf({ clientId, username, password }: Login, socket: TLSSocket): string | null {
  if (username !== `${HOST}/${clientId}/?api-version=2021-04-12`) return 'user name';
  if (password === null) return socket.getPeerCertificate().subject?.CN === 'client-1' ? null : 'certificate';
  const [, resource, signature, expiry] = /^SharedAccessSignature sr=([^&]+)&sig=([^&]+)&se=(\d+)$/.exec(password) ?? [];
  if (decodeURIComponent(resource ?? '') !== `${HOST}/devices/${clientId}`) return 'resource';
  if (Number(expiry) * 1000 <= Date.now()) return 'expired';
  const expected = createHmac('sha256', Buffer.from(KEY, 'base64')).update(`${resource}\n${expiry}`).digest('base64');
  return decodeURIComponent(signature ?? '') === expected ? null : 'signature';
}

const open = (credentials: Record<string, unknown>, config: Record<string, unknown> = {}): Promise<External> =>
  external(azureIotHub, {
    config: { host: HOST, clientId: DEVICE, topicPattern: TOPIC, credentials: { caCert: certificates.ca, ...credentials }, ...config },
  });

test('a token by the key of the device; the port, TLS and a clean session whatever is configured', { skip }, async () => {
  logins.length = 0;
  const subscription = await mosquittoSub(broker, TOPIC);
  const node = await open({ type: 'sas', sasKey: KEY }, { port: 1, ssl: false, cleanSession: false, appendClientIdSuffix: true });
  assert.equal(await node.send(message({ data: { t: 1 } })), 'Success');
  assert.deepEqual(await subscription.next(), { topic: TOPIC, payload: '{"t":1}' });
  node.stop();
  await subscription.close();
  assert.deepEqual(
    logins.map(({ clientId, clean, username }) => ({ clientId, clean, username })),
    [{ clientId: DEVICE, clean: true, username: `${HOST}/${DEVICE}/?api-version=2021-04-12` }],
  );
});

test('the token is renewed before it ends', { skip }, async () => {
  logins.length = 0;
  const start = Date.now();
  mock.timers.enable({ apis: ['Date'], now: start });
  const node = await open({ type: 'sas', sasKey: KEY });
  try {
    for (const minutes of [0, 53, 55, 56, 110]) {
      mock.timers.setTime(start + minutes * 60_000);
      assert.equal(await node.send(message()), 'Success', `after ${minutes} minutes`);
    }
  } finally {
    mock.timers.reset();
    node.stop();
  }
  const ends = logins.map(({ password }) => Number(/se=(\d+)$/.exec(password!)![1]) - Math.floor(start / 1000));
  assert.deepEqual(ends, [3600, 3600 + 55 * 60, 3600 + 110 * 60]);
  // The old connections end by themselves.
  await eventually(() => connections.size === 0, 'connections are closed');
});

test('a certificate in place of the key', { skip }, async () => {
  logins.length = 0;
  const node = await open({ type: 'cert.PEM', cert: certificates.client.cert, privateKey: certificates.client.key });
  assert.equal(await node.send(message()), 'Success');
  node.stop();
  assert.deepEqual(logins, [{ clientId: DEVICE, clean: true, username: `${HOST}/${DEVICE}/?api-version=2021-04-12`, password: null }]);
});

for (const { name, credentials, error } of [
  {
    name: 'a wrong key',
    credentials: { type: 'sas', sasKey: 'd3Jvbmc=' },
    error: /^The broker at 127\.71\.0\.1:8883 refused the connection: Not authorized$/,
  },
  {
    name: 'no authority: those of the system do not know this hub',
    credentials: { type: 'sas', sasKey: KEY, caCert: null },
    error: /^TLS with 127\.71\.0\.1:8883 failed: /,
  },
])
  test(`refused: ${name}`, { skip }, async () => {
    const node = await open(credentials);
    const { to, error: got, away } = (await node.send(message())) as { to: string; error: string; away: boolean };
    node.stop();
    assert.deepEqual([to, away], ['Failure', true]);
    assert.match(got, error);
  });

for (const { name, config, says } of [
  { name: 'no device id', config: { clientId: null }, says: /^Device id must be set!$/ },
  { name: 'no key', config: { clientId: 'd' }, says: /^SAS key must be set!$/ },
  { name: 'no host', config: { clientId: 'd', host: '' }, says: /^Azure IoT Hub host must be set!$/ },
])
  test(`does not start: ${name}`, () => assert.rejects(external(azureIotHub, { config }), (cause: Error) => says.test(cause.message)));

test('upgrade from 0: 3.1.1', () => {
  assert.deepEqual(azureIotHub.upgrades![0]!({ host: 'h' }), { host: 'h', protocolVersion: 'MQTT_3_1_1' });
});
