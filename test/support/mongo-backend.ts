import { after } from 'node:test';
import { openMongoBackend } from '#engine/store/mongo.ts';
import type { BackendUnderTest } from './backend.ts';
import { freshDatabase, type MongoServer, startMongo } from './mongo.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { missing } from './servers.ts';
import { eventually } from './wait.ts';

/** For `describe(…, { skip })`: what is not there. */
export const missingServer = (): string | false => missing('redis') || missing('mongo');

let servers: Promise<[MongoServer, RedisServer]> | null = null;
after(async () => {
  for (const server of (await servers) ?? []) await server.close();
});

/** One pair of servers a test file; each start has a database of its own. */
export function sharedServers(): Promise<[MongoServer, RedisServer]> {
  servers ??= Promise.all([startMongo(), startRedis()]);
  return servers;
}

export const mongo: BackendUnderTest = {
  name: 'mongo and redis',
  slow: true,
  async start(options = {}) {
    const [mongoServer, redisServer] = await sharedServers();
    const mongoUrl = freshDatabase(mongoServer);
    /** Integrations that there are, all held by the one process. */
    const integrations = new Set<string>();
    const held = new Set<string>();
    const holder = (kind: string, names: () => readonly string[]) => ({
      names,
      granted: (name: string) => void held.add(`${kind}:${name}`),
      revoked: async (name: string) => void held.delete(`${kind}:${name}`),
    });
    const open = async () => {
      const backend = await openMongoBackend({
        ...{ mongoUrl, redisUrl: redisServer.url, roles: ['api', 'integrations', 'rules'], version: '1', beatMs: 200, giveUpMs: 2000 },
        ...options,
        log: console,
      });
      const lanes = Array.from({ length: backend.queue.lanes }, (_, lane) => String(lane));
      backend.cluster.hold(
        'lane',
        holder('lane', () => lanes),
      );
      backend.cluster.hold(
        'integration',
        holder('integration', () => [...integrations]),
      );
      await eventually(() => held.size === lanes.length + integrations.size, 'all leases are held');
      return backend;
    };
    const running = {
      backend: await open(),
      async restart() {
        await running.backend.close();
        running.backend = await open();
        return running.backend;
      },
      async place(integrationId: string) {
        integrations.add(integrationId);
        running.backend.cluster.refresh('integration');
        await eventually(() => held.has(`integration:${integrationId}`), 'the integration is held');
      },
      stop: () => running.backend.close(),
    };
    return running;
  },
};
