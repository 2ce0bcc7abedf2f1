import { STATUS_CODES } from 'node:http';
import { errorText } from '#engine/errors.ts';
import { parseJson } from '#engine/json.ts';
import { type Message, withChanges } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import { compilePattern, fillPattern, jsonEscaped } from '#engine/pattern.ts';
import type { Credentials } from './credentials.ts';
import type { HttpAnswer, HttpOptions } from './http.ts';
import { plainTextOf } from './plain-text.ts';
import { reencodedUrl, urlWithParameters } from './url.ts';

/** From message to request and from answer to message, as "rest api call" does it (rule-nodes §3.7). */

export const SYSTEM_LIMIT_KB = 25_000;

export interface RestConfig {
  readonly restEndpointUrlPattern: string | null;
  readonly requestMethod: string | null;
  readonly queryParams: readonly { readonly key: string | null; readonly value: string | null }[] | null;
  readonly headers: Readonly<Record<string, string | null>> | null;
  readonly parseToPlainText: boolean;
  readonly ignoreRequestBody: boolean;
  readonly requestBodyTemplate: string | null;
  readonly credentials: Credentials | null;
}

export interface RestRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** @throws Error with the text of the failure. */
export function requestOf(message: Message, config: RestConfig): RestRequest {
  const method = config.requestMethod ?? '';
  if (!/^[A-Za-z]+$/.test(method)) throw new Error(`Invalid request method: ${JSON.stringify(config.requestMethod)}`);
  return { method, url: urlOf(message, config), headers: headersOf(message, config), body: bodyOf(message, method, config) };
}

function urlOf(message: Message, { restEndpointUrlPattern, queryParams }: RestConfig): URL {
  if (restEndpointUrlPattern === null) throw new Error('Url string cannot be null!');
  const text = fillPattern(restEndpointUrlPattern, message);
  if (queryParams === null) return reencodedUrl(text);
  return urlWithParameters(
    text,
    queryParams.map(({ key, value }) => [fillPattern(key ?? '', message), fillPattern(value ?? '', message)]),
  );
}

/** What is sent to, for the outbox; a message from which none can be made fails alone. */
export function originOf(message: Message, config: RestConfig): string {
  try {
    return urlOf(message, config).origin;
  } catch {
    return '';
  }
}

function headersOf(message: Message, { headers, credentials }: RestConfig): Record<string, string> {
  const filled: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value !== null) filled[fillPattern(name, message)] = fillPattern(value, message);
  }
  if (credentials?.type === 'basic')
    filled['Authorization'] = `Basic ${Buffer.from(`${credentials.username ?? ''}:${credentials.password ?? ''}`).toString('base64')}`;
  return filled;
}

function bodyOf(message: Message, method: string, { ignoreRequestBody, parseToPlainText, requestBodyTemplate }: RestConfig): string | null {
  if (ignoreRequestBody || !WITH_BODY.has(method)) return null;
  if (requestBodyTemplate === null || requestBodyTemplate.trim() === '') return parseToPlainText ? plainTextOf(message.data) : message.data;
  if (parseToPlainText) return plainTextOf(fillPattern(requestBodyTemplate, message));
  const body = compilePattern(requestBodyTemplate, jsonEscaped)(message);
  try {
    parseJson(body);
  } catch (cause) {
    throw new Error(`Request body template produced invalid JSON: ${errorText(cause)}`, { cause });
  }
  return body;
}

/** @throws Error when a proxy is wanted and none is named. */
export function proxyOf(config: {
  readonly enableProxy: boolean;
  readonly useSystemProxyProperties: boolean;
  readonly proxyHost: string | null;
  readonly proxyPort: number;
  readonly proxyUser: string | null;
  readonly proxyPassword: string | null;
}): HttpOptions['proxy'] {
  if (!config.enableProxy) return undefined;
  if (config.useSystemProxyProperties) return 'system';
  if (!config.proxyHost || !(config.proxyPort > 0 && config.proxyPort <= 65_535)) throw new Error('Proxy host and port must be set!');
  return {
    host: config.proxyHost,
    port: config.proxyPort,
    ...(config.proxyUser && { user: config.proxyUser, password: config.proxyPassword ?? '' }),
  };
}

const reasonOf = (status: number): string => STATUS_CODES[status] ?? '';
/** `NOT_FOUND`, as the constants of the original are called. */
const constantOf = (status: number): string =>
  (STATUS_CODES[status] ?? String(status))
    .replace(/^I'm/, 'I am')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toUpperCase();

/** Peers that ask for another try later: without a Failure path the message waits, instead of being lost to a busy minute. */
const TEMPORARY: ReadonlySet<number> = new Set([429, 503]);

/** @param request method and URL without its query, for the error text. */
export function answered(message: Message, { status, headers, body }: HttpAnswer, request: string): Emission {
  if (status >= 200 && status < 300) {
    const metadata = { ...message.metadata, ...facts(status), ...headerFacts(headers) };
    return { to: 'Success', message: withChanges(message, { metadata, data: body === '' ? '{}' : body }) };
  }
  const error = `${status} ${reasonOf(status)} from ${request}`;
  const metadata =
    status < 400
      ? { ...message.metadata, ...facts(status), ...(body !== '' && { error_body: body }), ...headerFacts(headers) }
      : { ...message.metadata, error, status: reasonOf(status), statusCode: String(status), error_body: body };
  return { to: 'Failure', message: withChanges(message, { metadata }), error, ...(TEMPORARY.has(status) && { away: true }) };
}

const facts = (status: number) => ({ status: constantOf(status), statusCode: String(status), statusReason: reasonOf(status) });

/** One value as it is, several as the text of a JSON array. Names differ in more than their case. */
function headerFacts(headers: HttpAnswer['headers']): Record<string, string> {
  const byName = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (const [name, value] of headers) {
    const known = byName.get(name.toLowerCase());
    if (known) known.values.push(value);
    else byName.set(name.toLowerCase(), { name, values: [value] });
  }
  return Object.fromEntries([...byName.values()].map(({ name, values }) => [name, values.length === 1 ? values[0]! : JSON.stringify(values)]));
}
