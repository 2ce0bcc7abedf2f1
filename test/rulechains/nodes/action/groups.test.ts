import assert from 'node:assert/strict';
import test from 'node:test';
import { newCustomer, newDevice } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { AnyNode } from '#engine/node.ts';
import type { Doc } from '#engine/store.ts';
import addToGroup from '#rulechains/nodes/action/add-to-group.ts';
import changeOwner from '#rulechains/nodes/action/change-owner.ts';
import removeFromGroup from '#rulechains/nodes/action/remove-from-group.ts';
import { group, tenantRef } from '../../../support/groups.ts';
import { DEVICE, message, TENANT } from '../../../support/message.ts';
import { run, services, start } from '../../../support/services.ts';

const me: EntityRef = { entityType: 'DEVICE', id: DEVICE };
const customer: Doc = { ...newCustomer(TENANT, 'Acme', 1), id: 'acme' };
const acme: EntityRef = { entityType: 'CUSTOMER', id: 'acme' };
const device = (customerId: string | null = null): Doc => ({
  ...newDevice({ tenantId: TENANT, name: 'Valve', type: 'default', profileId: 'p', customerId }, 1).device,
  id: DEVICE,
});
const world = (customerId: string | null = null) => ({
  docs: { [DEVICE]: device(customerId), acme: customer },
  groups: [group('All'), group('Cold'), group('Warm'), group('Cold', acme), group('Rooms', tenantRef, 'ASSET')],
  members: { 'group TENANT Warm': [me], 'group TENANT Cold': [] },
});

interface Row {
  name: string;
  node: AnyNode;
  config: Record<string, unknown>;
  customerId?: string;
  about?: Parameters<typeof message>[0];
  to: unknown;
  did?: unknown[][];
}

const unsupported = (type: string, allowed: string) => ({
  to: 'Failure',
  error: `Unsupported originator type '${type}'! Only [${allowed}] types are allowed.`,
});
const KINDS = 'CUSTOMER, ASSET, DEVICE, USER, ENTITY_VIEW, DASHBOARD, EDGE';

for (const { name, node, config, customerId, about, to, did = [] } of [
  { name: 'add: to a group that is there', node: addToGroup, config: { groupNamePattern: 'Cold' }, to: 'Success', did: [['add', 'Cold', DEVICE]] },
  {
    name: 'add: the name is a pattern over data and metadata',
    node: addToGroup,
    config: { groupNamePattern: '${c}$[where.x]' },
    about: { data: { where: { x: 'ld' } }, metadata: { c: 'Co' } },
    to: 'Success',
    did: [['add', 'Cold', DEVICE]],
  },
  {
    name: "add: groups of another owner are not the originator's",
    node: addToGroup,
    config: { groupNamePattern: 'Warm' },
    customerId: 'acme',
    to: { to: 'Failure', error: "Entity group with type 'DEVICE' and name 'Warm' doesn't exist!" },
  },
  {
    name: 'add: a group of another type is none of this name',
    node: addToGroup,
    config: { groupNamePattern: 'Rooms' },
    to: { to: 'Failure', error: "Entity group with type 'DEVICE' and name 'Rooms' doesn't exist!" },
  },
  {
    name: "add: the group is made, at the originator's owner",
    node: addToGroup,
    config: { groupNamePattern: 'New', createGroupIfNotExists: true },
    customerId: 'acme',
    to: 'Success',
    did: [
      ['create group', 'DEVICE', 'New', 'acme'],
      ['add', 'New', DEVICE],
    ],
  },
  {
    name: 'add: out of its other groups first',
    node: addToGroup,
    config: { groupNamePattern: 'Cold', removeFromCurrentGroups: true },
    to: 'Success',
    did: [
      ['remove', 'Warm', DEVICE],
      ['add', 'Cold', DEVICE],
    ],
  },
  { name: 'add: to All there is nothing to do', node: addToGroup, config: { groupNamePattern: 'All' }, to: 'Success' },
  {
    name: 'add: a missing group takes the originator out of nothing',
    node: addToGroup,
    config: { groupNamePattern: 'x', removeFromCurrentGroups: true },
    to: { to: 'Failure', error: "Entity group with type 'DEVICE' and name 'x' doesn't exist!" },
  },
  {
    name: 'add: a tenant is in no group',
    node: addToGroup,
    config: { groupNamePattern: 'Cold' },
    about: { originator: tenantRef },
    to: unsupported('TENANT', KINDS),
  },
  {
    name: 'add: an originator that was deleted',
    node: addToGroup,
    config: { groupNamePattern: 'Cold' },
    about: { originator: { entityType: 'DEVICE', id: 'gone' } },
    to: { to: 'Failure', error: 'DEVICE with id [gone] is not found' },
  },
  {
    name: 'add: data that is no JSON fails the pattern',
    node: addToGroup,
    config: { groupNamePattern: 'Cold' },
    about: { data: 'no' },
    to: { to: 'Failure', error: 'Failed to process pattern!' },
  },
  {
    name: 'remove: from a group it is in',
    node: removeFromGroup,
    config: { groupNamePattern: '$[g]' },
    about: { data: { g: 'Warm' } },
    to: 'Success',
    did: [['remove', 'Warm', DEVICE]],
  },
  {
    name: 'remove: not being in it is no failure',
    node: removeFromGroup,
    config: { groupNamePattern: 'Cold' },
    to: 'Success',
    did: [['remove', 'Cold', DEVICE]],
  },
  {
    name: 'remove: the group is not there',
    node: removeFromGroup,
    config: { groupNamePattern: null },
    to: { to: 'Failure', error: "Entity group with type 'DEVICE' and name '' doesn't exist!" },
  },
  {
    name: 'remove: a rule chain is in no group',
    node: removeFromGroup,
    config: { groupNamePattern: 'Cold' },
    about: { originator: { entityType: 'RULE_CHAIN', id: 'r' } },
    to: unsupported('RULE_CHAIN', KINDS),
  },
  {
    name: 'owner: to a customer by its title',
    node: changeOwner,
    config: { ownerType: 'CUSTOMER', ownerNamePattern: '${who}' },
    about: { metadata: { who: 'Acme' } },
    to: 'Success',
    did: [['change owner', DEVICE, 'acme']],
  },
  {
    name: 'owner: back to the tenant',
    node: changeOwner,
    config: { ownerType: 'TENANT' },
    customerId: 'acme',
    to: 'Success',
    did: [['change owner', DEVICE, TENANT]],
  },
  {
    name: 'owner: no such customer',
    node: changeOwner,
    config: { ownerType: 'CUSTOMER', ownerNamePattern: 'Nobody' },
    to: { to: 'Failure', error: "Customer with title 'Nobody' doesn't exist!" },
  },
  {
    name: 'owner: the customer is made, at the tenant',
    node: changeOwner,
    config: { ownerType: 'CUSTOMER', ownerNamePattern: 'New', createOwnerIfNotExists: true },
    customerId: 'acme',
    to: 'Success',
    did: [
      ['create customer', 'New', TENANT],
      ['change owner', DEVICE, 'customer New'],
    ],
  },
  {
    name: "owner: the customer is made, at the originator's owner",
    node: changeOwner,
    config: { ownerType: 'CUSTOMER', ownerNamePattern: 'New', createOwnerIfNotExists: true, createOwnerOnOriginatorLevel: true },
    customerId: 'acme',
    to: 'Success',
    did: [
      ['create customer', 'New', 'acme'],
      ['change owner', DEVICE, 'customer New'],
    ],
  },
  {
    name: 'owner: a user has none to change',
    node: changeOwner,
    config: { ownerType: 'TENANT' },
    about: { originator: { entityType: 'USER', id: 'u' } },
    to: unsupported('USER', 'DEVICE, ASSET, ENTITY_VIEW, EDGE'),
  },
] as Row[])
  test(`${name}`, async () => {
    const given = services(world(customerId ?? null));
    assert.deepEqual(await run(node, [message({ ...about })], { config, services: given }), [to]);
    assert.deepEqual(given.did, did);
  });

test('two messages of a batch: the group that the first one made is there for the second', async () => {
  const given = services(world());
  const config = { groupNamePattern: 'New', createGroupIfNotExists: true, removeFromCurrentGroups: true };
  assert.deepEqual(await run(addToGroup, [message()], { config, services: given }), ['Success']);
  assert.deepEqual(await run(addToGroup, [message()], { config: { ...config, createGroupIfNotExists: false }, services: given }), ['Success']);
  assert.equal(given.did.filter(([what]) => what === 'create group').length, 1);
});

for (const { name, node, exact, error } of [
  { name: 'change owner: an owner type must be given', node: changeOwner, exact: {}, error: 'Owner type should be specified!' },
  { name: 'change owner: of an unknown type', node: changeOwner, exact: { ownerType: 'X' }, error: 'Can\'t convert value: {"ownerType":"X"}' },
  {
    name: 'add to group: a wrongly typed flag',
    node: addToGroup,
    exact: { createGroupIfNotExists: {} },
    error: 'Can\'t convert value: {"createGroupIfNotExists":{}}',
  },
])
  test(name, () => assert.rejects(start(node as AnyNode, { exact }), { message: error }));

test('old files: missing and null keys read as false, 0 and nothing', async () => {
  for (const exact of [{}, { groupNamePattern: null, createGroupIfNotExists: null, removeFromCurrentGroups: null, groupCacheExpiration: null }])
    assert.deepEqual((await start(addToGroup, { exact })).config, {
      groupNamePattern: null,
      createGroupIfNotExists: false,
      removeFromCurrentGroups: false,
      groupCacheExpiration: 0,
    });
});
