import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';
import { takeMessages } from '#test/support/lane.ts';

/** Who shows an alarm besides its originator (specs: rest-api §2.17, §2.20). */

let api: Api;
let tenant: string;
let customer: string;
const ids: Record<string, string> = {};

const post = async (path: string, body: object) => (await api.call('POST', path, { body })).body;
const ref = (entityType: string, id: string) => ({ entityType, id });
const relate = (from: object, to: object, type: string) => post('/api/relation', { from, to, type, typeGroup: 'COMMON' });
const save = (type: string, fields: object) =>
  post('/api/alarm', { originator: ref('DEVICE', ids['pump']!), type, severity: 'MINOR', ...fields }) as Promise<{ id: { id: string } }>;
const NONE = { propagate: false, propagateToOwner: false, propagateToTenant: false };

before(async () => {
  api = await startApi();
  tenant = (await api.call('GET', '/api/auth/user')).body.tenantId.id;
  customer = (await post('/api/customer', { title: 'Fish' })).id.id;
  for (const name of ['pump', 'valve']) ids[name] = (await post('/api/device', { name, type: 'default' })).id.id;
  for (const name of ['hall', 'site', 'team']) ids[name] = (await post('/api/asset', { name, type: 'default' })).id.id;
  await relate(ref('ASSET', ids['site']!), ref('ASSET', ids['hall']!), 'Contains');
  await relate(ref('ASSET', ids['hall']!), ref('DEVICE', ids['pump']!), 'Contains');
  await relate(ref('ASSET', ids['team']!), ref('DEVICE', ids['pump']!), 'Manages');
});
after(() => api.close());

/** Names of entities that show an alarm of this type. */
async function shownAt(type: string): Promise<string> {
  const places = { ...ids, TENANT: tenant, CUSTOMER: customer };
  const shown: string[] = [];
  for (const [name, id] of Object.entries(places)) {
    const entityType = { pump: 'DEVICE', valve: 'DEVICE', TENANT: 'TENANT', CUSTOMER: 'CUSTOMER' }[name] ?? 'ASSET';
    const { data } = (await api.call('GET', `/api/alarm/${entityType}/${id}?pageSize=50&page=0`)).body;
    if (data.some((alarm: { type: string }) => alarm.type === type)) shown.push(name);
  }
  return shown.join(' ');
}

for (const [name, fields, want] of [
  ['nobody else', {}, 'pump'],
  ['along every relation, over levels', { propagate: true }, 'pump hall site team'],
  ['along relations of a type', { propagate: true, propagateRelationTypes: ['Contains'] }, 'pump hall site'],
  ['its owner, the tenant', { propagateToOwner: true }, 'pump TENANT'],
  ['the tenant', { propagateToTenant: true }, 'pump TENANT'],
  ['types without the flag mean nothing', { propagateRelationTypes: ['Contains'] }, 'pump'],
] as const)
  test(`propagation: ${name}`, async () => {
    await save(name, fields);
    assert.equal(await shownAt(name), want);
  });

test('propagation: to the customer that owns the device', async () => {
  await api.call('POST', `/api/customer/${customer}/device/${ids['pump']}`);
  await save('owned', { propagateToOwner: true });
  assert.equal(await shownAt('owned'), 'pump CUSTOMER');
  await api.call('DELETE', `/api/customer/device/${ids['pump']}`);
});

test('propagation: changed flags change who shows it; a later relation does not', async () => {
  await save('changing', { propagate: true, propagateRelationTypes: ['Manages'] });
  assert.equal(await shownAt('changing'), 'pump team');
  await save('changing', { propagateToTenant: true });
  assert.equal(await shownAt('changing'), 'pump TENANT');
  await relate(ref('ASSET', ids['team']!), ref('DEVICE', ids['valve']!), 'Manages');
  await save('changing', {});
  assert.equal(await shownAt('changing'), 'pump');
});

test('propagation: lists take both, by their filters and pages; the most severe of both counts', async () => {
  const site = ids['site']!;
  await post('/api/alarm', { originator: ref('ASSET', site), type: 'own', severity: 'WARNING' });
  const worst = await save('worst', { severity: 'CRITICAL', propagate: true });
  const list = async (path: string, query: string) => (await api.call('GET', `${path}/ASSET/${site}?${query}`)).body;
  const types = (page: { data: { type: string }[] }) => page.data.map(({ type }) => type).join();
  const sorted = 'sortProperty=createdTime&sortOrder=DESC&page=0';
  assert.equal(types(await list('/api/alarm', `pageSize=2&${sorted}`)), 'worst,own');
  assert.equal((await list('/api/alarm', `pageSize=1&${sorted}`)).hasNext, true);
  assert.equal(types(await list('/api/v2/alarm', `pageSize=9&${sorted}&severityList=CRITICAL,WARNING`)), 'worst,own');
  assert.equal((await api.call('GET', `/api/alarm/highestSeverity/ASSET/${site}`)).text, '"CRITICAL"');
  await api.call('POST', `/api/alarm/${worst.id.id}/clear`);
  assert.equal(types(await list('/api/alarm', `pageSize=9&${sorted}&searchStatus=CLEARED`)), 'worst');
  assert.equal((await api.call('DELETE', `/api/alarm/${worst.id.id}`)).text, 'true');
  assert.equal(types(await list('/api/alarm', `pageSize=9&${sorted}&searchStatus=CLEARED`)), '');
});

test('propagation: queries take them on demand, each once, at who was asked about', async () => {
  await save('asked', { propagate: true });
  const query = async (names: readonly string[], searchPropagatedAlarms?: boolean) => {
    const [entityType] = names[0] === 'pump' ? ['DEVICE'] : ['ASSET'];
    const entityFilter = { type: 'entityList', entityType, entityList: names.map((name) => ids[name]) };
    const pageLink = { page: 0, pageSize: 20, typeList: ['asked'], searchPropagatedAlarms };
    const { data } = await post('/api/alarmsQuery/find', { entityFilter, pageLink, alarmFields: [], entityFields: [], latestValues: [] });
    const count = (await api.call('POST', '/api/alarmsQuery/count', { body: { entityFilter, typeList: ['asked'], searchPropagatedAlarms } })).body;
    assert.equal(count, data.length);
    return data.map(({ entityId, originator }: { entityId: object; originator: object }) => [entityId, originator]);
  };
  const pump = ref('DEVICE', ids['pump']!);
  assert.deepEqual(await query(['hall', 'site']), []);
  assert.deepEqual(await query(['hall', 'site'], true), [[ref('ASSET', ids['hall']!), pump]]);
  assert.deepEqual(await query(['pump'], true), [[pump, pump]]);
});

test('propagation: the flags are shown as they were saved', async () => {
  const alarm = await save('flags', { propagate: true, propagateRelationTypes: ['Contains'] });
  const { propagate, propagateToOwner, propagateToTenant, propagateRelationTypes } = (await api.call('GET', `/api/alarm/info/${alarm.id.id}`)).body;
  assert.deepEqual(
    { propagate, propagateToOwner, propagateToTenant, propagateRelationTypes },
    { ...NONE, propagate: true, propagateRelationTypes: ['Contains'] },
  );
});

test('alarms of a user who is deleted are nobody’s: alarm, history and chain say so', async () => {
  const email = 'gone@example.com';
  const user = await post('/api/user?sendActivationMail=false', { email, authority: 'TENANT_ADMIN', firstName: 'Ann', lastName: 'Lee' });
  const alarm = await save('assigned', {});
  const assigned = await api.call('POST', `/api/alarm/${alarm.id.id}/assign/${user.id.id}`);
  assert.equal(assigned.body.assignee.email, email);
  await takeMessages(api.context.backend, ids['pump']!);
  assert.equal((await api.call('DELETE', `/api/user/${user.id.id}`)).status, 200);
  const info = (await api.call('GET', `/api/alarm/info/${alarm.id.id}`)).body;
  assert.deepEqual([info.assigneeId, info.assignee, info.assignTs > assigned.body.createdTime], [null, null, true]);
  const [comment] = (await api.call('GET', `/api/alarm/${alarm.id.id}/comment?pageSize=9&page=0&sortProperty=createdTime&sortOrder=DESC`)).body.data;
  assert.deepEqual(comment.comment, {
    text: 'Alarm was unassigned because user Ann Lee - was deleted',
    subtype: 'UNASSIGNED_FROM_DELETED_USER',
    userName: 'Ann Lee',
  });
  const told = await takeMessages(api.context.backend, ids['pump']!);
  assert.deepEqual(
    told.map(({ type, data }) => [type, JSON.parse(data).assigneeId]),
    [['ALARM_UNASSIGNED', null]],
  );
});

test('alarms of an entity that is deleted are gone, with their history and from the lists of others', async () => {
  const probe = (await post('/api/device', { name: 'probe', type: 'default' })).id.id;
  const alarm = await save('gone', { originator: ref('DEVICE', probe), propagateToTenant: true });
  await save('gone', { originator: ref('DEVICE', probe), propagateToTenant: true, severity: 'CRITICAL' });
  const { store } = api.context.backend;
  const left = async () => [
    (await store.docs('ALARM_COMMENT', tenant, { ref: alarm.id.id })).totalElements,
    (await store.relations(tenant, { to: { entityType: 'ALARM', id: alarm.id.id }, typeGroup: 'ALARM' })).length,
    (await api.call('GET', `/api/alarm/${alarm.id.id}`)).status,
  ];
  assert.deepEqual(await left(), [1, 1, 200]);
  assert.equal((await api.call('DELETE', `/api/device/${probe}`)).status, 200);
  assert.deepEqual(await left(), [0, 0, 404]);
});
