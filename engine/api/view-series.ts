import type { EntityRef } from '../message.ts';
import type { HistoryQuery, Point } from '../store.ts';
import type { ApiContext } from './context.ts';
import type { Target } from './telemetry-target.ts';

/** Time series as a route reads them. */
export interface Series {
  /** Newest values; of the keys that it has, when none are named. */
  latest(keys: readonly string[]): Promise<ReadonlyMap<string, Point>>;
  history(range: HistoryQuery): Promise<ReadonlyMap<string, readonly Point[]>>;
}

interface View {
  readonly entityId: EntityRef | null;
  readonly keys: { readonly timeseries?: readonly string[] | null } | null;
  /** 0: open. */
  readonly startTimeMs: number;
  readonly endTimeMs: number;
}

/** An entity's own, or what an entity view shows of another one's: the keys that it names (none: all) within its time. */
export async function seriesOf({ backend }: ApiContext, { tenantId, ref }: Target): Promise<Series> {
  const { store } = backend;
  if (ref.entityType !== 'ENTITY_VIEW') {
    return {
      latest: (keys) => store.latest(tenantId, ref, keys.length > 0 ? keys : undefined),
      history: (range) => store.history(tenantId, ref, range),
    };
  }
  const doc = await store.doc('ENTITY_VIEW', tenantId, ref.id);
  const { entityId: source, keys: named, startTimeMs, endTimeMs } = (doc?.body ?? { entityId: null }) as unknown as View;
  if (!source) return { latest: async () => new Map(), history: async () => new Map() };
  const shown = named?.timeseries ?? [];
  const visible = (keys: readonly string[]) => (shown.length === 0 ? keys : keys.filter((key) => shown.includes(key)));
  // Ends are inclusive in a view, exclusive in a range.
  const last = endTimeMs > 0 ? endTimeMs + 1 : Number.MAX_SAFE_INTEGER;
  return {
    async latest(keys) {
      const wanted = visible(keys.length > 0 ? keys : shown);
      if (keys.length > 0 && wanted.length === 0) return new Map();
      const found = await store.latest(tenantId, source, wanted.length > 0 ? wanted : undefined);
      const points = [...found].filter(([, { ts }]) => ts >= startTimeMs && ts < last);
      // What is newer than the view hides what the view shows.
      const hidden = [...found].filter(([, { ts }]) => ts >= last).map(([key]) => key);
      if (hidden.length === 0) return new Map(points);
      const range = { keys: hidden, startTs: startTimeMs, endTs: last, aggregation: 'NONE', limit: 1, order: 'DESC' } as const;
      const older = await store.history(tenantId, source, range);
      return new Map([...points, ...[...older].flatMap(([key, [point]]) => (point ? [[key, point] as const] : []))]);
    },
    async history(range) {
      const keys = visible(range.keys);
      const [startTs, endTs] = [Math.max(range.startTs, startTimeMs), Math.min(range.endTs, last)];
      if (keys.length === 0 || startTs >= endTs) return new Map();
      return store.history(tenantId, source, { ...range, keys, startTs, endTs });
    },
  };
}
