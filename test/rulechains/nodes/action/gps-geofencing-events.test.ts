import assert from 'node:assert/strict';
import test from 'node:test';
import gpsGeofencingEvents from '#rulechains/nodes/action/gps-geofencing-events.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { NODE, NOW, run, services, start, type World } from '#test/support/services.ts';

const perimeter = { fetchPerimeterInfoFromMessageMetadata: false, polygonsDefinition: '[[0,0],[10,10]]' };
const silent = { ...perimeter, reportPresenceStatusOnEachMessage: false };
const IN = message({ data: { latitude: 5, longitude: 5 } });
const OUT = message({ data: { latitude: 50, longitude: 5 } });
const presence = (inside: boolean, sinceMs: number, stayed = false) => ({ inside, stateSwitchTime: NOW - sinceMs, stayed });
const known = (state: unknown): World => ({ memory: { [`${NODE.id} ${DEVICE}`]: state } });
const attribute = (value: string): World => ({ attributes: { [`${DEVICE} SERVER_SCOPE`]: [[NODE.serviceId, { type: 'STRING', value }]] } });

for (const { name, config = silent, world = {}, messages, to } of [
  { name: 'never seen, inside', messages: [IN], to: ['Entered'] },
  { name: 'never seen, outside', messages: [OUT], to: ['Left'] },
  { name: 'in and out and in one batch', messages: [IN, IN, OUT, OUT, IN], to: ['Entered', 'Success', 'Left', 'Success', 'Entered'] },
  { name: 'told each time', config: perimeter, messages: [IN, IN, IN, OUT, OUT], to: ['Entered', 'Inside', 'Inside', 'Left', 'Outside'] },
  { name: 'a short stay', world: known(presence(true, 60_000)), messages: [IN], to: ['Success'] },
  { name: 'a long stay is told once', world: known(presence(true, 60_001)), messages: [IN, IN], to: ['Inside', 'Success'] },
  { name: 'a long stay outside', world: known(presence(false, 60_001)), messages: [OUT, OUT], to: ['Outside', 'Success'] },
  { name: 'a long stay that was told', world: known(presence(true, 90_000, true)), messages: [IN, OUT], to: ['Success', 'Left'] },
  {
    name: 'each side has its own shortest stay',
    config: { ...silent, minOutsideDuration: 5, minOutsideDurationTimeUnit: 'HOURS' },
    world: known(presence(false, 3_600_000)),
    messages: [OUT],
    to: ['Success'],
  },
  { name: 'after a restart the attribute tells', world: attribute(JSON.stringify(presence(true, 10))), messages: [IN], to: ['Success'] },
  { name: 'an attribute that tells a long stay', world: attribute(JSON.stringify(presence(true, 1e6, true))), messages: [IN], to: ['Success'] },
  { name: 'an attribute of somebody else', world: attribute('x'), messages: [IN], to: ['Entered'] },
  { name: 'an attribute without sense', world: attribute('{"inside":1}'), messages: [IN], to: ['Entered'] },
  {
    name: 'an unknown unit fails when it is needed',
    config: { ...silent, minInsideDurationTimeUnit: 'WEEKS' },
    messages: [IN, IN, OUT],
    to: ['Entered', { to: 'Failure', error: 'Unknown time unit: WEEKS' }, 'Left'],
  },
  {
    name: 'a message without coordinates does not stop the others',
    messages: [IN, message({ data: {} }), OUT],
    to: ['Entered', { to: 'Failure', error: 'Incoming Message has no latitude in data or metadata!' }, 'Left'],
  },
] as { name: string; config?: Record<string, unknown>; world?: World; messages: (typeof IN)[]; to: unknown[] }[])
  test(`gps geofencing events: ${name}`, async () =>
    assert.deepEqual(await run(gpsGeofencingEvents, messages, { config, services: services(world) }), to));

test('gps geofencing events: what changes is remembered, and shown in an attribute named after the process', async () => {
  const given = services(known(presence(true, 60_001)));
  await run(gpsGeofencingEvents, [IN, IN, OUT], { config: silent, services: given });
  const stayed = presence(true, 60_001, true);
  const left = { inside: false, stateSwitchTime: NOW, stayed: false };
  const saved = (state: unknown) => [
    ['remember', DEVICE, state],
    ['save attributes', DEVICE, 'SERVER_SCOPE', { [NODE.serviceId]: { type: 'STRING', value: JSON.stringify(state) } }, NOW],
  ];
  assert.deepEqual(given.did, [...saved(stayed), ...saved(left)]);
});

test('gps geofencing events: files of version 0 do not tell it each time', () => {
  assert.deepEqual(gpsGeofencingEvents.upgrades![0]!({ a: 1 }), { a: 1, reportPresenceStatusOnEachMessage: false });
  assert.deepEqual(gpsGeofencingEvents.upgrades![0]!({ reportPresenceStatusOnEachMessage: true }), { reportPresenceStatusOnEachMessage: true });
});

test('gps geofencing events: unusable with a duration that is none', () =>
  assert.rejects(start(gpsGeofencingEvents, { config: { minInsideDuration: 'x' } }), /Can't convert value/));
