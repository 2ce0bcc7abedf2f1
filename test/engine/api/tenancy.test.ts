import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, SYSADMIN, startApi } from '#test/support/api.ts';

let api: Api;
let sysadmin: string;
before(async () => {
  api = await startApi();
  sysadmin = await api.login(SYSADMIN);
});
after(() => api.close());

const post = async (path: string, body: unknown, token = api.token) => (await api.call('POST', path, { body, token })).body;
const get = async (path: string, token = api.token) => (await api.call('GET', path, { token })).body;

/** A user with a password, as people get one: by the link. */
async function user(fields: Record<string, unknown>, by: string): Promise<string> {
  const { id } = await post('/api/user?sendActivationMail=false', fields, by);
  const { value } = await get(`/api/user/${id.id}/activationLinkInfo`, by);
  const activateToken = new URL(value).searchParams.get('activateToken');
  return (await post('/api/noauth/activate', { activateToken, password: 'password' })).token;
}

test('a new tenant has what it needs to work: profiles, the root chain, the groups', async () => {
  const tenant = await post('/api/tenant', { title: 'Second' }, sysadmin);
  const token = await user({ email: 'second@example.org', authority: 'TENANT_ADMIN', tenantId: tenant.id }, sysadmin);
  assert.equal((await get('/api/deviceProfileInfo/default', token)).name, 'default');
  assert.equal((await get('/api/assetProfileInfo/default', token)).name, 'default');
  const chains = (await get('/api/ruleChains?pageSize=10&page=0', token)).data;
  assert.deepEqual([chains.length, chains[0].root, chains[0].tenantId], [1, true, tenant.id]);
  const metadata = await get(`/api/ruleChain/${chains[0].id.id}/metadata`, token);
  assert.deepEqual(metadata.nodes[metadata.firstNodeIndex].id, chains[0].firstRuleNodeId);
  for (const type of ['DEVICE', 'ASSET', 'CUSTOMER', 'USER']) {
    const all = await get(`/api/entityGroup/all/TENANT/${tenant.id.id}/${type}`, token);
    assert.deepEqual([all.name, all.groupAll, all.type, all.ownerId], ['All', true, type, tenant.id]);
  }
  assert.deepEqual(
    (await get('/api/queues?serviceType=TB_RULE_ENGINE&pageSize=10&page=0&sortProperty=name', token)).data.map(({ name }: { name: string }) => name),
    ['HighPriority', 'Main', 'SequentialByOriginator'],
  );

  await post('/api/device', { name: 'theirs' }, token);
  assert.equal((await api.call('DELETE', `/api/tenant/${tenant.id.id}`, { token: sysadmin })).status, 200);
  assert.equal((await api.call('GET', '/api/auth/user', { token })).status, 401, 'its users are gone with it');
  assert.equal((await api.call('POST', '/api/device', { body: { name: 'theirs' } })).status, 200);
});

test('a customer user reads and writes what is its customer’s, and nothing else', async () => {
  const [own, other] = [await post('/api/customer', { title: 'Own' }), await post('/api/customer', { title: 'Other' })];
  const token = await user({ email: 'customer@example.org', authority: 'CUSTOMER_USER', customerId: own.id }, api.token);
  const device = await post('/api/device', { name: 'own', customerId: own.id });
  const theirs = await post('/api/device', { name: 'other', customerId: other.id });
  const status = async (method: string, path: string, body?: unknown) => (await api.call(method, path, { token, body })).status;
  for (const [expected, method, path, body] of [
    [200, 'GET', `/api/device/${device.id.id}`],
    [200, 'GET', `/api/customer/${own.id.id}`],
    [200, 'GET', `/api/customer/${own.id.id}/devices?pageSize=10&page=0`],
    [200, 'POST', '/api/device', { ...device, label: 'mine' }],
    [403, 'POST', '/api/device', { name: 'new' }],
    [403, 'GET', `/api/device/${theirs.id.id}`],
    [403, 'DELETE', `/api/device/${device.id.id}`],
    [403, 'GET', `/api/customer/${other.id.id}`],
    [403, 'GET', `/api/customer/${other.id.id}/devices?pageSize=10&page=0`],
    [403, 'GET', '/api/customers?pageSize=10&page=0'],
    [403, 'POST', '/api/customer', { title: 'x' }],
    [403, 'GET', '/api/tenant/devices?pageSize=10&page=0'],
    [403, 'POST', '/api/deviceProfile', { name: 'x', type: 'DEFAULT' }],
    [403, 'GET', '/api/tenants?pageSize=10&page=0'],
  ] as const) {
    assert.equal(await status(method, path, body), expected, `${method} ${path}`);
  }
  const listed = async (path: string) => (await get(path, token)).data.map(({ name }: { name: string }) => name);
  assert.deepEqual(await listed('/api/user/devices?pageSize=10&page=0'), ['own']);
  assert.deepEqual(await listed('/api/deviceInfos/all?pageSize=10&page=0'), ['own']);
  assert.deepEqual(await listed('/api/users?pageSize=10&page=0'), ['customer@example.org']);

  assert.equal((await api.call('DELETE', `/api/customer/${own.id.id}`)).status, 200);
  assert.equal(await status('GET', '/api/auth/user'), 401, 'users go with their customer');
  assert.equal((await get(`/api/device/${device.id.id}`)).ownerId.entityType, 'TENANT', 'devices go back to the tenant');
});

test('groups: members, the reserved All, both forms of the lists', async () => {
  const group = await post('/api/entityGroup', { type: 'ASSET', name: 'Rooms' });
  const rooms = [await post('/api/asset', { name: 'r1' }), await post('/api/asset', { name: 'r2' })];
  const ids = rooms.map(({ id }) => id.id);
  const path = `/api/entityGroup/${group.id.id}`;
  for (const _ of [1, 2]) assert.equal((await api.call('POST', `${path}/addEntities`, { body: ids })).status, 200, 'idempotent');
  const members = async (of: string) =>
    (await get(`${of}/entities?pageSize=10&page=0&sortProperty=name`)).data.map(({ name }: { name: string }) => name);
  assert.deepEqual(await members(path), ['r1', 'r2']);
  await api.call('POST', `${path}/deleteEntities`, { body: [ids[0]] });
  assert.deepEqual(await members(path), ['r2']);
  assert.deepEqual(await get(`/api/entityGroups/ASSET/${ids[1]}`), [group.id]);

  const all = await get(`/api/entityGroup/all/TENANT/${group.tenantId.id}/ASSET`);
  assert.deepEqual(await members(`/api/entityGroup/${all.id.id}`), ['r1', 'r2']);
  for (const refused of [
    await api.call('DELETE', `/api/entityGroup/${all.id.id}`),
    await api.call('POST', `/api/entityGroup/${all.id.id}/deleteEntities`, { body: ids }),
    await api.call('POST', '/api/entityGroup', { body: { ...all, name: 'Some' } }),
    await api.call('POST', '/api/entityGroup', { body: { type: 'ASSET', name: 'Rooms' } }),
    await api.call('POST', `${path}/addEntities`, { body: ['784f394c-42b6-435a-983c-b7beff2784f9'] }),
  ]) {
    assert.ok([400, 404].includes(refused.status), refused.text);
  }
  const names = (groups: { name: string }[]) => groups.map(({ name }) => name).sort();
  assert.deepEqual(names(await get('/api/entityGroups/ASSET')), ['All', 'Rooms']);
  assert.deepEqual(names((await get('/api/entityGroups/ASSET?pageSize=10&page=0')).data), ['All', 'Rooms']);
  assert.deepEqual(names(await get(`/api/entityGroups/TENANT/${group.tenantId.id}/ASSET`)), ['All', 'Rooms']);
  await api.call('DELETE', path);
  assert.equal((await api.call('GET', `/api/asset/${ids[1]}`)).status, 200, 'entities stay');
  assert.deepEqual(await get(`/api/entityGroups/ASSET/${ids[1]}`), []);
});

test('limits of the tenant profile hold', async () => {
  const profile = await post(
    '/api/tenantProfile',
    {
      name: 'Small',
      profileData: {
        configuration: {
          type: 'DEFAULT',
          maxAssets: 3,
          maxDataPointsPerRollingArg: 1,
          maxRelatedEntitiesToReturnPerCfArgument: 1,
          maxRelationLevelPerCfArgument: 1,
        },
      },
    },
    sysadmin,
  );
  const own = await get('/api/auth/user');
  const tenant = await get(`/api/tenant/${own.tenantId.id}`);
  await post('/api/tenant', { ...tenant, tenantProfileId: profile.id }, sysadmin);
  assert.equal((await api.call('POST', '/api/asset', { body: { name: 'r3' } })).status, 200);
  const { status, body } = await api.call('POST', '/api/asset', { body: { name: 'r4' } });
  assert.deepEqual([status, body.errorCode, body.message, body.entityType, body.limit], [403, 41, 'Assets limit reached', 'ASSET', 3]);
});
