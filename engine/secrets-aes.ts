import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { ConfigError } from './errors.ts';
import type { Secrets } from './secrets.ts';

const PREFIX = 'sealed:1:';
export const KEY_FILE = 'secrets.key';

export interface SecretsOptions {
  readonly folder: string;
  /** 64 hex digits; without it that of `secrets.key` in the folder. */
  readonly key?: string | null;
  /** Other processes have the same key: none is made here. */
  readonly shared?: boolean;
}

/** AES-256-GCM. The key file is made at the first start, with mode 600. @throws ConfigError when a shared key is not given. */
export async function openSecrets({ folder, key, shared = false }: SecretsOptions): Promise<Secrets> {
  if (!key && !shared) await makeKeyFile(folder);
  const secret = Buffer.from(key || (await keyFile(folder)), 'hex');
  if (secret.length !== 32) throw new ConfigError(`The key of the secrets must have 32 bytes, not ${secret.length}`);

  function seal(text: string): string {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', secret, iv);
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return PREFIX + Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64');
  }

  function unseal(sealed: string): string {
    if (!sealed.startsWith(PREFIX)) throw new ConfigError('A secret in the store is not sealed');
    const bytes = Buffer.from(sealed.slice(PREFIX.length), 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, 12));
      decipher.setAuthTag(bytes.subarray(12, 28));
      return decipher.update(bytes.subarray(28), undefined, 'utf8') + decipher.final('utf8');
    } catch (cause) {
      throw new ConfigError('A secret was sealed with another key', { cause });
    }
  }

  return {
    seal,
    open: unseal,
    derive: (purpose, bytes) => Buffer.from(hkdfSync('sha256', secret, '', purpose, bytes)),
    sealConfig: (schema, config, stored) => walk([schema], config, seal, stored),
    openConfig: (schema, config) => walk([schema], config, unseal),
    redactConfig: (schema, config) => walk([schema], config, () => undefined),
  };
}

async function makeKeyFile(folder: string): Promise<void> {
  const path = join(folder, KEY_FILE);
  await mkdir(folder, { recursive: true });
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(randomBytes(32).toString('hex'));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
  }
}

async function keyFile(folder: string): Promise<string> {
  const path = join(folder, KEY_FILE);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    const message = `must be given because the processes on Redis and MongoDB share one key: 64 hex digits (openssl rand -hex 32), the same for all, or its file as ${path}`;
    throw new ConfigError([{ path: 'FIELDBRIDGE_KEY', message }], { cause });
  }
}

/** As much of JSON Schema as our configurations use. */
interface Shape {
  readonly secret?: boolean;
  readonly anyOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  readonly const?: unknown;
}

/** Alternatives are looked at together, because a value is sealed before it is valid; only those whose `type` is another are left out. */
function alternatives(shapes: readonly Shape[], value: unknown): Shape[] {
  const flat = shapes.flatMap((shape): Shape[] => (shape.anyOf ? alternatives(shape.anyOf, value) : [shape]));
  const fitting = flat.filter((shape) =>
    Object.entries(shape.properties ?? {}).every(
      ([key, part]) => part.const === undefined || part.const === (value as Record<string, unknown> | null)?.[key],
    ),
  );
  return fitting.length > 0 ? fitting : flat;
}

/** Copy of `value` with `change` applied to each secret text; undefined leaves it out. Secrets that are absent are those of `stored`. */
function walk(schemas: readonly (TSchema | Shape)[], value: unknown, change: (text: string) => string | undefined, stored?: unknown): unknown {
  const shapes = alternatives(schemas as readonly Shape[], value);
  const secret = shapes.some((shape) => shape.secret);
  if (typeof value === 'string') return secret ? change(value) : value;
  if (secret && value === null && typeof stored === 'string') return stored;
  if (Array.isArray(value)) {
    const items = shapes.flatMap((shape) => (shape.items ? [shape.items] : []));
    return value.map((item, index) => walk(items, item, change, Array.isArray(stored) ? stored[index] : undefined));
  }
  if (typeof value !== 'object' || value === null) return value;
  const before = typeof stored === 'object' && stored !== null ? (stored as Record<string, unknown>) : {};
  const result: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(value)) {
    const changed = walk(partsOf(shapes, key), part, change, before[key]);
    if (changed !== undefined) result[key] = changed;
  }
  for (const key of new Set(shapes.flatMap((shape) => Object.keys(shape.properties ?? {})))) {
    if ((value as Record<string, unknown>)[key] !== undefined || typeof before[key] !== 'string') continue;
    if (alternatives(partsOf(shapes, key), undefined).some((shape) => shape.secret)) result[key] = before[key];
  }
  return result;
}

const partsOf = (shapes: readonly Shape[], key: string): Shape[] =>
  shapes.flatMap((shape) => {
    const part = shape.properties?.[key];
    return part ? [part] : Object.values(shape.patternProperties ?? {});
  });
