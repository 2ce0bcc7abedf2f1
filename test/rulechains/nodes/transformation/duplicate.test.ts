import assert from 'node:assert/strict';
import test from 'node:test';
import { newCustomer, newDevice } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { AnyNode } from '#engine/node.ts';
import type { Doc } from '#engine/store.ts';
import duplicateToGroup from '#rulechains/nodes/transformation/duplicate-to-group.ts';
import byName from '#rulechains/nodes/transformation/duplicate-to-group-by-name.ts';
import duplicateToRelated from '#rulechains/nodes/transformation/duplicate-to-related.ts';
import { group, tenantRef } from '../../../support/groups.ts';
import { DEVICE, message, TENANT } from '../../../support/message.ts';
import { run, services, start } from '../../../support/services.ts';

const [one, two]: EntityRef[] = [
  { entityType: 'DEVICE', id: 'one' },
  { entityType: 'DEVICE', id: 'two' },
];
const acme: EntityRef = { entityType: 'CUSTOMER', id: 'acme' };
const sub: EntityRef = { entityType: 'CUSTOMER', id: 'sub' };
const owned = (id: string, customerId: string | null): Doc => ({
  ...newDevice({ tenantId: TENANT, name: id, type: 'default', profileId: 'p', customerId }, 1).device,
  id,
});
const world = {
  docs: {
    [DEVICE]: owned(DEVICE, 'sub'),
    free: owned('free', null),
    acme: { ...newCustomer(TENANT, 'Acme', 1), id: 'acme' },
    sub: { ...newCustomer(TENANT, 'Sub', 1), id: 'sub', customerId: 'acme' },
  },
  groups: [group('Cold'), group('Cold', acme), group('Own', sub), group('Empty')],
  members: { 'group TENANT Cold': [one, two], 'group CUSTOMER Cold': [two], 'group CUSTOMER Own': [one] } as Record<string, EntityRef[]>,
  related: async ({ id }: EntityRef) => (id === DEVICE ? [two!, one!] : []),
};
const copies = (...originators: (EntityRef | undefined)[]) => originators.map((originator) => ({ to: 'Success', originator }));
const failure = (error: string) => ({ to: 'Failure', error });
const groupRef = (id: string) => ({ entityType: 'ENTITY_GROUP' as const, id });

for (const { name, node, config = {}, originator, to } of [
  {
    name: 'to a group: a message for each member',
    node: duplicateToGroup,
    config: { entityGroupId: groupRef('group TENANT Cold') },
    to: copies(one, two),
  },
  {
    name: 'to a group: the originator is the group',
    node: duplicateToGroup,
    config: { entityGroupIsMessageOriginator: true },
    originator: groupRef('group TENANT Cold'),
    to: copies(one, two),
  },
  {
    name: 'to a group: the originator should be one and is none',
    node: duplicateToGroup,
    config: { entityGroupIsMessageOriginator: true },
    to: failure('Message originator is not an entity group: DEVICE'),
  },
  {
    name: 'to a group: an empty one',
    node: duplicateToGroup,
    config: { entityGroupId: groupRef('group TENANT Empty') },
    to: failure("Entity group 'Empty' has no entities!"),
  },
  {
    name: 'to a group: a deleted one',
    node: duplicateToGroup,
    config: { entityGroupId: groupRef('gone') },
    to: failure('ENTITY_GROUP with id [gone] is not found'),
  },
  { name: "by name: at the originator's owner", node: byName, config: { groupName: 'Own' }, to: copies(one) },
  { name: 'by name: at the owner of the owner', node: byName, config: { groupName: 'Cold' }, to: copies(two) },
  { name: 'by name: of the tenant only', node: byName, config: { groupName: 'Cold', searchEntityGroupForTenantOnly: true }, to: copies(one, two) },
  { name: 'by name: up to the tenant', node: byName, config: { groupName: 'Empty' }, to: failure("Entity group 'Empty' has no entities!") },
  { name: 'by name: nowhere', node: byName, config: { groupName: 'x' }, to: failure("Entity group with type 'DEVICE' and name 'x' doesn't exist!") },
  {
    name: 'by name: of another type',
    node: byName,
    config: { groupName: 'Cold', groupType: 'ASSET' },
    to: failure("Entity group with type 'ASSET' and name 'Cold' doesn't exist!"),
  },
  {
    name: 'by name: the originator owns it',
    node: byName,
    config: { groupName: 'Own', considerMessageOriginatorAsAGroupOwner: true },
    originator: sub,
    to: copies(one),
  },
  {
    name: 'by name: the originator is not asked',
    node: byName,
    config: { groupName: 'Own' },
    originator: sub,
    to: failure("Entity group with type 'DEVICE' and name 'Own' doesn't exist!"),
  },
  {
    name: 'by name: a device owns nothing',
    node: byName,
    config: { groupName: 'Cold', considerMessageOriginatorAsAGroupOwner: true },
    originator: { entityType: 'DEVICE', id: 'free' },
    to: copies(one, two),
  },
  { name: 'by name: a tenant is its own owner', node: byName, config: { groupName: 'Cold' }, originator: tenantRef, to: copies(one, two) },
  {
    name: 'by name: a deleted originator',
    node: byName,
    config: { groupName: 'Cold' },
    originator: { entityType: 'ASSET', id: 'gone' },
    to: failure('ASSET with id [gone] is not found'),
  },
  { name: 'to related: all that are found', node: duplicateToRelated, to: copies(two, one) },
  { name: 'to related: none', node: duplicateToRelated, originator: acme, to: failure('No related entities are found for CUSTOMER [acme]!') },
] as { name: string; node: AnyNode; config?: Record<string, unknown>; originator?: EntityRef; to: unknown }[])
  test(`duplicate ${name}`, async () => {
    const base = message({ data: 'not JSON at all' });
    const about = originator ? { ...base, originator } : base;
    const text = node === byName ? { ...about, data: '[1]' } : about;
    // The name is a pattern, which wants JSON; the others do not look at the data.
    assert.deepEqual(await run(node, [text], { config, services: services(world) }), [to]);
  });

for (const { name, node, exact, error } of [
  { name: 'no group at all', node: duplicateToGroup, exact: { entityGroupId: null }, error: 'Entity group must be set!' },
  { name: 'an id without a group', node: duplicateToGroup, exact: { entityGroupId: { id: null } }, error: 'Entity group must be set!' },
  { name: 'no group type', node: byName, exact: { groupName: 'x' }, error: 'Group type should be specified!' },
  { name: 'no relations query', node: duplicateToRelated, exact: {}, error: 'Relations query should be specified!' },
])
  test(`duplicate: ${name}`, () => assert.rejects(start(node as AnyNode, { exact }), { message: error }));
