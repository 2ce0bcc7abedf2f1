import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { Database } from '#engine/store/mongo/database.ts';
import { Ledgers } from '#engine/store/mongo/ledger.ts';
import type { Counter } from '#engine/store.ts';
import { offBy } from '#test/support/backend.ts';
import { type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';
import { open, transact, work } from './running.ts';

describe('ledgers in MongoDB', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  let database: Database;
  let ledgers: Ledgers;
  before(async () => {
    mongo = await startMongo();
    database = await open(mongo);
    ledgers = new Ledgers(database);
  });
  after(async () => {
    await database.close();
    await mongo.close();
  });

  const tenantId = newId();
  const count = (owner: string, counter: Counter, by = 1) => work((filled) => filled.count(tenantId, owner, counter, by));
  const kept = async (owner: string) =>
    (await database.collections.counters.find({ owner }).toArray()).map(({ _id }) => _id.slice(owner.length)).sort();

  test('counts of a group, and of what other parts find while writing, are one sum', async () => {
    const [a, b] = [newId(), newId()];
    const counting = {
      async write(works: readonly ReturnType<typeof work>[], transaction: Parameters<Ledgers['write']>[1]) {
        ledgers.count(transaction, tenantId, b, 'downlinks.expired', 2);
        ledgers.count(transaction, tenantId, b, 'downlinks.expired');
        await ledgers.write(works, transaction);
      },
    };
    await transact(database, counting, [
      count(a, 'uplinks.received', 2),
      count(a, 'uplinks.received'),
      count(a, 'messages.created'),
      count(b, 'downlinks.expired'),
    ]);
    await transact(database, ledgers, [count(a, 'uplinks.received')]);
    assert.deepEqual([(await ledgers.read(tenantId, a)).uplinks.received, (await ledgers.read(tenantId, a)).messages.created], [4, 1]);
    assert.equal((await ledgers.read(tenantId, b)).downlinks.expired, 4);
    assert.equal((await ledgers.read(newId(), a)).uplinks.received, 0);
  });

  test('transactions of two processes, and two of one process, do not wait for each other', async () => {
    const owner = newId();
    const one = count(owner, 'messages.created');
    await transact(database, ledgers, [one], {
      member: 'm1',
      before: async () => {
        await transact(database, ledgers, [one], { member: 'm1', slot: 1 });
        await transact(database, ledgers, [one], { member: 'm2' });
      },
    });
    assert.equal((await ledgers.read(tenantId, owner)).messages.created, 3);
    assert.deepEqual(await kept(owner), ['/m1/0', '/m1/1', '/m2/0']);
  });

  test('what a member that is gone has counted is kept, once, whoever folds it', async () => {
    const [a, b] = [newId(), newId()];
    const gone = newId();
    for (const slot of [0, 1]) await transact(database, ledgers, [count(a, 'messages.stored', 2), count(b, 'uplinks.dead')], { member: gone, slot });
    await transact(database, ledgers, [count(a, 'messages.stored')], { member: 'alive' });
    await Promise.all([ledgers.fold(gone), new Ledgers(database).fold(gone), ledgers.fold('nobody')]);
    assert.deepEqual([await kept(a), await kept(b)], [['//0', '/alive/0'], ['//0']]);
    await transact(database, ledgers, [count(a, 'messages.stored')], { member: gone });
    await ledgers.fold(gone);
    assert.deepEqual([(await ledgers.read(tenantId, a)).messages.stored, (await ledgers.read(tenantId, b)).uplinks.dead], [6, 2]);
  });

  test('what is waiting is counted by its own tenant and owner', async () => {
    const [owner, other] = [newId(), newId()];
    const { batches, held, downlinks } = database.collections;
    const of = (fields: object) => ({ _id: newId(), tenantId, ...fields }) as never;
    await batches.insertMany([
      of({
        counts: [
          { tenantId, owner, n: 3 },
          { tenantId, owner: other, n: 4 },
        ],
      }),
      of({ dueAt: 1, counts: [{ tenantId, owner, n: 5 }] }),
      // The owner of one entry and the tenant of another.
      of({
        counts: [
          { tenantId: newId(), owner, n: 7 },
          { tenantId, owner: other, n: 1 },
        ],
      }),
      of({
        counts: [
          { tenantId: newId(), owner, n: 11 },
          { tenantId, owner, n: 13 },
        ],
      }),
    ]);
    await held.insertMany([of({ owner }), of({ owner: other }), of({ owner, tenantId: newId() })]);
    await downlinks.insertMany([
      of({ integrationId: owner, state: 'QUEUED', waiting: true }),
      of({ integrationId: owner, state: 'SENT' }),
      of({ integrationId: other, state: 'QUEUED', waiting: true }),
    ]);
    const ledger = await ledgers.read(tenantId, owner);
    assert.deepEqual([ledger.messages.inFlight, ledger.downlinks.pending], [22, 1]);
  });

  test('it adds up at any moment', async () => {
    const owner = newId();
    const { batches } = database.collections;
    await transact(database, ledgers, [count(owner, 'messages.created', 20)], {
      before: async ({ session }) => {
        const rows = Array.from({ length: 20 }, (_, n) => ({ _id: `${owner}.${n}`, tenantId, counts: [{ tenantId, owner, n: 1 }] }));
        await batches.insertMany(rows as never, { session });
      },
    });
    let done = false;
    const working = (async () => {
      for (let n = 0; n < 20; n++) {
        await transact(database, ledgers, [count(owner, 'messages.stored')], {
          before: async ({ session }) => void (await batches.deleteOne({ _id: `${owner}.${n}` }, { session })),
        });
      }
      done = true;
    })();
    const seen = new Set<number>();
    while (!done) {
      const ledger = await ledgers.read(tenantId, owner);
      assert.deepEqual(offBy(ledger), { uplinks: 0, messages: 0, downlinks: 0 });
      seen.add(ledger.messages.stored);
    }
    await working;
    assert.ok(seen.size > 2);
  });
});
