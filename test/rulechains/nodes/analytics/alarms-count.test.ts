import assert from 'node:assert/strict';
import test from 'node:test';
import { newCustomer, newDevice } from '#engine/entities.ts';
import { createMessage, type EntityRef } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import type { Alarm } from '#engine/services.ts';
import node from '#rulechains/nodes/analytics/alarms-count.ts';
import { group } from '../../../support/groups.ts';
import { DEVICE, message, TENANT } from '../../../support/message.ts';
import { NODE, NOW, services, start } from '../../../support/services.ts';

const me: EntityRef = { entityType: 'DEVICE', id: DEVICE };
const two: EntityRef = { entityType: 'DEVICE', id: 'two' };
let ids = 0;
const alarm = (fields: Partial<Alarm>): Alarm => ({
  ...{ id: `alarm ${++ids}`, tenantId: TENANT, createdTime: NOW - 1000, customerId: null, type: 'Hot', originator: me, severity: 'MAJOR' },
  ...{ acknowledged: false, cleared: false, assigneeId: null, startTs: 1, endTs: 1, ackTs: 0, clearTs: 0, assignTs: 0, details: null },
  ...{ propagate: false, propagateToOwner: false, propagateToTenant: false, propagateRelationTypes: [], ...fields },
});
const alarms = [
  alarm({}),
  alarm({ acknowledged: true, type: 'Dry' }),
  alarm({ cleared: true, severity: 'CRITICAL', createdTime: NOW - 100_000 }),
  alarm({ originator: two, propagate: true, propagateToTenant: true }),
  alarm({ originator: two, propagateToOwner: true }),
];
const world = {
  alarms,
  docs: {
    [DEVICE]: { ...newDevice({ tenantId: TENANT, name: 'A', type: 'd', profileId: 'p' }, 1).device, id: DEVICE },
    two: { ...newDevice({ tenantId: TENANT, name: 'B', type: 'd', profileId: 'p', customerId: 'acme' }, 1).device, id: 'two' },
    acme: { ...newCustomer(TENANT, 'Acme', 1), id: 'acme' },
  },
  groups: [group('Cold')],
  members: { 'group TENANT Cold': [me, two] },
  related: async ({ id }: EntityRef) => (id === 'two' ? [{ entityType: 'ASSET', id: 'house' } as const] : id === 'house' ? [me] : []),
};
const counts = (...mappings: Record<string, unknown>[]) => ({
  alarmsCountMappings: mappings.map((each, index) => ({ target: `n${index}`, ...each })),
});
const told = (list: readonly Emission[]) =>
  list.map(({ to, message: out, error }) => (error ? [to, out!.originator.id, error] : [out!.type, out!.originator.id, out!.data]));
const aboutAlarm = (of: Alarm) => message({ type: 'ALARM', originator: of.originator, data: { ...of, id: { entityType: 'ALARM', id: of.id } } });
const OFF = { countAlarmsForPropagationEntities: false };

for (const { name, config, about = alarms[0]!, gives } of [
  {
    name: 'by status, severity and type, a message for each number',
    config: {
      ...OFF,
      ...counts({}, { status: ['ACTIVE_UNACK'] }, { severity: ['CRITICAL'] }, { type: ['Dry', 'Wet'], status: ['ACTIVE_ACK', 'ACTIVE_UNACK'] }),
    },
    gives: [3, 1, 1, 1].map((n, index) => ['POST_TELEMETRY_REQUEST', DEVICE, `{"n${index}":${n}}`]),
  },
  {
    name: 'halves of a status',
    config: { ...OFF, ...counts({ status: ['ACTIVE'] }, { status: ['CLEARED'] }) },
    gives: [2, 1].map((n, index) => ['POST_TELEMETRY_REQUEST', DEVICE, `{"n${index}":${n}}`]),
  },
  {
    name: 'created within an interval',
    config: { ...OFF, ...counts({ interval: 50_000 }) },
    gives: [['POST_TELEMETRY_REQUEST', DEVICE, '{"n0":2}']],
  },
  {
    name: 'the other names of the same',
    config: {
      ...OFF,
      alarmsCountMappings: null,
      alarmCountMappings: [{ targetKey: 'k', statusList: ['CLEARED_UNACK'], severityList: [], typeList: ['Hot'], specifyInterval: false }],
    },
    gives: [['POST_TELEMETRY_REQUEST', DEVICE, '{"k":1}']],
  },
  {
    name: 'for those that it propagates to, all that they show',
    config: counts({}),
    about: alarms[3]!,
    gives: [
      ['POST_TELEMETRY_REQUEST', 'two', '{"n0":2}'],
      ['POST_TELEMETRY_REQUEST', 'house', '{"n0":1}'],
      ['POST_TELEMETRY_REQUEST', TENANT, '{"n0":1}'],
    ],
  },
  {
    name: 'for the owner',
    config: counts({}),
    about: alarms[4]!,
    gives: [
      ['POST_TELEMETRY_REQUEST', 'two', '{"n0":2}'],
      ['POST_TELEMETRY_REQUEST', 'acme', '{"n0":1}'],
    ],
  },
])
  test(`alarms count: ${name}`, async () => {
    const running = await start(node, { config, services: services(world) });
    assert.deepEqual(told((await node.process!(aboutAlarm(about), running as never)) as Emission[]), gives);
  });

for (const data of ['{"temperature":1}', '[]', '5', '{"originator":5,"severity":"MAJOR"}', '{"originator":{"id":1},"severity":"MAJOR"}'])
  test(`alarms count: a message about something else is acknowledged: ${data}`, async () => {
    const running = await start(node, { services: services(world) });
    assert.deepEqual(await node.process!(message({ data }), running as never), []);
  });

test('alarms count: data that is no JSON fails', async () => {
  const running = await start(node, { services: services(world) });
  await assert.rejects(async () => node.process!(message({ data: '' }), running as never), { message: 'Unexpected end of JSON input' });
});

for (const { name, query, children = false, gives } of [
  { name: 'one entity', query: { type: 'single', entityId: me }, gives: [['POST_TELEMETRY_REQUEST', DEVICE, '{"n0":3}']] },
  {
    name: 'with its children',
    query: { type: 'single', entityId: { entityType: 'ASSET', id: 'house' }, childRelationsQuery: { direction: 'FROM', maxLevel: 1, filters: [] } },
    children: true,
    gives: [['POST_TELEMETRY_REQUEST', 'house', '{"n0":3}']],
  },
  {
    name: 'a group',
    query: { type: 'group', entityGroupId: { id: 'group TENANT Cold' } },
    gives: [['POST_TELEMETRY_REQUEST', 'group TENANT Cold', '{"n0":5}']],
  },
  {
    name: 'a group that is gone',
    query: { type: 'group', entityGroupId: { id: 'gone' } },
    gives: [['Failure', NODE.id, 'ENTITY_GROUP with id [gone] is not found']],
  },
])
  test(`alarms count by timer: ${name}`, async () => {
    const exact = { ...counts({}), parentEntitiesQuery: query, countAlarmsForChildEntities: children, periodTimeUnit: 'HOURS', periodValue: 1 };
    const ticks: { everyMs: number }[] = [];
    const running = await start(node, { exact, services: services(world), ticks: ticks as never });
    assert.deepEqual(
      ticks.map(({ everyMs }) => everyMs),
      [3_600_000],
    );
    assert.deepEqual(await node.process!(aboutAlarm(alarms[0]!), running as never), [], 'it has no input');
    const timer = createMessage({ tenantId: TENANT, type: 'TIMER', originator: { entityType: 'RULE_NODE', id: NODE.id }, data: '' }, () => 'timer');
    assert.deepEqual(told((await node.due!('entities', timer, running as never)) as Emission[]), gives);
  });

for (const { name, config, error } of [
  { name: 'no mappings', config: { alarmsCountMappings: null }, error: 'Alarms count mappings should be specified!' },
  { name: 'a mapping without a target', config: { alarmsCountMappings: [{}] }, error: 'Target telemetry of every mapping should be specified!' },
])
  test(`alarms count: does not start with ${name}`, () => assert.rejects(start(node, { config }), { message: error }));
