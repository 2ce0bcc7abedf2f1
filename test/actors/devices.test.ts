import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { createDevices } from '#actors/devices.ts';
import type { DeviceEventType } from '#engine/control.ts';
import { NotDurable, Rejected } from '#engine/errors.ts';
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
  const open = ({ isQuiet = false } = {}) => {
    const devices = createDevices({
      backend,
      system: { leaseOf: () => null },
      inactivityMs: TIMEOUT_MS,
      now: () => at,
      log: { error: (fields) => void (isQuiet || assert.fail(JSON.stringify(fields))) },
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

type Observed = readonly [event: DeviceEventType, at: number];

/** Times are relative to the first moment of the plant. */
for (const { name, before = [], said, events, attributes, passMs = 0 } of [
  { name: 'connected', said: ['CONNECT_EVENT', -5], events: ['CONNECT_EVENT'], attributes: { lastConnectTime: -5 } },
  { name: 'disconnected', said: ['DISCONNECT_EVENT', 7], events: ['DISCONNECT_EVENT'], attributes: { lastDisconnectTime: 7 } },
  { name: 'active', said: ['ACTIVITY_EVENT', -5], events: ['ACTIVITY_EVENT'], attributes: { active: true, lastActivityTime: -5 } },
  {
    name: 'active once more, which only moves the time',
    before: [['ACTIVITY_EVENT', -5]],
    said: ['ACTIVITY_EVENT', -4],
    events: [],
    attributes: { active: true, lastActivityTime: -4 },
  },
  {
    name: 'silent, though it never spoke',
    said: ['INACTIVITY_EVENT', -3],
    events: ['INACTIVITY_EVENT'],
    attributes: { active: false, inactivityAlarmTime: -3 },
  },
  {
    name: 'active before the silence that was said: the silence is none',
    before: [['INACTIVITY_EVENT', -3]],
    said: ['ACTIVITY_EVENT', -4],
    events: ['ACTIVITY_EVENT'],
    attributes: { active: true, lastActivityTime: -4, inactivityAlarmTime: 0 },
  },
  { name: 'silent before it spoke: old', before: [['ACTIVITY_EVENT', 5]], said: ['INACTIVITY_EVENT', 5], events: [], attributes: { active: true } },
  {
    name: 'silent a second time, earlier: old',
    before: [['INACTIVITY_EVENT', 5]],
    said: ['INACTIVITY_EVENT', 4],
    events: [],
    attributes: { inactivityAlarmTime: 5 },
  },
  {
    name: 'connected at the same time again: old',
    before: [['CONNECT_EVENT', 5]],
    said: ['CONNECT_EVENT', 5],
    events: [],
    attributes: { lastConnectTime: 5 },
  },
  {
    name: 'disconnected earlier: old',
    before: [['DISCONNECT_EVENT', 5]],
    said: ['DISCONNECT_EVENT', 4],
    events: [],
    attributes: { lastDisconnectTime: 5 },
  },
  { name: 'active earlier: old', before: [['ACTIVITY_EVENT', 5]], said: ['ACTIVITY_EVENT', 4], events: [], attributes: { lastActivityTime: 5 } },
  {
    name: 'connected, said to be silent but within its time: active',
    before: [
      ['ACTIVITY_EVENT', 0],
      ['INACTIVITY_EVENT', 1],
    ],
    said: ['CONNECT_EVENT', 2],
    passMs: 3,
    events: ['CONNECT_EVENT', 'ACTIVITY_EVENT'],
    attributes: { active: true, lastConnectTime: 2 },
  },
] as readonly {
  name: string;
  before?: Observed[];
  said: Observed;
  passMs?: number;
  events: string[];
  attributes: Record<string, number | boolean>;
}[])
  test(`devices: a chain says ${name}`, async (t) => {
    const { device, open, attribute, messages, now, pass } = await plant(t);
    const devices = open();
    const start = now();
    for (const [event, at] of before) await devices.observed(TENANT, device.id, event, start + at);
    if (before.length > 0) await messages();
    pass(passMs);
    await devices.observed(TENANT, device.id, said[0], start + said[1]);
    // Everything is durable by now: another process goes on from here.
    await devices.stop();
    const found = await Promise.all(Object.keys(attributes).map(async (key) => [key, await attribute(key)]));
    const relative = (value: unknown) => (typeof value === 'number' && value > 0 ? value - start : value);
    assert.deepEqual(Object.fromEntries(found.map(([key, value]) => [key, relative(value)])), attributes);
    assert.deepEqual(events.length === 0 ? [] : (await messages()).map(({ type }) => type), events);
  });

test('devices: what a chain says of a device that is gone is refused', async (t) => {
  const { open } = await plant(t);
  const devices = open();
  t.after(() => devices.stop());
  await assert.rejects(devices.observed(TENANT, 'aaaaaaaa-0000-1000-8000-000000000001', 'CONNECT_EVENT', 1), Rejected);
});

test('devices: what could not be stored is not taken for known', async (t) => {
  const { backend, device, open, messages, now } = await plant(t);
  const { commit } = backend;
  let isFull = true;
  t.mock.method(backend, 'commit', (work: Work) => (isFull ? Promise.reject(new NotDurable(new Error('disk full'))) : commit(work)));
  const devices = open({ isQuiet: true });
  t.after(() => devices.stop());
  await assert.rejects(devices.observed(TENANT, device.id, 'CONNECT_EVENT', now()), NotDurable);
  isFull = false;
  await devices.observed(TENANT, device.id, 'CONNECT_EVENT', now());
  assert.deepEqual(
    (await messages()).map(({ type }) => type),
    ['CONNECT_EVENT'],
  );
});
