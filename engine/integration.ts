import type { Static, TSchema } from 'typebox';
import type { Message } from './message.ts';

/** A message from the peer before conversion: bytes and flat metadata; what they mean is the converter's work. */
export interface RawUplink {
  readonly payload: Uint8Array;
  /** Label for debug events and the test dialog: how the payload is shown. */
  readonly contentType: 'JSON' | 'TEXT' | 'BINARY';
  /** Keys of the integration type; the accept stage adds `integrationName` and `configuration.metadata`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Unix ms. */
  readonly receivedAt: number;
  /** Why it must not be converted (too large): it becomes a dead letter with this reason. */
  readonly problem?: string;
  /** Metadata keys that hold secrets: converters see them, debug events do not. */
  readonly hiddenMetadata?: readonly string[];
}

/** What a downlink converter returned, checked (specs: integrations §2.6). */
export interface RawDownlink {
  readonly contentType: 'JSON' | 'TEXT' | 'BINARY';
  /** Decoded bytes for BINARY, UTF-8 otherwise. */
  readonly data: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What became of an accepted uplink. All three are durable when it resolves. */
export type Accepted =
  | {
      readonly outcome: 'converted' /** In output order; for sync downlinks. */;
      readonly entities: readonly { entityType: 'DEVICE' | 'ASSET'; id: string; name: string }[];
    }
  | { readonly outcome: 'empty' }
  | { readonly outcome: 'dead' /** The text for the sender and the status. */; readonly reason: string };

export interface Uplinks {
  /**
   * Converts, resolves entities, appends to the lanes. Resolves when the outcome is durable: acknowledge the peer then and never before.
   * Concurrent calls form batches by themselves. @throws NotDurable (do not acknowledge; the peer sends again), Busy (over its credits or rate limit).
   */
  accept(uplink: RawUplink): Promise<Accepted>;
  /** The connection is gone. Counts once, and only after `connect()` resolved. */
  lost(cause: unknown): void;
  /** A line for the status that does not end the connection: `clientId is used by another client?` */
  warn(text: string): void;
}

export type Delivery = 'sent' | 'delivered';

export interface Connection {
  /** Resolves when the peer confirmed (`delivered`: PUBACK, 2xx) or took it without confirmation (`sent`). @throws Rejected, NotConnected, Timeout. */
  send?(downlink: RawDownlink, message: Message): Promise<Delivery>;
  close(): Promise<void>;
}

/** The integration as its definition sees it. */
export interface IntegrationInfo {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly routingKey: string;
}

/** Answer to an inbound HTTP request of an HTTP-family type. */
export interface InboundReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Call it once when the answer is written to the socket (true) or can not be (false): a pending downlink in it ends, or waits again. */
  readonly written?: (ok: boolean) => void;
}

export interface InboundRequest {
  readonly method: string;
  /** Lower-case names; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface IntegrationDefinition<S extends TSchema = TSchema> {
  /** `type` on the wire (specs: integrations §1.1). */
  readonly type: string;
  readonly version: number;
  readonly label: string;
  readonly summary: string;
  readonly config: S;
  /** Metadata keys that uplinks carry, with what they mean. */
  readonly metadata: Readonly<Record<string, string>>;
  /** `connect`: a client of a peer. `inbound`: requests come to `/api/v1/integrations/{type}/{routingKey}`. */
  connect?(config: Static<S>, info: IntegrationInfo, uplinks: Uplinks, signal: AbortSignal): Promise<Connection>;
  /** Checks that a peer can be reached, sends no data, keeps no session. @throws ConfigError, NotConnected, Refused with the precise cause. Within 10 s. */
  check?(config: Static<S>, info: IntegrationInfo, signal: AbortSignal): Promise<void>;
  readonly inbound?: Inbound<Static<S>>;
  /** Downlinks are sent at once through the connection, or wait for the device's next uplink. Absent: no downlinks. */
  readonly downlink?: 'now' | 'pending';
  /** A warning for the status when the peer ends connection after connection right after it was made. */
  readonly droppedWarning?: string;
  /** Peers that the configuration names, for servers on which local ones are not allowed. */
  hosts?(config: Static<S>): readonly string[];
  /** Warnings for the status that follow from the configuration alone. */
  warnings?(config: Static<S>): readonly string[];
  /** Fills what the server decides (client id, endpoint); runs on every save. */
  complete?(config: Record<string, unknown>, info: IntegrationInfo & { isNew: boolean }): Record<string, unknown>;
}

export interface Inbound<C> {
  /** null: let it pass. Else the refusal (403 of a wrong header), which is an event but no uplink. */
  refuse(request: InboundRequest, config: C): InboundReply | null;
  toUplink(request: InboundRequest, config: C): RawUplink;
  /** May this uplink's answer carry a downlink? (SigFox: the `ack` rule.) */
  wantsDownlink(request: InboundRequest, config: C): boolean;
  /** The answer with a downlink. @throws Rejected when it does not fit (SigFox: not 16 hex digits): error event, downlink FAILED, answer without. */
  toReply(downlink: RawDownlink, request: InboundRequest, config: C): InboundReply;
  /** The answer without one. */
  emptyReply(config: C): InboundReply;
}

export const defineIntegration = <S extends TSchema>(definition: IntegrationDefinition<S>): IntegrationDefinition<S> => definition;

// biome-ignore lint/suspicious/noExplicitAny: variance: a list of integrations of different configurations
export type AnyIntegration = IntegrationDefinition<any>;
