import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Work } from '#engine/work.ts';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const post = async (path: string, body: unknown) => api.call('POST', path, { body });
const get = async (path: string) => (await api.call('GET', path)).body;

test('a device is saved with its profile, credentials, customer and group at once', async () => {
  const customer = (await post('/api/customer', { title: 'Fish Ltd' })).body;
  const group = (await post('/api/entityGroup', { type: 'DEVICE', name: 'Cold rooms' })).body;
  const device = (
    await post(`/api/device?accessToken=tok-1&entityGroupId=${group.id.id}`, {
      name: 'TH-1',
      type: 'TH1',
      label: 'Cold room 3',
      customerId: { id: customer.id.id },
      additionalInfo: { gateway: false },
    })
  ).body;
  const profile = (await get('/api/deviceProfileInfos?pageSize=10&page=0&textSearch=TH1')).data[0];
  assert.deepEqual(device, {
    id: device.id,
    createdTime: device.createdTime,
    tenantId: customer.tenantId,
    customerId: { entityType: 'CUSTOMER', id: customer.id.id },
    ownerId: { entityType: 'CUSTOMER', id: customer.id.id },
    name: 'TH-1',
    type: 'TH1',
    label: 'Cold room 3',
    deviceProfileId: profile.id,
    firmwareId: null,
    softwareId: null,
    externalId: null,
    additionalInfo: { gateway: false },
    deviceData: { configuration: { type: 'DEFAULT' }, transportConfiguration: { type: 'DEFAULT' } },
    version: 1,
  });
  assert.equal((await get(`/api/device/${device.id.id}/credentials`)).credentialsId, 'tok-1');
  const info = await get(`/api/device/info/${device.id.id}`);
  assert.deepEqual(
    [info.customerTitle, info.ownerName, info.deviceProfileName, info.active, info.groups],
    ['Fish Ltd', 'Fish Ltd', 'TH1', false, [{ id: group.id, name: 'Cold rooms' }]],
  );
  assert.deepEqual((await get(`/api/entityGroup/${group.id.id}/devices?pageSize=10&page=0`)).data, [device]);
});

test('a new device is not active, and saving it again does not say so', async () => {
  const { id } = (await post('/api/device', { name: 'still', type: 'default' })).body;
  const state = () => get(`/api/plugins/telemetry/DEVICE/${id.id}/values/attributes/SERVER_SCOPE`);
  const [active, ...more] = await state();
  assert.deepEqual([active.key, active.value, more], ['active', false, []]);
  const tenantId = (await get(`/api/device/${id.id}`)).tenantId.id;
  const work = new Work();
  const now = Date.now();
  work.attributes.push({ tenantId, entity: id, scope: 'SERVER_SCOPE', key: 'active', value: { type: 'BOOLEAN', value: true }, lastUpdateTs: now });
  await api.context.backend.commit(work);
  assert.equal((await post('/api/device', { id, name: 'still', type: 'default', label: 'Hall' })).status, 200);
  assert.deepEqual(await state(), [{ lastUpdateTs: now, key: 'active', value: true }]);
});

for (const { name, body, query = '', message, status = 400 } of [
  { name: 'no name', body: {}, message: 'Device name should be specified!' },
  { name: 'a name of 256 characters', body: { name: 'x'.repeat(256) }, message: 'Validation error: name length must be equal or less than 255' },
  { name: 'a tag for a name', body: { name: '<b>x</b>' }, message: 'Validation error: name is malformed' },
  { name: 'a tag for a label', body: { name: 'y', label: '<script>' }, message: 'Validation error: label is malformed' },
  {
    name: 'a profile of nobody',
    body: { name: 'y', deviceProfileId: { id: NOBODY() } },
    message: 'Device is referencing non existing device profile!',
  },
  { name: 'a customer of nobody', body: { name: 'y', customerId: { id: NOBODY() } }, message: "Can't assign device to non-existent customer!" },
  { name: 'a taken name', body: { name: 'taken' }, message: 'Device with such name already exists!' },
  { name: 'a taken token', body: { name: 'y' }, query: '?accessToken=taken', message: 'Device credentials are already assigned to another device!' },
  {
    name: 'a token that is a path of the API',
    body: { name: 'y' },
    query: '?accessToken=integrations',
    message: "An access token can not be 'integrations'",
  },
  { name: 'an old version', body: { name: 'taken', version: 7, own: true }, message: 'Device was already changed by someone else', status: 409 },
]) {
  test(`a device is refused: ${name}`, async () => {
    const taken = await post('/api/device?accessToken=taken', { name: 'taken' });
    const known = taken.status === 200 ? taken.body : await get('/api/tenant/devices?deviceName=taken');
    const reply = await post(`/api/device${query}`, 'own' in body ? { ...body, id: known.id } : body);
    assert.deepEqual([reply.status, reply.body.message], [status, message]);
    assert.equal((await api.call('GET', '/api/tenant/devices?deviceName=y')).status, 404, 'nothing of it was kept');
  });
}
function NOBODY(): string {
  return '784f394c-42b6-435a-983c-b7beff2784f9';
}

test('a taken name is made unique when the caller wants that', async () => {
  const save = async (query: string) => (await post(`/api/device?nameConflictPolicy=UNIQUIFY${query}`, { name: 'same' })).body.name;
  assert.equal(await save(''), 'same');
  assert.match(await save(''), /^same_[A-Za-z0-9]{6}$/);
  assert.equal(await save('&uniquifyStrategy=INCREMENTAL&uniquifySeparator=-'), 'same-1');
  assert.equal(await save('&uniquifyStrategy=INCREMENTAL&uniquifySeparator=-'), 'same-2');
});

test('each change puts its message into the lane of the device, in order, counted by the tenant', async () => {
  const created = (await post('/api/device', { name: 'told', type: 'default' })).body;
  const updated = (await post('/api/device', { ...created, label: 'x' })).body;
  const customer = (await post('/api/customer', { title: 'told' })).body;
  const assigned = (await post(`/api/customer/${customer.id.id}/device/${created.id.id}`, undefined)).body;
  const unassigned = (await api.call('DELETE', `/api/customer/device/${created.id.id}`)).body;
  await api.call('DELETE', `/api/device/${created.id.id}`);

  const { backend } = api.context;
  const messages = [];
  for (let lane = 0; lane < backend.queue.lanes; lane++) {
    const batch = await Promise.race([
      backend.queue.take(lane, 1000, AbortSignal.timeout(50)),
      new Promise<null>((resolve) => setTimeout(resolve, 60, null)),
    ]);
    messages.push(...(batch?.messages ?? []).filter(({ originator }) => originator.id === created.id.id));
    if (batch) backend.queue.giveBack(batch);
  }
  const { userId, ...user } = messages[0]!.metadata;
  assert.deepEqual(user, { userName: 'tenant@thingsboard.org', userEmail: 'tenant@thingsboard.org' });
  assert.ok(userId);
  const extra = { assignedCustomerId: customer.id.id, assignedCustomerName: 'told' };
  const told = messages.map(({ type, data, metadata: { userId: _i, userName: _n, userEmail: _e, ...rest } }) => [type, JSON.parse(data), rest]);
  /** Only REST tells the owner. */
  const data = ({ ownerId: _, ...device }: Record<string, unknown>) => device;
  assert.deepEqual(told, [
    ['ENTITY_CREATED', data(created), {}],
    ['ENTITY_UPDATED', data(updated), {}],
    ['ENTITY_ASSIGNED', data(assigned), { ...extra, customerId: customer.id.id }],
    ['ENTITY_UNASSIGNED', data(unassigned), { unassignedCustomerId: customer.id.id, unassignedCustomerName: 'told' }],
    ['ENTITY_DELETED', data(unassigned), { entityName: 'told', entityType: 'DEVICE' }],
  ]);
  const ledger = await backend.store.ledger(created.tenantId.id, created.tenantId.id);
  assert.equal(ledger.messages.created, ledger.messages.inFlight, 'no lane is worked here: all of them are in flight');
});

test('a deleted device leaves nothing behind', async () => {
  const { id } = (await post('/api/device?accessToken=gone', { name: 'gone' })).body;
  const asset = (await post('/api/asset', { name: 'room' })).body;
  await post('/api/relation', { from: asset.id, to: id, type: 'Contains' });
  await api.call('DELETE', `/api/device/${id.id}`);
  assert.equal((await api.call('GET', `/api/device/${id.id}`)).status, 404);
  assert.deepEqual(await get(`/api/relations?fromId=${asset.id.id}&fromType=ASSET`), []);
  assert.equal((await post('/api/device?accessToken=gone', { name: 'gone' })).status, 200, 'its name and token are free');
});

test('saves of the same new type at the same time make one profile', async () => {
  const headers = { 'x-authorization': `Bearer ${api.token}`, 'content-type': 'application/json' };
  const names = Array.from({ length: 8 }, (_, i) => `race-${i}`);
  const save = (name: string) => api.app.inject({ method: 'POST', url: '/api/device', headers, payload: { name, type: 'race' } });
  const replies = await Promise.all(names.map(save));
  assert.deepEqual(
    replies.map(({ statusCode }) => statusCode),
    names.map(() => 200),
  );
  assert.equal((await get('/api/deviceProfileInfos?pageSize=10&page=0&textSearch=race')).totalElements, 1);
});

test('bulk import: rows fail alone, quoted cells hold delimiters and line ends', async () => {
  const file = 'name,type,label,temp\n"b, 1",default,"two\nlines",21.5\n,default,,\n<b>,default,,\nb2,default,"say ""x""",warm\n';
  const columns = [{ type: 'NAME' }, { type: 'TYPE' }, { type: 'LABEL' }, { type: 'TIMESERIES', key: 'temp' }];
  const { body } = await post('/api/device/bulk_import', { file, mapping: { columns, delimiter: ',', update: true, header: true } });
  assert.deepEqual(body, { created: 2, updated: 1, errors: 1, errorsList: ['Line 4: Validation error: name is malformed'] });
  const first = await get('/api/tenant/devices?deviceName=b,%201');
  assert.equal(first.label, 'two\nlines');
  assert.deepEqual((await get('/api/tenant/devices?deviceName=b2')).label, 'say "x"');
  const values = await get(`/api/plugins/telemetry/DEVICE/${first.id.id}/values/timeseries?keys=temp&useStrictDataTypes=true`);
  assert.equal(values.temp[0].value, 21.5);
});
