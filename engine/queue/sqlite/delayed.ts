import type { Message } from '#engine/message.ts';
import type { Database } from '#engine/store/sqlite/database.ts';
import type { Numbers } from '#engine/store/sqlite/numbers.ts';
import type { Work } from '#engine/work.ts';
import { decodeMessage, encodeMessage } from '../messages.ts';
import type { Pass } from './pass.ts';

const STEP = 500;

/** Messages that enter their lane later. */
export class Delayed {
  private readonly db: Database;
  private readonly numbers: Numbers;
  private readonly now: () => number;
  /** Commits a move of what is due to the lanes. */
  private readonly move: () => Promise<void>;
  private timer: NodeJS.Timeout | null = null;
  private wakeAt = Number.POSITIVE_INFINITY;
  private closed = false;
  count: number;

  constructor(db: Database, numbers: Numbers, now: () => number, move: () => Promise<void>) {
    this.db = db;
    this.numbers = numbers;
    this.now = now;
    this.move = move;
    this.count = db.get<{ n: number }>('SELECT count(*) AS n FROM delayed')!.n;
    this.wake();
  }

  /** In the running transaction. */
  add(delayed: Work['delayed'], pass: Pass): void {
    for (const { message, dueAt } of delayed) {
      this.db.run(
        'INSERT INTO delayed (owner, dueAt, message) VALUES (?, ?, ?)',
        this.numbers.owner(message.tenantId, message.owner),
        dueAt,
        encodeMessage(message),
      );
    }
    pass.afterCommit(() => {
      this.count += delayed.length;
      this.wake();
    });
  }

  /** In the running transaction: takes what is due, in the order of its time. */
  takeDue(pass: Pass): Message[] {
    const rows = this.db.all<{ seq: number; message: string }>(
      `SELECT seq, message FROM delayed WHERE dueAt <= ? ORDER BY dueAt, seq LIMIT ${STEP}`,
      pass.now,
    );
    for (const { seq } of rows) this.db.run('DELETE FROM delayed WHERE seq = ?', seq);
    pass.afterCommit(() => {
      this.count -= rows.length;
    });
    return rows.map((row) => decodeMessage(row.message));
  }

  close(): void {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
  }

  private wake(notBefore = 0): void {
    const next = this.db.get<{ dueAt: number | null }>('SELECT min(dueAt) AS dueAt FROM delayed')!.dueAt;
    if (next === null || this.closed) return;
    const at = Math.max(next, notBefore);
    if (this.timer && at >= this.wakeAt) return;
    if (this.timer) clearTimeout(this.timer);
    this.wakeAt = at;
    this.timer = setTimeout(
      () => {
        this.timer = null;
        // The disk is full: what is due stays, and is tried again in a second.
        this.move().then(
          () => this.wake(),
          () => this.wake(this.now() + 1000),
        );
      },
      Math.min(Math.max(0, at - this.now()), 2 ** 31 - 1),
    );
  }
}
