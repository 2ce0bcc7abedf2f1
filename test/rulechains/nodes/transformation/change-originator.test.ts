import assert from 'node:assert/strict';
import test from 'node:test';
import { newAsset, newDoc } from '#engine/entities.ts';
import type { Alarm } from '#engine/services.ts';
import changeOriginator from '#rulechains/nodes/transformation/change-originator.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const CUSTOMER = 'cccccccc-0000-1000-8000-000000000001';
const ALARM = { entityType: 'ALARM', id: 'cccccccc-0000-1000-8000-000000000002' } as const;
const device = { entityType: 'DEVICE', id: DEVICE } as const;
const asset = newAsset({ tenantId: TENANT, name: 'Hall 2', type: 'hall', profileId: 'p' }, 1_700_000_000_000);
const user = newDoc({ collection: 'USER', tenantId: TENANT, name: 'u@example.org', body: {} }, 1_700_000_000_000);
const edge = newDoc({ collection: 'EDGE', tenantId: TENANT, name: 'North', body: {} }, 1_700_000_000_000);
const world = () => {
  const asked: unknown[] = [];
  return {
    asked,
    ...services({
      docs: { [asset.id]: asset, [user.id]: user, [edge.id]: edge },
      customers: { [DEVICE]: CUSTOMER },
      alarms: [{ id: ALARM.id, originator: device } as Alarm],
      related: async (root, query) => {
        asked.push([root, query]);
        return [{ entityType: 'ASSET', id: asset.id }, device];
      },
    }),
  };
};

for (const { name, config, originator = device, metadata = {}, to } of [
  { name: 'tenant', config: { originatorSource: 'TENANT' }, to: { entityType: 'TENANT', id: TENANT } },
  { name: 'customer', config: {}, to: { entityType: 'CUSTOMER', id: CUSTOMER } },
  { name: 'a customer keeps itself', config: {}, originator: { entityType: 'CUSTOMER', id: 'x' } as const, to: 'unchanged' },
  { name: 'no customer', config: {}, originator: { entityType: 'DEVICE', id: 'y' } as const, to: 'Failed to find new originator!' },
  { name: 'related, the first', config: { originatorSource: 'RELATED' }, to: { entityType: 'ASSET', id: asset.id } },
  { name: 'originator of the alarm', config: { originatorSource: 'ALARM_ORIGINATOR' }, originator: ALARM, to: device },
  { name: 'originator of what is no alarm', config: { originatorSource: 'ALARM_ORIGINATOR' }, to: 'Unexpected originator EntityType DEVICE' },
  {
    name: 'by name',
    config: { originatorSource: 'ENTITY', entityType: 'ASSET', entityNamePattern: 'Hall ${n}' },
    metadata: { n: '2' },
    to: { entityType: 'ASSET', id: asset.id },
  },
  {
    name: 'a user by e-mail',
    config: { originatorSource: 'ENTITY', entityType: 'USER', entityNamePattern: 'u@example.org' },
    to: { entityType: 'USER', id: user.id },
  },
  {
    name: 'an edge by name',
    config: { originatorSource: 'ENTITY', entityType: 'EDGE', entityNamePattern: 'North' },
    to: { entityType: 'EDGE', id: edge.id },
  },
  {
    name: 'the name is of another type',
    config: { originatorSource: 'ENTITY', entityType: 'DEVICE', entityNamePattern: 'Hall 2' },
    to: "Failed to find device with name 'Hall 2'!",
  },
  {
    name: 'originator of an alarm that is gone',
    config: { originatorSource: 'ALARM_ORIGINATOR' },
    originator: { entityType: 'ALARM', id: 'z' } as const,
    to: 'Failed to find new originator!',
  },
  {
    name: 'a query that does not say which way',
    config: { originatorSource: 'RELATED', relationsQuery: { direction: null, maxLevel: 1, filters: [] } },
    to: 'Unknown direction',
  },
  {
    name: 'by a name that nobody has',
    config: { originatorSource: 'ENTITY', entityType: 'ENTITY_VIEW', entityNamePattern: 'x' },
    to: "Failed to find entity view with name 'x'!",
  },
])
  test(`change originator: ${name}`, async () => {
    const outcomes = await run(changeOriginator, [message({ originator, metadata: metadata as Record<string, string> })], {
      config,
      services: world(),
    });
    assert.deepEqual(outcomes, [
      typeof to !== 'string' ? { to: 'Success', originator: to } : to === 'unchanged' ? 'Success' : { to: 'Failure', error: to },
    ]);
  });

test('change originator: an entity type that is not needed may be any text', async () => {
  const config = { originatorSource: 'TENANT', entityType: 'ROCKET' };
  assert.deepEqual(await run(changeOriginator, [message()], { config }), [{ to: 'Success', originator: { entityType: 'TENANT', id: TENANT } }]);
});

test('change originator: the relation search gets the query, nulls read as Java does', async () => {
  const given = world();
  const relationsQuery = { direction: 'TO', maxLevel: 2, filters: [{ relationType: 'Manages', entityTypes: ['ASSET'] }] };
  await run(changeOriginator, [message()], { config: { originatorSource: 'RELATED', relationsQuery }, services: given });
  assert.deepEqual(given.asked, [
    [
      device,
      { direction: 'TO', maxLevel: 2, fetchLastLevelOnly: false, filters: [{ relationType: 'Manages', entityTypes: ['ASSET'], negate: false }] },
    ],
  ]);
});

for (const { config, reason } of [
  { config: { originatorSource: null }, reason: 'Originator source should be specified.' },
  {
    config: { originatorSource: 'RELATED', relationsQuery: null },
    reason: "Relations query should be specified if 'Related entity' source is selected.",
  },
  {
    config: { originatorSource: 'ENTITY', entityType: 'DEVICE', entityNamePattern: '' },
    reason: "Name pattern should be specified if 'Entity by name pattern' source is selected.",
  },
  {
    config: { originatorSource: 'ENTITY', entityNamePattern: 'x' },
    reason: "Entity type should be specified if 'Entity by name pattern' source is selected.",
  },
  {
    config: { originatorSource: 'ENTITY', entityType: 'ALARM', entityNamePattern: null },
    reason: "Name pattern should be specified if 'Entity by name pattern' source is selected.",
  },
  { config: { originatorSource: 'ENTITY', entityType: 'ALARM', entityNamePattern: 'x' }, reason: 'Unexpected entity type ALARM' },
  { config: { originatorSource: 'ENTITY', entityType: 'ROCKET', entityNamePattern: 'x' }, reason: 'Unexpected entity type ROCKET' },
])
  test(`change originator: unusable with ${JSON.stringify(config)}`, () => assert.rejects(start(changeOriginator, { config }), { message: reason }));
