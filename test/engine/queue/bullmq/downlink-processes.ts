import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { type Collection, MongoNetworkError } from 'mongodb';
import type { StoredDownlink } from '#engine/queue/bullmq/downlink-docs.ts';
import { Downlinks } from '#engine/queue/bullmq/downlinks.ts';
import { Committer, SLOTS, slotLease } from '#engine/store/mongo/committer.ts';
import { openDatabase } from '#engine/store/mongo/database.ts';
import { Ledgers } from '#engine/store/mongo/ledger.ts';
import type { Dispatch, Transaction } from '#engine/store/mongo/transaction.ts';
import type { Downlink, DownlinkState } from '#engine/store.ts';
import { Work } from '#engine/work.ts';

export interface Process {
  readonly member: string;
  readonly downlinks: Downlinks;
  readonly ledgers: Ledgers;
  /** Leases that it holds, by integration: their epoch. */
  readonly leases: Map<string, number>;
  commit(fill: (work: Work) => void): Promise<void>;
  commitWork(work: Work): Promise<void>;
  create(...list: Downlink[]): Promise<void>;
  move(of: Downlink, ...states: DownlinkState[]): Promise<void>;
  /** Jobs are committed, and not added. */
  dispatching: boolean;
  /** On the way to or from MongoDB, what changes a document by itself is lost. */
  lost: 'requests' | 'answers' | null;
  /** Before a step of the backend itself is committed. */
  beforeStep: () => Promise<unknown>;
  close(): Promise<void>;
  /** Ends as kill -9 does, as far as others can see. */
  vanish(): Promise<void>;
}

export interface Processes {
  readonly collection: Collection<StoredDownlink>;
  /** With a member of its own. */
  start(options?: { pendingLimit?: number; now?: () => number }): Promise<Process>;
  /** Jobs of an integration in Redis, in any state. */
  jobs(integrationId: string): Promise<Record<string, number>>;
  /** All at once, as in a crash of Redis without a file. */
  forget(): Promise<void>;
  /** Ends all processes, and removes all downlinks. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

function losing(collection: Collection<StoredDownlink>, lost: () => Process['lost']): Collection<StoredDownlink> {
  return new Proxy(collection, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'findOneAndUpdate' && name !== 'updateOne') return value.bind(target) as unknown;
      return async (...parameters: unknown[]) => {
        if (lost() === 'requests') throw new MongoNetworkError('away');
        const answer = (await value.apply(target, parameters)) as unknown;
        if (lost() === 'answers') throw new MongoNetworkError('away');
        return answer;
      };
    },
  });
}

/** Several processes, as far as downlinks go, on one MongoDB and one Redis. */
export async function openProcesses(mongoUrl: string, redisUrl: string): Promise<Processes> {
  const database = await openDatabase({ url: mongoUrl, lanes: 4, version: 'test' });
  const { client, name, db, collections } = database;
  const collection = db.collection<StoredDownlink>('downlinks');
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  let starts = 0;
  const all = new Set<Process>();
  const queues = new Map<string, Queue>();
  const queue = (queueName: string): Queue => {
    const found = queues.get(queueName) ?? new Queue(queueName, { connection: redis, prefix: name });
    queues.set(queueName, found);
    return found;
  };
  async function dispatch(jobs: readonly Dispatch[]): Promise<void> {
    for (const { queue: of, jobId, data, dueAt } of jobs)
      await queue(of).add('job', data, { jobId, ...(dueAt === null ? {} : { delay: Math.max(0, dueAt - Date.now()) }) });
    for (const of of new Set(jobs.map((job) => job.queue))) for (const process of all) process.downlinks.turns.wakeQueue(of);
  }
  return {
    collection,
    async start({ pendingLimit = 1000, now = () => 1000 } = {}) {
      const member = `member-${++starts}`;
      await collections.leases.insertMany(Array.from({ length: SLOTS }, (_, slot) => ({ _id: slotLease(member, slot), owner: member, epoch: 1 })));
      const leases = new Map<string, number>();
      const ledgers = new Ledgers({ client, collections });
      const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
      const downlinks = new Downlinks({
        collection: losing(collection, () => process.lost),
        connection,
        prefix: name,
        pendingLimit,
        now,
        member: () => member,
        leaseOf: (id) => (leases.has(id) ? { name: `integration:${id}`, epoch: leases.get(id)! } : null),
        async commit(step) {
          await process.beforeStep();
          await committer.commit(step);
        },
        count: (transaction: Transaction, ...count) => ledgers.count(transaction, ...count),
        dispatch,
      });
      const committer: Committer = new Committer({
        client,
        leases: collections.leases,
        parts: [downlinks, ledgers],
        member: () => member,
        leasesOf: () => [],
        dispatch: async (jobs) => (process.dispatching ? dispatch(jobs) : undefined),
        onFenced: () => {},
        trouble: () => null,
        now,
        onPoint: () => {},
        onChanges: () => {},
      });
      const process: Process = {
        member,
        downlinks,
        ledgers,
        leases,
        dispatching: true,
        lost: null,
        beforeStep: async () => {},
        async commit(fill) {
          const work = new Work();
          fill(work);
          await committer.commit(work);
        },
        commitWork: (work) => committer.commit(work),
        create: (...list) =>
          process.commit((work) => {
            work.downlinks.push(...list);
            for (const { tenantId, integrationId } of list) work.count(tenantId, integrationId, 'downlinks.created');
          }),
        move: ({ id, tenantId, integrationId }, ...states) =>
          process.commit((work) => {
            for (const state of states) {
              work.downlinkMoves.push({ tenantId, integrationId, id, state, reason: null, ts: 2000 });
              if (state === 'DELIVERED') work.count(tenantId, integrationId, 'downlinks.sent');
              if (state === 'FAILED') work.count(tenantId, integrationId, 'downlinks.failed');
            }
          }),
        async close() {
          if (!all.delete(process)) return;
          await downlinks.close();
          await committer.close();
          connection.disconnect();
        },
        async vanish() {
          all.delete(process);
          downlinks.turns.close();
          await committer.close();
          connection.disconnect();
        },
      };
      all.add(process);
      return process;
    },
    jobs: async (integrationId) => {
      const counts = await queue(`downlinks-${integrationId}`).getJobCounts('waiting', 'active', 'delayed');
      return Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0));
    },
    async forget() {
      await redis.flushall();
    },
    async clear() {
      for (const process of all) await process.close();
      await collection.deleteMany({});
      await redis.flushall();
    },
    async close() {
      for (const each of queues.values()) await each.close();
      redis.disconnect();
      await database.close();
    },
  };
}
