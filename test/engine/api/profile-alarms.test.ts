import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

/** Alarm rules of device profiles: what is stored of what clients send. */

let api: Api;
let count = 0;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const save = (alarms: unknown) =>
  api.call('POST', '/api/deviceProfile', {
    body: {
      name: `profile ${++count}`,
      type: 'DEFAULT',
      profileData: { configuration: { type: 'DEFAULT' }, transportConfiguration: { type: 'DEFAULT' }, alarms },
    },
  });
const condition = (filters: unknown, spec?: unknown) => ({ condition: { condition: filters, spec } });
const filter = (fields: object = {}) => ({
  key: { type: 'TIME_SERIES', key: 't' },
  valueType: 'NUMERIC',
  predicate: { type: 'NUMERIC', operation: 'GREATER', value: { defaultValue: 5 } },
  ...fields,
});
const alarm = (rule: unknown, fields: object = {}) => [{ id: 'a', alarmType: 'High', createRules: { MAJOR: rule }, ...fields }];
const spec = (fields: unknown) => alarm(condition([filter()], fields));
const schedule = (fields: object) => alarm({ ...condition([filter()]), schedule: fields });

test('profile alarms: none', async () => {
  assert.equal((await save(null)).body.profileData.alarms, null);
  assert.equal((await save(undefined)).body.profileData.alarms, null);
  assert.deepEqual((await save([])).body.profileData.alarms, []);
});

test('profile alarms: every field is there in the answer, and read again', async () => {
  const given = [
    {
      id: 'a',
      alarmType: 'High',
      unknown: 1,
      createRules: {
        MAJOR: { ...condition([filter()]), unknown: 1 },
        CRITICAL: {
          condition: {
            condition: [
              {
                key: { type: 'SERVER_ATTRIBUTE', key: 'mode' },
                predicate: {
                  type: 'COMPLEX',
                  operation: 'OR',
                  predicates: [{ type: 'STRING', operation: 'IN', value: { defaultValue: 'a,b', dynamicValue: { sourceType: null } } }],
                },
              },
            ],
            spec: {
              type: 'DURATION',
              unit: 'HOURS',
              predicate: { defaultValue: 2, dynamicValue: { sourceType: 'CURRENT_TENANT', sourceAttribute: 'x' } },
            },
          },
          schedule: { type: 'SPECIFIC_TIME', timezone: 'Europe/Berlin', daysOfWeek: [1, 2], startsOn: 0, endsOn: 3600000 },
          alarmDetails: '${t}',
          dashboardId: { entityType: 'DASHBOARD', id: '784f394c-42b6-435a-983c-b7beff2784f9' },
        },
      },
      propagate: true,
    },
  ];
  const { body } = await save(given);
  const noDynamic = { dynamicValue: null };
  const want = [
    {
      id: 'a',
      alarmType: 'High',
      createRules: {
        CRITICAL: {
          condition: {
            condition: [
              {
                key: { type: 'ATTRIBUTE', key: 'mode' },
                valueType: null,
                value: null,
                predicate: {
                  type: 'COMPLEX',
                  operation: 'OR',
                  predicates: [{ type: 'STRING', operation: 'IN', value: { defaultValue: 'a,b', userValue: null, ...noDynamic }, ignoreCase: false }],
                },
              },
            ],
            spec: {
              type: 'DURATION',
              unit: 'HOURS',
              predicate: { defaultValue: 2, userValue: null, dynamicValue: { sourceType: 'CURRENT_TENANT', sourceAttribute: 'x', inherit: false } },
            },
          },
          schedule: { type: 'SPECIFIC_TIME', timezone: 'Europe/Berlin', daysOfWeek: [1, 2], startsOn: 0, endsOn: 3600000, ...noDynamic },
          alarmDetails: '${t}',
          dashboardId: { entityType: 'DASHBOARD', id: '784f394c-42b6-435a-983c-b7beff2784f9' },
        },
        MAJOR: {
          condition: {
            condition: [
              {
                key: { type: 'TIME_SERIES', key: 't' },
                valueType: 'NUMERIC',
                value: null,
                predicate: { type: 'NUMERIC', operation: 'GREATER', value: { defaultValue: 5, userValue: null, ...noDynamic } },
              },
            ],
            spec: null,
          },
          schedule: null,
          alarmDetails: null,
          dashboardId: null,
        },
      },
      clearRule: null,
      propagate: true,
      propagateToOwner: false,
      propagateToTenant: false,
      propagateRelationTypes: null,
    },
  ];
  assert.deepEqual(body.profileData.alarms, want);
  const stored = (await api.call('GET', `/api/deviceProfile/${body.id.id}`)).body;
  assert.deepEqual(stored.profileData.alarms, want);
  const again = await api.call('POST', '/api/deviceProfile', { body: stored });
  assert.deepEqual(again.body.profileData.alarms, want, 'what was read can be saved');
});

for (const [name, given, want] of [
  ['a duration of 3.2', { type: 'DURATION', unit: 'SECONDS', value: 30 }, { type: 'DURATION', unit: 'SECONDS', predicate: 30 }],
  ['repetitions of 3.2', { type: 'REPEATING', count: 3 }, { type: 'REPEATING', predicate: 3 }],
  ['a number in text', { type: 'REPEATING', predicate: { defaultValue: '3' } }, { type: 'REPEATING', predicate: 3 }],
  ['none', { type: 'SIMPLE' }, { type: 'SIMPLE' }],
] as const)
  test(`profile alarms: ${name}`, async () => {
    const { predicate, ...rest } = (await save(spec(given))).body.profileData.alarms[0].createRules.MAJOR.condition.spec;
    assert.deepEqual(predicate ? { ...rest, predicate: predicate.defaultValue } : rest, want);
  });

const at = 'profileData.alarms.0';
const rule = `${at}.createRules.MAJOR`;
for (const [name, alarms, message] of [
  ['no list', {}, 'profileData.alarms: must be a list'],
  ['no alarm', [null], `${at}: must not be null`],
  ['no type', [{ id: 'a' }], 'Alarm rule type should be specified!'],
  ['one type twice', [{ alarmType: 'High' }, { alarmType: 'High' }], 'Can\'t create device profile with the same alarm rule types: "High"!'],
  [
    'an unknown severity',
    [{ alarmType: 'x', createRules: { NOPE: {} } }],
    `${at}.createRules: must be one of CRITICAL, MAJOR, MINOR, WARNING, INDETERMINATE`,
  ],
  ['no condition', alarm({}), `${rule}.condition: must not be null`],
  ['no filters', alarm({ condition: {} }), `${rule}.condition.condition: must not be null`],
  ['no key', alarm(condition([{ predicate: {} }])), `${rule}.condition.condition.0.key: must not be null`],
  [
    'an unknown type of key',
    alarm(condition([filter({ key: { type: 'ALARM_FIELD', key: 't' } })])),
    `${rule}.condition.condition.0.key.type: must be one of ATTRIBUTE, TIME_SERIES, ENTITY_FIELD, CONSTANT`,
  ],
  ['no predicate', alarm(condition([filter({ predicate: null })])), `${rule}.condition.condition.0.predicate: must not be null`],
  [
    'an operation of another predicate',
    alarm(condition([filter({ predicate: { type: 'BOOLEAN', operation: 'GREATER', value: {} } })])),
    `${rule}.condition.condition.0.predicate.operation: must be one of EQUAL, NOT_EQUAL`,
  ],
  [
    'a number that is none',
    alarm(condition([filter({ predicate: { type: 'NUMERIC', operation: 'LESS', value: { defaultValue: 'warm' } } })])),
    `${rule}.condition.condition.0.predicate.value.defaultValue: has the wrong type`,
  ],
  [
    'a constant that is none',
    alarm(condition([filter({ value: {} })])),
    `${rule}.condition.condition.0.value: must be a text, a number or a boolean`,
  ],
  ['an unknown unit', spec({ type: 'DURATION', unit: 'WEEKS', predicate: { defaultValue: 1 } }), /^.*spec.unit: must be one of NANOSECONDS/],
  ['no number of repetitions', spec({ type: 'REPEATING' }), `${rule}.condition.spec.predicate.defaultValue: must not be null`],
  [
    'an unknown time zone',
    schedule({ type: 'SPECIFIC_TIME', timezone: 'Mars/Base', daysOfWeek: [1], startsOn: 0, endsOn: 0 }),
    `${rule}.schedule.timezone: Unknown time-zone ID: Mars/Base`,
  ],
  [
    'a day that is none',
    schedule({ type: 'SPECIFIC_TIME', timezone: 'UTC', daysOfWeek: [0], startsOn: 0, endsOn: 0 }),
    `${rule}.schedule.daysOfWeek.0: must be a whole number from 1 to 7`,
  ],
  [
    'a time that is none',
    schedule({ type: 'CUSTOM', timezone: 'UTC', items: [{ enabled: true, dayOfWeek: 1, startsOn: -1, endsOn: 0 }] }),
    `${rule}.schedule.items.0.startsOn: must be a whole number from 0 to 86400000`,
  ],
  ['a flag that is none', alarm(condition([]), { propagate: 'yes' }), `${at}.propagate: must be true or false`],
] as const)
  test(`profile alarms: refused, ${name}`, async () => {
    const { status, body } = await save(alarms);
    assert.equal(status, 400);
    if (typeof message === 'string') assert.equal(body.message, message);
    else assert.match(body.message, message);
  });

test('profile alarms: predicates that are nested without end are refused', async () => {
  let predicate: object = { type: 'COMPLEX', operation: 'AND', predicates: [] };
  for (let depth = 0; depth < 50; depth++) predicate = { type: 'COMPLEX', operation: 'AND', predicates: [predicate] };
  const { status, body } = await save(alarm(condition([filter({ predicate })])));
  assert.equal(status, 400);
  assert.match(body.message, /is nested too deep$/);
});
