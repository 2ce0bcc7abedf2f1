import type { Redis } from 'ioredis';
import type { Collection } from 'mongodb';
import type { Lease } from '#engine/cluster.ts';
import type { Batch, JobCounts, Queue } from '#engine/queue.ts';
import type { Dispatch, Part, Transaction } from '#engine/store/mongo/transaction.ts';
import type { Downlink, Kept } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import { isLane, laneOfQueue, type StoredBatch } from './bullmq/batches.ts';
import { Delayed } from './bullmq/delayed.ts';
import { Depth } from './bullmq/depth.ts';
import type { Downlinks } from './bullmq/downlinks.ts';
import { Followers } from './bullmq/followers.ts';
import { Held, type StoredHeld } from './bullmq/held.ts';
import { Jobs } from './bullmq/jobs.ts';
import { KeptMessages, type StoredKept } from './bullmq/kept.ts';
import { Lanes } from './bullmq/lanes.ts';
import { type Dispatched, Outbox } from './bullmq/outbox.ts';
import { type Bus, Restore } from './bullmq/restore.ts';

export interface BullQueueOptions {
  readonly batches: Collection<StoredBatch>;
  readonly held: Collection<StoredHeld>;
  readonly kept: Collection<StoredKept>;
  readonly downlinks: Downlinks;
  /** Reconnects for ever (`maxRetriesPerRequest: null`), with pauses of a second at most; whoever made it closes it. */
  readonly connection: Redis;
  /** Of all keys in Redis. */
  readonly prefix: string;
  readonly lanes: number;
  readonly now: () => number;
  /** This process, as in `Transaction.member`. */
  readonly member: () => string;
  /** Members that have not been given up, this one too. */
  readonly living: () => Promise<Iterable<string>>;
  /** This process' lease of a lane; null: it is another's, or nobody's, or we may have been given up. */
  readonly leaseOf: (lane: number) => Lease | null;
  readonly commit: (work: Work) => Promise<void>;
  readonly bus: Bus;
  readonly log: (details: object, text: string) => void;
}

const DISPATCHED = 'dispatched';
const HELD = 'held';

/** The queue's half of the backend on Redis and MongoDB: what waits is in MongoDB, whose turn it is says BullMQ. */
export class BullQueue implements Queue, Part {
  readonly lanes: number;
  readonly downlinks: Downlinks;
  readonly kept: KeptMessages;
  private readonly options: BullQueueOptions;
  private readonly bull: Jobs;
  private readonly outbox: Outbox;
  private readonly restore: Restore;
  private readonly waiting: Lanes;
  private readonly delayed: Delayed;
  private readonly followers: Followers;
  private readonly counts: Depth;
  private readonly counted = { added: { jobs: 0, messages: 0 }, done: { jobs: 0, messages: 0 } };
  private readonly unsubscribe: readonly (() => void)[];

  constructor(options: BullQueueOptions) {
    const { batches, held: heldDocs, kept, downlinks, connection, prefix, lanes, now, member, living, leaseOf, commit, bus, log } = options;
    this.options = options;
    this.lanes = lanes;
    this.downlinks = downlinks;
    this.bull = new Jobs({ connection, prefix, log });
    const held = new Held(heldDocs, lanes);
    this.delayed = new Delayed({ batches, now });
    this.counts = new Depth({
      batches,
      held: heldDocs,
      kept,
      lanes,
      now,
      member,
      out: () => this.waiting.out(),
      heldOf: (lane) => held.countOf(lane),
    });
    this.kept = new KeptMessages({ kept, lanes, onChanged: (by) => this.counts.keptChanged(by) });
    this.followers = new Followers(batches);
    this.outbox = new Outbox({
      batches,
      jobs: this.bull,
      lanes,
      now,
      onAppended: (appended) => {
        count(this.counted.added, appended);
        this.counts.appended(appended);
      },
      onDispatched: (queues) => bus.publish(DISPATCHED, queues),
    });
    this.restore = new Restore({ batches, jobs: this.bull, outbox: this.outbox, now, member, living, bus });
    this.waiting = new Lanes({
      batches,
      jobs: this.bull,
      held,
      kept: this.kept,
      delayed: this.delayed,
      lanes,
      now,
      leaseOf,
      backlogOf: (lane) => this.restore.backlogOf(lane),
      oldestOf: (lane) => this.counts.oldestOf(lane),
      settle: (batch) => {
        const work = new Work();
        work.done.push(batch);
        return commit(work);
      },
      onDone: (lane, done) => {
        count(this.counted.done, done);
        this.counts.done(done);
        this.followers.check(lane);
      },
      onHeldElsewhere: (lane) => bus.publish(HELD, lane),
    });
    this.unsubscribe = [
      bus.subscribe(DISPATCHED, (queues) => this.dispatched(queues as readonly Dispatched[])),
      bus.subscribe(HELD, (lane) => {
        held.doubt(lane as number);
        this.waiting.wake(lane as number);
      }),
    ];
    this.bull.onReconnect(() => this.redisRestarted());
  }

  /** Resolves when `depth()` is known. */
  start(): Promise<void> {
    return this.counts.start();
  }

  async write(works: readonly Work[], transaction: Transaction): Promise<void> {
    await this.waiting.write(works, transaction);
    await this.outbox.write(works, transaction);
    await this.kept.write(works, transaction);
    await this.downlinks.write(works, transaction);
  }

  /** The leases under which the batches of a work were taken. */
  leasesOf(work: Work): Lease[] {
    return this.waiting.leasesOf(work);
  }

  /** Adds jobs to BullMQ, in order, and wakes who waits for them. Called again with the same jobs it goes on with what is under way. @throws Error when Redis does not answer. */
  dispatch(jobs: readonly Dispatch[]): Promise<void> {
    return this.outbox.dispatch(jobs);
  }

  /** Adds what a member that is gone had committed and not dispatched: before its lanes are given on. */
  adopt(member: string): Promise<void> {
    return this.outbox.adopt(member);
  }

  /** Before a lane is given on, when nothing that was taken of it is worked on any more. */
  closeLane(lane: number): void {
    this.waiting.release(lane);
  }

  /** Jobs may be gone: what is in MongoDB is added again. */
  redisRestarted(): void {
    this.waiting.doubt();
    this.downlinks.reload();
  }

  take(lane: number, max: number, signal: AbortSignal): Promise<Batch | null> {
    return this.waiting.take(lane, max, signal);
  }

  giveBack(batch: Batch): void {
    this.waiting.giveBack(batch);
  }

  sends(lane: number, query: { after?: string; max: number }): Promise<Kept[]> {
    return this.kept.sends(lane, query);
  }

  mark(): number {
    return this.options.now();
  }

  caughtUp(originatorId: string, mark: number, atMostMs: number): Promise<void> {
    return this.followers.caughtUp(originatorId, this.lanes, mark, atMostMs);
  }

  /** What is taken was durable before. */
  async settled(): Promise<void> {}

  takeDownlinks(integrationId: string, max: number, signal: AbortSignal): Promise<Downlink[] | null> {
    return this.downlinks.take(integrationId, max, signal);
  }

  releaseDownlinks(downlinks: readonly Downlink[]): void {
    this.downlinks.release(downlinks);
  }

  takePending(integrationId: string, entityIds: readonly string[]): Promise<Downlink | null> {
    return this.downlinks.takePending(integrationId, entityIds);
  }

  putBack(downlink: Downlink): void {
    this.downlinks.putBack(downlink);
  }

  expireDownlinks(now: number): Promise<number> {
    return this.downlinks.expire(now);
  }

  depth(): { messages: number; held: number; delayed: number; kept: number; oldestMs: number } {
    return this.counts.value();
  }

  jobs(): JobCounts {
    return structuredClone(this.counted);
  }

  /** Nothing is taken any more. What is committed after that is still dispatched, until the connection is closed. */
  close(): void {
    for (const unsubscribe of this.unsubscribe) unsubscribe();
    this.waiting.close();
    this.restore.close();
    this.followers.close();
    this.counts.close();
  }

  private dispatched(queues: readonly Dispatched[]): void {
    for (const { queue, dueAt } of queues) {
      if (!isLane(queue)) {
        this.downlinks.turns.wakeQueue(queue);
        continue;
      }
      const lane = laneOfQueue(queue);
      if (dueAt !== null) this.delayed.added(lane, dueAt);
      this.waiting.wake(lane);
    }
  }
}

function count(counted: { jobs: number; messages: number }, batches: readonly { readonly total: number }[]): void {
  counted.jobs += batches.length;
  for (const { total } of batches) counted.messages += total;
}
