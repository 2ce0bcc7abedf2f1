import type { EntityRef } from '#engine/message.ts';
import type { EventQuery, EventRow, Page } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { DEBUG_MS, isDebug, matcher } from '../event-filter.ts';
import { breathe, pageOf } from '../page.ts';
import type { Database } from './database.ts';
import type { Numbers } from './numbers.ts';

const STEP = 500;
/** Removed by one step: neighbours in the table, so this is a millisecond or two. */
const SWEEP_STEP = 2000;

interface Stored {
  id: string;
  createdTime: number;
  seq: number;
  body: string;
}

export class Events {
  private readonly db: Database;
  private readonly numbers: Numbers;
  /** Of one entity and type: debug on a busy node makes thousands a second. */
  private readonly cap: number;
  private nextSeq: number;
  /** Written since the cap of their kind was last looked at, by entity number and type: to find the one at the cap is to read that many. */
  private readonly written = new Map<string, number>();

  constructor(db: Database, numbers: Numbers, cap: number) {
    this.db = db;
    this.cap = cap;
    this.numbers = numbers;
    // Only breaks ties within a millisecond, in the order of writing: the clock's start is enough to stay above what is stored.
    this.nextSeq = Date.now() * 1000;
  }

  write({ events, eventRemovals }: Work): void {
    for (const { id, tenantId, entity, type, createdTime, body } of events) {
      const n = this.numbers.entity(tenantId, entity);
      this.db.run(
        'INSERT INTO events (entity, type, createdTime, seq, id, body) VALUES (?, ?, ?, ?, ?, ?)',
        n,
        type,
        createdTime,
        this.nextSeq++,
        id,
        JSON.stringify(body),
      );
      const kind = `${n} ${type}`;
      this.written.set(kind, (this.written.get(kind) ?? 0) + 1);
    }
    for (const { tenantId, entity, type, ids, startTime = 0, endTime = Number.MAX_SAFE_INTEGER } of eventRemovals) {
      const n = this.numbers.knownEntity(tenantId, entity);
      if (n === null) continue;
      const where = 'entity = ? AND type = ? AND createdTime BETWEEN ? AND ?';
      if (ids)
        this.db.run(`DELETE FROM events WHERE ${where} AND id IN (SELECT value FROM json_each(?))`, n, type, startTime, endTime, JSON.stringify(ids));
      else this.db.run(`DELETE FROM events WHERE ${where}`, n, type, startTime, endTime);
    }
  }

  async read(tenantId: string, entity: EntityRef, query: EventQuery): Promise<Page<EventRow>> {
    const { type, startTime = 0, endTime = Number.MAX_SAFE_INTEGER, page = 0, pageSize = 100, order = 'DESC' } = query;
    const n = this.numbers.knownEntity(tenantId, entity);
    if (n === null) return pageOf([], 0, page, pageSize);
    const toEvent = ({ id, createdTime }: Stored, body: Record<string, unknown>): EventRow => ({ id, tenantId, entity, type, createdTime, body });
    const where = 'entity = ? AND type = ? AND createdTime BETWEEN ? AND ?';
    const matches = matcher(query);
    if (!matches) {
      const total = this.db.get<{ n: number }>(`SELECT count(*) AS n FROM events WHERE ${where}`, n, type, startTime, endTime)!.n;
      const rows = this.db.all<Stored>(
        `SELECT id, createdTime, seq, body FROM events WHERE ${where} ORDER BY createdTime ${order}, seq ${order} LIMIT ? OFFSET ?`,
        n,
        type,
        startTime,
        endTime,
        pageSize,
        page * pageSize,
      );
      return pageOf(
        rows.map((row) => toEvent(row, JSON.parse(row.body))),
        total,
        page,
        pageSize,
      );
    }
    const data: EventRow[] = [];
    let total = 0;
    const beyond = order === 'ASC' ? '>' : '<';
    let last = order === 'ASC' ? { createdTime: startTime, seq: -1 } : { createdTime: endTime, seq: Number.MAX_SAFE_INTEGER };
    for (;;) {
      const rows = this.db.all<Stored>(
        `SELECT id, createdTime, seq, body FROM events WHERE ${where} AND (createdTime, seq) ${beyond} (?, ?) ORDER BY createdTime ${order}, seq ${order} LIMIT ${STEP}`,
        n,
        type,
        startTime,
        endTime,
        last.createdTime,
        last.seq,
      );
      for (const row of rows) {
        const body = JSON.parse(row.body) as Record<string, unknown>;
        if (!matches(body)) continue;
        if (total >= page * pageSize && data.length < pageSize) data.push(toEvent(row, body));
        total++;
      }
      if (rows.length < STEP) return pageOf(data, total, page, pageSize);
      last = rows.at(-1)!;
      await breathe();
    }
  }

  /** Removes some of what is too old or too many. True when there is more. */
  sweep(now: number): boolean {
    let more = false;
    for (const { entity, type } of this.kinds()) {
      const oldest = isDebug(type) ? now - DEBUG_MS : 0;
      const before = Math.max(oldest, this.beyondCap(entity, type));
      if (before <= 0) continue;
      const removed = this.db.run(
        `DELETE FROM events WHERE (entity, type, createdTime, seq) IN
           (SELECT entity, type, createdTime, seq FROM events WHERE entity = ? AND type = ? AND createdTime < ? LIMIT ${SWEEP_STEP})`,
        entity,
        type,
        before,
      );
      if (removed === SWEEP_STEP) more = true;
      // Removed is room: the next look comes when it is used up, and at once when there is more to remove.
      else if (removed > 0) this.written.delete(`${entity} ${type}`);
    }
    return more;
  }

  /** Events from before this moment are more than the cap allows; 0: they are not. */
  private beyondCap(entity: number, type: string): number {
    if ((this.written.get(`${entity} ${type}`) ?? 0) < this.cap / 10) return 0;
    const sql = 'SELECT createdTime FROM events WHERE entity = ? AND type = ? ORDER BY createdTime DESC, seq DESC LIMIT 1 OFFSET ?';
    const row = this.db.get<{ createdTime: number }>(sql, entity, type, this.cap);
    return row ? row.createdTime + 1 : 0;
  }

  /** Pairs that have events, by jumping from one to the next in the primary key: a DISTINCT would read every row. */
  private *kinds(): Generator<{ entity: number; type: string }> {
    let last = { entity: 0, type: '' };
    for (;;) {
      const next = this.db.get<{ entity: number; type: string }>(
        'SELECT entity, type FROM events WHERE (entity, type) > (?, ?) ORDER BY entity, type LIMIT 1',
        last.entity,
        last.type,
      );
      if (!next) return;
      yield next;
      last = next;
    }
  }
}
