import { setTimeout as sleep } from 'node:timers/promises';
import type { Binary, ClientSession, Collection, MongoClient } from 'mongodb';
import type { Lease } from '#engine/cluster.ts';
import { AppError, errorText, Fenced, NotDurable } from '#engine/errors.ts';
import type { Change } from '#engine/queue.ts';
import type { Work } from '#engine/work.ts';
import { isConflict, isUnavailable } from './errors.ts';
import { Again, type Dispatch, type Part, type Step, type Transaction } from './transaction.ts';

/*
 * How a batch becomes exactly accounted across two servers: MongoDB decides, Redis dispatches.
 *
 * 1. Everything that a unit of work changes is one MongoDB transaction: its effects, the counts of the ledger, the removal of the batch documents that it was
 *    taken from (`done`), and the batch documents of its new messages (the outbox). A batch that is not there any more was accounted before: the transaction is
 *    refused (`stale-batch`), so that no job is accounted twice, however often BullMQ gives it out. What the backend does by itself, such as to let a downlink
 *    expire, is a step of such a transaction too (`Step`), under the same rules.
 * 2. The first operation of every transaction writes to the leases that it relies on: the process' own (one for each slot below) and those of the lanes or
 *    integrations that it works for, each only while owner and epoch are ours. A process that was given up, or a lane that has moved, writes nothing more
 *    (`Fenced`); whoever takes over writes to the same documents, so one of the two transactions waits for or aborts the other.
 * 3. After the commit the new jobs are added to BullMQ, under the ids of their batch documents, in the order of the commits. Only then anybody is answered: what
 *    a peer sends because of the answer is behind it in every lane. Who dies between commit and dispatch has answered nobody; its undispatched jobs are added by
 *    whoever buries it, before its lanes are given on (`leases.ts`).
 * 4. A commit whose outcome is unknown (the connection broke) is asked for until the server answers: the number of the transaction is in the process' lease.
 *    Until then its works are neither done nor refused, and no new ones are taken.
 *
 * `engine/queue/bullmq/lanes.ts` is the other half: what is taken, completed and found missing.
 */

export interface CommitterOptions {
  readonly client: MongoClient;
  readonly leases: Collection<LeaseDoc>;
  /** In the order in which they write. */
  readonly parts: readonly Part[];
  /** The process' own membership now; it changes when the process was given up and has come back. */
  readonly member: () => string;
  /** The leases of the lanes that a work's batches came from. */
  readonly leasesOf: (work: Work) => readonly Lease[];
  /** Rejects while Redis can not be reached. */
  readonly dispatch: (jobs: readonly Dispatch[]) => Promise<void>;
  /** A write of ours was refused by the process' own lease. */
  readonly onFenced: () => void;
  /** Why a server is not there (found by the monitor); null: both are. */
  readonly trouble: () => string | null;
  readonly now: () => number;
  readonly onPoint: (name: string) => void;
  readonly onChanges: (changes: readonly Change[]) => void;
}

/** `leases`: of lanes, of integrations, and of each transaction slot of a process. */
export interface LeaseDoc {
  readonly _id: string;
  /** Member id of the holder. */
  readonly owner: string | null;
  readonly epoch: number;
  /** Number of the last transaction that relied on it. */
  readonly mark?: number;
  /** Of a slot: the session of its transactions. A server keeps one open for a minute after its client was stopped or killed: whoever buries the client ends it (`burial.ts`). */
  readonly session?: Binary;
}

/** The lease of a process on its own transactions; it has one for each slot, with epoch 1. */
export const slotLease = (member: string, slot: number): string => `process:${member}:${slot}`;

/** Transactions that are under way at a time. */
export const SLOTS = 2;
/** Rows of one transaction, about. */
const GROUP_ROWS = 2000;
const CONFLICT_MS = 5000;
const RETRY_MS = 500;
/** A part that asks for more of them has a bug, which must show. */
const MOST_ATTEMPTS = 20;

interface Request {
  readonly work: Work | Step;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

interface Outcome {
  readonly effects: (() => void)[];
  readonly changes: Change[];
  readonly jobs: Dispatch[];
}

/** What a step of the backend itself writes, about. */
const STEP_ROWS = 250;

function sizeOf(work: Work | Step): number {
  if (typeof work === 'function') return STEP_ROWS;
  const { telemetry, messages, events, docs, attributes, downlinks, kept, keptRemovals, nodeStates } = work;
  const rows = telemetry.length + messages.length + events.length + docs.length + attributes.length + downlinks.length;
  return rows + kept.length + keptRemovals.length + nodeStates.length + 1;
}

/** Group commit: works that are asked for while the transactions before them are under way become one, each with its own fate. */
export class Committer {
  private readonly options: CommitterOptions;
  private waiting: Request[] = [];
  private scheduled = false;
  private readonly free: number[] = Array.from({ length: SLOTS }, (_, slot) => slot);
  private readonly sessions = new Map<number, { readonly session: ClientSession; readonly member: string }>();
  /** Groups are dispatched and answered in the order in which they began. */
  private tail: Promise<void> = Promise.resolve();
  private transactions = 0;
  /** Of the last group. */
  private order = 0;
  private closed = false;
  /** A commit is not known to have happened, or its jobs are not dispatched yet. */
  private stuck: string | null = null;

  constructor(options: CommitterOptions) {
    this.options = options;
  }

  commit(work: Work | Step): Promise<void> {
    if (this.closed) return Promise.reject(new NotDurable(new Error('the store is closed')));
    const trouble = this.trouble();
    // Nothing piles up in memory while nothing can be stored: the peer keeps it.
    if (trouble !== null) return Promise.reject(new NotDurable(new Error(trouble)));
    return new Promise((resolve, reject) => {
      this.waiting.push({ work, resolve, reject });
      this.schedule();
    });
  }

  trouble(): string | null {
    return this.stuck ?? this.options.trouble();
  }

  /** Makes durable what was asked for, and takes no more. */
  async close(): Promise<void> {
    this.closed = true;
    while (this.waiting.length > 0 || this.free.length < SLOTS) {
      this.schedule();
      await sleep(5);
    }
    await this.tail;
    for (const { session } of this.sessions.values()) await session.endSession().catch(() => {}); // The server forgets it by itself.
  }

  private schedule(): void {
    if (this.scheduled || this.free.length === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      while (this.free.length > 0 && this.waiting.length > 0) this.begin();
    });
  }

  private begin(): void {
    const group: Request[] = [];
    let rows = 0;
    for (const request of this.waiting) {
      rows += sizeOf(request.work);
      if (group.length > 0 && rows > GROUP_ROWS) break;
      group.push(request);
    }
    this.waiting = this.waiting.slice(group.length);
    const slot = this.free.pop()!;
    const before = this.tail;
    this.order = Math.max(this.order + 1, Date.now());
    const { order } = this;
    let after: () => void = () => {};
    this.tail = new Promise((resolve) => {
      after = resolve;
    });
    this.together(group, slot, order, before)
      .finally(() => {
        this.free.push(slot);
        after();
        if (this.waiting.length > 0) this.schedule();
      })
      .catch(() => {}); // Every request was told its own.
  }

  /** The usual way: one transaction for all. When the content of one is refused, each has its own. */
  private async together(group: readonly Request[], slot: number, order: number, before: Promise<void>): Promise<void> {
    try {
      await this.settle(
        group,
        await this.transact(
          group.map(({ work }) => work),
          slot,
          order,
        ),
        before,
      );
    } catch (cause) {
      if (group.length === 1 || cause instanceof NotDurable) {
        await before;
        for (const { reject } of group) reject(cause);
        return;
      }
      for (const request of group) await this.together([request], slot, order, before);
    }
  }

  private async settle(group: readonly Request[], { effects, changes, jobs }: Outcome, before: Promise<void>): Promise<void> {
    this.options.onPoint('after-commit');
    await before;
    for (const effect of effects) effect();
    await this.dispatched(jobs);
    if (changes.length > 0) this.options.onChanges(changes);
    for (const { work } of group) if (typeof work !== 'function') work.committed();
    for (const { resolve } of group) resolve();
  }

  /** It has happened: the jobs are added however long Redis is away. */
  private async dispatched(jobs: readonly Dispatch[]): Promise<void> {
    if (jobs.length === 0) return;
    this.options.onPoint('before-dispatch');
    for (;;) {
      try {
        await this.options.dispatch(jobs);
        this.stuck = null;
        break;
      } catch (cause) {
        this.stuck = `Redis: ${errorText(cause)}`;
        await sleep(RETRY_MS);
      }
    }
    this.options.onPoint('after-dispatch');
  }

  /** @throws NotDurable, or the refusal of a part. */
  private async transact(works: readonly (Work | Step)[], slot: number, order: number): Promise<Outcome> {
    const giveUpAt = Date.now() + CONFLICT_MS;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.attempt(works, slot, order);
      } catch (cause) {
        if (cause instanceof Again && attempt < MOST_ATTEMPTS) continue;
        if (cause instanceof AppError) throw cause;
        if (isConflict(cause) && Date.now() < giveUpAt) {
          await sleep(Math.random() * Math.min(2 ** attempt, 50));
          continue;
        }
        if (isConflict(cause) || isUnavailable(cause)) throw new NotDurable(cause);
        throw cause;
      }
    }
  }

  /** Of the slot, and named in its lease before anything is done in it. */
  private async sessionOf(slot: number, member: string): Promise<ClientSession> {
    const known = this.sessions.get(slot);
    if (known?.member === member) return known.session;
    const session = known?.session ?? this.options.client.startSession();
    this.sessions.set(slot, { session, member: '' });
    await this.options.leases.updateOne({ _id: slotLease(member, slot), owner: member }, { $set: { session: session.id!.id } });
    this.sessions.set(slot, { session, member });
    return session;
  }

  private async attempt(group: readonly (Work | Step)[], slot: number, order: number): Promise<Outcome> {
    const { now, onPoint } = this.options;
    const member = this.options.member();
    const session = await this.sessionOf(slot, member);
    const number = ++this.transactions;
    const works = group.filter((work) => typeof work !== 'function');
    const steps = group.filter((work) => typeof work === 'function');
    const outcome: Outcome = { effects: [], changes: [], jobs: [] };
    const transaction: Transaction = {
      session,
      now: now(),
      order,
      member,
      slot,
      changes: outcome.changes,
      afterCommit: (effect) => void outcome.effects.push(effect),
      dispatch: (job) => void outcome.jobs.push(job),
    };
    session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority', j: true } });
    try {
      await this.fence(works, slot, number, transaction);
      // First, so that what they count is written by the part that counts.
      for (const step of steps) await step(transaction);
      for (const part of this.options.parts) await part.write(works, transaction);
    } catch (cause) {
      await session.abortTransaction().catch(() => {}); // It ends with its session.
      throw cause;
    }
    onPoint('before-commit');
    try {
      await session.commitTransaction();
    } catch (cause) {
      if (!(await this.happened(session, slotLease(transaction.member, slot), number, cause)))
        throw isConflict(cause) ? cause : new NotDurable(cause);
    }
    return outcome;
  }

  /** @throws Fenced */
  private async fence(works: readonly Work[], slot: number, number: number, { session, member }: Transaction): Promise<void> {
    const own = slotLease(member, slot);
    const needed = new Map<string, number>([[own, 1]]);
    for (const work of works) {
      for (const { name, epoch } of [...work.leases, ...this.options.leasesOf(work)]) {
        if (needed.get(name) !== undefined && needed.get(name) !== epoch) throw new Fenced(name);
        needed.set(name, epoch);
      }
    }
    const { matchedCount } = await this.options.leases.bulkWrite(
      [...needed].map(([_id, epoch]) => ({ updateOne: { filter: { _id, owner: member, epoch }, update: { $set: { mark: number } } } })),
      { session },
    );
    if (matchedCount === needed.size) return;
    const held = await this.options.leases.find({ _id: { $in: [...needed.keys()] }, owner: member }, { session }).toArray();
    const lost = [...needed].find(([name, epoch]) => !held.some((lease) => lease._id === name && lease.epoch === epoch))?.[0] ?? own;
    if (lost === own) this.options.onFenced();
    throw new Fenced(lost === own ? 'the work of this process' : lost);
  }

  /**
   * Did the transaction happen? Its commit is sent again until the server answers. A server that does not know the transaction any more (it ended it, or
   * was started anew) has either stored it or lost it: then its number is in the document that it wrote, or not. A process that was given up meanwhile finds no lease of its own: what it
   * had written, if at all, is with the one who buried it; it has answered nobody.
   */
  private async happened(session: ClientSession, own: string, number: number, cause: unknown): Promise<boolean> {
    this.stuck = `MongoDB: ${errorText(cause)}`;
    let known = !isConflict(cause);
    for (;;) {
      try {
        if (known) await session.commitTransaction();
        const happened = known || (await this.options.leases.findOne({ _id: own }))?.mark === number;
        this.stuck = null;
        return happened;
      } catch (again) {
        if (known && isConflict(again)) known = false;
        else await sleep(RETRY_MS);
      }
    }
  }
}
