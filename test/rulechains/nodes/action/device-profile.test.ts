import assert from 'node:assert/strict';
import test from 'node:test';
import type { Value } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import type { Alarm } from '#engine/services.ts';
import deviceProfile from '#rulechains/nodes/action/device-profile.ts';
import {
  above,
  attributes,
  below,
  CUSTOMER,
  dynamic,
  high,
  number,
  openDevice,
  PROFILE,
  profileDoc,
  rule,
  temperature,
} from '#test/support/alarm-rules.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NOW, start, type World } from '#test/support/services.ts';

const long = (value: number): Value => ({ type: 'LONG', value });
const DASHBOARD = 'cccccccc-0000-1000-8000-000000000003';
const created = ['Success', 'Alarm Created'];
const updated = ['Success', 'Alarm Updated'];
const worse = ['Success', 'Alarm Severity Updated'];
const cleared = ['Success', 'Alarm Cleared'];

test('device profile: an alarm from its creation to its end; its severity is never lowered', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30), CRITICAL: above(50) }, clearRule: below(20) }));
  const story = [25, 31, 32, 51, 40, 52, 19, 18, 31];
  const want = ['Success', created, updated, worse, 'Success', updated, cleared, 'Success', created];
  assert.deepEqual(await device.send(...story.map((value) => temperature(value))), want);
  assert.deepEqual(device.alarms(), [
    ['create alarm', 'MAJOR'],
    ['update alarm', 'MAJOR'],
    ['update alarm', 'CRITICAL'],
    ['update alarm', 'CRITICAL'],
    ['clear alarm', undefined],
    ['create alarm', 'MAJOR'],
  ]);
});

test('device profile: the alarm, and the message about it', async () => {
  const flags = { propagate: true, propagateToOwner: true, propagateToTenant: true, propagateRelationTypes: ['Contains'] };
  const device = openDevice(high({ createRules: { MAJOR: above(30) }, ...flags }));
  const metadata = { ts: '1700000000000', deviceName: 'TH-1' };
  const asked = message({ data: { temperature: 31 }, metadata, customerId: CUSTOMER, queueName: 'HighPriority' });
  const context = (await start(deviceProfile, { services: device.services })) as never;
  const [[own, { to, effect, message: sent }]] = (await deviceProfile.processBatch!([asked], context)) as unknown as [[Emission, Required<Emission>]];
  assert.deepEqual(own, { to: 'Success' }, 'the message itself goes on as it is');
  const [alarm] = device.written('create alarm');
  const { id, ...rest } = alarm!;
  assert.deepEqual(rest, {
    ...{ tenantId: TENANT, createdTime: NOW, acknowledged: false, cleared: false, assigneeId: null, ackTs: 0, clearTs: 0, assignTs: 0 },
    ...{ type: 'High', originator: { entityType: 'DEVICE', id: DEVICE }, customerId: CUSTOMER, severity: 'MAJOR' },
    ...{ startTs: 1_700_000_000_000, endTs: 1_700_000_000_000, details: {} },
    ...flags,
  });
  assert.deepEqual([to, effect, sent.type, sent.originator, sent.customerId, sent.queueName], [
    ...['Alarm Created', true, 'ALARM', asked.originator, CUSTOMER, 'HighPriority'],
  ] as unknown[]);
  assert.deepEqual(sent.metadata, { ...metadata, isNewAlarm: 'true' });
  assert.equal(sent.data, JSON.stringify({ id, type: 'High' }));
});

for (const [name, values, flags] of [
  ['updated', [31, 32], { isExistingAlarm: 'true' }],
  ['worse', [31, 51], { isExistingAlarm: 'true', isSeverityUpdated: 'true' }],
  ['cleared', [31, 19], { isClearedAlarm: 'true' }],
] as const)
  test(`device profile: metadata of an alarm that is ${name}`, async () => {
    const { services: given } = openDevice(high({ createRules: { MAJOR: above(30), CRITICAL: above(50) }, clearRule: below(20) }));
    const context = (await start(deviceProfile, { services: given })) as never;
    const outcomes = await deviceProfile.processBatch!(
      values.map((value) => temperature(value)),
      context,
    );
    const [, emission] = outcomes.at(-1) as [Emission, Emission];
    assert.deepEqual(emission.message!.metadata, { ts: String(NOW), ...flags });
  });

test('device profile: times of an alarm are those of its values, never of the future; an update ends now', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30) } }));
  await device.send(temperature(31, NOW + 5000), temperature(32, NOW - 1));
  assert.deepEqual(
    [...device.written('create alarm'), ...device.written('update alarm')].map(({ startTs, endTs }) => [startTs, endTs]),
    [
      [NOW, NOW],
      [NOW, NOW],
    ],
  );
});

for (const [name, more, old, details] of [
  ['no pattern', {}, { kept: 1 }, { kept: 1 }],
  ['an empty pattern', { alarmDetails: '' }, { kept: 1 }, { kept: 1 }],
  ['a pattern', { alarmDetails: '${temperature} of ${temperature}, ${humidity}' }, {}, { data: '31.5 of 31.5, ${humidity}' }],
  ['a pattern with signs', { alarmDetails: '$1 ${temperature}$' }, {}, { data: '$1 31.5$' }],
  ['a dashboard', { dashboardId: { entityType: 'DASHBOARD', id: DASHBOARD } }, {}, { dashboardId: DASHBOARD }],
  ['both', { alarmDetails: 'x', dashboardId: { id: DASHBOARD } }, {}, { data: 'x', dashboardId: DASHBOARD }],
] as const)
  test(`device profile: details, ${name}`, async () => {
    const device = openDevice(high({ createRules: { MAJOR: above(30, undefined, more) } }), { alarms: [activeAlarm({ details: old })] });
    await device.send(temperature(31.5));
    assert.deepEqual(device.written('update alarm')[0]!.details, details);
  });

const activeAlarm = (fields: Partial<Alarm> = {}): Alarm => ({
  ...{ id: 'alarm 1', tenantId: TENANT, createdTime: 1, customerId: null, type: 'High', originator: { entityType: 'DEVICE', id: DEVICE } },
  ...{ severity: 'MAJOR', acknowledged: true, cleared: false, assigneeId: null, startTs: 1, endTs: 1, ackTs: 1, clearTs: 0, assignTs: 0 },
  ...{ details: {}, propagate: false, propagateToOwner: false, propagateToTenant: false, propagateRelationTypes: [] },
  ...fields,
});

const two = rule([number('GREATER', 30), number('GREATER', 50, {}, { key: 'humidity' })]);
const byLimit = rule([number('GREATER', 30, dynamic('limit'))]);
const onlyAttribute = rule([number('GREATER', 30, {}, { type: 'ATTRIBUTE', key: 'level' })]);
const stored: World = {
  latest: { [DEVICE]: { humidity: { ts: NOW - 1000, value: long(60) } } },
  attributes: {
    [`${DEVICE} SHARED_SCOPE`]: [['limit', long(20)]],
    [`${DEVICE} SERVER_SCOPE`]: [['other', long(20)]],
    [`${CUSTOMER} SERVER_SCOPE`]: [['limit', long(25)]],
    [`${TENANT} SERVER_SCOPE`]: [
      ['limit', long(35)],
      ['everywhere', long(45)],
    ],
  },
};
const telemetry = (data: unknown, ts = NOW) => message({ data, metadata: { ts: String(ts) } });
for (const { name, create, world = {}, messages, to } of [
  { name: 'what is stored counts too', create: two, world: stored, messages: [temperature(31)], to: [created] },
  { name: 'what is not known makes it false', create: two, messages: [temperature(31)], to: ['Success'] },
  { name: 'earlier messages count', create: two, messages: [telemetry({ humidity: 60 }), temperature(31)], to: ['Success', created] },
  { name: 'a key that no rule speaks of', create: above(30), messages: [telemetry({ pressure: 99 })], to: ['Success'] },
  {
    name: 'a message that touches no key of the rule does not judge it',
    create: above(30),
    world: { latest: { [DEVICE]: { temperature: { ts: 1, value: long(99) } } } },
    messages: [telemetry({ humidity: 1 })],
    to: ['Success'],
  },
  {
    name: 'the same values of the same moment are nothing new',
    create: above(30),
    messages: [temperature(31), temperature(31)],
    to: [created, 'Success'],
  },
  { name: 'of another moment they are', create: above(30), messages: [temperature(31), temperature(31, NOW + 1)], to: [created, updated] },
  {
    name: 'samples in the order of their time',
    create: above(30),
    messages: [
      telemetry([
        { ts: NOW - 1, values: { temperature: 32 } },
        { ts: NOW - 9, values: { temperature: 20 } },
        { ts: NOW - 5, values: { temperature: 31 } },
      ]),
    ],
    to: [['Success', 'Alarm Created', 'Alarm Updated']],
  },
  { name: 'a number in text', create: above(30), messages: [temperature('31')], to: [created] },
  {
    name: 'attributes wait for telemetry',
    create: byLimit,
    world: stored,
    messages: [attributes({ limit: 35 }), temperature(36)],
    to: ['Success', created],
  },
  { name: 'an attribute of the device', create: byLimit, world: stored, messages: [temperature(21)], to: [created] },
  { name: 'none: the default', create: byLimit, messages: [temperature(31)], to: [created] },
  {
    name: 'of the customer',
    create: rule([number('GREATER', 30, dynamic('limit', 'CURRENT_CUSTOMER'))]),
    world: stored,
    messages: [temperature(25), temperature(26)],
    to: ['Success', created],
  },
  {
    name: 'of the tenant',
    create: rule([number('GREATER', 30, dynamic('limit', 'CURRENT_TENANT'))]),
    world: stored,
    messages: [temperature(35), temperature(36)],
    to: ['Success', created],
  },
  {
    name: 'of a user: there is none',
    create: rule([number('GREATER', 30, dynamic('limit', 'CURRENT_USER'))]),
    world: stored,
    messages: [temperature(31)],
    to: [created],
  },
  {
    name: 'inherited from the tenant',
    create: rule([number('GREATER', 30, dynamic('everywhere', 'CURRENT_DEVICE', true))]),
    world: stored,
    messages: [temperature(45), temperature(46)],
    to: ['Success', created],
  },
  {
    name: 'not inherited: the default',
    create: rule([number('GREATER', 30, dynamic('everywhere'))]),
    world: stored,
    messages: [temperature(31)],
    to: [created],
  },
  { name: 'a rule of attributes', create: onlyAttribute, messages: [attributes({ level: 31 })], to: [created] },
  {
    name: 'attributes that the device posts',
    create: onlyAttribute,
    messages: [message({ type: 'POST_ATTRIBUTES_REQUEST', data: { level: 31 } })],
    to: [created],
  },
  {
    name: 'an attribute that was deleted is not known',
    create: rule([number('GREATER', 30, {}, { type: 'ATTRIBUTE', key: 'level' }), number('GREATER', 1, {}, { type: 'ATTRIBUTE', key: 'b' })]),
    messages: [
      attributes({ level: 31 }),
      message({ type: 'ATTRIBUTES_DELETED', metadata: { scope: 'SERVER_SCOPE' }, data: { attributes: ['level'] } }),
      attributes({ b: 2 }),
      attributes({ level: 31 }),
    ],
    to: ['Success', 'Success', 'Success', created],
  },
  {
    name: 'telemetry that was stored by REST',
    create: above(30),
    messages: [message({ type: 'TIMESERIES_UPDATED', data: { timeseries: [{ ts: NOW, values: { temperature: 31 } }] } })],
    to: [created],
  },
  {
    name: 'inactivity, kept as attributes',
    create: rule([{ key: { type: 'ATTRIBUTE', key: 'active' }, predicate: { type: 'BOOLEAN', operation: 'EQUAL', value: { defaultValue: false } } }]),
    messages: [
      message({ type: 'ACTIVITY_EVENT', metadata: { scope: 'SERVER_SCOPE' }, data: { active: true } }),
      message({ type: 'INACTIVITY_EVENT', metadata: { scope: 'SERVER_SCOPE' }, data: { active: false } }),
    ],
    to: ['Success', created],
  },
  {
    name: 'inactivity, kept as telemetry',
    create: rule([
      { key: { type: 'TIME_SERIES', key: 'active' }, predicate: { type: 'BOOLEAN', operation: 'EQUAL', value: { defaultValue: false } } },
    ]),
    messages: [message({ type: 'INACTIVITY_EVENT', data: { active: false } })],
    to: [created],
  },
  ...(
    [
      ['name', 'TH-1'],
      ['type', 'thermometer'],
      ['label', 'Cold room'],
      ['createdTime', '1'],
    ] as const
  ).map(([key, defaultValue]) => ({
    name: `field ${key} of the device`,
    create: rule([
      number('GREATER', 30),
      { key: { type: 'ENTITY_FIELD', key }, predicate: { type: 'STRING', operation: 'EQUAL', value: { defaultValue } } },
    ]),
    messages: [temperature(31)],
    to: [created],
  })),
  {
    name: 'a constant with what the device says',
    create: rule([
      number('GREATER', 1),
      {
        ...{ key: { type: 'CONSTANT', key: 'c' }, valueType: 'BOOLEAN', value: true },
        predicate: { type: 'BOOLEAN', operation: 'EQUAL', value: { defaultValue: null, ...dynamic('isOn') } },
      },
    ]),
    world: { attributes: { [`${DEVICE} CLIENT_SCOPE`]: [['isOn', { type: 'BOOLEAN', value: true }]] } },
    messages: [temperature(31)],
    to: [created],
  },
  {
    name: 'a schedule by the time of the values',
    create: above(30, undefined, {
      schedule: { type: 'SPECIFIC_TIME', timezone: 'UTC', daysOfWeek: [5], startsOn: 8 * 3_600_000, endsOn: 9 * 3_600_000 },
    }),
    messages: [temperature(31, NOW - 3_600_000), temperature(31)],
    to: ['Success', created],
  },
  { name: 'other messages pass', create: above(30), messages: [message({ type: 'CONNECT_EVENT', data: 'no JSON' })], to: ['Success'] },
  { name: 'an acknowledgement passes', create: above(30), messages: [message({ type: 'ALARM_ACK', data: { id: {} } })], to: ['Success'] },
] as { name: string; create: object; world?: World; messages: Message[]; to: unknown[] }[])
  test(`device profile: ${name}`, async () =>
    assert.deepEqual(await openDevice(high({ createRules: { MAJOR: create } }), world).send(...messages), to));

test('device profile: an alarm that is there is updated or cleared, whoever made it', async () => {
  const rules = high({ createRules: { MINOR: above(30) }, clearRule: below(20) });
  assert.deepEqual(await openDevice(rules, { alarms: [activeAlarm()] }).send(temperature(31)), ['Success'], 'it is worse already');
  assert.deepEqual(await openDevice(rules, { alarms: [activeAlarm({ severity: 'WARNING' })] }).send(temperature(31)), [worse]);
  assert.deepEqual(await openDevice(rules, { alarms: [activeAlarm()] }).send(temperature(19)), [cleared]);
  assert.deepEqual(await openDevice(rules, { alarms: [activeAlarm({ type: 'Low' })] }).send(temperature(19)), ['Success']);
});

test('device profile: the alarms of a profile do not know of one another', async () => {
  const device = openDevice([...high({ createRules: { MAJOR: above(30) } }), { id: 'low', alarmType: 'Low', createRules: { MINOR: below(40) } }]);
  assert.deepEqual(await device.send(temperature(35)), [['Success', 'Alarm Created', 'Alarm Created']]);
});

test('device profile: a changed profile counts from the next message on', async () => {
  const device = openDevice(null);
  assert.deepEqual(await device.send(temperature(31)), ['Success']);
  device.docs[PROFILE] = profileDoc(high({ createRules: { MAJOR: above(30) } }), { version: 2 });
  assert.deepEqual(await device.send(temperature(31)), [created]);
});
