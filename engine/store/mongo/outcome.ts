import type { AnyBulkWriteOperation, ClientSession, Collection, Filter } from 'mongodb';
import type { Step } from './transaction.ts';

interface Stored {
  readonly _id: string;
  readonly tenantId: string;
}

/** All ids that begin with the prefix, which ends with a `/`; as a filter this is a range of the index on `_id`. */
export const under = (prefix: string): { $gte: string; $lt: string } => ({ $gte: prefix, $lt: `${prefix.slice(0, -1)}0` });

/** Removed at a time. */
const STEP = 1000;

/**
 * Before a purge is committed: most of what it removes, in transactions of their own, because one of a million would hold up everything. What is left goes with the
 * purge.
 */
export async function purgeAhead<D extends Stored>(
  collection: Collection<D>,
  filter: Filter<D>,
  commit: (step: Step) => Promise<void>,
  onRemoved: (n: number) => void = () => {},
): Promise<void> {
  for (;;) {
    const found = await collection.find(filter, { projection: { _id: 1 }, limit: STEP, batchSize: STEP + 1 }).toArray();
    if (found.length < STEP) return;
    const $in = found.map(({ _id }) => _id);
    await commit(async ({ session, afterCommit }) => {
      const { deletedCount } = await collection.deleteMany({ ...filter, _id: { $in } } as Filter<D>, { session });
      afterCommit(() => onRemoved(deletedCount));
    });
  }
}

/**
 * What writes, removals and purges come to, in the order of a whole group of works: each document is written once, however often they touch it, and everything
 * that is not there any more goes in one operation.
 */
export class Outcome<D extends Stored> {
  private readonly saved = new Map<string, D>();
  /** Ids to be removed, by tenant. */
  private readonly removed = new Map<string, Set<string>>();
  private readonly gone: Filter<D>[] = [];

  save(document: D): void {
    this.saved.set(document._id, document);
  }

  remove(tenantId: string, id: string): void {
    this.saved.delete(id);
    const ids = this.removed.get(tenantId);
    if (ids) ids.add(id);
    else this.removed.set(tenantId, new Set([id]));
  }

  /** Everything that fits either: what is stored by `filter`, which names the tenant, and what was saved before it by `fits`. */
  purge(filter: Filter<D>, fits: (document: D) => boolean): void {
    this.gone.push(filter);
    for (const document of this.saved.values()) if (fits(document)) this.saved.delete(document._id);
  }

  async write(collection: Collection<D>, session: ClientSession): Promise<void> {
    // What is saved is replaced as a whole: to remove it before would be an operation for nothing.
    const removals = [...this.removed].flatMap(([tenantId, ids]) => {
      const $in = [...ids].filter((id) => !this.saved.has(id));
      return $in.length > 0 ? [{ tenantId, _id: { $in } } as unknown as Filter<D>] : [];
    });
    const gone = [...this.gone, ...removals];
    if (gone.length > 0) await collection.deleteMany(gone.length === 1 ? gone[0]! : ({ $or: gone } as Filter<D>), { session });
    if (this.saved.size === 0) return;
    const saves = Array.from(this.saved.values(), (document) => {
      const { _id, ...replacement } = document;
      return { replaceOne: { filter: { _id, tenantId: document.tenantId }, replacement, upsert: true } } as unknown as AnyBulkWriteOperation<D>;
    });
    await collection.bulkWrite(saves, { session, ordered: false });
  }
}
