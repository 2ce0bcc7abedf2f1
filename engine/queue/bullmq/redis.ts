import { Redis } from 'ioredis';
import { ConfigError, errorText } from '#engine/errors.ts';

const CONNECT_MS = 3000;
/** Of the first connection; for those that follow the monitor counts. */
const ANSWER_MS = 5000;
const LONGEST_PAUSE_MS = 1000;

export interface RedisConnections {
  /** For commands. */
  readonly main: Redis;
  /** Another one. */
  connect(): Redis;
  close(): void;
}

/** @throws ConfigError naming REDIS_URL when nothing answers there, or something that refuses us. */
export async function connectRedis(url: string): Promise<RedisConnections> {
  const opened: Redis[] = [];
  const connect = (): Redis => {
    const redis = new Redis(url, {
      connectTimeout: CONNECT_MS,
      keepAlive: 10_000,
      // The monitor asks every second: a connection that hears nothing for so long has lost its peer, and is made anew. A server that only hangs goes on sooner.
      socketTimeout: 60_000,
      noDelay: true,
      // What is sent waits for the connection, for ever; how much may wait is bounded by those who send.
      maxRetriesPerRequest: null,
      retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), LONGEST_PAUSE_MS),
      connectionName: 'fieldbridge',
    });
    redis.on('error', () => {}); // The monitor says that it is away; it connects again by itself.
    opened.push(redis);
    return redis;
  };
  const close = (): void => {
    for (const redis of opened) redis.disconnect();
  };
  const probe = new Redis(url, { lazyConnect: true, connectTimeout: CONNECT_MS, maxRetriesPerRequest: 0, retryStrategy: () => null });
  let said = '';
  probe.on('error', (cause) => {
    said = errorText(cause);
  });
  try {
    await answered(probe);
  } catch (cause) {
    throw new ConfigError(
      [
        {
          path: 'REDIS_URL',
          message: `${shownUrl(url)} can not be used (${said || errorText(cause)}); start the server, or correct the URL (host, port, password)`,
        },
      ],
      { cause },
    );
  } finally {
    probe.disconnect();
  }
  return { main: connect(), connect, close };
}

/** A database that is not there would be answered with another one by the client, and a server that hangs not at all. */
async function answered(probe: Redis): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer for ${ANSWER_MS} ms`)), ANSWER_MS);
  });
  const asked = (async () => {
    await probe.connect();
    await probe.select(probe.options.db ?? 0);
    await probe.ping();
  })();
  asked.catch(() => {}); // After the deadline nobody asks any more.
  await Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

const shownUrl = (url: string): string => url.replace(/(:\/\/[^:@/?\s]*):\S*@/, '$1:***@');
