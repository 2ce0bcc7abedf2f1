import { readFileSync } from 'node:fs';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { Producer, ProducerOptions, SASLOptions } from '@platformatic/kafka';
import { checkHost } from '#engine/outbound.ts';
import { chainOf, isNetworkFault } from './broker.ts';

/** The properties of Kafka's own (Java) producer that nodes are configured with, as options of the client that we have. */

export type KafkaProducer = Producer<Buffer, Buffer, Buffer, Buffer>;
export type KafkaOptions = ProducerOptions<Buffer, Buffer, Buffer, Buffer>;

export interface KafkaSettings {
  readonly bootstrapServers: string | null;
  readonly retries: number;
  readonly acks: string | null;
  readonly otherProperties: Readonly<Record<string, string | null>> | null;
}

/** A topic that is made by its first message has no leader for a moment: the client asks again, however few retries are wanted. */
const LEAST_RETRIES = 10;
const LEAST_PAUSE_MS = 100;
/** As Kafka writes them. */
const ACKS: Readonly<Record<string, number>> = { all: -1, '-1': -1, '0': 0, '1': 1 };
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'];
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const;

export const isIdempotent = (settings: Pick<KafkaSettings, 'otherProperties'>): boolean =>
  settings.otherProperties?.['enable.idempotence']?.toLowerCase() === 'true';

/** @throws Error in the words of Kafka's own client where it would not start either. */
export function kafkaOptions(settings: KafkaSettings, clientId: string): KafkaOptions {
  const property = (name: string): string | null => settings.otherProperties?.[name] ?? null;
  const acks = ACKS[settings.acks ?? ''];
  if (acks === undefined) throw new Error(`Invalid value ${settings.acks} for configuration acks: String must be one of: all, -1, 0, 1`);
  if (settings.retries < 0) throw new Error(`Invalid value ${settings.retries} for configuration retries: Value must be at least 0`);
  const idempotent = isIdempotent(settings);
  if (idempotent && settings.retries === 0) throw new Error('Must set retries to non-zero when using the idempotent producer.');
  if (idempotent && acks !== -1)
    throw new Error('Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.');
  const protocol = (property('security.protocol') ?? 'PLAINTEXT').toUpperCase();
  if (!PROTOCOLS.includes(protocol)) throw invalid('security.protocol', protocol, PROTOCOLS);
  const compression = property('compression.type') ?? 'none';
  const known = COMPRESSIONS.find((each) => each === compression);
  if (!known) throw invalid('compression.type', compression, COMPRESSIONS);
  const requestTimeout = positive('request.timeout.ms', property('request.timeout.ms')) ?? 30_000;
  const connectTimeout = positive('socket.connection.setup.timeout.ms', property('socket.connection.setup.timeout.ms')) ?? 10_000;
  const retryDelay = Math.max(LEAST_PAUSE_MS, positive('retry.backoff.ms', property('retry.backoff.ms')) ?? LEAST_PAUSE_MS);
  return {
    clientId: property('client.id') || clientId,
    bootstrapBrokers: brokers(settings.bootstrapServers),
    acks,
    idempotent,
    compression: known,
    autocreateTopics: true,
    retries: Math.max(settings.retries, LEAST_RETRIES),
    retryDelay,
    // The broker's own limit for its answer, which has to come before ours.
    timeout: Math.max(1, requestTimeout - 1000),
    requestTimeout,
    connectTimeout,
    ...(protocol.endsWith('SSL') && { tls: tlsOptions(property) }),
    ...(protocol.startsWith('SASL') && { sasl: saslOptions(property) }),
  };
}

/** The client resolves names itself: what it is given is looked at before. @throws ConfigError */
export async function openProducer(options: KafkaOptions): Promise<KafkaProducer> {
  for (const server of options.bootstrapBrokers as string[]) await checkHost(server.slice(0, server.lastIndexOf(':')));
  return new (await import('@platformatic/kafka')).Producer(options);
}

const invalid = (name: string, value: string, allowed: readonly string[]): Error =>
  new Error(`Invalid value ${value} for configuration ${name}: String must be one of: ${allowed.join(', ')}`);

function positive(name: string, value: string | null): number | undefined {
  if (value === null || value === '') return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new Error(`Invalid value ${value} for configuration ${name}: Not a number of type INT`);
  return number;
}

function brokers(servers: string | null): string[] {
  const list = (servers ?? '')
    .split(',')
    .map((server) => server.trim())
    .filter((server) => server !== '');
  if (list.length === 0) throw new Error('No resolvable bootstrap urls given in bootstrap.servers');
  for (const server of list) {
    const port = server.match(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:]+):(\d{1,5})$/)?.[1];
    if (!port || Number(port) > 65_535) throw new Error(`Invalid url in bootstrap.servers: ${server}`);
  }
  return list;
}

type Property = (name: string) => string | null;

/** In a one-line field a line break of a PEM text is written as the two characters `\n`. */
const lines = (text: string): string => text.replaceAll('\\n', '\n');

/** Key stores of Java's own format can not be read: PEM, in the properties themselves or in a file. */
function tlsOptions(property: Property): TlsOptions {
  const pem = (kind: 'truststore' | 'keystore', own: string): string | null => {
    const inline = property(own);
    if (inline) return lines(inline);
    const location = property(`ssl.${kind}.location`);
    if (!location) return null;
    const type = (property(`ssl.${kind}.type`) ?? 'JKS').toUpperCase();
    if (type !== 'PEM') throw new Error(`Key stores of type ${type} are not supported: set ssl.${kind}.type=PEM`);
    return readFileSync(location, 'utf8');
  };
  const ca = pem('truststore', 'ssl.truststore.certificates');
  const cert = pem('keystore', 'ssl.keystore.certificate.chain');
  const key = property('ssl.keystore.key');
  const passphrase = property('ssl.key.password');
  return {
    ...(ca && { ca }),
    // A PEM key store is one file with both.
    ...(cert && { cert, key: key ? lines(key) : cert }),
    ...(passphrase && { passphrase }),
    ...(property('ssl.endpoint.identification.algorithm') === '' && { checkServerIdentity: () => undefined }),
  };
}

function saslOptions(property: Property): SASLOptions {
  const wanted = property('sasl.mechanism') ?? 'GSSAPI';
  const mechanism = MECHANISMS.find((each) => each === wanted);
  if (!mechanism) throw invalid('sasl.mechanism', wanted, MECHANISMS);
  const jaas = property('sasl.jaas.config') ?? '';
  if (!jaas.trim()) throw new Error("Could not find a 'KafkaClient' entry in the JAAS configuration: sasl.jaas.config is not set");
  const option = (name: string): string => {
    const value = jaas.match(new RegExp(`\\b${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`));
    return (value?.[1]?.replaceAll(/\\(.)/g, '$1') ?? value?.[2]) || '';
  };
  if (mechanism !== 'OAUTHBEARER') return { mechanism, username: option('username'), password: option('password') };
  const token = option('token') || option('oauth.token');
  if (!token) throw new Error('sasl.jaas.config has no token for OAUTHBEARER');
  return { mechanism, token };
}

/** Nothing is wrong with the message: the broker is not there, is not ready, or does not take our login. */
export function isKafkaAway(cause: unknown): boolean {
  if (isNetworkFault(cause)) return true;
  const faults = [...chainOf(cause)] as (Error & { code?: string; canRetry?: boolean })[];
  if (faults.some(({ code }) => code === 'PLT_KFK_AUTHENTICATION')) return true;
  if (faults.some(({ canRetry }) => canRetry === false)) return false;
  return faults.some(({ code = '', canRetry }) => canRetry || AWAY_CODES.has(code));
}
const AWAY_CODES = new Set(['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT']);

/** The one error that says why: the client wraps it in what it was doing. */
export function kafkaCause(cause: unknown): unknown {
  const faults = [...chainOf(cause)] as (Error & { code?: string })[];
  return faults.findLast(({ code }) => code === 'PLT_KFK_PROTOCOL') ?? faults.find((fault) => !(fault instanceof AggregateError)) ?? cause;
}
