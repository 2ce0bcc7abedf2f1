import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { newDevice, newDeviceProfile } from '#engine/entities.ts';
import type { Accepted } from '#engine/integration.ts';
import type { Backend } from '#engine/queue.ts';
import type { Work } from '#engine/work.ts';
import { entityOf, INTEGRATION, NOW, openAccept, target, uplink, waiting } from '#test/support/accept.ts';
import { commit, type Running, sqlite } from '#test/support/backend.ts';
import { TENANT } from '#test/support/message.ts';
import { within } from '#test/support/wait.ts';

let running: Running;
let backend: Backend;
beforeEach(async () => {
  running = await sqlite.start();
  backend = running.backend;
});
afterEach(() => running.stop());

const thermostat = (name: string, fields: Record<string, unknown> = {}) => ({
  deviceName: name,
  deviceType: 'thermostat',
  telemetry: { t: 4.2 },
  ...fields,
});
const everything = async (promises: readonly Promise<Accepted>[]) => within(Promise.all(promises), 'the outcomes');

/** A backend whose commits the test can refuse. */
const withCommit = (commitOf: (work: Work, next: (work: Work) => Promise<void>) => Promise<void>): Backend => ({
  ...backend,
  store: backend.store,
  queue: backend.queue,
  onChange: (listener) => backend.onChange(listener),
  commit: (work) => commitOf(work, (mine) => backend.commit(mine)),
});

test('find or create: a device that nobody knows is made with all that the converter says', async () => {
  const { accept, spoke } = openAccept(backend);
  const output = thermostat('TH-1', { deviceLabel: 'Hall 2', customerName: 'Nordic Foods', groupName: 'Cold store', attributes: { serial: '42' } });
  const { id, name } = entityOf(await accept.source(target()).accept(uplink(output)));
  const { store } = backend;
  const device = (await store.docByName('DEVICE', TENANT, 'TH-1'))!;
  const customer = (await store.docByName('CUSTOMER', TENANT, 'Nordic Foods'))!;
  const profile = (await store.docByName('DEVICE_PROFILE', TENANT, 'thermostat'))!;
  const group = (await store.docByName('ENTITY_GROUP', TENANT, 'Cold store'))!;
  assert.deepEqual(
    {
      id: device.id,
      name,
      kind: device.kind,
      label: device.label,
      customerId: device.customerId,
      profileId: device.body['deviceProfileId'],
      owner: group.ref,
    },
    {
      id,
      name: 'TH-1',
      kind: 'thermostat',
      label: 'Hall 2',
      customerId: customer.id,
      profileId: { entityType: 'DEVICE_PROFILE', id: profile.id },
      owner: customer.id,
    },
  );
  assert.equal((await store.docs('DEVICE_CREDENTIALS', TENANT, { ref: id })).data.length, 1);
  assert.deepEqual(await store.attributes(TENANT, { entityType: 'DEVICE', id }, 'SERVER_SCOPE', ['active']), [
    { key: 'active', value: { type: 'BOOLEAN', value: false }, lastUpdateTs: device.createdTime },
  ]);
  const relations = await store.relations(TENANT, { to: { entityType: 'DEVICE', id } });
  assert.deepEqual(
    relations.map(({ from, type, typeGroup }) => ({ from: from.id, type, typeGroup })).sort((a, b) => a.type.localeCompare(b.type)),
    [
      { from: group.id, type: 'Contains', typeGroup: 'FROM_ENTITY_GROUP' },
      { from: INTEGRATION, type: 'ManagedByIntegration', typeGroup: 'COMMON' },
    ],
  );
  const metadata = { deviceName: 'TH-1', deviceType: 'thermostat', ts: String(NOW), integrationName: 'Plant' };
  assert.deepEqual(
    (await waiting(backend)).map(({ type, owner, customerId, data, metadata: md }) =>
      type === 'ENTITY_CREATED' ? { type, owner } : { type, owner, customerId, data, md },
    ),
    [
      { type: 'ENTITY_CREATED', owner: TENANT },
      { type: 'POST_ATTRIBUTES_REQUEST', owner: INTEGRATION, customerId: customer.id, data: '{"serial":"42"}', md: metadata },
      { type: 'POST_TELEMETRY_REQUEST', owner: INTEGRATION, customerId: customer.id, data: '{"t":4.2}', md: metadata },
    ],
  );
  assert.deepEqual(spoke, [id]);
});

test('find or create: a device that is there keeps its type, label, customer and group', async () => {
  const profile = newDeviceProfile(TENANT, 'old', NOW);
  const { device, credentials } = newDevice({ tenantId: TENANT, name: 'TH-1', type: 'old', profileId: profile.id, label: 'old' }, NOW);
  await commit(backend, (work) => work.docs.push({ doc: profile }, { doc: device }, { doc: credentials }));
  const { accept } = openAccept(backend);
  const outcome = await accept.source(target()).accept(uplink(thermostat('TH-1', { deviceLabel: 'new', customerName: 'New', groupName: 'New' })));
  assert.equal(entityOf(outcome).id, device.id);
  const { kind, label, customerId, version } = (await backend.store.doc('DEVICE', TENANT, device.id))!;
  assert.deepEqual([kind, label, customerId, version], ['old', 'old', null, 1]);
  assert.equal(await backend.store.docByName('CUSTOMER', TENANT, 'New'), null);
  assert.deepEqual(
    (await waiting(backend)).map(({ type, metadata }) => [type, metadata['deviceType']]),
    [['POST_TELEMETRY_REQUEST', 'old']],
  );
});

test('find or create: a renamed and a deleted device are not found under their old name', async () => {
  const { accept } = openAccept(backend);
  const source = accept.source(target());
  const { id } = entityOf(await source.accept(uplink(thermostat('A'))));
  const doc = (await backend.store.doc('DEVICE', TENANT, id))!;
  await commit(backend, (work) => work.docs.push({ doc: { ...doc, name: 'B', uniqueKey: `${TENANT}/B` } }));
  const second = entityOf(await source.accept(uplink(thermostat('A'))));
  assert.notEqual(second.id, id);
  assert.equal(entityOf(await source.accept(uplink(thermostat('B')))).id, id);
  await commit(backend, (work) => work.docs.push({ remove: { collection: 'DEVICE', tenantId: TENANT, id: second.id } }));
  assert.notEqual(entityOf(await source.accept(uplink(thermostat('A')))).id, second.id);
});

test('find or create: without the permission nothing is made, also when only one of several is unknown', async () => {
  const { accept } = openAccept(backend);
  await accept.source(target()).accept(uplink(thermostat('known')));
  const before = (await waiting(backend)).length;
  const outcome = await accept.source(target({ allowCreate: false })).accept(uplink([thermostat('known'), { assetName: 'Hall', assetType: 'room' }]));
  assert.deepEqual(outcome, { outcome: 'dead', reason: 'Asset "Hall" is not found and creation is not allowed' });
  assert.equal((await waiting(backend)).length, before);
});

test('find or create: two integrations that meet the same new device make one', async () => {
  let refused = 0;
  const { accept } = openAccept(
    withCommit((work, next) =>
      next(work).catch((cause) => {
        refused++;
        throw cause;
      }),
    ),
  );
  const other = { ...target().info, id: '7b2f394c-42b6-11ec-8d3d-0242ac130003' };
  const outcomes = await everything(
    [accept.source(target()), accept.source(target({ info: other })), accept.source(target())].flatMap((source) =>
      Array.from({ length: 5 }, () => source.accept(uplink(thermostat('A', { customerName: 'C' })))),
    ),
  );
  assert.equal(new Set(outcomes.map((outcome) => entityOf(outcome).id)).size, 1);
  const { id } = entityOf(outcomes[0]!);
  const managers = await backend.store.relations(TENANT, { to: { entityType: 'DEVICE', id }, type: 'ManagedByIntegration' });
  assert.equal(refused, 0, 'they waited for each other');
  assert.deepEqual(managers.map(({ from }) => from.id).sort(), [INTEGRATION, other.id].sort());
});

test('find or create: a device that somebody else makes in the same moment is found', async () => {
  let first = true;
  const { accept } = openAccept(
    withCommit(async (work, next) => {
      if (first) {
        first = false;
        const profile = newDeviceProfile(TENANT, 'other', NOW);
        const { device, credentials } = newDevice({ tenantId: TENANT, name: 'A', type: 'other', profileId: profile.id }, NOW);
        await commit(backend, (theirs) => theirs.docs.push({ doc: profile }, { doc: device }, { doc: credentials }));
      }
      return next(work);
    }),
  );
  entityOf(await accept.source(target()).accept(uplink(thermostat('A'))));
  assert.equal((await backend.store.docByName('DEVICE', TENANT, 'A'))!.kind, 'other');
});
