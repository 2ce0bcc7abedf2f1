import { randomUUID } from 'node:crypto';
import type { MongoClient } from 'mongodb';
import { batchId, queueOf, type StoredBatch } from '#engine/queue/bullmq/batches.ts';
import { Jobs } from '#engine/queue/bullmq/jobs.ts';
import { connectRedis } from '#engine/queue/bullmq/redis.ts';
import { type LeaseDoc, SLOTS } from '#engine/store/mongo/committer.ts';
import { connect } from '#engine/store/mongo/database.ts';
import { latestId, type StoredLatest, type StoredSample, sampleId } from '#engine/store/mongo/samples.ts';
import { freshDatabase, type MongoServer } from '../test/support/mongo.ts';
import { cpuMicrosOf } from '../test/support/product-process.ts';
import type { RedisServer } from '../test/support/redis.ts';
import { type Result, type Row, thousands } from './measure.ts';

/** What the two servers do at most for one process that does nothing else, in the shapes in which the product asks them. */

const JOBS_AT_A_TIME = 16;
/** A message of workload (a) as a line is about as long. */
const LINE = 'x'.repeat(420);
const ROWS = 1000;
const DEVICES = 100;

export async function ceilings(redis: RedisServer, mongo: MongoServer, seconds: number): Promise<Result> {
  const client = await connect(freshDatabase(mongo));
  try {
    return {
      title: `ceilings of the servers: one client that does nothing else, ${seconds} s each`,
      rows: [
        await jobsOf(redis, 1, seconds),
        await jobsOf(redis, 64, seconds),
        await transactionsOf(client, mongo, 'MongoDB: transactions of a lease and a batch', 1, seconds, smallest(client)),
        await transactionsOf(client, mongo, `MongoDB: samples, ${ROWS} a transaction`, ROWS, seconds, samples(client)),
        await transactionsOf(client, mongo, `MongoDB: latest values of ${DEVICES} devices a transaction`, DEVICES, seconds, latest(client)),
      ],
      notes: [
        `BullMQ: added, taken and completed, ${JOBS_AT_A_TIME} at a time, append-only file written before each answer; MongoDB: ${SLOTS} sessions, durable commits`,
      ],
    };
  } finally {
    await client.close();
  }
}

async function jobsOf(server: RedisServer, messages: number, seconds: number): Promise<Row> {
  const redis = await connectRedis(server.url);
  const jobs = new Jobs({ connection: redis.main, prefix: `bench-${randomUUID()}`, log: () => {} });
  const data = { lines: Array(messages).fill(LINE).join('\n') };
  const row = await measure(server.pid, `BullMQ: jobs of ${messages} message${messages > 1 ? 's' : ''}`, seconds, async (round) => {
    const added = Array.from({ length: JOBS_AT_A_TIME }, (_, i) => ({ id: `0.m.${round * JOBS_AT_A_TIME + i}`, data, delay: 0 }));
    await jobs.add(queueOf(0), added);
    const found = await jobs.next(0, JOBS_AT_A_TIME);
    if (found.length !== added.length) throw new Error(`${found.length} of ${added.length} jobs came`);
    await jobs.complete(
      0,
      found.map(({ id }) => id),
    );
    return JOBS_AT_A_TIME;
  });
  await jobs.close().catch(() => {}); // The connection is ours.
  redis.close();
  return row;
}

type Transaction = (session: ReturnType<MongoClient['startSession']>, slot: number, round: number) => Promise<unknown>;

async function transactionsOf(
  client: MongoClient,
  server: MongoServer,
  what: string,
  rows: number,
  seconds: number,
  write: Transaction,
): Promise<Row> {
  const leases = client.db().collection<LeaseDoc>('leases');
  const slots = Array.from({ length: SLOTS }, (_, slot) => ({ slot, session: client.startSession(), own: randomUUID() }));
  for (const { own } of slots) await leases.insertOne({ _id: own, owner: 'bench', epoch: 1, mark: 0 });
  const row = await measure(
    server.pid,
    what,
    seconds,
    async (round, slot) => {
      const { session, own } = slots[slot]!;
      session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority', j: true } });
      await leases.bulkWrite([{ updateOne: { filter: { _id: own, owner: 'bench', epoch: 1 }, update: { $set: { mark: round } } } }], { session });
      await write(session, slot, round);
      await session.commitTransaction();
      return rows;
    },
    SLOTS,
  );
  for (const { session } of slots) await session.endSession();
  return row;
}

function smallest(client: MongoClient): Transaction {
  const batches = client.db().collection<StoredBatch>('batches');
  return (session, slot, n) => {
    const lane = slot;
    const counts = [{ tenantId: 'tenant', owner: 'owner', n: 1 }];
    const batch = { _id: batchId({ lane, member: 'm', n, delayed: false }), lane, member: 'm', n, at: n, dueAt: null, total: 1, counts, lines: LINE };
    return batches.insertMany([batch], { session });
  };
}

const VALUES = { n: 1, temperature: 21.5, humidity: 43, battery: 3.3 };
const entities = Array.from({ length: DEVICES }, () => randomUUID());
const tenantId = randomUUID();

function samples(client: MongoClient): Transaction {
  const history = client.db().collection<StoredSample>('history');
  return (session, slot, round) =>
    history.insertMany(
      Array.from({ length: ROWS }, (_, i) => {
        const ts = (round * SLOTS + slot) * ROWS + i;
        return { _id: sampleId(entities[i % DEVICES]!, ts), tenantId, ts, v: VALUES };
      }),
      { session },
    );
}

function latest(client: MongoClient): Transaction {
  const collection = client.db().collection<StoredLatest>('latest');
  return (session, slot, round) => {
    // Two transactions never write the same devices here: that they wait for one another is not what is measured.
    const cells = Object.fromEntries(Object.entries(VALUES).map(([key, value]) => [`v.${key}`, [round, round, value]]));
    const update = { $max: cells, $setOnInsert: { tenantId } } as object;
    return collection.bulkWrite(
      entities.map((entity) => ({ updateOne: { filter: { _id: latestId(tenantId, `${entity}-${slot}`) }, update, upsert: true } })),
      { session },
    );
  };
}

/** Rounds one after the other, `sideBySide` of them, until the time is over. `round` returns what it comes to. */
async function measure(
  server: number,
  what: string,
  seconds: number,
  round: (n: number, slot: number) => Promise<number>,
  sideBySide = 1,
): Promise<Row> {
  for (let slot = 0; slot < sideBySide; slot++) await round(0, slot);
  const cpu = cpuMicrosOf(server);
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let done = 0;
  let rounds = 0;
  await Promise.all(
    Array.from({ length: sideBySide }, async (_, slot) => {
      for (let n = 1; performance.now() < end; n++) {
        const more = await round(n, slot);
        done += more;
        rounds++;
      }
    }),
  );
  const passed = (performance.now() - begin) / 1000;
  return {
    what,
    values: {
      'per s': thousands(done / passed),
      'rounds per s': thousands(rounds / passed),
      'server CPU µs each': ((cpuMicrosOf(server) - cpu) / done).toFixed(1),
    },
  };
}
