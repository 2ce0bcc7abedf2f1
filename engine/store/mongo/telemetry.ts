import type { AnyBulkWriteOperation, ClientSession, Collection } from 'mongodb';
import type { EntityRef } from '#engine/message.ts';
import type { HistoryQuery, Point } from '#engine/store.ts';
import type { TelemetryWrite, Work } from '#engine/work.ts';
import { isDuplicateKey } from './errors.ts';
import { History } from './history.ts';
import { Removals, type RemovalsOptions } from './removals.ts';
import {
  decodeKey,
  encodeKey,
  endOf,
  entityOfSample,
  kindOf,
  type LatestCell,
  laterEnd,
  latestId,
  own,
  type StoredLatest,
  type StoredSample,
  sampleId,
  storedValue,
  toValue,
} from './samples.ts';
import { Again, type Part, type Step, type Transaction } from './transaction.ts';

/** Entities that are known to write moments that are there already. */
const MOST_REPEATERS = 10_000;
/** New moments in a row after which an entity is no longer one of them. */
const PATIENCE = 100;
/** More than there are works in a group. */
const WORKS = 2048;
/** More than there are groups under way at a time. */
const GROUPS = 16;

type Sample = { -readonly [K in keyof StoredSample]: StoredSample[K] };

interface Latest {
  readonly _id: string;
  readonly tenantId: string;
  readonly entity: EntityRef;
  /** By path. */
  readonly cells: Record<string, LatestCell>;
}

/** What works write: one sample an entity and moment, one latest cell an entity and key. */
class Writes {
  readonly samples = new Map<string, Sample>();
  readonly latest = new Map<string, Latest>();

  /** @param n Tells apart latest values of the same ts: greater with every work. */
  add({ tenantId, entity, ts, values, expiresAt, history, latest }: TelemetryWrite, n: number): void {
    if (values.length === 0) return;
    const { v } = history ? this.sampleOf(tenantId, entity, ts, endOf(expiresAt)) : { v: null };
    const cells = latest ? this.latestOf(tenantId, entity) : null;
    for (const [name, value] of values) {
      const key = encodeKey(name);
      const stored = storedValue(value);
      if (v) v[key] = stored;
      if (!cells) continue;
      const path = `v.${key}`;
      const old = cells[path];
      if (!old || ts >= old[0]) cells[path] = [ts, n, stored];
    }
  }

  private sampleOf(tenantId: string, entity: EntityRef, ts: number, end: Date | undefined): Sample {
    const _id = sampleId(entity.id, ts);
    const older = this.samples.get(_id);
    if (!older) {
      const sample: Sample = { _id, tenantId, ...kindOf(entity), ts, ...(end ? { expiresAt: end } : {}), v: {} };
      this.samples.set(_id, sample);
      return sample;
    }
    const later = laterEnd(older.expiresAt, end);
    if (later) older.expiresAt = later;
    else delete older.expiresAt;
    return older;
  }

  private latestOf(tenantId: string, entity: EntityRef): Record<string, LatestCell> {
    const _id = latestId(tenantId, entity.id);
    let latest = this.latest.get(_id);
    if (!latest) {
      latest = { _id, tenantId, entity, cells: {} };
      this.latest.set(_id, latest);
    }
    return latest.cells;
  }
}

/** Telemetry in MongoDB: one document an entity and moment, and one of latest values an entity. */
export class Telemetry implements Part {
  private readonly samples: Collection<StoredSample>;
  private readonly newestOf: Collection<StoredLatest>;
  private readonly removals: Removals;
  private readonly reads: History;
  private readonly numbers = new WeakMap<Work, number>();
  /** How many works of a group have one. A group whose works are refused together writes them one by one. */
  private readonly numbered = new Map<number, number>();
  /** Works whose plain inserts met a moment that is there already. */
  private readonly careful = new WeakSet<Work>();
  /** Entities that have lately done so, those of longest ago first, and for how many moments they are still asked for. */
  private readonly repeaters = new Map<string, number>();

  constructor({ history, latest, step }: RemovalsOptions) {
    this.samples = history;
    this.newestOf = latest;
    this.removals = new Removals({ history, latest, ...(step ? { step } : {}) });
    this.reads = new History({ history, leftoverOf: (tenantId, entityId) => this.removals.leftoverOf(tenantId, entityId) });
  }

  async write(works: readonly Work[], { session, order }: Transaction): Promise<void> {
    let writes = new Writes();
    for (const work of works) {
      const n = this.numberOf(work, order);
      for (const write of work.telemetry) writes.add(write, n);
      if (work.telemetryRemovals.length + work.purges.length === 0) continue;
      // What is removed may have been written just before.
      await this.store(writes, works, session);
      writes = new Writes();
      for (const removal of work.telemetryRemovals) await this.removals.remove(removal, session);
      for (const { tenantId, entity } of work.purges) await this.removals.purge(tenantId, entity.id, session);
    }
    await this.store(writes, works, session);
  }

  /** In the order of the works, whichever transaction ends first, and the same when it is written again. */
  private numberOf(work: Work, order: number): number {
    const known = this.numbers.get(work);
    if (known !== undefined) return known;
    const index = this.numbered.get(order) ?? 0;
    this.numbered.set(order, index + 1);
    if (this.numbered.size > GROUPS) this.numbered.delete(this.numbered.keys().next().value!);
    this.numbers.set(work, order * WORKS + index);
    return order * WORKS + index;
  }

  private async store({ samples, latest }: Writes, works: readonly Work[], session: ClientSession): Promise<void> {
    if (samples.size > 0) await this.storeSamples(samples, works, session);
    if (latest.size > 0) await this.storeLatest(latest, session);
  }

  private async storeLatest(latest: ReadonlyMap<string, Latest>, session: ClientSession): Promise<void> {
    const updates = Array.from(latest.values(), ({ _id, tenantId, entity, cells }): AnyBulkWriteOperation<StoredLatest> => {
      const update = { $max: cells, $setOnInsert: { tenantId, ...kindOf(entity) } } as object;
      return { updateOne: { filter: { _id }, update, upsert: true } };
    });
    await this.newestOf.bulkWrite(updates, { session });
  }

  /** Inserted at once, which is the quick way; where a moment is there already, the values of both are joined. */
  private async storeSamples(samples: ReadonlyMap<string, Sample>, works: readonly Work[], session: ClientSession): Promise<void> {
    const all = [...samples.values()];
    const asked = works.some((work) => this.careful.has(work)) ? all : all.filter(({ _id }) => this.repeaters.has(entityOfSample(_id)));
    const joined = await this.join(asked, session);
    const fresh = joined.size === 0 ? all : all.filter(({ _id }) => !joined.has(_id));
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
  private async join(asked: readonly Sample[], session: ClientSession): Promise<Set<string>> {
    if (asked.length === 0) return new Set();
    const filter = { _id: { $in: asked.map(({ _id }) => _id) }, tenantId: { $in: [...new Set(asked.map(({ tenantId }) => tenantId))] } };
    const stored = await this.samples.find(filter, { session, projection: { expiresAt: 1 }, batchSize: asked.length + 1 }).toArray();
    const there = new Map(stored.map(({ _id, expiresAt }) => [_id, expiresAt]));
    this.remember(asked, there);
    const joined = asked.filter(({ _id }) => there.has(_id));
    if (joined.length > 0) {
      const updates = joined.map(({ _id, tenantId, v, expiresAt }) => ({
        updateOne: { filter: { _id, tenantId }, update: joining(v, there.get(_id), expiresAt) },
      }));
      await this.samples.bulkWrite(updates, { session });
    }
    return new Set(there.keys());
  }

  private remember(asked: readonly Sample[], there: ReadonlyMap<string, unknown>): void {
    for (const { _id } of asked) {
      const entity = entityOfSample(_id);
      const left = there.has(_id) ? PATIENCE : (this.repeaters.get(entity) ?? 0) - 1;
      if (there.has(_id)) this.repeaters.delete(entity);
      if (left > 0) this.repeaters.set(entity, left);
      else this.repeaters.delete(entity);
    }
    for (const entity of this.repeaters.keys()) {
      if (this.repeaters.size <= MOST_REPEATERS) break;
      this.repeaters.delete(entity);
    }
  }

  /** Before the work is committed: what would be too long for its transaction. */
  ahead(work: Work, commit: (step: Step) => Promise<void>): Promise<void> {
    return this.removals.ahead(work, commit);
  }

  /** Removes some of what belongs to deleted entities; any process, any number at once. True when there is more. */
  sweep(): Promise<boolean> {
    return this.removals.sweep();
  }

  async latest(tenantId: string, entity: EntityRef, keys?: readonly string[]): Promise<Map<string, Point>> {
    const points = new Map<string, Point>();
    const wanted = keys?.map(encodeKey);
    if (wanted?.length === 0) return points;
    const projection = wanted ? Object.fromEntries(wanted.map((key) => [`v.${key}`, 1])) : { v: 1 };
    const stored = await this.newestOf.findOne({ _id: latestId(tenantId, entity.id), tenantId }, { projection });
    for (const key of wanted ?? Object.keys(stored?.v ?? {})) {
      const cell = stored?.v && own(stored.v, key);
      if (cell) points.set(decodeKey(key), { ts: cell[0], value: toValue(cell[2]) });
    }
    return points;
  }

  history(tenantId: string, entity: EntityRef, query: HistoryQuery, now: number): Promise<Map<string, Point[]>> {
    return this.reads.read(tenantId, entity, query, now);
  }
}

/** Later values of a key replace earlier ones. */
function joining(v: StoredSample['v'], stored: Date | undefined, expiresAt: Date | undefined): object {
  const $set = Object.fromEntries(Object.entries(v).map(([key, value]): [string, unknown] => [`v.${key}`, value]));
  const end = laterEnd(stored, expiresAt);
  if (end) return { $set: { ...$set, expiresAt: end } };
  return stored ? { $set, $unset: { expiresAt: '' } } : { $set };
}
