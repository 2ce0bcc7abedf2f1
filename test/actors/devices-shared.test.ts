import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { createDevices } from '#actors/devices.ts';
import { createSystem } from '#actors/system.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Work } from '#engine/work.ts';
import { commit, doc, sqlite } from '#test/support/backend.ts';
import { type TestProcess, twoProcesses } from '#test/support/two-processes.ts';
import { eventually } from '#test/support/wait.ts';

const TENANT = '5f1c2a10-2710-11ef-9d1c-2b8f2a7c0001';

/** One device, whose only lane goes back and forth between two processes. */
async function plant(t: TestContext) {
  const running = await sqlite.start({ lanes: 1 });
  t.after(() => running.stop());
  const device = doc({ tenantId: TENANT, name: 'TH-1' });
  await commit(running.backend, (work) => work.docs.push({ doc: device }));
  const ref: EntityRef = { entityType: 'DEVICE', id: device.id };
  const processes = twoProcesses(running.backend);
  let at = 1_000_000;
  const words: unknown[] = [];
  processes.a.cluster.subscribe('devices', (data) => void words.push(data));
  const open = ({ cluster, backend }: TestProcess) => {
    const system = createSystem({ cluster, lanes: 1 });
    const works: Work[] = [];
    const counted = {
      ...backend,
      commit: (work: Work) => {
        works.push(work);
        return backend.commit(work);
      },
    };
    const devices = createDevices({
      backend: counted,
      system,
      inactivityMs: 1000,
      now: () => at,
      log: { error: (fields) => assert.fail(JSON.stringify(fields)) },
    });
    system.start({ work: () => ({ trouble: () => null, stop: async () => {} }), followers: [devices] });
    devices.start();
    t.after(async () => {
      await system.stop();
      await devices.stop();
    });
    return { devices, works };
  };
  const [a, b] = [open(processes.a), open(processes.b)];
  const attribute = async (key: string) => (await running.backend.store.attributes(TENANT, ref, 'SERVER_SCOPE', [key]))[0]?.value.value;
  return { processes, a, b, device, attribute, words, pass: (ms: number) => (at += ms), now: () => at };
}

test('devices of another process: its words are told to whoever has the lane, once in half a second', async (t) => {
  const { processes, a, b, device, attribute, words } = await plant(t);
  await processes.move('lane', '0', processes.b);
  for (let i = 0; i < 100; i++) a.devices.activity(TENANT, device.id);
  await eventually(async () => (await attribute('active')) === true, 'active');
  assert.deepEqual(words, [[[TENANT, device.id, ['activity']]]]);
  assert.deepEqual([a.devices.count(), b.devices.count()], [0, 1]);
});

test('devices of a lane that nobody has for the moment: the word waits', async (t) => {
  const { processes, a, device, attribute } = await plant(t);
  const { promise: looked, resolve } = Promise.withResolvers<void>();
  const { holderOf } = processes.a.cluster;
  processes.a.cluster.holderOf = (...args) => {
    resolve();
    return holderOf(...args);
  };
  a.devices.connected(TENANT, device.id);
  a.devices.activity(TENANT, device.id);
  await looked;
  assert.equal(await attribute('active'), undefined);
  await processes.move('lane', '0', processes.a);
  await eventually(async () => (await attribute('active')) === true && (await attribute('lastConnectTime')) === 1_000_000, 'active');
});

test('devices move with their lane: what was seen last is written, and silence is found by the next one', async (t) => {
  const { processes, a, b, device, attribute, pass, now } = await plant(t);
  await processes.move('lane', '0', processes.a);
  a.devices.activity(TENANT, device.id);
  await eventually(async () => (await attribute('active')) === true, 'active');
  pass(10);
  a.devices.activity(TENANT, device.id);
  await processes.move('lane', '0', processes.b);
  assert.equal(await attribute('lastActivityTime'), now(), 'written before it was given on');
  await eventually(() => b.devices.count() === 1, 'restored');
  assert.equal(a.devices.count(), 0);
  pass(1001);
  await eventually(async () => (await attribute('active')) === false, 'inactive');
});

test('devices of a lane that was taken over: the one who does not know it yet writes nothing', async (t) => {
  const { processes, a, b, device, attribute, pass, now } = await plant(t);
  await processes.move('lane', '0', processes.a);
  a.devices.activity(TENANT, device.id);
  await eventually(async () => (await attribute('active')) === true, 'active');
  const taken = processes.seize('lane', '0', processes.b);
  await eventually(() => b.devices.count() === 1, 'restored');
  pass(500);
  b.devices.activity(TENANT, device.id);
  const newer = now();
  pass(-100);
  a.devices.activity(TENANT, device.id);
  const before = a.works.length;
  await taken.told();
  assert.equal(a.works.length, before + 1, 'it tried to write what it had seen');
  assert.equal(await attribute('lastActivityTime'), 1_000_000);
  await processes.move('lane', '0', null);
  assert.equal(await attribute('lastActivityTime'), newer);
});
