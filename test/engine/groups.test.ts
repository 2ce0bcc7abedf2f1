import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entityRef, MEMBERSHIP, newAsset, newCustomer, newDevice } from '#engine/entities.ts';
import { Duplicate } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { createMessage, type EntityRef, type Message } from '#engine/message.ts';
import type { Doc } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import addToGroup from '#rulechains/nodes/action/add-to-group.ts';
import changeOwner from '#rulechains/nodes/action/change-owner.ts';
import duplicateToGroupByName from '#rulechains/nodes/transformation/duplicate-to-group-by-name.ts';
import { startApi } from '../support/api.ts';
import { openEngine, type TestChain, type TestEngine, takeNow } from '../support/chain.ts';
import { TENANT } from '../support/message.ts';

/** Groups and owners over a real store: by rule nodes in a batch, and by REST; both change the same and tell the same. */

const about = (doc: Doc, fields: Partial<Message> = {}): Message =>
  createMessage({ tenantId: TENANT, type: 'T', originator: entityRef(doc), data: '{"ways":{}}', ...fields }, newId);
const device = (name: string, customerId: string | null = null): Doc =>
  newDevice({ tenantId: TENANT, name, type: 'valve', profileId: newId(), customerId }, Date.now()).device;
const chainOf = (type: string, config: Record<string, unknown>): TestChain => ({
  id: 'a',
  nodes: [
    { name: 'first', type, config },
    { name: 'save', type: 'test.save' },
  ],
  links: [['first', 'Success', 'save']],
});

async function keep(engine: TestEngine, docs: readonly Doc[]): Promise<void> {
  const work = new Work();
  for (const doc of docs) work.docs.push({ doc });
  await engine.backend.commit(work);
}
const groupsOf = async ({ backend: { store } }: TestEngine) =>
  Promise.all(
    (await store.docs('ENTITY_GROUP', TENANT, { sortBy: 'name', order: 'ASC' })).data
      .filter(({ name }) => name !== 'All')
      .map(async (group) => {
        const members = await store.relations(TENANT, { from: entityRef(group), ...MEMBERSHIP });
        return [group.name, group.body['ownerId'], members.map(({ to }) => to.id).sort()] as const;
      }),
  );
/** What the works tell chains of, beside the messages themselves. */
const told = (works: readonly Work[], engineType = 'T') =>
  works.flatMap(({ messages }) =>
    messages.filter(({ type }) => type !== engineType).map(({ type, originator, metadata }) => [type, originator.id, metadata]),
  );
const tenant: EntityRef = { entityType: 'TENANT', id: TENANT };

test('a batch sees the group that its first message made; the rest is told once for each member', async (t) => {
  const config = { groupNamePattern: 'New', createGroupIfNotExists: true, removeFromCurrentGroups: false, groupCacheExpiration: 0 };
  const engine = await openEngine(t, { nodes: [addToGroup], chains: [chainOf(addToGroup.type, config)] });
  const [one, two] = [device('A'), device('B')];
  await keep(engine, [one, two]);
  await engine.append([about(one), about(two), about(one)]);
  const works = await engine.drain();
  const [[name, owner, members] = []] = await groupsOf(engine);
  assert.deepEqual([name, owner, members], ['New', tenant, [one.id, two.id].sort()]);
  assert.deepEqual(
    told(works).map(([type, id, metadata]) => [type, id, (metadata as Record<string, string>)['addedToEntityGroupName']]),
    [
      ['ADDED_TO_ENTITY_GROUP', one.id, 'New'],
      ['ADDED_TO_ENTITY_GROUP', two.id, 'New'],
    ],
  );
});

test('two lanes make the same group at once: the later one is refused, and run again finds it', async (t) => {
  const config = { groupNamePattern: 'New', createGroupIfNotExists: true, removeFromCurrentGroups: false, groupCacheExpiration: 0 };
  const engine = await openEngine(t, { nodes: [addToGroup], chains: [chainOf(addToGroup.type, config)], lanes: 2 });
  const devices = Array.from({ length: 8 }, (_, i) => device(`D${i}`));
  await keep(engine, devices);
  await engine.append(devices.map((each) => about(each)));
  const [first, second] = [await takeNow(engine.backend, 0), await takeNow(engine.backend, 1)];
  assert.ok(first && second, 'both lanes have some of the devices');
  const [early, late] = [await engine.runner.run(first), await engine.runner.run(second)];
  await engine.backend.commit(early);
  await assert.rejects(engine.backend.commit(late), Duplicate);
  await engine.backend.commit(await engine.runner.run(second));
  assert.deepEqual(
    (await groupsOf(engine)).map(([name, , members]) => [name, members.length]),
    [['New', 8]],
  );
});

test('a changed owner: the entity leaves the groups of others, and is in the All of its new owner', async (t) => {
  const acme = newCustomer(TENANT, 'Acme', Date.now());
  const [one, other] = [device('A'), device('B', acme.id)];
  const config = { groupNamePattern: 'Mine', createGroupIfNotExists: true };
  const engine = await openEngine(t, { nodes: [addToGroup, changeOwner, duplicateToGroupByName], chains: [chainOf(addToGroup.type, config)] });
  await keep(engine, [acme, one, other]);
  await engine.append([about(one)]);
  await engine.drain();

  await engine.load(chainOf(changeOwner.type, { ownerType: 'CUSTOMER', ownerNamePattern: 'Acme' }), true);
  await engine.append([about(one), about(one)]);
  const works = await engine.drain();
  const stored = (await engine.backend.store.doc('DEVICE', TENANT, one.id))!;
  assert.deepEqual([stored.customerId, stored.version], [acme.id, one.version + 1], 'changed once');
  assert.deepEqual(
    told(works).map(([type, id]) => [type, id]),
    [
      ['REMOVED_FROM_ENTITY_GROUP', one.id],
      ['OWNER_CHANGED', one.id],
    ],
  );
  assert.deepEqual(await groupsOf(engine), [['Mine', tenant, []]]);

  // Customers that have no group document of it have everything they own in it all the same.
  const byName = { groupType: 'DEVICE', groupName: 'All', searchEntityGroupForTenantOnly: false, considerMessageOriginatorAsAGroupOwner: false };
  await engine.load(chainOf(duplicateToGroupByName.type, byName), true);
  await engine.append([about(other, { data: '{"seq":5}' })]);
  await engine.drain();
  for (const { id } of [one, other]) {
    const saved = await engine.backend.store.attributes(TENANT, { entityType: 'DEVICE', id }, 'SERVER_SCOPE');
    assert.deepEqual(saved.find(({ key, value }) => key === 'save' && value.value === 5)?.value, { type: 'LONG', value: 5 }, id);
  }
});

test('a customer that is made for an owner: with its groups All, under the present owner, told once', async (t) => {
  const acme = newCustomer(TENANT, 'Acme', Date.now());
  const rooms = ['R1', 'R2'].map((name) => newAsset({ tenantId: TENANT, name, type: 'room', profileId: newId(), customerId: acme.id }, Date.now()));
  const config = { ownerType: 'CUSTOMER', ownerNamePattern: 'Sub', createOwnerIfNotExists: true, createOwnerOnOriginatorLevel: true };
  const engine = await openEngine(t, { nodes: [changeOwner], chains: [chainOf(changeOwner.type, config)] });
  await keep(engine, [acme, ...rooms]);
  await engine.append(rooms.map((room) => about(room)));
  const works = await engine.drain();
  const { store } = engine.backend;
  const sub = (await store.docByName('CUSTOMER', TENANT, 'Sub'))!;
  assert.deepEqual([sub.customerId, sub.body['parentCustomerId']], [acme.id, { entityType: 'CUSTOMER', id: acme.id }]);
  assert.deepEqual(
    (await store.docs('ENTITY_GROUP', TENANT, { ref: sub.id })).data.every(({ body }) => body['groupAll'] === true),
    true,
  );
  for (const room of rooms) assert.equal((await store.doc('ASSET', TENANT, room.id))!.customerId, sub.id);
  assert.deepEqual(
    told(works).map(([type, id]) => [type, id]),
    [
      ['ENTITY_CREATED', sub.id],
      ['OWNER_CHANGED', rooms[0]!.id],
      ['OWNER_CHANGED', rooms[1]!.id],
    ],
  );
});

test('a customer of a customer: a save keeps its owner, and it goes back to the tenant when that one is deleted', async () => {
  const api = await startApi();
  try {
    const acme = (await api.call('POST', '/api/customer', { body: { title: 'Acme' } })).body;
    const { backend } = api.context;
    const tenantId = acme.tenantId.id;
    const parentCustomerId = { entityType: 'CUSTOMER', id: acme.id.id };
    const sub = { ...newCustomer(tenantId, 'Sub', Date.now(), { parentCustomerId }), customerId: acme.id.id };
    const work = new Work();
    work.docs.push({ doc: sub });
    await backend.commit(work);
    const ownerOfSub = async () => (await api.call('GET', `/api/customer/${sub.id}`)).body.ownerId;
    const { status } = await api.call('POST', '/api/customer', { body: { id: entityRef(sub), title: 'Sub 2' } });
    assert.equal(status, 200);
    assert.deepEqual(await ownerOfSub(), parentCustomerId);
    await api.call('DELETE', `/api/customer/${acme.id.id}`);
    assert.deepEqual(await ownerOfSub(), { entityType: 'TENANT', id: tenantId });
  } finally {
    await api.close();
  }
});

test('REST tells the same: added, removed, owner changed, each only when something changes', async () => {
  const api = await startApi();
  try {
    const post = async (path: string, body?: unknown) => {
      const answer = await api.call('POST', path, { body });
      assert.equal(answer.status, 200, answer.text);
      return answer.body;
    };
    const group = await post('/api/entityGroup', { type: 'DEVICE', name: 'Cold' });
    const made = await post(`/api/device?entityGroupId=${group.id.id}`, { name: 'A', type: 'default' });
    const acme = await post('/api/customer', { title: 'Acme' });
    const { id } = made.id;
    for (const _ of [1, 2]) await post(`/api/entityGroup/${group.id.id}/addEntities`, [id]);
    for (const _ of [1, 2]) await post(`/api/entityGroup/${group.id.id}/deleteEntities`, [id]);
    await post(`/api/entityGroup/${group.id.id}/addEntities`, [id]);
    for (const _ of [1, 2]) await post(`/api/owner/CUSTOMER/${acme.id.id}/DEVICE/${id}`);
    await post(`/api/owner/TENANT/${made.tenantId.id}/DEVICE/${id}`);
    const messages: Message[] = [];
    const { backend } = api.context;
    for (let lane = 0; lane < backend.queue.lanes; lane++) messages.push(...((await takeNow(backend, lane))?.messages ?? []));
    const [added, removed] = [
      { addedToEntityGroupId: group.id.id, addedToEntityGroupName: 'Cold' },
      { removedFromEntityGroupId: group.id.id, removedFromEntityGroupName: 'Cold' },
    ];
    assert.deepEqual(
      messages
        .filter(({ originator, type }) => originator.id === id && type !== 'ENTITY_CREATED')
        .map(({ type, data, metadata: { userId, userName, userEmail, ...rest } }) => [
          type,
          type === 'OWNER_CHANGED' ? JSON.parse(data).ownerId.id : data,
          userName,
          rest,
        ]),
      [
        ['ADDED_TO_ENTITY_GROUP', '{}', 'tenant@thingsboard.org', added],
        ['REMOVED_FROM_ENTITY_GROUP', '{}', 'tenant@thingsboard.org', removed],
        ['ADDED_TO_ENTITY_GROUP', '{}', 'tenant@thingsboard.org', added],
        ['REMOVED_FROM_ENTITY_GROUP', '{}', 'tenant@thingsboard.org', { ...removed, customerId: acme.id.id }],
        ['OWNER_CHANGED', acme.id.id, 'tenant@thingsboard.org', { customerId: acme.id.id }],
        ['OWNER_CHANGED', made.tenantId.id, 'tenant@thingsboard.org', {}],
      ],
    );
  } finally {
    await api.close();
  }
});
