import { type Collection, type Db, MongoClient, type MongoClientOptions } from 'mongodb';
import { ConfigError, errorText } from '#engine/errors.ts';
import type { StoredBatch } from '#engine/queue/bullmq/batches.ts';
import type { StoredDownlink } from '#engine/queue/bullmq/downlink-docs.ts';
import type { StoredHeld } from '#engine/queue/bullmq/held.ts';
import type { StoredKept } from '#engine/queue/bullmq/kept.ts';
import type { StoredAttribute } from './attributes.ts';
import type { LeaseDoc } from './committer.ts';
import type { StoredDeadLetter } from './dead-letters.ts';
import type { StoredDoc } from './docs.ts';
import type { StoredEvent } from './events.ts';
import type { ChangesDoc } from './feed.ts';
import type { StoredCounts } from './ledger.ts';
import { MIGRATIONS, type Migration } from './migrations.ts';
import type { StoredNodeState } from './node-states.ts';
import type { ProcessDoc } from './processes.ts';
import type { StoredRelation } from './relations.ts';
import type { StoredLatest, StoredSample } from './samples.ts';
import { migrate, type Setting, settled } from './schema.ts';

export type { Setting };

export interface Collections {
  readonly docs: Collection<StoredDoc>;
  readonly attributes: Collection<StoredAttribute>;
  readonly history: Collection<StoredSample>;
  readonly latest: Collection<StoredLatest>;
  readonly relations: Collection<StoredRelation>;
  readonly events: Collection<StoredEvent>;
  readonly deadLetters: Collection<StoredDeadLetter>;
  readonly counters: Collection<StoredCounts>;
  readonly batches: Collection<StoredBatch>;
  readonly held: Collection<StoredHeld>;
  readonly kept: Collection<StoredKept>;
  readonly nodeStates: Collection<StoredNodeState>;
  readonly downlinks: Collection<StoredDownlink>;
  readonly leases: Collection<LeaseDoc>;
  readonly processes: Collection<ProcessDoc>;
  readonly settings: Collection<Setting>;
  readonly changes: Collection<ChangesDoc>;
}

export interface Database {
  readonly client: MongoClient;
  readonly name: string;
  readonly db: Db;
  /** Fixed at the first start, whatever was asked for since. */
  readonly lanes: number;
  readonly collections: Collections;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `mongodb://…/NAME`; without a name the database is `fieldbridge`. */
  readonly url: string;
  /** Of a new database. */
  readonly lanes: number;
  /** Fingerprint of the key of the secrets: all processes of an installation need the same one. */
  readonly key?: string;
  /** Of this program, for people. */
  readonly version: string;
  readonly now?: () => number;
  readonly migrations?: readonly Migration[];
  /** How long an operation may take, ms; 0: as long as it does. A server that hangs is known by its heartbeats all the same. */
  readonly answerMs?: number;
}

const NAME = 'fieldbridge';
/** A server that hangs is known by then, and the driver closes the connection: nothing waits longer for an answer. */
const ANSWER_MS = 10_000;

/** Numbers need no option: the driver gives 64-bit integers beyond 2^53 as `Long`, and nothing of ours stores any (`../values.ts`). */
const CLIENT: MongoClientOptions = {
  appName: 'fieldbridge',
  ignoreUndefined: true,
  serverSelectionTimeoutMS: 3000,
  connectTimeoutMS: 3000,
  heartbeatFrequencyMS: 1000,
  waitQueueTimeoutMS: ANSWER_MS,
  // What is written outside of transactions is on the disk too when it is said to be written.
  writeConcern: { w: 'majority', journal: true },
};

/**
 * Connects, and brings the schema up to date, alone among all processes.
 * @throws ConfigError naming MONGODB_URL when the server is away, refuses us, has no transactions, or holds what a newer version wrote; FIELDBRIDGE_KEY when
 * the secrets in it were sealed with another key.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { url, lanes, key, version, now = Date.now, migrations = MIGRATIONS } = options;
  const client = await connect(url, options.answerMs);
  try {
    const db = client.db(nameOf(url));
    await checkServer(db, url);
    const settings = db.collection<Setting>('settings');
    await migrate({ db, settings, migrations, version, now, refuse: (text) => refusal(url, text) });
    const fixedLanes = Number(await settled(settings, 'lanes', lanes));
    if (key !== undefined && (await settled(settings, 'key', key)) !== key) {
      throw new ConfigError([
        {
          path: 'FIELDBRIDGE_KEY',
          message: `is not the key that the secrets in the MongoDB database ${db.databaseName} were sealed with; give every process the key of the first start`,
        },
      ]);
    }
    return { client, name: db.databaseName, db, lanes: fixedLanes, collections: collectionsOf(db), close: () => client.close() };
  } catch (cause) {
    await client.close();
    throw asRefusal(url, cause);
  }
}

function collectionsOf(db: Db): Collections {
  return {
    docs: db.collection('docs'),
    attributes: db.collection('attributes'),
    history: db.collection('history'),
    latest: db.collection('latest'),
    relations: db.collection('relations'),
    events: db.collection('events'),
    deadLetters: db.collection('deadLetters'),
    counters: db.collection('counters'),
    batches: db.collection('batches'),
    held: db.collection('held'),
    kept: db.collection('kept'),
    nodeStates: db.collection('nodeStates'),
    downlinks: db.collection('downlinks'),
    leases: db.collection('leases'),
    processes: db.collection('processes'),
    settings: db.collection('settings'),
    changes: db.collection('changes'),
  };
}

/** The URL for people: without what may not be seen. */
export const withoutPassword = (url: string): string =>
  url.replace(/(:\/\/[^:@/?\s]*):\S*@/, '$1:***@').replace(/([?&][^=&]*(?:password|token)[^=&]*=)[^&]*/gi, '$1***');

const refusal = (url: string, text: string, cause?: unknown): ConfigError =>
  new ConfigError([{ path: 'MONGODB_URL', message: `${withoutPassword(url)} ${text}` }], { cause });

export async function connect(url: string, answerMs = ANSWER_MS): Promise<MongoClient> {
  let client: MongoClient;
  try {
    client = new MongoClient(url, { ...CLIENT, socketTimeoutMS: answerMs });
  } catch (cause) {
    // Without the cause, whose text may have the whole URL.
    throw refusal(url, `is no URL of MongoDB (${withoutPassword(errorText(cause))}); give mongodb://HOST:27017/${NAME}?replicaSet=NAME`);
  }
  try {
    return await client.connect();
  } catch (cause) {
    await client.close();
    throw asRefusal(url, cause);
  }
}

/** The driver's own would be `test` when nobody names one. */
export const nameOf = (url: string): string => decodeURIComponent(/^[^:]+:\/\/[^/?]+\/([^?]+)/.exec(url)?.[1] ?? NAME);

/** Units of work are transactions, and only the primary of a replica set (one server is enough) or a sharded cluster has them. */
async function checkServer(db: Db, url: string): Promise<void> {
  const hello = await db.command({ hello: 1 });
  if (hello['setName'] === undefined && hello['msg'] !== 'isdbgrid')
    throw refusal(url, 'has no transactions: it runs alone. Start it with --replSet (one server is enough) and call rs.initiate() once');
  if (hello['isWritablePrimary'] !== true)
    throw refusal(url, 'is not the primary of its replica set; name the set in the URL (replicaSet=NAME) and leave directConnection out');
}

const UNAUTHORIZED = 13;
const AUTHENTICATION_FAILED = 18;

/** What the driver says, as the setting that is wrong and what to do about it. */
function asRefusal(url: string, cause: unknown): unknown {
  if (cause instanceof ConfigError) return cause;
  const code = Number((cause as { code?: unknown } | null)?.code);
  const said = errorText(cause);
  if (code === AUTHENTICATION_FAILED)
    return refusal(url, `refuses user or password (${said}); correct them, and name the database that knows the user: authSource=admin`, cause);
  if (code === UNAUTHORIZED)
    return refusal(
      url,
      `does not allow its user what is needed (${said}); give user and password in the URL, and the user the roles readWrite and dbAdmin of the database`,
      cause,
    );
  return refusal(url, `can not be used (${said}); start the server, or correct the URL (hosts, replicaSet)`, cause);
}
