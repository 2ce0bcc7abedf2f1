import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { createDevices } from '#actors/devices.ts';
import type { EntityRef } from '#engine/message.ts';
import { Work } from '#engine/work.ts';
import { doc, sqlite } from '#test/support/backend.ts';
import { eventually } from '#test/support/wait.ts';

const TENANT = '5f1c2a10-2710-11ef-9d1c-2b8f2a7c0001';
const TIMEOUT_MS = 1000;

/** One stored device, a clock that the test moves, and the messages that came into the lanes. */
async function plant(t: TestContext) {
  const running = await sqlite.start({ lanes: 1 });
  t.after(() => running.stop());
  const { backend } = running;
  const device = doc({ tenantId: TENANT, name: 'TH-1', kind: 'thermostat', label: 'Hall' });
  const work = new Work();
  work.docs.push({ doc: device });
  await backend.commit(work);
  const ref: EntityRef = { entityType: 'DEVICE', id: device.id };
  let at = 1_000_000;
  const open = () => {
    const devices = createDevices({
      backend,
      system: { leaseOf: () => null },
      inactivityMs: TIMEOUT_MS,
      now: () => at,
      log: { error: (fields) => assert.fail(JSON.stringify(fields)) },
    });
    devices.start();
    return devices;
  };
  const attribute = async (key: string) => (await backend.store.attributes(TENANT, ref, 'SERVER_SCOPE', [key]))[0]?.value.value;
  const messages = async () => {
    const batch = await backend.queue.take(0, 100, AbortSignal.timeout(2000));
    if (!batch) return [];
    const done = new Work();
    done.done.push(batch);
    await backend.commit(done);
    return batch.messages;
  };
  return { backend, device, open, attribute, messages, pass: (ms: number) => (at += ms), now: () => at };
}

test('devices: the first word makes active and an event, the next ones only move the time', async (t) => {
  const { device, open, attribute, messages, pass } = await plant(t);
  const devices = open();
  devices.activity(TENANT, device.id);
  await eventually(async () => (await attribute('active')) === true, 'active');
  const [event, ...more] = await messages();
  assert.deepEqual(more, []);
  assert.deepEqual(
    [event?.type, event?.metadata, (JSON.parse(event!.data) as { active: boolean }).active],
    ['ACTIVITY_EVENT', { deviceName: 'TH-1', deviceType: 'thermostat', scope: 'SERVER_SCOPE', deviceLabel: 'Hall' }, true],
  );
  pass(10);
  devices.activity(TENANT, device.id);
  assert.equal(await attribute('lastActivityTime'), 1_000_000, 'not written per message');
  await devices.stop();
  assert.equal(await attribute('lastActivityTime'), 1_000_010, 'written when it is let go');
});

test('devices: silence makes inactive, also for one that was active before a restart', async (t) => {
  const { device, open, attribute, messages, pass } = await plant(t);
  const before = open();
  before.activity(TENANT, device.id);
  await eventually(async () => (await attribute('active')) === true, 'active');
  await before.stop();
  pass(TIMEOUT_MS + 1);
  const after = open();
  t.after(() => after.stop());
  await eventually(async () => (await attribute('active')) === false, 'inactive');
  assert.deepEqual(
    (await messages()).map(({ type }) => type),
    ['ACTIVITY_EVENT', 'INACTIVITY_EVENT'],
  );
});

test('devices: a longer inactivityTimeout of its own holds', async (t) => {
  const { backend, device, open, attribute, pass, now } = await plant(t);
  const devices = open();
  t.after(() => devices.stop());
  devices.activity(TENANT, device.id);
  await eventually(async () => (await attribute('active')) === true, 'active');
  const work = new Work();
  const longer = { key: 'inactivityTimeout', value: { type: 'LONG', value: 10 * TIMEOUT_MS }, lastUpdateTs: now() } as const;
  work.attributes.push({ tenantId: TENANT, entity: { entityType: 'DEVICE', id: device.id }, scope: 'SERVER_SCOPE', ...longer });
  await backend.commit(work);
  pass(5 * TIMEOUT_MS);
  // Two looks at its silence have passed when another device, silent since later, has become inactive.
  const other = doc({ tenantId: TENANT, name: 'TH-2' });
  const creation = new Work();
  creation.docs.push({ doc: other });
  await backend.commit(creation);
  devices.activity(TENANT, other.id);
  const otherActive = async () =>
    (await backend.store.attributes(TENANT, { entityType: 'DEVICE', id: other.id }, 'SERVER_SCOPE', ['active']))[0]?.value.value;
  await eventually(async () => (await otherActive()) === true, 'the other is active');
  pass(2 * TIMEOUT_MS);
  await eventually(async () => (await otherActive()) === false, 'the other is inactive');
  assert.equal(await attribute('active'), true);
  pass(10 * TIMEOUT_MS);
  await eventually(async () => (await attribute('active')) === false, 'inactive at last');
});

test('devices: a deleted one is forgotten', async (t) => {
  const { backend, device, open, attribute } = await plant(t);
  const devices = open();
  t.after(() => devices.stop());
  devices.activity(TENANT, device.id);
  await eventually(async () => (await attribute('active')) === true, 'active');
  assert.equal(devices.count(), 1);
  const work = new Work();
  work.docs.push({ remove: { collection: 'DEVICE', tenantId: TENANT, id: device.id } });
  await backend.commit(work);
  assert.equal(devices.count(), 0);
});
