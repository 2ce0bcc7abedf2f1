import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import { type EntityRef, withChanges } from '#engine/message.ts';
import { batchId } from '#engine/queue/bullmq/batches.ts';
import { datas, message, within } from '#test/support/backend.ts';
import { eventually } from '#test/support/wait.ts';
import {
  drain,
  finish,
  type Installation,
  install,
  type Member,
  missingServer,
  originatorOf,
  type Servers,
  startServers,
  take,
  takeNow,
} from './rig.ts';

const LANE = 0;
const FAR = 4_000_000_000_000;

/** Processes that end at any line, and a Redis that goes away or forgets everything: nothing is lost, nothing happens twice, the order holds. */
describe('faults of the queue on Redis and MongoDB', { skip: missingServer() }, () => {
  let servers: Servers;
  let installation: Installation;
  let first: Member;
  let second: Member;
  let a: EntityRef;
  let b: EntityRef;
  const tenantId = newId();
  before(async () => {
    servers = await startServers({ fsync: 'none' });
  });
  after(() => servers.close());
  beforeEach(async () => {
    installation = await install(servers);
    first = await installation.start();
    second = await installation.start();
    await installation.grant(LANE, first);
    a = originatorOf(LANE);
    b = originatorOf(LANE);
  });
  afterEach(() => installation.close());

  const append = (by: Member, ...texts: string[]) => by.commit((work) => work.messages.push(...texts.map((data) => message(tenantId, a, data))));
  const stored = () => installation.batches.countDocuments({ lane: LANE });
  /** Redis is another one, with nothing in it. */
  const replaceRedis = async () => {
    await servers.redis.kill();
    await servers.redis.start();
    for (const { redis } of [first, second]) await eventually(() => redis.status === 'ready', 'connected again');
  };

  test('killed between the transaction and the completion: it is not done again', async () => {
    await append(second, '1');
    await append(second, '2');
    const batch = await take(first, LANE, 1);
    // The transaction is all that happens.
    first.redis.disconnect();
    await finish(first, batch);
    await first.drop();
    assert.ok((await installation.jobs(LANE, 'active')).length > 0, 'its job is still active');
    await installation.bury(first, second);
    await installation.grant(LANE, second);
    assert.deepEqual(await drain(second, LANE), ['2']);
    await eventually(async () => (await installation.jobs(LANE, 'active')).length === 0, 'its job is completed');
  });

  test('killed between the transaction and the dispatch: whoever buries it dispatches, in order, and before the lane is given on', async () => {
    await append(second, '0');
    second.hang();
    for (const [index, text] of ['1', '2'].entries()) {
      append(second, text).catch(() => {}); // Nobody is there any more to be answered.
      await eventually(async () => (await stored()) === index + 2, 'it is committed');
    }
    await second.drop();
    const third = await installation.start();
    await append(first, 'between');
    await Promise.all([installation.bury(second, first), installation.bury(second, third), third.queue.adopt(second.id)]);
    assert.deepEqual(
      (await drain(first, LANE)).filter((text) => text !== 'between'),
      ['0', '1', '2'],
    );
    assert.equal(await stored(), 0);
    assert.deepEqual([await installation.jobs(LANE, 'wait'), await drain(first, LANE)], [[], []]);
  });

  test('Redis forgets everything: all that waits comes, each once, in its order, also what is held and delayed', async () => {
    await append(first, 'a1', 'a2');
    const failed = await take(first, LANE);
    await first.commit((work) => {
      work.done.push(failed);
      for (const entry of failed.messages) work.held.push({ message: withChanges(entry, { attempts: 1 }), notBefore: FAR });
    });
    const dueAt = Date.now() + 300;
    await second.commit((work) => work.delayed.push({ message: message(tenantId, b, 'later'), dueAt }));
    for (const [member, text] of [
      [second, 'b1'],
      [first, 'b2'],
      [second, 'b3'],
      [first, 'b4'],
    ] as const)
      await member.commit((work) => work.messages.push(message(tenantId, b, text)));
    // One is being worked on meanwhile.
    const out = await take(first, LANE, 1);
    assert.deepEqual(datas(out), ['b1']);
    await replaceRedis();
    await second.commit((work) => work.messages.push(message(tenantId, b, 'b5')));
    await finish(first, out);
    const got: string[] = [];
    while (got.length < 5) {
      const batch = await take(first, LANE);
      got.push(...datas(batch));
      await finish(first, batch);
    }
    assert.ok(Date.now() >= dueAt);
    assert.deepEqual([got.filter((text) => text !== 'later'), got.length], [['b2', 'b3', 'b4', 'b5'], 5]);
    assert.deepEqual([await stored(), await takeNow(first, LANE), first.queue.depth().held], [0, null, 2]);
  });

  test('Redis forgets everything while nobody runs: who starts later finds it', async () => {
    for (const text of ['1', '2', '3']) await append(second, text);
    await Promise.all([first.drop(), second.drop()]);
    await replaceRedisWhileNobodyRuns();
    const third = await installation.start();
    await installation.bury(first, third);
    await installation.bury(second, third);
    await installation.redis.flushall();
    await installation.grant(LANE, third);
    await append(third, '4');
    assert.deepEqual(await drain(third, LANE), ['1', '2', '3', '4']);
  });
  const replaceRedisWhileNobodyRuns = async () => {
    await servers.redis.kill();
    await servers.redis.start();
    await eventually(() => installation.redis.status === 'ready', 'connected again');
  };

  test('Redis is away: a take waits, an append is stored and dispatched when it is back, and a take is aborted in time', async () => {
    await append(second, '0');
    const batch = await take(first, LANE);
    await servers.redis.kill();
    await finish(first, batch);
    const appended = append(second, '1');
    await eventually(async () => (await stored()) === 1, 'it is stored');
    const began = performance.now();
    assert.equal(await takeNow(first, LANE), null);
    assert.ok(performance.now() - began < 2000);
    const waiting = first.queue.take(LANE, 10, new AbortController().signal);
    await servers.redis.start();
    const next = (await within(waiting, 'the take', 15_000))!;
    assert.deepEqual(datas(next), ['1']);
    await within(appended, 'the answer');
    await finish(first, next);
    assert.deepEqual([await drain(first, LANE), await stored()], [[], 0]);
  });

  const dispatches = () => [
    { queue: `lane-${LANE}`, jobId: batchId({ lane: LANE, member: second.id, n: 1, delayed: false }), data: { lines: '' }, dueAt: null },
  ];
  const keyOf = (name: string) => `${installation.database.name}:lane-${LANE}:${name}`;

  test('Redis hangs: a dispatch says so in time, is asked again, and has asked Redis once', async () => {
    const jobs = dispatches();
    servers.redis.pause();
    await assert.rejects(second.queue.dispatch(jobs), /no answer/);
    const again = second.queue.dispatch(jobs);
    servers.redis.resume();
    await again;
    assert.deepEqual(await installation.jobs(LANE, 'wait'), [jobs[0]!.jobId]);
    assert.doesNotMatch(JSON.stringify(await installation.redis.xrange(keyOf('events'), '-', '+')), /duplicated/);
  });

  test('Redis is full: a dispatch says so, and what is added later is not taken for new', async () => {
    const jobs = dispatches();
    await installation.redis.config('SET', 'maxmemory', '1');
    await assert.rejects(second.queue.dispatch(jobs), /OOM/);
    await installation.redis.config('SET', 'maxmemory', '0');
    await second.queue.dispatch(jobs);
    assert.deepEqual(JSON.parse((await installation.redis.hget(keyOf(jobs[0]!.jobId), 'data'))!), { lines: '', after: null });
  });

  test('what its living member is about to dispatch is left to it, whatever Redis may have lost', async () => {
    const release = second.hang();
    const asked = append(second, '1');
    await eventually(async () => (await stored()) === 1, 'it is committed');
    first.queue.redisRestarted();
    assert.equal(await takeNow(first, LANE), null, 'one before it may still be under way');
    release();
    await asked;
    assert.deepEqual(await drain(first, LANE), ['1']);
  });
});
