import type { InboundReply, InboundRequest } from './integration.ts';
import type { KeyValue } from './json.ts';
import type { AttributeScope } from './message.ts';
import type { RpcAnswer, RpcRequest } from './services.ts';

/** Port: what the API asks of those who are alive; the actors implement it. */
export interface Control {
  readonly integrations: {
    /** Named state with reason and time. Null: unknown id. */
    status(integrationId: string): IntegrationStatus | null;
    /** Validates and tries to connect, sends nothing, keeps nothing. @throws AppError with the precise cause, within 10 s. */
    check(integration: Record<string, unknown>, tenantId: string): Promise<void>;
    /** `/api/v1/integrations/{type}/{routingKey}`: everything behind the route. */
    inbound(type: string, routingKey: string, request: InboundRequest): Promise<InboundReply>;
    /** A dead letter of stage `uplink`, its payload perhaps edited, goes through conversion again. @throws NotDurable */
    requeueUplink(deadLetterId: string, tenantId: string, payload?: Uint8Array): Promise<void>;
    /** How the integration wants its downlinks. Null: no such integration of this tenant. */
    downlinkTarget(tenantId: string, integrationId: string): DownlinkRule | null;
    /** Messages in each of the last 24 hours that this process has seen, oldest first. */
    statistics(integrationId: string): readonly number[];
  };
  readonly chains: {
    /** Reason why a node is not usable, by node id; nodes that run are absent. */
    problems(tenantId: string, chainId: string): ReadonlyMap<string, string>;
    /** Resolves when the newest saved revision of this tenant's chains is the one that runs: await it after a commit that changed one, before answering. */
    settled(tenantId: string): Promise<void>;
  };
  readonly devices: {
    /** The device spoke (device API): active from now on. */
    activity(tenantId: string, deviceId: string): void;
    connected(tenantId: string, deviceId: string): void;
    disconnected(tenantId: string, deviceId: string): void;
    /** As `deviceState.report` of the rule nodes' services. */
    observed(tenantId: string, deviceId: string, event: DeviceEventType, at: number): Promise<void>;
  };
}

export type DeviceEventType = 'CONNECT_EVENT' | 'DISCONNECT_EVENT' | 'ACTIVITY_EVENT' | 'INACTIVITY_EVENT';

export interface DownlinkRule {
  readonly delivery: 'now' | 'pending';
  readonly policy: 'last' | 'fifo';
  /** 0: they wait for ever. */
  readonly ttlMs: number;
  /** Why it takes none; null: it does. */
  readonly problem: string | null;
}

export type IntegrationStateName = 'disabled' | 'connecting' | 'active' | 'backing-off' | 'failed';

export interface IntegrationStatus {
  readonly state: IntegrationStateName;
  readonly reason: string | null;
  /** Since when, Unix ms. */
  readonly since: number;
  readonly warnings: readonly string[];
  /** When it tries again, Unix ms. */
  readonly nextAttemptAt: number | null;
  readonly lastUplinkAt: number | null;
}

/**
 * Port: REST callers and device sessions that wait, in this process. `engine/waiting.ts` implements it; rule nodes reach it through the batch's services,
 * which answer only after the commit.
 */
export interface Waiting {
  /** Resolves with the chain's reply (JSON text), or null at the deadline. */
  restReply(requestUUID: string, timeoutMs: number): Promise<string | null>;
  answerRest(requestUUID: string, data: string): void;
  /**
   * Resolves with the answer; at the deadline with `TIMEOUT` when a session of the device took the request, else with `NO_ACTIVE_CONNECTION`.
   * @param twoWay only an answer that carries data counts: that a downlink was accepted answers nobody who asked a question.
   */
  rpcAnswer(requestUUID: string, timeoutMs: number, twoWay?: boolean): Promise<RpcAnswer>;
  /** A missing connection is no answer yet: another node of the chain may still take the request before the deadline. */
  answerRpc(requestUUID: string, answer: RpcAnswer): void;

  /** A live session of a device (long poll, later MQTT). Returns its end. */
  openSession(session: DeviceSession): () => void;
  /** To the device's session; NO_ACTIVE_CONNECTION when it has none. */
  callDevice(request: RpcRequest): Promise<RpcAnswer>;
  answerDeviceCall(deviceId: string, requestId: number, data: string): boolean;
  notifyAttributes(deviceId: string, change: AttributeChange): void;
  replyToDevice(sessionId: string, requestId: string, data: string): void;
  /** The process stops: everyone who waits gets the answer of a passed deadline. */
  close(): void;
}

export type AttributeChange = { readonly scope: AttributeScope } & (
  | { readonly updated: readonly KeyValue[] }
  | { readonly deleted: readonly string[] }
);

export interface DeviceSession {
  readonly id: string;
  readonly deviceId: string;
  /** Null: this session does not take requests. `id` counts from 0 per device. */
  readonly onRpc: ((request: { id: number; method: string; params: string }) => void) | null;
  readonly onAttributes: ((change: AttributeChange) => void) | null;
  readonly onReply: ((requestId: string, data: string) => void) | null;
}
