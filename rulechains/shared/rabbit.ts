import type { Envelope, Publisher, Connection as RabbitConnection } from 'rabbitmq-client';
import { checkHost, guardedLookup } from '#engine/outbound.ts';
import { chainOf, isNetworkFault } from './broker.ts';

export interface RabbitSettings {
  readonly host: string | null;
  readonly port: number;
  readonly virtualHost: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly connectionTimeout: number;
  readonly handshakeTimeout: number;
  readonly clientProperties: Readonly<Record<string, string | null>> | null;
}

export interface Rabbit {
  readonly connection: RabbitConnection;
  readonly publisher: Publisher;
}

/** The names that RabbitMQ's Java client has for sets of properties. */
export const PROPERTIES: Readonly<Record<string, Envelope>> = {
  BASIC: { contentType: 'application/octet-stream', durable: false, priority: 0 },
  TEXT_PLAIN: { contentType: 'text/plain', durable: false, priority: 0 },
  MINIMAL_BASIC: {},
  MINIMAL_PERSISTENT_BASIC: { durable: true },
  PERSISTENT_BASIC: { contentType: 'application/octet-stream', durable: true, priority: 0 },
  PERSISTENT_TEXT_PLAIN: { contentType: 'text/plain', durable: true, priority: 0 },
};

/** @throws Error when there is no such set. */
export function messageProperties(name: string | null): Envelope {
  if (!name) return {};
  const properties = Object.hasOwn(PROPERTIES, name) ? PROPERTIES[name] : undefined;
  if (!properties) throw new Error(`Message Properties: '${name}' is undefined!`);
  return properties;
}

/** Resolves when the server took us in. Later losses are mended by the client itself, for ever. @throws the reason why the first attempt failed. */
export async function connectRabbit(settings: RabbitSettings, connectionName: string): Promise<Rabbit> {
  const hostname = settings.host || 'localhost';
  const port = settings.port;
  await checkHost(hostname);
  const { Connection } = await import('rabbitmq-client');
  const connection = new Connection({
    hostname,
    port,
    socket: { host: hostname, port, lookup: guardedLookup },
    vhost: settings.virtualHost || '/',
    username: settings.username ?? '',
    password: settings.password ?? '',
    connectionName,
    retryLow: 500,
    retryHigh: 10_000,
    ...(settings.connectionTimeout > 0 && { connectionTimeout: settings.connectionTimeout }),
    ...(settings.handshakeTimeout > 0 && { acquireTimeout: settings.handshakeTimeout }),
  });
  const own = Object.entries(settings.clientProperties ?? {}).filter((entry): entry is [string, string] => entry[1] !== null);
  if (own.length > 0) addClientProperties(connection, Object.fromEntries(own));
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once('connection', resolve);
      connection.once('error', reject);
    });
  } catch (cause) {
    connection.unsafeDestroy();
    throw cause;
  }
  // What is lost is seen by the message that is sent then.
  connection.on('error', () => {});
  return { connection, publisher: connection.createPublisher({ confirm: true }) };
}

interface Start {
  readonly params?: { readonly clientProperties?: object };
}

/** The client has no option for them: they are put into the frame in which it tells who it is. */
function addClientProperties(connection: RabbitConnection, properties: Readonly<Record<string, string>>): void {
  const writer = connection as unknown as { _writeMethod(method: Start): void };
  const write = writer._writeMethod.bind(connection);
  writer._writeMethod = (method) => {
    const told = method.params?.clientProperties;
    write(told ? { ...method, params: { ...method.params, clientProperties: { ...told, ...properties } } } : method);
  };
}

/** Codes with which the server refuses one message and closes no more than its channel. */
const FINAL = new Set(['NOT_FOUND', 'PRECONDITION_FAILED', 'CONTENT_TOO_LARGE', 'NO_ROUTE', 'NO_CONSUMERS']);

export function isRabbitAway(cause: unknown): boolean {
  if (isNetworkFault(cause)) return true;
  return [...chainOf(cause)].some(({ name, ...error }) => name.startsWith('AMQP') && !FINAL.has(String((error as { code?: unknown }).code)));
}
