import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import { Committer, SLOTS, slotLease } from '#engine/store/mongo/committer.ts';
import { type Database, openDatabase } from '#engine/store/mongo/database.ts';
import type { StoredLatest, StoredSample } from '#engine/store/mongo/samples.ts';
import { Telemetry } from '#engine/store/mongo/telemetry.ts';
import { Work } from '#engine/work.ts';
import { telemetry as contract } from '#test/contract/telemetry.ts';
import { long } from '#test/contract/values.ts';
import { device } from '#test/support/backend.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';

describe('telemetry in MongoDB', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  let database: Database;
  let parts: Telemetry;
  let committer: Committer;
  let clock = 10_000;
  let transactions = 0;
  const backend = (): Backend =>
    ({
      commit: (work: Work) => committer.commit(work),
      store: {
        latest: (tenantId: string, entity: EntityRef, keys?: readonly string[]) => parts.latest(tenantId, entity, keys),
        history: (...[tenantId, entity, query]: Parameters<Backend['store']['history']>) => parts.history(tenantId, entity, query, clock),
      },
    }) as unknown as Backend;

  before(async () => {
    mongo = await startMongo();
    database = await openDatabase({ url: freshDatabase(mongo), lanes: 4, version: '1' });
    const { history, latest, leases } = database.collections;
    parts = new Telemetry({ history: history as never, latest: latest as never });
    await leases.insertMany(Array.from({ length: SLOTS }, (_, slot) => ({ _id: slotLease('me', slot), owner: 'me', epoch: 1 })));
    committer = new Committer({
      client: database.client,
      leases,
      parts: [
        {
          async write() {
            transactions++;
          },
        },
        parts,
      ],
      member: () => 'me',
      leasesOf: () => [],
      dispatch: async () => {},
      onFenced: () => {},
      trouble: () => null,
      now: () => clock,
      onPoint: () => {},
      onChanges: () => {},
    });
  });
  after(async () => {
    await committer?.close();
    await database?.close();
    await mongo?.close();
  });

  describe('as every backend', () =>
    contract(backend, (at) => {
      clock = at;
    }));

  const tenantId = newId();
  const stored = async (entity: EntityRef) =>
    (
      await database.db
        .collection<StoredSample>('history')
        .find({ _id: { $gte: `${entity.id}/`, $lt: `${entity.id}0` } })
        .sort({ _id: 1 })
        .toArray()
    ).map(({ ts, v }) => [ts, v]);
  const write = async (entity: EntityRef, ...samples: [ts: number, key: string, value: number][]) => {
    const work = new Work();
    for (const [ts, key, value] of samples)
      work.telemetry.push({ tenantId, entity, ts, values: [[key, long(value)]], expiresAt: null, history: true, latest: true });
    const before = transactions;
    await committer.commit(work);
    return transactions - before;
  };

  test('a device that repeats its moments costs one transaction, not two, from the second time on', async () => {
    const entity = device();
    const runs = [
      await write(entity, [1, 'a', 1]),
      await write(entity, [1, 'b', 2]),
      await write(entity, [1, 'c', 3]),
      await write(entity, [1, 'd', 4], [2, 'a', 5]),
    ];
    assert.deepEqual(runs, [1, 2, 1, 1]);
    assert.deepEqual(await stored(entity), [
      [1, { a: [1, 1], b: [1, 2], c: [1, 3], d: [1, 4] }],
      [2, { a: [1, 5] }],
    ]);
  });

  test('keys of any characters, and moments before 1970', async () => {
    const entity = device();
    const keys = ['a.b', '$set', 'x%2e', '__proto__', 'постоянная', '', 'constructor', 'n\0l'];
    for (const key of keys) await write(entity, [-5, key, 1]);
    await write(entity, [-1_000_000, 'a.b', 2], [7, 'a.b', 3]);
    assert.deepEqual([...(await parts.latest(tenantId, entity)).keys()].sort(), [...keys].sort());
    const found = await parts.history(
      tenantId,
      entity,
      { keys, startTs: -2_000_000, endTs: 100, aggregation: 'NONE', limit: 10, order: 'ASC' },
      clock,
    );
    assert.deepEqual([...found.keys()].sort(), [...keys].sort());
    assert.deepEqual(
      found.get('a.b')!.map(({ ts }) => ts),
      [-1_000_000, -5, 7],
    );
  });

  test('what ends is for the server to remove, unless a longer life joins it', async () => {
    const entity = device();
    for (const expiresAt of [5e12, 6e12, null]) {
      const work = new Work();
      work.telemetry.push({ tenantId, entity, ts: 1, values: [['a', long(1)]], expiresAt, history: true, latest: false });
      await committer.commit(work);
      const row = await database.db.collection<StoredSample>('history').findOne({ _id: { $gte: `${entity.id}/` } });
      assert.equal(row?.expiresAt?.getTime() ?? null, expiresAt);
    }
    const indexes = await database.db.collection('history').indexes();
    assert.ok(indexes.some(({ key, expireAfterSeconds }) => key['expiresAt'] === 1 && expireAfterSeconds === 0));
  });

  test('a deleted entity takes its telemetry along, a long history step by step', async () => {
    const [short, long] = [device(), device()];
    await write(short, [1, 'a', 1]);
    await write(long, ...Array.from({ length: 1200 }, (_, ts): [number, string, number] => [ts, 'a', ts]));
    for (const entity of [short, long]) {
      const work = new Work();
      work.purges.push({ tenantId, entity });
      await committer.commit(work);
    }
    assert.deepEqual(await stored(short), []);
    assert.equal((await parts.latest(tenantId, long)).size, 0);
    let steps = 0;
    while (await parts.sweep()) steps++;
    assert.deepEqual([await stored(long), steps >= 2], [[], true]);
    assert.equal(await database.db.collection<StoredLatest>('latest').countDocuments({ _id: { $in: [short.id, long.id] } }), 0);
  });

  test('another tenant reads nothing', async () => {
    const entity = device();
    await write(entity, [1, 'a', 1]);
    assert.equal((await parts.latest(newId(), entity)).size, 0);
    assert.equal(
      (await parts.history(newId(), entity, { keys: ['a'], startTs: 0, endTs: 9, aggregation: 'NONE', limit: 9, order: 'ASC' }, clock)).size,
      0,
    );
  });
});
