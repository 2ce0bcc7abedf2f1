import type { DeviceEventType } from './control.ts';
import type { KeyValue, Value } from './json.ts';
import type { AttributeScope, EntityRef, Message } from './message.ts';
import type { NodeInfo } from './node.ts';
import type { Script, ScriptArgs, ScriptFault, ScriptResult } from './script.ts';
import type { Aggregation, Attribute, Doc, Point, Relation, SortOrder } from './store.ts';

/**
 * What a rule node may ask for (`needs` of `defineNode`), bound to one tenant and one batch: writes are collected in the batch's unit of work and
 * become durable with it; reads see what the batch has written before (read your writes). `#engine/services/` builds them over a Work and the Store.
 */
export interface Services {
  attributes: {
    find(entity: EntityRef, scope: AttributeScope, keys?: readonly string[]): Promise<Attribute[]>;
    save(entity: EntityRef, scope: AttributeScope, values: readonly KeyValue[], ts: number): void;
    remove(entity: EntityRef, scope: AttributeScope, keys: readonly string[]): void;
    /** Tells the device's live session, if there is one, after the commit. */
    notifyDevice(deviceId: string, change: { readonly updated: readonly KeyValue[] } | { readonly deleted: readonly string[] }): void;
  };
  telemetry: {
    latest(entity: EntityRef, keys: readonly string[]): Promise<Map<string, Point>>;
    /** @param ttlMs 0 = kept for ever (or the tenant profile's default). */
    save(entity: EntityRef, ts: number, values: readonly KeyValue[], options?: { ttlMs?: number; history?: boolean; latest?: boolean }): void;
    history(
      entity: EntityRef,
      query: { keys: readonly string[]; startTs: number; endTs: number; aggregation: Aggregation; limit: number; order: SortOrder },
    ): Promise<Map<string, Point[]>>;
  };
  /**
   * What is stored of entities at this moment. For nodes that do not wait until what came earlier of the originator is through the chain: what that still writes may
   * be missing.
   */
  snapshot: {
    attributes: Services['attributes']['find'];
    latest: Services['telemetry']['latest'];
  };
  alarms: {
    /** Latest not cleared alarm of (originator, type). */
    active(originator: EntityRef, type: string): Promise<Alarm | null>;
    /** Known without asking the store: there is none. False says nothing. */
    hasNone(originator: EntityRef, type: string): boolean;
    byId(id: string): Promise<Alarm | null>;
    /** Of one originator or of all. @param createdFrom Unix ms, inclusive. */
    list(query: { originator?: EntityRef; createdFrom?: number }): Promise<Alarm[]>;
    create(alarm: NewAlarm): Promise<Alarm>;
    update(alarm: Alarm): Promise<Alarm>;
    clear(alarm: Alarm, clearTs: number, details: unknown): Promise<Alarm>;
    /** Alarm info JSON as alarm messages carry it (rule-nodes §7 row 16). */
    toJson(alarm: Alarm): Promise<string>;
  };
  entities: {
    /** The entity's JSON as the REST API shows it, or null. */
    find(entity: EntityRef): Promise<Doc | null>;
    byName(type: EntityRef['entityType'], name: string): Promise<Doc | null>;
    /** Name, type (profile), label, customer of a device or asset; kept in memory. */
    summary(entity: EntityRef): Promise<EntitySummary | null>;
    customerOf(entity: EntityRef): Promise<string | null>;
  };
  /** Changes entities as the API does. Nobody is told: the node enqueues what there is to say. Two batches that do the same at once: the later one runs again. */
  inventory: {
    /**
     * A device or asset with the profile of this name (made when there is none; '': the default one), or a customer. The name must be free.
     * @throws Rejected when the name is none, or the tenant has as many as it may.
     */
    create(type: 'DEVICE' | 'ASSET' | 'CUSTOMER', name: string, profileName?: string): Promise<Doc>;
    /** False: it was theirs already. A dashboard may be with many. @throws Rejected when the entity is gone. */
    assign(entity: EntityRef, customer: Doc): Promise<boolean>;
    /** False: there was nothing to take back. @param customerId for dashboards. @throws Rejected when the entity is gone. */
    unassign(entity: EntityRef, customerId: string | null): Promise<boolean>;
  };
  /** Entity views that show an entity. */
  views: { of(entity: EntityRef): Promise<readonly Doc[]> };
  /** Edges that an entity is on, by their ids. */
  edges: { of(entity: EntityRef): Promise<readonly string[]> };
  deviceState: {
    /**
     * What somebody knows of a device that does not speak to us itself. Durable when it resolves, before the batch is; the same again (same device, event and time)
     * changes nothing, nor does what is older than what is known. @throws Rejected when the device is gone.
     */
    report(deviceId: string, event: DeviceEventType, at: number): Promise<void>;
  };
  credentials: {
    /** How a device proves who it is; null: it has none, or is gone. */
    ofDevice(deviceId: string): Promise<DeviceCredentials | null>;
  };
  relations: {
    find(query: { from?: EntityRef; to?: EntityRef; type?: string; typeGroup?: string }): Promise<Relation[]>;
    /** Breadth first over relations with levels and filters, as "relations query" of the nodes. */
    search(root: EntityRef, query: RelationsQuery): Promise<EntityRef[]>;
    save(relation: Relation): void;
    remove(relation: Relation): void;
  };
  /** Groups, their members, and whose an entity is: tenant or customer. */
  groups: {
    /** null: there is no such entity. */
    ownerOf(entity: EntityRef): Promise<EntityRef | null>;
    find(groupId: string): Promise<Doc | null>;
    byName(owner: EntityRef, type: string, name: string): Promise<Doc | null>;
    /** Nobody is told: a chain that puts new entities into groups would be asked about the group too. @throws Rejected for a name that can not be. */
    create(owner: EntityRef, type: string, name: string): Doc;
    members(group: Doc): Promise<EntityRef[]>;
    /** Those that name the entity; not `All`, which has it in any case. */
    containing(entity: EntityRef): Promise<Doc[]>;
    /** @throws Rejected for a group of another type, the group `All`, an entity that is not there. */
    add(group: Doc, entity: EntityRef, node: NodeInfo): Promise<void>;
    remove(group: Doc, entity: EntityRef, node: NodeInfo): Promise<void>;
    customer(title: string): Promise<Doc | null>;
    /** @param parent its owner. @throws Rejected for a title that can not be. */
    createCustomer(title: string, parent: EntityRef, node: NodeInfo): Promise<Doc>;
    /** @throws Rejected for an entity that has no owner of its own. */
    changeOwner(entity: EntityRef, owner: EntityRef, node: NodeInfo): Promise<void>;
  };
  scripts: {
    check(script: Script): Promise<ScriptFault | null>;
    run(script: Script, calls: readonly ScriptArgs[]): Promise<ScriptResult[]>;
  };
  messages: {
    /** A new message into the default chain of its originator, through its lane, when the batch is durable. Counted by the tenant's ledger unless `owner` is given. */
    enqueue(message: Message): void;
    newId(): string;
    now(): number;
  };
  downlinks: {
    /**
     * Hands (msg, metadata, msgType) to an integration's downlink converter. @throws Rejected when the integration is absent, disabled, of another tenant, or the
     * originator is neither device nor asset. Accepted means QUEUED durably with the batch, not delivered.
     */
    push(integrationId: string, message: Message): Promise<void>;
  };
  rpc: {
    /** To the device's live session. Resolves when it answered, timed out, or there is none. Call it after the batch: the answer is a new message. */
    call(request: RpcRequest): Promise<RpcAnswer>;
    /** An answer to a request of the device (TO_SERVER_RPC_REQUEST), after the commit. */
    reply(sessionId: string, requestId: string, data: string): void;
    /** Completes a waiting `POST /api/rpc/…` of this request id after the commit. */
    complete(requestUUID: string, answer: RpcAnswer): void;
  };
  rest: {
    /** Answers a waiting `POST /api/rule-engine/…` after the commit. */
    reply(requestUUID: string, message: Message): void;
  };
  chains: {
    exists(chainId: string): boolean;
    /** Default chain of the originator's device or asset profile, else null. */
    defaultOf(entity: EntityRef): Promise<string | null>;
  };
  /** Messages that a node keeps (`keep`), and its timers. Durable with the batch. */
  kept: {
    /** Oldest first, those of this batch included. */
    list(nodeId: string, key: string): Promise<readonly Message[]>;
    /** Without a key: of the whole node. */
    count(nodeId: string, key?: string): Promise<number>;
    /** They are no longer kept and end here: what the node emits for them are new messages. */
    release(nodeId: string, key: string, messages: readonly Message[]): void;
    /** `due` of the node runs at `at` (Unix ms) in the originator's lane, also after a restart. */
    remind(node: NodeInfo, originator: EntityRef, key: string, at: number): void;
  };
  /** What a node remembers across restarts, JSON, by its key. */
  memory: {
    get(nodeId: string, key: string): Promise<unknown>;
    /** null forgets. */
    set(nodeId: string, key: string, value: unknown): void;
  };
  /** Tenant's, else system's settings by key (`mail`, `sms`, `notifications`): `jsonValue` of the admin settings. */
  settings: { find(key: string): Promise<Record<string, unknown> | null> };
  log: { info(text: string): void };
}
export type ServiceName = keyof Services;

export interface DeviceCredentials {
  /** ACCESS_TOKEN, X509_CERTIFICATE, MQTT_BASIC, LWM2M_CREDENTIALS. */
  readonly type: string;
  readonly id: string;
  /** Certificate, or JSON text. */
  readonly value: string | null;
}

export interface EntitySummary {
  readonly ref: EntityRef;
  readonly name: string;
  readonly type: string;
  readonly label: string | null;
  readonly profileId: string | null;
  readonly customerId: string | null;
}

export type Severity = 'CRITICAL' | 'MAJOR' | 'MINOR' | 'WARNING' | 'INDETERMINATE';

export interface Alarm {
  readonly id: string;
  readonly tenantId: string;
  readonly createdTime: number;
  readonly customerId: string | null;
  readonly type: string;
  readonly originator: EntityRef;
  readonly severity: Severity;
  readonly acknowledged: boolean;
  readonly cleared: boolean;
  readonly assigneeId: string | null;
  readonly startTs: number;
  readonly endTs: number;
  readonly ackTs: number;
  readonly clearTs: number;
  readonly assignTs: number;
  readonly details: unknown;
  /** JSON text of the details, where their numbers need it: `1.0`, 64-bit integers. Means nothing once the details are others. */
  readonly exactDetails?: string | undefined;
  readonly propagate: boolean;
  readonly propagateToOwner: boolean;
  readonly propagateToTenant: boolean;
  readonly propagateRelationTypes: readonly string[];
}
export type NewAlarm = Omit<Alarm, 'id' | 'tenantId' | 'createdTime' | 'acknowledged' | 'cleared' | 'assigneeId' | 'ackTs' | 'clearTs' | 'assignTs'>;

export interface RelationsQuery {
  readonly direction: 'FROM' | 'TO';
  /** 0 or less: unlimited. */
  readonly maxLevel: number;
  readonly fetchLastLevelOnly: boolean;
  /** No filter: everything. '' is every relation type, no entity types are all. `negate` means nothing here, as in the original. */
  readonly filters: readonly { readonly relationType: string; readonly entityTypes: readonly string[]; readonly negate?: boolean }[];
}

export interface RpcRequest {
  readonly requestUUID: string;
  readonly deviceId: string;
  readonly method: string;
  /** JSON text. */
  readonly params: string;
  readonly oneway: boolean;
  /** Unix ms. */
  readonly expiresAt: number;
}

export type RpcAnswer =
  | { readonly ok: true /** JSON text, null for one-way. */; readonly data: string | null }
  | { readonly ok: false; readonly error: 'NO_ACTIVE_CONNECTION' | 'TIMEOUT' | 'FAILED' };

export type { KeyValue, Value };
