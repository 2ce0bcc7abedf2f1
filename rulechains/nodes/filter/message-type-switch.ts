import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

/** specs: rule-nodes §2.2; every other type is `Other`. In the order in which the palette lists them. */
const LABELS = new Map<string, string>([
  ['POST_ATTRIBUTES_REQUEST', 'Post attributes'],
  ['POST_TELEMETRY_REQUEST', 'Post telemetry'],
  ['TO_SERVER_RPC_REQUEST', 'RPC Request from Device'],
  ['ACTIVITY_EVENT', 'Activity Event'],
  ['INACTIVITY_EVENT', 'Inactivity Event'],
  ['CONNECT_EVENT', 'Connect Event'],
  ['DISCONNECT_EVENT', 'Disconnect Event'],
  ['ENTITY_CREATED', 'Entity Created'],
  ['ENTITY_UPDATED', 'Entity Updated'],
  ['ENTITY_DELETED', 'Entity Deleted'],
  ['ENTITY_ASSIGNED', 'Entity Assigned'],
  ['ENTITY_UNASSIGNED', 'Entity Unassigned'],
  ['ATTRIBUTES_UPDATED', 'Attributes Updated'],
  ['ATTRIBUTES_DELETED', 'Attributes Deleted'],
  ['ALARM', 'Alarm'],
  ['ALARM_CREATED', 'Alarm Created'],
  ['ALARM_UPDATED', 'Alarm Updated'],
  ['ALARM_SEVERITY_UPDATED', 'Alarm Severity Updated'],
  ['ALARM_ACK', 'Alarm Acknowledged'],
  ['ALARM_CLEAR', 'Alarm Cleared'],
  ['ALARM_ASSIGNED', 'Alarm Assigned'],
  ['ALARM_UNASSIGNED', 'Alarm Unassigned'],
  ['COMMENT_CREATED', 'Comment Created'],
  ['COMMENT_UPDATED', 'Comment Updated'],
  ['RPC_CALL_FROM_SERVER_TO_DEVICE', 'RPC Request to Device'],
  ['ENTITY_ASSIGNED_FROM_TENANT', 'Entity Assigned From Tenant'],
  ['ENTITY_ASSIGNED_TO_TENANT', 'Entity Assigned To Tenant'],
  ['TIMESERIES_UPDATED', 'Timeseries Updated'],
  ['TIMESERIES_DELETED', 'Timeseries Deleted'],
  ['RPC_QUEUED', 'RPC Queued'],
  ['RPC_SENT', 'RPC Sent'],
  ['RPC_DELIVERED', 'RPC Delivered'],
  ['RPC_SUCCESSFUL', 'RPC Successful'],
  ['RPC_TIMEOUT', 'RPC Timeout'],
  ['RPC_EXPIRED', 'RPC Expired'],
  ['RPC_FAILED', 'RPC Failed'],
  ['RPC_DELETED', 'RPC Deleted'],
  ['RELATION_ADD_OR_UPDATE', 'Relation Added or Updated'],
  ['RELATION_DELETED', 'Relation Deleted'],
  ['RELATIONS_DELETED', 'All Relations Deleted'],
  ['REST_API_REQUEST', 'REST API request'],
]);

/** Messages of the Professional Edition: they are routed, and not listed (recorded). */
const UNLISTED = new Map<string, string>([
  ['OWNER_CHANGED', 'Owner changed'],
  ['ADDED_TO_ENTITY_GROUP', 'Added to Group'],
  ['REMOVED_FROM_ENTITY_GROUP', 'Removed from Group'],
  ['generateReport', 'Generate Report'],
]);

export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbMsgTypeSwitchNode',
  version: 0,
  family: 'FILTER',
  label: 'message type switch',
  summary: 'Sends the message to the relation named after its type.',
  relations: [...LABELS.values(), 'Other', ...UNLISTED.values()],
  unlisted: [...UNLISTED.values()],
  ...NO_CONFIG,
  process: (message) => LABELS.get(message.type) ?? UNLISTED.get(message.type) ?? 'Other',
});
