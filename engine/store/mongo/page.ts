import type { Collection, Document, Filter, FindCursor, Sort, WithId } from 'mongodb';
import type { Page } from '#engine/store.ts';
import { pageOf } from '../page.ts';

/** One page of what fits, in order. Counts only when the page itself does not tell how many there are. */
export async function readPage<D extends Document, T>(
  collection: Collection<D>,
  filter: Filter<D>,
  { sort, page, pageSize, map }: { sort: Sort; page: number; pageSize: number; map: (row: WithId<D>) => T },
): Promise<Page<T>> {
  const rows = await (
    collection
      .find(filter)
      .sort(sort)
      .skip(page * pageSize)
      .limit(pageSize) as FindCursor<WithId<D>>
  ).toArray();
  const isLast = rows.length < pageSize && (rows.length > 0 || page === 0);
  const total = isLast ? page * pageSize + rows.length : await collection.countDocuments(filter);
  return pageOf(rows.map(map), total, page, pageSize);
}
