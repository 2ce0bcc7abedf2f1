import type { EntityRef } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import type { Point, Store } from '#engine/store.ts';
import type { TelemetryWrite, Work } from '#engine/work.ts';

/** Telemetry that the batch wrote so far, by entity. */
export class PendingTelemetry {
  private readonly work: Work;
  private readonly byEntity = new Map<string, TelemetryWrite[]>();
  private seen = 0;

  constructor(work: Work) {
    this.work = work;
  }

  forget(): void {
    this.byEntity.clear();
    this.seen = 0;
  }

  of(entity: EntityRef): readonly TelemetryWrite[] | undefined {
    for (; this.seen < this.work.telemetry.length; this.seen++) {
      const write = this.work.telemetry[this.seen]!;
      const writes = this.byEntity.get(write.entity.id);
      if (writes) writes.push(write);
      else this.byEntity.set(write.entity.id, [write]);
    }
    return this.byEntity.get(entity.id);
  }
}

export interface TelemetryClock {
  now(): number;
  /** 0: for ever. */
  defaultTtlMs(): number;
}

export function telemetryServices(
  tenantId: string,
  work: Work,
  pending: PendingTelemetry,
  store: Pick<Store, 'latest' | 'history'>,
  { now, defaultTtlMs }: TelemetryClock,
): Services['telemetry'] {
  return {
    save(entity, ts, values, { ttlMs = 0, history = true, latest = true } = {}) {
      if (values.length === 0 || !(history || latest)) return;
      // Counted from now, not from the value's time: what arrives late is not gone at once.
      const ttl = ttlMs > 0 ? ttlMs : defaultTtlMs();
      work.telemetry.push({ tenantId, entity, ts, values, expiresAt: ttl > 0 ? now() + ttl : null, history, latest });
    },
    async latest(entity, keys) {
      const writes = pending.of(entity);
      const found = await store.latest(tenantId, entity, keys);
      if (!writes) return found;
      const asked = new Set(keys);
      const points = new Map(found);
      for (const { ts, values, latest } of writes) {
        if (!latest) continue;
        for (const [key, value] of values) if (asked.has(key) && ts >= (points.get(key)?.ts ?? -Infinity)) points.set(key, { ts, value });
      }
      return points;
    },
    /** Rows of the batch itself are seen by NONE; an aggregation sees what is committed. */
    async history(entity, query) {
      const { keys, startTs, endTs, aggregation, limit, order } = query;
      const writes = pending.of(entity);
      const buckets = aggregation === 'NONE' ? undefined : [startTs];
      const found = await store.history(tenantId, entity, { keys, startTs, endTs, aggregation, limit, order, buckets });
      if (!writes || aggregation !== 'NONE') return found;
      const rows = new Map<string, Map<number, Point>>();
      for (const [key, points] of found) rows.set(key, new Map(points.map((point) => [point.ts, point])));
      for (const { ts, values, history } of writes) {
        if (!history || ts < startTs || ts >= endTs) continue;
        for (const [key, value] of values) {
          if (!keys.includes(key)) continue;
          if (!rows.has(key)) rows.set(key, new Map());
          rows.get(key)!.set(ts, { ts, value });
        }
      }
      const sign = order === 'ASC' ? 1 : -1;
      return new Map([...rows].map(([key, points]) => [key, [...points.values()].sort((a, b) => sign * (a.ts - b.ts)).slice(0, limit)]));
    },
  };
}
