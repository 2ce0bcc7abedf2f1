import type { ClientSession, Collection, Filter } from 'mongodb';
import type { EntityRef } from '#engine/message.ts';
import type { EventQuery, EventRow, Page } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { DEBUG_MS, isDebug, matcher } from '../event-filter.ts';
import { breathe, pageOf } from '../page.ts';
import { under } from './outcome.ts';
import { readPage } from './page.ts';
import type { Part, Transaction } from './transaction.ts';

export interface StoredEvent {
  /** `TENANT/TYPE/ID/EVENT TYPE/TIME/SEQ/EVENT ID`, both numbers with 16 digits: everything that is asked for is a range of it, in its order. */
  readonly _id: string;
  readonly tenantId: string;
  /** JSON */
  readonly body: string;
  /** When MongoDB removes it. */
  readonly expiresAt?: Date;
}

const STEP = 500;
/** Since 2020, so that the product stays an exact number. */
const EPOCH_MS = 1_577_836_800_000;
/** Events of one group of works that are surely before those of the next, within a millisecond. */
const IN_GROUP = 4096;
const DIGITS = 16;
const number = (n: number): string => String(Math.max(0, Math.min(Math.trunc(n), Number.MAX_SAFE_INTEGER))).padStart(DIGITS, '0');

const entityPrefix = (tenantId: string, { entityType, id }: EntityRef): string => `${tenantId}/${entityType}/${id}/`;
/** Of one entity and type. */
const kindOf = (tenantId: string, entity: EntityRef, type: string): string => `${entityPrefix(tenantId, entity)}${type}/`;

/** Both ends inclusive. */
const between = (kind: string, startTime = 0, endTime = Number.MAX_SAFE_INTEGER): { $gte: string; $lt: string } => ({
  $gte: `${kind}${number(startTime)}/`,
  // What follows the `/`.
  $lt: `${kind}${number(endTime)}0`,
});

/** Of the event. */
const idOf = (_id: string): string => _id.slice(_id.lastIndexOf('/') + 1);
const timeOf = (_id: string): number => Number(_id.split('/', 5)[4]);

export const toEvent = ({ _id, tenantId, body }: StoredEvent): EventRow => {
  const [, entityType, id, type] = _id.split('/', 4);
  return { id: idOf(_id), tenantId, entity: { entityType, id } as EntityRef, type: type!, createdTime: timeOf(_id), body: JSON.parse(body) };
};

/** @param seq breaks ties within a millisecond, in the order of writing. */
export function storedEvent({ id, tenantId, entity, type, createdTime, body }: EventRow, seq: number): StoredEvent {
  const stored = { _id: `${kindOf(tenantId, entity, type)}${number(createdTime)}/${number(seq)}/${id}`, tenantId, body: JSON.stringify(body) };
  return isDebug(type) ? { ...stored, expiresAt: new Date(createdTime + DEBUG_MS) } : stored;
}

export class Events implements Part {
  private readonly events: Collection<StoredEvent>;
  /** Of one entity and type: debug on a busy node makes thousands a second. */
  private readonly cap: number;
  /** Written by this process since the cap of their kind was last looked at: to find the one at the cap is to read that many. */
  private readonly written = new Map<string, number>();

  constructor({ events, cap = 20_000 }: { events: Collection<StoredEvent>; cap?: number }) {
    this.events = events;
    this.cap = cap;
  }

  async write(works: readonly Work[], { session, order, afterCommit }: Transaction): Promise<void> {
    let seq = (order - EPOCH_MS) * IN_GROUP;
    let added = new Map<string, StoredEvent>();
    const gone: Filter<StoredEvent>[] = [];
    const remove = (filter: Filter<StoredEvent>, fits: (event: StoredEvent) => boolean) => {
      gone.push(filter);
      if (added.size > 0) added = new Map([...added].filter(([, event]) => !fits(event)));
    };
    for (const work of works) {
      for (const event of work.events) {
        const stored = storedEvent(event, seq++);
        added.set(stored._id, stored);
      }
      for (const { tenantId, entity, type, ids, startTime, endTime } of work.eventRemovals) {
        const range = between(kindOf(tenantId, entity, type), startTime, endTime);
        const named = ids && new Set(ids);
        const stored = named && (await this.named(tenantId, range, named, session));
        remove(
          { tenantId, _id: stored ? { $in: stored } : range },
          ({ _id }) => _id >= range.$gte && _id < range.$lt && (named?.has(idOf(_id)) ?? true),
        );
      }
      for (const { tenantId, entity } of work.purges) {
        const prefix = entityPrefix(tenantId, entity);
        remove({ tenantId, _id: under(prefix) }, ({ _id }) => _id.startsWith(prefix));
      }
    }
    if (gone.length > 0) await this.events.deleteMany(gone.length === 1 ? gone[0]! : { $or: gone }, { session });
    if (added.size === 0) return;
    await this.events.insertMany([...added.values()], { session, ordered: false });
    afterCommit(() => this.count(added.keys()));
  }

  async read(tenantId: string, entity: EntityRef, query: EventQuery): Promise<Page<EventRow>> {
    const { type, startTime, endTime, page = 0, pageSize = 100, order = 'DESC' } = query;
    const filter: Filter<StoredEvent> = { tenantId, _id: between(kindOf(tenantId, entity, type), startTime, endTime) };
    const sort = { _id: order === 'ASC' ? 1 : -1 } as const;
    const matches = matcher(query);
    if (!matches) return readPage(this.events, filter, { sort, page, pageSize, map: toEvent });
    const data: EventRow[] = [];
    let total = 0;
    let seen = 0;
    for await (const row of this.events.find(filter, { sort, batchSize: STEP })) {
      const event = toEvent(row);
      if (++seen % STEP === 0) await breathe();
      if (!matches(event.body)) continue;
      if (total >= page * pageSize && data.length < pageSize) data.push(event);
      total++;
    }
    return pageOf(data, total, page, pageSize);
  }

  /** Removes what this process' writing has made too many of. What is too old MongoDB removes by itself. */
  async sweep(): Promise<void> {
    for (const [kind, written] of this.written) {
      // Removed is room: the next look comes when it is used up.
      if (written < this.cap / 10) continue;
      this.written.delete(kind);
      const tenantId = kind.slice(0, kind.indexOf('/'));
      const filter = { tenantId, _id: under(kind) };
      const [last] = await this.events.find(filter, { sort: { _id: -1 }, skip: this.cap, limit: 1, projection: { _id: 1 } }).toArray();
      if (last) await this.events.deleteMany({ tenantId, _id: { $gte: kind, $lte: last._id } });
    }
  }

  private async named(tenantId: string, range: { $gte: string; $lt: string }, ids: ReadonlySet<string>, session: ClientSession): Promise<string[]> {
    const stored = await this.events.find({ tenantId, _id: range }, { session, projection: { _id: 1 } }).toArray();
    return stored.flatMap(({ _id }) => (ids.has(idOf(_id)) ? [_id] : []));
  }

  private count(ids: Iterable<string>): void {
    for (const _id of ids) {
      const kind = _id.slice(0, _id.length - idOf(_id).length - 2 * DIGITS - 2);
      this.written.set(kind, (this.written.get(kind) ?? 0) + 1);
    }
  }
}
