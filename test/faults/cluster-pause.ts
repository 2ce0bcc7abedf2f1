import { type ClusterVerdict, startClusterPlant } from './cluster-plant.ts';

export interface ClusterPauseReport extends ClusterVerdict {
  /** From the moment a process stands still until others have its work, ms; the slowest. */
  readonly slowestTakeOverMs: number;
  /** Lanes that the process had again some seconds after it went on; by role. */
  readonly backWithLanes: number;
}

export interface ClusterPauseOptions {
  readonly awayMs: number;
  readonly perSecond: number;
  readonly fast?: boolean;
  readonly log?: (line: string) => void;
}

/**
 * A holder of lanes, then the holder of the integration, stands still (SIGSTOP) for longer than a lease lasts and goes on with everything that it had in its hands:
 * what it still writes must be refused.
 */
export async function clusterPauses({ awayMs, perSecond, fast, log = () => {} }: ClusterPauseOptions): Promise<ClusterPauseReport> {
  const plant = await startClusterPlant({ fast });
  const { cluster, integration } = plant;
  let slowestTakeOverMs = 0;
  let backWithLanes = 0;
  try {
    const load = new AbortController();
    const loading = plant.publish(1_000_000, perSecond, load.signal);
    try {
      for (const role of ['rules', 'integrations'] as const) {
        await new Promise((resolve) => setTimeout(resolve, 1500));
        const isHolder = ({ lanes, integrations }: { lanes: readonly number[]; integrations: readonly string[] }) =>
          role === 'rules' ? lanes.length > 0 : integrations.includes(integration.id.id);
        const holder = (await cluster.list()).find(isHolder)!;
        const victim = cluster.of(role).find(({ pid }) => pid === holder.pid)!;
        victim.pause();
        const stopped = performance.now();
        const all = role === 'rules' ? holder.lanes.length : 1;
        await until(
          async () => {
            const others = (await cluster.list()).filter(({ pid }) => pid !== victim.pid);
            return role === 'rules'
              ? others.reduce((sum, { lanes }) => sum + lanes.length, 0) === 16
              : others.some(({ integrations }) => integrations.includes(integration.id.id));
          },
          `others have the ${all} of ${role}`,
          30_000,
        );
        const tookMs = performance.now() - stopped;
        slowestTakeOverMs = Math.max(slowestTakeOverMs, tookMs);
        log(`${role} stands still: taken over in ${(tookMs / 1000).toFixed(1)} s`);
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, awayMs - tookMs)));
        victim.resume();
        await until(
          async () =>
            (await cluster.list()).some(
              ({ pid, lanes, silentMs }) => pid === victim.pid && silentMs < 5000 && (role !== 'rules' || lanes.length > 0),
            ),
          `the ${role} process takes part again`,
          30_000,
        );
        if (role === 'rules') backWithLanes = (await cluster.list()).find(({ pid }) => pid === victim.pid)!.lanes.length;
        log(`${role} goes on, and takes part again`);
      }
    } finally {
      load.abort();
      await loading;
    }
    return { slowestTakeOverMs, backWithLanes, ...(await plant.verdict(log)) };
  } catch (cause) {
    log(cluster.output());
    throw cause;
  } finally {
    await plant.close();
  }
}

async function until(holds: () => Promise<boolean>, what: string, deadlineMs: number): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
