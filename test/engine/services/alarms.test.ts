import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import { openAlarmAbsence } from '#engine/services/alarm-absence.ts';
import { withAlarmEffects } from '#engine/services/alarm-effects.ts';
import { alarmServices, PendingAlarms } from '#engine/services/alarms.ts';
import { relationServices } from '#engine/services/relations.ts';
import type { Alarm, NewAlarm } from '#engine/services.ts';
import { Work } from '#engine/work.ts';
import { openEngine } from '#test/support/chain.ts';
import { DEVICE, TENANT } from '#test/support/message.ts';

/** What belongs to every change of an alarm by a rule node, and who is known to have none. */

const device: EntityRef = { entityType: 'DEVICE', id: DEVICE };
const asset: EntityRef = { entityType: 'ASSET', id: '7a4f394c-42b6-11ec-8d3d-0242ac130003' };
const NEW: NewAlarm = {
  ...{ type: 'High', originator: device, customerId: null, severity: 'MAJOR', startTs: 1, endTs: 1, details: {} },
  ...{ propagate: false, propagateToOwner: false, propagateToTenant: false, propagateRelationTypes: [] },
};

/** Batches, one after the other; `asked` counts questions to the store. */
async function open(t: TestContext) {
  const { backend } = await openEngine(t);
  const noAlarms = openAlarmAbsence((listener) => backend.onChange(listener));
  const batch = () => {
    const work = new Work();
    const relations = relationServices(TENANT, work, backend.store);
    const entities = { summary: async () => null };
    const deps = { store: backend.store, entities, assignee: async () => null, newId, now: () => 5000 };
    const own = alarmServices(TENANT, work, new PendingAlarms(work), deps);
    return { work, alarms: withAlarmEffects(own, TENANT, work, { relations, noAlarms, now: () => 5000 }), commit: () => backend.commit(work) };
  };
  const shownBy = async () => (await backend.store.relations(TENANT, { typeGroup: 'ALARM' })).map(({ from }) => from.id).sort();
  return { backend, batch, shownBy };
}

test('alarms: the severity that a node changes is a line of the history; nothing else is', async (t) => {
  const { backend, batch } = await open(t);
  const first = batch();
  const alarm = await first.alarms.create(NEW);
  await first.alarms.update({ ...alarm, endTs: 2 });
  await first.commit();
  const second = batch();
  await second.alarms.update({ ...(await second.alarms.active(device, 'High'))!, severity: 'CRITICAL' });
  await second.commit();
  // Of one that the batch has not read before.
  const third = batch();
  await third.alarms.update({ ...alarm, severity: 'MINOR' });
  await third.commit();
  const { data } = await backend.store.docs('ALARM_COMMENT', TENANT, { ref: alarm.id });
  assert.deepEqual(data.map(({ kind, body }) => [kind, body['userId'], (body['comment'] as { text: string }).text]).sort(), [
    ['SYSTEM', null, 'Alarm severity was updated from CRITICAL to MINOR'],
    ['SYSTEM', null, 'Alarm severity was updated from MAJOR to CRITICAL'],
  ]);
});

test('alarms: who shows what a node creates is found by the relations that the batch sees, and follows its flags', async (t) => {
  const { batch, shownBy } = await open(t);
  const first = batch();
  first.work.relations.push({ tenantId: TENANT, save: { from: asset, to: device, type: 'Contains', typeGroup: 'COMMON' } });
  const alarm = await first.alarms.create({ ...NEW, propagate: true, propagateToTenant: true });
  await first.commit();
  assert.deepEqual(await shownBy(), [TENANT, asset.id].sort());
  const second = batch();
  await second.alarms.update({ ...alarm, endTs: 9 });
  assert.deepEqual(second.work.relations, [], 'the same flags: nothing is written');
  await second.alarms.update({ ...alarm, propagate: false });
  await second.commit();
  assert.deepEqual(await shownBy(), [TENANT]);
});

test('no alarm: known after one question, until somebody creates one', async (t) => {
  const { batch } = await open(t);
  const hasNone = (of: EntityRef = device) => batch().alarms.hasNone(of, 'High');
  assert.equal(hasNone(), false, 'nobody has asked');
  await batch().alarms.active(device, 'High');
  await batch().alarms.active(asset, 'High');
  assert.deepEqual([hasNone(), hasNone(asset), batch().alarms.hasNone(device, 'Low')], [true, true, false]);
  const creating = batch();
  const alarm = await creating.alarms.create(NEW);
  assert.equal(creating.alarms.hasNone(device, 'High'), false, 'the batch itself knows at once');
  assert.equal(hasNone(), true, 'it is not durable yet');
  await creating.commit();
  assert.deepEqual([hasNone(), hasNone(asset)], [false, false]);

  await batch().alarms.active(asset, 'High');
  const updating = batch();
  await updating.alarms.update({ ...alarm, endTs: 7 });
  await updating.commit();
  assert.equal(hasNone(asset), true, 'a change of one that is there makes nobody have one');
});

test('no alarm: a batch that cleared one does not tell the others before it is durable', async (t) => {
  const { batch } = await open(t);
  const first = batch();
  const alarm: Alarm = await first.alarms.create(NEW);
  await first.commit();
  const clearing = batch();
  await clearing.alarms.clear(alarm, 1, {});
  assert.equal(await clearing.alarms.active(device, 'High'), null);
  assert.equal(batch().alarms.hasNone(device, 'High'), false);
  await clearing.commit();
  assert.equal(await batch().alarms.active(device, 'High'), null);
  assert.equal(batch().alarms.hasNone(device, 'High'), true);
});

test('no alarm: one that is created while the store is asked is not overlooked', async (t) => {
  const { backend, batch } = await open(t);
  const asking = batch();
  const asked = asking.alarms.active(device, 'High');
  const creating = batch();
  await creating.alarms.create(NEW);
  await backend.commit(creating.work);
  await asked;
  assert.equal(batch().alarms.hasNone(device, 'High'), false);
});
