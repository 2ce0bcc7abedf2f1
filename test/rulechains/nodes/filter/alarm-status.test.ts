import assert from 'node:assert/strict';
import test from 'node:test';
import type { Alarm } from '#engine/services.ts';
import alarmStatus from '#rulechains/nodes/filter/alarm-status.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { run, services } from '#test/support/services.ts';

const ID = '6a4f394c-42b6-11ec-8d3d-0242ac130003';
const alarm: Alarm = {
  ...{ id: ID, tenantId: TENANT, createdTime: 1, customerId: null, type: 'T', originator: { entityType: 'DEVICE', id: DEVICE }, severity: 'MAJOR' },
  ...{ acknowledged: false, cleared: false, assigneeId: null, startTs: 1, endTs: 1, ackTs: 0, clearTs: 0, assignTs: 0, details: null },
  ...{ propagate: false, propagateToOwner: false, propagateToTenant: false, propagateRelationTypes: [] },
};
const ref = { id: { entityType: 'ALARM', id: ID } };
const noAlarm = (text: string) => ({ to: 'Failure', error: `The given string value cannot be transformed to Json object: ${text}` });

for (const { name, stored = alarm, config, data = ref, to } of [
  { name: 'active', to: 'True' },
  { name: 'acknowledged', stored: { ...alarm, acknowledged: true }, to: 'True' },
  { name: 'cleared', stored: { ...alarm, cleared: true }, to: 'False' },
  { name: 'what the message says does not count', data: { ...ref, status: 'CLEARED_ACK', type: 'x' }, to: 'True' },
  {
    name: 'only cleared and acknowledged',
    stored: { ...alarm, cleared: true, acknowledged: true },
    config: { alarmStatusList: ['CLEARED_ACK', null] },
    to: 'True',
  },
  { name: 'no statuses', config: { alarmStatusList: [] }, to: 'False' },
  { name: 'statuses null', config: { alarmStatusList: null }, to: { to: 'Failure', error: 'Alarm statuses are not set!' } },
  { name: 'id in capitals', data: { id: { entityType: 'ALARM', id: ID.toUpperCase() } }, to: 'True' },
  { name: 'gone', data: { id: { entityType: 'ALARM', id: DEVICE } }, to: { to: 'Failure', error: 'No such alarm found.' } },
  { name: 'no id', data: { a: 1 }, to: { to: 'Failure', error: 'Incorrect alarmId null' } },
  { name: 'id null', data: { id: null }, to: { to: 'Failure', error: 'Incorrect alarmId null' } },
  { name: 'id without a type', data: { id: { id: ID } }, to: noAlarm(`{"id":{"id":"${ID}"}}`) },
  { name: 'id of a device', data: { id: { entityType: 'DEVICE', id: ID } }, to: noAlarm(`{"id":{"entityType":"DEVICE","id":"${ID}"}}`) },
  { name: 'id that is no uuid', data: { id: { entityType: 'ALARM', id: 'x' } }, to: noAlarm('{"id":{"entityType":"ALARM","id":"x"}}') },
  { name: 'a severity that there is not', data: { ...ref, severity: 'BAD' }, to: noAlarm(JSON.stringify({ ...ref, severity: 'BAD' })) },
  { name: 'a time that is none', data: { ...ref, startTs: 'x' }, to: noAlarm(JSON.stringify({ ...ref, startTs: 'x' })) },
  { name: 'relation types that are no list', data: { propagateRelationTypes: 'x' }, to: noAlarm('{"propagateRelationTypes":"x"}') },
  { name: 'an array', data: [], to: noAlarm('[]') },
  { name: 'a text', data: '"text"', to: noAlarm('"text"') },
  { name: 'null', data: 'null', to: { to: 'Failure', error: 'alarm is null' } },
] as { name: string; stored?: Alarm; config?: Record<string, unknown>; data?: unknown; to: unknown }[])
  test(`alarm status filter: ${name}`, async () =>
    assert.deepEqual(await run(alarmStatus, [message({ data })], { config: config ?? {}, services: services({ alarms: [stored] }) }), [to]));

for (const data of ['', '{', 'text'])
  test(`alarm status filter: data ${JSON.stringify(data)} is a failure`, async () => {
    const [outcome] = await run(alarmStatus, [message({ data })]);
    assert.equal((outcome as { to: string }).to, 'Failure');
  });
