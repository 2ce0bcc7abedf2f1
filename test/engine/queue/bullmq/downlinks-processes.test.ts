import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Downlink } from '#engine/store.ts';
import { device, downlink, offBy } from '#test/support/backend.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { type RedisServer, startRedis } from '#test/support/redis.ts';
import { missing } from '#test/support/servers.ts';
import { eventually, within } from '#test/support/wait.ts';
import { openProcesses, type Process, type Processes } from './downlink-processes.ts';

const FAR = 4_000_000_000_000;

describe('downlinks over two processes', { skip: missing('mongo') || missing('redis') }, () => {
  const tenantId = newId();
  let mongo: MongoServer;
  let redis: RedisServer;
  let processes: Processes;
  let a: Process;
  let b: Process;
  let integrationId: string;
  let entity: EntityRef;
  before(async () => {
    [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
    processes = await openProcesses(freshDatabase(mongo), redis.url);
  });
  after(async () => {
    await processes.close();
    await Promise.all([mongo.close(), redis.close()]);
  });
  beforeEach(async () => {
    integrationId = newId();
    entity = device();
    a = await processes.start();
    b = await processes.start();
  });
  afterEach(() => processes.clear());

  const make = (fields: Partial<Downlink> = {}) => downlink({ tenantId, integrationId, entity, expiresAt: FAR, ...fields });
  const ids = (list: readonly Downlink[] | null) => list?.map(({ id }) => id);
  const takes = async (process: Process, max = 10) =>
    ids(await within(process.downlinks.take(integrationId, max, new AbortController().signal), `taking in ${process.member}`, 10_000));
  const pendingId = async (process: Process) => (await process.downlinks.takePending(integrationId, [entity.id]))?.id;
  const stateOf = async (of: Downlink) => (await a.downlinks.one(tenantId, of.id))?.state;
  const ledger = async () => {
    const found = await b.ledgers.read(tenantId, integrationId);
    assert.equal(offBy(found).downlinks, 0);
    return found.downlinks;
  };
  const left = (what: Record<string, number>, of = integrationId) =>
    eventually(async () => JSON.stringify(await processes.jobs(of)) === JSON.stringify(what), `jobs ${JSON.stringify(what)}`);
  const grant = (process: Process, epoch: number) => {
    for (const each of [a, b]) each.leases.delete(integrationId);
    process.leases.set(integrationId, epoch);
    process.downlinks.turns.wake(integrationId);
  };

  test('of many that answer the same device at a time, in both, one gets it, 60 times put back', async () => {
    const sent = make();
    await a.create(sent);
    for (let round = 0; round < 60; round++) {
      const takers = await Promise.all([a, b, a, b].map((process) => process.downlinks.takePending(integrationId, [entity.id])));
      assert.deepEqual(ids(takers.filter((taken) => taken !== null)), [sent.id], `round ${round}`);
      const taker = takers.findIndex(Boolean) % 2 ? b : a;
      taker.downlinks.putBack(sent);
      // It is there again for whoever asks after this.
      await taker.downlinks.takePending(newId(), []);
    }
    await a.move(sent, 'DELIVERED');
    assert.deepEqual(await Promise.all([a, b].map(pendingId)), [undefined, undefined]);
    assert.deepEqual(await ledger(), { created: 1, sent: 1, pending: 0, replaced: 0, expired: 0, failed: 0 });
    await left({});
  });

  test('forty that wait for one device go out once each, in order, whoever answers', async () => {
    const list = Array.from({ length: 40 }, () => make({ policy: 'fifo' }));
    await a.create(...list.slice(0, 18));
    await b.create(...list.slice(18));
    for (let i = 0; i < list.length; i += 4) {
      const given = await Promise.all([a, b, a, b].map(pendingId));
      assert.deepEqual([...given].sort(), ids(list.slice(i, i + 4))?.sort());
    }
    assert.equal(await pendingId(a), undefined);
  });

  test('one is claimed while another process replaces it: it is either given or replaced, 12 times', async () => {
    for (let round = 0; round < 12; round++) {
      const [older, newer] = [make(), make()];
      await a.create(older);
      const [given] = await Promise.all([a.downlinks.takePending(integrationId, [entity.id]), b.create(newer)]);
      if (given?.id === older.id) {
        assert.equal(await stateOf(older), 'QUEUED');
        a.downlinks.putBack(older);
        assert.equal(await pendingId(a), newer.id);
      } else if (!given) assert.equal(await pendingId(b), newer.id);
      else assert.equal(given.id, newer.id);
      assert.equal(await stateOf(older), 'REPLACED');
      await b.move(newer, 'DELIVERED');
    }
    assert.deepEqual(await ledger(), { created: 24, sent: 12, pending: 0, replaced: 12, expired: 0, failed: 0 });
  });

  test('both fill the same slot at a time: one of the two is left, 10 times', async () => {
    for (let round = 1; round <= 10; round++) {
      const [one, other] = [make(), make()];
      await Promise.all([a.create(one), b.create(other)]);
      const states = await Promise.all([one, other].map(stateOf));
      assert.deepEqual([...states].sort(), ['QUEUED', 'REPLACED'], `round ${round}`);
      assert.deepEqual(await ledger(), { created: 2 * round, sent: 0, pending: 1, replaced: 2 * round - 1, expired: 0, failed: 0 });
    }
  });

  test('what a process that died was answering with waits again, in its old place', async () => {
    const list = [1, 2, 3].map(() => make({ policy: 'fifo' }));
    await a.create(...list);
    assert.equal(await pendingId(a), list[0]!.id);
    assert.equal(await pendingId(b), list[1]!.id);
    await a.vanish();
    await b.downlinks.releaseMember(a.member);
    assert.equal(await pendingId(b), list[0]!.id);
    assert.equal(await pendingId(b), list[2]!.id);
    assert.equal(await pendingId(b), undefined);
  });

  test('a claim of which the answer was lost is undone with the next expiry, and so is one that could not be put back', async () => {
    const sent = make();
    await a.create(sent);
    a.lost = 'answers';
    assert.equal(await pendingId(a), undefined);
    a.lost = null;
    assert.equal(await pendingId(b), undefined);
    assert.equal(await a.downlinks.expire(5000), 0);
    assert.equal(await pendingId(b), sent.id);
    b.lost = 'requests';
    b.downlinks.putBack(sent);
    assert.equal(await pendingId(b), undefined);
    b.lost = null;
    assert.equal(await pendingId(a), undefined);
    await b.downlinks.expire(5000);
    assert.equal(await pendingId(b), sent.id);
  });

  test('one that is put back is replaced by whatever has its slot, also where the clock of its maker is behind', async () => {
    const [older, newer] = [make(), make()];
    await a.create(older);
    await pendingId(a);
    await b.create(newer);
    await processes.collection.updateOne({ _id: newer.id }, { $set: { seq: 1 } });
    a.downlinks.putBack(older);
    assert.equal(await pendingId(a), newer.id);
    assert.equal(await stateOf(older), 'REPLACED');
  });

  test('a process that ends in order leaves nothing claimed', async () => {
    const [sent, newer] = [make(), make()];
    await a.create(sent);
    await pendingId(b);
    await a.create(newer);
    await b.close();
    b = await processes.start();
    assert.equal(await stateOf(sent), 'REPLACED');
    assert.equal(await pendingId(b), newer.id);
  });

  test('one process at a time expires, in steps', async () => {
    const list = Array.from({ length: 510 }, () => make({ policy: 'fifo', entity: device(), expiresAt: 5000 }));
    await a.create(...list);
    const claimed = make({ policy: 'fifo', expiresAt: 5000 });
    await b.create(claimed);
    assert.equal(await pendingId(b), claimed.id);
    const meanwhile: number[] = [];
    a.beforeStep = async () => meanwhile.push(await b.downlinks.expire(5000));
    assert.equal(await a.downlinks.expire(5000), 510);
    assert.deepEqual(meanwhile, [0, 0]);
    assert.deepEqual(await ledger(), { created: 511, sent: 0, pending: 1, replaced: 0, expired: 510, failed: 0 });
    assert.equal(await stateOf(claimed), 'QUEUED');
    // Its job is due.
    await left({ waiting: 1 });
  });

  test('two that expire at the same time, because Redis forgot whose turn it is, count each once', async () => {
    const list = Array.from({ length: 5 }, () => make({ policy: 'fifo', expiresAt: 5000 }));
    await a.create(...list);
    const meanwhile: number[] = [];
    a.beforeStep = async () => {
      await processes.forget();
      meanwhile.push(await b.downlinks.expire(5000));
    };
    assert.equal(await a.downlinks.expire(5000), 0);
    assert.deepEqual(meanwhile, [5]);
    assert.deepEqual(await ledger(), { created: 5, sent: 0, pending: 0, replaced: 0, expired: 5, failed: 0 });
  });

  test('one that is claimed while it is about to expire is left to its taker', async () => {
    const sent = make({ expiresAt: 5000 });
    await a.create(sent);
    a.beforeStep = () => b.downlinks.takePending(integrationId, [entity.id]);
    assert.equal(await a.downlinks.expire(5000), 0);
    assert.equal(await stateOf(sent), 'QUEUED');
    await b.move(sent, 'DELIVERED');
    assert.equal((await ledger()).sent, 1);
  });

  test('beyond the limit of an integration the oldest ends', async () => {
    const c = await processes.start({ pendingLimit: 3 });
    const list = Array.from({ length: 6 }, () => make({ entity: device() }));
    await c.create(list[0]!);
    await c.create(list[1]!, list[2]!);
    assert.equal((await c.downlinks.takePending(integrationId, [list[0]!.entity.id]))?.id, list[0]!.id);
    for (const sent of list.slice(3)) await c.create(sent);
    assert.deepEqual(await Promise.all(list.map(stateOf)), ['QUEUED', 'EXPIRED', 'EXPIRED', 'EXPIRED', 'QUEUED', 'QUEUED']);
    const last = (await c.downlinks.one(tenantId, list[1]!.id))!.history.at(-1);
    assert.deepEqual(last, { state: 'EXPIRED', ts: 1000, reason: 'queue full' });
    assert.deepEqual(await ledger(), { created: 6, sent: 0, pending: 3, replaced: 0, expired: 3, failed: 0 });
  });

  test('to be sent now: to the process that holds the integration, and again, in order, to the next', async () => {
    const list = Array.from({ length: 7 }, () => make({ delivery: 'now' }));
    grant(a, 1);
    const first = takes(a, 2);
    const never = new AbortController();
    const notHere = b.downlinks.take(integrationId, 10, never.signal);
    await b.create(...list.slice(0, 3));
    assert.deepEqual(await first, ids(list.slice(0, 2)));
    await a.move(list[0]!, 'CONVERTED', 'SENT', 'DELIVERED');
    assert.deepEqual(await takes(a), ids(list.slice(2, 3)));
    // Waiting, with nothing to do, until one comes from the other.
    const next = takes(a, 1);
    await b.create(list[3]!);
    assert.deepEqual(await next, [list[3]!.id]);
    never.abort();
    assert.equal(await notHere, null);
    await a.vanish();
    await b.create(...list.slice(4));
    grant(b, 2);
    assert.deepEqual(await takes(b), ids(list.slice(1)));
    for (const sent of list.slice(1)) await b.move(sent, 'SENT', 'DELIVERED');
    assert.deepEqual(await ledger(), { created: 7, sent: 7, pending: 0, replaced: 0, expired: 0, failed: 0 });
    await left({});
  });

  test('an integration that moves while its process looks, and comes back', async () => {
    const list = [1, 2].map(() => make({ delivery: 'now' }));
    await b.create(...list);
    grant(a, 1);
    const abort = new AbortController();
    const looking = a.downlinks.take(integrationId, 10, abort.signal);
    grant(b, 2);
    assert.deepEqual(await takes(b), ids(list));
    abort.abort();
    assert.equal(await looking, null);
    grant(a, 3);
    assert.deepEqual(await takes(a), ids(list));
    grant(b, 4);
    assert.deepEqual(await takes(b), ids(list));
    const more = new AbortController();
    const waiting = b.downlinks.take(integrationId, 10, more.signal);
    await left({ active: 2 });
    more.abort();
    assert.equal(await waiting, null);
    // Ended by a process that died before it removed the job.
    await processes.collection.updateMany({ _id: { $in: ids(list)! } }, { $set: { state: 'SENT' }, $unset: { waiting: '' } });
    grant(a, 5);
    const last = new AbortController();
    const nothing = a.downlinks.take(integrationId, 10, last.signal);
    await left({});
    last.abort();
    assert.equal(await nothing, null);
  });

  test('jobs of a process that died before it added them come with its burial, those that Redis lost with a reload', async () => {
    const list = [1, 2, 3].map(() => make({ delivery: 'now' }));
    grant(b, 1);
    const first = takes(b);
    a.dispatching = false;
    await a.create(list[0]!);
    await a.vanish();
    await b.downlinks.releaseMember(a.member);
    assert.deepEqual(await first, [list[0]!.id]);
    b.dispatching = false;
    const second = takes(b);
    await b.create(list[1]!, list[2]!);
    await processes.forget();
    b.downlinks.reload();
    assert.deepEqual(await second, ids(list.slice(1)));
  });

  test('what is given back comes again before newer ones, and what is over by then does not', async () => {
    const list = Array.from({ length: 5 }, () => make({ delivery: 'now' }));
    grant(a, 1);
    await a.create(...list.slice(0, 3));
    assert.deepEqual(await takes(a), ids(list.slice(0, 3)));
    await b.create(...list.slice(3));
    await a.move(list[1]!, 'FAILED');
    a.downlinks.release(list.slice(0, 3));
    assert.deepEqual(await takes(a), ids([list[0]!, list[2]!, list[3]!, list[4]!]));
  });

  test('a take that is aborted while it looks loses nothing', async () => {
    grant(a, 1);
    const list = Array.from({ length: 8 }, () => make({ delivery: 'now' }));
    const given: string[] = [];
    for (const sent of list) {
      await b.create(sent);
      const abort = new AbortController();
      const taken = a.downlinks.take(integrationId, 10, abort.signal);
      abort.abort();
      assert.equal(await taken, null);
      // It has looked by then.
      for (let i = 0; i < 10; i++) await stateOf(sent);
      given.push(...(await takes(a))!);
    }
    assert.deepEqual(given, ids(list));
  });

  test('one that is to be sent now and is over its time ends with its holder at once, else later', async () => {
    const [taken, waiting] = [make({ delivery: 'now', expiresAt: 5000 }), make({ delivery: 'now', expiresAt: 5000 })];
    grant(a, 1);
    await a.create(taken);
    assert.deepEqual(await takes(a), [taken.id]);
    await a.create(waiting);
    assert.equal(await b.downlinks.expire(5000), 0);
    assert.equal(await a.downlinks.expire(5000), 1);
    assert.deepEqual(await Promise.all([taken, waiting].map(stateOf)), ['QUEUED', 'EXPIRED']);
    await a.vanish();
    assert.equal(await b.downlinks.expire(34_999), 0);
    assert.equal(await b.downlinks.expire(35_000), 1);
  });
});
