import { errorText, NotDurable } from '#engine/errors.ts';
import type { Change } from '#engine/queue.ts';
import { type Database, isDiskError } from './database.ts';
import type { Numbers } from './numbers.ts';

/** One attempt at a transaction, or at one work's part of it: what it does to memory happens after the commit, or never. */
export class Attempt {
  readonly now: number;
  readonly changes: Change[] = [];
  private readonly effects: (() => void)[] = [];
  private readonly wakers: (() => void)[] = [];

  constructor(now: number) {
    this.now = now;
  }

  afterCommit(effect: () => void): void {
    this.effects.push(effect);
  }

  wake(waker: () => void): void {
    this.wakers.push(waker);
  }

  followUp(): void {
    for (const effect of this.effects) effect();
  }

  wakeUp(): void {
    for (const waker of this.wakers) waker();
  }
}

/** What a transaction is made of: `W` is a unit of work, applied alone or together with others. */
export interface Applier<W> {
  /** What has to be written row by row, and may be refused. */
  apply(work: W, attempt: Attempt): void;
  /** What several works can write together: appended messages, latest values, counts. */
  finish(works: readonly W[], attempt: Attempt): void;
  /** It is on the disk, and nobody was answered yet. */
  committed(work: W): void;
}

export interface CommitterOptions<W> {
  readonly db: Database;
  readonly numbers: Numbers;
  readonly applier: Applier<W>;
  readonly now: () => number;
  /** Ends when everything that was committed is on the disk. */
  readonly sync: () => Promise<void>;
  readonly onPoint: (name: string) => void;
  /** After each transaction, with its rough size. */
  readonly onWritten: (rows: number) => void;
  readonly onChanges: (changes: readonly Change[]) => void;
  /** Rough cost of a work, in rows; Infinity: alone in its transaction. */
  readonly sizeOf: (work: W) => number;
  /** Nobody is woken before who asked for this work was answered. */
  readonly answersFirst: (work: W) => boolean;
}

interface Request<W> {
  readonly work: W;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

/** Rows of one transaction, about: more would hold the event loop too long. */
const GROUP_ROWS = 4000;
const PROBE_MS = 1000;
/** Transactions that the disk is at. With the second the next step of a lone message need not wait for the first; with more the groups would only get smaller. */
const MOST_SYNCS = 2;

/**
 * Group commit: works requested in one turn of the event loop, or while the disk is at two before, become one transaction and one sync of the disk,
 * each with its own fate. A lone work waits for nothing but the end of that turn.
 *
 * The sync is ours, not SQLite's (`synchronous=FULL` does the same inside COMMIT): it runs beside the event loop, which is 0.3 ms a commit not stood still.
 * Nobody is answered before it has ended.
 */
export class Committer<W> {
  private readonly options: CommitterOptions<W>;
  private waiting: Request<W>[] = [];
  private scheduled = false;
  /** Ends, in order, when the disk has all that is written. */
  private durableSoFar: Promise<void> = Promise.resolve();
  private syncs = 0;
  private closed = false;
  private trouble: string | null = null;
  private probe: NodeJS.Timeout | null = null;

  constructor(options: CommitterOptions<W>) {
    this.options = options;
  }

  commit(work: W): Promise<void> {
    if (this.closed) return Promise.reject(new NotDurable(new Error('the store is closed')));
    return new Promise((resolve, reject) => {
      this.waiting.push({ work, resolve, reject });
      this.schedule();
    });
  }

  /** Resolves when everything that is written is on the disk. */
  settled(): Promise<void> {
    return this.durableSoFar;
  }

  health(): { ok: true } | { ok: false; reason: string } {
    return this.trouble === null ? { ok: true } : { ok: false, reason: this.trouble };
  }

  /** Makes durable what was asked for, and takes no more. */
  async close(): Promise<void> {
    this.closed = true;
    while (this.syncs > 0 || this.waiting.length > 0) {
      if (this.waiting.length > 0 && this.syncs < MOST_SYNCS) this.flush();
      else await this.durableSoFar;
    }
    if (this.probe) clearTimeout(this.probe);
  }

  private schedule(): void {
    if (this.scheduled || this.syncs >= MOST_SYNCS) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      if (this.waiting.length > 0 && this.syncs < MOST_SYNCS) this.flush();
    });
  }

  private flush(): void {
    const group: Request<W>[] = [];
    let rows = 0;
    for (const request of this.waiting) {
      rows += this.options.sizeOf(request.work);
      if (group.length > 0 && rows > GROUP_ROWS) break;
      group.push(request);
    }
    this.waiting = this.waiting.slice(group.length);
    let outcome: Outcome<W>;
    try {
      outcome = this.together(group) ?? this.oneByOne(group);
      this.recovered();
    } catch (cause) {
      this.failed(cause);
      for (const { reject } of group) reject(new NotDurable(cause));
      if (this.waiting.length > 0) this.schedule();
      return;
    }
    for (const attempt of outcome.attempts) attempt.followUp();
    this.options.onWritten(rows);
    const wakeUp = () => {
      for (const attempt of outcome.attempts) attempt.wakeUp();
    };
    const answersFirst = group.some(({ work }) => this.options.answersFirst(work));
    this.syncs++;
    this.durableSoFar = Promise.all([this.durableSoFar, this.durable()]).then(() => {
      this.syncs--;
      this.tell(outcome);
      // Behind the steps that those who were answered take at once.
      if (answersFirst) setImmediate(wakeUp);
      if (this.waiting.length > 0) this.schedule();
    });
    const changes = outcome.attempts.flatMap((attempt) => attempt.changes);
    if (changes.length > 0) this.options.onChanges(changes);
    // The next steps begin while the disk is still at it: what they give is in a later transaction, which is on the disk after this one or not at all.
    if (!answersFirst) wakeUp();
  }

  /** Ends when the disk has it. A disk that fails at this is asked again: the transaction has happened and is only not yet sure, so it can not be refused any more. */
  private async durable(): Promise<void> {
    for (;;) {
      try {
        await this.options.sync();
        return;
      } catch (cause) {
        this.trouble = errorText(cause);
        await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
      }
    }
  }

  private tell(outcome: Outcome<W>): void {
    this.trouble = null;
    this.options.onPoint('after-commit');
    for (const { work } of outcome.accepted) this.options.applier.committed(work);
    for (const [request, cause] of outcome.refused) request.reject(cause);
    for (const request of outcome.accepted) request.resolve();
  }

  /** The usual way: one transaction, written together. null when one of them is refused. */
  private together(group: readonly Request<W>[]): Outcome<W> | null {
    const attempt = new Attempt(this.options.now());
    const { applier } = this.options;
    let refused = false;
    this.transaction(() => {
      try {
        for (const { work } of group) applier.apply(work, attempt);
        applier.finish(
          group.map((request) => request.work),
          attempt,
        );
      } catch (cause) {
        if (isDiskError(cause)) throw cause;
        refused = true;
      }
      return !refused;
    });
    return refused ? null : { attempts: [attempt], accepted: [...group], refused: [] };
  }

  /** The careful way: each work in a savepoint, so that one that is refused leaves the others as they are. */
  private oneByOne(group: readonly Request<W>[]): Outcome<W> {
    const { db, numbers, applier, now } = this.options;
    const outcome: Outcome<W> = { attempts: [], accepted: [], refused: [] };
    this.transaction(() => {
      for (const request of group) {
        const attempt = new Attempt(now());
        db.sql.exec('SAVEPOINT work');
        try {
          applier.apply(request.work, attempt);
          applier.finish([request.work], attempt);
          db.sql.exec('RELEASE work');
          outcome.attempts.push(attempt);
          outcome.accepted.push(request);
        } catch (cause) {
          if (isDiskError(cause)) throw cause;
          db.sql.exec('ROLLBACK TO work; RELEASE work');
          numbers.rolledBack();
          outcome.refused.push([request, cause]);
        }
      }
      return true;
    });
    return outcome;
  }

  private transaction(body: () => boolean): void {
    const { db, numbers, onPoint } = this.options;
    try {
      db.prepare('BEGIN IMMEDIATE').run();
      if (body()) {
        onPoint('before-commit');
        db.prepare('COMMIT').run();
        numbers.committed();
        return;
      }
    } catch (cause) {
      this.rollBack();
      throw cause;
    }
    this.rollBack();
  }

  private rollBack(): void {
    const { db, numbers } = this.options;
    numbers.rolledBack();
    // SQLite itself has ended the transaction after some errors of the disk.
    if (db.sql.isTransaction) db.sql.exec('ROLLBACK');
  }

  private failed(cause: unknown): void {
    this.trouble = errorText(cause);
    if (this.probe || this.closed) return;
    // Uplinks are refused while we are in trouble, so nothing else would find out that there is room again.
    this.probe = setTimeout(() => {
      this.probe = null;
      try {
        this.transaction(() => {
          this.options.db.run("INSERT OR REPLACE INTO settings (name, value) VALUES ('probe', zeroblob(65536))");
          this.options.db.run("DELETE FROM settings WHERE name = 'probe'");
          return true;
        });
        this.recovered();
      } catch (again) {
        this.failed(again);
      }
    }, PROBE_MS);
  }

  private recovered(): void {
    this.trouble = null;
    if (this.probe) clearTimeout(this.probe);
    this.probe = null;
  }
}

interface Outcome<W> {
  readonly attempts: Attempt[];
  readonly accepted: Request<W>[];
  readonly refused: [Request<W>, unknown][];
}
