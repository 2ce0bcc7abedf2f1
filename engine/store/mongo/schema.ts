import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Collection, Db } from 'mongodb';
import { ConfigError } from '#engine/errors.ts';
import type { LeaseDoc } from './committer.ts';
import { isConflict, isDuplicateKey } from './errors.ts';
import type { Migration } from './migrations.ts';

/** `settings`: what all processes must agree on. */
export interface Setting {
  readonly _id: string;
  /** Of `lanes`, `key`, `relationVersion`. */
  readonly value?: number | string;
  /** Of `schema`. */
  readonly version?: number;
  /** Of `schema`: the version of the program that brought it there; of `migration`: who is at it. */
  readonly by?: string;
  readonly at?: number;
  /** Of `migration`: grows while its process lives. */
  readonly beat?: number;
}

/** The value under which the installation was started first. */
export async function settled(settings: Collection<Setting>, name: string, value: number | string): Promise<number | string | undefined> {
  await inserted(settings, { _id: name, value });
  return (await settings.findOne({ _id: name }))?.value;
}

/** False: it is there already. */
async function inserted(settings: Collection<Setting>, setting: Setting): Promise<boolean> {
  try {
    await settings.insertOne(setting);
    return true;
  } catch (cause) {
    if (!isDuplicateKey(cause)) throw cause;
    return false;
  }
}

export interface MigrateOptions {
  readonly db: Db;
  readonly settings: Collection<Setting>;
  readonly migrations: readonly Migration[];
  readonly version: string;
  readonly now: () => number;
  readonly refuse: (text: string) => Error;
  /** Whoever migrates and is silent for as long is dead. */
  readonly silentMs?: number;
}

const POLL_MS = 100;
const BEAT_MS = 1000;

/** Brings the schema to the newest version: one process does it, the others wait for it, and take over from one that died. */
export async function migrate(options: MigrateOptions): Promise<void> {
  const { settings, migrations, version, refuse, silentMs = 10_000 } = options;
  const newest = migrations.at(-1)?.version ?? 0;
  const me = randomUUID();
  let seen = '';
  let since = 0;
  for (;;) {
    const schema = await settings.findOne({ _id: 'schema' });
    const stored = schema?.version ?? 0;
    if (stored > newest) {
      throw refuse(
        `was written by a newer version of Fieldbridge (schema ${stored} of ${schema?.by}; this is ${version} and knows ${newest}); start that version, or restore a backup made before it`,
      );
    }
    if (stored === newest) return;
    if (await inserted(settings, { _id: 'migration', by: me, beat: 0 })) {
      await migrateAlone(options, me);
      continue;
    }
    const other = await settings.findOne({ _id: 'migration' });
    if (!other) continue;
    const sign = `${other.by} ${other.beat}`;
    // By our own clock alone: those of two machines need not agree.
    if (sign !== seen) [seen, since] = [sign, performance.now()];
    else if (performance.now() - since > silentMs) await settings.deleteOne({ _id: 'migration', by: other.by, beat: other.beat });
    await sleep(POLL_MS);
  }
}

async function migrateAlone({ db, settings, migrations, version, now }: MigrateOptions, me: string): Promise<void> {
  const beat = setInterval(() => {
    // The server is away: then the next step finds it too.
    settings.updateOne({ _id: 'migration', by: me }, { $inc: { beat: 1 } }).catch(() => {});
  }, BEAT_MS);
  try {
    const stored = (await settings.findOne({ _id: 'schema' }))?.version ?? 0;
    await inserted(settings, { _id: 'schema', version: 0, by: version, at: now() });
    let reached = stored;
    if (stored > 0) await fenceAll(db);
    for (const step of migrations) {
      if (step.version <= reached) continue;
      await step.apply(db);
      // Whoever took this over because we seemed dead is further than that, or does the same.
      await settings.updateOne({ _id: 'schema', version: reached }, { $set: { version: step.version, by: version, at: now() } });
      reached = step.version;
    }
  } finally {
    clearInterval(beat);
    await settings.deleteOne({ _id: 'migration', by: me }).catch(() => {}); // Then it is taken over after the silence.
  }
}

/** Processes of the older schema write nothing more from here on: what they know of the documents is over. They find out at their next commit or beat, and end. */
async function fenceAll(db: Db): Promise<void> {
  const leases = db.collection<LeaseDoc>('leases');
  for (;;) {
    try {
      await leases.updateMany({ _id: { $gte: 'process:', $lt: 'process;' } }, { $set: { owner: null }, $inc: { epoch: 1 } });
      return;
    } catch (cause) {
      // One of them is in the midst of a transaction.
      if (!isConflict(cause)) throw cause;
      await sleep(POLL_MS);
    }
  }
}

/** For a process that runs: throws when a newer version has changed the schema since it was started, or is about to. */
export async function checkSchema(settings: Collection<Setting>, known: number): Promise<void> {
  const [schema, migration] = await Promise.all([settings.findOne({ _id: 'schema' }), settings.findOne({ _id: 'migration' })]);
  const newer = (schema?.version ?? 0) > known;
  if (!newer && !migration) return;
  const by = newer ? ` (${schema?.by})` : '';
  throw new ConfigError(`a newer version of Fieldbridge${by} has changed the schema of the database: start that version here too`);
}
