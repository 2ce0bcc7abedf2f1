import type { Role } from '#engine/cluster.ts';
import type { ClusterProcess } from '../support/cluster.ts';
import { type ClusterPlant, type ClusterVerdict, startClusterPlant } from './cluster-plant.ts';
import { seeded } from './kill.ts';

/** Where a process of a role is when it is killed. */
export const CLUSTER_POINTS: Readonly<Record<'integrations' | 'rules', readonly string[]>> = {
  integrations: ['before-commit', 'after-commit', 'before-dispatch', 'after-dispatch', 'before-ack', 'mid-downlink'],
  rules: ['before-commit', 'after-commit', 'before-dispatch', 'after-dispatch', 'mid-chain', 'lease-taken', 'lease-ended'],
};

export type ClusterKill = { readonly role: Role | 'all'; readonly point: string | null; readonly nth: number; readonly afterMs: number };

/** The roles in turn, then all of them; each at a random moment, then at one of its points. */
export function plannedClusterKills(count: number, seed: number): ClusterKill[] {
  const random = seeded(seed);
  const turns: (readonly [Role | 'all', string | null])[] = [
    ['api', null],
    ...(['integrations', 'rules'] as const).flatMap((role) => [
      [role, null] as const,
      ...CLUSTER_POINTS[role].map((point) => [role, point] as const),
    ]),
    ['all', null],
  ];
  return Array.from({ length: count }, (_, i) => {
    const [role, point] = turns[i % turns.length]!;
    // Leases are taken and given all at once, downlinks are few, transactions many.
    const most = point?.startsWith('lease') ? 1 : point === 'mid-downlink' ? 2 : 20;
    return { role, point, nth: 1 + Math.floor(random() * most), afterMs: 200 + random() * 1500 };
  });
}

const ALONE_MS = 1500;
const BACKLOG_PER_SECOND = 5000;

export interface ClusterKillReport extends ClusterVerdict {
  readonly kills: number;
  /** Slowest moment at which others had everything of the dead one, ms. */
  readonly slowestTakeOverMs: number;
  readonly notReached: readonly string[];
}

export interface ClusterKillOptions {
  readonly kills: readonly ClusterKill[];
  /** Messages in flight when it dies, as fast as the broker takes them. */
  readonly backlog: number;
  /** After those. */
  readonly perSecond: number;
  readonly fast?: boolean;
  readonly log?: (line: string) => void;
}

/** Processes die again and again under QoS 1 load, one role or all; in the end everything is stored, in order, and the ledger agrees. */
export async function clusterKillRuns({ kills, backlog, perSecond, fast, log = () => {} }: ClusterKillOptions): Promise<ClusterKillReport> {
  const plant = await startClusterPlant({ fast });
  const { cluster } = plant;
  const notReached: string[] = [];
  let slowestTakeOverMs = 0;
  try {
    for (const [i, kill] of kills.entries()) {
      const load = new AbortController();
      const loading = plant.publish(backlog, BACKLOG_PER_SECOND).then(() => plant.publish(1_000_000, perSecond, load.signal));
      try {
        const victims = await victimsOf(plant, kill);
        if (kill.point === null) {
          await new Promise((resolve) => setTimeout(resolve, kill.afterMs));
          await Promise.all(victims.map((victim) => victim.kill()));
        } else if (kill.role !== 'all' && !(await diesAt(plant, victims[0]!, { ...kill, role: kill.role })))
          notReached.push(`${kill.role} at ${kill.point}:${kill.nth}`);
        const died = performance.now();
        const what = `kill ${i + 1} of ${kills.length}: ${kill.role} ${kill.point === null ? 'at random' : `at ${kill.point}:${kill.nth}`}`;
        if (kill.role === 'integrations' || kill.role === 'rules') {
          await takenOver(plant);
          const tookMs = performance.now() - died;
          slowestTakeOverMs = Math.max(slowestTakeOverMs, tookMs);
          log(`${what}, taken over in ${(tookMs / 1000).toFixed(1)} s`);
        } else log(what);
        for (const process of cluster.processes) if (!process.running) await process.start();
        await cluster.settled();
      } finally {
        load.abort();
        await loading;
      }
    }
    return { kills: kills.length, slowestTakeOverMs, notReached, ...(await plant.verdict(log)) };
  } catch (cause) {
    log(cluster.output());
    throw cause;
  } finally {
    await plant.close();
  }
}

/** Of a role: the one that has the most to do. */
async function victimsOf({ cluster, integration }: ClusterPlant, { role }: ClusterKill): Promise<ClusterProcess[]> {
  if (role === 'all') return [...cluster.processes];
  if (role === 'api') return cluster.of('api');
  const listed = await cluster.list();
  const holder =
    role === 'integrations'
      ? listed.find(({ integrations }) => integrations.includes(integration.id.id))
      : listed.toSorted((a, b) => b.lanes.length - a.lanes.length)[0];
  const found = cluster.of(role).filter(({ pid }) => pid === holder?.pid);
  return found.length > 0 ? found : [cluster.of(role)[0]!];
}

/**
 * Started anew, and alone in its role, so that it has everything to do and ends itself at the point; the others come back when it works. False: it had not passed
 * the point in time, and was killed.
 */
async function diesAt({ cluster }: ClusterPlant, victim: ClusterProcess, { role, point, nth }: ClusterKill & { role: Role }): Promise<boolean> {
  const others = cluster.of(role).filter((process) => process !== victim);
  await Promise.all([victim, ...others].map((process) => process.stop()));
  await victim.start({ FIELDBRIDGE_KILL_AT: `${point}:${nth}` }).catch((cause: unknown) => {
    // It may reach its point before it answers.
    if (victim.running) throw cause;
  });
  const died = victim.ended().then(() => true);
  await Promise.race([died, new Promise((resolve) => setTimeout(resolve, ALONE_MS))]);
  await Promise.all(others.map((process) => process.start()));
  if (await Promise.race([died, new Promise<false>((resolve) => setTimeout(() => resolve(false), 15_000))])) return true;
  await victim.kill();
  return false;
}

/** Every lane and the integration are held by processes that live. */
async function takenOver({ cluster, integration }: ClusterPlant, deadlineMs = 30_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const alive = new Set(cluster.processes.filter((process) => process.running).map(({ pid }) => pid));
    const listed = (await cluster.list()).filter(({ pid }) => alive.has(pid));
    const lanes = listed.reduce((sum, { lanes }) => sum + lanes.length, 0);
    if (lanes === 16 && listed.some(({ integrations }) => integrations.includes(integration.id.id))) return;
    if (Date.now() > end) throw new Error(`not taken over within ${deadlineMs} ms: ${JSON.stringify(listed)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
