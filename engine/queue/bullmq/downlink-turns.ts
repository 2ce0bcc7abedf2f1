import type { Collection } from 'mongodb';
import type { Lease } from '#engine/cluster.ts';
import type { Downlink } from '#engine/store.ts';
import { queueOf, type StoredDownlink, toDownlink } from './downlink-docs.ts';
import type { DownlinkJobs } from './downlink-jobs.ts';

export interface TurnsOptions {
  readonly collection: Collection<StoredDownlink>;
  readonly jobs: DownlinkJobs;
  readonly now: () => number;
  /** Null: another process has the integration, or nobody. */
  readonly leaseOf: (integrationId: string) => Lease | null;
}

interface Waiter {
  readonly max: number;
  readonly resolve: (downlinks: Downlink[] | null) => void;
}

/** Of one integration. */
interface Turn {
  readonly waiters: Waiter[];
  /** Those that somebody has taken and not yet moved to an end or given back, with their place. */
  readonly taken: Map<string, number>;
  /** The lease under which the rest is known. */
  epoch: number | null;
  /** Up to here those that are stored are taken; null: all are, and jobs tell of new ones. */
  cursor: number | null;
  /** How often something went back behind the cursor. */
  rewinds: number;
  busy: boolean;
  /** Somebody asked for more while it was busy. */
  again: boolean;
  timer: NodeJS.Timeout | null;
}

/** A wake-up that was lost costs no more than that. */
const POLL_MS = 1000;

/**
 * Downlinks that are sent at once, in the process that runs their integration. After it was given the lease, or something went wrong, it goes through what is
 * stored; from then on jobs say what has come. Who took one is in its memory only: the next holder takes all that wait.
 */
export class Turns {
  private readonly options: TurnsOptions;
  private readonly turns = new Map<string, Turn>();
  private closed = false;

  constructor(options: TurnsOptions) {
    this.options = options;
  }

  take(integrationId: string, max: number, signal: AbortSignal): Promise<Downlink[] | null> {
    if (signal.aborted || this.closed) return Promise.resolve(null);
    const turn = this.turnOf(integrationId);
    return new Promise((resolve) => {
      const abort = () => {
        const at = turn.waiters.indexOf(waiter);
        if (at >= 0) turn.waiters.splice(at, 1);
        resolve(null);
      };
      const waiter: Waiter = {
        max,
        resolve: (downlinks) => {
          signal.removeEventListener('abort', abort);
          resolve(downlinks);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      turn.waiters.push(waiter);
      this.wake(integrationId);
    });
  }

  /** They are to be taken again, in their old places. */
  release(downlinks: readonly Downlink[]): void {
    for (const { id, integrationId } of downlinks) {
      const turn = this.turns.get(integrationId);
      const seq = turn?.taken.get(id);
      if (!turn || seq === undefined) continue;
      turn.taken.delete(id);
      rewind(turn, seq - 1);
    }
    for (const integrationId of new Set(downlinks.map((downlink) => downlink.integrationId))) this.wake(integrationId);
  }

  /** There may be something to take. */
  wake(integrationId: string): void {
    const turn = this.turns.get(integrationId);
    if (!turn || turn.waiters.length === 0 || this.closed) return;
    if (turn.busy) {
      turn.again = true;
      return;
    }
    turn.busy = true;
    this.serve(integrationId, turn).finally(() => {
      turn.busy = false;
      if (turn.again) {
        turn.again = false;
        this.wake(integrationId);
      } else this.pollLater(integrationId, turn);
    });
  }

  /** Called for each queue that something was added to, by whatever process. */
  wakeQueue(queue: string): void {
    const integrationId = queue.slice(queueOf('').length);
    if (queue === queueOf(integrationId)) this.wake(integrationId);
  }

  /** Jobs may be gone, or were never added: what is stored counts. */
  reload(): void {
    for (const [integrationId, turn] of this.turns) {
      rewind(turn, 0);
      this.wake(integrationId);
    }
  }

  ended(integrationId: string, id: string): void {
    const turn = this.turns.get(integrationId);
    turn?.taken.delete(id);
    if (turn && turn.taken.size === 0 && turn.waiters.length === 0 && !this.options.leaseOf(integrationId)) this.turns.delete(integrationId);
  }

  /** What is being sent right now, of all integrations. */
  taken(): string[] {
    return Array.from(this.turns.values()).flatMap((turn) => [...turn.taken.keys()]);
  }

  /** Integrations whose downlinks are this process' to send. */
  own(): string[] {
    return [...this.turns.keys()].filter((integrationId) => this.options.leaseOf(integrationId) !== null);
  }

  close(): void {
    this.closed = true;
    for (const turn of this.turns.values()) {
      if (turn.timer) clearTimeout(turn.timer);
      for (const waiter of turn.waiters.splice(0)) waiter.resolve(null);
    }
  }

  private turnOf(integrationId: string): Turn {
    const turn = this.turns.get(integrationId) ?? {
      waiters: [],
      taken: new Map(),
      epoch: null,
      cursor: 0,
      rewinds: 0,
      busy: false,
      again: false,
      timer: null,
    };
    this.turns.set(integrationId, turn);
    return turn;
  }

  private pollLater(integrationId: string, turn: Turn): void {
    if (turn.timer) clearTimeout(turn.timer);
    turn.timer = null;
    if (turn.waiters.length === 0 || this.closed) return;
    turn.timer = setTimeout(() => this.wake(integrationId), POLL_MS);
    turn.timer.unref();
  }

  private async serve(integrationId: string, turn: Turn): Promise<void> {
    const lease = this.options.leaseOf(integrationId);
    if (!lease) return;
    const { max } = turn.waiters[0]!;
    let { rewinds } = turn;
    let found: StoredDownlink[];
    try {
      if (turn.epoch !== lease.epoch) await this.begin(integrationId, turn, lease);
      rewinds = turn.rewinds;
      found = turn.cursor === null ? await this.takeNew(integrationId, turn, max) : await this.takeStored(integrationId, turn, turn.cursor, max);
    } catch {
      // One of the servers is away, which the backend's health says: from what is stored again, at the next poll.
      rewind(turn, 0);
      return;
    }
    if (found.length === 0) return;
    const first = turn.waiters[0];
    const isOurs = this.options.leaseOf(integrationId)?.epoch === lease.epoch;
    if (!first || !isOurs || this.closed || first.max < found.length || turn.rewinds !== rewinds) {
      // Whoever asked is gone, or it is another's by now, or older ones have come back meanwhile: as if nobody had asked.
      rewind(turn, found[0]!.seq - 1);
      turn.again = isOurs && first !== undefined;
      return;
    }
    for (const { _id, seq } of found) turn.taken.set(_id, seq);
    turn.waiters.shift()!.resolve(found.map(toDownlink));
    turn.again ||= turn.waiters.length > 0;
  }

  /** What the holder before had taken waits again. Its jobs whose downlinks are over by now are in nobody's hands any more. */
  private async begin(integrationId: string, turn: Turn, lease: Lease): Promise<void> {
    const { collection, jobs } = this.options;
    const active = await jobs.active(integrationId);
    if (active.length > 0) {
      const waiting = new Set(await collection.distinct('_id', { _id: { $in: active }, waiting: true }));
      const over = active.filter((id) => !waiting.has(id));
      jobs.remove(integrationId, over);
    }
    turn.taken.clear();
    rewind(turn, 0);
    turn.epoch = lease.epoch;
  }

  private async takeStored(integrationId: string, turn: Turn, from: number, max: number): Promise<StoredDownlink[]> {
    const now = this.options.now();
    const found: StoredDownlink[] = [];
    // Whoever gives some back meanwhile finds it like this and sets it again.
    turn.cursor = null;
    let after = from;
    for (;;) {
      const room = max - found.length;
      const rows = await this.options.collection
        .find({ integrationId, delivery: 'now', waiting: true, seq: { $gt: after } })
        .sort({ seq: 1 })
        .limit(room)
        .toArray();
      found.push(...rows.filter(({ _id, expiresAt }) => !turn.taken.has(_id) && expiresAt > now));
      if (rows.length < room) return found;
      after = rows.at(-1)!.seq;
      if (found.length < max) continue;
      turn.cursor = Math.min(turn.cursor ?? after, after);
      return found;
    }
  }

  private async takeNew(integrationId: string, turn: Turn, max: number): Promise<StoredDownlink[]> {
    const { collection, jobs } = this.options;
    for (;;) {
      const next = await jobs.next(integrationId, max);
      if (next.length === 0) return [];
      const ids = next.filter((id) => !turn.taken.has(id));
      if (ids.length === 0) continue;
      const rows = await collection
        .find({ _id: { $in: ids }, integrationId, waiting: true })
        .sort({ seq: 1 })
        .toArray();
      const waiting = new Set(rows.map(({ _id }) => _id));
      jobs.remove(
        integrationId,
        ids.filter((id) => !waiting.has(id)),
      );
      // The job of a pending one that is over its time says nothing that `expire` does not know.
      const now = this.options.now();
      const found = rows.filter(({ delivery, expiresAt }) => delivery === 'now' && expiresAt > now);
      if (found.length > 0) return found;
    }
  }
}

/** What is stored behind `seq` is looked through again. */
function rewind(turn: Turn, seq: number): void {
  turn.rewinds++;
  turn.cursor = turn.cursor === null ? seq : Math.min(turn.cursor, seq);
}
