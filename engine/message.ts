/** The entity types that ThingsBoard's clients know; a value outside this list breaks them (specs: rest-api §1.2). */
export const ENTITY_TYPES = [
  'TENANT',
  'CUSTOMER',
  'USER',
  'DASHBOARD',
  'ASSET',
  'DEVICE',
  'ALARM',
  'ENTITY_GROUP',
  'CONVERTER',
  'INTEGRATION',
  'RULE_CHAIN',
  'RULE_NODE',
  'SCHEDULER_EVENT',
  'BLOB_ENTITY',
  'REPORT_TEMPLATE',
  'REPORT',
  'ENTITY_VIEW',
  'WIDGETS_BUNDLE',
  'WIDGET_TYPE',
  'ROLE',
  'GROUP_PERMISSION',
  'TENANT_PROFILE',
  'DEVICE_PROFILE',
  'ASSET_PROFILE',
  'API_USAGE_STATE',
  'TB_RESOURCE',
  'OTA_PACKAGE',
  'EDGE',
  'RPC',
  'QUEUE',
  'QUEUE_STATS',
  'NOTIFICATION_TARGET',
  'NOTIFICATION_TEMPLATE',
  'NOTIFICATION_REQUEST',
  'NOTIFICATION',
  'NOTIFICATION_RULE',
  'OAUTH2_CLIENT',
  'DOMAIN',
  'MOBILE_APP',
  'MOBILE_APP_BUNDLE',
  'CALCULATED_FIELD',
  'JOB',
  'SECRET',
  'ADMIN_SETTINGS',
  'AI_MODEL',
  'API_KEY',
] as const;
export type EntityType = (typeof ENTITY_TYPES)[number];

export interface EntityRef {
  readonly entityType: EntityType;
  /** UUID, lower case. */
  readonly id: string;
}

/** `customerId` of what the tenant itself owns, and the system tenant. */
export const NULL_ID = '13814000-1dd2-11b2-8080-808080808080';

export type AttributeScope = 'CLIENT_SCOPE' | 'SHARED_SCOPE' | 'SERVER_SCOPE';
export const ATTRIBUTE_SCOPES: readonly AttributeScope[] = ['CLIENT_SCOPE', 'SHARED_SCOPE', 'SERVER_SCOPE'];

/** Flat string map (trap T3): a null or undefined value is never put. */
export type Metadata = Readonly<Record<string, string>>;

/** Where a message stands between two hops: before `nodeId` (no `labels`), or behind it by `labels`. No `nodeId`: the chain's first node. */
export interface Position {
  readonly chainId: string;
  readonly nodeId: string | null;
  readonly labels: readonly string[] | null;
  /** The timer of this name, set by the node itself (`kept.remind`), is due: the message goes to its `due`. */
  readonly due?: string;
}

/** The "rule chain" node that called the chain the message is in. */
export interface StackFrame {
  readonly chainId: string;
  readonly nodeId: string;
}

/**
 * TbMsg (specs: rule-nodes §2.1). Frozen: a change is a copy made by `withChanges()`.
 * `data` is text: maybe empty, an array, a scalar or no JSON at all (trap T8); `json()` of `#engine/json.ts` reads it once.
 */
export interface Message {
  readonly id: string;
  readonly tenantId: string;
  /** Unix ms. */
  readonly ts: number;
  readonly type: string;
  readonly originator: EntityRef;
  readonly customerId: string | null;
  readonly metadata: Metadata;
  readonly dataType: 'JSON' | 'TEXT' | 'BINARY';
  readonly data: string;
  /** null = Main. */
  readonly queueName: string | null;
  /** null = the entry chain of its originator, first node. */
  readonly at: Position | null;
  readonly stack: readonly StackFrame[];
  /** Nodes executed so far; survives hops. */
  readonly executions: number;
  /** The ledger that counts it: an integration's id, or the tenant's. */
  readonly owner: string;
  /** Something on its way had an effect (promise 1: *stored*, else *filtered*); survives hops. */
  readonly effect: boolean;
  /** Times it was held and tried again. */
  readonly attempts: number;
}

export type NewMessage = Pick<Message, 'tenantId' | 'type' | 'originator' | 'data'> & Partial<Message>;

const NO_METADATA: Metadata = Object.freeze({});
const NO_STACK: readonly StackFrame[] = Object.freeze([]);

/** @param newId gives the id when `fields` has none: time-based UUID, see `#engine/id.ts`. */
export function createMessage(fields: NewMessage, newId: () => string, now: number = Date.now()): Message {
  return Object.freeze({
    id: fields.id ?? newId(),
    tenantId: fields.tenantId,
    ts: fields.ts !== undefined && fields.ts > 0 ? fields.ts : now,
    type: fields.type,
    originator: fields.originator,
    customerId: fields.customerId ?? (fields.originator.entityType === 'CUSTOMER' ? fields.originator.id : null),
    metadata: fields.metadata ?? NO_METADATA,
    dataType: fields.dataType ?? 'JSON',
    data: fields.data,
    queueName: fields.queueName ?? null,
    at: fields.at ?? null,
    stack: fields.stack ?? NO_STACK,
    executions: fields.executions ?? 0,
    owner: fields.owner ?? fields.tenantId,
    effect: fields.effect ?? false,
    attempts: fields.attempts ?? 0,
  });
}

export const withChanges = (message: Message, changes: Partial<Message>): Message => Object.freeze({ ...message, ...changes });

/** "Metadata ts" (specs: rule-nodes §2.1): `metadata.ts` when it is a whole number, else the message's. */
export function metadataTs(message: Message): number {
  const text = message.metadata['ts'];
  return text !== undefined && /^-?\d{1,16}$/.test(text) ? Number(text) : message.ts;
}

/** Message types that the platform itself makes or knows; custom text is legal everywhere. */
export type MessageType =
  | 'POST_TELEMETRY_REQUEST'
  | 'POST_ATTRIBUTES_REQUEST'
  | 'TO_SERVER_RPC_REQUEST'
  | 'RPC_CALL_FROM_SERVER_TO_DEVICE'
  | 'REST_API_REQUEST'
  | 'CONNECT_EVENT'
  | 'DISCONNECT_EVENT'
  | 'ACTIVITY_EVENT'
  | 'INACTIVITY_EVENT'
  | 'ENTITY_CREATED'
  | 'ENTITY_UPDATED'
  | 'ENTITY_DELETED'
  | 'ENTITY_ASSIGNED'
  | 'ENTITY_UNASSIGNED'
  | 'ATTRIBUTES_UPDATED'
  | 'ATTRIBUTES_DELETED'
  | 'TIMESERIES_UPDATED'
  | 'TIMESERIES_DELETED'
  | 'RELATION_ADD_OR_UPDATE'
  | 'RELATION_DELETED'
  | 'RELATIONS_DELETED'
  | 'ALARM'
  | 'ALARM_CREATED'
  | 'ALARM_UPDATED'
  | 'ALARM_SEVERITY_UPDATED'
  | 'ALARM_ACK'
  | 'ALARM_CLEAR'
  | 'ALARM_DELETE'
  | 'ALARM_ASSIGNED'
  | 'ALARM_UNASSIGNED'
  | 'COMMENT_CREATED'
  | 'COMMENT_UPDATED';
