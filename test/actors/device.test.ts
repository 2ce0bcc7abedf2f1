import assert from 'node:assert/strict';
import test from 'node:test';
import { createActor } from 'xstate';
import { type DeviceEvent, deviceMachine } from '#actors/device.ts';
import type { DeviceEventType } from '#engine/control.ts';

function run(active: boolean, events: readonly DeviceEvent[]) {
  const reports: [DeviceEventType, boolean][] = [];
  const times = { lastConnectTime: 0, lastActivityTime: 0, lastDisconnectTime: 0, lastInactivityAlarmTime: 0, inactivityTimeout: 600_000 };
  const actor = createActor(deviceMachine, {
    input: { tenantId: 't', deviceId: 'd', times, active, report: (event, isActive) => reports.push([event, isActive]) },
  });
  actor.start();
  for (const event of events) actor.send(event);
  return { state: actor.getSnapshot().value, reports, times };
}

for (const { name, active = false, events, state, reports } of [
  { name: 'speaks for the first time', events: [{ type: 'SPOKE', at: 1 }], state: 'active', reports: [['ACTIVITY_EVENT', true]] },
  { name: 'speaks again while active: no report', active: true, events: [{ type: 'SPOKE', at: 1 }], state: 'active', reports: [] },
  { name: 'falls silent', active: true, events: [{ type: 'SILENT', at: 9 }], state: 'inactive', reports: [['INACTIVITY_EVENT', false]] },
  {
    name: 'silent twice: one report',
    active: true,
    events: [
      { type: 'SILENT', at: 9 },
      { type: 'SILENT', at: 10 },
    ],
    state: 'inactive',
    reports: [['INACTIVITY_EVENT', false]],
  },
  {
    name: 'connects, speaks, disconnects',
    events: [
      { type: 'CONNECTED', at: 1 },
      { type: 'SPOKE', at: 2 },
      { type: 'DISCONNECTED', at: 3 },
    ],
    state: 'active',
    reports: [
      ['CONNECT_EVENT', false],
      ['ACTIVITY_EVENT', true],
      ['DISCONNECT_EVENT', true],
    ],
  },
] as { name: string; active?: boolean; events: DeviceEvent[]; state: string; reports: [DeviceEventType, boolean][] }[]) {
  test(`device: ${name}`, () => {
    const result = run(active, events);
    assert.deepEqual({ state: result.state, reports: result.reports }, { state, reports });
  });
}

test('device: the times are those of the events', () => {
  const { times } = run(false, [
    { type: 'CONNECTED', at: 1 },
    { type: 'SPOKE', at: 2 },
    { type: 'SILENT', at: 3 },
    { type: 'DISCONNECTED', at: 4 },
  ]);
  assert.deepEqual(times, { lastConnectTime: 1, lastActivityTime: 2, lastInactivityAlarmTime: 3, lastDisconnectTime: 4, inactivityTimeout: 600_000 });
});
