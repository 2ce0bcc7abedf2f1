import { isIP } from 'node:net';
import { TextDecoder } from 'node:util';
import type { Dispatcher } from 'undici';
import { AppError, ConfigError, errorText, NotConnected, Refused, Rejected, Timeout } from '#engine/errors.ts';
import { checkHost, checkLiteral, guardedLookup } from '#engine/outbound.ts';
import { connection } from './connection.ts';

/** HTTP for every node that speaks it: one way out, guarded at the socket (`#engine/outbound.ts`), with limits of time and size. */

export interface HttpOptions {
  /** PEM texts. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly passphrase?: string };
  /** `system`: HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment. */
  readonly proxy?: 'system' | { readonly host: string; readonly port: number; readonly user?: string; readonly password?: string };
  /** Between two pieces of the answer. 0: no limit of its own, the time of the message counts. */
  readonly readTimeoutMs?: number;
}

export interface HttpCall {
  readonly method: string;
  readonly url: URL | string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | null;
  /** A longer answer is refused. Default 1 MB. */
  readonly maxBytes?: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** In the order and spelling of the peer. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface HttpClient {
  /** Redirects are answers like any other. @throws ConfigError, NotConnected, Refused, Rejected, Timeout */
  request(call: HttpCall): Promise<HttpAnswer>;
  stop(): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 * 1024;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Visible characters, blanks, and bytes beyond ASCII; a line break would begin another header. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** They belong to the connection and not to the one who asks. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

export function openHttp(options: HttpOptions = {}): HttpClient {
  const shared = connection<Dispatcher>(
    () => dispatcherOf(options),
    (dispatcher) => dispatcher.destroy(),
  );
  return {
    async request(call) {
      const url = new URL(call.url);
      const host = url.host;
      checkLiteral(url.hostname);
      // Here the proxy resolves the name, where our check at the socket does not see it.
      if (options.proxy) await checkHost(url.hostname);
      const headers = headersOf(call);
      const dispatcher = await shared.use(call.signal);
      const { maxBytes = MAX_BYTES, method, body, signal } = call;
      try {
        const answer = await dispatcher.request({
          ...{ origin: url.origin, path: url.pathname + url.search, method: method as Dispatcher.HttpMethod, headers, body, signal },
          responseHeaders: 'raw',
        });
        const fields = pairs(answer.headers as unknown as (string | Buffer)[]);
        return { status: answer.statusCode, headers: fields, body: await textOf(answer.body, charsetOf(fields), maxBytes) };
      } catch (cause) {
        throw translated(cause, host, options.readTimeoutMs ?? 0, signal);
      }
    },
    stop: shared.stop,
  };
}

async function dispatcherOf({ tls, proxy, readTimeoutMs = 0 }: HttpOptions): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent, ProxyAgent } = await import('undici');
  const connect = { ...tls, lookup: guardedLookup, timeout: CONNECT_TIMEOUT_MS };
  // HTTP/1.1 as the original: header names keep their spelling.
  const settings = { allowH2: false, headersTimeout: readTimeoutMs, bodyTimeout: readTimeoutMs, connect };
  const proxied = { ...settings, proxyTls: { lookup: guardedLookup, allowH2: false }, requestTls: { ...tls, allowH2: false } };
  if (!proxy) return new Agent(settings);
  if (proxy === 'system') return new EnvHttpProxyAgent(proxied as ConstructorParameters<typeof EnvHttpProxyAgent>[0]);
  checkLiteral(proxy.host);
  const token = proxy.user ? { token: `Basic ${Buffer.from(`${proxy.user}:${proxy.password ?? ''}`).toString('base64')}` } : {};
  const host = isIP(proxy.host) === 6 ? `[${proxy.host}]` : proxy.host;
  return new ProxyAgent({ ...proxied, ...token, uri: `http://${host}:${proxy.port}` });
}

/** @throws Rejected when a name or a value is none that HTTP knows. */
function headersOf({ headers, body }: HttpCall): string[] {
  const flat: string[] = [];
  const given = new Set<string>();
  for (const [name, value] of headers) {
    if (!TOKEN.test(name)) throw new Rejected(`Invalid header name: ${JSON.stringify(name)}`);
    if (!FIELD_VALUE.test(value))
      throw new Rejected(`Invalid value of the header ${name}: it has line breaks or characters that a header can not carry`);
    if (OF_THE_CONNECTION.has(name.toLowerCase())) continue;
    given.add(name.toLowerCase());
    flat.push(name, value);
  }
  if (!given.has('accept')) flat.push('Accept', '*/*');
  if (!given.has('user-agent')) flat.push('User-Agent', 'fieldbridge');
  if (body !== null && !given.has('content-type')) flat.push('Content-Type', 'text/plain;charset=UTF-8');
  return flat;
}

function pairs(raw: readonly (string | Buffer)[]): [string, string][] {
  const found: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) found.push([latin(raw[at]!), latin(raw[at + 1]!)]);
  return found;
}
const latin = (text: string | Buffer): string => (typeof text === 'string' ? text : text.toString('latin1'));

const charsetOf = (headers: readonly (readonly [string, string])[]): string =>
  headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1].match(/charset\s*=\s*"?([^\s";]+)/i)?.[1] ?? 'utf-8';

async function textOf(body: AsyncIterable<Buffer>, charset: string, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Leaving the loop hangs up: an answer without end costs no more than this.
    if (size > maxBytes) throw new Rejected(`Exceeded limit on max bytes to buffer : ${maxBytes}`);
    chunks.push(chunk);
  }
  return decoder(charset).decode(Buffer.concat(chunks));
}

function decoder(charset: string): TextDecoder {
  try {
    return new TextDecoder(charset, { ignoreBOM: true });
  } catch {
    return new TextDecoder('utf-8', { ignoreBOM: true });
  }
}

/** Codes with which TLS says that it does not trust the other side. */
const UNTRUSTED = /^(ERR_TLS_CERT|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_|ERR_SSL_)/;

function translated(cause: unknown, host: string, readTimeoutMs: number, signal: AbortSignal): Error {
  if (cause instanceof AppError) return cause;
  if (signal.aborted) return new Timeout(`No answer from ${host} in the time that the message has`, { cause });
  // Several addresses were tried, each with its own error; the text of the whole is empty.
  const reason = cause instanceof AggregateError && cause.message === '' ? (cause.errors[0] as unknown) : cause;
  if (reason instanceof AppError) return reason;
  const code = String((reason as { code?: unknown } | null)?.code ?? '');
  if (UNTRUSTED.test(code)) return new Refused(`TLS with ${host} failed: ${errorText(reason)} (${code})`, { cause });
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
    return new Timeout(`No answer from ${host} within ${readTimeoutMs} ms`, { cause });
  if (reason instanceof Error && reason.name === 'HTTPParserError')
    return new Rejected(`${host} answered what is no HTTP: ${errorText(reason)}`, { cause });
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return new Rejected(errorText(reason), { cause });
  return new NotConnected(host, reason);
}

/** @throws ConfigError when a text is no PEM: better at the start of the node than with every message. */
export async function checkPem({ ca, cert, key, passphrase }: NonNullable<HttpOptions['tls']>): Promise<void> {
  const { createSecureContext } = await import('node:tls');
  const { X509Certificate } = await import('node:crypto');
  try {
    // The TLS library passes over an authority that it can not read.
    if (ca !== undefined) new X509Certificate(ca);
  } catch (cause) {
    throw new ConfigError('The CA certificate is not a certificate in PEM', { cause });
  }
  try {
    createSecureContext({ cert, key, passphrase });
  } catch (cause) {
    throw new ConfigError(`The certificate or its private key can not be used: ${errorText(cause)}`, { cause });
  }
}
