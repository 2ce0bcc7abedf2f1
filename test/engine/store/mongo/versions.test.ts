import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ConfigError, Fenced } from '#engine/errors.ts';
import { openDatabase } from '#engine/store/mongo/database.ts';
import { MIGRATIONS } from '#engine/store/mongo/migrations.ts';
import { openMongoBackend } from '#engine/store/mongo.ts';
import { Work } from '#engine/work.ts';
import { doc } from '#test/support/backend.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { type RedisServer, startRedis } from '#test/support/redis.ts';
import { missing } from '#test/support/servers.ts';
import { eventually } from '#test/support/wait.ts';

describe('processes of two versions', { skip: missing('redis') || missing('mongo') }, () => {
  let mongo: MongoServer;
  let redis: RedisServer;
  before(async () => {
    [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  });
  after(() => Promise.all([mongo.close(), redis.close()]));

  test('when a newer one changes the schema, the older writes nothing more and ends, and can not be started again', async () => {
    const url = freshDatabase(mongo);
    const ends: string[] = [];
    const settings = { mongoUrl: url, redisUrl: redis.url, roles: ['rules'] as const, version: '1.0', beatMs: 100, log: { warn() {}, error() {} } };
    const older = await openMongoBackend({ ...settings, end: (reason) => ends.push(reason) });
    const save = (name: string) => {
      const work = new Work();
      work.docs.push({ doc: doc({ tenantId: 't', name }) });
      return older.commit(work);
    };
    await save('before');
    let during: unknown = null;
    const newest = MIGRATIONS.at(-1)!.version;
    const step = {
      version: newest + 1,
      async apply() {
        during = await save('during').catch((cause: unknown) => cause);
      },
    };
    const newer = await openDatabase({ url, lanes: 4, version: '2.0', migrations: [...MIGRATIONS, step] });
    assert.ok(during instanceof Fenced, String(during));
    await assert.rejects(save('after'), Fenced);
    await eventually(() => ends.length > 0, 'it was told to end');
    assert.match(ends[0]!, /^a newer version of Fieldbridge( \(2\.0\))? has changed the schema of the database: start that version here too$/);
    assert.deepEqual(
      (await newer.collections.docs.find().toArray()).map(({ name }) => name),
      ['before'],
    );
    await older.close();
    await assert.rejects(openMongoBackend(settings), ConfigError);
    await newer.close();
  });
});
