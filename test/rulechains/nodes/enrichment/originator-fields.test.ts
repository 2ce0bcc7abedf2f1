import assert from 'node:assert/strict';
import test from 'node:test';
import { newCustomer, newDevice, newDoc } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Doc } from '#engine/store.ts';
import originatorFields from '#rulechains/nodes/enrichment/originator-fields.ts';
import { message, TENANT } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const PROFILE = 'cccccccc-0000-1000-8000-000000000001';
const { device } = newDevice(
  { tenantId: TENANT, name: 'Valve', type: 'valve', profileId: PROFILE, additionalInfo: { description: 'north', gateway: true, floor: '' } },
  1_700_000_000_000,
);
const customer = newCustomer(TENANT, 'Plant', 1_700_000_000_000, { country: 'Spain' });
const doc = (fields: Pick<Doc, 'collection' | 'name' | 'body'> & Partial<Doc>): Doc => newDoc({ tenantId: TENANT, ...fields }, 1_700_000_000_000);
const user = doc({
  collection: 'USER',
  name: 'u@example.org',
  customerId: customer.id,
  body: { authority: 'CUSTOMER_USER', firstName: 'F', lastName: null },
});
const edge = doc({ collection: 'EDGE', name: 'North', kind: 'default', body: { routingKey: 'r' } });
const view = doc({ collection: 'ENTITY_VIEW', name: 'V', kind: 'vt', body: { entityId: { entityType: 'DEVICE', id: device.id }, startTimeMs: 0 } });
const chain = doc({ collection: 'RULE_CHAIN', name: 'Root', kind: 'CORE', state: 'ROOT', body: { debugMode: false } });
const alarm = doc({
  collection: 'ALARM',
  name: 'High',
  kind: 'High',
  state: 'ACTIVE_UNACK',
  body: { severity: 'MAJOR', originator: { entityType: 'DEVICE', id: device.id }, details: { a: 1 }, endTs: 5 },
});
const tenant = { ...doc({ collection: 'TENANT', name: 'Tenant', body: { region: 'Global', country: null } }), id: TENANT };
const originator = (doc: Doc): EntityRef => ({ entityType: doc.collection as 'DEVICE', id: doc.id });

for (const { name, doc = device, config, data = {}, to } of [
  {
    name: 'name, type, ids and times as text; what is not there is not written, what is null is the text null',
    config: { dataMapping: { name: 'nm', type: 'tp', label: 'lb', id: 'i', tenantId: 'ti', deviceProfileId: 'dp', createdTime: 'ct', zzz: 'z' } },
    to: { to: 'Success', metadata: { nm: 'Valve', tp: 'valve', lb: 'null', i: device.id, ti: TENANT, dp: PROFILE, ct: '1700000000000' } },
  },
  {
    name: 'dotted paths, but not into ids',
    config: {
      dataMapping: {
        'additionalInfo.description': 'c',
        'additionalInfo.gateway': 'g',
        'deviceData.configuration.type': 'd',
        'id.id': 'a',
        'deviceProfileId.entityType': 'b',
        additionalInfo: 'all',
      },
    },
    to: { to: 'Success', metadata: { c: 'north', g: 'true', d: 'DEFAULT', all: '{"description":"north","gateway":true,"floor":""}' } },
  },
  {
    name: 'empty fields may be skipped',
    config: { dataMapping: { label: 'lb', 'additionalInfo.floor': 'f', name: 'nm' }, ignoreNullStrings: true, fetchTo: 'DATA' },
    data: { a: 1 },
    to: { to: 'Success', data: '{"a":1,"nm":"Valve"}' },
  },
  { name: 'or added', config: { dataMapping: { 'additionalInfo.floor': 'f' } }, to: { to: 'Success', metadata: { f: '' } } },
  {
    name: 'dots at the end of a path, and at its start',
    config: { dataMapping: { 'name.': 'a', 'additionalInfo.description..': 'b', '.name': 'c', 'name.x': 'd' } },
    to: { to: 'Success', metadata: { a: 'Valve', b: 'north' } },
  },
  { name: 'a key that is null', config: { dataMapping: { name: null } }, to: { to: 'Failure', error: /^Failed to process pattern!$/ } },
  { name: 'the key is a pattern', config: { dataMapping: { name: 'x_$[k]' } }, data: { k: 'y' }, to: { to: 'Success', metadata: { x_y: 'Valve' } } },
  {
    name: 'a customer',
    doc: customer,
    config: { dataMapping: { name: 'nm', title: 'tt', country: 'co', email: 'em' } },
    to: { to: 'Success', metadata: { nm: 'Plant', tt: 'Plant', co: 'Spain', em: 'null' } },
  },
  {
    name: 'a user',
    doc: user,
    config: { dataMapping: { email: 'e', name: 'n', authority: 'a', firstName: 'f', lastName: 'l', customerId: 'c' } },
    to: { to: 'Success', metadata: { e: 'u@example.org', n: 'u@example.org', a: 'CUSTOMER_USER', f: 'F', l: 'null', c: customer.id } },
  },
  { name: 'an edge', doc: edge, config: { dataMapping: { name: 'n', routingKey: 'k' } }, to: { to: 'Success', metadata: { n: 'North', k: 'r' } } },
  {
    name: 'an entity view',
    doc: view,
    config: { dataMapping: { name: 'n', type: 't', entityId: 'e', startTimeMs: 's' } },
    to: { to: 'Success', metadata: { n: 'V', t: 'vt', e: device.id, s: '0' } },
  },
  {
    name: 'a rule chain',
    doc: chain,
    config: { dataMapping: { name: 'n', type: 't', root: 'r', debugMode: 'd' } },
    to: { to: 'Success', metadata: { n: 'Root', t: 'CORE', r: 'true', d: 'false' } },
  },
  {
    name: 'an alarm',
    doc: alarm,
    config: { dataMapping: { type: 't', status: 's', severity: 'y', originator: 'o', 'details.a': 'a', endTs: 'e' } },
    to: { to: 'Success', metadata: { t: 'High', s: 'ACTIVE_UNACK', y: 'MAJOR', o: device.id, a: '1', e: '5' } },
  },
  {
    name: 'the tenant',
    doc: tenant,
    config: { dataMapping: { name: 'n', title: 't', region: 'r', country: 'c', tenantId: 'i' } },
    to: { to: 'Success', metadata: { n: 'Tenant', t: 'Tenant', r: 'Global', c: 'null', i: TENANT } },
  },
  { name: 'data that is no object', config: { fetchTo: 'DATA' }, data: 'text', to: { to: 'Failure', error: /./ } },
])
  test(`originator fields: ${name}`, async () => {
    const given = services({ docs: { [doc.id]: doc } });
    const [outcome] = await run(originatorFields, [message({ data, originator: originator(doc) })], { config, services: given });
    if (to.error) assert.match((outcome as { error: string }).error, to.error);
    else assert.deepEqual(outcome, to);
  });

test('originator fields: an originator without fields', async () => {
  const outcomes = await run(originatorFields, [message({ originator: { entityType: 'RULE_NODE', id: 'x' } }), message()]);
  assert.deepEqual(outcomes, [
    { to: 'Failure', error: 'Unexpected originator EntityType: RULE_NODE' },
    { to: 'Failure', error: 'Entity not found!' },
  ]);
});

for (const { config, reason } of [
  { config: { dataMapping: {} }, reason: 'At least one mapping entry should be specified!' },
  { config: { dataMapping: null }, reason: 'At least one mapping entry should be specified!' },
  { config: { fetchTo: null }, reason: "FetchTo option can't be null! Allowed values: [DATA, METADATA]" },
])
  test(`originator fields: unusable with ${JSON.stringify(config)}`, () => assert.rejects(start(originatorFields, { config }), { message: reason }));
