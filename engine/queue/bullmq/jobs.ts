import { ErrorCode, type IQueueBackend, type JobJson, type MinimalJob, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { errorText } from '#engine/errors.ts';
import { queueOf } from './batches.ts';

/**
 * Whoever holds a lane's lease is its only worker (MongoDB says who that is, and refuses all others by the epoch). BullMQ's locks and its search for stalled jobs
 * would be a second arbiter of the same lane, and the two would disagree: a lock that runs out while the lease holds gives a job to a process that may not write.
 * Under this token BullMQ keeps no lock, and nobody looks for stalled jobs.
 */
const NO_LOCK = '0';
const NAME = 'batch';

export interface NewJob {
  readonly id: string;
  readonly data: unknown;
  /** ms. */
  readonly delay: number;
}

export interface FoundJob {
  readonly id: string;
  readonly data: unknown;
}

const NOTHING_TO_COMPLETE = new Set<number>([ErrorCode.JobNotExist, ErrorCode.JobNotInState]);

/** Jobs of BullMQ: one for each batch, that says that it is there and whose turn it is. */
export class Jobs {
  private readonly connection: Redis;
  private readonly prefix: string;
  private readonly any: Queue;
  private readonly queues = new Map<string, IQueueBackend>();
  private readonly log: (details: object, text: string) => void;

  constructor({ connection, prefix, log }: { connection: Redis; prefix: string; log: (details: object, text: string) => void }) {
    this.connection = connection;
    this.prefix = prefix;
    this.log = log;
    // Of all queues it is the connection that matters: each has its own keys on the same one.
    this.any = new Queue('lanes', { connection, prefix, skipMetasUpdate: true });
    // Every call says so itself.
    this.any.on('error', () => {});
  }

  /** In this order. One that is there already is left as it is. */
  async add(queue: string, jobs: readonly NewJob[]): Promise<void> {
    const timestamp = Date.now();
    await this.queue(queue).addJobs(
      jobs.map(({ id, data, delay }) => ({
        jobId: id,
        job: { id, name: NAME, data: JSON.stringify(data), opts: { delay }, timestamp, delay } as unknown as JobJson,
      })),
    );
  }

  /** The next ones, in order, at most `most`; they are active from then on, until they are completed. In one go over the connection. */
  async next(lane: number, most: number): Promise<FoundJob[]> {
    const queue = this.queue(queueOf(lane));
    const found = await Promise.all(Array.from({ length: most }, () => queue.moveToActive(NO_LOCK)));
    return (found as [JobJson?, string?][]).flatMap(([job, id]) => (job && id ? [{ id, data: JSON.parse(job.data) as unknown }] : []));
  }

  /** Ids of those that somebody has taken and not completed, the oldest first. */
  async active(lane: number): Promise<string[]> {
    return (await this.connection.lrange(this.queue(queueOf(lane)).toKey('active'), 0, -1)).reverse();
  }

  /** How many the lane has, in whatever state. */
  async count(lane: number): Promise<number> {
    const counts = await this.queue(queueOf(lane)).getCounts(['wait', 'active', 'delayed']);
    return counts.reduce((sum, n) => sum + n, 0);
  }

  /** Which of these there is no job for. */
  async missing(lane: number, ids: readonly string[]): Promise<string[]> {
    const queue = this.queue(queueOf(lane));
    const there = await Promise.all(ids.map((id) => this.connection.exists(queue.toKey(id))));
    return ids.filter((_, index) => there[index] === 0);
  }

  /** What is done is done: a job that is left is recognised when it comes again, because its batch is gone. */
  async complete(lane: number, ids: readonly string[]): Promise<void> {
    const queue = this.queue(queueOf(lane));
    const failed: unknown[] = [];
    await Promise.all(
      ids.map((id) =>
        queue.moveToCompleted({ id, opts: {} } as MinimalJob, '', true, NO_LOCK, false).catch((cause: { code?: number }) => {
          if (!NOTHING_TO_COMPLETE.has(Number(cause?.code))) failed.push(cause);
        }),
      ),
    );
    if (failed.length > 0) this.log({ lane, jobs: failed.length, reason: errorText(failed[0]) }, 'jobs could not be completed');
  }

  /** The connection is there again after it was gone: Redis may be another one, or have lost something. */
  onReconnect(listener: () => void): void {
    let before = this.connection.status === 'ready';
    this.connection.on('ready', () => {
      if (before) listener();
      before = true;
    });
  }

  close(): Promise<void> {
    return this.any.close();
  }

  private queue(name: string): IQueueBackend {
    let queue = this.queues.get(name);
    if (!queue) {
      queue = this.any.getBackend().forQueue(name, this.prefix);
      // Those of integrations come and go.
      if (this.queues.size > 256) this.queues.clear();
      this.queues.set(name, queue);
    }
    return queue;
  }
}
