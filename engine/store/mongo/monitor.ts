import type { Redis } from 'ioredis';
import type { Db } from 'mongodb';
import { errorText } from '#engine/errors.ts';

export interface MonitorOptions {
  readonly db: Pick<Db, 'command'>;
  readonly redis: Pick<Redis, 'ping' | 'info' | 'config'>;
  /** Redis is another one than before, or has been started anew: what it had may be gone. */
  readonly onRedisRestarted: () => void;
  readonly everyMs?: number;
  /** A server that does not answer for longer is away, also when its connection stands (it was stopped, or the network swallows everything). */
  readonly answerMs?: number;
}

/** Looks at the servers from one look at the settings of Redis to the next. */
const SETTINGS_EVERY = 30;

/** Knows at any moment whether both servers answer, so that nothing is taken that could not be stored, and what Redis would lose. */
export class Monitor {
  private readonly options: Required<MonitorOptions>;
  private readonly troubles: { mongo: string | null; redis: string | null } = { mongo: null, redis: null };
  private runId: string | null = null;
  private looks = 0;
  private found: readonly string[] = [];
  private timer: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(options: MonitorOptions) {
    this.options = { everyMs: 1000, answerMs: 2500, ...options };
  }

  /** Resolves after the first look at both. */
  async start(): Promise<void> {
    await this.look();
    this.next();
  }

  trouble(): string | null {
    const { mongo, redis } = this.troubles;
    return mongo !== null && redis !== null ? `${mongo}; ${redis}` : (mongo ?? redis);
  }

  /** What the operator should know although everything works. */
  warnings(): readonly string[] {
    return this.found;
  }

  close(): void {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
  }

  private next(): void {
    if (this.closed) return;
    this.timer = setTimeout(() => {
      this.look().finally(() => this.next());
    }, this.options.everyMs);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    await Promise.all([
      this.answer(this.options.db.command({ ping: 1 })).then(
        () => {
          this.troubles.mongo = null;
        },
        (cause: unknown) => {
          this.troubles.mongo = `MongoDB does not answer: ${errorText(cause)}`;
        },
      ),
      this.lookAtRedis().then(
        () => {
          this.troubles.redis = null;
        },
        (cause: unknown) => {
          this.troubles.redis = `Redis does not answer: ${errorText(cause)}`;
        },
      ),
    ]);
  }

  private async lookAtRedis(): Promise<void> {
    const { redis, onRedisRestarted } = this.options;
    const info = await this.answer(redis.info('server'));
    const runId = /^run_id:(\S+)/m.exec(info)?.[1] ?? '';
    const restarted = this.runId !== null && this.runId !== runId;
    this.runId = runId;
    if (restarted) onRedisRestarted();
    // They can be set while it runs.
    if (!restarted && this.looks++ % SETTINGS_EVERY !== 0) return;
    this.found = await this.answer(redisWarnings(redis));
  }

  private answer<T>(promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer for ${this.options.answerMs} ms`)), this.options.answerMs);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }
}

/** Settings of Redis under which what it holds would not survive. */
export async function redisWarnings(redis: Pick<Redis, 'config'>): Promise<string[]> {
  const warnings: string[] = [];
  const setting = async (name: string): Promise<string | null> => {
    const [, value] = (await redis.config('GET', name)) as [string?, string?];
    return value ?? null;
  };
  try {
    const [policy, appendOnly, save] = await Promise.all([setting('maxmemory-policy'), setting('appendonly'), setting('save')]);
    if (policy !== null && policy !== 'noeviction')
      warnings.push(`Redis has maxmemory-policy ${policy}: it drops waiting work when its memory is full. Set it to noeviction.`);
    if (appendOnly === 'no')
      warnings.push(
        save
          ? 'Redis keeps snapshots only (appendonly no): after a crash, work that was dispatched since the last one is dispatched again from MongoDB, late. Set appendonly to yes.'
          : 'Redis keeps nothing on disk (appendonly no, save empty): after a crash all dispatched work has to be dispatched again from MongoDB. Set appendonly to yes.',
      );
  } catch (cause) {
    warnings.push(
      `The settings of Redis could not be read (${errorText(cause)}): make sure that it has maxmemory-policy noeviction and appendonly yes.`,
    );
  }
  return warnings;
}
