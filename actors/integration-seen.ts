import { randomUUID } from 'node:crypto';
import type { Cluster } from '#engine/cluster.ts';

/** What one process has seen of an integration since its start. */
export interface Seen {
  readonly lastUplinkAt: number | null;
  /** Messages of the last 24 hours, oldest first. */
  readonly series: readonly number[];
}

export interface SeenOptions {
  readonly cluster: Cluster;
  readonly own: () => Iterable<readonly [integrationId: string, Seen]>;
  readonly now: () => number;
}

/** @param hour of the last element of the series. */
type Told = readonly [integrationId: string, lastUplinkAt: number | null, series: readonly number[], hour: number];

const TOPIC = 'integrations.seen';
const TELL_MS = 1000;
/** Everything, for processes that have come since. */
const TELL_ALL_MS = 30_000;
const HOUR_MS = 3_600_000;

/** Uplinks of one integration may come in by several processes: each tells the others once a second what is new, and everybody shows the whole. */
export function createSeen({ cluster, own, now }: SeenOptions): {
  /** Of all processes, with what this one has seen itself. */
  all(integrationId: string, own: Seen): Seen;
  close(): void;
} {
  // Not the id that the cluster gives: that one changes when the process was given up for a while, and would count twice.
  const me = randomUUID();
  const others = new Map<string, Map<string, Told>>();
  const told = new Map<string, string>();
  let toldAllAt = now();

  function tell(): void {
    const everything = now() - toldAllAt >= TELL_ALL_MS;
    if (everything) toldAllAt = now();
    const hour = Math.floor(now() / HOUR_MS);
    const news: Told[] = [];
    for (const [id, { lastUplinkAt, series }] of own()) {
      const state = `${lastUplinkAt} ${series.at(-1)}`;
      const isNew = told.get(id) !== state && (lastUplinkAt !== null || series.at(-1) !== 0);
      if (!isNew && !(everything && told.has(id))) continue;
      told.set(id, state);
      news.push([id, lastUplinkAt, series, hour]);
    }
    if (news.length > 0) cluster.publish(TOPIC, { from: me, news });
  }

  const unsubscribe = cluster.subscribe(TOPIC, (data) => {
    const { from, news } = data as { from: string; news: readonly Told[] };
    if (from === me) return;
    const of = others.get(from) ?? new Map<string, Told>();
    others.set(from, of);
    for (const entry of news) of.set(entry[0], entry);
  });
  const timer = setInterval(tell, TELL_MS).unref();

  return {
    all(integrationId, { lastUplinkAt, series }) {
      const hour = Math.floor(now() / HOUR_MS);
      const sum = [...series];
      let last = lastUplinkAt;
      for (const of of others.values()) {
        const [, at = null, theirs = [], theirHour = hour] = of.get(integrationId) ?? [];
        if (at !== null) last = Math.max(last ?? 0, at);
        for (const [i, count] of theirs.entries()) {
          const place = i - (hour - theirHour);
          if (place >= 0 && place < sum.length) sum[place]! += count;
        }
      }
      return { lastUplinkAt: last, series: sum };
    },
    close() {
      clearInterval(timer);
      unsubscribe();
    },
  };
}
