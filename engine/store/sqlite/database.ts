import { closeSync, fdatasync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { ConfigError } from '#engine/errors.ts';
import { MIGRATIONS, type Migration } from './migrations.ts';

export type Row = Record<string, SQLInputValue>;

export const FILE = 'fieldbridge.db';
const LOCK = 'fieldbridge.lock';
/** Primary result codes (sqlite.org/rescode.html) by which nothing can be made durable: NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, BUSY, LOCKED, NOTADB. */
const NOT_DURABLE = new Set([5, 6, 7, 8, 9, 10, 11, 13, 14, 26]);

const primaryCode = (cause: unknown): number => ((cause as { errcode?: number } | null)?.errcode ?? 0) & 0xff;
/** True when the file or the disk is at fault, false when it is what we wanted to write. */
export const isDiskError = (cause: unknown): boolean => NOT_DURABLE.has(primaryCode(cause));

/** The one connection, and its statements by text: each is compiled once. */
export class Database {
  readonly sql: DatabaseSync;
  readonly file: string;
  private readonly lock: DatabaseSync;
  /** The write-ahead log. SQLite keeps this file for as long as it is open, and puts no locks on it that closing ours would end. */
  private readonly log: number;
  private readonly statements = new Map<string, StatementSync>();

  constructor(sql: DatabaseSync, file: string, lock: DatabaseSync) {
    this.sql = sql;
    this.file = file;
    this.lock = lock;
    this.log = openSync(`${file}-wal`, 'r+');
  }

  /** Every transaction is appended to the log: when the log is on the disk, so are they (sqlite.org/wal.html). */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.log, (cause) => (cause ? reject(cause) : resolve()));
    });
  }

  prepare(text: string): StatementSync {
    let statement = this.statements.get(text);
    if (!statement) {
      statement = this.sql.prepare(text);
      this.statements.set(text, statement);
    }
    return statement;
  }

  get<R = Row>(text: string, ...values: SQLInputValue[]): R | undefined {
    return this.prepare(text).get(...values) as R | undefined;
  }

  all<R = Row>(text: string, ...values: SQLInputValue[]): R[] {
    return this.prepare(text).all(...values) as R[];
  }

  /** Number of changed rows. */
  run(text: string, ...values: SQLInputValue[]): number {
    return this.prepare(text).run(...values).changes as number;
  }

  close(): void {
    closeSync(this.log);
    this.sql.close();
    this.lock.close();
  }
}

export interface DatabaseOptions {
  readonly folder: string;
  /** Pages of 4 KB that the file may have: what a full disk is, on a small scale. */
  readonly pageLimit?: number;
  readonly migrations?: readonly Migration[];
  readonly now?: () => number;
}

/**
 * Opens (or creates) the data file, alone, and brings its schema up to date.
 * @throws ConfigError when another process has the folder, or the file was written by a newer version.
 */
export function openDatabase({ folder, pageLimit, migrations = MIGRATIONS, now = Date.now }: DatabaseOptions): Database {
  mkdirSync(folder, { recursive: true });
  const lock = lockFolder(folder);
  let sql: DatabaseSync | undefined;
  try {
    const file = join(folder, FILE);
    sql = new DatabaseSync(file);
    // FULL until the committer takes the syncing over, below.
    sql.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-32768;');
    if (pageLimit !== undefined) sql.exec(`PRAGMA max_page_count=${Math.trunc(pageLimit)}`);
    migrate(sql, migrations, now());
    // NORMAL: COMMIT appends to the log and the committer syncs it before anybody is told (committer.ts); around checkpoints SQLite syncs as ever.
    // Checkpoints are checkpoints.ts'.
    sql.exec('PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;');
    return new Database(sql, file, lock);
  } catch (cause) {
    sql?.close();
    lock.close();
    throw cause;
  }
}

/** A lock of the operating system on a file of its own: it ends with the process, however that ends. */
function lockFolder(folder: string): DatabaseSync {
  const lock = new DatabaseSync(join(folder, LOCK), { timeout: 0 });
  try {
    lock.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock.close();
    if (primaryCode(cause) !== 5) throw cause;
    throw new ConfigError(
      `The data folder ${folder} is in use by another running Fieldbridge; stop that one, or give this one a folder of its own (FIELDBRIDGE_DATA)`,
      { cause },
    );
  }
}

function migrate(sql: DatabaseSync, migrations: readonly Migration[], now: number): void {
  sql.exec('CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY, appliedAt INTEGER NOT NULL)');
  const stored = Number(sql.prepare('SELECT max(version) AS version FROM schema_versions').get()?.['version'] ?? 0);
  const newest = migrations.at(-1)?.version ?? 0;
  if (stored > newest) {
    throw new ConfigError(
      `The data folder was written by a newer version of Fieldbridge (schema ${stored}, this one knows ${newest}); start that version, or restore a backup made before it`,
    );
  }
  for (const { version, sql: text } of migrations) {
    if (version <= stored) continue;
    sql.exec('BEGIN IMMEDIATE');
    try {
      sql.exec(text);
      sql.prepare('INSERT INTO schema_versions VALUES (?, ?)').run(version, now);
      sql.exec('COMMIT');
    } catch (cause) {
      if (sql.isTransaction) sql.exec('ROLLBACK');
      throw cause;
    }
  }
}
