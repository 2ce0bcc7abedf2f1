import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, type Reply, SYSADMIN, startApi } from '#test/support/api.ts';

/** Every route that is registered, with the mistakes that callers make: the answer is a refusal in the one shape, never a crash and never somebody else's data. */

let api: Api;
let routes: Route[];
let foreign: Record<string, string>;
let expired: string;

interface Route {
  readonly method: string;
  readonly path: string;
  readonly params: readonly { name: string; uuid: boolean }[];
  readonly body: boolean;
}

const UNKNOWN = '784f394c-42b6-435a-983c-b7beff2784f9';
/** Reached without a login: they check something else. */
const OPEN = /^\/(api\/(noauth|v1|auth\/(login|token))|v3|swagger-ui|health|metrics|$)/;
const CODES: Readonly<Record<number, readonly number[]>> = {
  400: [30, 31],
  401: [10, 11, 15, 45],
  403: [20, 41],
  404: [32],
  405: [31],
  409: [35],
  413: [31],
  415: [31],
  429: [33],
};

before(async () => {
  api = await startApi();
  routes = readRoutes(api);
  foreign = await makeForeign(api);
  const seconds = Math.floor(Date.now() / 1000);
  const claims = { sub: 'tenant@thingsboard.org', userId: UNKNOWN, scopes: ['TENANT_ADMIN'], sessionId: 'x', iss: 'thingsboard.io' };
  expired = api.app.jwt.sign({ ...claims, iat: seconds - 10_000, exp: seconds - 1000 });
});
after(() => api.close());

function readRoutes({ app }: Api): Route[] {
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, OpenApiOperation>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      params: (operation.parameters ?? [])
        .filter((each) => each.in === 'path')
        .map(({ name, schema }) => ({ name, uuid: schema?.format === 'uuid' })),
      body: operation.requestBody !== undefined,
    })),
  );
}

interface OpenApiOperation {
  parameters?: { name: string; in: string; schema?: { format?: string } }[];
  requestBody?: unknown;
}

/** One entity of each kind in a tenant of its own. */
async function makeForeign({ login, call }: Api): Promise<Record<string, string>> {
  const sysadmin = await login(SYSADMIN);
  const tenant = await call('POST', '/api/tenant', { token: sysadmin, body: { title: 'Elsewhere' } });
  const user = { email: 'elsewhere@example.org', authority: 'TENANT_ADMIN', tenantId: tenant.body.id };
  const admin = await call('POST', '/api/user?sendActivationMail=false', { token: sysadmin, body: user });
  const { body: pair } = await call('GET', `/api/user/${admin.body.id.id}/token`, { token: sysadmin });
  assert.equal(pair.errorCode, 31, 'who was not activated can not be become');
  const link = await call('GET', `/api/user/${admin.body.id.id}/activationLink`, { token: sysadmin });
  const activateToken = link.text.split('activateToken=')[1];
  const activated = await call('POST', '/api/noauth/activate', { body: { activateToken, password: 'elsewhere' }, token: null });
  const token = activated.body.token as string;
  const made = async (path: string, body: unknown) => (await call('POST', path, { token, body })).body.id.id as string;
  const device = await made('/api/device', { name: 'theirs' });
  return {
    tenant: tenant.body.id.id,
    user: admin.body.id.id,
    device,
    asset: await made('/api/asset', { name: 'theirs' }),
    customer: await made('/api/customer', { title: 'theirs' }),
    entityGroup: await made('/api/entityGroup', { type: 'DEVICE', name: 'theirs' }),
    dashboard: await made('/api/dashboard', { title: 'theirs' }),
    deviceProfile: await made('/api/deviceProfile', {
      name: 'theirs',
      type: 'DEFAULT',
      transportType: 'DEFAULT',
      profileData: { configuration: { type: 'DEFAULT' }, transportConfiguration: { type: 'DEFAULT' } },
    }),
    assetProfile: await made('/api/assetProfile', { name: 'theirs' }),
    entityView: await made('/api/entityView', { name: 'theirs', type: 'v', entityId: { entityType: 'DEVICE', id: device } }),
    ruleChain: await made('/api/ruleChain', { name: 'theirs' }),
    apiKey: await made('/api/apiKey', { description: 'theirs' }),
  };
}

/** Every list wants its page. */
const fill = ({ path }: Route, id: string): string => `${path.replace(/\{[^}]+\}/g, id)}?pageSize=10&page=0&timeout=1`;

function refusal(route: Route, reply: Reply, statuses?: readonly number[]): void {
  const what = `${route.method} ${route.path}: ${reply.status} ${reply.text.slice(0, 200)}`;
  assert.ok(reply.status >= 400 && reply.status < 500, what);
  if (statuses) assert.ok(statuses.includes(reply.status), what);
  const { status, message, errorCode, timestamp } = reply.body ?? {};
  assert.equal(status, reply.status, what);
  assert.ok(typeof message === 'string' && message !== '', what);
  assert.ok(CODES[reply.status]?.includes(errorCode), what);
  assert.ok(Math.abs(timestamp - Date.now()) < 60_000, what);
}

const closed = (): Route[] => routes.filter(({ path }) => !OPEN.test(path));

test('there are routes to walk', () => assert.ok(routes.length > 150, `${routes.length} routes`));

test('no token: 401', async () => {
  for (const route of closed()) refusal(route, await api.call(route.method, fill(route, UNKNOWN), { token: null, ...bodyFor(route, {}) }), [401]);
});

test('expired token: 401 with code 11', async () => {
  for (const route of closed()) {
    const reply = await api.call(route.method, fill(route, UNKNOWN), { token: expired, ...bodyFor(route, {}) });
    refusal(route, reply, [401]);
    assert.equal(reply.body.errorCode, 11, route.path);
  }
});

test('an id that is no UUID: 400', async () => {
  for (const route of closed().filter(({ params }) => params.some(({ uuid }) => uuid))) {
    refusal(route, await api.call(route.method, fill(route, 'abc'), bodyFor(route, {})), [400]);
  }
});

/** Documented to answer `false` for what is not there. */
const ANSWERS_FALSE = 'DELETE /api/ai/model/{modelUuid}';

test('an id that nobody has: refused', async () => {
  for (const route of closed().filter(({ params }) => params.some(({ uuid }) => uuid))) {
    if (`${route.method} ${route.path}` === ANSWERS_FALSE) continue;
    refusal(route, await api.call(route.method, fill(route, UNKNOWN), bodyFor(route, {})));
  }
});

test("another tenant's id: refused, and nothing of it told", async () => {
  const secret = /theirs|Elsewhere/i;
  for (const [kind, id] of Object.entries(foreign)) {
    for (const route of closed().filter(({ path, params }) => path.startsWith(`/api/${kind}`) && params.some(({ uuid }) => uuid))) {
      const reply = await api.call(route.method, fill(route, id), bodyFor(route, {}));
      refusal(route, reply);
      assert.doesNotMatch(reply.text, secret, route.path);
    }
  }
});

const MISTAKES: readonly { name: string; text: string; type?: string }[] = [
  { name: 'broken JSON', text: '{"name":' },
  { name: 'an array', text: '[1]' },
  { name: 'a number', text: '7' },
  { name: 'null', text: 'null' },
  { name: 'nothing', text: '' },
  { name: 'no field at all', text: '{}' },
  {
    name: 'fields of the wrong type',
    text: '{"name":{"a":1},"title":[],"id":7,"type":{},"email":[1],"configuration":"x","from":1,"to":[],"key":{},"description":[],"device":1}',
  },
  { name: 'an id of nobody', text: `{"id":{"entityType":"DEVICE","id":"${UNKNOWN}"},"name":"x","title":"x","email":"x@example.org"}` },
  { name: 'broken UTF-8 and NUL', text: '{"name":"a\\u0000b","title":"\\ud800","type":"\\u0000"}' },
  { name: 'the prototype', text: '{"__proto__":{"name":"x"},"constructor":{"prototype":{}}}' },
  { name: 'ten thousand levels', text: `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}` },
  { name: 'another content type', text: '<a/>', type: 'application/xml' },
];
for (const { name, text, type } of MISTAKES) {
  test(`a body that is wrong (${name}) is refused or understood, never an error of ours`, async () => {
    for (const route of closed().filter(({ body, method }) => body && method !== 'GET')) {
      const reply = await api.call(route.method, fill(route, UNKNOWN), { text, type });
      if (reply.status === 200) continue;
      refusal(route, reply);
    }
  });
}

test('customer users and administrators of the system get no route of a tenant administrator', async () => {
  const sysadmin = await api.login(SYSADMIN);
  for (const path of ['/api/tenant/devices', '/api/customers', '/api/ruleChains', '/api/deviceProfiles']) {
    const reply = await api.call('GET', `${path}?pageSize=10&page=0`, { token: sysadmin });
    refusal({ method: 'GET', path, params: [], body: false }, reply, [403]);
  }
});

test('a path that does not exist: 404; a verb that it does not have: 405; a body over the limit: 413', async () => {
  const at = (method: string, path: string): Route => ({ method, path, params: [], body: false });
  refusal(at('GET', '/api/none'), await api.call('GET', '/api/none'), [404]);
  refusal(at('GET', '/api/none'), await api.call('GET', '/api/none', { token: null }), [401]);
  refusal(at('PUT', '/api/device'), await api.call('PUT', '/api/device', { body: {} }), [405]);
  const big = `{"name":"${'x'.repeat(17 * 1024 * 1024)}"}`;
  refusal(at('POST', '/api/device'), await api.call('POST', '/api/device', { text: big }), [413]);
});

function bodyFor({ body, method }: Route, value: unknown): { body?: unknown } {
  return body && method !== 'GET' && method !== 'HEAD' ? { body: value } : {};
}
