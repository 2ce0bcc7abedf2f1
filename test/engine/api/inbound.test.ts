import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { NotDurable } from '#engine/errors.ts';
import type { InboundReply, InboundRequest } from '#engine/integration.ts';
import { type Api, startApi } from '#test/support/api.ts';
import { eventually, within } from '#test/support/wait.ts';

let api: Api;
const seen: { type: string; routingKey: string; request: InboundRequest }[] = [];
let answer: () => InboundReply | Promise<InboundReply>;

before(async () => {
  api = await startApi();
  Object.assign(api.context.control.integrations, {
    inbound: async (type: string, routingKey: string, request: InboundRequest) => {
      seen.push({ type, routingKey, request });
      return answer();
    },
  });
});
after(() => api.close());

const PATH = '/api/v1/integrations/http/key-1';
const send = (init: RequestInit, query = '') => fetch(api.url + PATH + query, init);

test('bytes, headers and query arrive as they were sent, without login', async () => {
  answer = () => ({ status: 204 });
  const body = Uint8Array.of(0, 255, 1);
  const response = await send({ method: 'PUT', body, headers: { 'Content-Type': 'application/x-odd', 'X-Key': 'a' } }, '?event=up&a=1&a=2');
  assert.deepEqual([response.status, await response.text()], [204, '']);
  const { type, routingKey, request: got } = seen.at(-1)!;
  assert.deepEqual(
    [type, routingKey, got.method, Buffer.from(got.body), got.query],
    ['http', 'key-1', 'PUT', Buffer.from(body), { event: 'up', a: '1,2' }],
  );
  assert.deepEqual([got.headers['content-type'], got.headers['x-key']], ['application/x-odd', 'a']);
});

for (const type of ['json', '', ';;', 'text/']) {
  test(`a content type that is none ('${type}') is no reason to refuse, and arrives as it was sent`, async () => {
    answer = () => ({ status: 204 });
    const response = await send({ method: 'POST', body: Uint8Array.of(1), headers: { 'Content-Type': type } });
    const { request: got } = seen.at(-1)!;
    assert.deepEqual([response.status, Buffer.from(got.body), got.headers['content-type']], [204, Buffer.of(1), type]);
  });
}

/** What a server answers to bytes that are no request of a client library. */
async function raw(bytes: string): Promise<{ status: string; body: unknown }> {
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  socket.end(bytes);
  let text = '';
  for await (const piece of socket) text += piece;
  const [head, body] = text.split('\r\n\r\n');
  const { timestamp: _timestamp, ...json } = JSON.parse(body!);
  return { status: head!.split('\r\n', 1)[0]!, body: json };
}

for (const { name, bytes, status, message } of [
  {
    name: 'a wrong length',
    bytes: `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n`,
    status: '400 Bad Request',
    message: 'Bad Request',
  },
  {
    name: 'headers of 17 KB',
    bytes: `POST ${PATH} HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(17_000)}\r\n\r\n`,
    status: '431 Request Header Fields Too Large',
    message: 'The headers are too large',
  },
  {
    name: 'a path that is no text',
    bytes: 'POST /api/v1/integrations/http/%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    status: '400 Bad Request',
    message: "'/api/v1/integrations/http/%ff' is not a valid url component",
  },
]) {
  test(`${name} is refused in the shape of every error`, async () => {
    assert.deepEqual(await raw(bytes), { status: `HTTP/1.1 ${status}`, body: { status: Number(status.slice(0, 3)), message, errorCode: 31 } });
  });
}

test('half a request does not hold its connection for ever', () => {
  assert.equal(api.app.server.requestTimeout, 300_000);
});

for (const [name, reply, want] of [
  ['a text', { status: 200, headers: { 'Content-Type': 'text/plain' }, body: 'hi' }, [200, 'text/plain', 'hi']],
  [
    'bytes',
    { status: 200, headers: { 'Content-Type': 'application/octet-stream' }, body: Uint8Array.of(104, 105) },
    [200, 'application/octet-stream', 'hi'],
  ],
  [
    'a refusal',
    { status: 403, headers: { 'Content-Type': 'application/json' }, body: '{"status":403}' },
    [403, 'application/json', '{"status":403}'],
  ],
  ['nothing', { status: 200 }, [200, null, '']],
] as const) {
  test(`the integration's answer goes out as it is: ${name}`, async () => {
    answer = () => reply;
    const response = await send({ method: 'POST', body: '{}' });
    assert.deepEqual([response.status, response.headers.get('content-type'), await response.text()], want);
  });
}

test('whoever gave the answer learns that it was written', async () => {
  const told: boolean[] = [];
  answer = () => ({ status: 200, body: 'downlink', written: (ok) => told.push(ok) });
  await (await send({ method: 'GET' })).text();
  await eventually(() => told.length > 0, 'written');
  assert.deepEqual(told, [true]);
});

test('or that it was not', async () => {
  const told: boolean[] = [];
  const gone = new Promise<void>((resolve) => api.app.server.once('connection', (socket) => socket.once('close', resolve)));
  const sending = request(api.url + PATH, { method: 'POST', agent: false });
  sending.on('error', () => {}); // we hang up ourselves
  answer = async () => {
    sending.destroy();
    await within(gone, 'the end of the connection');
    return { status: 200, body: 'downlink', written: (ok) => told.push(ok) };
  };
  sending.end('{}');
  await eventually(() => told.length > 0, 'not written');
  assert.deepEqual(told, [false]);
});

test('not durable: 503 and come again', async () => {
  answer = () => Promise.reject(new NotDurable(new Error('disk full')));
  const response = await send({ method: 'POST', body: '{}' });
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '1']);
});

test('a body over the limit: 413 after it was read, and the integration never sees it', async () => {
  const before = seen.length;
  const response = await send({ method: 'POST', body: Buffer.alloc(api.context.maxUplinkBytes + 1) });
  assert.equal(response.status, 413);
  assert.equal(((await response.json()) as { errorCode: number }).errorCode, 31);
  assert.equal(seen.length, before);
});

for (const method of ['HEAD', 'DELETE', 'PATCH']) {
  test(`${method} is no uplink: 405`, async () => {
    const before = seen.length;
    const response = await send({ method });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST, PUT, GET']);
    assert.equal(seen.length, before);
  });
}
