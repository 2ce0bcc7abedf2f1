import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, type Reply, startApi } from '#test/support/api.ts';

/** Two thermometers and a pump; t of the first is 9, of the second 21; the second and the asset belong to a customer. */

let api: Api;
let customerToken: string;
const ids: Record<string, string> = {};
const post = (path: string, body: unknown, token?: string) => api.call('POST', path, token ? { body, token } : { body });

before(async () => {
  api = await startApi();
  const customer = (await post('/api/customer', { title: 'Nordic Foods' })).body.id;
  ids['customer'] = customer.id;
  for (const [name, type, t, customerId] of [
    ['TH 1', 'thermometer', 9, null],
    ['TH 2', 'thermometer', 21, customer],
    ['Pump', 'pump', null, null],
  ] as const) {
    ids[name] = (await post('/api/device', { name, type, customerId, label: `${name}!` })).body.id.id;
    if (t !== null) {
      await post(`/api/plugins/telemetry/DEVICE/${ids[name]}/timeseries/ANY`, { ts: 1000, values: { t } });
      await post(`/api/plugins/telemetry/DEVICE/${ids[name]}/attributes/SHARED_SCOPE`, { unit: t > 10 ? 'C' : 'F', on: t > 10 });
    }
  }
  ids['Hall'] = (await post('/api/asset', { name: 'Hall', type: 'hall', customerId: customer })).body.id.id;
  await post('/api/relation', { from: { entityType: 'ASSET', id: ids['Hall'] }, to: { entityType: 'DEVICE', id: ids['TH 2'] }, type: 'Contains' });
  const group = (await post('/api/entityGroup', { type: 'DEVICE', name: 'Cold store' })).body.id.id;
  await post(`/api/entityGroup/${group}/addEntities`, [ids['Pump']]);
  ids['group'] = group;
  const account = { email: 'user@example.org', authority: 'CUSTOMER_USER', customerId: customer };
  const user = (await post('/api/user?sendActivationMail=false', account)).body;
  const { value } = (await api.call('GET', `/api/user/${user.id.id}/activationLinkInfo`)).body;
  const activateToken = new URL(value).searchParams.get('activateToken');
  customerToken = (await post('/api/noauth/activate', { activateToken, password: 'password' })).body.token;
});
after(() => api.close());

const NAME = { type: 'ENTITY_FIELD', key: 'name' };
const T = { type: 'TIME_SERIES', key: 't' };
const query = (entityFilter: unknown, more: object = {}, page: object = {}) => ({
  entityFilter,
  entityFields: [NAME],
  pageLink: { page: 0, pageSize: 10, sortOrder: { key: NAME, direction: 'ASC' }, ...page },
  ...more,
});
const names = ({ body }: Reply) =>
  body.data.map((row: { latest: { ENTITY_FIELD: { name: { value: string } } } }) => row.latest.ENTITY_FIELD.name.value);
const device = (name: string) => ({ entityType: 'DEVICE', id: ids[name] });

for (const { name, filter, found, customers = [] } of [
  { name: 'one', filter: () => ({ type: 'singleEntity', singleEntity: device('TH 1') }), found: ['TH 1'] },
  { name: 'one that is not there', filter: () => ({ type: 'singleEntity', singleEntity: { entityType: 'ASSET', id: ids['TH 1'] } }), found: [] },
  {
    name: 'a list',
    filter: () => ({ type: 'entityList', entityType: 'DEVICE', entityList: [ids['Pump'], ids['TH 2']] }),
    found: ['Pump', 'TH 2'],
    customers: ['TH 2'],
  },
  {
    name: 'by the start of a name',
    filter: () => ({ type: 'entityName', entityType: 'DEVICE', entityNameFilter: 'th' }),
    found: ['TH 1', 'TH 2'],
    customers: ['TH 2'],
  },
  { name: 'a wildcard', filter: () => ({ type: 'entityName', entityType: 'DEVICE', entityNameFilter: '%2' }), found: ['TH 2'], customers: ['TH 2'] },
  { name: 'all of a type', filter: () => ({ type: 'entityType', entityType: 'ASSET' }), found: ['Hall'], customers: ['Hall'] },
  { name: 'device types', filter: () => ({ type: 'deviceType', deviceTypes: ['pump'] }), found: ['Pump'] },
  {
    name: 'the older device type',
    filter: () => ({ type: 'deviceType', deviceType: 'thermometer', deviceNameFilter: 'TH 2' }),
    found: ['TH 2'],
    customers: ['TH 2'],
  },
  { name: 'asset types', filter: () => ({ type: 'assetType', assetTypes: ['none'] }), found: [] },
  {
    name: 'along relations',
    filter: () => ({ type: 'relationsQuery', rootEntity: { entityType: 'ASSET', id: ids['Hall'] }, direction: 'FROM', maxLevel: 1, filters: [] }),
    found: ['TH 2'],
    customers: ['TH 2'],
  },
]) {
  test(`entities: ${name}`, async () => {
    for (const [token, expected] of [
      [undefined, found],
      [customerToken, customers],
    ] as const) {
      const reply = await post('/api/entitiesQuery/find', query(filter()), token);
      assert.deepEqual([names(reply), reply.body.totalElements], [expected, expected.length]);
      assert.equal((await post('/api/entitiesQuery/count', { entityFilter: filter() }, token)).text, String(expected.length));
    }
  });
}

test('entities: a group, which its tenant alone may read', async () => {
  const filter = { type: 'entityGroup', groupType: 'DEVICE', entityGroup: ids['group'] };
  assert.deepEqual(names(await post('/api/entitiesQuery/find', query(filter))), ['Pump']);
  assert.equal((await post('/api/entitiesQuery/find', query(filter), customerToken)).status, 403);
});

const DEVICES = { type: 'entityType', entityType: 'DEVICE' };
const keyFilter = (key: unknown, predicate: unknown) => ({ keyFilters: [{ key, valueType: 'STRING', predicate }] });
const value = (defaultValue: unknown) => ({ defaultValue, dynamicValue: null });
const UNIT = { type: 'SHARED_ATTRIBUTE', key: 'unit' };

for (const { name, key, predicate, found } of [
  { name: 'a number above', key: T, predicate: { type: 'NUMERIC', operation: 'GREATER', value: value(10) }, found: ['TH 2'] },
  { name: 'a number at most', key: T, predicate: { type: 'NUMERIC', operation: 'LESS_OR_EQUAL', value: value(9) }, found: ['TH 1'] },
  {
    name: 'a number the user set',
    key: T,
    predicate: { type: 'NUMERIC', operation: 'EQUAL', value: { defaultValue: 9, userValue: 21 } },
    found: ['TH 2'],
  },
  {
    name: 'a text regardless of case',
    key: UNIT,
    predicate: { type: 'STRING', operation: 'EQUAL', value: value('c'), ignoreCase: true },
    found: ['TH 2'],
  },
  { name: 'a text with its case', key: UNIT, predicate: { type: 'STRING', operation: 'EQUAL', value: value('c') }, found: [] },
  { name: 'one of a list', key: UNIT, predicate: { type: 'STRING', operation: 'IN', value: value('C, F') }, found: ['TH 1', 'TH 2'] },
  { name: 'not in a text', key: NAME, predicate: { type: 'STRING', operation: 'NOT_CONTAINS', value: value('TH') }, found: ['Pump'] },
  {
    name: 'a boolean of any scope',
    key: { type: 'ATTRIBUTE', key: 'on' },
    predicate: { type: 'BOOLEAN', operation: 'EQUAL', value: value(false) },
    found: ['TH 1'],
  },
  {
    name: 'either of two',
    key: T,
    predicate: {
      type: 'COMPLEX',
      operation: 'OR',
      predicates: [
        { type: 'NUMERIC', operation: 'LESS', value: value(10) },
        { type: 'NUMERIC', operation: 'GREATER', value: value(20) },
      ],
    },
    found: ['TH 1', 'TH 2'],
  },
]) {
  test(`key filter: ${name}`, async () =>
    assert.deepEqual(names(await post('/api/entitiesQuery/find', query(DEVICES, keyFilter(key, predicate)))), found));
}

test('entities: shown with what was asked for, absent values empty; sorted by a value, in pages, by text', async () => {
  const latestValues = [T, UNIT];
  const { body } = await post('/api/entitiesQuery/find', query(DEVICES, { latestValues }, { pageSize: 2, sortOrder: { key: T, direction: 'DESC' } }));
  const { data, ...page } = body;
  assert.deepEqual(page, { totalPages: 2, totalElements: 3, hasNext: true });
  assert.deepEqual(
    data.map((row: { entityId: unknown }) => row.entityId),
    [device('TH 2'), device('TH 1')],
  );
  const [{ latest, timeseries, aggLatest }] = data;
  assert.deepEqual([latest.TIME_SERIES, latest.SHARED_ATTRIBUTE.unit.value, timeseries, aggLatest], [{ t: { ts: 1000, value: '21' } }, 'C', {}, {}]);
  const pump = await post(
    '/api/entitiesQuery/find',
    query(DEVICES, { latestValues, entityFields: [{ type: 'ENTITY_FIELD', key: 'label' }] }, { textSearch: 'PUMP!' }),
  );
  assert.deepEqual(pump.body.data[0].latest.TIME_SERIES, { t: { ts: 0, value: '' } });
  assert.equal(pump.body.totalElements, 1);
});

for (const { name, path = '/api/entitiesQuery/find', body, message } of [
  { name: 'no filter', body: { pageLink: { page: 0, pageSize: 1 } }, message: 'Validation error: entityFilter must not be null' },
  { name: 'an unknown filter', body: query({ type: 'constructor' }), message: /^Unknown entity filter 'constructor'\. Only 'singleEntity', / },
  {
    name: 'a type that no list is about',
    body: query({ type: 'entityType', entityType: 'USER_CREDENTIALS' }),
    message: 'Invalid entity type: USER_CREDENTIALS',
  },
  {
    name: 'an unknown predicate',
    body: query(DEVICES, keyFilter(NAME, { type: 'NUMERIC', operation: 'toString' })),
    message: 'Unknown predicate: NUMERIC toString',
  },
  { name: 'no page', body: query(DEVICES, {}, { pageSize: 0 }), message: "Incorrect page link page size '0'. Page size must be greater than zero." },
  { name: 'an unknown status', path: '/api/alarmsQuery/count', body: { statusList: ['NOPE'] }, message: 'Unknown alarm search status: NOPE' },
]) {
  test(`queries refuse ${name}`, async () => {
    const reply = await post(path, body);
    assert.equal(reply.status, 400);
    if (typeof message === 'string') assert.equal(reply.body.message, message);
    else assert.match(reply.body.message, message);
  });
}

test('no query shows what an entity keeps to itself', async () => {
  const keys = ['configuration', 'deviceData'].map((key) => ({ type: 'ENTITY_FIELD', key }));
  const { body } = await post('/api/entitiesQuery/find', query(DEVICES, { entityFields: keys }));
  for (const { latest } of body.data) for (const { value } of Object.values(latest.ENTITY_FIELD) as { value: string }[]) assert.equal(value, '');
});

test('alarms of entities: found, filtered, sorted and counted; a customer sees its own', async () => {
  for (const [name, type, severity] of [
    ['TH 1', 'Cold', 'MINOR'],
    ['TH 1', 'Warm', 'CRITICAL'],
    ['TH 2', 'Warm', 'MAJOR'],
  ] as const)
    await post('/api/alarm', { originator: device(name), type, severity });
  const find = async (page: object, token?: string, filter: unknown = DEVICES) => {
    const { body } = await post(
      '/api/alarmsQuery/find',
      { entityFilter: filter, entityFields: [NAME], pageLink: { page: 0, pageSize: 10, ...page } },
      token,
    );
    return body.data.map((row: { type: string; severity: string; latest: { ENTITY_FIELD: { name: { value: string } } } }) =>
      [row.latest.ENTITY_FIELD.name.value, row.type, row.severity].join(' '),
    );
  };
  const by = (key: string, direction = 'ASC') => ({ sortOrder: { key: { type: 'ALARM_FIELD', key }, direction } });
  assert.deepEqual(await find(by('severity', 'DESC')), ['TH 1 Warm CRITICAL', 'TH 2 Warm MAJOR', 'TH 1 Cold MINOR']);
  assert.deepEqual(await find({ ...by('originator'), typeList: ['Warm'] }), ['TH 1 Warm CRITICAL', 'TH 2 Warm MAJOR']);
  assert.deepEqual(await find({ severityList: ['MINOR'], statusList: ['ACTIVE'], timeWindow: 60_000 }), ['TH 1 Cold MINOR']);
  assert.deepEqual(await find({ startTs: 1, endTs: 2 }), []);
  assert.deepEqual(await find({}, customerToken), ['TH 2 Warm MAJOR']);
  assert.deepEqual(await find({}, undefined, { type: 'singleEntity', singleEntity: device('Pump') }), []);
  const count = async (body: unknown, token?: string) => (await post('/api/alarmsQuery/count', body, token)).text;
  assert.deepEqual(
    [
      await count({}),
      await count({}, customerToken),
      await count({ typeList: ['Warm'] }),
      await count({ entityFilter: { type: 'singleEntity', singleEntity: device('TH 1') } }),
    ],
    ['3', '1', '2', '2'],
  );
});
