import { type ServerProcess, startServer } from './server-process.ts';
import { freePort, program, temporaryFolder } from './servers.ts';

export interface RedisServer extends ServerProcess {
  readonly url: string;
}

export interface RedisOptions {
  port?: number;
  /** Default: an append-only file, written before the answer: nothing that was answered is lost. */
  fsync?: 'always' | 'everysec' | 'none';
  /** Further lines of its configuration, as arguments. */
  args?: readonly string[];
}

export async function startRedis({ port, fsync = 'always', args = [] }: RedisOptions = {}): Promise<RedisServer> {
  const listen = port ?? (await freePort());
  const folder = temporaryFolder('redis');
  const durable = fsync === 'none' ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--appendfsync', fsync];
  const server = await startServer({
    name: 'redis-server',
    file: program('redis-server'),
    args: ['--bind', '127.0.0.1', '--port', String(listen), '--dir', folder, '--save', '', '--maxmemory-policy', 'noeviction', ...durable, ...args],
    port: listen,
    folder,
  });
  return Object.assign(server, { url: `redis://127.0.0.1:${listen}` });
}
