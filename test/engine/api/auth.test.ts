import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Api, SYSADMIN, startApi, TENANT } from '#test/support/api.ts';

let shared: Api;
before(async () => {
  shared = await startApi();
});
after(() => shared.close());

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
const asks = (api: Api, token: string) => api.call('GET', '/api/auth/user', { token });

test('tokens: what clients read in them, and which header they may stand in', async () => {
  const api = shared;
  const { token, refreshToken } = (await api.call('POST', '/api/auth/login', { body: TENANT, token: null })).body;
  const { sessionId, iat, exp, userId, tenantId, ...claims } = claimsOf(token);
  assert.deepEqual(claims, {
    sub: TENANT.username,
    scopes: ['TENANT_ADMIN'],
    iss: 'thingsboard.io',
    isPublic: false,
    enabled: true,
    customerId: '13814000-1dd2-11b2-8080-808080808080',
  });
  assert.equal(exp - iat, 9000);
  assert.ok([sessionId, userId, tenantId].every((each) => typeof each === 'string'));
  assert.deepEqual(JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()).alg, 'HS512');
  const refresh = claimsOf(refreshToken);
  assert.deepEqual([refresh.scopes, refresh.exp - refresh.iat, refresh.sessionId], [['REFRESH_TOKEN'], 604_800, sessionId]);

  for (const { name, headers, status } of [
    { name: 'Authorization', headers: { Authorization: `Bearer ${token}` }, status: 200 },
    { name: 'X-Authorization', headers: { 'X-Authorization': `Bearer ${token}` }, status: 200 },
    { name: 'X-Authorization wins', headers: { 'X-Authorization': `Bearer ${token}`, Authorization: 'Bearer x.y.z' }, status: 200 },
    {
      name: 'X-Authorization wins, also when it is wrong',
      headers: { 'X-Authorization': 'Bearer x.y.z', Authorization: `Bearer ${token}` },
      status: 401,
    },
    { name: 'no prefix', headers: { 'X-Authorization': token }, status: 401 },
    { name: 'the refresh token', headers: { 'X-Authorization': `Bearer ${refreshToken}` }, status: 401 },
    { name: 'unsigned', headers: { 'X-Authorization': `Bearer ${unsigned(token)}` }, status: 401 },
  ]) {
    assert.equal((await api.call('GET', '/api/auth/user', { headers, token: null })).status, status, name);
  }
});

const unsigned = (token: string): string => `${Buffer.from('{"alg":"none"}').toString('base64url')}.${token.split('.')[1]}.`;

test('a login, a logout and the key of the tokens survive a restart', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fieldbridge-auth-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const jwtKey = randomBytes(64);
  let api = await startApi({ folder, jwtKey });
  const gone = await api.login(TENANT);
  const { token } = api;
  assert.equal((await api.call('POST', '/api/auth/logout', { token: gone })).status, 200);
  assert.equal((await asks(api, gone)).status, 401);
  await api.close();
  api = await startApi({ folder, jwtKey });
  t.after(() => api.close());
  assert.equal((await asks(api, token)).status, 200);
  assert.equal((await asks(api, gone)).body.errorCode, 11);
});

test('a new password voids the tokens of earlier seconds, not its own', async (t) => {
  let now = Date.now();
  const api = await startApi({ now: () => now });
  t.after(() => api.close());
  const { token: old } = api;
  now += 2000;
  const body = { currentPassword: TENANT.password, newPassword: 'tenant-2' };
  const { body: pair } = await api.call('POST', '/api/auth/changePassword', { body });
  assert.equal((await asks(api, old)).body.errorCode, 11);
  assert.equal((await asks(api, pair.token)).status, 200);
  assert.equal((await api.call('POST', '/api/auth/login', { body: TENANT, token: null })).status, 401);
  assert.ok(await api.login({ ...TENANT, password: 'tenant-2' }));
});

test('failed logins lock the account when the system says so, and enabling unlocks it', async (t) => {
  const api = await startApi();
  t.after(() => api.close());
  const sysadmin = await api.login(SYSADMIN);
  await api.call('POST', '/api/admin/securitySettings', { token: sysadmin, body: { maxFailedLoginAttempts: 2 } });
  const wrong = () => api.call('POST', '/api/auth/login', { token: null, body: { ...TENANT, password: 'nope' } });
  assert.equal((await wrong()).body.message, 'Invalid username or password');
  assert.equal((await wrong()).body.message, 'Invalid username or password');
  assert.equal((await wrong()).body.message, 'User account is locked due to security policy');
  assert.equal((await api.call('POST', '/api/auth/login', { token: null, body: TENANT })).body.message, 'User account is not active');
  const { userId } = claimsOf(api.token);
  assert.equal((await api.call('POST', `/api/user/${userId}/userCredentialsEnabled`, { token: sysadmin })).status, 200);
  assert.ok(await api.login(TENANT));
});

test('a logout holds, whatever else happens to the account in the same moment', async () => {
  const api = shared;
  const gone = await api.login(TENANT);
  const [logout] = await Promise.all([
    api.call('POST', '/api/auth/logout', { token: gone }),
    ...[1, 2, 3, 4].map(() => api.login(TENANT)),
    asks(api, gone),
  ]);
  assert.equal(logout.status, 200);
  assert.equal((await asks(api, gone)).status, 401);
  assert.equal((await asks(api, api.token)).status, 200);
});

test('API keys: told once, refused when disabled, expired or deleted', async () => {
  const api = shared;
  const make = async (body: object) =>
    (await api.call('POST', '/api/apiKey', { body: { description: 'n8n', enabled: true, expirationTime: 0, ...body } })).body;
  const by = async (key: string) =>
    (await api.call('GET', '/api/auth/user', { token: null, headers: { 'X-Authorization': `ApiKey ${key}` } })).status;
  const key = await make({});
  assert.match(key.value, /^tb_/);
  assert.equal(await by(key.value), 200);
  const { data } = (await api.call('GET', `/api/apiKeys/${key.userId.id}?pageSize=10&page=0`)).body;
  assert.deepEqual([data.length, data[0].value, data[0].expired], [1, undefined, false]);
  await api.call('PUT', `/api/apiKey/${key.id.id}/enabled/false`);
  assert.equal(await by(key.value), 401);
  assert.equal(await by((await make({ expirationTime: 1 })).value), 401);
  const short = await make({});
  await api.call('DELETE', `/api/apiKey/${short.id.id}`);
  assert.equal(await by(short.value), 401);
  assert.equal(await by('tb_nobody'), 401);
});

test('CORS: any origin, and the preflight without a login', async () => {
  const api = shared;
  const origin = 'http://elsewhere.example';
  const preflight = await api.call('OPTIONS', '/api/device', {
    token: null,
    headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-authorization,content-type' },
  });
  const headers = ['origin', 'credentials', 'methods', 'headers'].map((name) => preflight.headers.get(`access-control-allow-${name}`));
  assert.deepEqual([preflight.status, preflight.text, headers], [200, '', [origin, 'true', 'POST', 'x-authorization, content-type']]);
  assert.equal((await api.call('GET', '/api/auth/user', { headers: { Origin: origin } })).headers.get('access-control-allow-origin'), origin);
});
