import assert from 'node:assert/strict';
import test from 'node:test';
import { newAsset, newCustomer, newDevice, newDoc } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { AnyNode } from '#engine/node.ts';
import type { Doc } from '#engine/store.ts';
import customerDetails from '#rulechains/nodes/enrichment/customer-details.ts';
import tenantDetails from '#rulechains/nodes/enrichment/tenant-details.ts';
import { message, TENANT } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const AT = 1_700_000_000_000;
const contact = {
  country: 'Germany',
  state: 'Bavaria',
  city: 'Munich',
  address: 'Street 1',
  address2: 'Floor 2',
  zip: '80331',
  phone: '+49',
  email: 'c@example.org',
};
const full = newCustomer(TENANT, 'Full', AT, { ...contact, additionalInfo: { description: 'about' } });
const sparse = newCustomer(TENANT, 'Sparse', AT);
const owned = newDevice({ tenantId: TENANT, name: 'D', type: 't', profileId: 'p' }, AT).device;
const other = newAsset({ tenantId: TENANT, name: 'A', type: 't', profileId: 'p' }, AT);
const free = newDevice({ tenantId: TENANT, name: 'F', type: 't', profileId: 'p' }, AT).device;
const doc = (collection: 'ENTITY_VIEW' | 'USER' | 'EDGE', name: string) => newDoc({ collection, tenantId: TENANT, name, body: {} }, AT);
const [view, user, edge] = [doc('ENTITY_VIEW', 'V'), doc('USER', 'u@example.org'), doc('EDGE', 'E')];
const tenant: Doc = {
  ...newDoc({ collection: 'TENANT', tenantId: TENANT, name: 'Tenant', body: { ...contact, additionalInfo: { description: null } } }, AT),
  id: TENANT,
};
const ALL = ['ID', 'TITLE', 'COUNTRY', 'CITY', 'STATE', 'ZIP', 'ADDRESS', 'ADDRESS2', 'PHONE', 'EMAIL', 'ADDITIONAL_INFO'];

const world = () =>
  services({
    docs: Object.fromEntries([full, sparse, owned, other, free, view, user, edge, tenant].map((each) => [each.id, each])),
    customers: { [owned.id]: full.id, [other.id]: sparse.id },
  });
const ref = ({ collection, id }: Doc): EntityRef => ({ entityType: collection as 'DEVICE', id });

for (const { name, originator = ref(owned), config, data = { a: 1 }, to } of [
  {
    name: 'everything, in the order of the list',
    config: { detailsList: ALL },
    to: {
      to: 'Success',
      data: `{"a":1,"customer_id":"${full.id}","customer_title":"Full","customer_country":"Germany","customer_city":"Munich","customer_state":"Bavaria","customer_zip":"80331","customer_address":"Street 1","customer_address2":"Floor 2","customer_phone":"+49","customer_email":"c@example.org","customer_additionalInfo":"about"}`,
    },
  },
  {
    name: 'what is null is left out',
    originator: ref(other),
    config: { detailsList: ['TITLE', 'COUNTRY', 'EMAIL'] },
    to: { to: 'Success', data: '{"a":1,"customer_title":"Sparse"}' },
  },
  {
    name: 'without a description it repeats what came before',
    originator: ref(other),
    config: { fetchTo: 'METADATA', detailsList: ['TITLE', 'ADDITIONAL_INFO'] },
    to: { to: 'Success', metadata: { customer_title: 'Sparse', customer_additionalInfo: 'Sparse' } },
  },
  {
    name: 'without a description, behind what is null, there is nothing to repeat',
    originator: ref(other),
    config: { fetchTo: 'METADATA', detailsList: ['COUNTRY', 'ADDITIONAL_INFO'] },
    to: { to: 'Success', metadata: {} },
  },
  {
    name: 'nothing before it',
    originator: ref(other),
    config: { fetchTo: 'METADATA', detailsList: ['ADDITIONAL_INFO', 'ID'] },
    to: { to: 'Success', metadata: { customer_id: sparse.id } },
  },
  {
    name: 'a device of the tenant itself',
    originator: ref(free),
    config: { detailsList: ['ID'] },
    to: { to: 'Failure', error: "Device with name 'F' is not assigned to Customer!" },
  },
  {
    name: 'an entity view',
    originator: ref(view),
    config: { detailsList: ['ID'] },
    to: { to: 'Failure', error: "Entity View with name 'V' is not assigned to Customer!" },
  },
  {
    name: 'a user',
    originator: ref(user),
    config: { detailsList: ['ID'] },
    to: { to: 'Failure', error: "User with name 'u@example.org' is not assigned to Customer!" },
  },
  {
    name: 'an edge',
    originator: ref(edge),
    config: { detailsList: ['ID'] },
    to: { to: 'Failure', error: "Edge with name 'E' is not assigned to Customer!" },
  },
  { name: 'an originator that is gone', originator: { entityType: 'DEVICE', id: 'x' } as const, config: { detailsList: ['ID'] }, to: 'Success' },
  {
    name: 'a customer',
    originator: ref(full),
    config: { detailsList: ['ID'] },
    to: { to: 'Failure', error: "Entity with entityType 'CUSTOMER' is not supported." },
  },
  {
    name: 'the tenant',
    originator: ref(tenant),
    config: { detailsList: ['ID'] },
    to: { to: 'Failure', error: "Entity with entityType 'TENANT' is not supported." },
  },
  { name: 'data that is no object', config: { detailsList: ['ID'] }, data: [], to: { to: 'Failure', error: 'Message body is not an object!' } },
  {
    name: 'data that is no object, to metadata',
    config: { fetchTo: 'METADATA', detailsList: ['TITLE'] },
    data: 'text',
    to: { to: 'Success', metadata: { customer_title: 'Full' } },
  },
] as { name: string; originator?: EntityRef; config: Record<string, unknown>; data?: unknown; to: unknown }[])
  test(`customer details: ${name}`, async () => {
    assert.deepEqual(await run(customerDetails, [message({ data, originator })], { config, services: world() }), [to]);
  });

test('tenant details: of the tenant, whatever the originator is', async () => {
  const config = { fetchTo: 'METADATA', detailsList: ['ID', 'TITLE', 'ADDRESS2', 'ADDITIONAL_INFO'] };
  const metadata = { tenant_id: TENANT, tenant_title: 'Tenant', tenant_address2: 'Floor 2', tenant_additionalInfo: 'Floor 2' };
  const outcomes = await run(tenantDetails, [message(), message({ originator: { entityType: 'RULE_NODE', id: 'x' } })], {
    config,
    services: world(),
  });
  assert.deepEqual(outcomes, [
    { to: 'Success', metadata },
    { to: 'Success', metadata },
  ]);
});

for (const node of [customerDetails, tenantDetails] as AnyNode[])
  for (const { config, reason } of [
    { config: {}, reason: 'At least one entity detail should be selected!' },
    { config: { detailsList: null }, reason: 'At least one entity detail should be selected!' },
    { config: { detailsList: ['ID'], fetchTo: null }, reason: "FetchTo option can't be null! Allowed values: [DATA, METADATA]" },
    { config: { detailsList: ['FAX'] }, reason: 'Can\'t convert value: {"detailsList":["FAX"],"fetchTo":"DATA"}' },
  ])
    test(`${node.label}: unusable with ${JSON.stringify(config)}`, () => assert.rejects(start(node, { config }), { message: reason }));
