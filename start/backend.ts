import { mkdir } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Backend } from '#engine/queue.ts';
import { fingerprintOf, type Secrets } from '#engine/secrets.ts';
import { openSecrets } from '#engine/secrets-aes.ts';
import type { Settings } from '#engine/settings.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import { VERSION } from '#engine/version.ts';

export interface Ground {
  readonly backend: Backend;
  readonly secrets: Secrets;
}

export interface GroundOptions {
  readonly now: () => number;
  readonly onPoint: (name: string) => void;
  readonly log: Logger;
}

/** What everything stands on: store, queue and key, embedded in the data folder or on the servers that the settings name. */
export async function openGround(settings: Settings, { now, onPoint, log }: GroundOptions): Promise<Ground> {
  const { dataFolder: folder, servers, lanes, roles } = settings;
  const secrets = await openSecrets({ folder, key: settings.key, shared: servers !== null });
  if (!servers) {
    await mkdir(folder, { recursive: true });
    return { secrets, backend: await openSqliteBackend({ folder, lanes, now, onPoint }) };
  }
  // Drivers cost start and memory, and only those pay who use them.
  const { openMongoBackend } = await import('#engine/store/mongo.ts');
  return { secrets, backend: await openMongoBackend({ ...servers, lanes, roles, version: VERSION, key: fingerprintOf(secrets), now, onPoint, log }) };
}
