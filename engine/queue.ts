import type { SegmentLimits, Segments } from './capture/segments.ts';
import type { Cluster } from './cluster.ts';
import type { Message } from './message.ts';
import type { Downlink, Kept, Store } from './store.ts';
import type { Work } from './work.ts';

/**
 * Port: what waits. Lanes by originator (order per originator), delayed and held messages, downlinks. Everything is appended and removed by
 * `Backend.commit(work)`; this port only takes. `engine/queue/` holds the backends, `test/contract/queue.ts` their common suite.
 */

/** Messages of one lane, in order, that their taker alone works on until `work.done` is committed or the process ends; then they come again. */
export interface Batch {
  readonly lane: number;
  readonly messages: readonly Message[];
  /** The backend's own: which rows or jobs these are. */
  readonly token: unknown;
}

export interface Queue {
  /** Fixed at first start. */
  readonly lanes: number;
  /**
   * The next messages of a lane, at most about `max`; waits for the first. Messages of an originator that is held are put behind its held ones by the backend
   * and come when those do. Before the taken batch is done or given back, `take` of the same lane waits.
   * Resolves to null when `signal` aborts.
   */
  take(lane: number, max: number, signal: AbortSignal): Promise<Batch | null>;
  /** Not worked on after all: comes again at the next `take`. */
  giveBack(batch: Batch): void;

  /**
   * Messages of the lane's originators that wait to be sent by external nodes (`kind` send), in the order in which they were kept, behind `after` (a message id,
   * which may be gone meanwhile). Their process asks when it begins to own the lane, and for more when it has room.
   */
  sends(lane: number, query: { after?: string; max: number }): Promise<readonly Kept[]>;

  /** Stands for everything that is in the lanes now. */
  mark(): number;
  /**
   * Resolves when what was appended to the originator's lane up to the mark is through (held messages aside), or after `atMostMs`: so that a device which
   * speaks again at once gets the downlink that its message before has caused.
   */
  caughtUp(originatorId: string, mark: number, atMostMs: number): Promise<void>;

  /**
   * Resolves when everything that was taken so far is durable. A lane may be worked on before: its commit is behind that of what it took. Whoever sends
   * something out of the process awaits this first.
   */
  settled(): Promise<void>;

  /** Downlinks of an integration that are to be sent now, oldest first; waits for the first, null on abort. What is not moved to another state is taken again after `releaseDownlinks`. */
  takeDownlinks(integrationId: string, max: number, signal: AbortSignal): Promise<Downlink[] | null>;
  /** The connection went away before these were sent: they are to be taken again by the next `takeDownlinks`. */
  releaseDownlinks(downlinks: readonly Downlink[]): void;
  /**
   * The pending downlink of the first of these entities that has one, in this order; atomic: nobody else gets it until it is moved to another state
   * (`work.downlinkMoves`) or put back. After a crash it is pending again.
   */
  takePending(integrationId: string, entityIds: readonly string[]): Promise<Downlink | null>;
  putBack(downlink: Downlink): void;
  /** Pending downlinks that are over their time become EXPIRED and are counted. Returns how many. */
  expireDownlinks(now: number): Promise<number>;

  /** Messages in lanes, held, delayed and kept, and age of the oldest in the lanes in ms: for back pressure, `/metrics` and the status. */
  depth(): { messages: number; held: number; delayed: number; kept: number; oldestMs: number };
  /** Where messages are dispatched as jobs: those of this process since its start. */
  jobs?(): JobCounts;
}

/** Jobs of the lanes, and the messages in them. */
export interface JobCounts {
  readonly added: { readonly jobs: number; readonly messages: number };
  readonly done: { readonly jobs: number; readonly messages: number };
}

/** One document that a commit saved or removed: what caches and actors listen to. */
export interface Change {
  readonly collection: string;
  readonly tenantId: string;
  readonly id: string;
  readonly removed: boolean;
}

/** A supported shape (design §2): embedded, or Redis and MongoDB together. */
export interface Backend {
  readonly store: Store;
  readonly queue: Queue;
  readonly cluster: Cluster;
  /**
   * Makes a unit of work durable, whole or not at all. Works that come while a commit is under way share the next one (group commit), each with its own fate.
   * @throws NotDurable, Fenced when nothing of it happened (disk full, server away; taken over); VersionConflict, Duplicate when the content is refused.
   */
  commit(work: Work): Promise<void>;
  /**
   * Called after each commit that saved or removed documents, of this process or another (then up to 1 s late, after a lost notification up to 10 s). Returns the
   * unsubscriber.
   */
  onChange(listener: (changes: readonly Change[]) => void): () => void;
  /** False while nothing can be made durable, with the reason. `warnings`: it works, but what the operator should know (settings that do not keep acknowledged work). */
  /** Where captured messages are kept that all processes can read. Absent: in the data folder. */
  segments?(limits: SegmentLimits): Segments;
  health(): { ok: true; warnings?: readonly string[] } | { ok: false; reason: string };
  close(): Promise<void>;
}

/** Lane of an originator: FNV-1a over its id. All processes must agree, for ever. */
export function laneOf(originatorId: string, lanes: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < originatorId.length; i++) hash = Math.imul(hash ^ originatorId.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % lanes;
}
