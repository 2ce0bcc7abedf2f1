import type { TelemetryWrite } from '#engine/work.ts';
import { type Cell, cellOf } from '../values.ts';
import { codeOf, type LatestCells } from './cells.ts';
import type { Attempt } from './committer.ts';
import type { Database } from './database.ts';
import type { Numbers } from './numbers.ts';
import { type Entry, Recent, type RecentEntity } from './recent.ts';

/** Samples and characters in memory from which on they are sorted into the tables. */
const MANY_SAMPLES = 25_000;
const MANY_CHARS = 16_000_000;
/** Samples of one step, so that one takes a millisecond or two. */
const STEP = 250;

export interface JournalOptions {
  readonly db: Database;
  readonly numbers: Numbers;
  readonly now: () => number;
  /** After this time at most, samples are sorted in. */
  readonly flushMs: number;
  /** Runs in a transaction, with what others commit at the moment. */
  readonly commit: (step: (attempt: Attempt) => void) => Promise<void>;
  /** Writes what came of one entity to the tables. */
  readonly sortIn: (entity: number, recent: RecentEntity) => void;
}

/**
 * Why there is a journal: thousands of devices that send in turn touch a page of history and one of latest values each, and a page written is 5 µs and 4 KB of log.
 * So a transaction writes its samples as one row here, and they wait in memory until many can be sorted into the tables, entity by entity; then the
 * rows here go. Reads look into both. After a crash the rows here are read again.
 */
export class Journal {
  private readonly options: JournalOptions;
  private current = new Recent();
  /** What is being sorted in. */
  private sorting: Recent | null = null;
  /** Samples of the running transaction. */
  private pending: { attempt: Attempt; entries: Entry[]; sortedIn: boolean } | null = null;
  private nextSeq = 1;
  private timer: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(options: JournalOptions) {
    this.options = options;
    this.readAgain();
    this.wake();
  }

  /** In the running transaction. */
  write(writes: readonly TelemetryWrite[], attempt: Attempt): void {
    if (writes.length === 0) return;
    const { numbers } = this.options;
    const { entries } = this.of(attempt);
    for (const { tenantId, entity, ts, values, expiresAt, history, latest } of writes) {
      if (values.length === 0) continue;
      const flat: Cell[] = [];
      for (const pair of values) flat.push(codeOf(numbers, pair), cellOf(pair[1]));
      entries.push({ entity: numbers.entity(tenantId, entity), ts, expiresAt, history, latest, flat, text: JSON.stringify(flat) });
    }
  }

  /** In the running transaction, at its end. */
  finish(attempt: Attempt): void {
    const { entries } = this.of(attempt);
    this.pending = null;
    if (entries.length === 0) return;
    const seq = this.nextSeq++;
    const rows = entries.map(
      ({ entity, ts, expiresAt, history, latest, text }) => `[${entity},${ts},${expiresAt},${(history ? 1 : 0) + (latest ? 2 : 0)},${text}]`,
    );
    this.options.db.run('INSERT INTO journal (seq, samples) VALUES (?, ?)', seq, `[${rows.join(',')}]`);
    attempt.afterCommit(() => {
      for (const entry of entries) this.current.add(entry, seq, attempt.now);
      this.wake();
    });
  }

  /** In the running transaction, that nobody else's work is in: everything goes to the tables, as what follows removes from them. */
  sortInAll(attempt: Attempt): void {
    const pending = this.of(attempt);
    const sources: Recent[] = [];
    if (!pending.sortedIn) {
      if (this.sorting) sources.push(this.sorting);
      sources.push(this.current);
      this.options.db.run('DELETE FROM journal');
      attempt.afterCommit(() => {
        this.sorting = null;
        this.current = new Recent();
      });
    }
    const own = new Recent();
    for (const entry of pending.entries.splice(0)) own.add(entry, 0, attempt.now);
    sources.push(own);
    for (const source of sources) for (const [entity, recent] of source.entities) this.options.sortIn(entity, recent);
    pending.sortedIn = true;
  }

  /** A deleted entity's samples need not be sorted in. */
  drop(entity: number): void {
    this.sorting?.entities.delete(entity);
    this.current.entities.delete(entity);
  }

  /** What came of an entity and is not in the tables, older first. */
  recent(entity: number): RecentEntity[] {
    const found: RecentEntity[] = [];
    for (const source of [this.sorting, this.current]) {
      const recent = source?.entities.get(entity);
      if (recent) found.push(recent);
    }
    return found;
  }

  latest(entity: number): LatestCells[] {
    return this.recent(entity).map((recent) => recent.latest);
  }

  close(): void {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
  }

  private of(attempt: Attempt): { entries: Entry[]; sortedIn: boolean } {
    // Another attempt's samples were those of a transaction that did not happen.
    if (this.pending?.attempt !== attempt) this.pending = { attempt, entries: [], sortedIn: false };
    return this.pending;
  }

  private wake(): void {
    if (this.closed || this.sorting || this.current.samples === 0) return;
    if (this.current.samples >= MANY_SAMPLES || this.current.chars >= MANY_CHARS) void this.sortInSteps();
    else
      this.timer ??= setTimeout(() => {
        this.timer = null;
        if (!this.sorting && this.current.samples > 0) void this.sortInSteps();
      }, this.options.flushMs);
  }

  private async sortInSteps(): Promise<void> {
    const source = this.current;
    this.sorting = source;
    this.current = new Recent();
    // In the order of the tables, so that neighbours share a page.
    const entities = [...source.entities.keys()].sort((a, b) => a - b).reverse();
    try {
      // `sorting` is another when everything was sorted in meanwhile.
      while (entities.length > 0 && this.sorting === source && !this.closed) {
        await this.options.commit((attempt) => {
          if (this.sorting === source) this.sortInSome(source, entities, attempt);
        });
      }
      let more = !this.closed && this.sorting === source;
      while (more) {
        await this.options.commit(() => {
          more = this.options.db.run('DELETE FROM journal WHERE seq IN (SELECT seq FROM journal WHERE seq <= ? LIMIT 200)', source.lastSeq) === 200;
        });
      }
      if (this.sorting === source) this.sorting = null;
      this.wake();
    } catch {
      // The disk is full: what is not yet in the tables is put before what came since, and tried again.
      if (this.sorting === source) this.putBack(source);
    }
  }

  /** In the running transaction: the next samples of `entities`, whose last is the next one. */
  private sortInSome(source: Recent, entities: number[], attempt: Attempt): void {
    // More at once when samples come faster than they are sorted in.
    let room = STEP * (1 + Math.floor((3 * this.current.samples) / MANY_SAMPLES));
    let whole = 0;
    for (let at = entities.length - 1; at >= 0 && room > 0; at--) {
      const entity = entities[at]!;
      const recent = source.entities.get(entity);
      if (recent && recent.samples.size > room) {
        const part = new Map([...recent.samples].slice(0, room));
        this.options.sortIn(entity, { samples: part, latest: new Map() });
        attempt.afterCommit(() => {
          for (const ts of part.keys()) recent.samples.delete(ts);
        });
        break;
      }
      if (recent) this.options.sortIn(entity, recent);
      room -= (recent?.samples.size ?? 0) + 1;
      whole++;
    }
    attempt.afterCommit(() => {
      for (const entity of entities.splice(entities.length - whole)) source.entities.delete(entity);
    });
  }

  private putBack(source: Recent): void {
    const newer = this.current;
    this.sorting = null;
    this.current = source;
    for (const [entity, { samples, latest }] of newer.entities) source.merge(entity, samples, latest);
    source.samples += newer.samples;
    source.chars += newer.chars;
    source.lastSeq = Math.max(source.lastSeq, newer.lastSeq);
    if (!this.closed) {
      this.timer ??= setTimeout(() => {
        this.timer = null;
        this.wake();
      }, 1000);
    }
  }

  private readAgain(): void {
    const { db, now } = this.options;
    const known = new Map<number, boolean>();
    for (const row of db.prepare('SELECT seq, samples FROM journal ORDER BY seq').iterate() as Iterable<{ seq: number; samples: string }>) {
      this.nextSeq = row.seq + 1;
      for (const [entity, ts, expiresAt, flags, flat] of JSON.parse(row.samples) as [number, number, number | null, number, Cell[]][]) {
        let exists = known.get(entity);
        if (exists === undefined) {
          exists = db.get("SELECT 1 FROM entities WHERE n = ? AND tenantId <> ''", entity) !== undefined;
          known.set(entity, exists);
        }
        if (exists)
          this.current.add(
            { entity, ts, expiresAt, history: (flags & 1) !== 0, latest: (flags & 2) !== 0, flat, text: JSON.stringify(flat) },
            row.seq,
            now(),
          );
      }
    }
  }
}
