import type { Collection, Filter } from 'mongodb';
import type { EntityRef } from '#engine/message.ts';
import type { HistoryQuery, Point } from '#engine/store.ts';
import { Buckets } from '../aggregate.ts';
import { breathe } from '../page.ts';
import type { Leftover } from './removals.ts';
import { encodeKey, own, type StoredSample, sampleId, toValue } from './samples.ts';

/** Documents of one answer of the server: decoding them takes about 5 ms. */
const STEP = 1000;

type Wanted = ReadonlyMap<string, string>;
type Row = Pick<StoredSample, 'ts' | 'v'>;

export interface HistoryOptions {
  readonly history: Collection<StoredSample>;
  /** What is left of an entity that was deleted. */
  readonly leftoverOf: (tenantId: string, entityId: string) => Promise<Leftover | null>;
}

/** Reads of telemetry over time: a batch of rows is in memory at a time, whatever the range. */
export class History {
  private readonly samples: Collection<StoredSample>;
  private readonly leftoverOf: HistoryOptions['leftoverOf'];

  constructor({ history, leftoverOf }: HistoryOptions) {
    this.samples = history;
    this.leftoverOf = leftoverOf;
  }

  async read(tenantId: string, { id }: EntityRef, query: HistoryQuery, now: number): Promise<Map<string, Point[]>> {
    const wanted = new Map(query.keys.map((key) => [encodeKey(key), key]));
    if (wanted.size === 0) return new Map();
    const leftover = await this.leftoverOf(tenantId, id);
    const from = sampleId(id, query.startTs);
    const filter = {
      tenantId,
      _id: { ...(leftover && leftover.upTo >= from ? { $gt: leftover.upTo } : { $gte: from }), $lt: sampleId(id, query.endTs) },
      expiresAt: { $not: { $lte: new Date(now) } },
      ...withAny([...wanted.keys()]),
    } as Filter<StoredSample>;
    return query.aggregation === 'NONE' || !query.buckets?.length
      ? this.plain(filter, wanted, query)
      : this.aggregated(filter, wanted, query, query.buckets);
  }

  private async plain(filter: Filter<StoredSample>, wanted: Wanted, { limit, order }: HistoryQuery): Promise<Map<string, Point[]>> {
    const found = new Map<string, Point[]>();
    const open = new Map(wanted);
    // With one key the server knows too when it is enough.
    for await (const rows of this.batches(filter, wanted, order === 'DESC' ? -1 : 1, wanted.size === 1 ? limit : null)) {
      for (const { ts, v } of rows) {
        for (const [key, name] of open) {
          const stored = own(v, key);
          if (stored === undefined) continue;
          let points = found.get(name);
          if (!points) {
            points = [];
            found.set(name, points);
          }
          points.push({ ts, value: toValue(stored) });
          if (points.length >= limit) open.delete(key);
        }
      }
      if (open.size === 0) break;
    }
    return found;
  }

  private async aggregated(
    filter: Filter<StoredSample>,
    wanted: Wanted,
    { endTs, aggregation }: HistoryQuery,
    starts: readonly number[],
  ): Promise<Map<string, Point[]>> {
    const buckets = new Map([...wanted.keys()].map((key) => [key, new Buckets(starts, endTs, aggregation)]));
    for await (const rows of this.batches(filter, wanted, 1, null)) {
      for (const { ts, v } of rows) {
        for (const [key, bucket] of buckets) {
          const stored = own(v, key);
          if (stored !== undefined) bucket.add(ts, toValue(stored));
        }
      }
    }
    const found = new Map<string, Point[]>();
    for (const [key, bucket] of buckets) {
      const points = bucket.points();
      if (points.length > 0) found.set(wanted.get(key)!, points);
    }
    return found;
  }

  /** An answer of the server at a time: a promise for each row would cost more than the row. */
  private async *batches(filter: Filter<StoredSample>, wanted: Wanted, direction: 1 | -1, limit: number | null): AsyncGenerator<Row[]> {
    const projection = { _id: 0, ts: 1, ...Object.fromEntries([...wanted.keys()].map((key) => [`v.${key}`, 1])) };
    // Without a limit the option must be absent: with 0 the driver forgets the size of a batch.
    const cursor = this.samples.find<Row>(filter, { projection, batchSize: STEP, ...(limit === null ? {} : { limit }), sort: { _id: direction } });
    try {
      while (await cursor.hasNext()) {
        yield cursor.readBufferedDocuments() as Row[];
        await breathe();
      }
    } finally {
      await cursor.close();
    }
  }
}

/** Of samples: that have one of the keys. */
export function withAny(keys: readonly string[]): Filter<StoredSample> {
  const each = keys.map((key) => ({ [`v.${key}`]: { $exists: true } }) as Filter<StoredSample>);
  return each.length === 1 ? each[0]! : { $or: each };
}
