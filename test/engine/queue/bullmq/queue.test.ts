import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import { batchId, batchName, isDelayed, Numbering } from '#engine/queue/bullmq/batches.ts';
import { Work } from '#engine/work.ts';
import { datas, message, within } from '#test/support/backend.ts';
import { eventually } from '#test/support/wait.ts';
import { drain, finish, type Installation, install, type Member, missingServer, originatorOf, type Servers, startServers, take } from './rig.ts';

const LANE = 1;

describe('names and numbers of batches', () => {
  const first = new Work();
  const second = new Work();

  test('a name says what it was made of', () => {
    for (const name of [
      { lane: 3, member: 'm', n: 7, delayed: false },
      { lane: 15, member: '0190.x-y', n: Number.MAX_SAFE_INTEGER, delayed: true },
    ])
      assert.deepEqual([batchName(batchId(name)), isDelayed(batchId(name))], [name, name.delayed]);
  });

  test('as texts, names of a lane and member are in the order of their numbers', () => {
    const ids = [9, 10, 99, 1_000_000, Number.MAX_SAFE_INTEGER].map((n) => batchId({ lane: 0, member: 'm', n, delayed: false }));
    assert.deepEqual(ids.toSorted(), ids);
  });

  test('an attempt that is made again has the same numbers, the next work of its group later ones, the next group higher ones', () => {
    const numbering = new Numbering();
    const take = (order: number, work: Work, count: number) => {
      const next = numbering.begin(order, work);
      return Array.from({ length: count }, next);
    };
    const now = Date.now();
    const whole = take(now, first, 3);
    const other = take(now + 1, second, 1);
    const again = take(now, first, 2);
    const behind = take(now, second, 2);
    assert.deepEqual(again, whole.slice(0, 2));
    const all = [...again, ...behind, ...other];
    assert.deepEqual([all.toSorted((x, y) => x - y), new Set(all).size, all.every(Number.isSafeInteger)], [all, all.length, true]);
  });
});

/** What one process sees of the others' work. */
describe('the queue of two processes', { skip: missingServer() }, () => {
  let servers: Servers;
  let installation: Installation;
  let holder: Member;
  let other: Member;
  const tenantId = newId();
  const a = originatorOf(LANE);
  before(async () => {
    servers = await startServers();
    installation = await install(servers);
    holder = await installation.start();
    other = await installation.start();
    await installation.grant(LANE, holder);
  });
  after(async () => {
    await installation.close();
    await servers.close();
  });
  const append = (by: Member, ...texts: string[]) => by.commit((work) => work.messages.push(...texts.map((data) => message(tenantId, a, data))));

  test('depth: what this process did at once, what others did soon', async () => {
    const depths = () => [holder, other].map(({ queue }) => ({ ...queue.depth(), oldestMs: 0 }));
    const is = (messages: number, held: number, delayed: number) => ({ messages, held, delayed, kept: 0, oldestMs: 0 });
    await append(other, '1', '2');
    assert.deepEqual(depths()[1], is(2, 0, 0));
    await eventually(() => depths()[0]!.messages === 2, 'the holder sees it');
    assert.ok(other.queue.depth().oldestMs < 10_000);
    const batch = await take(holder, LANE);
    await holder.commit((work) => {
      work.done.push(batch);
      work.held.push({ message: batch.messages[1]!, notBefore: Date.now() + 200 });
      work.delayed.push({ message: message(tenantId, a, '3'), dueAt: Date.now() + 200 });
    });
    assert.deepEqual(depths()[0], is(0, 1, 1));
    await eventually(() => depths().every((depth) => depth.messages === 0 && depth.held === 1 && depth.delayed === 1), 'both see it');
    for (let left = 2; left > 0; ) {
      const next = await take(holder, LANE);
      left -= next.messages.length;
      await finish(holder, next);
    }
    assert.deepEqual(depths()[0], is(0, 0, 0));
    await eventually(() => depths().every((depth) => depth.held + depth.delayed === 0), 'both see it');
  });

  test('depth: exact while batches come and go', async () => {
    for (let n = 0; n < 60; n++) {
      await append(holder, String(n));
      if (n % 3 === 0) continue;
      const batch = await take(holder, LANE, 1);
      assert.equal(holder.queue.depth().messages, Math.floor(n / 3) + 2);
      await finish(holder, batch);
      assert.equal(holder.queue.depth().messages, Math.floor(n / 3) + 1);
    }
    assert.equal((await drain(holder, LANE)).length, 20);
  });

  test('caught up: in a process that does not work the lane, soon after the one that does', async () => {
    await append(other, '1');
    const mark = other.queue.mark();
    await append(other, '2');
    let isThrough = false;
    const waiting = other.queue.caughtUp(a.id, mark, 10_000).then(() => {
      isThrough = true;
    });
    const batch = await take(holder, LANE, 1);
    assert.deepEqual([datas(batch), isThrough], [['1'], false]);
    await finish(holder, batch);
    await within(waiting, 'caught up', 1000);
    await drain(holder, LANE);
  });

  test('a message that no document can hold is refused, and with it nothing else', async () => {
    await assert.rejects(append(holder, `"${'\u0001'.repeat(3_000_000)}"`), { code: 'too-large' });
    await append(holder, 'next');
    assert.deepEqual(await drain(holder, LANE), ['next']);
  });
});
