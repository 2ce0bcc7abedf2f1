import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { credentials, tlsOf } from '../../shared/credentials.ts';
import { nullable } from '../../shared/fields.ts';
import { checkPem, openHttp } from '../../shared/http.ts';
import { answered, originOf, proxyOf, requestOf, SYSTEM_LIMIT_KB } from '../../shared/rest-call.ts';

const DEFAULT_BUFFER_KB = 256;
/** Connecting has its own limit; without a read timeout an answer may take this long altogether. */
const CONNECT_MS = 15_000;
const LONGEST_MS = 300_000;

/** A redirect is an answer: it is not followed, and takes Failure. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.rest.TbRestApiCallNode',
  version: 4,
  family: 'EXTERNAL',
  label: 'rest api call',
  summary: 'Sends an HTTP request and goes on with its answer.',
  relations: ['Success'],
  effect: true,
  config: Config({
    restEndpointUrlPattern: nullable(Type.String(), {
      title: 'URL',
      description: 'Pattern, with scheme and host.',
      examples: ['https://api.example.com/v1/${deviceName}'],
    }),
    requestMethod: nullable(Type.String(), { title: 'Method', description: 'GET, POST, PUT, PATCH, DELETE, …' }),
    queryParams: nullable(
      Type.Array(
        Type.Object({
          key: nullable(Type.String(), { title: 'Name', description: 'Pattern.' }),
          value: nullable(Type.String(), { title: 'Value', description: 'Pattern.' }),
        }),
      ),
      {
        title: 'Query parameters',
        description: 'Encoded and appended to the URL. None at all (not even an empty list): the URL is encoded as a whole, the old way.',
      },
    ),
    headers: nullable(Type.Record(Type.String(), nullable(Type.String(), { title: 'Value', description: 'Pattern.' })), {
      title: 'Headers',
      description: 'Name and value are patterns.',
    }),
    readTimeoutMs: Type.Integer({ title: 'Read timeout', description: 'How long the other side may be silent. 0: no limit.', unit: 'ms' }),
    maxParallelRequestsCount: Type.Integer({ title: 'Requests at a time', description: 'Others wait. 0: no limit.' }),
    parseToPlainText: Type.Boolean({ title: 'Body as plain text', description: 'A JSON string is sent without its quotes.' }),
    ignoreRequestBody: Type.Boolean({ title: 'No body', description: 'Sends none, whatever the method.' }),
    requestBodyTemplate: nullable(Type.String(), { title: 'Body', description: 'Pattern. None: the message data.', control: 'code' }),
    maxInMemoryBufferSizeInKb: Type.Integer({
      title: 'Longest answer',
      description: `Up to ${SYSTEM_LIMIT_KB}. A longer one takes Failure.`,
      unit: 'KB',
    }),
    enableProxy: Type.Boolean({ title: 'Use a proxy', description: 'Requests go through a proxy.' }),
    useSystemProxyProperties: Type.Boolean({ title: 'Proxy of the system', description: 'HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment.' }),
    proxyHost: nullable(Type.String(), { title: 'Proxy host', description: 'Name or address.' }),
    proxyPort: Type.Integer({ title: 'Proxy port', description: 'TCP port.' }),
    proxyUser: nullable(Type.String(), { title: 'Proxy user', description: 'None: no login.' }),
    proxyPassword: nullable(Type.String(), { title: 'Proxy password', description: 'Of the proxy user.', control: 'password' }),
    credentials,
  }),
  defaults: {
    restEndpointUrlPattern: 'http://localhost/api',
    requestMethod: 'POST',
    queryParams: [],
    headers: { 'Content-Type': 'application/json' },
    readTimeoutMs: 0,
    maxParallelRequestsCount: 0,
    parseToPlainText: false,
    ignoreRequestBody: false,
    requestBodyTemplate: null,
    maxInMemoryBufferSizeInKb: DEFAULT_BUFFER_KB,
    enableProxy: false,
    useSystemProxyProperties: false,
    proxyHost: null,
    proxyPort: 0,
    proxyUser: null,
    proxyPassword: null,
    credentials: { type: 'anonymous' },
  },
  upgrades: [
    ({ trimDoubleQuotes, ...config }) =>
      trimDoubleQuotes === undefined ? { parseToPlainText: false, ...config } : { ...config, parseToPlainText: trimDoubleQuotes },
    ({ useRedisQueueForMsgPersistence: _redis, trimQueue: _trim, maxQueueSize: _size, ...config }) => config,
    (config) => ({ maxInMemoryBufferSizeInKb: DEFAULT_BUFFER_KB, ...config }),
    (config) => Object.fromEntries([...Object.entries(config).filter(([key]) => VERSION_3.has(key)), ['requestBodyTemplate', null]]),
  ],
  async start({ config }) {
    if (config.maxInMemoryBufferSizeInKb > SYSTEM_LIMIT_KB)
      throw new Error(
        `The configured maximum in-memory buffer size (in KB) exceeds the system limit for this parameter. The system limit is ${SYSTEM_LIMIT_KB} KB.`,
      );
    const tls = tlsOf(config.credentials);
    await checkPem(tls);
    const proxy = proxyOf(config);
    return openHttp({ tls, ...(proxy && { proxy }), readTimeoutMs: Math.max(0, config.readTimeoutMs) });
  },
  stop: (http) => http.stop(),
  target: originOf,
  parallel: ({ maxParallelRequestsCount }) => (maxParallelRequestsCount > 0 ? maxParallelRequestsCount : 64),
  sendTimeoutMs: ({ readTimeoutMs }) => (readTimeoutMs > 0 ? Math.min(readTimeoutMs + CONNECT_MS, LONGEST_MS) : LONGEST_MS),
  preview: (message, config) => {
    const { url, headers, ...request } = requestOf(message, config);
    return { url: url.href, headers: { ...headers, ...(config.credentials?.type === 'basic' && { Authorization: '(hidden)' }) }, ...request };
  },
  async send(message, { config, state, signal }) {
    const { method, url, headers, body } = requestOf(message, config);
    const limitKb = config.maxInMemoryBufferSizeInKb > 0 ? config.maxInMemoryBufferSizeInKb : DEFAULT_BUFFER_KB;
    const answer = await state.request({ method, url, headers: Object.entries(headers), body, maxBytes: limitKb * 1024, signal });
    return answered(message, answer, `${method} ${url.origin}${url.pathname}`);
  },
});

/** Keys of version 3; `queryParams` is not among them, so that an old node keeps its old way of encoding. */
const VERSION_3: ReadonlySet<string> = new Set([
  ...['restEndpointUrlPattern', 'requestMethod', 'headers', 'readTimeoutMs', 'maxParallelRequestsCount', 'parseToPlainText', 'ignoreRequestBody'],
  ...['maxInMemoryBufferSizeInKb', 'enableProxy', 'useSystemProxyProperties', 'proxyHost', 'proxyPort', 'proxyUser', 'proxyPassword', 'credentials'],
]);
