import assert from 'node:assert/strict';
import test from 'node:test';
import type { EntityType } from '#engine/message.ts';
import entityTypeFilter from '#rulechains/nodes/filter/entity-type-filter.ts';
import entityTypeSwitch from '#rulechains/nodes/filter/entity-type-switch.ts';
import messageTypeFilter from '#rulechains/nodes/filter/message-type-filter.ts';
import messageTypeSwitch from '#rulechains/nodes/filter/message-type-switch.ts';
import { message } from '#test/support/message.ts';
import { run, start } from '#test/support/services.ts';

for (const { type, messageTypes, to } of [
  { type: 'MY_TYPE', messageTypes: ['POST_ATTRIBUTES_REQUEST', 'MY_TYPE'], to: 'True' },
  { type: 'my_type', messageTypes: ['MY_TYPE'], to: 'False' },
  { type: 'POST_TELEMETRY_REQUEST', messageTypes: ['Post telemetry', ' POST_TELEMETRY_REQUEST '], to: 'False' },
  { type: 'POST_TELEMETRY_REQUEST', messageTypes: ['POST_TELEMETRY_REQUEST', null, ''], to: 'True' },
  { type: 'POST_TELEMETRY_REQUEST', messageTypes: [], to: 'False' },
  { type: 'POST_TELEMETRY_REQUEST', messageTypes: null, to: { to: 'Failure', error: 'Message types are not set!' } },
])
  test(`message type filter: ${type} in ${JSON.stringify(messageTypes)}`, async () => {
    assert.deepEqual(await run(messageTypeFilter, [message({ type, data: '' })], { config: { messageTypes } }), [to]);
  });

test('message type filter: a text in place of the list makes the node unusable', () =>
  assert.rejects(start(messageTypeFilter, { config: { messageTypes: 'A' } }), { message: 'Can\'t convert value: {"messageTypes":"A"}' }));

for (const [type, to] of [
  ['POST_ATTRIBUTES_REQUEST', 'Post attributes'],
  ['POST_TELEMETRY_REQUEST', 'Post telemetry'],
  ['TO_SERVER_RPC_REQUEST', 'RPC Request from Device'],
  ['RPC_CALL_FROM_SERVER_TO_DEVICE', 'RPC Request to Device'],
  ['ACTIVITY_EVENT', 'Activity Event'],
  ['INACTIVITY_EVENT', 'Inactivity Event'],
  ['CONNECT_EVENT', 'Connect Event'],
  ['DISCONNECT_EVENT', 'Disconnect Event'],
  ['ENTITY_CREATED', 'Entity Created'],
  ['ENTITY_UPDATED', 'Entity Updated'],
  ['ENTITY_DELETED', 'Entity Deleted'],
  ['ENTITY_ASSIGNED', 'Entity Assigned'],
  ['ENTITY_UNASSIGNED', 'Entity Unassigned'],
  ['ENTITY_ASSIGNED_FROM_TENANT', 'Entity Assigned From Tenant'],
  ['ENTITY_ASSIGNED_TO_TENANT', 'Entity Assigned To Tenant'],
  ['ENTITY_ASSIGNED_TO_EDGE', 'Other'],
  ['ENTITY_UNASSIGNED_FROM_EDGE', 'Other'],
  ['ATTRIBUTES_UPDATED', 'Attributes Updated'],
  ['ATTRIBUTES_DELETED', 'Attributes Deleted'],
  ['TIMESERIES_UPDATED', 'Timeseries Updated'],
  ['TIMESERIES_DELETED', 'Timeseries Deleted'],
  ['ALARM', 'Alarm'],
  ['ALARM_CREATED', 'Alarm Created'],
  ['ALARM_UPDATED', 'Alarm Updated'],
  ['ALARM_SEVERITY_UPDATED', 'Alarm Severity Updated'],
  ['ALARM_ACK', 'Alarm Acknowledged'],
  ['ALARM_CLEAR', 'Alarm Cleared'],
  ['ALARM_DELETE', 'Other'],
  ['ALARM_ASSIGNED', 'Alarm Assigned'],
  ['ALARM_UNASSIGNED', 'Alarm Unassigned'],
  ['COMMENT_CREATED', 'Comment Created'],
  ['COMMENT_UPDATED', 'Comment Updated'],
  ['RELATION_ADD_OR_UPDATE', 'Relation Added or Updated'],
  ['RELATION_DELETED', 'Relation Deleted'],
  ['RELATIONS_DELETED', 'All Relations Deleted'],
  ['RPC_QUEUED', 'RPC Queued'],
  ['RPC_SENT', 'RPC Sent'],
  ['RPC_DELIVERED', 'RPC Delivered'],
  ['RPC_SUCCESSFUL', 'RPC Successful'],
  ['RPC_TIMEOUT', 'RPC Timeout'],
  ['RPC_EXPIRED', 'RPC Expired'],
  ['RPC_FAILED', 'RPC Failed'],
  ['RPC_DELETED', 'RPC Deleted'],
  ['REST_API_REQUEST', 'REST API request'],
  ['PROVISION_SUCCESS', 'Other'],
  ['SEND_EMAIL', 'Other'],
  ['my type', 'Other'],
  ['post_telemetry_request', 'Other'],
] as const)
  test(`message type switch: ${type} leaves by ${to}`, async () => assert.deepEqual(await run(messageTypeSwitch, [message({ type })]), [to]));

for (const { entityType, originatorTypes, to } of [
  { entityType: 'DEVICE', originatorTypes: ['DEVICE'], to: 'True' },
  { entityType: 'ASSET', originatorTypes: ['DEVICE'], to: 'False' },
  { entityType: 'ENTITY_GROUP', originatorTypes: ['CUSTOMER', 'ENTITY_GROUP'], to: 'True' },
  { entityType: 'DEVICE', originatorTypes: [], to: 'False' },
] as const)
  test(`entity type filter: ${entityType} in ${originatorTypes}`, async () => {
    assert.deepEqual(await run(entityTypeFilter, [message({ originator: { entityType, id: 'x' } })], { config: { originatorTypes } }), [to]);
  });

for (const [entityType, to] of [
  ['DEVICE', 'Device'],
  ['RULE_CHAIN', 'Rule chain'],
  ['DEVICE_PROFILE', 'Device profile'],
  ['ENTITY_VIEW', 'Entity View'],
  ['TB_RESOURCE', 'Resource'],
] as [EntityType, string][])
  test(`entity type switch: ${entityType} leaves by ${to}`, async () => {
    assert.deepEqual(await run(entityTypeSwitch, [message({ originator: { entityType, id: 'x' } })], { exact: { foo: 1 } }), [to]);
  });
