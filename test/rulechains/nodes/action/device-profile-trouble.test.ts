import assert from 'node:assert/strict';
import test from 'node:test';
import { Busy } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import type { Doc } from '#engine/store.ts';
import deviceProfile from '#rulechains/nodes/action/device-profile.ts';
import {
  above,
  attributes,
  below,
  deviceDoc,
  dynamic,
  high,
  number,
  openDevice,
  PROFILE,
  profileDoc,
  rule,
  temperature,
} from '#test/support/alarm-rules.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { run, services, type World } from '#test/support/services.ts';

/** What a device profile node makes of what nobody meant, and what it leaves alone. */

const created = ['Success', 'Alarm Created'];
const two = rule([number('GREATER', 30), number('GREATER', 50, {}, { key: 'humidity' })]);
const LATER = { type: 'REPEATING', predicate: { defaultValue: 2, ...dynamic('often') } };
for (const { name, alarms = high({ createRules: { MAJOR: above(30) } }), docs = {}, gone, world = {}, given, to } of [
  { name: 'no originator of this kind', given: message({ originator: { entityType: 'ASSET', id: DEVICE }, data: 'no JSON' }), to: ['Success'] },
  { name: 'a device that is gone', gone: [DEVICE], given: temperature(31), to: [[]] },
  { name: 'a profile that is gone', gone: [PROFILE], given: temperature(31), to: [[]] },
  { name: 'a device without a profile', docs: { [DEVICE]: { ...deviceDoc(), body: {} } }, given: temperature(31), to: [[]] },
  { name: 'its end', gone: [DEVICE], given: message({ type: 'ENTITY_DELETED' }), to: ['Success'] },
  { name: 'a profile without data', docs: { [PROFILE]: { ...profileDoc(null), body: {} } }, given: temperature(31), to: ['Success'] },
  { name: 'no JSON', given: message({ data: 'x' }), to: [/Unexpected token/] },
  { name: 'no JSON, and no rules', alarms: null, given: message({ data: 'x' }), to: [/Unexpected token/] },
  { name: 'nothing', given: message({ data: '' }), to: [/Unexpected end/] },
  { name: 'a scalar', given: message({ data: '5' }), to: ["Can't parse value: 5"] },
  { name: 'null among the values', given: temperature(null), to: ["Can't parse value: null"] },
  { name: 'an empty list', given: message({ data: '[]' }), to: ['Success'] },
  { name: 'attributes in a list', given: attributes([]), to: ["Can't parse value: []"] },
  { name: 'a deletion of nothing', given: message({ type: 'ATTRIBUTES_DELETED', data: {} }), to: ['No attributes in: {}'] },
  { name: 'an end of no alarm', given: message({ type: 'ALARM_CLEAR', data: '[]' }), to: [/cannot be transformed to Json object: \[\]/] },
  {
    name: 'a profile with what is no rule',
    docs: { [PROFILE]: profileDoc([{ alarmType: 'High', createRules: { NOPE: {} } }]) },
    given: temperature(31),
    to: [/^profileData.alarms.0.createRules: must be one of CRITICAL/],
  },
  {
    name: 'a number of repetitions that is none',
    alarms: high({ createRules: { MAJOR: above(30, LATER) } }),
    world: { attributes: { [`${DEVICE} SERVER_SCOPE`]: [['often', { type: 'STRING', value: 'very' }]] } },
    given: temperature(31),
    to: [`Failed to process alarm rule for Device [${DEVICE}]: Could not convert attribute 'often' with value 'very' to numeric value!`],
  },
  {
    name: 'the same, after an alarm was raised',
    alarms: [...high({ createRules: { MAJOR: above(30) } }), { id: 'b', alarmType: 'Often', createRules: { MAJOR: above(30, LATER) } }],
    world: { attributes: { [`${DEVICE} SERVER_SCOPE`]: [['often', { type: 'STRING', value: 'very' }]] } },
    given: temperature(31),
    to: [['Failure', 'Alarm Created']],
  },
  {
    name: 'a 64-bit number',
    alarms: high({ createRules: { MAJOR: above(30, undefined, { alarmDetails: '${temperature}' }) } }),
    given: message({ data: '{"temperature":9007199254740993}' }),
    to: [created],
  },
] as { name: string; alarms?: unknown; docs?: Record<string, Doc>; gone?: string[]; world?: World; given: Message; to: unknown[] }[])
  test(`device profile: ${name}`, async () => {
    const answers = await openDevice(alarms, { ...world, docs, gone }).send(given);
    for (const [index, want] of to.entries())
      if (want instanceof RegExp) assert.match(String(answers[index]), want);
      else assert.deepEqual(answers[index], want);
  });

test('device profile: a store that is away is no matter of a message, and nothing of the batch stays', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, { type: 'REPEATING', predicate: { defaultValue: 1 } }) } }));
  device.services.alarms.active = async () => {
    throw new Busy('away');
  };
  await assert.rejects(device.send(temperature(20), temperature(31)), { message: 'away' });
  assert.equal(device.did.filter(([what]) => what === 'remember').length, 0);
});

test('device profile: rules that need nothing of before read and write no memory', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30) }, clearRule: below(20) }));
  device.services.memory.get = () => assert.fail('read');
  device.services.snapshot.latest = () => assert.fail('read');
  device.services.snapshot.attributes = () => assert.fail('read');
  await device.send(temperature(31), temperature(19));
  assert.deepEqual(
    device.did.map(([what]) => what),
    ['create alarm', 'clear alarm'],
  );
});

test('device profile: devices of a batch have their own rules, an asset between them passes', async () => {
  const other = 'cccccccc-0000-1000-8000-000000000009';
  const docs = {
    [DEVICE]: deviceDoc(),
    [other]: { ...deviceDoc('none'), id: other },
    [PROFILE]: profileDoc(high({ createRules: { MAJOR: above(30) } })),
  };
  const from = (entityType: 'DEVICE' | 'ASSET', id: string) => message({ originator: { entityType, id }, data: { temperature: 31 } });
  const outcomes = await run(deviceProfile, [from('DEVICE', other), from('ASSET', other), from('DEVICE', DEVICE)], { services: services({ docs }) });
  assert.deepEqual(outcomes.slice(0, 2), [[], 'Success']);
  assert.equal((outcomes[2] as { to: string }[])[1]!.to, 'Alarm Created');
});

test('device profile: a deleted device leaves nothing behind', async () => {
  const device = openDevice(high({ createRules: { MAJOR: two } }), { docs: {} });
  await device.send(temperature(31), message({ type: 'ENTITY_DELETED' }));
  assert.deepEqual(
    device.did.filter(([what]) => what === 'remember'),
    [['remember', DEVICE, null]],
  );
});

test('device profile: of older versions the state is fetched only where it was kept', () => {
  const [toVersion1] = deviceProfile.upgrades!;
  assert.deepEqual(
    [true, false].map((kept) => toVersion1!({ persistAlarmRulesState: kept, fetchAlarmRulesStateOnStart: true })),
    [
      { persistAlarmRulesState: true, fetchAlarmRulesStateOnStart: true },
      { persistAlarmRulesState: false, fetchAlarmRulesStateOnStart: false },
    ],
  );
});
