import type { Collection } from 'mongodb';
import type { Lease } from '#engine/cluster.ts';
import { AppError } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import type { Batch } from '#engine/queue.ts';
import type { Transaction } from '#engine/store/mongo/transaction.ts';
import type { Work } from '#engine/work.ts';
import { decodeMessage } from '../messages.ts';
import { isDelayed, type StoredBatch } from './batches.ts';
import type { Delayed } from './delayed.ts';
import type { Out } from './depth.ts';
import type { Held, HeldTake } from './held.ts';
import type { Jobs } from './jobs.ts';
import type { KeptMessages } from './kept.ts';
import { type Backlog, Line, type Next } from './line.ts';

/*
 * The other half of `engine/store/mongo/committer.ts`: what is taken, completed and found missing.
 *
 * A lane is worked by the process that holds its lease, and by nobody else. What it takes next says BullMQ; that it is still to be done, and that nothing was before
 * it, says MongoDB where there is a doubt (`line.ts`). Done is a batch when its document is gone, in the transaction of its effects; its job is completed after
 * that, or found to be without a batch when it comes again. After the lease was given the new holder begins with what others had taken and not completed.
 */

export interface LanesOptions {
  readonly batches: Collection<StoredBatch>;
  readonly jobs: Jobs;
  readonly held: Held;
  readonly kept: Pick<KeptMessages, 'load'>;
  readonly delayed: Delayed;
  readonly lanes: number;
  readonly now: () => number;
  /** This process' lease of a lane; null: it is another's, or nobody's, or we may have been given up. */
  readonly leaseOf: (lane: number) => Lease | null;
  /** What BullMQ should have of the lane, and has not; null: it has all. */
  readonly backlogOf: (lane: number) => Promise<Backlog | null>;
  /** When the oldest batch of the lane was appended, about. */
  readonly oldestOf: (lane: number) => number | null;
  /** Commits a batch that has nothing to work on: all its messages go behind held ones. */
  readonly settle: (batch: Batch) => Promise<void>;
  /** Batches that were taken here are done. */
  readonly onDone: (lane: number, batches: readonly Out[]) => void;
  /** Messages of a lane that is not ours were held. */
  readonly onHeldElsewhere: (lane: number) => void;
}

/** What a batch stands for. `aside`: its messages of held originators, that go behind those when the batch is done. */
interface Token {
  readonly lease: Lease;
  readonly line: Line;
  readonly batches: readonly Out[];
  readonly held: readonly HeldTake[];
  readonly aside: readonly Message[];
  state: 'out' | 'done' | 'back';
}

interface Waiter {
  readonly max: number;
  readonly resolve: (batch: Batch | null) => void;
  /** It was aborted while somebody was looking for it: that look is its last. */
  isLeaving: boolean;
}

interface Lane {
  readonly index: number;
  readonly waiters: Waiter[];
  /** Under which all below is known; null: nothing is. */
  lease: Lease | null;
  line: Line;
  out: Batch | null;
  isLooking: boolean;
  /** There may be more than the look under way has seen. */
  again: boolean;
  /** BullMQ may lack jobs. */
  isUnsure: boolean;
  /** What it lacked when that was asked last. */
  backlog: Backlog | null;
  timer: NodeJS.Timeout | null;
}

/** A wake-up that was lost costs no more than that. */
const POLL_MS = 500;
/** What was due when nobody looked. */
const SOON_MS = 20;
/** Whoever does not want to wait any more waits so long for the look that is under way. */
const LEAVE_MS = 1000;
/** What is found nowhere for so long may be missing. */
const MISSING_MS = 10_000;

const tokenOf = (batch: Batch): Token => batch.token as Token;

/** Lanes, and the held lists beside them. */
export class Lanes {
  private readonly options: LanesOptions;
  private readonly lanes: readonly Lane[];
  private closed = false;

  constructor(options: LanesOptions) {
    this.options = options;
    this.lanes = Array.from({ length: options.lanes }, (_, index) => ({
      index,
      waiters: [],
      lease: null,
      line: this.newLine(index),
      out: null,
      isLooking: false,
      again: false,
      isUnsure: false,
      backlog: null,
      timer: null,
    }));
  }

  /**
   * In the running transaction: removes taken batches, puts their messages of held originators behind the held ones, and holds messages.
   * @throws AppError `stale-batch` when a batch was done or given back before: its effects may not happen twice.
   */
  async write(works: readonly Work[], { session, afterCommit }: Pick<Transaction, 'session' | 'afterCommit'>): Promise<void> {
    const { batches, held, onHeldElsewhere } = this.options;
    const done = works.flatMap((work) => work.done);
    if (done.length === 0 && works.every((work) => work.held.length === 0)) return;
    const tokens = done.map(tokenOf);
    for (const [index, { state }] of tokens.entries()) if (state !== 'out') throw stale(done[index]!, state === 'back' ? 'given back' : 'done');
    const ids = tokens.flatMap((token) => token.batches.map(({ id }) => id));
    if (ids.length > 0) {
      const { deletedCount } = await batches.deleteMany({ _id: { $in: ids } }, { session });
      if (deletedCount !== ids.length) throw stale(done[0]!, 'done');
    }
    const draft = held.draft();
    const takes = tokens.flatMap((token) => token.held);
    if (!(await held.remove(takes, draft, session))) throw stale(done[0]!, 'done');
    for (const work of works) {
      for (const batch of work.done) {
        for (const messages of byOriginator(tokenOf(batch).aside).values()) await held.add(messages, () => 0, 'end', draft, session);
      }
      const taken = new Set(work.done.flatMap((batch) => batch.messages.map((message) => message.originator.id)));
      const notBefore = new Map(work.held.map((entry) => [entry.message, entry.notBefore]));
      for (const [originator, messages] of byOriginator(work.held.map((entry) => entry.message))) {
        // What comes out of a batch was before everything that still waits of its originator; what comes from elsewhere is the newest.
        const place = taken.has(originator) ? 'front' : 'end';
        await held.add(messages, (index) => notBefore.get(messages[index]!)!, place, draft, session);
      }
    }
    await held.write(draft, session);
    afterCommit(() => {
      held.committed(draft);
      for (const batch of done) this.done(batch);
      for (const lane of new Set(draft.docs.map((doc) => doc.lane))) {
        if (held.countOf(lane) === null) onHeldElsewhere(lane);
        else this.wake(lane);
      }
    });
  }

  /** The leases under which the batches of a work were taken. */
  leasesOf(work: Work): Lease[] {
    return work.done.map((batch) => tokenOf(batch).lease);
  }

  take(index: number, max: number, signal: AbortSignal): Promise<Batch | null> {
    const lane = this.lanes[index]!;
    if (signal.aborted || this.closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const leave = (): void => {
        const at = lane.waiters.indexOf(waiter);
        if (at >= 0) lane.waiters.splice(at, 1);
        waiter.resolve(null);
      };
      const abort = (): void => {
        if (lane.isLooking && lane.waiters[0] === waiter) {
          waiter.isLeaving = true;
          timer = setTimeout(leave, LEAVE_MS);
        } else leave();
      };
      const waiter: Waiter = {
        max,
        isLeaving: false,
        resolve: (batch) => {
          clearTimeout(timer);
          signal.removeEventListener('abort', abort);
          resolve(batch);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      lane.waiters.push(waiter);
      this.serve(lane);
    });
  }

  giveBack(batch: Batch): void {
    const token = tokenOf(batch);
    if (token.state !== 'out') return;
    token.state = 'back';
    const lane = this.lanes[batch.lane]!;
    if (lane.out !== batch) return;
    lane.out = null;
    // Why it was given back nobody says: maybe it was done before.
    token.line.backUnsure(token.batches.map(({ id }) => id));
    this.options.held.doubt(lane.index);
    this.serve(lane);
  }

  /** There may be something new in the lane. */
  wake(index: number): void {
    this.serve(this.lanes[index]!);
  }

  /** BullMQ may have lost jobs. */
  doubt(): void {
    for (const lane of this.lanes) {
      lane.isUnsure = true;
      this.serve(lane);
    }
  }

  /** The lane is to be another's: what was fetched of it stays active in BullMQ, for whoever has it next. */
  release(index: number): void {
    const lane = this.lanes[index]!;
    this.forget(lane);
    for (const waiter of lane.waiters.splice(0)) waiter.resolve(null);
    if (lane.timer) clearTimeout(lane.timer);
  }

  /** What is being worked on. */
  out(): Out[] {
    return this.lanes.flatMap(({ out }) => (out ? tokenOf(out).batches : []));
  }

  close(): void {
    this.closed = true;
    for (const { index } of this.lanes) this.release(index);
  }

  private newLine(lane: number): Line {
    return new Line({ lane, batches: this.options.batches, jobs: this.options.jobs });
  }

  private forget(lane: Lane): void {
    lane.lease = null;
    lane.backlog = null;
    lane.line = this.newLine(lane.index);
    lane.out = null;
    this.options.held.forget(lane.index);
  }

  private done(batch: Batch): void {
    const token = tokenOf(batch);
    const ids = token.batches.map(({ id }) => id);
    token.state = 'done';
    token.line.done(ids);
    this.options.onDone(batch.lane, token.batches);
    void this.options.jobs.complete(batch.lane, ids);
    const lane = this.lanes[batch.lane]!;
    if (lane.out === batch) lane.out = null;
    this.serve(lane);
  }

  /** Looks for something to give to the first waiter, and sets the clock for the next look when there is nothing. */
  private serve(lane: Lane, isPoll = false): void {
    if (lane.isLooking) lane.again = true;
    if (lane.isLooking || lane.out || this.closed || lane.waiters.length === 0) return;
    if (lane.timer) clearTimeout(lane.timer);
    lane.timer = null;
    lane.again = false;
    lane.isLooking = true;
    const waiter = lane.waiters[0]!;
    this.look(lane, waiter, isPoll)
      // One of the servers is away, which the backend's health says.
      .catch(() => POLL_MS)
      .then((idleMs) => {
        lane.isLooking = false;
        if (waiter.isLeaving && lane.waiters[0] === waiter) {
          lane.waiters.shift();
          waiter.resolve(null);
        }
        if (lane.again || lane.waiters[0] !== waiter) this.serve(lane);
        if (!lane.isLooking && !lane.out && !this.closed && lane.waiters.length > 0) lane.timer = setTimeout(() => this.serve(lane, true), idleMs);
      });
  }

  private idleMs(lane: number): number {
    const { held, delayed, now } = this.options;
    const dueAt = Math.min(delayed.dueAt(lane), ...Array.from(held.of(lane).values(), (list) => list.dueAt));
    // A millisecond later, because clocks of timers are a little early.
    const ms = dueAt - now() + 1;
    return ms > 0 ? Math.min(ms, POLL_MS) : SOON_MS;
  }

  /** Returns when to look again if nobody says so before. */
  private async look(lane: Lane, waiter: Waiter, isPoll: boolean): Promise<number> {
    const { leaseOf, held, delayed, now, oldestOf } = this.options;
    const lease = leaseOf(lane.index);
    if (!lease) return POLL_MS;
    if (lane.lease?.epoch !== lease.epoch) await this.open(lane, lease);
    const isOurs = (): boolean => lane.lease?.epoch === lease.epoch && leaseOf(lane.index)?.epoch === lease.epoch;
    const { line } = lane;
    if (isPoll) {
      await line.admitActive();
      if (now() - (oldestOf(lane.index) ?? now()) > MISSING_MS) lane.isUnsure = true;
    }
    if (lane.backlog?.isPartial && now() - lane.backlog.until > MISSING_MS) lane.isUnsure = true;
    if (lane.isUnsure) await this.restore(lane, line);
    await held.refresh(lane.index);
    await delayed.refresh(lane.index);
    if (!isOurs()) return POLL_MS;
    const gathered = await this.gather(lane.index, line, waiter.max);
    if (!gathered) return this.idleMs(lane.index);
    // Unless whoever asked has gone, or it may not be worked on here any more: then it is as if nobody had asked.
    if (isOurs() && (lane.waiters[0] === waiter || gathered.messages.length === 0)) this.give(lane, lease, gathered);
    else line.back(gathered.taken);
    return POLL_MS;
  }

  private give(lane: Lane, lease: Lease, { messages, taken, takes, aside }: Gathered): void {
    const batches = taken.map(({ id, total }) => ({ id, delayed: isDelayed(id), total }));
    const batch = { lane: lane.index, messages, token: { lease, line: lane.line, batches, held: takes, aside, state: 'out' } satisfies Token };
    lane.out = batch;
    if (messages.length > 0) lane.waiters.shift()!.resolve(batch);
    else this.options.settle(batch).catch(() => setTimeout(() => this.giveBack(batch), POLL_MS));
  }

  private async restore(lane: Lane, line: Line): Promise<void> {
    lane.isUnsure = false;
    try {
      lane.backlog = await this.options.backlogOf(lane.index);
    } catch (cause) {
      lane.isUnsure = true;
      throw cause;
    }
    if (lane.backlog) line.begin(lane.backlog);
  }

  /** What others had taken, and not completed, comes first. */
  private async open(lane: Lane, lease: Lease): Promise<void> {
    this.forget(lane);
    const { line } = lane;
    await this.options.held.load(lane.index);
    await this.options.kept.load(lane.index);
    await this.options.delayed.load(lane.index);
    await line.admitActive();
    // Unless it was given away meanwhile.
    if (lane.line !== line) return;
    lane.lease = lease;
    lane.isUnsure = true;
  }

  private async gather(index: number, line: Line, max: number): Promise<Gathered | null> {
    const { held, now } = this.options;
    const { messages, takes } = await held.takeDue(index, max, now());
    /** Originators whose held list stays, or stays in part: what they have in the lane goes behind it. */
    const behind = new Set(held.of(index).keys());
    for (const { originator, positions } of takes) if (positions.length === held.of(index).get(originator)?.n) behind.delete(originator);
    const taken: (Next & { total: number })[] = [];
    const aside: Message[] = [];
    try {
      for (let room = max - messages.length; room > 0; room = max - messages.length - aside.length) {
        const next = await line.next(room);
        if (!next) break;
        const list = next.lines.split('\n').map(decodeMessage);
        taken.push({ ...next, total: list.length });
        for (const message of list) (behind.has(message.originator.id) ? aside : messages).push(message);
      }
    } catch (cause) {
      line.back(taken);
      throw cause;
    }
    return taken.length === 0 && takes.length === 0 ? null : { messages, taken, takes, aside };
  }
}

interface Gathered {
  readonly messages: readonly Message[];
  readonly taken: readonly (Next & { readonly total: number })[];
  readonly takes: readonly HeldTake[];
  readonly aside: readonly Message[];
}

const stale = (batch: Batch, why: string): AppError => new AppError('stale-batch', 'never', `The batch of lane ${batch.lane} was already ${why}`);

function byOriginator(messages: readonly Message[]): Map<string, Message[]> {
  return Map.groupBy(messages, (message) => message.originator.id);
}
