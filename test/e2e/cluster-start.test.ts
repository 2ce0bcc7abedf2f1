import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { clientOf } from '../support/client.ts';
import { freshDatabase, type MongoServer, startMongo } from '../support/mongo.ts';
import { type ProductProcess, productProcess } from '../support/product-process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { freePort, missing, temporaryFolder } from '../support/servers.ts';

/** Starts on Redis and MongoDB that are refused, and starts that are warned of, as whoever runs the processes sees them. */

const KEY = 'a1'.repeat(32);

describe('a start on Redis and MongoDB', { skip: missing('redis') || missing('mongo') }, () => {
  let mongo: MongoServer;
  let redis: RedisServer;
  const folder = temporaryFolder('cluster-start');
  before(async () => {
    [mongo, redis] = await Promise.all([startMongo(), startRedis({ fsync: 'none', args: ['--maxmemory-policy', 'allkeys-lru'] })]);
  });
  after(async () => {
    await Promise.all([mongo?.close(), redis?.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  async function withProcess<T>(env: Record<string, string>, use: (process: ProductProcess) => Promise<T>): Promise<T> {
    const made = productProcess({ port: await freePort(), dataFolder: folder, env: { REDIS_URL: redis.url, FIELDBRIDGE_KEY: KEY, ...env } });
    try {
      return await use(made);
    } finally {
      await made.close();
    }
  }
  const refusal = (env: Record<string, string>) =>
    withProcess(env, async (process) => {
      const begin = performance.now();
      await assert.rejects(process.start(), /the product ended while starting/);
      assert.equal(await process.ended(), 1);
      assert.ok(performance.now() - begin < 15_000);
      return process.output();
    });

  test('whose work would not survive: warned of at the start, in /health, and in the status', async () => {
    const MONGODB_URL = freshDatabase(mongo);
    const warnings = [/maxmemory-policy allkeys-lru.*Set it to noeviction/, /Redis keeps nothing on disk.*Set appendonly to yes/];
    await withProcess({ MONGODB_URL, ROLES: 'api' }, async (api) => {
      await api.start();
      for (const says of warnings) assert.match(api.output(), new RegExp(`^WARNING: .*${says.source}`, 'm'));
      const client = clientOf(`http://127.0.0.1:${api.port}`);
      client.token = await client.login();
      for (const path of ['/health', '/api/system/status']) {
        const found = await client.call('GET', path);
        assert.equal(found.status, 'UP', path);
        assert.equal(found.warnings.length, warnings.length);
        for (const [i, says] of warnings.entries()) assert.match(found.warnings[i], says);
      }
      // A process of the same installation with another key.
      const output = await refusal({ MONGODB_URL, FIELDBRIDGE_KEY: 'b2'.repeat(32), ROLES: 'rules' });
      assert.match(
        output,
        /^Fieldbridge does not start: FIELDBRIDGE_KEY: is not the key that the secrets in .* give every process the key of the first start$/m,
      );
      assert.doesNotMatch(output, /b2b2/);
    });
  });

  for (const { name, env, says } of [
    {
      name: 'without MongoDB',
      env: async () => ({ MONGODB_URL: `mongodb://u:geheim@127.0.0.1:${await freePort()}/x` }),
      says: /^Fieldbridge does not start: MONGODB_URL: mongodb:\/\/u:\*\*\*@127\.0\.0\.1:\d+\/x can not be used \(.*\); start the server, or correct the URL/m,
    },
    {
      name: 'without Redis',
      env: async () => ({ MONGODB_URL: freshDatabase(mongo), REDIS_URL: `redis://:geheim@127.0.0.1:${await freePort()}` }),
      says: /^Fieldbridge does not start: REDIS_URL: redis:\/\/:\*\*\*@127\.0\.0\.1:\d+ can not be used \(connect ECONNREFUSED .*\); start the server, or correct the URL/m,
    },
    {
      name: 'with one of the two URLs',
      env: async () => ({ MONGODB_URL: 'mongodb://u:geheim@127.0.0.1/x', REDIS_URL: '' }),
      says: /^Fieldbridge does not start: MONGODB_URL: "mongodb:\/\/u:\(hidden\)@127\.0\.0\.1\/x" stands alone; give REDIS_URL too/m,
    },
    {
      name: 'with a role that there is not',
      env: async () => ({ MONGODB_URL: freshDatabase(mongo), ROLES: 'api,rulez' }),
      says: /^Fieldbridge does not start: ROLES: "rulez" is not allowed; give some of api, integrations, rules$/m,
    },
    {
      name: 'without a key that all share',
      env: async () => ({ MONGODB_URL: freshDatabase(mongo), FIELDBRIDGE_KEY: '' }),
      says: /^Fieldbridge does not start: FIELDBRIDGE_KEY: must be given because .*64 hex digits \(openssl rand -hex 32\)/m,
    },
  ]) {
    test(`is refused ${name}: which setting, its value, what to do`, async () => {
      const output = await refusal(await env());
      assert.match(output, says);
      assert.doesNotMatch(output, /geheim/);
    });
  }
});
