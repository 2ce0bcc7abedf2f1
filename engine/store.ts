import type { Sample, Value } from './json.ts';
import type { AttributeScope, EntityRef, Message } from './message.ts';

/**
 * Port: what is kept. Reads only; everything is written by `Backend.commit(work)` (`#engine/work.ts`). Every call names its tenant and sees nothing else.
 * `engine/store/` holds the backends, `test/contract/store.ts` their common suite.
 */

/** Documents: entities in ThingsBoard's JSON (`body`) with what they are found by. */
export type Collection =
  | 'TENANT'
  | 'TENANT_PROFILE'
  | 'CUSTOMER'
  | 'USER'
  | 'DEVICE'
  | 'ASSET'
  | 'DEVICE_PROFILE'
  | 'ASSET_PROFILE'
  | 'ENTITY_GROUP'
  | 'ENTITY_VIEW'
  | 'DASHBOARD'
  | 'EDGE'
  | 'RULE_CHAIN'
  | 'CONVERTER'
  | 'INTEGRATION'
  | 'ALARM'
  | 'QUEUE'
  | 'RPC'
  | 'API_KEY'
  | 'ADMIN_SETTINGS'
  | 'AI_MODEL'
  | 'DEVICE_CREDENTIALS'
  | 'USER_CREDENTIALS'
  | 'RULE_CHAIN_METADATA'
  | 'ALARM_COMMENT'
  | 'AUDIT_LOG'
  | 'USER_SETTINGS'
  | 'REVISION'
  | 'NOTIFICATION_TARGET'
  | 'NOTIFICATION_TEMPLATE'
  | 'NOTIFICATION_REQUEST'
  | 'NOTIFICATION';

export interface Doc<B = Record<string, unknown>> {
  readonly collection: Collection;
  /** UUID; of a part of another entity (credentials, metadata) that entity's. */
  readonly id: string;
  /** NULL_ID: the system's. */
  readonly tenantId: string;
  readonly createdTime: number;
  /** Starts at 1; the backend raises it on every save. */
  readonly version: number;
  /** Sorted and searched by: name, title, e-mail. */
  readonly name: string;
  /** Second field of the text search: label. */
  readonly label?: string | null;
  /** Type or profile name of a device or asset, type of a converter, integration, group, alarm, chain (CORE, EDGE). */
  readonly kind?: string | null;
  /** Whom it belongs to: originator of an alarm, device of credentials, owner of a group, customer of a user. */
  readonly ref?: string | null;
  /** Alarm: ACTIVE_UNACK, …; RPC: its status. */
  readonly state?: string | null;
  /** null: the tenant's own. */
  readonly customerId?: string | null;
  /** Unique in the collection over all tenants; put the tenant into it where names are unique per tenant. */
  readonly uniqueKey?: string | null;
  readonly body: B;
}

export type SortOrder = 'ASC' | 'DESC';

export interface DocQuery {
  readonly kind?: string;
  readonly ref?: string;
  readonly states?: readonly string[];
  readonly customerId?: string | null;
  readonly ids?: readonly string[];
  /** Case-insensitive contains on name or label; `%` is a wildcard. */
  readonly textSearch?: string;
  /** Inclusive bounds on createdTime, ms. */
  readonly startTime?: number;
  readonly endTime?: number;
  /** `createdTime`, `name`, `label`, `kind`, `state`, or a top-level scalar key of the body. Default createdTime. */
  readonly sortBy?: string;
  readonly order?: SortOrder;
  readonly page?: number;
  /** Default and most: 10,000. */
  readonly pageSize?: number;
}

/** ThingsBoard's PageData. */
export interface Page<T> {
  readonly data: T[];
  readonly totalPages: number;
  readonly totalElements: number;
  readonly hasNext: boolean;
}

export interface Attribute {
  readonly key: string;
  readonly value: Value;
  readonly lastUpdateTs: number;
}

export interface Point {
  readonly ts: number;
  readonly value: Value;
}

export type Aggregation = 'NONE' | 'MIN' | 'MAX' | 'AVG' | 'SUM' | 'COUNT';

export interface HistoryQuery {
  readonly keys: readonly string[];
  /** Inclusive, ms. */
  readonly startTs: number;
  /** Exclusive, ms. */
  readonly endTs: number;
  readonly aggregation: Aggregation;
  /** Bucket starts for aggregations, ascending; the last bucket ends at `endTs`. Made by the caller (calendar intervals). One element = one bucket. */
  readonly buckets?: readonly number[];
  /** Only for NONE. */
  readonly limit: number;
  readonly order: SortOrder;
}

export interface Relation {
  readonly from: EntityRef;
  readonly to: EntityRef;
  readonly type: string;
  /** COMMON, FROM_ENTITY_GROUP (members of a group), … */
  readonly typeGroup: string;
  readonly version?: number;
  readonly additionalInfo?: unknown;
}

export interface EventRow {
  readonly id: string;
  readonly tenantId: string;
  readonly entity: EntityRef;
  /** DEBUG_RULE_NODE, DEBUG_CONVERTER, DEBUG_INTEGRATION, LC_EVENT, STATS, ERROR, RAW_DATA, DEBUG_RULE_CHAIN */
  readonly type: string;
  readonly createdTime: number;
  readonly body: Record<string, unknown>;
}

export interface EventQuery {
  readonly type: string;
  readonly startTime?: number;
  readonly endTime?: number;
  /** Body keys: equals (numbers, booleans) or contains, case-insensitive (texts). `min…`/`max…` handled by the API are passed as [min, max]. */
  readonly contains?: Readonly<Record<string, string>>;
  readonly ranges?: Readonly<Record<string, readonly [number | null, number | null]>>;
  /** Only those with (true) or without (false) a non-empty `error` in the body. */
  readonly isError?: boolean;
  readonly order?: SortOrder;
  readonly page?: number;
  readonly pageSize?: number;
}

export type DownlinkState = 'QUEUED' | 'CONVERTED' | 'SENT' | 'DELIVERED' | 'ACKNOWLEDGED' | 'REPLACED' | 'EXPIRED' | 'FAILED';

export interface DownlinkStep {
  readonly state: DownlinkState;
  readonly ts: number;
  readonly reason: string | null;
}

/** One downlink: a message on its way to a device of an integration, from the rule node's Success to its end. */
export interface Downlink {
  readonly id: string;
  readonly createdTime: number;
  readonly tenantId: string;
  readonly integrationId: string;
  /** Device or asset. */
  readonly entity: EntityRef;
  /** `now`: sent at once, in the integration's downlink lane. `pending`: waits under (integration, entity) for the next uplink. */
  readonly delivery: 'now' | 'pending';
  /** What a new pending one does to the older of the same (integration, entity). */
  readonly policy: 'last' | 'fifo';
  /** Then EXPIRED, Unix ms. */
  readonly expiresAt: number;
  /** The rule engine's message, encoded when it is sent (specs: integrations §4.1). */
  readonly message: Message;
  readonly state: DownlinkState;
  readonly history: readonly DownlinkStep[];
}

export type Stage = 'uplink' | 'chain' | 'downlink';

export interface DeadLetter {
  readonly id: string;
  readonly createdTime: number;
  readonly tenantId: string;
  /** The ledger that counts it. */
  readonly owner: string;
  readonly integrationId: string | null;
  readonly stage: Stage;
  readonly reason: string;
  readonly payload: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
  readonly entity: EntityRef | null;
  /** Where in the chain: `{chainId, chainName, nodeId, nodeName}`. */
  readonly node: { readonly chainId: string; readonly chainName: string; readonly nodeId: string; readonly nodeName: string } | null;
  /** Stage `chain`: what goes back to the lane on requeue, from where it entered (rule-nodes §4.8). */
  readonly message: Message | null;
}

/** A message that stays at a node, durable and beside its lane: it holds back nobody. In flight for the ledger of its owner. */
export interface Kept {
  /** As it came to the node: `at` is the node, `stack` the chains that called. Its id is the key of the row. */
  readonly message: Message;
  readonly nodeId: string;
  /** `own`: the node looks after it. `send`: the outbox does. */
  readonly kind: 'own' | 'send';
  /** The node's name for what it belongs to; of `send`: the target. */
  readonly key: string;
  readonly keptAt: number;
  /** Sends that failed, and why the last one did. */
  readonly attempts: number;
  readonly reason: string | null;
}

/** What a node keeps, for the operator. */
export interface KeptSummary {
  readonly count: number;
  /** Unix ms; null: none. */
  readonly oldestAt: number | null;
  readonly lastReason: string | null;
}

export interface Store {
  doc(collection: Collection, tenantId: string, id: string): Promise<Doc | null>;
  /** Without a tenant: for logins, credentials, routing keys, whose key is unique over all tenants. The row says whose it is. */
  docByKey(collection: Collection, uniqueKey: string): Promise<Doc | null>;
  /** The tenant that owns this id, to tell 403 from 404. */
  ownerOf(collection: Collection, id: string): Promise<string | null>;
  docByName(collection: Collection, tenantId: string, name: string): Promise<Doc | null>;
  docs(collection: Collection, tenantId: string, query: DocQuery): Promise<Page<Doc>>;

  attributes(tenantId: string, entity: EntityRef, scope: AttributeScope, keys?: readonly string[]): Promise<Attribute[]>;
  /** Latest value of each key; all keys when none are named. */
  latest(tenantId: string, entity: EntityRef, keys?: readonly string[]): Promise<Map<string, Point>>;
  /** Rows or aggregated points by key; keys without data are absent. Long ranges do not hold the event loop for more than about 10 ms at a time. */
  history(tenantId: string, entity: EntityRef, query: HistoryQuery): Promise<Map<string, Point[]>>;

  relations(tenantId: string, query: { from?: EntityRef; to?: EntityRef; type?: string; typeGroup?: string }): Promise<Relation[]>;

  events(tenantId: string, entity: EntityRef, query: EventQuery): Promise<Page<EventRow>>;

  downlink(tenantId: string, id: string): Promise<Downlink | null>;
  /** Newest first. */
  downlinks(tenantId: string, entityId: string, page: number, pageSize: number): Promise<Page<Downlink>>;

  deadLetter(tenantId: string, id: string): Promise<DeadLetter | null>;
  /** Newest first; of one integration or of the whole tenant. */
  deadLetters(tenantId: string, owner: string | undefined, page: number, pageSize: number): Promise<Page<DeadLetter>>;

  /** In the order in which they were kept. `key`: only of this one; `after`: behind this message id, which may be gone meanwhile. */
  kept(tenantId: string, nodeId: string, query: { key?: string; after?: string; max: number }): Promise<readonly Kept[]>;
  keptSummary(tenantId: string, nodeId: string, key?: string): Promise<KeptSummary>;
  nodeState(tenantId: string, nodeId: string, key: string): Promise<unknown>;

  ledger(tenantId: string, owner: string): Promise<Ledger>;
  /** Over all tenants, for start-up: integrations to run, chains to load. */
  everyDoc(collection: Collection): AsyncIterable<Doc>;
}

/** The shape of `GET /api/integration/{id}/ledger`. received = converted + empty + dead + inFlight; created = the sum of the rest. */
export interface Ledger {
  readonly uplinks: { received: number; converted: number; empty: number; dead: number; inFlight: number };
  readonly messages: { created: number; stored: number; filtered: number; dead: number; inFlight: number };
  readonly downlinks: { created: number; sent: number; pending: number; replaced: number; expired: number; failed: number };
}

/** The counters; `messages.inFlight` and `downlinks.pending` are counted from rows when the ledger is read, never kept. */
export type Counter =
  | 'uplinks.received'
  | 'uplinks.converted'
  | 'uplinks.empty'
  | 'uplinks.dead'
  | 'messages.created'
  | 'messages.stored'
  | 'messages.filtered'
  | 'messages.dead'
  | 'downlinks.created'
  | 'downlinks.sent'
  | 'downlinks.replaced'
  | 'downlinks.expired'
  | 'downlinks.failed';

export type { Sample };
