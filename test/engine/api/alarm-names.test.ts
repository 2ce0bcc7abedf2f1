import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const post = async (path: string, body: unknown) => (await api.call('POST', path, { body })).body;
const get = async (path: string) => (await api.call('GET', path)).body;
const alarmOn = (originator: unknown, type = 'Warm') => post('/api/alarm', { originator, type, severity: 'MAJOR' });
const newUser = (email: string, authority: string, customerId?: unknown) =>
  post('/api/user?sendActivationMail=false', { email, authority, customerId });

test('an alarm on an alarm shows its originator as gone (recorded), one on a device shows the device', async () => {
  const device = await post('/api/device', { name: 'th-1', label: 'Hall', type: 'default' });
  const names = async (id: string) => {
    const { originatorName, originatorLabel, originatorDisplayName } = await get(`/api/alarm/info/${id}`);
    return [originatorName, originatorLabel, originatorDisplayName];
  };
  const first = await alarmOn(device.id);
  assert.deepEqual(await names(first.id.id), ['th-1', 'Hall', 'Hall']);
  const second = await alarmOn(first.id);
  assert.deepEqual(await names(second.id.id), ['Deleted', 'Deleted', 'Deleted']);
});

test('an alarm can be assigned to the administrators of its tenant and the users of its customer', async () => {
  const [ours, theirs] = [await post('/api/customer', { title: 'Ours' }), await post('/api/customer', { title: 'Theirs' })];
  await newUser('ours@example.org', 'CUSTOMER_USER', ours.id);
  await newUser('theirs@example.org', 'CUSTOMER_USER', theirs.id);
  const tenants = await post('/api/device', { name: 'tenant-device', type: 'default' });
  const customers = await post('/api/device', { name: 'customer-device', type: 'default', customerId: ours.id });
  const whom = async (device: { id: unknown }, query = '') => {
    const alarm = await alarmOn(device.id, 'Cold');
    const page = await get(`/api/users/assign/${alarm.id.id}?pageSize=10&page=0&sortProperty=email${query}`);
    return page.data.map(({ email }: { email: string }) => email);
  };
  assert.deepEqual(await whom(tenants), ['tenant@thingsboard.org']);
  assert.deepEqual(await whom(customers), ['ours@example.org', 'tenant@thingsboard.org']);
  assert.deepEqual(await whom(customers, '&textSearch=OURS'), ['ours@example.org']);
  const unknown = await api.call('GET', `/api/users/assign/${ours.id.id}?pageSize=10&page=0`);
  assert.equal(unknown.status, 404);
});
