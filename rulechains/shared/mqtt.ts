import type { IClientOptions, MqttClient } from 'mqtt';
import { Type } from 'typebox';
import { AppError, ConfigError, errorText, NotConnected, Refused, Rejected, Timeout } from '#engine/errors.ts';
import { checkLiteral, guardedLookup } from '#engine/outbound.ts';
import { connection } from './connection.ts';
import type { Tls } from './credentials.ts';
import { nullable } from './fields.ts';

/** Publishing over MQTT, for "mqtt" and "azure iot hub". */

export type MqttVersion = 'MQTT_3_1' | 'MQTT_3_1_1' | 'MQTT_5';

export interface MqttOptions {
  readonly host: string;
  readonly port: number;
  /** null: no TLS. */
  readonly tls: Tls | null;
  readonly protocolVersion: MqttVersion;
  /** Blank: one of chance. */
  readonly clientId: string;
  readonly clean: boolean;
  readonly connectTimeoutMs: number;
  /** Asked at every connect. */
  login(): { readonly username?: string; readonly password?: string };
  /** After so long a connection is replaced by one with a new login. Default never. */
  readonly maxAgeMs?: number;
}

export interface MqttPublisher {
  /** QoS 1; resolves at PUBACK. @throws NotConnected, Refused, Rejected, Timeout, ConfigError */
  publish(topic: string, payload: string, retain: boolean, signal: AbortSignal): Promise<void>;
  stop(): void;
}

const CLOSE_TIMEOUT_MS = 3000;
const LEVELS = { MQTT_3_1: 3, MQTT_3_1_1: 4, MQTT_5: 5 } as const;

export function openMqtt(options: MqttOptions): MqttPublisher {
  const peer = `${options.host}:${options.port}`;
  const openedAt = new WeakMap<MqttClient, number>();
  const shared = connection<MqttClient>(
    async (signal) => {
      const since = Date.now();
      const client = await connect(options, peer, signal);
      openedAt.set(client, since);
      // One for each message that waits for its PUBACK.
      client.setMaxListeners(0);
      client.on('close', () => shared.lost(client));
      return client;
    },
    (client) => {
      client.end(false);
      // A broker that does not answer any more would keep it for ever.
      setTimeout(() => client.stream.destroy(), CLOSE_TIMEOUT_MS).unref();
    },
  );

  async function fresh(signal: AbortSignal): Promise<MqttClient> {
    const client = await shared.use(signal);
    if (Date.now() - openedAt.get(client)! < (options.maxAgeMs ?? Infinity)) return client;
    // What is under way on it is acknowledged before it ends.
    shared.lost(client);
    return shared.use(signal);
  }

  return {
    async publish(topic, payload, retain, signal) {
      checkTopic(topic);
      const client = await fresh(signal);
      await published(client, { topic, payload, retain }, peer, signal);
    },
    stop: shared.stop,
  };
}

/** A broker hangs up on a topic that is none, and would hang up on it again and again. @throws Rejected */
function checkTopic(topic: string): void {
  if (topic === '' || Buffer.byteLength(topic) > 65_535 || /[+#\u0000]/.test(topic))
    throw new Rejected(`Invalid MQTT topic to publish to: '${topic.slice(0, 200)}'`);
}

function published(
  client: MqttClient,
  { topic, payload, retain }: { topic: string; payload: string; retain: boolean },
  peer: string,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!client.connected) return reject(new NotConnected(peer));
    const settle = (cause?: Error): void => {
      client.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (cause) reject(cause);
      else resolve();
    };
    const onClose = () => settle(new NotConnected(peer, new Error('connection closed before the PUBACK')));
    const onAbort = () => settle(new Timeout(`No PUBACK from ${peer} in the time that the message has`));
    if (signal.aborted) return onAbort();
    client.on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    client.publish(topic, payload, { qos: 1, retain }, (cause) => {
      if (!cause) settle();
      else settle(isReasonCode(cause) ? new Rejected(`${peer} refused the message: ${cause.message}`, { cause }) : new NotConnected(peer, cause));
    });
  });
}

/** @throws Refused, NotConnected, ConfigError */
async function connect(options: MqttOptions, peer: string, stop: AbortSignal): Promise<MqttClient> {
  const [{ MqttClient }, { connect: connectTcp }, { connect: connectTls }] = await Promise.all([
    import('mqtt'),
    import('node:net'),
    import('node:tls'),
  ]);
  checkLiteral(options.host);
  const { host, port, tls } = options;
  let failure: unknown = null;
  const open = () => {
    const socket = tls
      ? connectTls({ ...tls, host, port, servername: serverName(host), lookup: guardedLookup })
      : connectTcp({ host, port, lookup: guardedLookup });
    socket.setNoDelay(true);
    socket.on('error', (cause) => (failure ??= cause));
    return socket;
  };
  const client = new MqttClient(open, settingsOf(options));
  const limit = AbortSignal.any([stop, AbortSignal.timeout(options.connectTimeoutMs)]);
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.on('error', (cause) => reject(failure ?? cause));
      client.once('close', () => reject(failure ?? new Error('connection closed before the CONNACK')));
      limit.addEventListener(
        'abort',
        () => reject(new Error(stop.aborted ? 'the node was stopped' : `no CONNACK within ${options.connectTimeoutMs} ms`)),
        { once: true },
      );
      client.connect();
    });
    return client;
  } catch (cause) {
    client.end(true);
    throw translated(cause, peer);
  }
}

/** SNI is for names only (RFC 6066 §3). */
const serverName = (host: string): string => (/^[\d.]+$|:/.test(host) ? '' : host);

function settingsOf({ protocolVersion, clientId, clean, connectTimeoutMs, login }: MqttOptions): IClientOptions {
  const level = LEVELS[protocolVersion];
  return {
    ...login(),
    protocolVersion: level,
    protocolId: level === 3 ? 'MQIsdp' : 'MQTT',
    clientId: clientId || `fb_${Math.random().toString(36).slice(2, 12)}`,
    clean,
    keepalive: 60,
    connectTimeout: connectTimeoutMs,
    // The outbox decides when the next try is due.
    reconnectPeriod: 0,
    manualConnect: true,
    log: () => {},
  };
}

type ReasonCode = Error & { code: number };
const isReasonCode = (cause: unknown): cause is ReasonCode => cause instanceof Error && typeof (cause as { code?: unknown }).code === 'number';

function translated(cause: unknown, peer: string): AppError {
  const reason = cause instanceof AggregateError && cause.message === '' ? (cause.errors[0] as unknown) : cause;
  if (reason instanceof AppError) return reason;
  if (isReasonCode(reason))
    return new Refused(`The broker at ${peer} refused the connection: ${reason.message.replace('Connection refused: ', '')}`, { cause });
  const code = String((reason as { code?: unknown } | null)?.code ?? '');
  if (/^(ERR_TLS|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_)/.test(code))
    return new Refused(`TLS with ${peer} failed: ${errorText(reason)} (${code})`, { cause });
  return new NotConnected(peer, reason);
}

const MOST_CHARACTERS = { MQTT_3_1: 23, MQTT_3_1_1: 256, MQTT_5: 256 } as const;

/** With the suffix of this server, so that servers side by side do not take each other's session. @throws Error when the broker could not take it */
export function clientIdOf(
  { clientId, appendClientIdSuffix }: { clientId: string | null; appendClientIdSuffix: boolean },
  version: MqttVersion,
  serviceId: string,
): string {
  if (!clientId || clientId.trim() === '') return '';
  const id = appendClientIdSuffix ? `${clientId}_${serviceId}` : clientId;
  const most = MOST_CHARACTERS[version];
  if (id.length > most)
    throw new ConfigError(
      `Client ID is too long '${id}'. The length of Client ID cannot be longer than ${most}, but current length is ${id.length}.`,
    );
  return id;
}

export const connectTimeoutOf = ({ connectTimeoutSec }: { connectTimeoutSec: number }): number =>
  Math.min(Math.max(connectTimeoutSec, 1), 600) * 1000;

/** Fields that both nodes have. */
export const mqttFields = {
  topicPattern: nullable(Type.String(), { title: 'Topic', description: 'Pattern, without wildcards.', control: 'topic' }),
  host: nullable(Type.String(), { title: 'Host', description: 'Of the broker.', examples: ['broker.example.com'] }),
  port: Type.Integer({ title: 'Port', description: 'TCP port of the broker.' }),
  connectTimeoutSec: Type.Integer({ title: 'Connect timeout', description: '1 to 200.', unit: 's' }),
  clientId: nullable(Type.String(), { title: 'Client id', description: 'None: one of chance.' }),
  appendClientIdSuffix: Type.Boolean({
    title: 'Add the server to the client id',
    description: 'For several servers side by side, each with its own session.',
  }),
  retainedMessage: Type.Boolean({ title: 'Retained', description: 'The broker keeps the last message of the topic.' }),
  cleanSession: Type.Boolean({ title: 'Clean session', description: 'The broker forgets the client when it goes.' }),
  ssl: Type.Boolean({ title: 'TLS', description: 'Encrypts the connection.' }),
  parseToPlainText: Type.Boolean({ title: 'Plain text', description: 'A JSON string is published without its quotes.' }),
  protocolVersion: nullable(Type.Enum(['MQTT_3_1', 'MQTT_3_1_1', 'MQTT_5']), {
    title: 'Protocol',
    description: 'As the broker speaks it. None: 3.1.1.',
  }),
};

export const MQTT_DEFAULTS = {
  topicPattern: 'my-topic',
  host: null,
  port: 1883,
  connectTimeoutSec: 10,
  clientId: null,
  appendClientIdSuffix: false,
  retainedMessage: false,
  cleanSession: true,
  ssl: false,
  parseToPlainText: false,
  protocolVersion: 'MQTT_3_1_1',
} as const;
