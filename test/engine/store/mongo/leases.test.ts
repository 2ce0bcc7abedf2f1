import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Fenced } from '#engine/errors.ts';
import { bury, slotLeases } from '#engine/store/mongo/burial.ts';
import { Committer, slotLease } from '#engine/store/mongo/committer.ts';
import type { Database } from '#engine/store/mongo/database.ts';
import { Work } from '#engine/work.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { type RedisServer, startRedis } from '#test/support/redis.ts';
import { missing } from '#test/support/servers.ts';
import { eventually } from '#test/support/wait.ts';
import { BOUND_MS, type Instance, installed, isEven, LANES, processesOf } from './members.ts';

describe('cluster: who is there and who does what', { skip: missing('mongo') || missing('redis'), concurrency: 3 }, () => {
  let mongo: MongoServer;
  let redis: RedisServer;

  before(async () => {
    [mongo, redis] = await Promise.all([startMongo(), startRedis({ fsync: 'none' })]);
  });
  after(async () => {
    await Promise.all([mongo?.close(), redis?.close()]);
  });
  const installation = (t: TestContext) => installed(t, { url: freshDatabase(mongo), redis: redis.url });
  const even = (instances: readonly Instance[], what: string) => eventually(() => isEven(instances), what, BOUND_MS);
  test('lanes are even after each that joins, leaves or dies, and nothing moves that need not', async (t) => {
    const { start, gone } = installation(t);
    const a = await start();
    await even([a], 'one has all');
    const b = await start();
    await even([a, b], 'two');
    const c = await start();
    await even([a, b, c], 'three');
    assert.deepEqual(
      [a, b, c].map((each) => each.log.filter((line) => line.startsWith('revoked')).length),
      [10, 3, 0],
    );
    await gone(b);
    await even([a, c], 'one has left');
    a.halt();
    await even([c], 'one has died');
    assert.deepEqual(
      c.log.filter((line) => line.startsWith('revoked')),
      [],
    );
    await eventually(async () => (await c.members.processes()).length === 1, 'known to be dead', BOUND_MS);
    const lanes = (await c.members.processes()).map(({ id, lanes, roles }) => ({ id, lanes, roles }));
    assert.deepEqual(lanes, [{ id: c.members.id(), lanes: LANES.map(Number), roles: ['rules', 'integrations'] }]);
  });

  test('each kind is for who has its role, and names come and go', async (t) => {
    const { start } = installation(t);
    let names = ['x', 'y'];
    const integrations = () => names;
    const rules = await start({ roles: ['api', 'rules'], integrations });
    const both = await start({ integrations });
    const apart = await start({ roles: ['integrations'], integrations });
    const evenIntegrations = (what: string) => eventually(() => isEven([both, apart], 'integration', names), what, BOUND_MS);
    await even([rules, both], 'lanes');
    await evenIntegrations('integrations');
    assert.deepEqual([rules.running.integration.size, apart.running.lane.size], [0, 0]);
    names = ['y', 'z', 'v', 'w'];
    for (const each of [both, apart]) each.members.refresh('integration');
    await evenIntegrations('other integrations');
    await eventually(() => rules.members.holderOf('integration', 'z') !== null && rules.members.holderOf('integration', 'x') === null, 'seen by all');
    const self = apart.running.integration.has('z');
    assert.deepEqual(apart.members.holderOf('integration', 'z'), { processId: (self ? apart : both).members.id(), self });
  });

  test('what a holder notes is known to the others, and to nobody after it', async (t) => {
    const { start } = installation(t);
    let names = ['x'];
    const a = await start({ integrations: () => names });
    await eventually(() => a.running.integration.has('x'), 'granted');
    const b = await start({ roles: ['api'] });
    a.members.note('integration', 'x', { state: 'active', 'a.b': '$' });
    await eventually(() => b.members.noteOf('integration', 'x') !== null, 'noted', BOUND_MS);
    assert.deepEqual(
      [a, b].map((each) => each.members.noteOf('integration', 'x')),
      Array(2).fill({ state: 'active', 'a.b': '$' }),
    );
    names = [];
    a.members.refresh('integration');
    await eventually(() => b.members.noteOf('integration', 'x') === null, 'forgotten', BOUND_MS);
    names = ['x'];
    a.members.refresh('integration');
    await eventually(() => a.members.leaseOf('integration', 'x')?.epoch === 3, 'granted again', BOUND_MS);
    await eventually(() => b.members.holderOf('integration', 'x') !== null, 'seen', BOUND_MS);
    await eventually(() => [a, b].every((each) => each.members.noteOf('integration', 'x') === null), 'nothing is noted of it', BOUND_MS);
  });

  test('nothing is given on before it has ended', async (t) => {
    const ending = Promise.withResolvers<void>();
    t.after(() => ending.resolve());
    const { start } = installation(t);
    const a = await start({ revoked: () => ending.promise });
    await even([a], 'all');
    const b = await start();
    await eventually(async () => (await b.members.processes()).length === 2, 'seen');
    await eventually(async () => (await processesOf(b.db).findOne({ _id: b.members.id() }))!.beat > 5, 'some beats');
    assert.deepEqual([b.running.lane.size, a.members.leaseOf('lane', '15')], [0, { name: 'lane:15', epoch: 1 }]);
    ending.resolve();
    await even([a, b], 'given');
  });

  test('a dead one is buried in order: it can write nothing, then its work is adopted, then its leases are free', async (t) => {
    const { start } = installation(t);
    const states: unknown[] = [];
    const hook = async (what: string, member: string, db: Database) => {
      const slots = await db.collections.leases.find(slotLeases(member)).toArray();
      const lanes = await db.collections.leases.countDocuments({ _id: /^lane:/, owner: member });
      states.push([what, slots.map(({ owner, epoch }) => [owner, epoch]), lanes]);
    };
    const a = await start();
    await even([a], 'all');
    const b = await start({ roles: ['api'], hook });
    const dead = a.members.id();
    a.halt();
    await eventually(async () => (await processesOf(b.db).countDocuments()) === 1, 'buried', BOUND_MS);
    const fenced = [
      [null, 2],
      [null, 2],
    ];
    assert.deepEqual(states, [
      ['adopt', fenced, 16],
      ['release', fenced, 16],
      ['fold', fenced, 16],
    ]);
    assert.deepEqual(await b.db.collections.leases.countDocuments({ owner: dead }), 0);
    assert.deepEqual(await b.db.collections.leases.countDocuments(slotLeases(dead)), 0);
  });

  test('one that wakes after it was buried in the midst of a transaction writes nothing, and joins anew', async (t) => {
    const { start } = installation(t);
    const a = await start();
    await even([a], 'all');
    const lease = a.members.leaseOf('lane', '3')!;
    const inside = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const facts = a.db.db.collection<{ _id: string }>('facts');
    const committer = new Committer({
      client: a.db.client,
      leases: a.db.collections.leases,
      parts: [
        {
          async write(_, { session, member }) {
            await facts.insertOne({ _id: member }, { session });
            inside.resolve();
            await goOn.promise;
          },
        },
      ],
      member: () => a.members.id(),
      leasesOf: () => [lease],
      dispatch: async () => {},
      onFenced: () => a.members.onFenced(),
      trouble: () => null,
      now: Date.now,
      onPoint: () => {},
      onChanges: () => {},
    });
    const late = committer.commit(new Work());
    await inside.promise;
    await a.db.collections.leases.updateOne({ _id: 'lane:15' }, { $set: { mark: 1 } });
    const before = a.members.id();
    a.halt();
    const b = await start();
    await eventually(() => b.running.lane.size === 16, 'taken over although a transaction is open on them', BOUND_MS);
    assert.equal(a.members.leaseOf('lane', '3'), null);
    const taken = { _id: 'lane:15', owner: b.members.id(), epoch: 3 };
    assert.deepEqual(
      await b.db.collections.leases.findOne({ _id: 'lane:15' }),
      taken,
      'without the mark, so that the first transaction of the new holder changes it',
    );
    goOn.resolve();
    await assert.rejects(late, Fenced);
    assert.equal(await facts.countDocuments(), 0);
    a.wake();
    await even([b, a], 'it has its share again');
    assert.notEqual(a.members.id(), before);
    assert.deepEqual(a.log.filter((line) => line.startsWith('revoked')).length, 16);
    const lane = [...a.running.lane][0]!;
    assert.deepEqual(a.members.leaseOf('lane', lane), { name: `lane:${lane}`, epoch: 5 });
    await committer.close();
  });

  test('one that stood still for longer than the lease, and was not given up, goes on with what it has', async (t) => {
    const { start } = installation(t);
    const a = await start();
    await even([a], 'all');
    const before = [a.members.id(), a.log.length];
    a.halt();
    await eventually(
      () => a.members.leaseOf('lane', '3') === null && a.members.holderOf('lane', '3') === null,
      'it is not sure of anything',
      BOUND_MS,
    );
    a.wake();
    await even([a], 'sure again');
    assert.deepEqual([a.members.id(), a.log.length], before);
  });

  test('two bury the same: one does, and it comes to the same', async (t) => {
    const { start } = installation(t);
    const a = await start();
    await even([a], 'all');
    const b = await start({ roles: ['api'] });
    const c = await start({ roles: ['api'] });
    const dead = a.members.id();
    a.halt();
    await eventually(async () => (await processesOf(b.db).countDocuments()) === 2, 'buried', BOUND_MS);
    assert.equal([...b.log, ...c.log].filter((line) => line === `adopt ${dead}`).length, 1);
    assert.equal(await b.db.collections.leases.countDocuments({ owner: { $ne: null }, _id: /^lane/ }), 0);
  });

  test('one who has shown itself since it was judged is not buried', async (t) => {
    const { start } = installation(t);
    const a = await start();
    const b = await start({ roles: ['api'] });
    const [seen] = await processesOf(b.db).find({ _id: a.members.id() }).toArray();
    await eventually(async () => (await processesOf(b.db).findOne({ _id: a.members.id() }))!.beat > seen!.beat, 'a beat');
    const hooks = { adopt: async () => {}, release: async () => {}, fold: async () => {} };
    const { client, collections } = b.db;
    const burial = { client, processes: processesOf(b.db), leases: collections.leases, hooks, patienceMs: 1000, onPoint: () => {} };
    assert.equal(await bury(burial, seen!, 'b'), false);
    assert.equal((await collections.leases.findOne({ _id: slotLease(a.members.id(), 0) }))?.owner, a.members.id());
  });

  for (const point of ['burial-begun', 'burial-fenced', 'adopt', 'burial-adopted'])
    test(`the one who buries dies at ${point}: another goes on`, async (t) => {
      const { start } = installation(t);
      const a = await start();
      await even([a], 'all');
      const dies = Promise.withResolvers<void>();
      let dead = false;
      const never = new Promise<void>(() => {});
      const b = await start({
        roles: ['api'],
        hook: async (what) => {
          if (what !== point) return;
          dies.resolve();
          dead = true;
          await never;
        },
        onPoint: (name) => {
          if (name !== point) return;
          dies.resolve();
          dead = true;
          throw new Error('killed here');
        },
      });
      a.halt();
      await dies.promise;
      b.halt();
      assert.ok(dead);
      const c = await start();
      await eventually(() => c.running.lane.size === 16, 'taken over', BOUND_MS);
      await eventually(async () => (await processesOf(c.db).countDocuments()) === 1, 'both are buried', BOUND_MS);
      assert.ok(c.log.includes(`adopt ${a.members.id()}`));
    });

  test('a lease that somebody took while it was buried is set free', async (t) => {
    const { start } = installation(t);
    const a = await start();
    await even([a], 'all');
    await a.db.collections.leases.insertOne({ _id: 'integration:x', owner: 'nobody', epoch: 7 });
    await eventually(async () => (await a.db.collections.leases.findOne({ _id: 'integration:x' }))?.owner === null, 'free', BOUND_MS);
  });

  test('a lease whose taking was not heard of is held, and one that another has written over is given up', async (t) => {
    const { start } = installation(t);
    const names = ['x'];
    const a = await start({ integrations: () => names });
    await eventually(() => a.running.integration.has('x'), 'granted');
    await a.db.collections.leases.insertOne({ _id: 'integration:y', owner: a.members.id(), epoch: 4 });
    await eventually(() => a.log.includes('granted integration:y 4') && a.log.includes('revoked integration:y'), 'held, and given: nobody wants it');
    await a.db.collections.leases.updateOne({ _id: 'integration:x' }, { $inc: { epoch: 1 } });
    await eventually(() => a.log.includes('revoked integration:x') && a.log.includes('granted integration:x 2'), 'under the new epoch');
  });

  test('who leaves may still commit when its lanes are at others already', async (t) => {
    const { start } = installation(t);
    const a = await start();
    const b = await start();
    await even([a, b], 'two');
    await a.members.leave();
    await even([b], 'all at the other');
    const slots = await b.db.collections.leases.find(slotLeases(a.members.id())).toArray();
    assert.deepEqual(
      slots.map(({ owner, epoch }) => [owner, epoch]),
      Array(2).fill([a.members.id(), 1]),
    );
    assert.deepEqual([a.running.lane.size, (await b.members.processes()).length], [0, 2]);
  });

  test('who leaves has nothing left behind', async (t) => {
    const { start, gone } = installation(t);
    const a = await start();
    await even([a], 'all');
    const b = await start({ roles: ['api'] });
    const id = a.members.id();
    await gone(a);
    assert.deepEqual(a.log.slice(-3), [`adopt ${id}`, `release ${id}`, `fold ${id}`]);
    assert.equal(a.running.lane.size, 0);
    assert.deepEqual(
      (await processesOf(b.db).find().toArray()).map(({ _id }) => _id),
      [b.members.id()],
    );
    assert.equal(await b.db.collections.leases.countDocuments({ _id: { $not: /^lane|^process/ } }), 0);
    assert.equal(await b.db.collections.leases.countDocuments({ owner: { $nin: [null, b.members.id()] } }), 0);
  });
});
