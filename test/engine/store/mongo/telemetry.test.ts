import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Collection, FindOptions } from 'mongodb';
import { AppError } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Value } from '#engine/json.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import { Committer, SLOTS, slotLease } from '#engine/store/mongo/committer.ts';
import { type Database, openDatabase } from '#engine/store/mongo/database.ts';
import { History } from '#engine/store/mongo/history.ts';
import { latestId, type StoredSample, sampleId } from '#engine/store/mongo/samples.ts';
import { Telemetry } from '#engine/store/mongo/telemetry.ts';
import { Work } from '#engine/work.ts';
import { telemetry as contract } from '#test/contract/telemetry.ts';
import { double, long, text, yes } from '#test/contract/values.ts';
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
  let refuse: Work | null = null;
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
    parts = new Telemetry({ history, latest, step: 20 });
    await leases.insertMany(Array.from({ length: SLOTS }, (_, slot) => ({ _id: slotLease('me', slot), owner: 'me', epoch: 1 })));
    committer = new Committer({
      client: database.client,
      leases,
      parts: [
        {
          async write(works) {
            transactions++;
            if (refuse && works.includes(refuse)) throw new AppError('refused', 'never', 'refused', {});
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

  test('a device that repeats its moments costs one transaction each, not two, from the second time on', async () => {
    const entity = device();
    const runs: number[] = [];
    for (const ts of [1, 2, 3])
      for (const [key, value] of [['a', 1] as const, ['b', 2] as const]) runs.push(await write(entity, [ts, key, value + ts]));
    runs.push(await write(entity, [3, 'a', 9], [4, 'a', 5]));
    assert.deepEqual(runs, [1, 2, 1, 1, 1, 1, 1]);
    assert.deepEqual(await stored(entity), [
      [1, { a: 2, b: 3 }],
      [2, { a: 3, b: 4 }],
      [3, { a: 9, b: 5 }],
      [4, { a: 5 }],
    ]);
  });

  test('what is stored is what is shown: only what BSON does not tell apart says its type', async () => {
    const entity = device();
    const work = new Work();
    const values = [
      ['whole', long(5)],
      ['beyond', long(2n ** 60n)],
      ['fraction', double(0.5)],
      ['double', double(5)],
      ['text', text('5')],
      ['yes', yes],
      ['json', { type: 'JSON', value: '[1]' }],
    ] as const;
    work.telemetry.push({ tenantId, entity, ts: 1, values, expiresAt: null, history: true, latest: true });
    await committer.commit(work);
    const shown = { whole: 5, beyond: [1, String(2n ** 60n)], fraction: 0.5, double: [2, 5], text: '5', yes: true, json: [4, '[1]'] };
    assert.deepEqual(await stored(entity), [[1, shown]]);
    assert.deepEqual((await parts.latest(tenantId, entity)).get('double'), { ts: 1, value: double(5) });
  });

  test('numbers that JSON does not have', async () => {
    const entity = device();
    const work = new Work();
    const values = [Number.NaN, Number.POSITIVE_INFINITY, -0, 1e300].map((value, i): [string, Value] => [String(i), double(value)]);
    work.telemetry.push({ tenantId, entity, ts: 1, values, expiresAt: null, history: true, latest: true });
    await committer.commit(work);
    assert.deepEqual(await parts.latest(tenantId, entity), new Map(values.map(([key, value]) => [key, { ts: 1, value }])));
    const query = { keys: values.map(([key]) => key), startTs: 0, endTs: 9, aggregation: 'NONE', limit: 9, order: 'ASC' } as const;
    assert.deepEqual(await parts.history(tenantId, entity, query, clock), new Map(values.map(([key, value]) => [key, [{ ts: 1, value }]])));
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

  test('a long range comes in batches, the whole of it never at once', async () => {
    const entity = device();
    const rows = Array.from({ length: 2500 }, (_, ts): StoredSample => ({ _id: sampleId(entity.id, ts), tenantId, ts, v: { a: ts, b: ts } }));
    await database.collections.history.insertMany(rows);
    const sizes: number[] = [];
    const reads = new History({ history: counting(database.collections.history, sizes), leftoverOf: async () => null });
    const query = { startTs: 0, endTs: 9999, buckets: [0], limit: 9999, order: 'ASC' } as const;
    const counts = await reads.read(tenantId, entity, { ...query, keys: ['a'], aggregation: 'COUNT' }, clock);
    const plain = await reads.read(tenantId, entity, { ...query, keys: ['a', 'b'], aggregation: 'NONE', order: 'DESC' }, clock);
    assert.deepEqual(counts.get('a'), [{ ts: 4999, value: long(2500) }]);
    assert.deepEqual(
      plain.get('b')?.map(({ ts }) => ts),
      rows.map(({ ts }) => ts).reverse(),
    );
    assert.deepEqual(sizes, [1000, 1000, 500, 1000, 1000, 500]);
  });

  test('keys named as what every object has are keys like others', async () => {
    const entity = device();
    const query = { keys: ['constructor', 'toString', 'a'], startTs: 0, endTs: 9, aggregation: 'NONE', limit: 9, order: 'ASC' } as const;
    await write(entity, [1, 'a', 1]);
    assert.deepEqual([...(await parts.latest(tenantId, entity, query.keys)).keys()], ['a']);
    assert.deepEqual([...(await parts.history(tenantId, entity, query, clock)).keys()], ['a']);
  });

  test('works that are refused together keep their order', async () => {
    const entity = device();
    const values = ['z', 'a'].map(async (value) => {
      const work = new Work();
      work.telemetry.push({ tenantId, entity, ts: 1, values: [['a', text(value)]], expiresAt: null, history: true, latest: true });
      await committer.commit(work);
    });
    const refused = new Work();
    refuse = refused;
    await assert.rejects(committer.commit(refused), AppError);
    await Promise.all(values);
    assert.deepEqual((await parts.latest(tenantId, entity)).get('a'), { ts: 1, value: text('a') });
    assert.deepEqual(await stored(entity), [[1, { a: 'a' }]]);
  });

  const removing = (entity: EntityRef, keys: readonly string[]) => {
    const work = new Work();
    work.telemetryRemovals.push({ tenantId, entity, keys, range: null, removeLatest: true, rewriteLatest: false });
    return work;
  };

  test('what is removed and what is written in one transaction: in the order of the works', async () => {
    const entity = device();
    await write(entity, [1, 'a', 1], [2, 'a', 2]);
    const again = new Work();
    again.telemetry.push({ tenantId, entity, ts: 2, values: [['a', long(3)]], expiresAt: null, history: true, latest: true });
    await Promise.all([write(entity, [3, 'a', 3]), committer.commit(removing(entity, ['a'])), committer.commit(again)]);
    assert.deepEqual(await stored(entity), [[2, { a: 3 }]]);
    assert.deepEqual(await parts.latest(tenantId, entity), new Map([['a', { ts: 2, value: long(3) }]]));
  });

  test('what has no value left is gone', async () => {
    const entity = device();
    await write(entity, [1, 'a', 1], [2, 'b', 1]);
    await committer.commit(removing(entity, ['a', 'b']));
    const { history, latest } = database.collections;
    assert.deepEqual(await history.find({ _id: { $gte: `${entity.id}/`, $lt: `${entity.id}0` } }).toArray(), []);
    assert.equal(await latest.findOne({ _id: latestId(tenantId, entity.id), tenantId }), null);
  });

  test('a long removal is done in steps before its work', async () => {
    const entity = device();
    await write(entity, ...Array.from({ length: 104 }, (_, ts): [number, string, number] => [ts, 'a', ts]));
    const work = removing(entity, ['a']);
    const before = transactions;
    await parts.ahead(work, (step) => committer.commit(step));
    assert.deepEqual([transactions - before, (await stored(entity)).length], [5, 4]);
    await committer.commit(work);
    assert.deepEqual(await stored(entity), []);
    assert.equal((await parts.latest(tenantId, entity)).size, 0);
  });

  test('a deleted entity takes its telemetry along, a long history step by step', async () => {
    const [few, many] = [device(), device()];
    await write(few, [1, 'a', 1]);
    await write(many, ...Array.from({ length: 44 }, (_, ts): [number, string, number] => [ts, 'a', ts]));
    for (const entity of [few, many]) {
      const work = new Work();
      work.purges.push({ tenantId, entity });
      await committer.commit(work);
    }
    assert.deepEqual(await stored(few), []);
    const query = { keys: ['a'], startTs: 0, endTs: 9999, aggregation: 'NONE', limit: 9999, order: 'ASC' } as const;
    const read = async () => [(await parts.latest(tenantId, many)).size, (await parts.history(tenantId, many, query, clock)).get('a')?.length];
    assert.deepEqual(await read(), [0, undefined]);
    await write(many, [5000, 'a', 1]);
    assert.deepEqual(await read(), [1, 1]);
    let steps = 0;
    while (await parts.sweep()) steps++;
    assert.deepEqual([await stored(many), steps], [[[5000, { a: 1 }]], 4]);
    assert.deepEqual(await read(), [1, 1]);
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

/** The same collection, and how many documents came with each answer. */
function counting(history: Collection<StoredSample>, sizes: number[]): Collection<StoredSample> {
  const find = (...args: Parameters<typeof history.find>) => {
    // Some servers have a default of 1000 too, by chance.
    assert.notEqual((args[1] as FindOptions).limit, 0, 'a limit with which the driver forgets the size of a batch');
    const cursor = history.find(...args);
    const read = cursor.readBufferedDocuments.bind(cursor);
    cursor.readBufferedDocuments = () => {
      const rows = read();
      sizes.push(rows.length);
      return rows;
    };
    return cursor;
  };
  return { find } as unknown as Collection<StoredSample>;
}
