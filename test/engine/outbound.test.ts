import assert from 'node:assert/strict';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import test, { afterEach, mock } from 'node:test';
import { errorText } from '#engine/errors.ts';
import { checkHost, checkLiteral, parseAllowedHosts, setOutboundPolicy } from '#engine/outbound.ts';
import restApiCall from '#rulechains/nodes/external/rest-api-call.ts';
import { external } from '#test/support/external.ts';
import { startHttp } from '#test/support/http-server.ts';
import { message } from '#test/support/message.ts';

const CAREFUL = { allowLocal: true, allowed: parseAllowedHosts('') };
afterEach(() => {
  setOutboundPolicy(CAREFUL);
  mock.restoreAll();
  syncBuiltinESMExports();
});

const METADATA = 'is a link-local or cloud metadata address';
const LOCAL = 'is in a local network, and ALLOW_LOCAL_NETWORK_HOSTS is false';

for (const { host, allowLocal = true, allowed = '', refused = null } of [
  { host: '127.0.0.1' },
  { host: '192.168.1.5' },
  { host: '8.8.8.8', allowLocal: false },
  { host: 'a.name', allowLocal: false },
  { host: '169.254.169.254', refused: METADATA },
  { host: '[fd00:ec2::254]', refused: METADATA },
  { host: '[::ffff:169.254.169.254]', refused: METADATA },
  { host: '[::ffff:a9fe:a9fe]', refused: METADATA },
  { host: '[64:ff9b::a9fe:a9fe]', refused: METADATA },
  { host: '[fe80::1]', refused: METADATA },
  { host: '100.100.100.200', refused: METADATA },
  { host: '169.254.169.254', allowed: '169.254.169.254' },
  { host: '169.254.169.254', allowed: 'x.local,169.254.0.0/16' },
  { host: '[fd00:ec2::254]', allowed: 'fd00:ec2::/32' },
  ...['127.0.0.1', '10.1.2.3', '172.20.0.1', '192.168.0.1', '100.64.0.1', '0.0.0.0', '[::1]', '[::]', '[fc00::1]', '[::ffff:10.0.0.1]'].map(
    (host) => ({
      ...{ host, allowLocal: false, refused: LOCAL },
    }),
  ),
  { host: '10.20.3.4', allowLocal: false, allowed: '10.20.0.0/16' },
  { host: '10.21.3.4', allowLocal: false, allowed: '10.20.0.0/16', refused: LOCAL },
] as { host: string; allowLocal?: boolean; allowed?: string; refused?: string | null }[])
  test(`${host}${allowLocal ? '' : ', local networks refused'}${allowed && `, allowed ${allowed}`}: ${refused ? 'refused' : 'goes'}`, () => {
    setOutboundPolicy({ allowLocal, allowed: parseAllowedHosts(allowed) });
    const check = () => checkLiteral(host);
    if (refused === null) return assert.doesNotThrow(check);
    assert.throws(check, (cause) => errorText(cause).includes(refused) && errorText(cause).endsWith('The setting ALLOWED_HOSTS lets it through'));
  });

for (const { text, says } of [
  { text: '10.0.0.0/33', says: '"10.0.0.0/33" is not a network' },
  { text: 'name/8', says: '"name/8" is not a network' },
  { text: 'a,http://b/', says: '"http://b/" is not a network' },
  { text: 'a b$', says: '"b$" is not a host, an address or a network' },
])
  test(`an allow list that is none: ${text}`, () => assert.throws(() => parseAllowedHosts(text), { message: says }));

/** Names resolve to these, one after the other. */
function resolveTo(...addresses: string[]): void {
  const lookup = (_name: string, _options: unknown, done: (error: null, found: unknown) => void) => {
    const address = addresses.length > 1 ? addresses.shift()! : addresses[0]!;
    setImmediate(() => done(null, [{ address, family: 4 }]));
  };
  mock.method(dns, 'lookup', lookup as never);
  syncBuiltinESMExports();
}

test('a name that resolves elsewhere a moment later is checked at every connection', async () => {
  const server = await startHttp();
  server.answerWith((response) => void response.setHeader('Connection', 'close').end('{}'));
  resolveTo('127.0.0.1', '169.254.169.254');
  const node = await external(restApiCall, { config: { restEndpointUrlPattern: server.base.replace('127.0.0.1', 'rebind.example') } });
  try {
    assert.equal(((await node.send(message())) as { to: string }).to, 'Success');
    assert.deepEqual(await node.send(message()), {
      to: 'Failure',
      error: `Connecting to 169.254.169.254 (rebind.example) is refused: it ${METADATA}. The setting ALLOWED_HOSTS lets it through`,
      retry: 'never',
    });
  } finally {
    node.stop();
    server.close();
  }
});

test('an allowed name may resolve to what is refused otherwise', async () => {
  const server = await startHttp();
  server.answerWith((response) => void response.end('{}'));
  resolveTo('127.0.0.1');
  const url = server.base.replace('127.0.0.1', 'Gateway.plant');
  const send = async (allowed: string) => {
    setOutboundPolicy({ allowLocal: false, allowed: parseAllowedHosts(allowed) });
    const node = await external(restApiCall, { config: { restEndpointUrlPattern: url } });
    const { to } = (await node.send(message())) as { to: string };
    node.stop();
    return to;
  };
  assert.deepEqual([await send('gateway.plant'), await send('other.plant')], ['Success', 'Failure']);
  server.close();
});

test('a host that a proxy resolves: refused when it is one of ours, left to the proxy when nobody knows it here', async () => {
  await checkHost('nowhere.invalid');
  await assert.rejects(checkHost('169.254.1.1'));
});
