import { X509Certificate } from 'node:crypto';
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt';
import { AppError, ConfigError, errorText, NotConnected, Refused, Rejected, Timeout } from '#engine/errors.ts';
import type { RawUplink, Uplinks } from '#engine/integration.ts';
import { acknowledgeAfter, connected, MAX_IN_FLIGHT } from './mqtt.ts';

export interface MqttOptions {
  readonly host: string;
  readonly port: number;
  readonly ssl: boolean;
  /** PEM texts for `tls.connect`. */
  readonly tls?: Readonly<Record<string, string>>;
  readonly protocolVersion: 'MQTT_3_1' | 'MQTT_3_1_1' | 'MQTT_5';
  readonly clientId: string;
  readonly clean: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly connectTimeoutMs: number;
  /** Default 6: a silent broker is noticed after one and a half of it. */
  readonly keepaliveSec?: number;
}

export interface MqttConnection {
  /** Resolves at PUBACK. @throws Rejected, NotConnected, Timeout. */
  publish(topic: string, payload: Uint8Array, retain: boolean): Promise<void>;
  close(): Promise<void>;
}

const VERSIONS = { MQTT_3_1: 3, MQTT_3_1_1: 4, MQTT_5: 5 } as const;
/** MQTT 5: how long the broker keeps the session of a client that is away, s. */
const SESSION_EXPIRY_SEC = 7 * 24 * 3600;
const PUBACK_TIMEOUT_MS = 20_000;
const CLOSE_TIMEOUT_MS = 3000;
const CHECK_TIMEOUT_MS = 9000;

/** Filters last subscribed by (broker, client id): a persistent session keeps those that an edit has taken out. */
const subscribed = new Map<string, readonly string[]>();

/** Connects and subscribes; what comes is accepted and acknowledged after its commit. @throws ConfigError, NotConnected, Refused, Timeout. */
export async function openMqtt(
  options: MqttOptions,
  topics: readonly { filter: string; qos: 0 | 1 | 2 }[],
  toUplink: (packet: IPublishPacket, receivedAt: number) => RawUplink,
  uplinks: Uplinks,
  signal: AbortSignal,
): Promise<MqttConnection> {
  const peer = `${options.host}:${options.port}`;
  let lostBecause: unknown = null;
  const { client, acknowledging } = await connectClient(options, signal, (created) => {
    created.on('error', (cause) => (lostBecause ??= cause));
    // Because of the MQTT 5 broker that says why: taken over, shutting down, …
    created.on('disconnect', (packet) => (lostBecause ??= new Error(`the broker ended the session (reason code ${packet.reasonCode})`)));
    created.on('close', () =>
      uplinks.lost(lostBecause instanceof AppError ? lostBecause : new NotConnected(peer, lostBecause ?? new Error('connection closed'))),
    );
    return acknowledgeAfter(
      created,
      (packet) => uplinks.accept(toUplink(packet, Date.now())),
      (cause) => (lostBecause ??= cause),
    );
  });
  try {
    await before(signal, subscribe(client, options, topics));
  } catch (cause) {
    client.end(true);
    if (isReasonCode(cause)) throw new Refused(`The broker at ${peer} refused a subscription (${cause.message})`, { cause });
    throw cause instanceof AppError ? cause : new NotConnected(peer, cause);
  }
  const waiting = new Set<(cause: Error) => void>();
  client.on('close', () => {
    for (const reject of waiting) reject(new NotConnected(peer, new Error('connection closed before the PUBACK')));
    waiting.clear();
  });
  return {
    publish: (topic, payload, retain) =>
      new Promise((resolve, reject) => {
        if (!client.connected) return reject(new NotConnected(peer));
        const fail = (cause: Error) => {
          clearTimeout(timer);
          waiting.delete(fail);
          reject(cause);
        };
        const timer = setTimeout(() => fail(new Timeout(`No PUBACK from ${peer} within ${PUBACK_TIMEOUT_MS} ms`)), PUBACK_TIMEOUT_MS);
        waiting.add(fail);
        client.publish(topic, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength), { qos: 1, retain }, (cause) => {
          if (cause)
            return fail(
              isReasonCode(cause) ? new Rejected(`The broker refused the message: ${cause.message}`, { cause }) : new NotConnected(peer, cause),
            );
          clearTimeout(timer);
          waiting.delete(fail);
          resolve();
        });
      }),
    async close() {
      await within(CLOSE_TIMEOUT_MS, acknowledging.drained());
      await within(CLOSE_TIMEOUT_MS, client.endAsync());
      client.end(true);
    },
  };
}

async function subscribe(
  client: MqttClient,
  { host, port, clientId }: MqttOptions,
  topics: readonly { filter: string; qos: 0 | 1 | 2 }[],
): Promise<void> {
  const session = `${host}:${port}/${clientId}`;
  const gone = (subscribed.get(session) ?? []).filter((filter) => topics.every((topic) => topic.filter !== filter));
  if (gone.length > 0) await client.unsubscribeAsync(gone);
  // MQTT 5: retained messages come for new subscriptions only, not again on every reconnect.
  await client.subscribeAsync(Object.fromEntries(topics.map(({ filter, qos }) => [filter, { qos, rh: 1 }])));
  subscribed.set(
    session,
    topics.map(({ filter }) => filter),
  );
}

/** CONNECT and DISCONNECT under another client id, so that the running session is not disturbed. @throws as `openMqtt`. */
export async function checkMqtt(options: MqttOptions, signal: AbortSignal): Promise<void> {
  const clientId = `${options.clientId}-check-${Math.random().toString(36).slice(2, 8)}`;
  // Our own limit first, as it says what was waited for.
  const connectTimeoutMs = Math.min(options.connectTimeoutMs, CHECK_TIMEOUT_MS);
  const { client } = await connectClient({ ...options, clientId, clean: true, connectTimeoutMs }, signal, () => null);
  await within(CLOSE_TIMEOUT_MS, client.endAsync());
  client.end(true);
}

async function connectClient<T>(
  options: MqttOptions,
  signal: AbortSignal,
  attach: (client: MqttClient) => T,
): Promise<{ client: MqttClient; acknowledging: T }> {
  const { default: mqtt } = await import('mqtt');
  const peer = `${options.host}:${options.port}`;
  const protocolVersion = VERSIONS[options.protocolVersion];
  if (options.ssl && options.tls?.['ca'] !== undefined) checkAuthority(options.tls['ca']);
  const settings: IClientOptions = {
    ...(options.ssl ? options.tls : {}),
    protocol: options.ssl ? 'mqtts' : 'mqtt',
    host: options.host,
    port: options.port,
    protocolVersion,
    protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
    clientId: options.clientId,
    clean: options.clean,
    username: options.username,
    password: options.password,
    keepalive: options.keepaliveSec ?? 6,
    connectTimeout: options.connectTimeoutMs,
    // The actor owns the backoff, so that every integration waits and reports alike.
    reconnectPeriod: 0,
    // Its debug lines cost half a microsecond a message, printed or not.
    log: () => {},
    manualConnect: true,
    properties: protocolVersion === 5 ? { receiveMaximum: MAX_IN_FLIGHT, sessionExpiryInterval: options.clean ? 0 : SESSION_EXPIRY_SEC } : undefined,
  };
  const client = mqtt.connect(settings);
  const acknowledging = attach(client);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(options.connectTimeoutMs)]);
  try {
    const done = connected(client, limit);
    try {
      client.connect();
    } catch (cause) {
      done.catch(() => {});
      throw new ConfigError([{ path: 'clientConfiguration.credentials', message: errorText(cause) }], { cause });
    }
    // Without it a PUBACK waits for the broker's delayed TCP acknowledgement: 44 ms a message at low rate.
    (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
    await done;
    return { client, acknowledging };
  } catch (cause) {
    // Without a stream, because of a bad key, there is nothing to end.
    if (client.stream) client.end(true);
    throw translated(cause, peer, signal.aborted ? null : options.connectTimeoutMs);
  }
}

/** `tls` passes over what it can not read, and would say that the broker's certificate is not trusted. @throws ConfigError */
function checkAuthority(pem: string): void {
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new ConfigError([{ path: 'clientConfiguration.credentials.caCert', message: 'is not a certificate in PEM' }], { cause });
  }
}

type ReasonCode = Error & { code: number };
const isReasonCode = (cause: unknown): cause is ReasonCode => cause instanceof Error && typeof (cause as { code?: unknown }).code === 'number';

/** CONNACK codes of 3.1.1 (below 6) and 5 that only another configuration, or other rights at the broker, can change. */
const REFUSALS = new Set([2, 4, 5, 133, 134, 135, 138, 140]);
const VERSION_REFUSED = new Set([1, 132]);

function translated(cause: unknown, peer: string, timeoutMs: number | null): AppError {
  if (cause instanceof ConfigError || cause instanceof NotConnected) return cause;
  if (isReasonCode(cause)) {
    if (VERSION_REFUSED.has(cause.code))
      return new ConfigError([{ path: 'clientConfiguration.protocolVersion', message: `the broker at ${peer} does not speak it` }], { cause });
    if (REFUSALS.has(cause.code))
      return new Refused(`The broker at ${peer} refused the connection: ${cause.message.replace('Connection refused: ', '')}`, { cause });
  }
  const code = String((cause as { code?: unknown } | null)?.code ?? '');
  if (/^ERR_SSL_.*ALERT/.test(code)) return new Refused(`The broker at ${peer} refused the TLS connection: ${errorText(cause)}`, { cause });
  if (cause instanceof DOMException && timeoutMs !== null) return new NotConnected(peer, new Error(`no CONNACK within ${timeoutMs} ms`));
  // Happy eyeballs give an error of errors without a text of its own.
  return new NotConnected(peer, errorText(cause) ? cause : new Error(code || 'connection failed'));
}

function before<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Timeout('Stopped while connecting'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** Waits for `work`, but no longer than this; whether it failed does not matter to the one who closes. */
function within(ms: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    work
      .catch(() => {})
      .finally(() => {
        clearTimeout(timer);
        resolve();
      });
  });
}
