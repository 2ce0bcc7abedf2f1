import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Redis } from 'ioredis';
import { type Collection, MongoNetworkError } from 'mongodb';
import { Bus } from '#engine/queue/bullmq/bus.ts';
import type { Change } from '#engine/queue.ts';
import { inTransaction } from '#engine/store/mongo/burial.ts';
import { openDatabase } from '#engine/store/mongo/database.ts';
import { type ChangesDoc, Feed } from '#engine/store/mongo/feed.ts';
import type { Transaction } from '#engine/store/mongo/transaction.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { type RedisServer, startRedis } from '#test/support/redis.ts';
import { missing } from '#test/support/servers.ts';
import { eventually } from '#test/support/wait.ts';

const change = (id: string, fields: Partial<Change> = {}): Change => ({ collection: 'CONVERTER', tenantId: 't', id, removed: false, ...fields });
const MINUTE = 60_000;

interface FeedUnderTest {
  readonly feed: Feed;
  /** Ids of what it was told of others, in order; `resync`. */
  readonly told: string[];
  /** The transaction that is told of, or only made. */
  commit(changes: Change[], options?: { publish?: boolean; before?: () => Promise<void> }): Promise<void>;
  readonly changes: Collection<ChangesDoc>;
  /** The server does not answer it; when it does again, so much time has passed. */
  away(): void;
  back(afterMs: number): void;
  start(): Promise<void>;
}

describe('feed: what one process changes, the others learn', { skip: missing('mongo') || missing('redis'), concurrency: 3 }, () => {
  let mongo: MongoServer;
  let redis: RedisServer;
  before(async () => {
    [mongo, redis] = await Promise.all([startMongo(), startRedis({ fsync: 'none' })]);
  });
  after(async () => {
    await Promise.all([mongo?.close(), redis?.close()]);
  });

  /** A process with its clock off by so much. */
  const installation = (t: TestContext) => {
    const url = freshDatabase(mongo);
    return async (member: string, { aheadMs = 0, deaf = false, start = true } = {}): Promise<FeedUnderTest> => {
      const db = await openDatabase({ url, lanes: 4, version: '1' });
      const bus = new Bus({ connect: () => new Redis(redis.url, { maxRetriesPerRequest: null }), prefix: deaf ? `${db.name}-deaf` : db.name });
      const changes = db.collections.changes as unknown as Collection<ChangesDoc>;
      const told: string[] = [];
      let away = false;
      let serverAheadMs = 0;
      const feed = new Feed({
        db: {
          async command(command) {
            if (away) throw new MongoNetworkError('away');
            const answer = await db.db.command(command);
            return { ...answer, localTime: new Date(answer['localTime'].getTime() + serverAheadMs) };
          },
        },
        changes,
        bus,
        member: () => member,
        onChanges: (all) => void told.push(...all.map(({ id }) => id)),
        onResync: () => void told.push('resync'),
        now: () => Date.now() + aheadMs,
        pollMs: 50,
      });
      t.after(async () => {
        await feed.close();
        bus.close();
        await db.close();
      });
      if (start) await feed.start();
      return {
        feed,
        told,
        changes,
        away() {
          away = true;
        },
        back(afterMs) {
          serverAheadMs += afterMs;
          away = false;
        },
        start: () => feed.start(),
        async commit(saved, { publish = false, before = async () => {} } = {}) {
          const effects: (() => void)[] = [];
          await inTransaction(db.client, async (session) => {
            const transaction = { session, member, changes: saved, afterCommit: (effect: () => void) => void effects.push(effect) };
            await feed.write([], transaction as unknown as Transaction);
            await before();
          });
          for (const effect of effects) effect();
          if (publish) feed.publish(saved);
        },
      };
    };
  };

  test('told at once over the bus, once, and not to who made it', async (t) => {
    const open = installation(t);
    const [a, b] = [await open('A'), await open('B')];
    await eventually(async () => {
      await a.commit([change('probe')], { publish: true });
      return b.told.length > 0;
    }, 'connected');
    await a.commit([change('x', { removed: true }), change('y')], { publish: true });
    await b.commit([change('z')], { publish: true });
    await eventually(() => b.told.includes('y') && a.told.includes('z'), 'told');
    // What comes after it is told by a look: the looks have seen all that was before.
    await a.changes.insertOne({ _id: 'other', at: new Date(), changes: [change('last')] });
    await eventually(() => [a, b].every(({ told }) => told.includes('last')), 'looked');
    assert.deepEqual(
      [a.told, b.told.filter((id) => id !== 'probe')],
      [
        ['z', 'last'],
        ['x', 'y', 'last'],
      ],
    );
  });

  test('what the bus has lost is found, however wrong the clocks are', async (t) => {
    const open = installation(t);
    const slow = await open('A', { aheadMs: -10 * MINUTE, deaf: true });
    const fast = await open('B', { aheadMs: 10 * MINUTE });
    await slow.commit([change('x')], { publish: true });
    await fast.commit([change('y')], { publish: true });
    await eventually(() => fast.told.length > 0 && slow.told.length > 0, 'found');
    assert.deepEqual([slow.told, fast.told], [['y'], ['x']]);
  });

  test('a transaction that was long under way is found, and one that failed is not', async (t) => {
    const open = installation(t);
    const a = await open('A', { deaf: true });
    const b = await open('B');
    await a.commit([change('x')], {
      async before() {
        await a.changes.insertOne({ _id: 'c', at: new Date(), changes: [change('meanwhile')] });
        await eventually(() => b.told.includes('meanwhile'), 'a look in between');
      },
    });
    await assert.rejects(a.commit([change('refused')], { before: () => Promise.reject(new Error('refused')) }));
    await eventually(() => b.told.includes('x'), 'found');
    await a.changes.insertOne({ _id: 'd', at: new Date(Date.now() - MINUTE), changes: [change('late')] });
    await eventually(() => b.told.includes('late'), 'shown a minute late');
    assert.deepEqual(b.told, ['meanwhile', 'x', 'late']);
  });

  test('a start knows what was before, and nothing is told of it', async (t) => {
    const open = installation(t);
    const a = await open('A', { deaf: true });
    await a.commit([change('x')]);
    const b = await open('B', { start: false });
    await b.start();
    await a.commit([change('y')]);
    await eventually(() => b.told.length > 0, 'found');
    assert.deepEqual(b.told, ['y']);
  });

  test('after an outage all of it is told; after one of more than changes are kept, that anything may have changed', async (t) => {
    const open = installation(t);
    const a = await open('A', { deaf: true });
    const b = await open('B');
    b.away();
    await a.commit([change('x')]);
    b.back(50 * MINUTE);
    await eventually(() => b.told.length > 0, 'found');
    assert.deepEqual(b.told, ['x']);
    b.away();
    b.back(70 * MINUTE);
    await eventually(() => b.told.length > 1, 'told');
    assert.deepEqual(b.told, ['x', 'resync']);
  });

  test('many changes of one transaction, and many transactions', async (t) => {
    const open = installation(t);
    const a = await open('A', { deaf: true });
    const b = await open('B');
    const many = Array.from({ length: 12_000 }, (_, n) => change(`many-${n}`));
    await a.commit(many);
    await a.changes.insertMany(
      Array.from({ length: 1200 }, (_, n) => ({ _id: `w.${n}`, at: new Date(Date.now() + n), changes: [change(`w-${n}`)] })),
    );
    await eventually(() => b.told.length >= 13_200, 'all');
    assert.deepEqual(b.told, [...many.map(({ id }) => id), ...Array.from({ length: 1200 }, (_, n) => `w-${n}`)]);
    assert.equal(await a.changes.countDocuments({ _id: /^A/ }), 3);
  });

  test('a word that is none is passed over', async (t) => {
    const b = await installation(t)('B');
    const wild = new Redis(redis.url);
    t.after(() => wild.disconnect());
    const say = (data: unknown) => wild.publish(`${b.changes.dbName}:bus:feed`, JSON.stringify({ source: 's', from: 'w', data }));
    await eventually(async () => (await say(null)) === 1, 'heard by it');
    for (const word of [7, {}, { ids: 'x', changes: [] }, { ids: [], changes: [{ id: 'x' }] }, { ids: [1], changes: [change('x')] }]) await say(word);
    await say({ ids: ['w.1'], changes: [change('good')] });
    await eventually(() => b.told.length > 0, 'told');
    assert.deepEqual(b.told, ['good']);
  });
});
