import type { AnyBulkWriteOperation, ClientSession, Collection, Filter } from 'mongodb';
import type { EntityRef } from '#engine/message.ts';
import type { HistoryQuery, Point } from '#engine/store.ts';
import type { TelemetryRemoval, TelemetryWrite, Work } from '#engine/work.ts';
import { Buckets } from '../aggregate.ts';
import { breathe } from '../page.ts';
import { cellOf } from '../values.ts';
import { isDuplicateKey } from './errors.ts';
import {
  decodeKey,
  encodeKey,
  type LatestCell,
  laterEnd,
  pointOf,
  type StoredLatest,
  type StoredSample,
  sampleId,
  typeOf,
  type Values,
} from './samples.ts';
import { Again, type Part, type Transaction } from './transaction.ts';

export interface TelemetryOptions {
  readonly history: Collection<StoredSample>;
  readonly latest: Collection<StoredLatest>;
}

/** Documents of one answer of the server: decoding them is about 5 ms. */
const STEP = 1000;
/** Samples of a deleted entity that go in its transaction; more of them go afterwards, in steps. */
const PURGE_STEP = 500;
/** Entities that are known to write moments that are there already. */
const MOST_REPEATERS = 10_000;
const CLOCK = 1024;

type Kind = Pick<StoredSample, 'entityType'>;
/** Nearly all telemetry is that of devices: those need not say so in every document. */
const DEVICE: Kind = {};
export const kindOf = ({ entityType }: EntityRef): Kind => (entityType === 'DEVICE' ? DEVICE : { entityType });

type Sample = { -readonly [K in keyof StoredSample]: StoredSample[K] };

/** What a group of works writes: one sample an entity and moment, one latest cell an entity and key. */
class Writes {
  readonly samples = new Map<string, Sample>();
  readonly latest = new Map<string, { tenantId: string; kind: Kind; cells: Map<string, LatestCell> }>();

  add({ tenantId, entity, ts, values, expiresAt, history, latest }: TelemetryWrite, clock: () => number): void {
    const cells: Values = {};
    for (const entry of values) cells[encodeKey(entry[0])] = [typeOf(entry), cellOf(entry[1])];
    if (history) {
      const _id = sampleId(entity.id, ts);
      const older = this.samples.get(_id);
      const end = expiresAt === null ? undefined : new Date(expiresAt);
      if (older) {
        Object.assign(older.v, cells);
        setEnd(older, laterEnd(older.expiresAt, end));
      } else this.samples.set(_id, { _id, tenantId, ...kindOf(entity), ts, ...(end ? { expiresAt: end } : {}), v: cells });
    }
    if (!latest) return;
    let of = this.latest.get(entity.id);
    if (!of) {
      of = { tenantId, kind: kindOf(entity), cells: new Map() };
      this.latest.set(entity.id, of);
    }
    const n = clock();
    for (const [key, [t, c]] of Object.entries(cells)) {
      const old = of.cells.get(key);
      if (!old || ts >= old.ts) of.cells.set(key, { ts, n, t, c });
    }
  }
}

function setEnd(sample: Sample, end: Date | undefined): void {
  if (end) sample.expiresAt = end;
  else delete sample.expiresAt;
}

const entityOf = (sampleKey: string): string => sampleKey.slice(0, sampleKey.indexOf('/'));
const ofEntity = (tenantId: string, entityId: string): Filter<StoredSample> => ({ tenantId, _id: { $gte: `${entityId}/`, $lt: `${entityId}0` } });

/** Telemetry in MongoDB: one document an entity and moment, and one of latest values an entity. */
export class Telemetry implements Part {
  private readonly samples: Collection<StoredSample>;
  private readonly newestOf: Collection<StoredLatest>;
  /** Works whose plain inserts met a moment that is there already. */
  private readonly careful = new WeakSet<Work>();
  /** Entities that have lately done so, oldest first: they are asked for first. */
  private readonly repeaters = new Set<string>();
  private tick = 0;

  constructor({ history, latest }: TelemetryOptions) {
    this.samples = history;
    this.newestOf = latest;
  }

  async write(works: readonly Work[], transaction: Transaction): Promise<void> {
    let writes = new Writes();
    const clock = () => {
      this.tick = Math.max(this.tick + 1, transaction.now * CLOCK);
      return this.tick;
    };
    for (const work of works) {
      for (const write of work.telemetry) writes.add(write, clock);
      if (work.telemetryRemovals.length + work.purges.length === 0) continue;
      // What is removed may have been written just before.
      await this.store(writes, works, transaction.session);
      writes = new Writes();
      for (const removal of work.telemetryRemovals) await this.remove(removal, transaction.session);
      for (const { tenantId, entity } of work.purges) await this.purge(tenantId, entity.id, transaction.session);
    }
    await this.store(writes, works, transaction.session);
  }

  private async store({ samples, latest }: Writes, works: readonly Work[], session: ClientSession): Promise<void> {
    if (samples.size > 0) await this.storeSamples(samples, works, session);
    if (latest.size === 0) return;
    const updates = Array.from(latest, ([_id, { tenantId, kind, cells }]): AnyBulkWriteOperation<StoredLatest> => {
      const $max: Record<string, LatestCell> = {};
      for (const [key, cell] of cells) $max[`v.${key}`] = cell;
      const update = kind.entityType ? { $max, $setOnInsert: kind } : { $max };
      return { updateOne: { filter: { _id, tenantId }, update: update as object, upsert: true } };
    });
    await this.newestOf.bulkWrite(updates, { session, ordered: false });
  }

  /** Inserted at once, which is the quick way; where a moment is there already, the values of both are joined. */
  private async storeSamples(samples: ReadonlyMap<string, Sample>, works: readonly Work[], session: ClientSession): Promise<void> {
    const careful = works.some((work) => this.careful.has(work));
    const asked = careful
      ? [...samples.keys()]
      : this.repeaters.size === 0
        ? []
        : [...samples.keys()].filter((id) => this.repeaters.has(entityOf(id)));
    const joined = asked.length > 0 ? await this.join(asked, samples, session) : new Set<string>();
    const fresh = joined.size === 0 ? [...samples.values()] : [...samples.values()].filter(({ _id }) => !joined.has(_id));
    if (fresh.length === 0) return;
    try {
      await this.samples.insertMany(fresh, { session });
    } catch (cause) {
      if (!isDuplicateKey(cause)) throw cause;
      for (const work of works) this.careful.add(work);
      throw new Again();
    }
  }

  /** @returns the ids that were there. */
  private async join(ids: readonly string[], samples: ReadonlyMap<string, Sample>, session: ClientSession): Promise<Set<string>> {
    const stored = await this.samples.find({ _id: { $in: [...ids] } }, { session, batchSize: ids.length + 1 }).toArray();
    const there = new Set(stored.map(({ _id }) => _id));
    this.remember(ids, there);
    if (stored.length === 0) return there;
    await this.samples.bulkWrite(
      stored.map((older) => {
        const newer = samples.get(older._id)!;
        const { _id, ...replacement }: Sample = { ...older, v: { ...older.v, ...newer.v } };
        setEnd(replacement as Sample, laterEnd(older.expiresAt, newer.expiresAt));
        return { replaceOne: { filter: { _id, tenantId: older.tenantId }, replacement } };
      }),
      { session, ordered: false },
    );
    return there;
  }

  /** An entity is asked for as long as it goes on repeating itself. */
  private remember(asked: readonly string[], there: ReadonlySet<string>): void {
    for (const id of asked) if (!there.has(id)) this.repeaters.delete(entityOf(id));
    for (const id of there) this.repeaters.add(entityOf(id));
    for (const entity of this.repeaters) {
      if (this.repeaters.size <= MOST_REPEATERS) break;
      this.repeaters.delete(entity);
    }
  }

  private async remove({ tenantId, entity, keys, range, removeLatest, rewriteLatest }: TelemetryRemoval, session: ClientSession): Promise<void> {
    const removed = keys.map(encodeKey);
    const { startTs, endTs } = range ?? { startTs: Number.MIN_SAFE_INTEGER, endTs: Number.POSITIVE_INFINITY };
    const _id = { $gte: sampleId(entity.id, startTs), $lt: endTs === Number.POSITIVE_INFINITY ? `${entity.id}0` : sampleId(entity.id, endTs) };
    const any = { $or: removed.map((key) => ({ [`v.${key}`]: { $exists: true } })) };
    await this.samples.updateMany(
      { tenantId, _id, ...any } as Filter<StoredSample>,
      { $unset: Object.fromEntries(removed.map((key) => [`v.${key}`, ''])) } as object,
      { session },
    );
    await this.samples.deleteMany({ tenantId, _id, v: {} } as unknown as Filter<StoredSample>, { session });
    if (!removeLatest) return;
    const stored = await this.newestOf.findOne({ _id: entity.id, tenantId }, { session });
    const $set: Record<string, LatestCell> = {};
    const $unset: Record<string, ''> = {};
    for (const key of removed) {
      const old = stored?.v[key];
      if (!old || old.ts < startTs || old.ts >= endTs) continue;
      const newest = rewriteLatest ? await this.newest(tenantId, entity.id, key, startTs, session) : null;
      if (newest) $set[`v.${key}`] = { ...newest, n: old.n };
      else $unset[`v.${key}`] = '';
    }
    if (Object.keys($set).length + Object.keys($unset).length === 0) return;
    await this.newestOf.updateOne({ _id: entity.id, tenantId }, { $set, $unset } as object, { session });
  }

  /** Newest stored value of a key before a moment. */
  private async newest(
    tenantId: string,
    entityId: string,
    key: string,
    beforeTs: number,
    session: ClientSession,
  ): Promise<Omit<LatestCell, 'n'> | null> {
    const found = await this.samples.findOne(
      { tenantId, _id: { $gte: `${entityId}/`, $lt: sampleId(entityId, beforeTs) }, [`v.${key}`]: { $exists: true } } as Filter<StoredSample>,
      { session, sort: { _id: -1 } },
    );
    if (!found) return null;
    const [t, c] = found.v[key]!;
    return { ts: found.ts, t, c };
  }

  /** Of a deleted entity. A long history goes afterwards (`sweep`): a transaction of millions would hold up everything. */
  private async purge(tenantId: string, entityId: string, session: ClientSession): Promise<void> {
    const ids = await this.samples.find(ofEntity(tenantId, entityId), { session, projection: { _id: 1 }, limit: PURGE_STEP + 1 }).toArray();
    if (ids.length > PURGE_STEP) {
      await this.newestOf.replaceOne({ _id: entityId, tenantId }, { tenantId, v: {}, purged: true }, { upsert: true, session });
      return;
    }
    if (ids.length > 0) await this.samples.deleteMany(ofEntity(tenantId, entityId), { session });
    await this.newestOf.deleteOne({ _id: entityId, tenantId }, { session });
  }

  /** Removes some of what belongs to deleted entities; any process, any number at once. True when there is more. */
  async sweep(): Promise<boolean> {
    const [gone] = await this.newestOf.find({ purged: true }).limit(1).toArray();
    if (!gone) return false;
    const { _id, tenantId } = gone;
    const ids = await this.samples.find(ofEntity(tenantId, _id), { projection: { _id: 1 }, sort: { _id: 1 }, limit: PURGE_STEP }).toArray();
    if (ids.length > 0) await this.samples.deleteMany({ tenantId, _id: { $gte: ids[0]!._id, $lte: ids.at(-1)!._id } });
    else await this.newestOf.deleteOne({ _id, tenantId, purged: true });
    return true;
  }

  async latest(tenantId: string, entity: EntityRef, keys?: readonly string[]): Promise<Map<string, Point>> {
    const wanted = keys?.map(encodeKey);
    const projection = wanted ? { _id: 0, ...Object.fromEntries(wanted.map((key) => [`v.${key}`, 1])) } : { v: 1 };
    const stored = wanted?.length === 0 ? null : await this.newestOf.findOne({ _id: entity.id, tenantId }, { projection });
    const points = new Map<string, Point>();
    for (const key of wanted ?? Object.keys(stored?.v ?? {})) {
      const cell = stored?.v?.[key];
      if (cell) points.set(decodeKey(key), pointOf(cell.ts, cell.t, cell.c));
    }
    return points;
  }

  async history(tenantId: string, entity: EntityRef, query: HistoryQuery, now: number): Promise<Map<string, Point[]>> {
    const wanted = new Map(query.keys.map((key) => [encodeKey(key), key]));
    if (wanted.size === 0) return new Map();
    return query.aggregation === 'NONE' || !query.buckets?.length
      ? this.plain(tenantId, entity, wanted, query, now)
      : this.aggregated(tenantId, entity, wanted, query, query.buckets, now);
  }

  private async plain(
    tenantId: string,
    entity: EntityRef,
    wanted: ReadonlyMap<string, string>,
    query: HistoryQuery,
    now: number,
  ): Promise<Map<string, Point[]>> {
    const found = new Map<string, Point[]>();
    const open = new Map(wanted);
    for await (const { ts, v } of this.rows(tenantId, entity, wanted, query, now)) {
      for (const [key, name] of open) {
        const cell = v[key];
        if (!cell) continue;
        const points = found.get(name) ?? [];
        found.set(name, points);
        points.push(pointOf(ts, cell[0], cell[1]));
        if (points.length >= query.limit) open.delete(key);
      }
      if (open.size === 0) break;
    }
    return found;
  }

  private async aggregated(
    tenantId: string,
    entity: EntityRef,
    wanted: ReadonlyMap<string, string>,
    query: HistoryQuery,
    starts: readonly number[],
    now: number,
  ): Promise<Map<string, Point[]>> {
    const buckets = new Map([...wanted.keys()].map((key) => [key, new Buckets(starts, query.endTs, query.aggregation)]));
    for await (const { ts, v } of this.rows(tenantId, entity, wanted, { ...query, order: 'ASC' }, now)) {
      for (const [key, bucket] of buckets) {
        const cell = v[key];
        if (cell) bucket.add(ts, pointOf(ts, cell[0], cell[1]).value);
      }
    }
    const found = new Map<string, Point[]>();
    for (const [key, bucket] of buckets) {
      const points = bucket.points();
      if (points.length > 0) found.set(wanted.get(key)!, points);
    }
    return found;
  }

  /** Samples that have one of the keys, in order, not all in memory at once. */
  private async *rows(
    tenantId: string,
    { id }: EntityRef,
    wanted: ReadonlyMap<string, string>,
    { startTs, endTs, order, aggregation, limit }: HistoryQuery,
    now: number,
  ): AsyncGenerator<Pick<StoredSample, 'ts' | 'v'>> {
    const keys = [...wanted.keys()];
    const filter = {
      tenantId,
      _id: { $gte: sampleId(id, startTs), $lt: sampleId(id, endTs) },
      expiresAt: { $not: { $lte: new Date(now) } },
      $or: keys.map((key) => ({ [`v.${key}`]: { $exists: true } })),
    } as unknown as Filter<StoredSample>;
    const projection = { _id: 0, ts: 1, ...Object.fromEntries(keys.map((key) => [`v.${key}`, 1])) };
    // With one key the limit is known to the server too.
    const most = aggregation === 'NONE' && keys.length === 1 ? limit : 0;
    const cursor = this.samples.find(filter, { projection, batchSize: STEP, limit: most }).sort({ _id: order === 'DESC' ? -1 : 1 });
    try {
      let n = 0;
      for await (const row of cursor) {
        yield row;
        if (++n % STEP === 0) await breathe();
      }
    } finally {
      await cursor.close();
    }
  }
}
