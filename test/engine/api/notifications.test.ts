import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newDoc } from '#engine/entities.ts';
import { notificationService } from '#engine/services/notifications.ts';
import { settingsService } from '#engine/services/settings.ts';
import { type Api, SYSADMIN, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const people = { name: 'people', configuration: { type: 'PLATFORM_USERS', usersFilter: { type: 'TENANT_ADMINISTRATORS' } } };
const hot = {
  name: 'hot',
  notificationType: 'RULE_NODE',
  configuration: { deliveryMethodsTemplates: { WEB: { method: 'WEB', enabled: true, subject: 's', body: 'b' } } },
};

for (const { path, given } of [
  { path: 'target', given: people },
  { path: 'template', given: hot },
])
  test(`a notification ${path} is made, listed, changed and deleted`, async () => {
    const { status, body } = await api.call('POST', `/api/notification/${path}`, { body: given });
    assert.equal(status, 200);
    assert.partialDeepStrictEqual(body, given);
    const url = `/api/notification/${path}/${body.id.id}`;
    assert.deepEqual((await api.call('GET', url)).body, body);
    assert.equal((await api.call('POST', `/api/notification/${path}`, { body: { ...body, name: 'other' } })).body.name, 'other');
    assert.deepEqual(
      (await api.call('GET', `/api/notification/${path}s?pageSize=10&page=0&textSearch=oth`)).body.data.map((each: { name: string }) => each.name),
      ['other'],
    );
    assert.equal((await api.call('GET', `/api/notification/${path}s?ids=${body.id.id}`)).body.length, 1);
    assert.equal((await api.call('DELETE', url)).status, 200);
    assert.equal((await api.call('GET', url)).status, 404);
    for (const wrong of [{ ...given, name: '' }, { name: 'x' }, { name: 'x', configuration: {} }])
      assert.equal((await api.call('POST', `/api/notification/${path}`, { body: wrong })).status, 400);
  });

test('templates are listed by their type; recipients of a target are shown', async () => {
  await api.call('POST', '/api/notification/template', { body: hot });
  const of = async (type: string) =>
    (await api.call('GET', `/api/notification/templates?pageSize=10&page=0&notificationTypes=${type}`)).body.totalElements;
  assert.deepEqual([await of('RULE_NODE'), await of('ALARM')], [1, 0]);
  const { body } = await api.call('POST', '/api/notification/target/recipients?pageSize=10&page=0', { body: people });
  assert.deepEqual(
    body.data.map((user: { authority: string }) => user.authority),
    ['TENANT_ADMIN'],
  );
});

test('notifications: one reads one’s own, once; a message that is sent again leaves them read', async () => {
  const { body: user } = await api.call('GET', '/api/auth/user');
  const { backend } = api.context;
  const service = notificationService(user.tenantId.id, { store: backend.store, entities: { customerOf: async () => null }, commit: backend.commit });
  const make = (recipient: string, subject: string) =>
    newDoc(
      { collection: 'NOTIFICATION', tenantId: user.tenantId.id, name: subject, ref: recipient, state: 'SENT', body: { subject, status: 'SENT' } },
      1,
    );
  const [first, second, foreign] = [make(user.id.id, 'one'), make(user.id.id, 'two'), make(user.tenantId.id, 'foreign')];
  await service.save([first!, second!, foreign!]);
  const count = async () => (await api.call('GET', '/api/notifications/unread/count')).body;
  const list = async (query: string) =>
    (await api.call('GET', `/api/notifications?pageSize=10&page=0&sortProperty=name&${query}`)).body.data.map(
      (each: { subject: string; status: string }) => `${each.subject} ${each.status}`,
    );
  assert.equal(await count(), 2);
  assert.equal((await api.call('PUT', `/api/notification/${first!.id}/read`)).status, 200);
  assert.equal((await api.call('PUT', `/api/notification/${foreign!.id}/read`)).status, 404);
  await service.save([first!]);
  assert.deepEqual([await count(), (await list('')).toSorted(), await list('unreadOnly=true')], [1, ['one READ', 'two SENT'], ['two SENT']]);
  await api.call('PUT', '/api/notifications/read');
  assert.deepEqual([await count(), await list('deliveryMethod=EMAIL')], [0, []]);
  assert.equal((await api.call('DELETE', `/api/notification/${second!.id}`)).status, 200);
  assert.deepEqual(await list(''), ['one READ']);
});

test('settings: secrets are not sent back, are kept by a save without them, and are sealed in the store', async () => {
  const { body: user } = await api.call('GET', '/api/auth/user');
  const { backend, secrets } = api.context;
  const found = settingsService(backend.store, user.tenantId.id, secrets);
  const mail = { smtpHost: 'h', username: 'me' };
  const token = await api.login(SYSADMIN);
  const save = (body: object) => api.call('POST', '/api/admin/settings', { token, body: { key: 'mail', jsonValue: body } });
  assert.deepEqual((await save({ ...mail, password: 'secret' })).body.jsonValue, mail);
  await save({ ...mail, smtpHost: 'other' });
  assert.deepEqual((await api.call('GET', '/api/admin/settings/mail', { token })).body.jsonValue, { ...mail, smtpHost: 'other' });
  assert.deepEqual(await found.find('mail'), { ...mail, smtpHost: 'other', password: 'secret' });
  const slack = { deliveryMethodsConfigs: { SLACK: { method: 'SLACK', botToken: 'xoxb-1' } } };
  const shown = { deliveryMethodsConfigs: { SLACK: { method: 'SLACK' } } };
  assert.deepEqual((await api.call('POST', '/api/notification/settings', { body: slack })).body, shown);
  assert.deepEqual((await api.call('GET', '/api/notification/settings')).body, shown);
  assert.deepEqual(await found.find('notifications'), slack);
  const stored = await settingsService(backend.store, user.tenantId.id).find('notifications');
  assert.doesNotMatch(JSON.stringify(stored), /xoxb/);
});
