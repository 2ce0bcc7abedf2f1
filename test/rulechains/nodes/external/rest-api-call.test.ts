import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import test, { after, before } from 'node:test';
import restApiCall from '#rulechains/nodes/external/rest-api-call.ts';
import { type ExternalOptions, external, sendAll } from '#test/support/external.ts';
import { type HttpServer, type Reply, type Seen, startHttp } from '#test/support/http-server.ts';
import { message } from '#test/support/message.ts';

let server: HttpServer;
before(async () => {
  server = await startHttp();
});
after(() => server.close());

type Config = Record<string, unknown>;

/** One message through the node: where it went, and what the server saw of it. */
async function call(config: Config, given = message(), reply: Reply = (response) => void response.end(), options: ExternalOptions = {}) {
  server.seen.length = 0;
  server.answerWith(reply);
  const [outcome] = await sendAll(restApiCall, [given], { ...options, config: { restEndpointUrlPattern: `${server.base}/in`, ...config } });
  return { outcome, request: server.seen[0] };
}

for (const { name, config = {}, given = message({ data: { a: 1.0, b: 'x' } }), request } of [
  {
    name: 'the data as it came, with the headers of the configuration',
    given: message({ data: '{"a": 1.0,"b":9007199254740993}', metadata: { key: 'k1' } }),
    config: { headers: { 'Content-Type': 'application/json', 'X-${key}': '${key}-$[b]' } },
    request: {
      method: 'POST',
      url: '/in',
      body: '{"a": 1.0,"b":9007199254740993}',
      has: ['Content-Type', 'application/json', 'X-k1', 'k1-9007199254740993'],
    },
  },
  {
    name: 'no content type given',
    config: { headers: {} },
    request: { method: 'POST', body: '{"a":1,"b":"x"}', has: ['Content-Type', 'text/plain;charset=UTF-8'] },
  },
  { name: 'GET has no body', config: { requestMethod: 'GET' }, request: { method: 'GET', body: '' } },
  { name: 'DELETE has one', config: { requestMethod: 'DELETE' }, request: { method: 'DELETE', body: '{"a":1,"b":"x"}' } },
  { name: 'no body when it is ignored', config: { ignoreRequestBody: true }, request: { method: 'POST', body: '' } },
  {
    name: 'patterns in the URL',
    config: { restEndpointUrlPattern: '@/d/${deviceName}/$[b]' },
    given: message({ data: { b: 'x' }, metadata: { deviceName: 'TH 1' } }),
    request: { url: '/d/TH%201/x' },
  },
  {
    name: 'a URL that is encoded already is not encoded again',
    config: { restEndpointUrlPattern: '@/a%20b?x=%41' },
    request: { url: '/a%20b?x=%41' },
  },
  {
    name: 'query parameters are encoded once (§6 row 24)',
    config: {
      queryParams: [
        { key: 'q', value: 'a + b' },
        { key: 'p', value: '%20' },
        { key: '', value: '' },
        { key: 'n', value: null },
        { key: '${k}', value: '$[b]&=' },
      ],
    },
    given: message({ data: { b: 'x' }, metadata: { k: 'k/1' } }),
    request: { url: '/in?q=a%20%2B%20b&p=%2520&=&n=&k%2F1=x%26%3D' },
  },
  {
    name: 'query parameters behind those of the URL',
    config: { restEndpointUrlPattern: '@/in?a=1', queryParams: [{ key: 'b', value: '2' }] },
    request: { url: '/in?a=1&b=2' },
  },
  {
    name: 'old files: the whole URL is encoded (§6 row 24)',
    config: { queryParams: null, restEndpointUrlPattern: '@/data?d={"a": 12}' },
    request: { url: '/data?d=%7B%22a%22:%2012%7D' },
  },
  {
    name: 'old files: a second time where it is encoded already',
    config: { queryParams: null, restEndpointUrlPattern: '@/a%20b?x=a+b%20c&y&z=' },
    request: { url: '/a%2520b?x=a+b%2520c&y&z=' },
  },
  { name: 'plain text: without quotes', config: { parseToPlainText: true }, given: message({ data: '"a\\n\\"b\\""' }), request: { body: 'a\n"b"' } },
  { name: 'plain text: an object stays', config: { parseToPlainText: true }, given: message({ data: '{"a":1}' }), request: { body: '{"a":1}' } },
  {
    name: 'a template escapes what it puts in (§6 row 3)',
    config: { requestBodyTemplate: '{"name":"${user}","v":$[v],"s":"$[s]","all":$[*]}' },
    given: message({ data: '{"v":1.0,"s":"a\\"b"}', metadata: { user: 'John "Doe"' } }),
    request: { body: '{"name":"John \\"Doe\\"","v":1.0,"s":"a\\"b","all":{"v":1.0,"s":"a\\"b"}}' },
  },
  { name: 'a blank template is none', config: { requestBodyTemplate: '  ' }, given: message({ data: '[1]' }), request: { body: '[1]' } },
  {
    name: 'a template in plain text',
    config: { parseToPlainText: true, requestBodyTemplate: '"hi ${user}"' },
    given: message({ metadata: { user: 'Jo' } }),
    request: { body: 'hi Jo' },
  },
  { name: 'data that is a scalar', given: message({ data: '42' }), request: { body: '42' } },
  {
    name: 'user and password',
    config: { headers: {}, credentials: { type: 'basic', username: 'ü', password: 'p:w', somethingNew: 1 } },
    request: { has: ['Authorization', `Basic ${Buffer.from('ü:p:w').toString('base64')}`] },
  },
  { name: 'null credentials and headers', config: { headers: null, credentials: null }, request: { method: 'POST' } },
  {
    name: 'headers of the connection are not the user’s',
    config: { headers: { 'Content-Length': '3', 'transfer-encoding': 'chunked' } },
    request: { body: '{"a":1,"b":"x"}' },
  },
] as { name: string; config?: Config; given?: ReturnType<typeof message>; request: Partial<Omit<Seen, 'headers'>> & { has?: string[] } }[])
  test(`request: ${name}`, async () => {
    const url = (config['restEndpointUrlPattern'] as string | undefined)?.replace('@', server.base);
    const { outcome, request: came } = await call({ ...config, ...(url && { restEndpointUrlPattern: url }) }, given);
    assert.ok(came, JSON.stringify(outcome));
    const { has = [], ...expected } = request;
    for (const [key, value] of Object.entries(expected)) assert.equal(came[key as keyof Seen], value);
    for (let at = 0; at < has.length; at += 2) {
      const index = came.headers.indexOf(has[at]!);
      assert.equal(came.headers[index + 1], has[at + 1], `${has[at]}: ${came.headers}`);
    }
  });

const INPUT = { data: { in: 1 }, metadata: { old: 'x' } };

for (const { name, reply, outcome } of [
  {
    name: '200 with a body and headers; several of one name are a list',
    reply: (response: ServerResponse) => response.writeHead(200, { 'X-One': 'a', 'X-Two': ['b', 'c'] }).end('{"ok":1.0}'),
    outcome: {
      to: 'Success',
      data: '{"ok":1.0}',
      metadata: { old: 'x', status: 'OK', statusCode: '200', statusReason: 'OK', 'X-One': 'a', 'X-Two': '["b","c"]', 'Transfer-Encoding': 'chunked' },
    },
  },
  {
    name: '204 without a body',
    reply: (response: ServerResponse) => response.writeHead(204).end(),
    outcome: { to: 'Success', data: '{}', metadata: { old: 'x', status: 'NO_CONTENT', statusCode: '204', statusReason: 'No Content' } },
  },
  {
    name: 'text in another character set',
    reply: (response: ServerResponse) =>
      response.writeHead(201, { 'Content-Type': 'text/plain; charset=iso-8859-1', 'Content-Length': 2 }).end(Buffer.from([0xe4, 0x31])),
    outcome: {
      to: 'Success',
      data: 'ä1',
      metadata: {
        old: 'x',
        status: 'CREATED',
        statusCode: '201',
        statusReason: 'Created',
        'Content-Type': 'text/plain; charset=iso-8859-1',
        'Content-Length': '2',
      },
    },
  },
  {
    name: '404: the data stays',
    reply: (response: ServerResponse) => response.writeHead(404).end('gone'),
    outcome: {
      to: 'Failure',
      error: '404 Not Found from POST BASE/in',
      metadata: { old: 'x', error: '404 Not Found from POST BASE/in', status: 'Not Found', statusCode: '404', error_body: 'gone' },
    },
  },
  {
    name: '500 without a body',
    reply: (response: ServerResponse) => response.writeHead(500).end(),
    outcome: {
      to: 'Failure',
      error: '500 Internal Server Error from POST BASE/in',
      metadata: {
        old: 'x',
        error: '500 Internal Server Error from POST BASE/in',
        status: 'Internal Server Error',
        statusCode: '500',
        error_body: '',
      },
    },
  },
  ...[429, 503].map((status) => ({
    name: `${status}: come again`,
    reply: (response: ServerResponse) => response.writeHead(status, { 'Retry-After': '1' }).end('busy'),
    outcome: {
      to: 'Failure',
      away: true,
      error: `${status} ${status === 429 ? 'Too Many Requests' : 'Service Unavailable'} from POST BASE/in`,
      metadata: {
        old: 'x',
        error: `${status} ${status === 429 ? 'Too Many Requests' : 'Service Unavailable'} from POST BASE/in`,
        status: status === 429 ? 'Too Many Requests' : 'Service Unavailable',
        statusCode: String(status),
        error_body: 'busy',
      },
    },
  })),
  {
    name: 'a redirect is not followed',
    reply: (response: ServerResponse) => response.writeHead(302, { Location: 'http://127.0.0.1:1/secret', 'Content-Length': 3 }).end('see'),
    outcome: {
      to: 'Failure',
      error: '302 Found from POST BASE/in',
      metadata: {
        old: 'x',
        status: 'FOUND',
        statusCode: '302',
        statusReason: 'Found',
        error_body: 'see',
        Location: 'http://127.0.0.1:1/secret',
        'Content-Length': '3',
      },
    },
  },
] as { name: string; reply: Reply; outcome: unknown }[])
  test(`answer: ${name}`, async () => {
    const { outcome: got } = await call({}, message(INPUT), (response, request) => {
      response.sendDate = false;
      response.setHeader('Connection', 'close');
      reply(response, request);
    });
    const told = JSON.parse(JSON.stringify(got).replaceAll(server.base, 'BASE')) as { metadata: Record<string, string> };
    delete told.metadata['Connection'];
    assert.deepEqual(told, outcome);
    assert.equal(server.seen.length, 1);
  });

for (const { name, config, given = message(), outcome } of [
  { name: 'no URL', config: { restEndpointUrlPattern: null }, outcome: { to: 'Failure', error: 'Url string cannot be null!' } },
  { name: 'an empty URL', config: { restEndpointUrlPattern: '' }, outcome: { to: 'Failure', error: 'Url string cannot be empty!' } },
  {
    name: 'no scheme',
    config: { restEndpointUrlPattern: '/api/x' },
    outcome: { to: 'Failure', error: 'Transport scheme(protocol) must be provided!' },
  },
  {
    name: 'no scheme, old way',
    config: { restEndpointUrlPattern: 'localhost/api', queryParams: null },
    outcome: { to: 'Failure', error: 'Transport scheme(protocol) must be provided!' },
  },
  { name: 'no host', config: { restEndpointUrlPattern: 'http:///x' }, outcome: { to: 'Failure', error: 'Url string is invalid!' } },
  { name: 'a host that is none', config: { restEndpointUrlPattern: 'http://a b/x' }, outcome: { to: 'Failure', error: 'Url string is invalid!' } },
  {
    name: 'another scheme',
    config: { restEndpointUrlPattern: 'file://etc/passwd' },
    outcome: { to: 'Failure', error: 'Transport scheme(protocol) must be http or https, not file!' },
  },
  { name: 'no method', config: { requestMethod: null }, outcome: { to: 'Failure', error: 'Invalid request method: null' } },
  { name: 'a method that is none', config: { requestMethod: 'GET /x' }, outcome: { to: 'Failure', error: 'Invalid request method: "GET /x"' } },
  { name: 'data that is no JSON', config: {}, given: message({ data: 'text' }), outcome: { to: 'Failure', error: 'Failed to process pattern!' } },
  { name: 'empty data', config: {}, given: message({ data: '' }), outcome: { to: 'Failure', error: 'Failed to process pattern!' } },
  {
    name: 'a line break from metadata in a header',
    config: { headers: { 'X-A': '${v}' } },
    given: message({ metadata: { v: 'a\r\nHost: evil' } }),
    outcome: {
      to: 'Failure',
      error: 'Invalid value of the header X-A: it has line breaks or characters that a header can not carry',
      retry: 'never',
    },
  },
  {
    name: 'a line break from metadata in the name of a header',
    config: { headers: { '${v}': '1' } },
    given: message({ metadata: { v: 'a\r\nHost' } }),
    outcome: { to: 'Failure', error: 'Invalid header name: "a\\r\\nHost"', retry: 'never' },
  },
  {
    name: 'a line break from metadata in the URL is encoded, not sent',
    config: { restEndpointUrlPattern: 'http://127.0.0.1:1/${v}' },
    given: message({ metadata: { v: 'a HTTP/1.1\r\nHost: evil' } }),
    outcome: { to: 'Failure', error: 'Not connected to 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1', retry: 'reconnect' },
  },
  {
    name: 'a metadata address',
    config: { restEndpointUrlPattern: 'http://169.254.169.254/latest' },
    outcome: {
      to: 'Failure',
      error: 'Connecting to 169.254.169.254 is refused: it is a link-local or cloud metadata address. The setting ALLOWED_HOSTS lets it through',
      retry: 'never',
    },
  },
  {
    name: 'a name that does not resolve',
    config: { restEndpointUrlPattern: 'http://nowhere.invalid/x' },
    outcome: { to: 'Failure', retry: 'reconnect' },
  },
] as { name: string; config: Config; given?: ReturnType<typeof message>; outcome: Record<string, unknown> }[])
  test(`refused: ${name}`, async () => {
    const { outcome: got } = await call(config, given);
    // Who says how a name is not found depends on the machine.
    if (outcome['error'] === undefined) delete (got as Record<string, unknown>)['error'];
    assert.deepEqual(got, outcome);
    assert.equal(server.seen.length, 0);
  });

test('a template that gives no JSON', async () => {
  const { outcome } = await call({ requestBodyTemplate: '{"a":$[a]}' });
  assert.match((outcome as { error: string }).error, /^Request body template produced invalid JSON: /);
});

for (const { name, config, says } of [
  {
    name: 'a CA that is none',
    config: { credentials: { type: 'cert.PEM', caCert: 'nonsense' } },
    says: /^The CA certificate is not a certificate in PEM$/,
  },
  {
    name: 'a key that is none',
    config: { credentials: { type: 'cert.PEM', cert: 'x', privateKey: 'y' } },
    says: /^The certificate or its private key can not be used: /,
  },
  { name: 'credentials of a type that is not there', config: { credentials: { type: 'magic' } }, says: /^Can't convert value: / },
  { name: 'an unknown key', config: { maxRedirects: 1 }, says: /^Can't convert value: / },
  {
    name: 'a buffer beyond the limit',
    config: { maxInMemoryBufferSizeInKb: 25_001 },
    says: /^The configured maximum in-memory buffer size \(in KB\) exceeds the system limit.*25000 KB\.$/,
  },
  { name: 'a proxy without a host', config: { enableProxy: true }, says: /^Proxy host and port must be set!$/ },
] as { name: string; config: Config; says: RegExp }[])
  test(`does not start: ${name}`, () => assert.rejects(external(restApiCall, { config }), (cause: Error) => says.test(cause.message)));

for (const { from, old, upgraded } of [
  {
    from: 0,
    old: { restEndpointUrlPattern: 'u', trimDoubleQuotes: true },
    upgraded: { restEndpointUrlPattern: 'u', parseToPlainText: true, maxInMemoryBufferSizeInKb: 256, requestBodyTemplate: null },
  },
  { from: 0, old: { parseToPlainText: true }, upgraded: { parseToPlainText: true, maxInMemoryBufferSizeInKb: 256, requestBodyTemplate: null } },
  {
    from: 1,
    old: { useRedisQueueForMsgPersistence: false, trimQueue: false, maxQueueSize: 0, parseToPlainText: false },
    upgraded: { parseToPlainText: false, maxInMemoryBufferSizeInKb: 256, requestBodyTemplate: null },
  },
  { from: 2, old: { maxInMemoryBufferSizeInKb: 512 }, upgraded: { maxInMemoryBufferSizeInKb: 512, requestBodyTemplate: null } },
  {
    from: 3,
    old: { headers: {}, queryParams: [], useSimpleClientHttpFactory: true, requestBodyTemplate: 'x' },
    upgraded: { headers: {}, requestBodyTemplate: null },
  },
] as { from: number; old: Config; upgraded: Config }[])
  test(`upgrade from ${from}: ${JSON.stringify(old)}`, () =>
    assert.deepEqual(
      restApiCall.upgrades!.slice(from).reduce((config, step) => step(config), old),
      upgraded,
    ));

test('preview and target are made of the message', async () => {
  const config = {
    ...restApiCall.defaults,
    restEndpointUrlPattern: 'http://${host}/x',
    credentials: { type: 'basic', username: 'u', password: 'secret' },
  } as never;
  const given = message({ data: { a: 1 }, metadata: { host: 'h.example:81' } });
  assert.equal(restApiCall.target!(given, config), 'http://h.example:81');
  assert.equal(restApiCall.target!(message({ data: 'no JSON' }), config), '');
  assert.deepEqual(restApiCall.preview!(given, config), {
    url: 'http://h.example:81/x',
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: '(hidden)' },
    body: '{"a":1}',
  });
  const limits = { maxParallelRequestsCount: 3, readTimeoutMs: 1000 } as never;
  assert.deepEqual([restApiCall.parallel!(limits), restApiCall.sendTimeoutMs!(limits)], [3, 16_000]);
});
