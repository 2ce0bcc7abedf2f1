import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '#engine/errors.ts';
import { fingerprintOf } from '#engine/secrets.ts';
import { KEY_FILE, openSecrets } from '#engine/secrets-aes.ts';
import type { Source } from '#engine/transfer.ts';

/*
 * Secrets come over sealed, so whoever runs the copy needs the key that sealed them. A key that is a file goes with the folder; one that is given as
 * FIELDBRIDGE_KEY is kept off the disk on purpose, and stays so.
 */

type Env = Readonly<Record<string, string | undefined>>;

export interface Key {
  /** Null: FIELDBRIDGE_KEY, or nobody knows it here. */
  readonly file: string | null;
  /** Null: what was copied has never been run with a key. */
  readonly fingerprint: string | null;
}

/** @throws ConfigError when there is none, or it is not the one that sealed the secrets. */
export async function keyOfFolder(env: Env, folder: string, source: Source): Promise<Key> {
  const found = find(env, folder);
  if (!found) throw new ConfigError(`${folder} has no ${KEY_FILE}: give the FIELDBRIDGE_KEY that it is run with`);
  const secrets = await openSecrets({ folder, key: found.hex });
  const sealed = await firstSealed(source);
  try {
    if (sealed !== null) secrets.open(sealed);
  } catch (cause) {
    throw new ConfigError(`The secrets in ${folder} were sealed with another key than ${where(found.file)}`, { cause });
  }
  return { file: found.file, fingerprint: fingerprintOf(secrets) };
}

/** @param folder where the copy goes to; null: to other servers. */
export async function keyOfServers(env: Env, folder: string | null, source: Source & { keyFingerprint?: string | null }): Promise<Key> {
  const fingerprint = source.keyFingerprint ?? null;
  const found = find(env, folder);
  if (fingerprint === null || (found === null && folder === null)) return { file: null, fingerprint };
  if (!found) throw new ConfigError(`Give the FIELDBRIDGE_KEY that ${source.name} is run with: its secrets can not be opened without it`);
  if (fingerprintOf(await openSecrets({ folder: '', key: found.hex })) !== fingerprint)
    throw new ConfigError(`The secrets in ${source.name} were sealed with another key than ${where(found.file)}`);
  return { file: found.file, fingerprint };
}

/** @throws ConfigError when the folder would be run with another key. */
export function refuseOtherKey({ file }: Key, folder: string): void {
  const own = join(folder, KEY_FILE);
  if (file === null || file === own || !existsSync(own) || readKey(own) === readKey(file)) return;
  throw new ConfigError(`${own} is there already and is another key than ${file}, which sealed the secrets: move it away`);
}

/** Puts the key beside the data where it was a file before. */
export function passKeyOn(key: Key, folder: string): Key {
  const own = join(folder, KEY_FILE);
  if (key.file === null) return key;
  // With its mode, which is 600.
  if (key.file !== own && !existsSync(own)) copyFileSync(key.file, own);
  return { ...key, file: own };
}

/** What is to be done about the key. @param folder where the copy is; null: on servers. */
export function keyText({ file, fingerprint }: Key, folder: string | null): string {
  if (fingerprint === null) return 'It holds no secrets that need a key.';
  if (folder === null)
    return file === null
      ? 'Start every process with the FIELDBRIDGE_KEY of now: the secrets are sealed with it.'
      : `The secrets are sealed with the key in ${file}. Give it to every process: FIELDBRIDGE_KEY="$(cat ${file})", or the file in its data folder.`;
  return file === null
    ? `Start it with the FIELDBRIDGE_KEY of now, which sealed the secrets; without it a new key is made in ${folder} that opens none of them.`
    : `The key of the secrets is in ${file}.`;
}

const where = (file: string | null): string => file ?? 'FIELDBRIDGE_KEY';
const readKey = (file: string): string => readFileSync(file, 'utf8').trim().toLowerCase();

/** As the server does it: the variable before the file. */
function find(env: Env, folder: string | null): { hex: string; file: string | null } | null {
  const given = env['FIELDBRIDGE_KEY'];
  const file = folder === null ? null : join(folder, KEY_FILE);
  if (!given && (file === null || !existsSync(file))) return null;
  const hex = given ? given.toLowerCase() : readKey(file!);
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new ConfigError(`${given ? 'FIELDBRIDGE_KEY' : file} is no key: it must be 64 hex digits`);
  return { hex, file: given ? null : file };
}

async function firstSealed(source: Source): Promise<string | null> {
  for (let after: string | null = null; ; ) {
    const { records, cursor, isLast }: Awaited<ReturnType<typeof source.read<'doc'>>> = await source.read('doc', after, 0);
    for (const { body } of records) {
      const [sealed] = /sealed:1:[A-Za-z0-9+/=]+/.exec(JSON.stringify(body)) ?? [];
      if (sealed) return sealed;
    }
    if (isLast) return null;
    after = cursor;
  }
}
