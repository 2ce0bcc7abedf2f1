import type { EntityRef } from '#engine/message.ts';
import type { HistoryQuery, Point } from '#engine/store.ts';
import type { TelemetryRemoval, TelemetryWrite } from '#engine/work.ts';
import { Buckets } from '../aggregate.ts';
import { breathe } from '../page.ts';
import { type Cells, formatCells, formatLatest, type LatestCells, parseCells, parseLatest, pointOf } from './cells.ts';
import type { Attempt } from './committer.ts';
import type { Database } from './database.ts';
import { Journal, type JournalOptions } from './journal.ts';
import type { Numbers } from './numbers.ts';
import { joined, joinLatest, type RecentEntity, type RecentSample } from './recent.ts';

const STEP = 1000;

interface HistoryRow {
  ts: number;
  cells: string;
}

/** Telemetry in its tables, and what the journal still has of it. */
export class Telemetry {
  private readonly db: Database;
  private readonly numbers: Numbers;
  private readonly journal: Journal;

  constructor(options: Omit<JournalOptions, 'sortIn'>) {
    this.db = options.db;
    this.numbers = options.numbers;
    this.journal = new Journal({ ...options, sortIn: (entity, recent) => this.sortIn(entity, recent) });
  }

  write(writes: readonly TelemetryWrite[], attempt: Attempt): void {
    this.journal.write(writes, attempt);
  }

  finish(attempt: Attempt): void {
    this.journal.finish(attempt);
  }

  /** In a transaction that no other work is in: everything is in the tables then. */
  sortInAll(attempt: Attempt): void {
    this.journal.sortInAll(attempt);
  }

  purge(entity: number, attempt: Attempt): void {
    // After the transaction's own samples have come to memory.
    attempt.wake(() => this.journal.drop(entity));
  }

  close(): void {
    this.journal.close();
  }

  private sortIn(entity: number, { samples, latest }: RecentEntity): void {
    for (const [ts, sample] of samples) {
      const inserted = this.db.run(
        'INSERT INTO history (entity, ts, expiresAt, cells) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
        entity,
        ts,
        sample.expiresAt,
        sample.text,
      );
      if (inserted === 1) continue;
      const stored = this.db.get<{ expiresAt: number | null; cells: string }>(
        'SELECT expiresAt, cells FROM history WHERE entity = ? AND ts = ?',
        entity,
        ts,
      )!;
      const { expiresAt, text } = joined({ expiresAt: stored.expiresAt, text: stored.cells }, sample);
      this.db.run('UPDATE history SET expiresAt = ?, cells = ? WHERE entity = ? AND ts = ?', expiresAt, text, entity, ts);
    }
    if (latest.size === 0) return;
    const cells = this.storedLatest(entity);
    joinLatest(cells, latest);
    this.saveLatest(entity, cells);
  }

  /** In a transaction that no other work is in. */
  remove({ tenantId, entity, keys, range, removeLatest, rewriteLatest }: TelemetryRemoval, attempt: Attempt): void {
    this.journal.sortInAll(attempt);
    const n = this.numbers.knownEntity(tenantId, entity);
    if (n === null) return;
    const removed = new Set(keys.map((key) => this.numbers.knownKey(key)).filter((key) => key !== null));
    const { startTs, endTs } = range ?? { startTs: Number.MIN_SAFE_INTEGER, endTs: Number.MAX_SAFE_INTEGER };
    let after = startTs - 1;
    for (;;) {
      const rows = this.db.all<HistoryRow>(
        `SELECT ts, cells FROM history WHERE entity = ? AND ts > ? AND ts < ? ORDER BY ts LIMIT ${STEP}`,
        n,
        after,
        endTs,
      );
      for (const { ts, cells: text } of rows) {
        const cells = parseCells(text);
        const before = cells.size;
        for (const key of removed) cells.delete(key);
        if (cells.size === 0) this.db.run('DELETE FROM history WHERE entity = ? AND ts = ?', n, ts);
        else if (cells.size < before) this.db.run('UPDATE history SET cells = ? WHERE entity = ? AND ts = ?', formatCells(cells), n, ts);
      }
      if (rows.length < STEP) break;
      after = rows.at(-1)!.ts;
    }
    if (!removeLatest) return;
    const latest = this.storedLatest(n);
    for (const key of removed) {
      const old = latest.get(key);
      if (!old || old.ts < startTs || old.ts >= endTs) continue;
      const newest = rewriteLatest ? this.newest(n, key, startTs) : null;
      if (newest) latest.set(key, newest);
      else latest.delete(key);
    }
    this.saveLatest(n, latest);
  }

  /** Newest stored value of a key before a moment. */
  private newest(entity: number, key: number, beforeTs: number): { code: number; ts: number; cell: number | string } | null {
    let before = beforeTs;
    for (;;) {
      const rows = this.db.all<HistoryRow>(
        `SELECT ts, cells FROM history WHERE entity = ? AND ts < ? ORDER BY ts DESC LIMIT ${STEP}`,
        entity,
        before,
      );
      for (const { ts, cells } of rows) {
        const found = parseCells(cells).get(key);
        if (found) return { ...found, ts };
      }
      if (rows.length < STEP) return null;
      before = rows.at(-1)!.ts;
    }
  }

  latest(tenantId: string, entity: EntityRef, keys?: readonly string[]): Map<string, Point> {
    const n = this.numbers.knownEntity(tenantId, entity);
    const points = new Map<string, Point>();
    if (n === null) return points;
    const cells = this.storedLatest(n);
    for (const newer of this.journal.latest(n)) joinLatest(cells, newer);
    for (const key of keys?.map((name) => this.numbers.knownKey(name)) ?? cells.keys()) {
      const found = key === null ? undefined : cells.get(key);
      if (found) points.set(this.numbers.keyName(key!), pointOf(found.ts, found.code, found.cell));
    }
    return points;
  }

  async history(tenantId: string, entity: EntityRef, query: HistoryQuery, now: number): Promise<Map<string, Point[]>> {
    const n = this.numbers.knownEntity(tenantId, entity);
    const wanted = new Map<number, string>();
    for (const key of query.keys) {
      const number = this.numbers.knownKey(key);
      if (number !== null) wanted.set(number, key);
    }
    if (n === null || wanted.size === 0) return new Map();
    return query.aggregation === 'NONE' || !query.buckets?.length
      ? this.plain(n, wanted, query, now)
      : this.aggregated(n, wanted, query, query.buckets, now);
  }

  private async plain(
    entity: number,
    wanted: Map<number, string>,
    { startTs, endTs, limit, order }: HistoryQuery,
    now: number,
  ): Promise<Map<string, Point[]>> {
    const found = new Map<string, Point[]>();
    const open = new Map(wanted);
    for await (const { ts, cells } of this.rows(entity, startTs, endTs, order === 'DESC', now)) {
      for (const [key, name] of open) {
        const cell = cells.get(key);
        if (!cell) continue;
        let points = found.get(name);
        if (!points) {
          points = [];
          found.set(name, points);
        }
        points.push(pointOf(ts, cell.code, cell.cell));
        if (points.length >= limit) open.delete(key);
      }
      if (open.size === 0) break;
    }
    return found;
  }

  private async aggregated(
    entity: number,
    wanted: Map<number, string>,
    { startTs, endTs, aggregation }: HistoryQuery,
    starts: readonly number[],
    now: number,
  ): Promise<Map<string, Point[]>> {
    const buckets = new Map([...wanted.keys()].map((key) => [key, new Buckets(starts, endTs, aggregation)]));
    for await (const { ts, cells } of this.rows(entity, startTs, endTs, false, now)) {
      for (const [key, bucket] of buckets) {
        const cell = cells.get(key);
        if (cell) bucket.add(ts, pointOf(ts, cell.code, cell.cell).value);
      }
    }
    const found = new Map<string, Point[]>();
    for (const [key, bucket] of buckets) {
      const points = bucket.points();
      if (points.length > 0) found.set(wanted.get(key)!, points);
    }
    return found;
  }

  private async *rows(
    entity: number,
    startTs: number,
    endTs: number,
    descending: boolean,
    now: number,
  ): AsyncGenerator<{ ts: number; cells: Cells }> {
    const order = descending ? 'DESC' : 'ASC';
    const text = `SELECT ts, cells FROM history WHERE entity = ? AND ts >= ? AND ts < ? AND (expiresAt IS NULL OR expiresAt > ?) ORDER BY ts ${order} LIMIT ${STEP}`;
    // As it is now: what is sorted in while we read is in here too, and joins with itself.
    const recent = this.recentRows(entity, startTs, endTs, descending, now);
    let next = 0;
    let from = startTs;
    let to = endTs;
    for (;;) {
      const rows = this.db.all<HistoryRow>(text, entity, from, to, now);
      for (const { ts, cells } of rows) {
        while (next < recent.length && (descending ? recent[next]!.ts > ts : recent[next]!.ts < ts)) {
          yield { ts: recent[next]!.ts, cells: parseCells(recent[next]!.text) };
          if (++next % STEP === 0) await breathe();
        }
        const stored = parseCells(cells);
        if (recent[next]?.ts === ts) for (const [key, cell] of parseCells(recent[next++]!.text)) stored.set(key, cell);
        yield { ts, cells: stored };
      }
      if (rows.length < STEP) break;
      if (descending) to = rows.at(-1)!.ts;
      else from = rows.at(-1)!.ts + 1;
      await breathe();
    }
    while (next < recent.length) {
      yield { ts: recent[next]!.ts, cells: parseCells(recent[next]!.text) };
      if (++next % STEP === 0) await breathe();
    }
  }

  private recentRows(entity: number, startTs: number, endTs: number, descending: boolean, now: number): { ts: number; text: string }[] {
    const found = new Map<number, RecentSample>();
    for (const { samples } of this.journal.recent(entity)) {
      for (const [ts, sample] of samples) {
        if (ts < startTs || ts >= endTs || (sample.expiresAt !== null && sample.expiresAt <= now)) continue;
        const older = found.get(ts);
        found.set(ts, older ? joined(older, sample) : sample);
      }
    }
    return [...found].map(([ts, { text }]) => ({ ts, text })).sort((a, b) => (descending ? b.ts - a.ts : a.ts - b.ts));
  }

  /** Removes some of what is expired or belongs to deleted entities. True when there is more. */
  sweep(now: number): boolean {
    const expired = this.db.run(`DELETE FROM history WHERE (entity, ts) IN (SELECT entity, ts FROM history WHERE expiresAt <= ? LIMIT ${STEP})`, now);
    return expired === STEP;
  }

  private storedLatest(entity: number): LatestCells {
    return parseLatest(this.db.get<{ cells: string }>('SELECT cells FROM latest WHERE entity = ?', entity)?.cells);
  }

  private saveLatest(entity: number, cells: LatestCells): void {
    if (cells.size === 0) this.db.run('DELETE FROM latest WHERE entity = ?', entity);
    else
      this.db.run('INSERT INTO latest (entity, cells) VALUES (?, ?) ON CONFLICT DO UPDATE SET cells = excluded.cells', entity, formatLatest(cells));
  }
}
