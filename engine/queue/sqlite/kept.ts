import type { SQLInputValue } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { Fenced } from '#engine/errors.ts';
import { laneOf } from '#engine/queue.ts';
import type { Database } from '#engine/store/sqlite/database.ts';
import type { Numbers } from '#engine/store/sqlite/numbers.ts';
import { isPurgedTenant } from '#engine/store/sqlite/purged.ts';
import type { Kept, KeptSummary } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { decodeMessage, encodeMessage } from '../messages.ts';
import { earliestPlace, Places, placeAt } from '../places.ts';
import type { Pass } from './pass.ts';

/** Rows that are swept away at a time. */
const STEP = 500;
/** Rows that are read at a time: no more than these are as they were at one moment. */
const PAGE = 2500;
/** From so many on, how many there are is remembered: to count a million takes a tenth of a second. */
const MANY = 1000;

export interface KeptRow {
  seq: number;
  nodeId: string;
  /** null: the node looks after it. */
  sendLane: number | null;
  key: string;
  keptAt: number;
  attempts: number;
  reason: string | null;
  message: string;
}

export const KEPT_COLUMNS = 'seq, owners.id AS nodeId, sendLane, key, keptAt, attempts, reason, message';
export const KEPT_FROM = 'kept JOIN owners ON owners.n = kept.node';

export const toKept = ({ nodeId, sendLane, key, keptAt, attempts, reason, message }: KeptRow): Kept => ({
  message: decodeMessage(message),
  nodeId,
  kind: sendLane === null ? 'own' : 'send',
  key,
  keptAt,
  attempts,
  reason,
});

/** @param movedAt when `reason` was written: of the newest, for the summary. */
export function putKept(db: Database, numbers: Numbers, lanes: number, seq: number, kept: Kept, movedAt: number | null): void {
  const { message, nodeId, kind, key, keptAt, attempts, reason } = kept;
  db.run(
    `INSERT INTO kept (seq, node, key, messageId, sendLane, owner, keptAt, attempts, reason, movedAt, message)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    seq,
    // A node has one in common with owners of a ledger: neither is ever retired.
    numbers.owner(message.tenantId, nodeId),
    key,
    message.id,
    kind === 'send' ? laneOf(message.originator.id, lanes) : null,
    numbers.owner(message.tenantId, message.owner),
    keptAt,
    attempts,
    reason,
    movedAt,
    encodeMessage(message),
  );
}

interface KeptQuery {
  readonly after?: string;
  readonly max: number;
}

/** Rows that are read in order. */
interface Scope {
  readonly name: string;
  readonly filter: string;
  readonly values: readonly SQLInputValue[];
}

/** Messages that stay at a node. They are in the file only, in the order in which they were kept. */
export class KeptMessages {
  private readonly db: Database;
  private readonly numbers: Numbers;
  private readonly lanes: number;
  private readonly places = new Places();
  /** Of nodes, and of keys of nodes, that were asked for and have many. */
  private readonly counts = new Map<string, number>();
  private lastSeq: number;
  count: number;

  constructor(db: Database, numbers: Numbers, lanes: number) {
    this.db = db;
    this.numbers = numbers;
    this.lanes = lanes;
    this.lastSeq = db.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM kept')!.seq ?? 0;
    this.count = db.get<{ n: number }>('SELECT count(*) AS n FROM kept')!.n;
  }

  /** In the running transaction: what is kept first, as a node may keep a message and end it in one batch. @throws Fenced */
  write({ kept, keptRemovals, keptMoves }: Work, pass: Pass): void {
    for (const each of kept) {
      this.lastSeq = Math.max(this.lastSeq + 1, placeAt(pass.now));
      putKept(this.db, this.numbers, this.lanes, this.lastSeq, each, each.reason === null ? null : pass.now);
    }
    for (const { tenantId, nodeId, messageId, attempts, reason } of keptMoves) {
      const node = this.numbers.knownOwner(tenantId, nodeId);
      const sql = 'UPDATE kept SET attempts = ?, reason = ?, movedAt = ? WHERE node = ? AND messageId = ?';
      if (node !== null) this.db.run(sql, attempts, reason, pass.now, node, messageId);
    }
    for (const removal of keptRemovals) this.remove(removal);
    pass.afterCommit(() => {
      this.count += kept.length - keptRemovals.length;
      if (this.counts.size === 0) return;
      for (const { message, nodeId, key } of kept) this.counted(message.tenantId, nodeId, key, 1);
      for (const { tenantId, nodeId, key } of keptRemovals) this.counted(tenantId, nodeId, key, -1);
    });
  }

  /** In the running transaction: some of what a tenant's nodes keep. True when there may be more. */
  removeSome(tenantId: string, pass: Pass): boolean {
    const removed = this.db.run(
      `DELETE FROM kept WHERE seq IN (SELECT seq FROM owners JOIN kept ON kept.node = owners.n WHERE owners.tenantId = ? LIMIT ${STEP})`,
      tenantId,
    );
    pass.afterCommit(() => {
      this.count -= removed;
      this.counts.clear();
    });
    return removed === STEP;
  }

  read(tenantId: string, nodeId: string, { key, after, max }: KeptQuery & { key?: string }): Promise<Kept[]> {
    const node = this.known(tenantId, nodeId);
    if (node === null) return Promise.resolve([]);
    const scope: Scope = { name: `node ${node}`, filter: 'node = ?', values: [node] };
    return this.pages(key === undefined ? scope : { ...scope, filter: 'node = ? AND key = ?', values: [node, key] }, after, max);
  }

  sends(lane: number, { after, max }: KeptQuery): Promise<Kept[]> {
    const filter = 'sendLane = ? AND owners.tenantId NOT IN (SELECT tenantId FROM purged_tenants)';
    return this.pages({ name: `lane ${lane}`, filter, values: [lane] }, after, max);
  }

  summary(tenantId: string, nodeId: string, key?: string): KeptSummary {
    const node = this.known(tenantId, nodeId);
    if (node === null) return { count: 0, oldestAt: null, lastReason: null };
    const [filter, values] = key === undefined ? ['node = ?', [node]] : ['node = ? AND key = ?', [node, key]];
    const get = <R>(what: string, rest = ''): R | undefined => this.db.get<R>(`SELECT ${what} FROM kept WHERE ${filter} ${rest}`, ...values);
    const name = nameOf(tenantId, nodeId, key);
    const count = this.counts.get(name) ?? get<{ n: number }>('count(*) AS n')!.n;
    if (count >= MANY) this.counts.set(name, count);
    else this.counts.delete(name);
    return {
      count,
      oldestAt: get<{ keptAt: number }>('keptAt', 'ORDER BY seq LIMIT 1')?.keptAt ?? null,
      lastReason: get<{ reason: string }>('reason', 'AND movedAt IS NOT NULL ORDER BY movedAt DESC, seq DESC LIMIT 1')?.reason ?? null,
    };
  }

  /** Nothing of a deleted tenant is there any more, for whoever reads. */
  private known(tenantId: string, nodeId: string): number | null {
    return isPurgedTenant(this.db, tenantId) ? null : this.numbers.knownOwner(tenantId, nodeId);
  }

  private counted(tenantId: string, nodeId: string, key: string, by: number): void {
    for (const name of [nameOf(tenantId, nodeId), nameOf(tenantId, nodeId, key)]) {
      const count = this.counts.get(name);
      if (count !== undefined) this.counts.set(name, count + by);
    }
  }

  private async pages(scope: Scope, after: string | undefined, max: number): Promise<Kept[]> {
    const found: Kept[] = [];
    let place = after === undefined ? Number.MIN_SAFE_INTEGER : this.placeOf(scope, after);
    for (;;) {
      const room = Math.min(PAGE, max - found.length);
      if (room <= 0) break;
      const rows = this.db.all<KeptRow>(
        `SELECT ${KEPT_COLUMNS} FROM ${KEPT_FROM} WHERE ${scope.filter} AND seq > ? ORDER BY seq LIMIT ?`,
        ...scope.values,
        place,
        room,
      );
      for (const row of rows) found.push(toKept(row));
      place = rows.at(-1)?.seq ?? place;
      if (rows.length < room) break;
      // Others have a turn between.
      if (found.length < max) await setImmediate();
    }
    const last = found.at(-1);
    if (last) this.places.remember(scope.name, last.message.id, place);
    return found;
  }

  private placeOf({ name, filter, values }: Scope, after: string): number {
    const known = this.places.find(name, after);
    if (known !== undefined) return known;
    const sql = `SELECT seq FROM kept INDEXED BY kept_message JOIN owners ON owners.n = kept.node WHERE messageId = ? AND ${filter}`;
    const row = this.db.get<{ seq: number }>(sql, after, ...values);
    return row?.seq ?? earliestPlace(after);
  }

  /** In the running transaction. */
  private remove({ tenantId, nodeId, key, messageId }: Work['keptRemovals'][number]): void {
    const node = this.numbers.knownOwner(tenantId, nodeId);
    if (node === null || this.db.run('DELETE FROM kept WHERE messageId = ? AND node = ? AND key = ?', messageId, node, key) !== 1)
      throw new Fenced(`message ${messageId} of rule node ${nodeId}`);
  }
}

const nameOf = (tenantId: string, nodeId: string, key?: string): string => JSON.stringify([tenantId, nodeId, key]);
