import { randomUUID } from 'node:crypto';
import { type ServerProcess, startServer } from './server-process.ts';
import { freePort, program, temporaryFolder } from './servers.ts';

/** A MongoDB-compatible server (SecantusDB): a real mongod can not be had everywhere that the tests run. */
export interface MongoServer extends ServerProcess {
  /** Without a database; see `freshDatabase`. */
  readonly url: string;
}

export interface MongoOptions {
  port?: number;
  /** The compiled one, about ten times faster (`test/servers install mongo-fast`). */
  fast?: boolean;
}

export async function startMongo({ port, fast = false }: MongoOptions = {}): Promise<MongoServer> {
  const listen = port ?? (await freePort());
  const folder = temporaryFolder('mongo');
  const server = await startServer({
    name: 'SecantusDB',
    file: program(fast ? 'secantusd-rs' : 'secantusd-py'),
    // Without the sync it loses acknowledged writes on kill -9.
    args: [
      ...['--host', '127.0.0.1', '--port', String(listen), '--storage-path', folder, '--sync-on-commit', '--log-level', 'WARNING'],
      ...(fast ? ['--cache-size', '256M', '--log-file-max', '16MB'] : []),
    ],
    port: listen,
    folder,
  });
  return Object.assign(server, { url: `mongodb://127.0.0.1:${listen}/?directConnection=true` });
}

/** URL of a database that nobody has used. */
export const freshDatabase = (server: MongoServer): string => server.url.replace('/?', `/t${randomUUID().replaceAll('-', '').slice(0, 12)}?`);
