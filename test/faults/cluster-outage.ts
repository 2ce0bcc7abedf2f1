import type { ServerProcess } from '../support/server-process.ts';
import { type ClusterPlant, type ClusterVerdict, startClusterPlant } from './cluster-plant.ts';

/** What happens to a server: it is ended cleanly, killed, or hangs with its connections open. */
export const WAYS = ['stop', 'kill', 'hang'] as const;
export const SERVERS = ['redis', 'mongo', 'both'] as const;

export interface ClusterOutage {
  readonly server: (typeof SERVERS)[number];
  readonly way: (typeof WAYS)[number];
}

export const plannedOutages = (count: number): ClusterOutage[] =>
  Array.from({ length: count }, (_, i) => ({ server: SERVERS[i % SERVERS.length]!, way: WAYS[Math.floor(i / SERVERS.length) % WAYS.length]! }));

export interface ClusterOutageReport extends ClusterVerdict {
  readonly outages: number;
  readonly slowestNoticeMs: number;
  readonly slowestRecoveryMs: number;
  /** How much the processes together grew while a server was away, bytes; the most. */
  readonly grewBytes: number;
}

export interface ClusterOutageOptions {
  readonly outages: readonly ClusterOutage[];
  readonly awayMs: number;
  readonly perSecond: number;
  readonly fast?: boolean;
  readonly log?: (line: string) => void;
}

/** Redis, MongoDB or both go away under load and come back: everybody says so, nothing is lost, and it goes on by itself. */
export async function clusterOutages({ outages, awayMs, perSecond, fast, log = () => {} }: ClusterOutageOptions): Promise<ClusterOutageReport> {
  const plant = await startClusterPlant({ integrations: 1, fast });
  const { cluster } = plant;
  let slowestNoticeMs = 0;
  let slowestRecoveryMs = 0;
  let grewBytes = 0;
  try {
    const load = new AbortController();
    const loading = plant.publish(1_000_000, perSecond, load.signal);
    try {
      for (const [i, { server, way }] of outages.entries()) {
        await flowing(plant);
        const servers: ServerProcess[] = server === 'redis' ? [cluster.redis] : server === 'mongo' ? [cluster.mongo] : [cluster.redis, cluster.mongo];
        const before = residentOf(plant);
        const begin = performance.now();
        for (const each of servers) {
          if (way === 'hang') each.pause();
          else if (way === 'kill') await each.kill();
          else await each.stop();
        }
        const reasons = await unhealthy(plant);
        const noticedMs = performance.now() - begin;
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, awayMs - noticedMs)));
        grewBytes = Math.max(grewBytes, residentOf(plant) - before);
        for (const each of servers) {
          if (way === 'hang') each.resume();
          else await each.start();
        }
        const back = performance.now();
        await healthy(plant);
        await flowing(plant);
        const recoveredMs = performance.now() - back;
        slowestNoticeMs = Math.max(slowestNoticeMs, noticedMs);
        slowestRecoveryMs = Math.max(slowestRecoveryMs, recoveredMs);
        log(
          `outage ${i + 1} of ${outages.length}, ${server} ${way}: noticed after ${(noticedMs / 1000).toFixed(1)} s ("${reasons[0]}"), recovered after ${(recoveredMs / 1000).toFixed(1)} s`,
        );
      }
    } finally {
      load.abort();
      await loading;
    }
    return { outages: outages.length, slowestNoticeMs, slowestRecoveryMs, grewBytes, ...(await plant.verdict(log)) };
  } catch (cause) {
    log(cluster.output());
    throw cause;
  } finally {
    await plant.close();
  }
}

const residentOf = ({ cluster }: ClusterPlant): number => {
  const { main, children } = cluster.memory();
  return main + children.reduce((sum, bytes) => sum + bytes, 0);
};

async function healthOf(port: number): Promise<{ ok: boolean; reason: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(3000) });
  const { reason = '' } = (await response.json()) as { reason?: string };
  return { ok: response.status === 200, reason };
}

/** Every process says that it can not work, and why. */
async function unhealthy({ cluster }: ClusterPlant, deadlineMs = 20_000): Promise<string[]> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const found = await Promise.all(cluster.processes.map(({ port }) => healthOf(port)));
    if (found.every(({ ok, reason }) => !ok && reason !== '')) return found.map(({ reason }) => reason);
    if (Date.now() > end) throw new Error(`not noticed by all within ${deadlineMs} ms: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function healthy({ cluster }: ClusterPlant, deadlineMs = 60_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const found = await Promise.all(cluster.processes.map(({ port }) => healthOf(port)));
    if (found.every(({ ok }) => ok)) return;
    if (Date.now() > end) throw new Error(`not healthy again within ${deadlineMs} ms: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Messages are being stored. */
async function flowing({ stored }: ClusterPlant, deadlineMs = 60_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  let first: number | null = null;
  for (;;) {
    // An answer that does not come yet is none to compare with.
    const now = await stored().catch(() => null);
    first ??= now;
    if (now !== null && first !== null && now > first) return;
    if (Date.now() > end) throw new Error(`nothing is stored for ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
