import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { ProcessInfo, Role } from '#engine/cluster.ts';
import { clientOf } from './client.ts';
import { freshDatabase, type MongoServer, startMongo } from './mongo.ts';
import type { Product } from './product.ts';
import { type ProductProcess, productProcess } from './product-process.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { freePort, temporaryFolder } from './servers.ts';

export interface ClusterOptions {
  /** How many processes of each role; the shape of docker-compose.yml is the default. */
  readonly api?: number;
  readonly integrations?: number;
  readonly rules?: number;
  /** Further processes with these roles. */
  readonly mixed?: readonly (readonly Role[])[];
  /** Default: servers of its own, ended by `close()`. */
  readonly mongo?: MongoServer;
  readonly redis?: RedisServer;
  readonly fast?: boolean;
  readonly env?: Record<string, string>;
  readonly nodeFlags?: readonly string[];
  readonly lanes?: number;
}

export interface ClusterProcess extends ProductProcess {
  readonly roles: readonly Role[];
}

/**
 * Several processes of the product on one Redis and MongoDB, as `docker compose up` or `npm run start:cluster` start them. Towards tests it is a `Product`: its URL
 * is the first api process', and what is done to it is done to all of them.
 */
export interface ProductCluster extends Product {
  readonly processes: readonly ClusterProcess[];
  readonly mongo: MongoServer;
  readonly redis: RedisServer;
  /** URL with the database of this cluster. */
  readonly mongoUrl: string;
  of(role: Role): ClusterProcess[];
  add(...roles: Role[]): Promise<ClusterProcess>;
  /** Who is there, as an api process says. */
  list(): Promise<ProcessInfo[]>;
  /** Resolves when everybody who runs is listed and every lane is held by one of them. */
  settled(deadlineMs?: number): Promise<ProcessInfo[]>;
}

export async function startCluster(options: ClusterOptions = {}): Promise<ProductCluster> {
  const { api = 1, integrations = 1, rules = 2, mixed = [], lanes = 16 } = options;
  const [mongo, redis] = await Promise.all([options.mongo ?? startMongo({ fast: options.fast ?? false }), options.redis ?? startRedis()]);
  const mongoUrl = freshDatabase(mongo);
  const dataFolder = temporaryFolder('cluster');
  const env = {
    MONGODB_URL: mongoUrl,
    REDIS_URL: redis.url,
    FIELDBRIDGE_KEY: randomBytes(32).toString('hex'),
    LANES: String(lanes),
    ...options.env,
  };
  const processes: ClusterProcess[] = [];

  async function make(roles: readonly Role[]): Promise<ClusterProcess> {
    const made = productProcess({ port: await freePort(), dataFolder, nodeFlags: options.nodeFlags ?? [], env: { ...env, ROLES: roles.join(',') } });
    const process: ClusterProcess = Object.defineProperties({} as ClusterProcess, {
      ...Object.getOwnPropertyDescriptors(made),
      roles: { value: roles },
    });
    processes.push(process);
    return process;
  }
  const times = (count: number, role: Role): Role[][] => Array.from({ length: count }, () => [role]);
  for (const roles of [...times(api, 'api'), ...times(integrations, 'integrations'), ...times(rules, 'rules'), ...mixed]) await make(roles);

  const first = processes.find(({ roles }) => roles.includes('api'));
  if (!first) throw new Error('a cluster without an api process can not be spoken to');
  const url = `http://127.0.0.1:${first.port}`;
  const client = clientOf(url);
  const all = <T>(of: (process: ClusterProcess) => Promise<T>): Promise<T[]> => Promise.all(processes.map(of));
  const list = async (): Promise<ProcessInfo[]> => client.call('GET', '/api/system/processes');

  async function settled(deadlineMs = 20_000): Promise<ProcessInfo[]> {
    const end = Date.now() + deadlineMs;
    for (;;) {
      const found = await list().catch((cause: unknown) => cause as Error);
      if (Array.isArray(found)) {
        const running = processes.filter((process) => process.running).map(({ pid }) => pid);
        const held = found.flatMap((process) => process.lanes).sort((a, b) => a - b);
        if (running.length === found.length && running.every((pid) => found.some((process) => process.pid === pid)) && held.length === lanes)
          return found;
      }
      if (Date.now() > end) throw new Error(`the cluster has not settled: ${found instanceof Error ? found.message : JSON.stringify(found)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  const cluster: ProductCluster = Object.defineProperties({} as ProductCluster, {
    ...Object.getOwnPropertyDescriptors(client),
    ...Object.getOwnPropertyDescriptors({
      processes,
      mongo,
      redis,
      mongoUrl,
      url,
      dataFolder,
      port: first.port,
      get pid() {
        return first.pid;
      },
      get running() {
        return processes.some((process) => process.running);
      },
      get startedInMs() {
        return Math.max(...processes.map(({ startedInMs }) => startedInMs));
      },
      output: () => processes.map((process) => `-- ${process.roles} ${process.pid}\n${process.output()}`).join('\n'),
      ended: async () => (await all((process) => process.ended()))[0]!,
      kill: async () => void (await all((process) => process.kill())),
      stop: async () => Math.max(...(await all((process) => process.stop()))),
      async start(more?: Record<string, string>) {
        // The first of them makes the tables, users and keys; the others need not wait for one another.
        if (!first.running) await first.start(more);
        await all(async (process) => {
          if (!process.running) await process.start(more);
        });
        client.token ||= await client.login();
        await settled();
      },
      async close() {
        await all((process) => process.close());
        if (!options.redis) await redis.close();
        if (!options.mongo) await mongo.close();
        rmSync(dataFolder, { recursive: true, force: true });
      },
      cpuMicros: () => processes.reduce((sum, process) => sum + process.cpuMicros(), 0),
      memory() {
        const found = processes.map((process) => process.memory());
        return { main: found.reduce((sum, { main }) => sum + main, 0), children: found.flatMap(({ children }) => children) };
      },
      of: (role: Role) => processes.filter(({ roles }) => roles.includes(role)),
      async add(...roles: Role[]) {
        const added = await make(roles);
        await added.start();
        return added;
      },
      list,
      settled,
    }),
    token: {
      get: () => client.token,
      set: (token: string) => {
        client.token = token;
      },
    },
  });
  try {
    await cluster.start();
  } catch (cause) {
    await cluster.close();
    throw cause;
  }
  return cluster;
}
