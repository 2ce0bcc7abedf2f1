import assert from 'node:assert/strict';
import test from 'node:test';
import type { Alarm } from '#engine/services.ts';
import clearAlarm from '#rulechains/nodes/action/clear-alarm.ts';
import createAlarm from '#rulechains/nodes/action/create-alarm.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NODE, NOW, run, services, start } from '#test/support/services.ts';

const COUNTING = 'var d = metadata.prevAlarmDetails ? JSON.parse(metadata.prevAlarmDetails) : {}; d.n = (d.n || 0) + 1; d.t = msg.t; return d;';
const js = (alarmDetailsBuildJs: string) => ({ scriptLang: 'JS', alarmDetailsBuildJs });
const originator = { entityType: 'DEVICE', id: DEVICE } as const;
const OTHER = 'dddddddd-0000-1000-8000-000000000001';
const FIRST = 'bbbbbbbb-0000-1000-8000-000000000001';
const alarm: Alarm = {
  id: 'cccccccc-0000-1000-8000-000000000001',
  tenantId: TENANT,
  createdTime: 5,
  customerId: null,
  type: 'Hot',
  originator,
  severity: 'MAJOR',
  acknowledged: true,
  cleared: false,
  assigneeId: null,
  startTs: 5,
  endTs: 6,
  ackTs: 7,
  clearTs: 0,
  assignTs: 0,
  details: { n: 4 },
  propagate: false,
  propagateToOwner: false,
  propagateToTenant: false,
  propagateRelationTypes: [],
};
const created: Alarm = {
  ...alarm,
  id: FIRST,
  createdTime: NOW,
  severity: 'CRITICAL',
  acknowledged: false,
  ackTs: 0,
  startTs: 1_700_000_000_001,
  endTs: 1_700_000_000_001,
  details: { n: 1, t: 25 },
};
const out = (to: string, flag: string, id: string, metadata = {}) => ({
  to,
  type: 'ALARM',
  data: JSON.stringify({ id, type: 'Hot' }),
  metadata: { ...metadata, [flag]: 'true' },
});
const action = (type: string, id: string) => ['enqueue', { type, originator: DEVICE, data: { id, type: 'Hot' }, metadata: { ruleNodeId: NODE.id } }];
const hot = { alarmType: '${type}', ...js(COUNTING) };
const metadata = { type: 'Hot', ts: '1700000000001' };

test('create alarm: new, with the time of the metadata and the customer of the originator', async () => {
  const given = services({ customers: { [DEVICE]: 'cust' } });
  const outcomes = await run(createAlarm, [message({ data: { t: 25 }, metadata })], {
    config: { ...hot, propagate: true, relationTypes: ['Contains'] },
    services: given,
  });
  assert.deepEqual(outcomes, [out('Created', 'isNewAlarm', FIRST, metadata)]);
  assert.deepEqual(given.did, [
    ['create alarm', { ...created, customerId: 'cust', propagate: true, propagateRelationTypes: ['Contains'] }],
    action('ENTITY_CREATED', FIRST),
  ]);
});

test('create alarm: the active one is updated, its details go through the script', async () => {
  const given = services({ alarms: [alarm] });
  const outcomes = await run(createAlarm, [message({ data: { t: 25 }, metadata })], { config: hot, services: given });
  assert.deepEqual(outcomes, [out('Updated', 'isExistingAlarm', alarm.id, metadata)]);
  assert.deepEqual(given.did, [
    ['update alarm', { ...alarm, severity: 'CRITICAL', details: { n: 5, t: 25 }, endTs: NOW }],
    action('ENTITY_UPDATED', alarm.id),
  ]);
});

test('create alarm: in one batch the second message about an alarm sees what the first did, one crossing serves all others', async () => {
  const given = services();
  const others = [1, 2, 3].map((n) => message({ data: { t: n }, metadata, originator: { entityType: 'DEVICE', id: `other ${n}` } }));
  const outcomes = await run(createAlarm, [message({ data: { t: 1 }, metadata }), ...others, message({ data: { t: 2 }, metadata })], {
    config: hot,
    services: given,
  });
  assert.deepEqual(
    outcomes.map((outcome) => (outcome as { to: string }).to),
    ['Created', 'Created', 'Created', 'Created', 'Updated'],
  );
  const updates = given.did.filter(([what]) => what === 'update alarm').map(([, updated]) => (updated as Alarm).details);
  assert.deepEqual([updates, given.counts.runs], [[{ n: 2, t: 2 }], 2]);
});

const bad = { to: 'Failure', error: 'Used incorrect pattern or Alarm Severity not included in message' };
for (const { name, config, data = { t: 1 }, to, did = [] } of [
  { name: 'a severity that is none', config: { ...hot, severity: '$[sev]', dynamicSeverity: true }, data: { sev: 'nonsense' }, to: bad },
  { name: 'a severity that is not there', config: { ...hot, severity: '$[sev]', dynamicSeverity: true }, to: bad },
  {
    name: 'a severity from the message',
    config: { ...hot, severity: '$[sev]', dynamicSeverity: true },
    data: { sev: 'MINOR', t: 25 },
    to: out('Created', 'isNewAlarm', FIRST, metadata),
    did: [['create alarm', { ...created, severity: 'MINOR' }], action('ENTITY_CREATED', FIRST)],
  },
  { name: 'no alarm type', config: { ...hot, alarmType: null }, to: { to: 'Failure', error: 'Failed to process pattern!' } },
  {
    name: 'no severity pattern',
    config: { ...hot, severity: null, dynamicSeverity: true },
    to: { to: 'Failure', error: 'Failed to process pattern!' },
  },
  { name: 'a script that throws writes nothing', config: { ...hot, ...js("throw 'x';") }, to: { to: 'Failure', error: 'x' } },
  {
    name: 'details may be anything',
    config: { ...hot, ...js('return null;') },
    to: out('Created', 'isNewAlarm', FIRST, metadata),
    did: [['create alarm', { ...created, details: null }], action('ENTITY_CREATED', FIRST)],
  },
  {
    name: 'all from the message',
    config: { ...hot, useMessageAlarmData: true },
    data: { type: 'Hot', severity: 'MINOR', propagate: true, propagateRelationTypes: ['q'], details: { x: 1 }, foo: 1 },
    to: out('Created', 'isNewAlarm', FIRST, metadata),
    did: [
      [
        'create alarm',
        { ...created, severity: 'MINOR', propagate: true, propagateRelationTypes: ['q'], details: { x: 1 }, startTs: NOW, endTs: NOW },
      ],
      action('ENTITY_CREATED', FIRST),
    ],
  },
  {
    name: 'all from the message but the details',
    config: { ...hot, ...js('return {script: true};'), useMessageAlarmData: true, overwriteAlarmDetails: true },
    data: { type: 'Hot', severity: 'MINOR', details: { x: 1 } },
    to: out('Created', 'isNewAlarm', FIRST, metadata),
    did: [['create alarm', { ...created, severity: 'MINOR', details: { script: true }, startTs: NOW, endTs: NOW }], action('ENTITY_CREATED', FIRST)],
  },
  {
    name: 'a message without severity',
    config: { ...hot, useMessageAlarmData: true },
    data: { type: 'Hot' },
    to: { to: 'Failure', error: 'Validation error: severity must not be null' },
  },
  {
    name: 'a message without type',
    config: { ...hot, useMessageAlarmData: true },
    data: { severity: 'MAJOR' },
    to: { to: 'Failure', error: 'Validation error: type must not be null' },
  },
  {
    name: 'a message that is no alarm',
    config: { ...hot, useMessageAlarmData: true },
    data: '"text"',
    to: { to: 'Failure', error: 'The given string value cannot be transformed to Json object: "text"' },
  },
  {
    name: 'its own times and originator from the message, and what Java takes for what it needs',
    config: { ...hot, useMessageAlarmData: true },
    data: { type: 'Hot', severity: 1, propagate: 'true', originator: { entityType: 'ASSET', id: OTHER }, startTs: '4', endTs: 9.5, details: null },
    to: out('Created', 'isNewAlarm', FIRST, metadata),
    did: [
      [
        'create alarm',
        { ...created, severity: 'MAJOR', propagate: true, originator: { entityType: 'ASSET', id: OTHER }, startTs: 4, endTs: 9, details: null },
      ],
      ['enqueue', { type: 'ENTITY_CREATED', originator: OTHER, data: { id: FIRST, type: 'Hot' }, metadata: { ruleNodeId: NODE.id } }],
    ],
  },
  {
    name: 'only its start from the message',
    config: { ...hot, useMessageAlarmData: true },
    data: { type: 'Hot', severity: 'MINOR', startTs: 4 },
    to: out('Created', 'isNewAlarm', FIRST, metadata),
    did: [['create alarm', { ...created, severity: 'MINOR', details: {}, startTs: 4, endTs: 4 }], action('ENTITY_CREATED', FIRST)],
  },
  {
    name: 'times in the wrong order',
    config: { ...hot, useMessageAlarmData: true },
    data: { type: 'Hot', severity: 'MINOR', startTs: 5, endTs: 4 },
    to: { to: 'Failure', error: "Alarm start ts can't be greater then alarm end ts!" },
  },
  {
    name: 'a customer that the originator is not with',
    config: { ...hot, useMessageAlarmData: true },
    data: { type: 'Hot', severity: 'MINOR', customerId: { entityType: 'CUSTOMER', id: OTHER } },
    to: { to: 'Failure', error: "Can't assign alarm to customer. Originator is not assigned to customer!" },
  },
  {
    name: 'a long type',
    config: { ...hot, alarmType: 'x'.repeat(256) },
    to: { to: 'Failure', error: 'Validation error: type length must be equal or less than 255' },
  },
  {
    name: 'the script has its say before the severity',
    config: { ...hot, ...js("throw 'x';"), severity: '$[sev]', dynamicSeverity: true },
    to: { to: 'Failure', error: 'x' },
  },
  {
    name: 'numbers of the details stay as they are',
    config: { ...hot, useMessageAlarmData: true },
    data: '{"type":"Hot","severity":"MINOR","details":{"x":1.0,"n":9007199254740993}}',
    to: out('Created', 'isNewAlarm', FIRST, metadata),
    did: [
      [
        'create alarm',
        {
          ...{ ...created, severity: 'MINOR', startTs: NOW, endTs: NOW },
          ...{ details: { x: 1, n: 9007199254740992 }, exactDetails: '{"x":1.0,"n":9007199254740993}' },
        },
      ],
      action('ENTITY_CREATED', FIRST),
    ],
  },
])
  test(`create alarm: ${name}`, async () => {
    const given = services();
    assert.deepEqual([await run(createAlarm, [message({ data, metadata })], { config, services: given }), given.did], [[to], did]);
  });

test('create alarm: an alarm that begins in the future is not updated', async () => {
  const given = services({ alarms: [{ ...alarm, startTs: NOW + 1 }] });
  const outcomes = await run(createAlarm, [message({ data: { t: 25 }, metadata })], { config: hot, services: given });
  assert.deepEqual([outcomes, given.did], [[{ to: 'Failure', error: "Alarm start ts can't be greater then alarm end ts!" }], []]);
});

test('create alarm: the script sees the details with their numbers', async () => {
  const given = services({ alarms: [{ ...alarm, details: { n: 1 }, exactDetails: '{"n":1.0}' }] });
  await run(createAlarm, [message({ data: {}, metadata })], { config: { ...hot, ...js('return metadata.prevAlarmDetails;') }, services: given });
  assert.equal((given.did[0]![1] as Alarm).details, '{"n":1.0}');
});

test('create alarm: where the key is missing the details are overwritten', async () => {
  const { overwriteAlarmDetails: _missing, ...exact } = { ...createAlarm.defaults, ...js('return 1;') } as Record<string, unknown>;
  assert.equal(((await start(createAlarm, { exact })).config as Record<string, unknown>)['overwriteAlarmDetails'], true);
});

for (const { config, reason } of [
  { config: { ...hot, severity: null }, reason: 'Incorrect Alarm Severity value: null' },
  { config: { ...hot, severity: 'HUGE', useMessageAlarmData: true }, reason: 'Incorrect Alarm Severity value: HUGE' },
  { config: js(''), reason: 'JS script is blank!' },
])
  test(`create alarm: unusable, ${reason}`, () => assert.rejects(start(createAlarm, { config }), { message: reason }));

const nothing = { to: 'False', effect: false };
for (const { name, config, from = originator, alarms = [alarm], to, did = [] } of [
  {
    name: 'the active one',
    config: hot,
    to: out('Cleared', 'isClearedAlarm', alarm.id, metadata),
    did: [['clear alarm', alarm.id, NOW, { n: 5, t: 1 }], action('ALARM_CLEAR', alarm.id)],
  },
  { name: 'none', config: hot, alarms: [], to: nothing },
  { name: 'of another type', config: { ...hot, alarmType: 'Cold' }, to: nothing },
  { name: 'no alarm type', config: { ...hot, alarmType: null }, to: { to: 'Failure', error: 'Failed to process pattern!' } },
  { name: 'cleared already', config: hot, alarms: [{ ...alarm, cleared: true }], to: nothing },
  {
    name: 'the originator itself',
    config: { ...hot, alarmType: 'whatever' },
    from: { entityType: 'ALARM', id: alarm.id } as const,
    to: out('Cleared', 'isClearedAlarm', alarm.id, metadata),
    did: [['clear alarm', alarm.id, NOW, { n: 5, t: 1 }], action('ALARM_CLEAR', alarm.id)],
  },
  {
    name: 'scalar details',
    config: { ...hot, ...js('return 5;') },
    to: out('Cleared', 'isClearedAlarm', alarm.id, metadata),
    did: [['clear alarm', alarm.id, NOW, 5], action('ALARM_CLEAR', alarm.id)],
  },
  { name: 'a script that throws clears nothing', config: { ...hot, ...js("throw 'x';") }, to: { to: 'Failure', error: 'x' } },
])
  test(`clear alarm: ${name}`, async () => {
    const given = services({ alarms });
    assert.deepEqual(
      [await run(clearAlarm, [message({ data: { t: 1 }, metadata, originator: from })], { config, services: given }), given.did],
      [[to], did],
    );
  });
