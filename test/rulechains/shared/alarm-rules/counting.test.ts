import assert from 'node:assert/strict';
import test from 'node:test';
import type { Message } from '#engine/message.ts';
import {
  above,
  attributes,
  below,
  CUSTOMER,
  deviceDoc,
  dynamic,
  high,
  minutes,
  number,
  openDevice,
  PROFILE,
  profileDoc,
  rule,
  temperature,
  times,
} from '#test/support/alarm-rules.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NOW, type World } from '#test/support/services.ts';

const MINUTE = 60_000;
const long = (value: number) => ({ type: 'LONG', value }) as const;
/** A value that a message brings when the clock shows so many minutes. */
const at = (minute: number, value: number): Message => temperature(value, NOW + minute * MINUTE);
const created = (count: number) => ['Success', `Alarm Created ${count}`];
const updated = (count: number) => ['Success', `Alarm Updated ${count}`];
const cleared = (count: number) => ['Success', `Alarm Cleared ${count}`];
const ended = (type: 'ALARM_CLEAR' | 'ALARM_DELETE' | 'ALARM_ACK') => message({ type, data: { id: { entityType: 'ALARM', id: 'a' }, type: 'High' } });

for (const { name, create = above(30, times(3)), clear, world, messages, to } of [
  {
    name: 'as often as required, and on',
    messages: [at(0, 31), at(1, 31), at(2, 31), at(3, 32)],
    to: ['Success', 'Success', created(3), updated(4)],
  },
  {
    name: 'from the beginning when it was not so',
    messages: [at(0, 31), at(1, 31), at(2, 29), at(3, 31), at(4, 31), at(5, 31)],
    to: ['Success', 'Success', 'Success', 'Success', 'Success', created(3)],
  },
  { name: 'the same message again is none more', messages: [at(0, 31), at(0, 31), at(1, 31)], to: ['Success', 'Success', 'Success'] },
  { name: 'other keys do not count', messages: [at(0, 31), message({ data: { humidity: 1 } }), at(1, 31)], to: ['Success', 'Success', 'Success'] },
  {
    name: 'as the device says',
    create: above(30, times(3, dynamic('often'))),
    world: { attributes: { [`${DEVICE} SERVER_SCOPE`]: [['often', long(2)]] } },
    messages: [at(0, 31), at(1, 31)],
    to: ['Success', created(2)],
  },
  {
    name: 'as the customer says',
    create: above(30, times(3, dynamic('often', 'CURRENT_CUSTOMER'))),
    world: { attributes: { [`${CUSTOMER} SERVER_SCOPE`]: [['often', long(2)]] } },
    messages: [at(0, 31), at(1, 31)],
    to: ['Success', created(2)],
  },
  {
    name: 'an attribute that came as a message',
    create: above(30, times(3, dynamic('often'))),
    messages: [at(0, 31), attributes({ often: 2 }), at(1, 31)],
    to: ['Success', 'Success', created(2)],
  },
  {
    name: 'the clear rule, only while there is an alarm; what it counted is over then',
    create: above(30),
    clear: below(20, times(2)),
    messages: [at(0, 19), at(1, 31), at(2, 19), at(3, 25), at(4, 19), at(5, 18), at(6, 18)],
    to: ['Success', ['Success', 'Alarm Created'], 'Success', 'Success', 'Success', cleared(0), 'Success'],
  },
  {
    name: 'an alarm that comes again makes the clear rule begin anew',
    create: above(30),
    clear: below(20, times(2)),
    messages: [at(0, 31), at(1, 19), at(2, 31), at(3, 19)],
    to: [['Success', 'Alarm Created'], 'Success', ['Success', 'Alarm Updated'], 'Success'],
  },
  {
    name: 'an end by a user is a new beginning',
    messages: [at(0, 31), at(1, 31), ended('ALARM_CLEAR'), at(2, 31), at(3, 31), at(4, 31)],
    to: ['Success', 'Success', 'Success', 'Success', 'Success', created(3)],
  },
  { name: 'a deletion too', messages: [at(0, 31), at(1, 31), ended('ALARM_DELETE'), at(2, 31)], to: ['Success', 'Success', 'Success', 'Success'] },
  {
    name: 'an acknowledgement is none',
    messages: [at(0, 31), at(1, 31), ended('ALARM_ACK'), at(2, 31)],
    to: ['Success', 'Success', 'Success', created(3)],
  },
  {
    name: 'duration, by the time of the values',
    create: above(30, minutes(2)),
    messages: [at(0, 31), at(1, 31), at(2, 31), at(2.5, 31)],
    to: ['Success', 'Success', 'Success', created(150_000)],
  },
  {
    name: 'a value of before counts for nothing',
    create: above(30, minutes(2)),
    messages: [at(0, 31), at(-5, 31), at(1, 31), at(2, 31)],
    to: ['Success', 'Success', 'Success', 'Success'],
  },
  {
    name: 'a text is no number of minutes but the default is',
    create: above(30, minutes(1, dynamic('nothing'))),
    messages: [at(0, 31), at(1.1, 31)],
    to: ['Success', created(66_000)],
  },
] as { name: string; create?: object; clear?: object; world?: World; messages: Message[]; to: unknown[] }[]) {
  const rules = high({ createRules: { MAJOR: create }, clearRule: clear ?? null });
  test(`counting: ${name}`, async () => assert.deepEqual(await openDevice(rules, world).send(...messages), to));
  test(`counting: ${name}, a batch each`, async () => {
    const device = openDevice(rules, world);
    const answers: unknown[] = [];
    for (const each of messages) answers.push(...(await device.send(each)));
    assert.deepEqual(answers, to);
  });
}

test('duration: it is over by the clock alone, at its time and once', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(10), { alarmDetails: 'at ${temperature}' }) } }));
  assert.deepEqual(await device.send(at(0, 31), at(1, 32)), ['Success', 'Success']);
  assert.deepEqual(device.timers(), [10 * MINUTE + 1]);
  assert.deepEqual(await device.due(10 * MINUTE), [], 'too early, by a millisecond');
  assert.deepEqual(device.timers().slice(1), [10 * MINUTE + 1000], 'and it is looked at again');
  assert.deepEqual(await device.due(10 * MINUTE + 1000), ['Alarm Created 601000']);
  const [alarm] = device.written('create alarm');
  assert.deepEqual([alarm!.startTs, alarm!.details], [NOW + MINUTE, { data: 'at 32' }]);
  assert.deepEqual(await device.due(20 * MINUTE), [], 'nothing new');
  assert.equal(device.timers().length, 2);
  assert.deepEqual(await device.send(at(21, 31)), [updated(21 * MINUTE)]);
});

test('duration: what the last message had goes with the alarm', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(1)) } }));
  const metadata = { ts: String(NOW), deviceName: 'TH-1' };
  await device.send(message({ data: { temperature: 31 }, metadata, queueName: 'HighPriority', customerId: CUSTOMER }));
  await device.due(MINUTE + 1);
  const sent = device.emitted[0]!.message!;
  assert.deepEqual(
    [sent.type, sent.queueName, sent.customerId, sent.metadata],
    ['ALARM', 'HighPriority', null, { ...metadata, isNewAlarm: 'true', alarmConditionDuration: String(MINUTE + 1) }],
  );
});

test('duration: a value that ends it ends the waiting; the next one begins anew', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(10)) } }));
  await device.send(at(0, 31));
  device.clock.at = NOW + 5 * MINUTE;
  await device.send(at(5, 29));
  await device.send(at(6, 31));
  assert.deepEqual(device.timers(), [10 * MINUTE + 1], 'the timer that is set comes first');
  assert.deepEqual(await device.due(10 * MINUTE + 1), []);
  assert.deepEqual(device.timers().slice(1), [16 * MINUTE + 1]);
  assert.deepEqual(await device.due(16 * MINUTE + 1), [`Alarm Created ${10 * MINUTE + 1}`]);
});

test('duration: the milder one first, the severe one at its own time', async () => {
  const device = openDevice(high({ createRules: { CRITICAL: above(30, minutes(20)), WARNING: above(30, minutes(10)) } }));
  await device.send(at(0, 31));
  assert.deepEqual(await device.due(10 * MINUTE + 1), [`Alarm Created ${10 * MINUTE + 1}`]);
  assert.deepEqual(device.timers(), [10 * MINUTE + 1, 20 * MINUTE + 1]);
  assert.deepEqual(await device.due(20 * MINUTE + 1), [`Alarm Severity Updated ${20 * MINUTE + 1}`]);
  assert.deepEqual(device.alarms(), [
    ['create alarm', 'WARNING'],
    ['update alarm', 'CRITICAL'],
  ]);
  assert.equal(device.timers().length, 2);
});

test('duration: a late timer makes the severe one, and the milder one does not come after', async () => {
  const device = openDevice(high({ createRules: { CRITICAL: above(30, minutes(20)), WARNING: above(30, minutes(10)) } }));
  await device.send(at(0, 31));
  assert.deepEqual(await device.due(60 * MINUTE), [`Alarm Created ${60 * MINUTE}`]);
  assert.deepEqual([device.alarms(), device.timers().length], [[['create alarm', 'CRITICAL']], 1]);
});

test('duration: the clear rule by the clock', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30) }, clearRule: below(20, minutes(5)) }));
  assert.deepEqual(await device.send(at(0, 19)), ['Success']);
  assert.deepEqual(device.timers(), [], 'there is nothing to clear');
  await device.send(at(0, 31), at(1, 19));
  assert.deepEqual(device.timers(), [6 * MINUTE + 1]);
  assert.deepEqual(await device.due(6 * MINUTE + 1), ['Alarm Cleared 0']);
  assert.deepEqual(await device.due(9 * MINUTE), []);
  assert.equal(device.timers().length, 1);
});

test('duration: an alarm that a user ended is not cleared by the clock', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30) }, clearRule: below(20, minutes(5)) }));
  await device.send(at(0, 31), at(1, 19), ended('ALARM_DELETE'));
  assert.deepEqual(await device.due(6 * MINUTE + 1), []);
  assert.equal(device.timers().length <= 1, true);
});

test('duration: where the clock is looked at by others too, it is looked at each minute', async () => {
  const world: World = { attributes: { [`${TENANT} SERVER_SCOPE`]: [['patience', long(10)]] } };
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(1, dynamic('patience', 'CURRENT_TENANT'))) } }), world);
  await device.send(at(0, 31));
  assert.deepEqual(device.timers(), [MINUTE]);
  assert.deepEqual(await device.due(MINUTE), []);
  assert.deepEqual(device.timers(), [MINUTE, 2 * MINUTE]);
  assert.deepEqual(await device.due(10 * MINUTE + 1), [`Alarm Created ${10 * MINUTE + 1}`]);
  assert.equal(device.timers().length, 2);
});

test('duration: a shorter one, told by a message, counts at once', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(60, dynamic('patience'))) } }));
  await device.send(at(0, 31));
  await device.send(attributes({ patience: 10 }));
  assert.deepEqual(device.timers(), [60 * MINUTE + 1, 10 * MINUTE + 1]);
  assert.deepEqual(await device.due(10 * MINUTE + 1), [`Alarm Created ${10 * MINUTE + 1}`]);
});

test('duration: out of its schedule it begins anew', async () => {
  const day = new Date(NOW).getUTCDay() || 7;
  const passed = NOW % 86_400_000;
  const schedule = { type: 'SPECIFIC_TIME', timezone: 'UTC', daysOfWeek: [day], startsOn: 0, endsOn: passed + 5 * MINUTE };
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(10), { schedule }) } }));
  await device.send(at(0, 31));
  assert.deepEqual(device.timers(), [MINUTE], 'a schedule ends without a message');
  assert.deepEqual(await device.due(5 * MINUTE), []);
  assert.equal(device.timers().length, 1, 'it does not wait any more');
  assert.deepEqual(await device.due(11 * MINUTE), []);
});

test('duration: none at all needs a second value, as in the original', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(0)) } }));
  assert.deepEqual(await device.send(at(0, 31)), ['Success']);
  assert.deepEqual(device.timers(), []);
  assert.deepEqual(await device.send(at(1, 31)), [created(MINUTE)]);
});

test('duration: values of the past are over at once', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(10)) } }));
  await device.send(at(-60, 31));
  assert.deepEqual(device.timers(), [0]);
  assert.deepEqual(await device.due(1), [`Alarm Created ${60 * MINUTE + 1}`]);
});

test('duration: a requirement that is no number is not judged by the clock; the message says so', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(10, dynamic('patience'))) } }));
  await device.send(at(0, 31));
  await device.send(attributes({ patience: 'much' }));
  assert.deepEqual(await device.due(10 * MINUTE + 1), []);
  assert.deepEqual(await device.send(at(11, 31)), [
    `Failed to process alarm rule for Device [${DEVICE}]: Could not convert attribute 'patience' with value 'much' to numeric value!`,
  ]);
});

test('duration: a device that is gone when the timer is due leaves nothing behind', async () => {
  const device = openDevice(high({ createRules: { MAJOR: above(30, minutes(10)) } }));
  await device.send(at(0, 31));
  delete device.docs[DEVICE];
  assert.deepEqual(await device.due(10 * MINUTE + 1), []);
  assert.deepEqual(device.did.at(-1), ['remember', DEVICE, null]);
});

for (const [name, persists, change, want] of [
  ['saved anew: from the beginning', false, 'version', 'Success'],
  ['saved anew, and what was counted is to stay', true, 'version', created(2)],
  ['another profile', true, 'profile', 'Success'],
] as const)
  test(`counting: ${name}`, async () => {
    const alarms = high({ createRules: { MAJOR: above(30, times(2)) } });
    const device = openDevice(alarms, {}, { persistAlarmRulesState: persists });
    await device.send(at(0, 31));
    const other = 'cccccccc-0000-1000-8000-000000000007';
    if (change === 'version') device.docs[PROFILE] = profileDoc(alarms, { version: 2 });
    else Object.assign(device.docs, { [other]: profileDoc(alarms, { id: other }), [DEVICE]: deviceDoc(other) });
    assert.deepEqual(await device.send(at(1, 31)), [want]);
  });

test('memory: values of any type come back as they were', async () => {
  const filters = [
    ['whole', 'STRING', 'EQUAL', '9007199254740993'],
    ['text', 'STRING', 'EQUAL', '007x'],
    ['flag', 'BOOLEAN', 'EQUAL', true],
    ['half', 'STRING', 'EQUAL', '5.0'],
    ['json', 'STRING', 'EQUAL', '{"a":1}'],
  ].map(([key, type, operation, defaultValue]) => ({ key: { type: 'TIME_SERIES', key }, predicate: { type, operation, value: { defaultValue } } }));
  const device = openDevice(high({ createRules: { MAJOR: rule([...filters, number('GREATER', 30)]) } }));
  await device.send(message({ data: '{"whole":9007199254740993,"text":"007x","flag":true,"half":5.0,"json":{"a":1}}' }));
  assert.deepEqual(await device.send(temperature(31)), [['Success', 'Alarm Created']]);
  const [, , memory] = device.did.find(([what]) => what === 'remember') as [string, string, { values: unknown }];
  const ts = 1_700_000_000_000;
  assert.deepEqual(memory.values, {
    'TIME_SERIES whole': ['LONG', '9007199254740993', ts],
    'TIME_SERIES text': ['STRING', '007x', ts],
    'TIME_SERIES flag': ['BOOLEAN', 'true', ts],
    'TIME_SERIES half': ['DOUBLE', '5.0', ts],
    'TIME_SERIES json': ['JSON', '{"a":1}', ts],
  });
});

test('memory: of what a message said and what is stored the newer counts', async () => {
  const rules = high({ createRules: { MAJOR: rule([number('GREATER', 30), number('GREATER', 50, {}, { key: 'humidity' })]) } });
  const latest = (ts: number): World => ({ latest: { [DEVICE]: { humidity: { ts, value: long(10) } } } });
  for (const [ts, want] of [
    [NOW - MINUTE, ['Success', 'Alarm Created']],
    [NOW + MINUTE, 'Success'],
  ] as const) {
    const device = openDevice(rules, latest(ts));
    await device.send(message({ data: { humidity: 60 }, metadata: { ts: String(NOW) } }));
    assert.deepEqual(await device.send(at(2, 31)), [want]);
  }
});
