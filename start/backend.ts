import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { openFileSegments } from '#engine/capture/files.ts';
import type { Segments } from '#engine/capture/segments.ts';
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

/** Where messages are remembered for their journeys. Null: nowhere, and what was remembered before is gone. */
export async function openSegments(
  { capture, dataFolder }: Settings,
  backend: Backend,
  { now, log }: Pick<GroundOptions, 'now' | 'log'>,
): Promise<Segments | null> {
  if (backend.segments) return capture && backend.segments(capture);
  const folder = join(dataFolder, 'capture');
  if (capture) return openFileSegments({ folder, ...capture, now, log });
  await rm(folder, { recursive: true, force: true });
  return null;
}
