import { connect } from '#engine/store/mongo/database.ts';
import { type ClusterProcess, type ProductCluster, startCluster } from '../test/support/cluster.ts';
import { type MongoServer, startMongo } from '../test/support/mongo.ts';
import { startProduct } from '../test/support/product.ts';
import { cpuMicrosOf } from '../test/support/product-process.ts';
import { type RedisServer, startRedis } from '../test/support/redis.ts';
import { findProgram } from '../test/support/servers.ts';
import { eventually } from '../test/support/tenant.ts';
import answer from './answer.ts';
import { ceilings } from './ceilings.ts';
import downlink from './downlink.ts';
import { type BenchOptions, mean, type Result, type Row, thousands } from './measure.ts';
import { startPlant } from './plant.ts';
import uplink from './uplink.ts';

/** Null: it can be run. */
export const clusterNeeds = (): string | null =>
  findProgram('secantusd-rs') && findProgram('redis-server')
    ? null
    : 'needs Redis and the faster MongoDB-compatible server: test/servers install redis mongo-fast';

/**
 * Several processes on Redis and MongoDB: (a), (b), (c) on them and on the embedded shape, what the two servers can do at most, and one rules process against two.
 * Everything is on this machine and shares its cores: CPU time says more than messages a second.
 */
export default async function cluster(options: BenchOptions): Promise<Result[]> {
  const needs = clusterNeeds();
  if (needs) throw new Error(needs);
  const [redis, mongo] = [await startRedis(), await startMongo({ fast: true })];
  try {
    const servers = { redis, mongo };
    const results = [await ceilings(redis, mongo, options.short ? 1 : 3)];
    for (const workload of [uplink, answer, downlink]) results.push(await onBoth(workload, options, servers));
    results.push(await rulesProcesses(options, servers));
    return results;
  } finally {
    await redis.close();
    await mongo.close();
  }
}

interface Servers {
  readonly redis: RedisServer;
  readonly mongo: MongoServer;
}

async function onBoth(workload: (options: BenchOptions) => Promise<Result>, options: BenchOptions, servers: Servers): Promise<Result> {
  // Counts that a machine of two cores gets through in the time.
  const small = { ...options, alone: true, brief: true };
  const embedded = await workload({ ...small, start: () => startProduct({ nodeFlags: options.nodeFlags }) });
  const jobs: string[] = [];
  const split = await workload({
    ...small,
    async start() {
      const product = await startCluster({ ...servers, nodeFlags: options.nodeFlags });
      await withoutSlots(product);
      const { close } = product;
      product.close = async () => {
        if (product.running) jobs.push(jobsNote(await countedBy(product)));
        await close();
      };
      return product;
    },
  });
  // What these must be is said of the embedded shape in workloads of its own.
  const named = (shape: string, { rows }: Result): Row[] => rows.map(({ what, values }) => ({ what: `${shape}: ${what}`, values }));
  const notes = [...embedded.notes.map((note) => `embedded: ${note}`), ...split.notes.map((note) => `split: ${note}`), ...jobs];
  return {
    title: `${split.title}; embedded, and split over 4 processes`,
    rows: [...named('embedded', embedded), ...named('split', split)],
    notes: notes.map(wrongFirst),
  };
}

/**
 * SecantusDB (compiled, 0.5.3) never frees a value of a unique index when a document gives it up: no pending downlink could be replaced. That index only matters where two
 * processes fill the slot of one device at the same time, which no device of these workloads has.
 */
async function withoutSlots({ mongoUrl }: ProductCluster): Promise<void> {
  const client = await connect(mongoUrl);
  await client.db().collection('downlinks').dropIndex('slot_1');
  await client.close();
}

/** The runner looks for these words at the beginning. */
const wrongFirst = (note: string): string => note.replace(/^(\w+): (LOST|WRONG): /, '$2: $1: ');

interface Counted {
  readonly cpu: ReadonlyMap<ClusterProcess, number>;
  readonly mongo: number;
  readonly redis: number;
  /** Of each process, done: jobs and messages. */
  readonly jobs: ReadonlyMap<ClusterProcess, { readonly jobs: number; readonly messages: number }>;
}

async function countedBy({ processes, mongo, redis }: ProductCluster): Promise<Counted> {
  const living = processes.filter((process) => process.running);
  const jobs = await Promise.all(
    living.map(async (process) => {
      const metrics = await (await fetch(`http://127.0.0.1:${process.port}/metrics`)).text();
      const of = (name: string): number =>
        Number(metrics.match(new RegExp(`^fieldbridge_queue_${name}_total\\{step="done"\\} (\\d+)`, 'm'))?.[1] ?? 0);
      return [process, { jobs: of('jobs'), messages: of('job_messages') }] as const;
    }),
  );
  const cpu = living.map((process) => [process, process.cpuMicros()] as const);
  return { cpu: new Map(cpu), mongo: cpuMicrosOf(mongo.pid), redis: cpuMicrosOf(redis.pid), jobs: new Map(jobs) };
}

function jobsNote({ jobs }: Counted): string {
  const sum = (unit: 'jobs' | 'messages') => [...jobs.values()].reduce((all, each) => all + each[unit], 0);
  return `split: ${thousands(sum('jobs'))} jobs, ${(sum('messages') / Math.max(1, sum('jobs'))).toFixed(1)} messages each`;
}

/** One turn of a number of rules processes. */
interface Turn {
  readonly perSecond: number;
  readonly jobsPerSecond: number;
  readonly messagesPerJob: number;
  /** CPU µs by message: of all rules processes, and of the one that used the most. */
  readonly rules: number;
  readonly busiest: number;
  readonly integrations: number;
  readonly api: number;
  readonly mongo: number;
  readonly redis: number;
}

const LANES_MS = 30_000;

/**
 * How much more two rules processes can do than one, had each of them cores of its own: messages a CPU second of the busiest process (with its script hosts).
 * Twice as much is what there is to gain; what is lost of it are uneven shares, smaller batches and transactions, and what a process needs for itself. Far below a
 * whole core (`of a core`) the last of these is most of it, and the ratio says little of the limit.
 */
async function rulesProcesses(options: BenchOptions, servers: Servers): Promise<Result> {
  const count = options.short ? 10_000 : 30_000;
  const devices = 200;
  let started: ProductCluster | null = null;
  const plant = await startPlant({
    ...options,
    start: async () => {
      started = await startCluster({ ...servers, rules: 1, nodeFlags: options.nodeFlags });
      return started;
    },
  });
  try {
    const product = started as unknown as ProductCluster;
    await plant.run(count / 4, devices);
    const one: Turn[] = [];
    const two: Turn[] = [];
    for (const processes of [1, 2, 2, 1]) {
      if (processes === 2 && two.length === 0) await product.add('rules');
      const rules = product.of('rules').filter((process) => process.running);
      if (processes === 1 && rules.length === 2) await rules[1]!.stop();
      await even(product, processes);
      const before = await countedBy(product);
      const { perSecond } = await plant.run(count, devices);
      (processes === 1 ? one : two).push(turnOf(before, await countedBy(product), count, perSecond));
    }
    const gain = mean(one.map((turn) => turn.busiest)) / mean(two.map((turn) => turn.busiest));
    const lost = await plant.check(devices);
    return {
      title: `one rules process against two: (a), ${thousands(count)} messages of ${devices} devices a turn; CPU µs by message of each`,
      rows: [
        turnRow('1 rules process', one),
        turnRow('2 rules processes', two),
        { what: 'capacity, by CPU of the busiest', values: { busiest: `${gain.toFixed(2)}×` }, must: { text: '≥ 1.7×', met: gain >= 1.7 } },
      ],
      notes: lost.length > 0 ? lost.map((each) => `LOST: ${each}`) : ['sent = stored, by sequence number'],
    };
  } finally {
    await plant.close();
  }
}

/** Resolves when each of so many rules processes has its share of the lanes. */
async function even(product: ProductCluster, processes: number): Promise<void> {
  await product.settled();
  await eventually(
    `the lanes are shared by ${processes}`,
    async () => {
      const shares = (await product.list()).filter(({ roles }) => roles.includes('rules')).map(({ lanes }) => lanes.length);
      return shares.length === processes && Math.max(...shares) - Math.min(...shares) <= 1;
    },
    { deadlineMs: LANES_MS, everyMs: 100 },
  );
}

function turnOf(before: Counted, after: Counted, count: number, perSecond: number): Turn {
  const cpuOf = (process: ClusterProcess) => (after.cpu.get(process)! - (before.cpu.get(process) ?? 0)) / count;
  const of = (role: string) => [...after.cpu.keys()].filter(({ roles }) => roles.some((each) => each === role)).map(cpuOf);
  const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0);
  const counted = (unit: 'jobs' | 'messages') =>
    sum(Array.from(after.jobs, ([process, each]) => each[unit] - (before.jobs.get(process)?.[unit] ?? 0)));
  return {
    perSecond,
    jobsPerSecond: (counted('jobs') / count) * perSecond,
    messagesPerJob: counted('messages') / counted('jobs'),
    rules: sum(of('rules')),
    busiest: Math.max(...of('rules')),
    integrations: sum(of('integrations')),
    api: sum(of('api')),
    mongo: (after.mongo - before.mongo) / count,
    redis: (after.redis - before.redis) / count,
  };
}

function turnRow(what: string, turns: readonly Turn[]): Row {
  const of = (read: (turn: Turn) => number): number => mean(turns.map(read));
  return {
    what,
    values: {
      'msg/s': thousands(of((turn) => turn.perSecond)),
      'jobs/s': thousands(of((turn) => turn.jobsPerSecond)),
      'msg/job': of((turn) => turn.messagesPerJob).toFixed(1),
      rules: of((turn) => turn.rules).toFixed(1),
      busiest: of((turn) => turn.busiest).toFixed(1),
      'busiest, by turn': turns.map((turn) => turn.busiest.toFixed(1)).join(' '),
      'of a core': `${(of((turn) => turn.busiest * turn.perSecond) / 10_000).toFixed(0)} %`,
      integrations: of((turn) => turn.integrations).toFixed(1),
      api: of((turn) => turn.api).toFixed(1),
      MongoDB: of((turn) => turn.mongo).toFixed(1),
      Redis: of((turn) => turn.redis).toFixed(1),
    },
  };
}
