import assert from 'node:assert/strict';
import test from 'node:test';
import type { EntityRef } from '#engine/message.ts';
import type { Doc, Relation } from '#engine/store.ts';
import checkRelation from '#rulechains/nodes/filter/check-relation.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const device: EntityRef = { entityType: 'DEVICE', id: DEVICE };
const house: EntityRef = { entityType: 'ASSET', id: '9a4f394c-42b6-11ec-8d3d-0242ac130003' };
const shed: EntityRef = { entityType: 'ASSET', id: '9b4f394c-42b6-11ec-8d3d-0242ac130003' };
const relation = (from: EntityRef, to: EntityRef, type = 'Contains', typeGroup = 'COMMON'): Relation => ({ from, to, type, typeGroup });
const docs = { [house.id]: { collection: 'ASSET', id: house.id, tenantId: TENANT, createdTime: 1, version: 1, name: 'House', body: {} } as Doc };
const any = { checkForSingleEntity: false };
const toHouse = { entityType: 'ASSET', entityId: house.id };

for (const { name, config, relations, to } of [
  { name: 'from the originator', config: toHouse, relations: [relation(device, house)], to: 'True' },
  { name: 'the other way', config: toHouse, relations: [relation(house, device)], to: 'False' },
  { name: 'to the originator', config: { ...toHouse, direction: 'TO' }, relations: [relation(house, device)], to: 'True' },
  { name: 'to another entity', config: toHouse, relations: [relation(device, shed)], to: 'False' },
  { name: 'to any', config: any, relations: [relation(device, shed)], to: 'True' },
  { name: 'to none', config: any, relations: [], to: 'False' },
  { name: 'any, to the originator', config: { ...any, direction: 'TO' }, relations: [relation(device, shed)], to: 'False' },
  { name: 'no direction is TO', config: { ...any, direction: null }, relations: [relation(shed, device)], to: 'True' },
  { name: 'another type', config: any, relations: [relation(device, shed, 'Manages')], to: 'False' },
  { name: 'the case of the type counts', config: { ...any, relationType: 'contains' }, relations: [relation(device, shed)], to: 'False' },
  { name: 'a pattern is a text', config: { ...any, relationType: `\${t}` }, relations: [relation(device, shed)], to: 'False' },
  { name: 'other groups of types do not count', config: any, relations: [relation(device, shed, 'Contains', 'DASHBOARD')], to: 'False' },
  { name: 'no type', config: { ...any, relationType: null }, relations: [], to: { to: 'Failure', error: 'Relation type should be specified!' } },
])
  test(`check relation presence: ${name}`, async () => {
    const messages = [message({ metadata: { t: 'Contains' } }), message({ data: 'no json' })];
    assert.deepEqual(await run(checkRelation, messages, { config, services: services({ docs, relations }) }), [to, to]);
  });

for (const { config, reason } of [
  { config: {}, reason: 'Entity should be specified!' },
  { config: { entityType: 'ASSET', entityId: '' }, reason: 'Entity should be specified!' },
  { config: { entityType: 'ASSET', entityId: 'abc' }, reason: 'Invalid UUID string: abc' },
  { config: { entityType: 'HOUSE', entityId: house.id }, reason: 'Unknown entity type: HOUSE' },
  {
    config: { entityType: 'ASSET', entityId: shed.id },
    reason: `Entity with id: '${shed.id}' specified in the configuration doesn't belong to the current tenant.`,
  },
  {
    config: { entityType: 'TENANT', entityId: shed.id },
    reason: `Entity with id: '${shed.id}' specified in the configuration doesn't belong to the current tenant.`,
  },
])
  test(`check relation presence: unusable with ${JSON.stringify(config)}`, () =>
    assert.rejects(start(checkRelation, { config, services: services({ docs }) }), { message: reason }));

test('check relation presence: the own tenant is an entity too', async () => {
  const { state } = await start(checkRelation, { config: { entityType: 'TENANT', entityId: TENANT } });
  assert.deepEqual(state, { entityType: 'TENANT', id: TENANT });
});

for (const { old, upgraded } of [
  { old: { direction: 'FROM', a: 1 }, upgraded: { direction: 'TO', a: 1 } },
  { old: { direction: 'TO' }, upgraded: { direction: 'FROM' } },
  { old: { direction: null }, upgraded: { direction: null } },
])
  test(`check relation presence: ${JSON.stringify(old)} of version 0`, () => assert.deepEqual(checkRelation.upgrades![0]!(old), upgraded));

test('check relation presence: version 0 without a direction can not be upgraded', () =>
  assert.throws(() => checkRelation.upgrades![0]!({}), /'direction' doesn't exists/));
