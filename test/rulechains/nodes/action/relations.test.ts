import assert from 'node:assert/strict';
import test from 'node:test';
import { newAsset, newCustomer, newDoc } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Doc, Relation } from '#engine/store.ts';
import create from '#rulechains/nodes/action/create-relation.ts';
import remove from '#rulechains/nodes/action/delete-relation.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NODE, run, services, start } from '#test/support/services.ts';

const doc = (collection: Doc['collection'], id: string, name = id): Doc => newDoc({ id, collection, tenantId: TENANT, name, body: {} }, 1);
const device: EntityRef = { entityType: 'DEVICE', id: DEVICE };
const x: EntityRef = { entityType: 'ASSET', id: 'x' };
const relation = (from: EntityRef, to: EntityRef, type = 'Contains', typeGroup = 'COMMON'): Relation => ({ from, to, type, typeGroup });
const DOCS: Record<string, Doc> = {
  x: { ...newAsset({ tenantId: TENANT, name: 'x', type: 'a', profileId: 'p' }, 1), id: 'x' },
  c: { ...newCustomer(TENANT, 'Acme', 1), id: 'c' },
  v: doc('ENTITY_VIEW', 'v'),
  b: doc('DASHBOARD', 'b'),
  e: doc('EDGE', 'e'),
  u: doc('USER', 'u', 'u@example.org'),
  d2: doc('DEVICE', 'd2'),
};
const failure = (error: string) => ({ to: 'Failure', error });
const DONE = { to: 'Success', effect: true };
const QUIET = { to: 'Success', effect: false };
const asset = { entityType: 'ASSET', entityNamePattern: 'x' };

for (const { name, config = asset, data = {}, metadata = {} as Record<string, string>, relations = [], to = DONE, did = [] } of [
  { name: 'from the originator', did: [['save relation', DEVICE, 'Contains', 'x']] },
  { name: 'to the originator', config: { ...asset, direction: 'TO' }, did: [['save relation', 'x', 'Contains', DEVICE]] },
  { name: 'no direction is TO', config: { ...asset, direction: null }, did: [['save relation', 'x', 'Contains', DEVICE]] },
  { name: 'it is there already', relations: [relation(device, x)], to: QUIET },
  { name: 'the other way round is another one', relations: [relation(x, device)], did: [['save relation', DEVICE, 'Contains', 'x']] },
  {
    name: 'of another group is another one',
    relations: [relation(device, x, 'Contains', 'EDGE')],
    did: [['save relation', DEVICE, 'Contains', 'x']],
  },
  {
    name: 'patterns',
    config: { entityType: 'ASSET', entityNamePattern: '$[n]', relationType: '${t}' },
    data: { n: 'x' },
    metadata: { t: 'Uses' },
    did: [['save relation', DEVICE, 'Uses', 'x']],
  },
  {
    name: 'the tenant, whatever the name',
    config: { entityType: 'TENANT', entityNamePattern: null },
    did: [['save relation', DEVICE, 'Contains', TENANT]],
  },
  { name: 'a customer', config: { entityType: 'CUSTOMER', entityNamePattern: 'Acme' }, did: [['save relation', DEVICE, 'Contains', 'c']] },
  { name: 'a view', config: { entityType: 'ENTITY_VIEW', entityNamePattern: 'v' }, did: [['save relation', DEVICE, 'Contains', 'v']] },
  { name: 'a dashboard', config: { entityType: 'DASHBOARD', entityNamePattern: 'b' }, did: [['save relation', DEVICE, 'Contains', 'b']] },
  { name: 'an edge', config: { entityType: 'EDGE', entityNamePattern: 'e' }, did: [['save relation', DEVICE, 'Contains', 'e']] },
  { name: 'a user', config: { entityType: 'USER', entityNamePattern: 'u@example.org' }, did: [['save relation', DEVICE, 'Contains', 'u']] },
  { name: 'no device', config: { entityType: 'DEVICE', entityNamePattern: 'x' }, to: failure("Device with name 'x' doesn't exist!") },
  { name: 'no asset', config: { entityType: 'ASSET', entityNamePattern: '' }, to: failure("Asset with name '' doesn't exist!") },
  { name: 'no customer', config: { entityType: 'CUSTOMER', entityNamePattern: 'x' }, to: failure("Customer with title 'x' doesn't exist!") },
  {
    name: 'no view',
    config: { entityType: 'ENTITY_VIEW', entityNamePattern: 'x', createEntityIfNotExists: true },
    to: failure("Entity View with name 'x' doesn't exist!"),
  },
  {
    name: 'no dashboard',
    config: { entityType: 'DASHBOARD', entityNamePattern: 'x', createEntityIfNotExists: true },
    to: failure("Dashboard with title 'x' doesn't exist!"),
  },
  {
    name: 'no edge',
    config: { entityType: 'EDGE', entityNamePattern: 'x', createEntityIfNotExists: true },
    to: failure("Edge with name 'x' doesn't exist!"),
  },
  {
    name: 'no user',
    config: { entityType: 'USER', entityNamePattern: 'x', createEntityIfNotExists: true },
    to: failure("User with email 'x' doesn't exist!"),
  },
  {
    name: 'takes away the others of its type and direction',
    config: { ...asset, removeCurrentRelations: true },
    relations: [
      relation(device, { entityType: 'ASSET', id: 'y' }),
      relation(device, x, 'Other'),
      relation(x, device),
      relation(device, x, 'Contains', 'EDGE'),
    ],
    did: [
      ['remove relation', DEVICE, 'Contains', 'y'],
      ['save relation', DEVICE, 'Contains', 'x'],
    ],
  },
  {
    name: 'takes away and makes again what is there',
    config: { ...asset, removeCurrentRelations: true },
    relations: [relation(device, x)],
    did: [
      ['remove relation', DEVICE, 'Contains', 'x'],
      ['save relation', DEVICE, 'Contains', 'x'],
    ],
  },
  {
    name: 'goes on as the other',
    config: { ...asset, changeOriginatorToRelatedEntity: true },
    to: { ...DONE, originator: x },
    did: [['save relation', DEVICE, 'Contains', 'x']],
  },
  {
    name: 'goes on as the other, also when nothing was to be done',
    config: { ...asset, changeOriginatorToRelatedEntity: true },
    relations: [relation(device, x)],
    to: { ...QUIET, originator: x },
  },
  { name: 'no name', config: { entityType: 'ASSET', entityNamePattern: null }, to: failure('Failed to process pattern!') },
  { name: 'no type', config: { ...asset, relationType: null }, to: failure('Failed to process pattern!') },
  { name: 'an empty type', config: { ...asset, relationType: '' }, to: failure('Relation type should be specified!') },
  { name: 'data that is no JSON', data: '{', to: failure('Failed to process pattern!') },
  { name: 'an array', data: [], did: [['save relation', DEVICE, 'Contains', 'x']] },
  { name: 'a text', data: '"x"', did: [['save relation', DEVICE, 'Contains', 'x']] },
  { name: 'null', data: 'null', did: [['save relation', DEVICE, 'Contains', 'x']] },
  {
    name: 'a device is not made without a profile',
    config: { entityType: 'DEVICE', entityNamePattern: 'n', createEntityIfNotExists: true },
    to: failure('Failed to process pattern!'),
  },
  {
    name: 'nor one without a name',
    config: { entityType: 'ASSET', entityNamePattern: '', entityTypePattern: 'p', createEntityIfNotExists: true },
    to: failure("Failed to create asset with name '' due to: "),
  },
])
  test(`create relation: ${name}`, async () => {
    const given = services({ docs: DOCS, relations });
    assert.deepEqual(await run(create, [message({ data, metadata })], { config, services: given }), [to]);
    assert.deepEqual(given.did, did);
  });

for (const { type, config } of [
  { type: 'DEVICE', config: { entityTypePattern: '${p}' } },
  { type: 'ASSET', config: { entityTypePattern: '$[q]' } },
  { type: 'CUSTOMER', config: {} },
])
  test(`create relation: makes a ${type} once, and tells of it`, async () => {
    const given = services({ docs: DOCS });
    const options = { config: { entityType: type, entityNamePattern: 'new', createEntityIfNotExists: true, ...config }, services: given };
    const first = await run(create, [message({ metadata: { p: 'prof' }, data: { q: 'prof' } })], options);
    const outcomes = [...first, ...(await run(create, [message()], options))];
    assert.deepEqual(outcomes, [DONE, QUIET]);
    const [made, told, saved] = given.did as [unknown[], [string, { type: string; originator: string; metadata: unknown }], unknown[]];
    const { originator: id } = told[1];
    assert.deepEqual(
      [made, [told[0], told[1].type, told[1].metadata], saved, given.did.length],
      [
        ['create', type, 'new', type === 'CUSTOMER' ? '' : 'prof'],
        ['enqueue', 'ENTITY_CREATED', { ruleNodeId: NODE.id }],
        ['save relation', DEVICE, 'Contains', id],
        3,
      ],
    );
  });

for (const { name, config = {}, data = {}, metadata = {} as Record<string, string>, relations = [], to = DONE, did = [] } of [
  { name: 'nothing to delete', to: QUIET },
  {
    name: 'all of the type and direction',
    relations: [relation(device, x), relation(device, { entityType: 'ASSET', id: 'y' }), relation(device, x, 'Other'), relation(x, device)],
    did: [
      ['remove relation', DEVICE, 'Contains', 'x'],
      ['remove relation', DEVICE, 'Contains', 'y'],
    ],
  },
  {
    name: 'to the originator',
    config: { direction: 'TO' },
    relations: [relation(device, x), relation(x, device)],
    did: [['remove relation', 'x', 'Contains', DEVICE]],
  },
  { name: 'not those of other groups', relations: [relation(device, x, 'Contains', 'EDGE')], to: QUIET },
  {
    name: 'a pattern',
    config: { relationType: '${r}' },
    metadata: { r: 'Other' },
    relations: [relation(device, x, 'Other')],
    did: [['remove relation', DEVICE, 'Other', 'x']],
  },
  { name: 'data that is no JSON', data: '', to: failure('Failed to process pattern!') },
  { name: 'an empty type', config: { relationType: '$[t]' }, data: { t: '' }, to: failure('Relation type should be specified!') },
  {
    name: 'of one entity',
    config: { ...asset, deleteForSingleEntity: true },
    relations: [relation(device, x), relation(device, { entityType: 'ASSET', id: 'y' })],
    did: [['remove relation', DEVICE, 'Contains', 'x']],
  },
  {
    name: 'of one entity, to the originator',
    config: { ...asset, direction: 'TO', deleteForSingleEntity: true },
    relations: [relation(x, device)],
    did: [['remove relation', 'x', 'Contains', DEVICE]],
  },
  { name: 'of one entity: it is not there', config: { ...asset, deleteForSingleEntity: true }, to: QUIET },
  {
    name: 'of one entity that does not exist',
    config: { entityType: 'ASSET', entityNamePattern: 'nope', deleteForSingleEntity: true },
    to: failure("Asset with name 'nope' doesn't exist!"),
  },
])
  test(`delete relation: ${name}`, async () => {
    const given = services({ docs: DOCS, relations });
    assert.deepEqual(await run(remove, [message({ data, metadata })], { config, services: given }), [to]);
    assert.deepEqual(given.did, did);
  });

const refused = (type: string | null) => ({
  message: `Unsupported entity type '${type}'! Only TENANT ,CUSTOMER ,USER ,DASHBOARD ,ASSET ,DEVICE ,ENTITY_VIEW ,EDGE types are allowed.`,
});
for (const type of ['ALARM', 'RULE_CHAIN', null]) {
  test(`create relation: with ${type} it can not start`, () => assert.rejects(start(create, { config: { entityType: type } }), refused(type)));
  test(`delete relation: with one ${type} it can not start`, () =>
    assert.rejects(start(remove, { config: { entityType: type, deleteForSingleEntity: true } }), refused(type)));
}
test('delete relation: with all, the entity type means nothing', () => assert.doesNotReject(start(remove, { config: { entityType: 'ALARM' } })));
test('create relation: a type that is none', () =>
  assert.rejects(start(create, { config: { entityType: 'FOO' } }), { message: /^Can't convert value: / }));

for (const node of [create, remove])
  for (const { name, old, upgraded } of [
    {
      name: 'FROM was TO',
      old: { direction: 'FROM', entityCacheExpiration: 300, relationType: 'a' },
      upgraded: { direction: 'TO', relationType: 'a' },
    },
    { name: 'TO was FROM', old: { direction: 'TO', entityCacheExpiration: 300 }, upgraded: { direction: 'FROM' } },
    { name: 'a file in the new form stays', old: { direction: 'FROM' }, upgraded: { direction: 'FROM' } },
    { name: 'without a direction', old: { entityCacheExpiration: 1 }, upgraded: /doesn't exists in configuration/ },
    { name: 'with a wrong one', old: { entityCacheExpiration: 1, direction: 'UP' }, upgraded: /has invalid value/ },
  ])
    test(`${node.label}: version 0: ${name}`, () => {
      const upgrade = () => node.upgrades![0]!(old);
      if (upgraded instanceof RegExp) assert.throws(upgrade, upgraded);
      else assert.deepEqual(upgrade(), upgraded);
    });
