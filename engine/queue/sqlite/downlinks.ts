import { AppError } from '#engine/errors.ts';
import type { EntityType } from '#engine/message.ts';
import { pageOf } from '#engine/store/page.ts';
import type { Database } from '#engine/store/sqlite/database.ts';
import type { Numbers } from '#engine/store/sqlite/numbers.ts';
import type { Downlink, DownlinkState, DownlinkStep, Page } from '#engine/store.ts';
import type { DownlinkMove } from '#engine/work.ts';
import { decodeMessage, encodeMessage } from '../messages.ts';
import type { Pass } from './pass.ts';
import { Slots } from './slots.ts';

const WAITING = "state IN ('QUEUED', 'CONVERTED')";
/** The plus keeps the planner at the index of the slot: by delivery alone it would walk through all that wait for the integration. */
const SLOT = "integrationId = ? AND entityId = ? AND +delivery = 'pending'";
const STEP = 500;
const ALL = -1;
/** Downlinks of one integration in memory, at most; beyond, they are read back. */
const MOST_FRESH = 1000;

/** To which states a downlink may go on. What waits no more is final, except that receipts follow a sent one. */
const NEXT: Readonly<Record<DownlinkState, readonly DownlinkState[]>> = {
  QUEUED: ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED', 'ACKNOWLEDGED', 'REPLACED', 'EXPIRED', 'FAILED'],
  CONVERTED: ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED', 'ACKNOWLEDGED', 'REPLACED', 'EXPIRED', 'FAILED'],
  SENT: ['DELIVERED', 'ACKNOWLEDGED', 'FAILED'],
  DELIVERED: ['ACKNOWLEDGED'],
  ACKNOWLEDGED: [],
  REPLACED: [],
  EXPIRED: [],
  FAILED: [],
};

export interface DownlinkRow {
  seq: number;
  id: string;
  owner: number;
  tenantId: string;
  integrationId: string;
  entityType: EntityType;
  entityId: string;
  createdTime: number;
  delivery: Downlink['delivery'];
  policy: Downlink['policy'];
  expiresAt: number;
  state: DownlinkState;
  history: string;
  message: string;
}

export const toDownlink = (row: DownlinkRow): Downlink => ({
  id: row.id,
  createdTime: row.createdTime,
  tenantId: row.tenantId,
  integrationId: row.integrationId,
  entity: { entityType: row.entityType, id: row.entityId },
  delivery: row.delivery,
  policy: row.policy,
  expiresAt: row.expiresAt,
  message: decodeMessage(row.message),
  state: row.state,
  history: JSON.parse(row.history) as DownlinkStep[],
});

interface Waiter {
  readonly max: number;
  readonly resolve: (downlinks: Downlink[] | null) => void;
}

/** Downlinks from QUEUED to their end. Who took one is in memory only: after a crash it waits again. */
export class Downlinks {
  private readonly db: Database;
  private readonly numbers: Numbers;
  private readonly now: () => number;
  private readonly commit: (apply: (pass: Pass) => void) => Promise<void>;
  private readonly pendingLimit: number;
  /** Ids that somebody has taken and not yet moved to an end or given back, with their place. */
  private readonly taken = new Map<string, number>();
  /** By integration: up to here those to be sent now are taken. */
  private readonly cursors = new Map<string, number>();
  private readonly waiters = new Map<string, Waiter[]>();
  /** By integration, those to be sent now that came since the file was last read to its end: handed on without reading them back. */
  private readonly fresh = new Map<string, Map<string, Downlink>>();
  private readonly slots = new Slots();
  private closed = false;

  constructor(db: Database, numbers: Numbers, now: () => number, commit: (apply: (pass: Pass) => void) => Promise<void>, pendingLimit: number) {
    this.db = db;
    this.numbers = numbers;
    this.now = now;
    this.commit = commit;
    this.pendingLimit = pendingLimit;
    for (const row of db.all<{ integrationId: string; entityId: string; n: number }>(
      `SELECT integrationId, entityId, count(*) AS n FROM downlinks WHERE ${WAITING} AND delivery = 'pending' GROUP BY integrationId, entityId`,
    )) {
      this.slots.load(row.integrationId, row.entityId, row.n);
    }
  }

  /** In the running transaction. */
  add(downlinks: readonly Downlink[], pass: Pass): void {
    const more = new Map<string, number>();
    for (const downlink of downlinks) {
      const { id, createdTime, tenantId, integrationId, entity, delivery, policy, expiresAt, message, state, history } = downlink;
      if (delivery === 'pending' && policy === 'last' && this.slots.mayHaveFree(integrationId, entity.id, (other) => this.taken.has(other))) {
        const older = this.waitingRows(SLOT, ALL, integrationId, entity.id);
        for (const row of older) if (!this.taken.has(row.id)) this.end(row, 'REPLACED', `replaced by ${id}`, pass);
      }
      this.db.run(
        `INSERT INTO downlinks (id, owner, tenantId, integrationId, entityType, entityId, createdTime, delivery, policy, expiresAt, state, history, message)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        id,
        this.numbers.owner(tenantId, integrationId),
        tenantId,
        integrationId,
        entity.entityType,
        entity.id,
        createdTime,
        delivery,
        policy,
        expiresAt,
        state,
        JSON.stringify(history),
        encodeMessage(message),
      );
      if (delivery === 'pending') {
        this.slots.fill(integrationId, entity.id);
        pass.afterCommit(() => this.slots.added(downlink));
        const added = (more.get(integrationId) ?? 0) + 1;
        more.set(integrationId, added);
        if (this.slots.pendingOf(integrationId) + added > this.pendingLimit) this.endOldest(integrationId, pass);
      } else {
        pass.afterCommit(() => this.handOn(downlink));
        pass.wake(() => this.serve(integrationId));
      }
    }
  }

  /** In the running transaction. @throws AppError `stale-downlink` when it is over already: the caller's counts would make the ledger wrong. */
  move(moves: readonly DownlinkMove[], pass: Pass): void {
    // All that happens to one downlink is written at once.
    for (const steps of Map.groupBy(moves, (move) => move.id).values()) {
      const { tenantId, id } = steps[0]!;
      const row = this.db.get<DownlinkRow>('SELECT * FROM downlinks WHERE id = ? AND tenantId = ?', id, tenantId);
      let from = row?.state;
      for (const { state } of steps) {
        if (!from || !NEXT[from].includes(state))
          throw new AppError('stale-downlink', 'never', `The downlink ${id} is ${from ?? 'gone'} and can not become ${state}`);
        from = state;
      }
      this.step(row!, steps, pass);
    }
  }

  /** In the running transaction: what waits for a deleted entity is removed, and counted as expired; what waits in a deleted integration expires and stays listed with its device. What was taken is ended by its taker. */
  purge(tenantId: string, entityId: string, pass: Pass): void {
    for (const row of this.waitingRows('tenantId = ? AND entityId = ?', ALL, tenantId, entityId)) {
      if (this.taken.has(row.id)) continue;
      this.end(row, 'EXPIRED', 'the entity was deleted', pass);
      this.db.run('DELETE FROM downlinks WHERE seq = ?', row.seq);
    }
    for (const row of this.waitingRows('integrationId = ? AND tenantId = ?', ALL, entityId, tenantId))
      if (!this.taken.has(row.id)) this.end(row, 'EXPIRED', 'the integration was deleted', pass);
  }

  take(integrationId: string, max: number, signal: AbortSignal): Promise<Downlink[] | null> {
    if (signal.aborted || this.closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      const list = this.waiters.get(integrationId) ?? [];
      this.waiters.set(integrationId, list);
      const abort = () => {
        const at = list.indexOf(waiter);
        if (at >= 0) list.splice(at, 1);
        resolve(null);
      };
      const waiter: Waiter = {
        max,
        resolve: (downlinks) => {
          signal.removeEventListener('abort', abort);
          resolve(downlinks);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      list.push(waiter);
      this.serve(integrationId);
    });
  }

  release(downlinks: readonly Downlink[]): void {
    for (const { id, integrationId } of downlinks) {
      const seq = this.taken.get(id);
      if (seq === undefined) continue;
      this.taken.delete(id);
      this.cursors.set(integrationId, Math.min(this.cursors.get(integrationId) ?? 0, seq - 1));
      // In their old places again, which only the file knows.
      this.fresh.delete(integrationId);
    }
    for (const integrationId of new Set(downlinks.map((downlink) => downlink.integrationId))) this.serve(integrationId);
  }

  takePending(integrationId: string, entityIds: readonly string[]): Downlink | null {
    if (this.slots.pendingOf(integrationId) === 0) return null;
    const now = this.now();
    for (const entityId of entityIds) {
      const slot = this.slots.get(integrationId, entityId);
      if (!slot) continue;
      if (slot.known) {
        const free = slot.known.find(({ id, expiresAt }) => expiresAt > now && !this.taken.has(id));
        if (!free) continue;
        // Its place is not known here; `putBack` does not need it.
        this.taken.set(free.id, 0);
        return free;
      }
      const row = this.first(
        (after) => this.waitingRows(`${SLOT} AND seq > ?`, 8, integrationId, entityId, after),
        (candidate) => candidate.expiresAt > now,
      );
      if (!row) continue;
      this.taken.set(row.id, row.seq);
      return toDownlink(row);
    }
    return null;
  }

  /** Back into its slot; where a newer one has come meanwhile and the last wins, it is replaced instead. */
  putBack(downlink: Downlink): void {
    const slot = () => this.waitingRows(SLOT, ALL, downlink.integrationId, downlink.entity.id);
    const newer = downlink.policy === 'last' ? slot().at(-1) : undefined;
    if (!newer || newer.id === downlink.id) {
      this.taken.delete(downlink.id);
      return;
    }
    // Taken until then, so that nobody gets it in between.
    this.commit((pass) => {
      const row = slot().find((candidate) => candidate.id === downlink.id);
      if (row) this.end(row, 'REPLACED', `replaced by ${newer.id}`, pass);
    }).catch(() => this.taken.delete(downlink.id)); // Not durable now: both wait, and the older goes first.
  }

  /** Steps of their own transactions, so that a hundred thousand do not hold up everything else. */
  async expire(now: number): Promise<number> {
    let expired = 0;
    for (;;) {
      const due = this.overdue(now);
      if (due.length === 0) return expired;
      await this.commit((pass) => {
        for (const { seq } of due) {
          const row = this.db.get<DownlinkRow>(`SELECT * FROM downlinks WHERE seq = ? AND ${WAITING}`, seq);
          if (!row || this.taken.has(row.id)) continue;
          this.end(row, 'EXPIRED', 'not fetched in time', pass);
          pass.afterCommit(() => expired++);
        }
      });
    }
  }

  one(tenantId: string, id: string): Downlink | null {
    const row = this.db.get<DownlinkRow>('SELECT * FROM downlinks WHERE id = ? AND tenantId = ?', id, tenantId);
    return row ? toDownlink(row) : null;
  }

  page(tenantId: string, entityId: string, page: number, pageSize: number): Page<Downlink> {
    const total = this.db.get<{ n: number }>('SELECT count(*) AS n FROM downlinks WHERE tenantId = ? AND entityId = ?', tenantId, entityId)!.n;
    const rows = this.db.all<DownlinkRow>(
      'SELECT * FROM downlinks WHERE tenantId = ? AND entityId = ? ORDER BY createdTime DESC, seq DESC LIMIT ? OFFSET ?',
      tenantId,
      entityId,
      pageSize,
      page * pageSize,
    );
    return pageOf(rows.map(toDownlink), total, page, pageSize);
  }

  close(): void {
    this.closed = true;
    for (const list of this.waiters.values()) for (const waiter of list.splice(0)) waiter.resolve(null);
  }

  private waitingRows(where: string, limit: number, ...values: (string | number)[]): DownlinkRow[] {
    return this.db.all<DownlinkRow>(`SELECT * FROM downlinks WHERE ${where} AND ${WAITING} ORDER BY seq LIMIT ?`, ...values, limit);
  }

  /** In the order of their index: sorting a hundred thousand for each step would take seconds. */
  private overdue(now: number): { seq: number }[] {
    const free = 'id NOT IN (SELECT value FROM json_each(?))';
    return this.db.all<{ seq: number }>(
      `SELECT seq FROM downlinks WHERE expiresAt <= ? AND ${free} AND ${WAITING} ORDER BY expiresAt LIMIT ?`,
      now,
      JSON.stringify([...this.taken.keys()]),
      STEP,
    );
  }

  /** The first that nobody has taken, page by page. */
  private first(page: (after: number) => DownlinkRow[], accept: (row: DownlinkRow) => boolean = () => true): DownlinkRow | null {
    for (let rows = page(0); rows.length > 0; rows = page(rows.at(-1)!.seq)) {
      const found = rows.find((row) => !this.taken.has(row.id) && accept(row));
      if (found) return found;
    }
    return null;
  }

  private handOn(downlink: Downlink): void {
    const fresh = this.fresh.get(downlink.integrationId);
    if (!fresh) return;
    if (fresh.size < MOST_FRESH) fresh.set(downlink.id, downlink);
    else this.fresh.delete(downlink.integrationId);
  }

  private serve(integrationId: string): void {
    const list = this.waiters.get(integrationId);
    if (!list || list.length === 0 || this.closed) return;
    const { max } = list[0]!;
    const found = this.fresh.has(integrationId) ? this.takeFresh(integrationId, max) : this.takeStored(integrationId, max);
    if (found.length > 0) list.shift()!.resolve(found);
  }

  private takeFresh(integrationId: string, max: number): Downlink[] {
    const fresh = this.fresh.get(integrationId)!;
    const now = this.now();
    const found: Downlink[] = [];
    for (const downlink of fresh.values()) {
      if (found.length === max) break;
      fresh.delete(downlink.id);
      if (downlink.expiresAt <= now) continue;
      this.taken.set(downlink.id, 0);
      found.push(downlink);
    }
    return found;
  }

  private takeStored(integrationId: string, max: number): Downlink[] {
    const now = this.now();
    const found: DownlinkRow[] = [];
    let more = true;
    while (more && found.length < max) {
      const room = max - found.length;
      const rows = this.waitingRows("integrationId = ? AND delivery = 'now' AND seq > ?", room, integrationId, this.cursors.get(integrationId) ?? 0);
      if (rows.length > 0) this.cursors.set(integrationId, rows.at(-1)!.seq);
      found.push(...rows.filter((row) => !this.taken.has(row.id) && row.expiresAt > now));
      more = rows.length === room;
    }
    if (!more) this.fresh.set(integrationId, new Map());
    for (const row of found) this.taken.set(row.id, row.seq);
    return found.map(toDownlink);
  }

  private endOldest(integrationId: string, pass: Pass): void {
    const oldest = this.first((after) => this.waitingRows("integrationId = ? AND delivery = 'pending' AND seq > ?", 8, integrationId, after));
    if (oldest) this.end(oldest, 'EXPIRED', 'queue full', pass);
  }

  /** Ended by the backend itself, which counts it then. */
  private end(row: DownlinkRow, state: 'REPLACED' | 'EXPIRED', reason: string, pass: Pass): void {
    this.step(row, [{ state, ts: pass.now, reason }], pass);
    this.db.run(
      'INSERT INTO counters (owner, counter, n) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1',
      row.owner,
      state === 'REPLACED' ? 'downlinks.replaced' : 'downlinks.expired',
    );
  }

  private step(row: DownlinkRow, steps: readonly DownlinkStep[], pass: Pass): void {
    const history = [...(JSON.parse(row.history) as DownlinkStep[]), ...steps.map(({ state, ts, reason }) => ({ state, ts, reason }))];
    const { state } = steps.at(-1)!;
    this.db.run('UPDATE downlinks SET state = ?, history = ? WHERE seq = ?', state, JSON.stringify(history), row.seq);
    if (state === 'QUEUED' || state === 'CONVERTED') return;
    pass.afterCommit(() => {
      this.taken.delete(row.id);
      this.fresh.get(row.integrationId)?.delete(row.id);
      if (row.delivery === 'pending' && (row.state === 'QUEUED' || row.state === 'CONVERTED'))
        this.slots.removed(row.integrationId, row.entityId, row.id);
    });
  }
}
