import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { type RedisServer, startRedis } from '#test/support/redis.ts';
import { missing } from '#test/support/servers.ts';
import { eventually } from '#test/support/wait.ts';
import { BOUND_MS, GIVE_UP_MS, type Instance, installed, isEven, LANES, processesOf } from './members.ts';

describe('cluster: outages', { skip: missing('mongo') || missing('redis') }, () => {
  let mongo: MongoServer;
  let redis: RedisServer;

  before(async () => {
    [mongo, redis] = await Promise.all([startMongo(), startRedis({ fsync: 'none' })]);
  });
  after(async () => {
    await Promise.all([mongo?.close(), redis?.close()]);
  });
  const even = (instances: readonly Instance[], what: string) => eventually(() => isEven(instances), what, BOUND_MS);

  test('MongoDB stands for longer than the lease: nobody is given up, and everybody goes on with what it has', async (t) => {
    const { start } = installed(t, { url: freshDatabase(mongo), redis: redis.url });
    const instances = [await start(), await start(), await start()];
    await even(instances, 'three');
    const state = () => instances.map(({ members, log }) => [members.id(), [...log]]);
    const before = state();
    mongo.pause();
    await eventually(
      () => instances.every(({ members }) => LANES.every((lane) => members.leaseOf('lane', lane) === null)),
      'nobody is sure',
      BOUND_MS,
    );
    const end = Date.now() + 2 * GIVE_UP_MS;
    await eventually(() => Date.now() > end, 'a while');
    mongo.resume();
    await even(instances, 'sure again');
    const beats = async () => (await processesOf(instances[0]!.db).find().toArray()).map(({ beat }) => beat);
    const seen = await beats();
    await eventually(async () => (await beats()).every((beat, index) => beat > seen[index]! + 8), 'long enough to be given up', BOUND_MS);
    assert.deepEqual(state(), before);
  });

  test('Redis is away: lanes are taken over all the same', async (t) => {
    const { start } = installed(t, { url: freshDatabase(mongo), redis: redis.url });
    const a = await start();
    const b = await start();
    await even([a, b], 'two');
    redis.pause();
    try {
      a.halt();
      await even([b], 'taken over');
      a.wake();
      await even([b, a], 'and shared again');
    } finally {
      redis.resume();
    }
  });
});
