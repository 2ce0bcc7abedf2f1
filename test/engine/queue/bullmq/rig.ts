import { EventEmitter } from 'node:events';
import { Redis } from 'ioredis';
import type { Collection } from 'mongodb';
import type { Lease } from '#engine/cluster.ts';
import { newId } from '#engine/id.ts';
import type { StoredBatch } from '#engine/queue/bullmq/batches.ts';
import { queueOf } from '#engine/queue/bullmq/batches.ts';
import type { StoredDownlink } from '#engine/queue/bullmq/downlink-docs.ts';
import { Downlinks } from '#engine/queue/bullmq/downlinks.ts';
import type { StoredHeld } from '#engine/queue/bullmq/held.ts';
import { Jobs } from '#engine/queue/bullmq/jobs.ts';
import { BullQueue } from '#engine/queue/bullmq.ts';
import { type Batch, laneOf } from '#engine/queue.ts';
import { Committer, SLOTS, slotLease } from '#engine/store/mongo/committer.ts';
import { type Database, openDatabase } from '#engine/store/mongo/database.ts';
import { Ledgers } from '#engine/store/mongo/ledger.ts';
import type { Dispatch } from '#engine/store/mongo/transaction.ts';
import { Work } from '#engine/work.ts';
import { datas, device, within } from '#test/support/backend.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { type RedisOptions, type RedisServer, startRedis } from '#test/support/redis.ts';
import { missing } from '#test/support/servers.ts';

export const LANES = 2;

/** For `describe(…, { skip })`: what is not there. */
export const missingServer = (): string | false => missing('redis') || missing('mongo');

export interface Servers {
  readonly mongo: MongoServer;
  readonly redis: RedisServer;
  close(): Promise<void>;
}

export async function startServers({ fsync = 'always' }: Pick<RedisOptions, 'fsync'> = {}): Promise<Servers> {
  const [mongo, redis] = await Promise.all([startMongo(), startRedis({ fsync })]);
  return {
    mongo,
    redis,
    async close() {
      await Promise.all([mongo.close(), redis.close()]);
    },
  };
}

/** One process with its queue and its committer, as the backend composes them; who holds which lane is said by the test. */
export interface Member {
  readonly id: string;
  readonly queue: BullQueue;
  readonly ledgers: Ledgers;
  readonly redis: Redis;
  commit(fill: (work: Work) => void): Promise<void>;
  /** What the backend does before it commits a work that deletes. */
  ahead(fill: (work: Work) => void): Promise<void>;
  /** As if the process ended here: what it has in memory is gone, its leases are not. */
  drop(): Promise<void>;
  /** From now on it dispatches nothing, until the returned function is called. */
  hang(): () => void;
}

export interface Installation {
  readonly database: Database;
  readonly batches: Collection<StoredBatch>;
  readonly held: Collection<StoredHeld>;
  readonly redis: Redis;
  start(): Promise<Member>;
  /** The member is the lane's only holder from now on. */
  grant(lane: number, to: Member): Promise<void>;
  /** It is given up: nothing it still commits counts, and its jobs are added by another. */
  bury(dead: Member, by: Member): Promise<void>;
  jobs(lane: number, state: 'wait' | 'active' | 'delayed'): Promise<string[]>;
  /** BullMQ as somebody else uses it, who knows nothing of leases. */
  readonly others: Jobs;
  close(): Promise<void>;
}

export async function install({ mongo, redis }: Servers, { now = Date.now, lanes = LANES } = {}): Promise<Installation> {
  const database = await openDatabase({ url: freshDatabase(mongo), lanes, version: '1' });
  const { collections, client, name } = database;
  const batches = collections.batches as unknown as Collection<StoredBatch>;
  const held = collections.held as unknown as Collection<StoredHeld>;
  const bus = new EventEmitter().setMaxListeners(0);
  const epochs = new Map<number, number>();
  const holders = new Map<number, string>();
  const members = new Map<string, Member>();
  const living = new Set<string>();
  const connect = () => {
    const connection = new Redis(redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
    connection.on('error', () => {});
    return connection;
  };
  const admin = connect();

  async function start(): Promise<Member> {
    const id = newId();
    const connection = connect();
    await collections.leases.insertMany(Array.from({ length: SLOTS }, (_, slot) => ({ _id: slotLease(id, slot), owner: id, epoch: 1 })));
    living.add(id);
    const ledgers = new Ledgers({ client, collections });
    let hanging: Promise<void> | null = null;
    const dispatch = async (jobs: readonly Dispatch[]) => {
      if (hanging) await hanging;
      await queue.dispatch(jobs);
    };
    const downlinks = new Downlinks({
      collection: collections.downlinks as unknown as Collection<StoredDownlink>,
      connection,
      prefix: name,
      pendingLimit: 100,
      now,
      member: () => id,
      leaseOf: () => null,
      commit: (step) => committer.commit(step),
      count: (transaction, tenantId, owner, counter, by) => ledgers.count(transaction, tenantId, owner, counter, by),
      dispatch,
    });
    const queue = new BullQueue({
      batches,
      held,
      kept: collections.kept,
      downlinks,
      connection,
      prefix: name,
      lanes,
      now,
      member: () => id,
      living: async () => living,
      leaseOf: (lane): Lease | null => (holders.get(lane) === id ? { name: `lane:${lane}`, epoch: epochs.get(lane)! } : null),
      commit: (work) => committer.commit(work),
      bus: {
        publish: (topic, data) => void bus.emit(topic, JSON.parse(JSON.stringify(data))),
        subscribe(topic, listener) {
          bus.on(topic, listener);
          return () => void bus.off(topic, listener);
        },
      },
      log: () => {},
    });
    const committer = new Committer({
      client,
      leases: collections.leases,
      parts: [queue, ledgers],
      member: () => id,
      leasesOf: (work) => queue.leasesOf(work),
      dispatch,
      onFenced() {},
      trouble: () => null,
      now,
      onPoint() {},
      onChanges() {},
    });
    await queue.start();
    const member: Member = {
      id,
      queue,
      ledgers,
      redis: connection,
      async commit(fill) {
        const work = new Work();
        fill(work);
        await committer.commit(work);
      },
      async ahead(fill) {
        const work = new Work();
        fill(work);
        await queue.kept.ahead(work, (step) => committer.commit(step));
      },
      hang() {
        let release = () => {};
        hanging = new Promise((resolve) => {
          release = () => {
            hanging = null;
            resolve();
          };
        });
        return () => release();
      },
      async drop() {
        members.delete(id);
        queue.close();
        connection.disconnect();
        await downlinks.close().catch(() => {});
      },
    };
    members.set(id, member);
    return member;
  }

  return {
    database,
    batches,
    held,
    redis: admin,
    others: new Jobs({ connection: admin, prefix: name, log: () => {} }),
    start,
    async grant(lane, to) {
      const before = holders.get(lane);
      const epoch = (epochs.get(lane) ?? 0) + 1;
      // As in `leases.ts`: a transaction that sets the mark which is there already would change nothing, and conflict with nothing.
      await collections.leases.updateOne({ _id: `lane:${lane}` }, { $set: { owner: to.id, epoch }, $unset: { mark: '' } }, { upsert: true });
      holders.set(lane, to.id);
      epochs.set(lane, epoch);
      if (before) members.get(before)?.queue.closeLane(lane);
    },
    async bury(dead, by) {
      await collections.leases.updateMany({ _id: { $regex: `^process:${dead.id}:` } }, { $set: { owner: null } });
      living.delete(dead.id);
      await by.queue.adopt(dead.id);
    },
    async jobs(lane, state) {
      const key = `${name}:${queueOf(lane)}:${state}`;
      return state === 'delayed' ? admin.zrange(key, '0', '-1') : (await admin.lrange(key, 0, -1)).reverse();
    },
    async close() {
      for (const member of [...members.values()]) await member.drop();
      admin.disconnect();
      await database.close();
    },
  };
}

/** An originator of the lane that no other test uses. */
export function originatorOf(lane: number, lanes = LANES): ReturnType<typeof device> {
  for (;;) {
    const candidate = device();
    if (laneOf(candidate.id, lanes) === lane) return candidate;
  }
}

export const take = async ({ queue }: Member, lane: number, max = 100): Promise<Batch> =>
  (await within(queue.take(lane, max, new AbortController().signal), `take of lane ${lane}`, 20_000))!;

/** What the lane has right now. */
export async function takeNow({ queue }: Member, lane: number, max = 100): Promise<Batch | null> {
  const controller = new AbortController();
  const taken = queue.take(lane, max, controller.signal);
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort();
  return within(taken, `take of lane ${lane}`);
}

export const finish = (member: Member, batch: Batch): Promise<void> => member.commit((work) => work.done.push(batch));

/** Takes and finishes whatever the lane has, and says what it was. */
export async function drain(member: Member, lane: number, max = 100): Promise<string[]> {
  const got: string[] = [];
  for (let batch = await takeNow(member, lane, max); batch; batch = await takeNow(member, lane, max)) {
    got.push(...datas(batch));
    await finish(member, batch);
  }
  return got;
}
