import type { Lease } from './cluster.ts';
import type { Sample } from './json.ts';
import type { AttributeScope, EntityRef, Message } from './message.ts';
import type { Batch } from './queue.ts';
import type { Attribute, Collection, Counter, DeadLetter, Doc, Downlink, DownlinkState, EventRow, Kept, Relation } from './store.ts';

export interface TelemetryWrite extends Sample {
  readonly tenantId: string;
  readonly entity: EntityRef;
  /** Unix ms; null = kept for ever. */
  readonly expiresAt: number | null;
  readonly history: boolean;
  readonly latest: boolean;
}

export interface AttributeWrite extends Attribute {
  readonly tenantId: string;
  readonly entity: EntityRef;
  readonly scope: AttributeScope;
}

export interface AttributeRemoval {
  readonly tenantId: string;
  readonly entity: EntityRef;
  readonly scope: AttributeScope;
  readonly keys: readonly string[];
}

export interface TelemetryRemoval {
  readonly tenantId: string;
  readonly entity: EntityRef;
  readonly keys: readonly string[];
  /** null: all data of the keys. Inclusive start, exclusive end. */
  readonly range: { readonly startTs: number; readonly endTs: number } | null;
  readonly removeLatest: boolean;
  readonly rewriteLatest: boolean;
}

export interface DocSave {
  readonly doc: Doc;
  /** The version the save is based on: another one stored → VersionConflict. Absent: no check. */
  readonly expects?: number;
}

export interface DownlinkMove {
  readonly tenantId: string;
  readonly integrationId: string;
  readonly id: string;
  readonly state: DownlinkState;
  readonly reason: string | null;
  readonly ts: number;
}

/**
 * What one batch changes, as data: everything in it becomes durable together or not at all (`Backend.commit`). One writer builds it, then commits it once.
 * Operations on the same thing take effect in the order in which they were put in.
 */
export class Work {
  readonly docs: (DocSave | { readonly remove: { readonly collection: Collection; readonly tenantId: string; readonly id: string } })[] = [];
  readonly telemetry: TelemetryWrite[] = [];
  readonly telemetryRemovals: TelemetryRemoval[] = [];
  /** Writes and removals in order. */
  readonly attributes: (AttributeWrite | AttributeRemoval)[] = [];
  readonly relations: ({ readonly tenantId: string; readonly save: Relation } | { readonly tenantId: string; readonly remove: Relation })[] = [];
  /** Everything that hangs on a deleted entity: attributes, telemetry, relations, alarms, events, downlinks that wait. */
  readonly purges: { readonly tenantId: string; readonly entity: EntityRef }[] = [];
  readonly events: EventRow[] = [];
  /** Clears: events of an entity and type in a time range. */
  readonly eventRemovals: {
    readonly tenantId: string;
    readonly entity: EntityRef;
    readonly type: string;
    readonly ids?: readonly string[];
    readonly startTime?: number;
    readonly endTime?: number;
  }[] = [];
  /** New messages, appended to the lanes of their originators, in order. The caller counts `messages.created` where they are new. */
  readonly messages: Message[] = [];
  /** Appended to their lane at `dueAt`, holding back nobody meanwhile. */
  readonly delayed: { readonly message: Message; readonly dueAt: number }[] = [];
  /** Kept with the lane, and all later ones of the same originator behind it, until `notBefore`. */
  readonly held: { readonly message: Message; readonly notBefore: number }[] = [];
  /** Messages taken by these batches are done: removed from their lanes. Refused as `Fenced` when the lane has changed hands since they were taken. */
  readonly done: Batch[] = [];
  /** It may only become durable while this process holds these; else `Fenced`. */
  readonly leases: Lease[] = [];
  readonly kept: Kept[] = [];
  /** Refused as `Fenced` when one is not there any more: another process has ended it. */
  readonly keptRemovals: { readonly tenantId: string; readonly nodeId: string; readonly key: string; readonly messageId: string }[] = [];
  readonly keptMoves: {
    readonly tenantId: string;
    readonly nodeId: string;
    readonly messageId: string;
    readonly attempts: number;
    readonly reason: string;
  }[] = [];
  /** What rule nodes remember; null forgets. */
  readonly nodeStates: { readonly tenantId: string; readonly nodeId: string; readonly key: string; readonly value: unknown }[] = [];
  readonly downlinks: Downlink[] = [];
  readonly downlinkMoves: DownlinkMove[] = [];
  readonly deadLetters: DeadLetter[] = [];
  readonly deadLetterRemovals: { readonly tenantId: string; readonly id: string }[] = [];
  readonly counts = new Map<string, { tenantId: string; owner: string; counter: Counter; by: number }>();
  /**
   * Who waits for the commit goes on before the lanes begin with its messages: what a chain makes of an uplink is never part of that uplink's own answer
   * (specs: integrations §4.1).
   */
  answersFirst = false;
  private readonly callbacks: (() => void)[] = [];

  count(tenantId: string, owner: string, counter: Counter, by = 1): void {
    const key = owner + counter;
    const entry = this.counts.get(key);
    if (entry) entry.by += by;
    else this.counts.set(key, { tenantId, owner, counter, by });
  }

  /** Runs once the work is durable: answers that may not leave before. Does not run when the commit fails. Must not throw. */
  afterCommit(callback: () => void): void {
    this.callbacks.push(callback);
  }

  /** For backends, after the transaction. */
  committed(): void {
    for (const callback of this.callbacks) callback();
  }

  get isEmpty(): boolean {
    return (
      this.docs.length +
        this.telemetry.length +
        this.telemetryRemovals.length +
        this.attributes.length +
        this.relations.length +
        this.purges.length +
        this.events.length +
        this.eventRemovals.length +
        this.messages.length +
        this.delayed.length +
        this.held.length +
        this.done.length +
        this.kept.length +
        this.keptRemovals.length +
        this.keptMoves.length +
        this.nodeStates.length +
        this.downlinks.length +
        this.downlinkMoves.length +
        this.deadLetters.length +
        this.deadLetterRemovals.length +
        this.counts.size ===
      0
    );
  }
}
