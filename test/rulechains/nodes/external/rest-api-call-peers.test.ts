import assert from 'node:assert/strict';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import test, { after, before } from 'node:test';
import restApiCall from '#rulechains/nodes/external/rest-api-call.ts';
import { type Certificates, makeCertificates } from '#test/support/certificates.ts';
import { type ExternalOptions, external, sendAll } from '#test/support/external.ts';
import { type HttpServer, type Reply, startHttp } from '#test/support/http-server.ts';
import { message } from '#test/support/message.ts';
import { freePort } from '#test/support/servers.ts';
import { eventually } from '#test/support/wait.ts';

/** Peers that answer too much, too late, not at all, or are not who they should be; and the ways around. */

let server: HttpServer;
let certificates: Certificates;
before(async () => {
  server = await startHttp();
  certificates = makeCertificates();
});
after(() => {
  server.close();
  certificates.close();
});

type Config = Record<string, unknown>;

/** One message through the node: where it went, and what the server saw of it. */
async function call(config: Config, given = message(), reply: Reply = (response) => void response.end(), options: ExternalOptions = {}) {
  server.seen.length = 0;
  server.answerWith(reply);
  const [outcome] = await sendAll(restApiCall, [given], { ...options, config: { restEndpointUrlPattern: `${server.base}/in`, ...config } });
  return { outcome, request: server.seen[0] };
}

test('an answer of 50 MB is cut off', async () => {
  let sent = 0;
  const { outcome } = await call({}, message(), (response) => {
    const chunk = Buffer.alloc(64 * 1024, 97);
    const more = (): void => {
      while (sent < 50 * 1024 * 1024) {
        sent += chunk.length;
        if (!response.write(chunk)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  });
  assert.deepEqual(outcome, { to: 'Failure', error: 'Exceeded limit on max bytes to buffer : 262144', retry: 'never' });
  assert.ok(sent < 20 * 1024 * 1024, `${sent} bytes went out`);
});

test('the limit of the configuration counts', async () => {
  const { outcome } = await call({ maxInMemoryBufferSizeInKb: 300 }, message(), (response) => void response.end('a'.repeat(280 * 1024)));
  assert.equal((outcome as { data: string }).data.length, 280 * 1024);
});

test('an answer without end is left when the time is over', async () => {
  let closed = false;
  const { outcome } = await call(
    {},
    message(),
    (response) => {
      const timer = setInterval(() => response.write('x'), 5);
      response.on('close', () => {
        closed = true;
        clearInterval(timer);
      });
    },
    { signal: AbortSignal.timeout(100) },
  );
  assert.deepEqual(outcome, { to: 'Failure', error: `No answer from ${server.base.slice(7)} in the time that the message has`, retry: 'later' });
  await eventually(() => closed, 'the connection is given up');
});

test('a peer that is silent for longer than the read timeout', async () => {
  const { outcome } = await call({ readTimeoutMs: 100 }, message(), () => {});
  assert.deepEqual(outcome, { to: 'Failure', error: `No answer from ${server.base.slice(7)} within 100 ms`, retry: 'later' });
});

test('a peer that hangs up, and one that answers no HTTP', async () => {
  const tcp = createTcp(
    (socket) => void socket.once('data', (data) => (String(data).includes('/bye') ? socket.destroy() : socket.end('SSH-2.0-x\r\n'))),
  );
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(tcp.address() as AddressInfo).port}`;
  const outcomes = [];
  for (const path of ['bye', 'ssh']) outcomes.push((await call({ restEndpointUrlPattern: `http://${host}/${path}` })).outcome);
  tcp.close();
  assert.deepEqual(outcomes, [
    { to: 'Failure', error: `Not connected to ${host}: other side closed`, retry: 'reconnect' },
    {
      to: 'Failure',
      error: `${host} answered what is no HTTP: Response does not match the HTTP/1.1 protocol (Expected HTTP/, RTSP/ or ICE/)`,
      retry: 'never',
    },
  ]);
});

test('connections serve message after message, and stop closes them', async () => {
  const before = server.sockets.length;
  server.answerWith((response) => void response.end('{}'));
  const node = await external(restApiCall, { config: { restEndpointUrlPattern: `${server.base}/in` } });
  for (let n = 0; n < 5; n++) await node.send(message());
  // One, or a second while the first was not free again yet.
  const open = server.sockets.slice(before);
  assert.ok(open.length <= 2, `${open.length} connections`);
  node.stop();
  await eventually(() => open.every((socket) => socket.destroyed), 'they are closed');
  assert.deepEqual(await node.send(message()), { to: 'Failure', error: 'The node was stopped', retry: 'later' });
});

test('TLS: own CA, client certificate, and the wrong ones', async () => {
  const { ca, foreignCa, client } = certificates;
  const https = createHttps({ ...certificates.server, ca, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    response.end(JSON.stringify((request.socket as unknown as { getPeerCertificate(): { subject: unknown } }).getPeerCertificate().subject));
  });
  await new Promise<void>((resolve) => https.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(https.address() as AddressInfo).port}`;
  const via = async (credentials: Config) =>
    (await call({ restEndpointUrlPattern: `https://${host}/`, credentials: { type: 'cert.PEM', ...credentials } })).outcome;
  const pair = { cert: client.cert, privateKey: client.key };
  try {
    assert.equal(((await via({ caCert: ca, ...pair })) as { data: string }).data, '{"CN":"client-1"}');
    assert.deepEqual(await via({ caCert: foreignCa, ...pair }), {
      ...{ to: 'Failure', retry: 'reconnect' },
      error: `TLS with ${host} failed: self-signed certificate in certificate chain (SELF_SIGNED_CERT_IN_CHAIN)`,
    });
    const nameless = (await via({ caCert: ca })) as { error: string; retry: string };
    assert.match(nameless.error, /certificate required|other side closed|ECONNRESET/);
    assert.equal(nameless.retry, 'reconnect');
  } finally {
    https.close();
  }
});

test('proxy: a tunnel for https, the whole URL for http, with a login; and those of the environment', async () => {
  const asked: string[] = [];
  const proxy = createHttp((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? '-'}`);
    response.end('"from the proxy"');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  const environment = { ...process.env };
  try {
    const url = { restEndpointUrlPattern: 'http://device.invalid/x' };
    const own = await call({ ...url, enableProxy: true, proxyHost: '127.0.0.1', proxyPort: port, proxyUser: 'u', proxyPassword: 'p' });
    Object.assign(process.env, { http_proxy: `http://127.0.0.1:${port}`, no_proxy: '127.0.0.1' });
    const system = await call({ ...url, enableProxy: true, useSystemProxyProperties: true });
    const around = await call({ enableProxy: true, useSystemProxyProperties: true });
    assert.deepEqual(
      [own, system].map(({ outcome }) => (outcome as { data: string }).data),
      ['"from the proxy"', '"from the proxy"'],
    );
    assert.ok(around.request);
    assert.deepEqual(asked, [`POST http://device.invalid/x Basic ${Buffer.from('u:p').toString('base64')}`, 'POST http://device.invalid/x -']);
    const dead = await call({ ...url, enableProxy: true, proxyHost: '127.0.0.1', proxyPort: await freePort() });
    assert.equal((dead.outcome as { retry: string }).retry, 'reconnect');
    const hidden = await call({ restEndpointUrlPattern: 'http://169.254.169.254/', enableProxy: true, proxyHost: '127.0.0.1', proxyPort: port });
    assert.match((hidden.outcome as { error: string }).error, /metadata address/);
  } finally {
    process.env = environment;
    proxy.close();
  }
});
