import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SQLInputValue } from 'node:sqlite';
import { ConfigError } from '#engine/errors.ts';
import type { EntityRef, EntityType } from '#engine/message.ts';
import {
  type CopyState,
  type Fixed,
  KIND_NAMES,
  KINDS,
  type Kind,
  PAGE_CHARS,
  PAGE_ROWS,
  type RecordPage,
  type Records,
  type Source,
  type Target,
} from '#engine/transfer.ts';
import { Attempt } from './committer.ts';
import { type Database, FILE, openDatabase, type Row } from './database.ts';
import { Numbers } from './numbers.ts';
import { type Context, TABLES } from './records.ts';
import { Telemetry } from './telemetry.ts';

export interface InstallationOptions {
  readonly folder: string;
  /** A target is created when it is not there. */
  readonly as: 'source' | 'target';
  readonly now?: () => number;
  readonly onPoint?: (name: string) => void;
}

/** Pages of 4 KB that the log may have before they are moved into the file. */
const LOG_PAGES = 4000;

/** Settings: a copy that this is the target of; the name of what is in here as long as nobody runs it. */
const COPY = 'copy';
const SNAPSHOT = 'snapshot';

const setting = (db: Database, name: string): string | null =>
  db.get<{ value: string }>('SELECT value FROM settings WHERE name = ?', name)?.value ?? null;
const set = (db: Database, name: string, value: string | number): void =>
  void db.run('INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)', name, value);

const copyState = (db: Database): CopyState | null => JSON.parse(setting(db, COPY) ?? 'null') as CopyState | null;

/** Before anything else is done with a folder that is opened to run. @throws ConfigError while it holds only a part of another installation. */
export function openToRun(db: Database, folder: string): void {
  refuseUnfinished(db, folder);
  db.run('DELETE FROM settings WHERE name = ?', SNAPSHOT);
}

function refuseUnfinished(db: Database, folder: string): void {
  const state = copyState(db);
  if (state && state.finishedAt === null)
    throw new ConfigError(
      `The data folder ${folder} holds a copy of ${state.from} that was not finished: run the same fieldbridge copy again, or empty the folder`,
    );
}

/** @throws ConfigError when it is in use, not there (as a source), or an unfinished copy (as a source). */
export function openSqliteInstallation(options: InstallationOptions): SqliteInstallation {
  const { folder, as } = options;
  if (as === 'source' && !existsSync(join(folder, FILE)))
    throw new ConfigError(`There is no installation in ${folder} (no ${FILE}): give the data folder of one (FIELDBRIDGE_DATA)`);
  const db = openDatabase({ folder });
  try {
    if (as === 'source') refuseUnfinished(db, folder);
    return new SqliteInstallation(db, options);
  } catch (cause) {
    db.close();
    throw cause;
  }
}

/** The data folder of an embedded installation that nobody runs. */
export class SqliteInstallation implements Source, Target {
  readonly name: string;
  private readonly db: Database;
  private readonly numbers: Numbers;
  private readonly onPoint: (name: string) => void;

  constructor(db: Database, { folder, as, now = Date.now, onPoint = () => {} }: InstallationOptions) {
    this.name = folder;
    this.db = db;
    this.numbers = new Numbers(db);
    this.onPoint = onPoint;
    // The committer and its checkpoints are not here to do it.
    db.sql.exec(`PRAGMA wal_autocheckpoint=${LOG_PAGES}`);
    if (as === 'source') this.sortJournalIn(now);
  }

  async fixed(): Promise<Fixed> {
    return { lanes: this.lanes(), relationVersion: Number(setting(this.db, 'relationVersion') ?? 0) };
  }

  async count(kind: Kind, at: number): Promise<number> {
    const { count, from, filter } = TABLES[kind];
    return this.db.get<{ n: number }>(`SELECT ${count} AS n FROM ${from} WHERE ${filter}`, at)!.n;
  }

  async read<K extends Kind>(kind: K, after: string | null, at: number): Promise<RecordPage<K>> {
    const { columns, from, key, start, filter, toRecords } = TABLES[kind];
    const names = key.join(', ');
    const marks = key.map(() => '?').join(', ');
    const rows = this.db
      .prepare(`SELECT ${columns} FROM ${from} WHERE (${names}) > (${marks}) AND ${filter} ORDER BY ${names} LIMIT ${PAGE_ROWS}`)
      .iterate(...(after === null ? start : (JSON.parse(after) as SQLInputValue[])), at) as Iterable<Row>;
    const context = this.context();
    const records: Records[K][] = [];
    let last: Row | null = null;
    let read = 0;
    let chars = 0;
    let isFull = false;
    for (const row of rows) {
      last = row;
      read++;
      records.push(...toRecords(row, context));
      for (const value of Object.values(row)) if (typeof value === 'string' || value instanceof Uint8Array) chars += value.length;
      isFull = read === PAGE_ROWS || records.length >= PAGE_ROWS || chars >= PAGE_CHARS;
      if (isFull) break;
    }
    return { records, cursor: last ? JSON.stringify(key.map((column) => last[column])) : after, isLast: !isFull };
  }

  async snapshot(): Promise<string | null> {
    return setting(this.db, SNAPSHOT);
  }

  async nameSnapshot(snapshot: string): Promise<void> {
    set(this.db, SNAPSHOT, snapshot);
    await this.db.sync();
  }

  async content(): Promise<string | null> {
    for (const kind of KINDS) {
      const n = await this.count(kind, 0);
      if (n > 0) return `${n.toLocaleString('en')} ${KIND_NAMES[kind]}`;
    }
    return null;
  }

  async copyState(): Promise<CopyState | null> {
    return copyState(this.db);
  }

  async begin(state: CopyState, { lanes, relationVersion }: Fixed): Promise<void> {
    this.transaction(state, () => {
      set(this.db, 'lanes', lanes);
      set(this.db, 'relationVersion', relationVersion);
      // Whatever it was the source of before, it is something else now.
      this.db.run('DELETE FROM settings WHERE name = ?', SNAPSHOT);
    });
    await this.db.sync();
  }

  async write<K extends Kind>(kind: K, records: readonly Records[K][], before: number, state: CopyState): Promise<void> {
    this.transaction(state, () => TABLES[kind].write(records, before, this.context()));
  }

  async finish(state: CopyState): Promise<void> {
    this.transaction(state, () => {});
    await this.db.sync();
    this.db.get('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  close(): void {
    this.db.close();
  }

  private lanes(): number {
    return Number(setting(this.db, 'lanes') ?? 16);
  }

  private context(): Context {
    const { db, numbers } = this;
    // Tables are read entity by entity: one is enough to remember.
    let last: { n: number; of: ReturnType<Context['entity']> } | null = null;
    const entity = (n: number) => {
      if (last?.n !== n) last = { n, of: entityOf(db, n) };
      return last.of;
    };
    return { db, numbers, lanes: this.lanes(), entity };
  }

  /** The log is synced at the end only: a power cut takes the last pages and what the state says of them together. */
  private transaction(state: CopyState, write: () => void): void {
    this.db.sql.exec('BEGIN IMMEDIATE');
    try {
      write();
      set(this.db, COPY, JSON.stringify(state));
      this.onPoint('copy-before-commit');
      this.db.sql.exec('COMMIT');
      this.numbers.committed();
    } catch (cause) {
      if (this.db.sql.isTransaction) this.db.sql.exec('ROLLBACK');
      this.numbers.rolledBack();
      throw cause;
    }
  }

  /** Samples that are durable and not in their tables yet: put there as the server would do it. */
  private sortJournalIn(now: () => number): void {
    const { db, numbers } = this;
    const telemetry = new Telemetry({ db, numbers, now, flushMs: 2 ** 30, commit: () => Promise.resolve() });
    try {
      db.sql.exec('BEGIN IMMEDIATE');
      telemetry.sortInAll(new Attempt(now()));
      db.sql.exec('COMMIT');
    } finally {
      telemetry.close();
      if (db.sql.isTransaction) db.sql.exec('ROLLBACK');
    }
  }
}

function entityOf(db: Database, n: number): { tenantId: string; entity: EntityRef } {
  const { tenantId, entityType, id } = db.get<{ tenantId: string; entityType: EntityType; id: string }>(
    'SELECT tenantId, entityType, id FROM entities WHERE n = ?',
    n,
  )!;
  return { tenantId, entity: { entityType, id } };
}
