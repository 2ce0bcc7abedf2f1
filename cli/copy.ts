import { resolve } from 'node:path';
import { AppError, NotConnected } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { killAt } from '#engine/points.ts';
import { openSqliteInstallation } from '#engine/store/sqlite/transfer.ts';
import { KIND_NAMES, type Source, type Tally, type Target, transfer } from '#engine/transfer.ts';
import { CliError, EXIT } from './client.ts';
import { type Key, keyOfFolder, keyOfServers, keyText, passKeyOn, refuseOtherKey } from './copy-key.ts';
import { showProgress } from './copy-progress.ts';

export interface CopyArgs {
  readonly from: string;
  readonly to: string;
  /** The Redis beside a MongoDB; of a source it is not needed, because everything that waits is in MongoDB. */
  readonly redis: string | undefined;
  readonly json: boolean;
}

type Open<T> = T & { close(): Promise<void> | void };

const isMongo = (location: string): boolean => /^mongodb(\+srv)?:\/\//.test(location);

/** `fieldbridge copy`: carries a whole installation from one place to another, neither of which is in use. @returns the exit code. */
export async function copyInstallation(args: CopyArgs, env: Readonly<Record<string, string | undefined>> = process.env): Promise<number> {
  try {
    return await copy(args, env);
  } catch (cause) {
    if (cause instanceof NotConnected) throw new CliError(`${cause.message}. Is it running, and is the address right?`, EXIT.unreachable);
    if (cause instanceof AppError && cause.code === 'copy-differs')
      throw new CliError(`${table(cause.details['tallies'] as readonly Tally[])}${cause.message}`, EXIT.failed);
    if (cause instanceof AppError) throw new CliError(cause.message, EXIT.failed);
    throw cause;
  }
}

async function copy({ from, to, redis, json }: CopyArgs, env: Readonly<Record<string, string | undefined>>): Promise<number> {
  for (const [option, location] of [
    ['--from', from],
    ['--to', to],
  ])
    if (!isMongo(location!) && /^\w+:\/\//.test(location!))
      throw new CliError(`${option} is a data folder or a mongodb:// URL, not ${location}`, EXIT.usage);
  if (isMongo(to) && redis === undefined)
    throw new CliError('--redis is needed beside --to mongodb://…: it must be empty of this installation, too', EXIT.usage);
  if (isMongo(from) ? from === to : resolve(from) === resolve(to)) throw new CliError('--from and --to are the same place', EXIT.usage);

  const onPoint = killAt(env['FIELDBRIDGE_KILL_AT']);
  const source = await openSource(from);
  try {
    const key = isMongo(from) ? await keyOfServers(env, isMongo(to) ? null : to, source) : await keyOfFolder(env, from, source);
    if (!isMongo(to)) refuseOtherKey(key, to);
    const target = await openTarget(to, redis, key, onPoint);
    try {
      const progress = showProgress(process.stderr, Date.now);
      const onCounting = (): void => void process.stderr.write('counting both sides\n');
      const tallies = await transfer({ source, target, newId, now: Date.now, onProgress: progress.on, onCounting, onPoint }).finally(progress.end);
      const kept = isMongo(to) ? key : passKeyOn(key, to);
      if (json) process.stdout.write(`${JSON.stringify({ from: source.name, to: target.name, copied: tallies })}\n`);
      else process.stdout.write(`${table(tallies)}Copied ${source.name} to ${target.name}.\n${keyText(kept, isMongo(to) ? null : to)}\n`);
      return EXIT.good;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function openSource(location: string): Promise<Open<Source & { keyFingerprint?: string | null }>> {
  if (!isMongo(location)) return openSqliteInstallation({ folder: location, as: 'source' });
  const { openMongoSource } = await import('#engine/store/mongo/transfer.ts');
  return openMongoSource({ url: location });
}

async function openTarget(location: string, redis: string | undefined, key: Key, onPoint: (name: string) => void): Promise<Open<Target>> {
  if (!isMongo(location)) return openSqliteInstallation({ folder: location, as: 'target', onPoint });
  const { openMongoTarget } = await import('#engine/store/mongo/transfer.ts');
  return openMongoTarget({ url: location, redisUrl: redis!, keyFingerprint: key.fingerprint, onPoint });
}

function table(tallies: readonly Tally[]): string {
  const number = (n: number): string => n.toLocaleString('en').padStart(14);
  const rows = tallies.map(({ kind, source, target }) => {
    const differs = source === target ? '' : '   differs';
    return `${KIND_NAMES[kind].padEnd(18)}${number(source)}${number(target)}${differs}\n`;
  });
  return `${''.padEnd(18)}${'source'.padStart(14)}${'target'.padStart(14)}\n${rows.join('')}`;
}
