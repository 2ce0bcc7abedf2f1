import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { entityJson, entityRef, newDevice, newDoc } from '#engine/entities.ts';
import { Rejected } from '#engine/errors.ts';
import { type EntityRef, NULL_ID } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import { type BatchServices, openBatchServices, type ServiceDeps } from '#engine/services/batch.ts';
import { openEntityCache } from '#engine/services/entities.ts';
import { openLimits, UNLIMITED } from '#engine/services/limits.ts';
import { openEntityViews } from '#engine/services/views.ts';
import type { Collection, Doc } from '#engine/store.ts';
import { rewindPoint } from '#engine/walk/rewind.ts';
import { Work } from '#engine/work.ts';
import { type Api, startApi } from '#test/support/api.ts';
import { openEngine } from '#test/support/chain.ts';
import { TENANT } from '#test/support/message.ts';

/** Batches over a backend, as lanes make them. */
function batches(backend: Backend, deps: Partial<ServiceDeps> = {}): () => BatchServices & { work: Work } {
  const onChange = backend.onChange.bind(backend);
  const entities = openEntityCache({ store: backend.store, onChange });
  const limits = openLimits({ entities, onChange });
  const open = openBatchServices({
    ...{ store: backend.store, entities, limits, views: openEntityViews({ store: backend.store, onChange }) },
    ...{ devices: { observed: async () => {} }, downlinkTarget: () => null, log: { info() {} } },
    ...{ scripts: { check: async () => null, run: async () => [] }, chains: { get: () => undefined } },
    ...{ waiting: {} as never, newId: () => 'id', now: () => Date.now() },
    ...deps,
  });
  return () => {
    const work = new Work();
    return { work, ...open(work, { enqueued() {}, afterCommit() {} }) };
  };
}

async function open(t: TestContext, deps: Partial<ServiceDeps> = {}) {
  const { backend } = await openEngine(t);
  const batch = batches(backend, deps);
  const save = async (...docs: readonly Doc[]): Promise<void> => {
    const work = new Work();
    for (const doc of docs) work.docs.push({ doc });
    await backend.commit(work);
  };
  return { backend, batch, save };
}

const doc = (collection: Collection, id: string, body: Record<string, unknown> = {}): Doc =>
  newDoc({ id, collection, tenantId: TENANT, name: id, body }, 1);
const device: EntityRef = { entityType: 'DEVICE', id: 'd' };
const DEVICE = { ...newDevice({ tenantId: TENANT, name: 'TH-1', type: 'th', profileId: 'p' }, 1).device, id: 'd' };

/** Everything that was stored of a new entity, without what can not be the same. */
async function parts({ context: { backend } }: Api, made: Doc): Promise<unknown> {
  const { store } = backend;
  const { tenantId } = made;
  const credentials = (await store.docs('DEVICE_CREDENTIALS', tenantId, { ref: made.id })).data;
  const groups = (await store.docs('ENTITY_GROUP', tenantId, { ref: made.id })).data;
  const attributes = await store.attributes(tenantId, entityRef(made), 'SERVER_SCOPE');
  const profileId = ((made.body['deviceProfileId'] ?? made.body['assetProfileId']) as EntityRef | undefined)?.id;
  const profile = profileId && (await store.doc(`${made.collection}_PROFILE` as Collection, tenantId, profileId));
  let text = JSON.stringify([made, entityJson(made), credentials, groups, attributes, profile]);
  for (const { id, name, createdTime } of [made, ...credentials, ...groups, ...(profile ? [profile] : [])]) {
    text = text.replaceAll(id, '<id>').replaceAll(String(createdTime), '0');
    if (name !== 'All') text = text.replaceAll(name, '<name>');
  }
  return JSON.parse(text);
}

test('inventory: what it makes is what the API makes', async (t) => {
  const api = await startApi();
  t.after(() => api.close());
  const { backend } = api.context;
  const { body: me } = await api.call('GET', '/api/auth/user');
  const tenantId = me.tenantId.id;
  const batch = batches(backend)();
  for (const [type, path, fields] of [
    ['DEVICE', 'device', { name: 'rest', type: 'rest profile' }],
    ['ASSET', 'asset', { name: 'rest', type: 'rest profile' }],
    ['CUSTOMER', 'customer', { title: 'rest' }],
  ] as const) {
    const { body } = await api.call('POST', `/api/${path}`, { body: fields });
    const rest = await backend.store.doc(type, tenantId, body.id.id);
    const made = await batch.of(tenantId).inventory.create(type, 'node', type === 'CUSTOMER' ? '' : 'node profile');
    await backend.commit(batch.work);
    const stored = await backend.store.doc(type, tenantId, made.id);
    assert.deepEqual(entityJson(stored!), entityJson(made), 'told as it is stored');
    assert.deepEqual(await parts(api, stored!), await parts(api, rest!));
    batch.work.docs.length = 0;
    batch.work.attributes.length = 0;
    batch.forget();
  }
  const byDefault = await batch.of(tenantId).inventory.create('DEVICE', 'of the default profile', '');
  assert.equal(byDefault.kind, 'default');
  await assert.rejects(batch.of(tenantId).inventory.create('ASSET', 'a'.repeat(256)), Rejected);
  await assert.rejects(batch.of(tenantId).inventory.create('ASSET', '<b>'), Rejected);
});

test('inventory: a batch sees what it made, until it is taken back', async (t) => {
  const { backend, batch, save } = await open(t);
  const first = batch();
  const { inventory, entities } = first.of(TENANT);
  const back = rewindPoint(first.work);
  const one = await inventory.create('DEVICE', 'one', 'th');
  const two = await inventory.create('DEVICE', 'two', 'th');
  const customer = await inventory.create('CUSTOMER', 'Acme');
  assert.deepEqual(one.body['deviceProfileId'], two.body['deviceProfileId'], 'one profile');
  assert.equal(await inventory.assign(entityRef(one), customer), true);
  assert.equal(await inventory.assign(entityRef(one), customer), false);
  assert.deepEqual(
    [(await entities.byName('DEVICE', 'one'))?.customerId, await entities.customerOf(entityRef(one)), (await entities.find(entityRef(two)))?.name],
    [customer.id, customer.id, 'two'],
  );
  assert.equal((await entities.summary(entityRef(one)))?.type, 'th');
  back();
  first.forget();
  assert.deepEqual(
    [await entities.byName('DEVICE', 'one'), await entities.find(entityRef(one)), await entities.byName('CUSTOMER', 'Acme')],
    [null, null, null],
  );

  await save(DEVICE, { ...customer, version: 1 });
  const second = batch();
  await second.of(TENANT).entities.find(device);
  await second.of(TENANT).inventory.assign(device, customer);
  await second.of(TENANT).inventory.unassign(device, null);
  await second.of(TENANT).inventory.assign(device, customer);
  await backend.commit(second.work);
  const { customerId, version } = (await backend.store.doc('DEVICE', TENANT, 'd'))!;
  assert.deepEqual([customerId, version], [customer.id, 4]);
});

test('inventory: as many as the tenant may have', async (t) => {
  const limits = { known: () => ({ ...UNLIMITED, maxEntities: { DEVICE: 2, ASSET: 0, CUSTOMER: 1 } }) };
  const { batch, save } = await open(t, { limits });
  await save(DEVICE);
  const { inventory } = batch().of(TENANT);
  await inventory.create('DEVICE', 'two', 'th');
  await assert.rejects(inventory.create('DEVICE', 'three', 'th'), { name: 'Rejected', message: 'Devices limit reached' });
  await inventory.create('CUSTOMER', 'one');
  await assert.rejects(inventory.create('CUSTOMER', 'two'), { name: 'Rejected', message: 'Customers limit reached' });
  await inventory.create('ASSET', 'any', 'a');
});

test('views: those of an entity, as they change', async (t) => {
  const { backend, batch, save } = await open(t);
  const of = async (id: string) => (await batch().of(TENANT).views.of({ entityType: 'DEVICE', id })).map((view) => [view.id, view.label ?? null]);
  const view = (id: string, entityId: string | null) => doc('ENTITY_VIEW', id, { entityId: entityId && { entityType: 'DEVICE', id: entityId } });
  await save(view('v', 'd'), view('w', 'd'), view('x', 'e'), view('none', null));
  assert.deepEqual(
    [await of('d'), await of('e'), await of('f')],
    [
      [
        ['v', null],
        ['w', null],
      ],
      [['x', null]],
      [],
    ],
  );
  await save(view('v', 'e'), { ...view('w', 'd'), label: 'new' }, view('y', 'd'));
  const work = new Work();
  work.docs.push({ remove: { collection: 'ENTITY_VIEW', tenantId: TENANT, id: 'x' } });
  await backend.commit(work);
  assert.deepEqual(
    [(await of('d')).sort(), await of('e')],
    [
      [
        ['w', 'new'],
        ['y', null],
      ],
      [['v', null]],
    ],
  );
  assert.deepEqual(await batch().of('884f394c-42b6-11ec-8d3d-0242ac130003').views.of(device), []);
});

test('edges: those that an entity is on', async (t) => {
  const { backend, batch, save } = await open(t);
  await save({ ...doc('EDGE', 'e1'), customerId: 'c' }, doc('EDGE', 'e2'), { ...doc('USER', 'u'), customerId: 'c' }, doc('USER', 'admin'));
  const work = new Work();
  const on = { to: device, type: 'Contains', typeGroup: 'EDGE' };
  work.relations.push({ tenantId: TENANT, save: { ...on, from: { entityType: 'EDGE', id: 'e2' } } });
  work.relations.push({ tenantId: TENANT, save: { ...on, typeGroup: 'COMMON', from: { entityType: 'EDGE', id: 'e1' } } });
  await backend.commit(work);
  const of = async (entityType: EntityRef['entityType'], id: string) => [...(await batch().of(TENANT).edges.of({ entityType, id }))].sort();
  assert.deepEqual(
    {
      edge: await of('EDGE', 'e9'),
      device: await of('DEVICE', 'd'),
      other: await of('DEVICE', NULL_ID),
      tenant: await of('TENANT', TENANT),
      customer: await of('CUSTOMER', 'c'),
      user: await of('USER', 'u'),
      admin: await of('USER', 'admin'),
    },
    { edge: ['e9'], device: ['e2'], other: [], tenant: ['e1', 'e2'], customer: ['e1'], user: ['e1'], admin: ['e1', 'e2'] },
  );
});
