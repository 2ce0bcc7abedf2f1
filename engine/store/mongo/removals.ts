import type { ClientSession, Collection, Filter } from 'mongodb';
import type { TelemetryRemoval, Work } from '#engine/work.ts';
import { withAny } from './history.ts';
import { encodeKey, type LatestCell, latestId, own, type StoredLatest, type StoredSample, sampleId, samplesEnd } from './samples.ts';
import type { Step } from './transaction.ts';

/** Steps of a removal from which on it is done before its work, in transactions of their own. */
const LONG = 5;

/** In `latest`: what a deleted entity has left, until it is swept. Its name is behind those of all tenants. */
export interface Leftover {
  readonly _id: string;
  readonly tenantId: string;
  readonly entityId: string;
  /** The last of its samples. */
  readonly upTo: string;
}

const LEFTOVERS = 'purged/';
const LEFTOVERS_END = 'purged0';

export interface RemovalsOptions {
  /**
   * Samples that one operation goes through. Of a deleted entity no more go in its transaction; the others go afterwards: a transaction of millions would hold up
   * everything.
   */
  readonly step?: number;
  readonly history: Collection<StoredSample>;
  readonly latest: Collection<StoredLatest>;
}

/** Telemetry that is removed: keys in a range of time, and everything of a deleted entity. */
export class Removals {
  private readonly samples: Collection<StoredSample>;
  private readonly newestOf: Collection<StoredLatest>;
  private readonly leftovers: Collection<Leftover>;
  private readonly step: number;

  constructor({ history, latest, step = 1000 }: RemovalsOptions) {
    this.step = step;
    this.samples = history;
    this.newestOf = latest;
    this.leftovers = latest as unknown as Collection<Leftover>;
  }

  async remove(removal: TelemetryRemoval, session: ClientSession): Promise<void> {
    while (await this.removeStep(removal, session));
    if (removal.removeLatest) await this.removeLatest(removal, session);
  }

  /** Most of a long removal, oldest first, in transactions of its own: it would hold up everything that is in the transaction of its work. */
  async ahead({ telemetryRemovals, done }: Work, commit: (step: Step) => Promise<void>): Promise<void> {
    // What comes from a lane may turn out to be done already.
    if (done.length > 0) return;
    const limit = LONG * this.step;
    for (const removal of telemetryRemovals) {
      while (removal.keys.length > 0 && (await this.samples.countDocuments(samplesOf(removal), { limit })) === limit)
        for (let n = 0; n < LONG; n++) await commit(async ({ session }) => void (await this.removeStep(removal, session)));
    }
  }

  /** @returns whether there may be more. */
  private async removeStep(removal: TelemetryRemoval, session: ClientSession): Promise<boolean> {
    const { tenantId, keys } = removal;
    if (keys.length === 0) return false;
    const ids = await this.samples
      .find(samplesOf(removal), { session, projection: { _id: 1 }, sort: { _id: 1 }, limit: this.step, batchSize: this.step + 1 })
      .toArray();
    if (ids.length === 0) return false;
    const _id = { $gte: ids[0]!._id, $lte: ids.at(-1)!._id };
    const $unset = Object.fromEntries(keys.map((key) => [`v.${encodeKey(key)}`, '']));
    await this.samples.updateMany({ tenantId, _id }, { $unset } as object, { session });
    await this.samples.deleteMany({ tenantId, _id, v: {} } as Filter<StoredSample>, { session });
    return ids.length === this.step;
  }

  private async removeLatest(removal: TelemetryRemoval, session: ClientSession): Promise<void> {
    const { tenantId, entity, keys, rewriteLatest } = removal;
    const { startTs, endTs } = rangeOf(removal);
    const _id = latestId(tenantId, entity.id);
    const stored = await this.newestOf.findOne({ _id, tenantId }, { session });
    if (!stored) return;
    const $set: Record<string, LatestCell> = {};
    const $unset: Record<string, ''> = {};
    for (const key of keys.map(encodeKey)) {
      const old = own(stored.v, key);
      if (!old || old[0] < startTs || old[0] >= endTs) continue;
      const newest = rewriteLatest ? await this.newest(tenantId, entity.id, key, startTs, session) : null;
      if (newest) $set[`v.${key}`] = [newest.ts, old[1], newest.v[key]!];
      else $unset[`v.${key}`] = '';
    }
    const gone = Object.keys($unset).length;
    if (gone === Object.keys(stored.v).length) await this.newestOf.deleteOne({ _id, tenantId }, { session });
    else if (gone + Object.keys($set).length > 0) await this.newestOf.updateOne({ _id, tenantId }, { $set, $unset } as object, { session });
  }

  /** Newest stored sample with a key before a moment. */
  private newest(tenantId: string, entityId: string, key: string, beforeTs: number, session: ClientSession): Promise<StoredSample | null> {
    const _id = { $gte: `${entityId}/`, $lt: sampleId(entityId, beforeTs) };
    return this.samples.findOne({ tenantId, _id, ...withAny([key]) } as Filter<StoredSample>, { session, sort: { _id: -1 } });
  }

  /** Everything of a deleted entity. */
  async purge(tenantId: string, entityId: string, session: ClientSession): Promise<void> {
    const samples = { tenantId, _id: { $gte: `${entityId}/`, $lt: samplesEnd(entityId) } };
    const ids = { session, projection: { _id: 1 } } as const;
    const first = await this.samples.find(samples, { ...ids, limit: this.step + 1, batchSize: this.step + 2 }).toArray();
    if (first.length > this.step) {
      const last = await this.samples.findOne(samples, { ...ids, sort: { _id: -1 } });
      const leftover = { tenantId, entityId, upTo: last!._id };
      await this.leftovers.replaceOne({ _id: leftoverId(tenantId, entityId), tenantId }, leftover, { upsert: true, session });
    } else if (first.length > 0) await this.samples.deleteMany(samples, { session });
    await this.newestOf.deleteOne({ _id: latestId(tenantId, entityId), tenantId }, { session });
  }

  leftoverOf(tenantId: string, entityId: string): Promise<Leftover | null> {
    return this.leftovers.findOne({ _id: leftoverId(tenantId, entityId), tenantId });
  }

  /** Removes some of what belongs to deleted entities; any process, any number at once. True when there is more. */
  async sweep(): Promise<boolean> {
    const leftover = await this.leftovers.findOne({ _id: { $gte: LEFTOVERS, $lt: LEFTOVERS_END } });
    if (!leftover) return false;
    const { _id, tenantId, entityId, upTo } = leftover;
    const samples = { tenantId, _id: { $gte: `${entityId}/`, $lte: upTo } };
    const ids = await this.samples.find(samples, { projection: { _id: 1 }, sort: { _id: 1 }, limit: this.step, batchSize: this.step + 1 }).toArray();
    if (ids.length > 0) await this.samples.deleteMany({ tenantId, _id: { $gte: ids[0]!._id, $lte: ids.at(-1)!._id } });
    else await this.leftovers.deleteOne({ _id, tenantId, upTo });
    return true;
  }
}

const leftoverId = (tenantId: string, entityId: string): string => `${LEFTOVERS}${latestId(tenantId, entityId)}`;

const rangeOf = ({ range }: TelemetryRemoval) => range ?? { startTs: Number.MIN_SAFE_INTEGER, endTs: Number.POSITIVE_INFINITY };

/** What a removal finds. */
function samplesOf(removal: TelemetryRemoval): Filter<StoredSample> {
  const { tenantId, entity, keys } = removal;
  const { startTs, endTs } = rangeOf(removal);
  const end = endTs === Number.POSITIVE_INFINITY ? samplesEnd(entity.id) : sampleId(entity.id, endTs);
  return { tenantId, _id: { $gte: sampleId(entity.id, startTs), $lt: end }, ...withAny(keys.map(encodeKey)) } as Filter<StoredSample>;
}
