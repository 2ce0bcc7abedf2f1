import type { Collection } from 'mongodb';
import type { Message } from '#engine/message.ts';
import { laneOf } from '#engine/queue.ts';
import type { Dispatch, Transaction } from '#engine/store/mongo/transaction.ts';
import type { Work } from '#engine/work.ts';
import { batchName, idsOf, isLane, Numbering, queueOf, type StoredBatch, toBatches } from './batches.ts';
import type { Jobs, NewJob } from './jobs.ts';
import type { JobData } from './line.ts';

export interface OutboxOptions {
  readonly batches: Collection<StoredBatch>;
  readonly jobs: Jobs;
  readonly lanes: number;
  readonly now: () => number;
  /** They are in the lanes now. */
  readonly onAppended: (batches: readonly StoredBatch[]) => void;
  readonly onDispatched: (queues: readonly Dispatched[]) => void;
}

/** Jobs were added to this queue. */
export interface Dispatched {
  readonly queue: string;
  /** Of those that are delayed, when the first is due; null: none is. */
  readonly dueAt: number | null;
}

/** Larger ones are read from the batch: Redis need not hold them in memory. */
const MOST_CHARS_IN_REDIS = 256_000;
const ANSWER_MS = 3000;
const PAGE = 256;
/** New messages on their way into the lanes: batches in MongoDB, then their jobs in BullMQ; and jobs that should be there and are not. */
export class Outbox {
  private readonly options: OutboxOptions;
  private readonly numbering = new Numbering();
  /** By lane and member: the number of the batch that was dispatched last. */
  private readonly last = new Map<string, number>();
  private upTo = -1;
  private readonly adding = new WeakMap<readonly Dispatch[], Promise<void>>();
  /** What was tried once may have been added then, and worked on since. */
  private readonly tried = new WeakSet<Dispatch>();

  constructor(options: OutboxOptions) {
    this.options = options;
  }

  /** In the running transaction: appends messages to the lanes of their originators, each lane in the given order. */
  async write(works: readonly Work[], transaction: Transaction): Promise<void> {
    const messages = works.flatMap((work) => work.messages);
    const delayed = works.flatMap((work) => work.delayed);
    if (messages.length + delayed.length === 0) return;
    const { batches, lanes, onAppended } = this.options;
    const { member, now: at, session, order } = transaction;
    const next = this.numbering.begin(order, works[0]);
    const laneIn = (message: Message): number => laneOf(message.originator.id, lanes);
    const docs: StoredBatch[] = [];
    for (const [lane, list] of Map.groupBy(messages, laneIn)) docs.push(...toBatches(list, { lane, member, at, dueAt: null, next }));
    for (const [dueAt, due] of Map.groupBy(delayed, (entry) => entry.dueAt)) {
      const list = due.map((entry) => entry.message);
      for (const [lane, part] of Map.groupBy(list, laneIn)) docs.push(...toBatches(part, { lane, member, at, dueAt, next }));
    }
    await batches.insertMany(docs, { session });
    for (const { _id, lane, dueAt, lines } of docs)
      transaction.dispatch({ queue: queueOf(lane), jobId: _id, data: lines.length > MOST_CHARS_IN_REDIS ? {} : { lines }, dueAt });
    transaction.afterCommit(() => onAppended(docs));
  }

  /**
   * Adds jobs to BullMQ, each queue in the given order, and says so to whoever waits for them. Called again with the same jobs it goes on with what is under way.
   * @throws Error when Redis does not answer in time; the jobs may be added all the same.
   */
  async dispatch(jobs: readonly Dispatch[]): Promise<void> {
    let adding = this.adding.get(jobs);
    if (!adding) {
      adding = this.add(jobs);
      this.adding.set(jobs, adding);
      adding.catch(() => this.adding.delete(jobs));
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer for ${ANSWER_MS} ms`)), ANSWER_MS);
    });
    await Promise.race([adding, late]).finally(() => clearTimeout(timer));
  }

  /** Adds what a member that is gone has committed and not dispatched. The same twice, or by several processes at once, is as good as once. */
  async adopt(member: string): Promise<void> {
    for (let lane = 0; lane < this.options.lanes; lane++) {
      const found = this.options.batches.find({ _id: idsOf(lane, member) }, { projection: { lines: 0, counts: 0 } }).sort({ _id: 1 });
      await this.addMissing(lane, found, () => true);
    }
  }

  /** Number of the last batch that was dispatched; -1: none was. */
  dispatchedUpTo(): number {
    return this.upTo;
  }

  /** Adds those of these batches that BullMQ has no job for. */
  async addMissing(lane: number, found: AsyncIterable<StoredBatch>, isOver: (batch: StoredBatch) => boolean): Promise<void> {
    let page: StoredBatch[] = [];
    const add = async (): Promise<void> => {
      const dueAt = new Map(page.map((batch) => [batch._id, batch.dueAt]));
      const missing = await this.options.jobs.missing(lane, [...dueAt.keys()]);
      page = [];
      if (missing.length === 0) return;
      const jobs = missing.map((jobId) => ({ queue: queueOf(lane), jobId, data: {}, dueAt: dueAt.get(jobId) ?? null }));
      for (const job of jobs) this.tried.add(job);
      await this.add(jobs);
    };
    for await (const batch of found) {
      if (!isOver(batch)) continue;
      page.push(batch);
      if (page.length === PAGE) await add();
    }
    if (page.length > 0) await add();
  }

  private async add(jobs: readonly Dispatch[]): Promise<void> {
    const byQueue = Map.groupBy(jobs, (job) => job.queue);
    await Promise.all(
      Array.from(byQueue, ([queue, list]) =>
        this.options.jobs.add(
          queue,
          list.map((job): NewJob => ({ id: job.jobId, data: this.dataOf(job), delay: this.delay(job.dueAt) })),
        ),
      ),
    );
    this.options.onDispatched(Array.from(byQueue, ([queue, list]) => dispatched(queue, list)));
  }

  private dataOf(job: Dispatch): unknown {
    if (!isLane(job.queue)) return job.data;
    const isFirst = !this.tried.has(job);
    this.tried.add(job);
    const { lane, member, n, delayed } = batchName(job.jobId);
    if (isFirst) this.upTo = Math.max(this.upTo, n);
    if (delayed) return { ...(job.data as Partial<JobData>), after: isFirst ? 0 : null } satisfies JobData;
    const key = keyOf(lane, member);
    const after = isFirst ? (this.last.get(key) ?? 0) : null;
    if (isFirst) this.last.set(key, n);
    return { ...(job.data as Partial<JobData>), after } satisfies JobData;
  }

  private delay(dueAt: number | null): number {
    return dueAt === null ? 0 : Math.max(0, dueAt - this.options.now());
  }
}

function dispatched(queue: string, jobs: readonly Dispatch[]): Dispatched {
  const due = jobs.flatMap(({ dueAt }) => (dueAt === null ? [] : [dueAt]));
  return { queue, dueAt: due.length > 0 ? Math.min(...due) : null };
}

const keyOf = (lane: number, member: string): string => `${lane}.${member}`;
