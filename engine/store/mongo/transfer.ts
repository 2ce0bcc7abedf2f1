import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type Binary, type ClientSession, type Collection, MongoError } from 'mongodb';
import { ConfigError, errorText, NotConnected } from '#engine/errors.ts';
import {
  type CopyState,
  type Fixed,
  KIND_NAMES,
  KINDS,
  type Kind,
  type RecordPage,
  type Records,
  type Source,
  type Target,
} from '#engine/transfer.ts';
import { VERSION } from '#engine/version.ts';
import { connect, type Database, nameOf, openDatabase, withoutPassword } from './database.ts';
import { isConflict, isUnavailable } from './errors.ts';
import { type Table, tablesOf } from './records.ts';
import { Telemetry } from './telemetry.ts';

/** `settings`: a copy that this is the target of, and who writes it; the name of what is in here as long as nobody runs it. */
const COPY = 'copy';
const WRITER = 'copyWriter';
const SNAPSHOT = 'snapshot';

interface StoredSetting {
  readonly _id: string;
  readonly value?: number | string;
  /** Of `copy`, as in its state. */
  readonly step?: number;
  /** Of `copyWriter`. */
  readonly session?: Binary;
}

type Settings = Collection<StoredSetting>;
const settingsOf = ({ db }: Pick<Database, 'db'>): Settings => db.collection<StoredSetting>('settings');

async function copyState(settings: Settings): Promise<CopyState | null> {
  const found = await settings.findOne({ _id: COPY });
  return found ? (JSON.parse(String(found.value)) as CopyState) : null;
}

/** Before anything else is done with a database that is opened to run. @throws ConfigError while it holds only a part of another installation. */
export async function openToRun(database: Pick<Database, 'db' | 'name'>): Promise<void> {
  const settings = settingsOf(database);
  await refuseUnfinished(settings, database.name);
  await settings.deleteOne({ _id: SNAPSHOT });
}

async function refuseUnfinished(settings: Settings, name: string): Promise<void> {
  const state = await copyState(settings);
  if (state && state.finishedAt === null)
    throw new ConfigError(
      `The MongoDB database ${name} holds a copy of ${state.from} that was not finished: run the same fieldbridge copy again, or drop the database`,
    );
}

/** A server that is away, told apart from one that refuses. */
async function reached<T>(url: string, what: Promise<T>): Promise<T> {
  try {
    return await what;
  } catch (cause) {
    const inner = cause instanceof ConfigError ? cause.cause : cause;
    if (isUnavailable(inner)) throw new NotConnected(withoutPassword(url), inner);
    throw cause;
  }
}

/** Nobody waits for a copy but its owner, and to count a hundred million rows takes a server minutes. */
const COUNTING = 0;

/** How long a process of an installation that runs may show no sign of life. */
const SILENT_MS = 6000;
const LOOK_MS = 250;

/** @throws ConfigError when there is no installation, it is in use, or it is an unfinished copy. NotConnected. */
export async function openMongoSource({ url, silentMs = SILENT_MS }: { url: string; silentMs?: number }): Promise<MongoInstallation> {
  const name = withoutPassword(url);
  const client = await reached(url, connect(url));
  try {
    const db = client.db(nameOf(url));
    // Opening makes what is not there, which would turn a wrong name into an empty installation.
    if (!(await settingsOf({ db }).findOne({ _id: 'schema' })))
      throw new ConfigError(`There is no installation in ${name} (database ${db.databaseName}): name its database in the URL, mongodb://HOST/NAME`);
    await refuseUnfinished(settingsOf({ db }), db.databaseName);
    await refuseRunning(db.collection<{ _id: string }>('processes'), name, silentMs);
  } finally {
    await client.close();
  }
  const database = await reached(url, openDatabase({ url, lanes: 16, version: VERSION, answerMs: COUNTING }));
  // What is left of deleted entities is no part of it.
  const telemetry = new Telemetry(database.collections);
  while (await reached(url, telemetry.sweep()));
  const key = await settingsOf(database).findOne({ _id: 'key' });
  return new MongoInstallation(database, { name, keyFingerprint: key === null ? null : String(key.value) });
}

/** What a process says of itself changes while it lives, by its own clock or ours. */
async function refuseRunning(processes: Collection<{ _id: string }>, name: string, silentMs: number): Promise<void> {
  const look = async (): Promise<Map<string, string>> =>
    new Map((await processes.find().toArray()).map((process) => [process._id, JSON.stringify(process)]));
  const before = await look();
  for (let waited = 0; before.size > 0 && waited < silentMs; waited += LOOK_MS) {
    await sleep(LOOK_MS);
    const alive = [...(await look())].filter(([id, text]) => before.get(id) !== text).length;
    if (alive > 0)
      throw new ConfigError(`${name} is in use by ${alive} running ${alive === 1 ? 'process' : 'processes'}: stop them before it is copied`);
  }
}

export interface TargetOptions {
  readonly url: string;
  readonly redisUrl: string;
  /** Of the key of the secrets. */
  readonly keyFingerprint: string | null;
  readonly onPoint?: (name: string) => void;
}

/** @throws ConfigError when Redis has something of an installation of this name. NotConnected. */
export async function openMongoTarget({ url, redisUrl, keyFingerprint, onPoint }: TargetOptions): Promise<MongoInstallation> {
  await refuseUsedRedis(redisUrl, nameOf(url));
  const database = await reached(url, openDatabase({ url, lanes: 16, version: VERSION, answerMs: COUNTING }));
  return new MongoInstallation(database, { name: withoutPassword(url), keyFingerprint, ...(onPoint ? { onPoint } : {}) });
}

/** Jobs of an earlier installation would be taken for those of this one. */
async function refuseUsedRedis(url: string, name: string): Promise<void> {
  const shown = withoutPassword(url);
  const redis = new Redis(url, { lazyConnect: true, connectTimeout: 3000, maxRetriesPerRequest: 0, retryStrategy: () => null });
  redis.on('error', () => {}); // Every call says so itself.
  try {
    await redis.connect();
    const match = `${name.replace(/[\\*?[\]]/g, '\\$&')}:*`;
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', match, 'COUNT', 1000);
      if (keys.length > 0)
        throw new ConfigError(
          `Redis ${shown} is not empty: it has ${keys[0]} of another installation named ${name}. Remove the keys ${name}:*, or name another database`,
        );
      cursor = next;
    } while (cursor !== '0');
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new NotConnected(`Redis ${shown}`, cause);
  } finally {
    redis.disconnect();
  }
}

interface InstallationOptions {
  readonly name: string;
  readonly keyFingerprint: string | null;
  readonly onPoint?: (name: string) => void;
}

/** The MongoDB database of an installation that nobody runs. Redis has nothing that could not be made from it. */
export class MongoInstallation implements Source, Target {
  readonly name: string;
  readonly keyFingerprint: string | null;
  private readonly database: Database;
  private readonly settings: Settings;
  private tables: { readonly [K in Kind]: Table<K> };
  private readonly onPoint: (name: string) => void;
  private session: ClientSession | null = null;

  constructor(database: Database, { name, keyFingerprint, onPoint = () => {} }: InstallationOptions) {
    this.database = database;
    this.name = name;
    this.keyFingerprint = keyFingerprint;
    this.settings = settingsOf(database);
    this.tables = this.tablesFor(database.lanes);
    this.onPoint = onPoint;
  }

  async fixed(): Promise<Fixed> {
    const value = async (_id: string): Promise<number> => Number((await this.settings.findOne({ _id }))?.value ?? 0);
    return { lanes: await value('lanes'), relationVersion: await value('relationVersion') };
  }

  count(kind: Kind, at: number): Promise<number> {
    return reached(this.name, this.tables[kind].count(at));
  }

  read<K extends Kind>(kind: K, after: string | null, at: number): Promise<RecordPage<K>> {
    return reached(this.name, this.tables[kind].read(after, at));
  }

  async snapshot(): Promise<string | null> {
    const found = await this.settings.findOne({ _id: SNAPSHOT });
    return found ? String(found.value) : null;
  }

  async nameSnapshot(snapshot: string): Promise<void> {
    await this.settings.updateOne({ _id: SNAPSHOT }, { $set: { value: snapshot } }, { upsert: true });
  }

  async content(): Promise<string | null> {
    for (const kind of KINDS) {
      const n = await this.count(kind, 0);
      if (n > 0) return `${n.toLocaleString('en')} ${KIND_NAMES[kind]}`;
    }
    return null;
  }

  copyState(): Promise<CopyState | null> {
    return copyState(this.settings);
  }

  async begin(state: CopyState, { lanes, relationVersion }: Fixed): Promise<void> {
    await this.transaction(state, async (session) => {
      const fixed = { lanes, relationVersion, key: this.keyFingerprint };
      for (const [_id, value] of Object.entries(fixed)) {
        if (value !== null) await this.settings.updateOne({ _id }, { $set: { value } }, { upsert: true, session });
        else await this.settings.deleteOne({ _id }, { session });
      }
      // Whatever it was the source of before, it is something else now.
      await this.settings.deleteOne({ _id: SNAPSHOT }, { session });
    });
    this.tables = this.tablesFor(lanes);
  }

  async write<K extends Kind>(kind: K, records: readonly Records[K][], before: number, state: CopyState): Promise<void> {
    await this.transaction(state, (session) => this.tables[kind].write(records, before, session));
  }

  async finish(state: CopyState): Promise<void> {
    await this.transaction(state, async (session) => {
      await this.settings.deleteOne({ _id: WRITER }, { session });
    });
  }

  async close(): Promise<void> {
    await this.session?.endSession();
    await this.database.close();
  }

  /** A server keeps the transaction of a killed client for a minute, and everybody else would wait for it: so the session of the run before is ended. */
  private async ownSession(): Promise<ClientSession> {
    if (this.session) return this.session;
    const { client } = this.database;
    const session = client.startSession();
    const before = await this.settings.findOneAndUpdate({ _id: WRITER }, { $set: { session: session.id!.id as Binary } }, { upsert: true });
    if (before?.session) await client.db('admin').command({ killSessions: [{ id: before.session }] });
    this.session = session;
    return session;
  }

  private tablesFor(lanes: number): { readonly [K in Kind]: Table<K> } {
    return tablesOf({ collections: this.database.collections, lanes, now: Date.now() });
  }

  /** Happens once: a second time finds the step that it was going to take. @throws ConfigError when another copy goes on with the same target. */
  private async transaction(state: CopyState, write: (session: ClientSession) => Promise<void>): Promise<void> {
    const value = JSON.stringify(state);
    try {
      const session = await this.ownSession();
      await session.withTransaction(
        async () => {
          const stored = await this.settings.findOne({ _id: COPY }, { session });
          if (stored?.step === state.step && stored.value === value) return;
          const before = state.step > 0 ? state.step - 1 : undefined;
          const isBegun = stored !== null && (JSON.parse(String(stored.value)) as CopyState).finishedAt === null;
          if ((isBegun ? stored.step : undefined) !== before) throw new ConfigError(`Another copy to ${this.name} is under way`);
          await this.settings.updateOne({ _id: COPY }, { $set: { value, step: state.step } }, { upsert: true, session });
          await write(session);
          this.onPoint('copy-before-commit');
        },
        { readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority', journal: true } },
      );
    } catch (cause) {
      if (isUnavailable(cause) || isConflict(cause)) throw new NotConnected(this.name, cause);
      if (cause instanceof MongoError) throw new ConfigError(`${this.name} refuses what is copied: ${errorText(cause)}`, { cause });
      throw cause;
    }
  }
}
