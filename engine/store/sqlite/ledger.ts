import type { Counter, Ledger } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import type { Database } from './database.ts';
import type { Numbers } from './numbers.ts';

export function writeCounts(db: Database, numbers: Numbers, works: readonly Work[]): void {
  const sums = new Map<string, { owner: number; counter: Counter; by: number }>();
  for (const work of works) {
    for (const { tenantId, owner, counter, by } of work.counts.values()) {
      const n = numbers.owner(tenantId, owner);
      const sum = sums.get(n + counter);
      if (sum) sum.by += by;
      else sums.set(n + counter, { owner: n, counter, by });
    }
  }
  for (const { owner, counter, by } of sums.values()) {
    db.run('INSERT INTO counters (owner, counter, n) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n', owner, counter, by);
  }
}

/** Terms that are kept, and terms that are counted from the rows that are there: that they add up is a check that can fail. */
export function readLedger(db: Database, numbers: Numbers, tenantId: string, ownerId: string): Ledger {
  const owner = numbers.knownOwner(tenantId, ownerId);
  const kept = new Map<string, number>();
  if (owner !== null)
    for (const row of db.all<{ counter: string; n: number }>('SELECT counter, n FROM counters WHERE owner = ?', owner)) kept.set(row.counter, row.n);
  const of = (counter: Counter): number => kept.get(counter) ?? 0;
  const counted = (sql: string): number => (owner === null ? 0 : (db.get<{ n: number | null }>(sql, owner)?.n ?? 0));
  return {
    // An uplink is converted before its commit: no row ever stands for one that is not.
    uplinks: {
      received: of('uplinks.received'),
      converted: of('uplinks.converted'),
      empty: of('uplinks.empty'),
      dead: of('uplinks.dead'),
      inFlight: 0,
    },
    messages: {
      created: of('messages.created'),
      stored: of('messages.stored'),
      filtered: of('messages.filtered'),
      dead: of('messages.dead'),
      inFlight:
        counted('SELECT sum(n) AS n FROM lane WHERE owner = ?') +
        rowsOf(db, 'held', owner) +
        rowsOf(db, 'delayed', owner) +
        rowsOf(db, 'kept', owner),
    },
    downlinks: {
      created: of('downlinks.created'),
      sent: of('downlinks.sent'),
      pending: counted("SELECT count(*) AS n FROM downlinks WHERE owner = ? AND state IN ('QUEUED', 'CONVERTED')"),
      replaced: of('downlinks.replaced'),
      expired: of('downlinks.expired'),
      failed: of('downlinks.failed'),
    },
  };
}

/** Counting a whole table reads page headers only, a fifth of a millisecond for 100,000 rows: worth a look whether all of it is one owner's. */
function rowsOf(db: Database, table: 'held' | 'delayed' | 'kept', owner: number | null): number {
  if (owner === null) return 0;
  const first = db.get<{ owner: number | null }>(`SELECT min(owner) AS owner FROM ${table}`)!.owner;
  const last = db.get<{ owner: number | null }>(`SELECT max(owner) AS owner FROM ${table}`)!.owner;
  if (first === owner && last === owner) return db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)!.n;
  return db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table} WHERE owner = ?`, owner)!.n;
}
