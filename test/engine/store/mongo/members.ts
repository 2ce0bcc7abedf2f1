import type { TestContext } from 'node:test';
import { setTimeout as timer } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Collection } from 'mongodb';
import type { Holder, Lease, Placed, Role } from '#engine/cluster.ts';
import { Bus } from '#engine/queue/bullmq/bus.ts';
import { type Database, openDatabase } from '#engine/store/mongo/database.ts';
import { type Members, openCluster, type ProcessDoc } from '#engine/store/mongo/processes.ts';

export const BEAT_MS = 100;
export const GIVE_UP_MS = 600;
/** By these intervals everything is done in two seconds; a machine may be busy. */
export const BOUND_MS = 10_000;
export const LANES = Array.from({ length: 16 }, (_, lane) => String(lane));

export interface Instance {
  readonly members: Members;
  readonly db: Database;
  /** Names that it has been granted and that were not revoked, by kind. */
  readonly running: Record<Placed, Set<string>>;
  /** What befell it: `granted lane:3 1`, `revoked lane:3`, `adopt ID`. */
  readonly log: string[];
  readonly problems: unknown[];
  /** Its timers stand still, as after a SIGSTOP; what is under way comes to its end. */
  halt(): void;
  wake(): void;
  close(): Promise<void>;
}

export interface InstanceOptions {
  readonly url: string;
  readonly redis: string;
  readonly roles?: readonly Role[];
  readonly integrations?: () => readonly string[];
  readonly revoked?: (name: string) => Promise<void>;
  readonly hook?: (what: string, member: string, db: Database) => Promise<void>;
  readonly onPoint?: (name: string) => void;
}

export const processesOf = (db: Database): Collection<ProcessDoc> => db.collections.processes as unknown as Collection<ProcessDoc>;

/** A process of its own, as far as the servers can tell: own connections, own timers. */
export async function instance(options: InstanceOptions): Promise<Instance> {
  const { url, redis, roles = ['rules', 'integrations'], integrations, revoked = async () => {}, hook = async () => {}, onPoint } = options;
  const db = await openDatabase({ url, lanes: LANES.length, version: '1' });
  const bus = new Bus({ connect: () => new Redis(redis, { maxRetriesPerRequest: null }), prefix: db.name });
  let gate: { readonly opened: Promise<void>; readonly open: () => void } | null = null;
  const running = { lane: new Set<string>(), integration: new Set<string>() };
  const log: string[] = [];
  const problems: unknown[] = [];
  const hooked = (what: string) => async (member: string) => {
    log.push(`${what} ${member}`);
    await hook(what, member, db);
  };
  const members = await openCluster({
    client: db.client,
    processes: processesOf(db),
    leases: db.collections.leases,
    bus,
    roles,
    version: '1',
    hooks: { adopt: hooked('adopt'), release: hooked('release'), fold: hooked('fold') },
    beatMs: BEAT_MS,
    giveUpMs: GIVE_UP_MS,
    onPoint,
    onProblem: (cause) => void problems.push(cause),
    async sleep(ms, signal) {
      await timer(ms, undefined, { signal, ref: false }).catch(() => {});
      await gate?.opened;
    },
  });
  const holder = (kind: Placed, names: () => readonly string[]): Holder => ({
    names,
    granted(name: string, lease: Lease) {
      running[kind].add(name);
      log.push(`granted ${lease.name} ${lease.epoch}`);
    },
    async revoked(name: string) {
      await revoked(name);
      running[kind].delete(name);
      log.push(`revoked ${kind}:${name}`);
    },
  });
  members.hold(
    'lane',
    holder('lane', () => LANES),
  );
  if (integrations) members.hold('integration', holder('integration', integrations));
  return {
    members,
    db,
    running,
    log,
    problems,
    halt() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = { opened: promise, open: resolve };
    },
    wake() {
      gate?.open();
      gate = null;
    },
    async close() {
      gate?.open();
      gate = null;
      await members.close();
      bus.close();
      await db.close();
    },
  };
}

/** Even, each name at one instance, and the leases say the same. */
export function isEven(instances: readonly Instance[], kind: Placed = 'lane', names: readonly string[] = LANES): boolean {
  const counts = instances.map(({ running }) => running[kind].size);
  const all = instances.flatMap(({ running }) => [...running[kind]]).sort();
  return (
    Math.max(...counts) - Math.min(...counts) <= 1 &&
    JSON.stringify(all) === JSON.stringify([...names].sort()) &&
    instances.every(({ members, running }) => [...running[kind]].every((name) => members.leaseOf(kind, name) !== null))
  );
}

/** An installation, whose instances end with the test. */
export function installed(t: TestContext, servers: Pick<InstanceOptions, 'url' | 'redis'>) {
  const opened = new Set<Instance>();
  t.after(() => Promise.all([...opened].map((each) => each.close())));
  return {
    async start(options: Partial<InstanceOptions> = {}): Promise<Instance> {
      const started = await instance({ ...servers, ...options });
      opened.add(started);
      return started;
    },
    async gone(each: Instance): Promise<void> {
      opened.delete(each);
      await each.close();
    },
  };
}
