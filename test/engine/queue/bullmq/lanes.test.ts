import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Batch } from '#engine/queue.ts';
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

/** What BullMQ gives, and what it gives too late, twice or not at all: the lane's order and its promises hold. */
describe('lanes of BullMQ', { skip: missingServer() }, () => {
  let servers: Servers;
  let installation: Installation;
  let first: Member;
  let second: Member;
  let a: EntityRef;
  const tenantId = newId();
  before(async () => {
    servers = await startServers();
    installation = await install(servers);
    first = await installation.start();
    second = await installation.start();
  });
  after(async () => {
    await installation.close();
    await servers.close();
  });
  beforeEach(async () => {
    a = originatorOf(LANE);
    await installation.grant(LANE, first);
    await drain(first, LANE);
  });

  const append = (by: Member, ...texts: string[]) => by.commit((work) => work.messages.push(...texts.map((data) => message(tenantId, a, data))));
  const isEmpty = async (): Promise<boolean> => {
    const left = await Promise.all((['wait', 'active', 'delayed'] as const).map((state) => installation.jobs(LANE, state)));
    return left.flat().length === 0;
  };

  test('a done batch leaves nothing behind, in neither server', async () => {
    await append(first, '1');
    await append(first, '2');
    assert.deepEqual(await drain(first, LANE), ['1', '2']);
    assert.equal(await installation.batches.countDocuments({ lane: LANE }), 0);
    await eventually(isEmpty, 'the jobs are completed');
  });

  test('who gets the lane begins with what the one before had taken', async () => {
    for (const text of ['1', '2', '3']) await append(second, text);
    assert.deepEqual(datas(await take(first, LANE, 2)), ['1', '2']);
    await append(second, '4');
    await installation.grant(LANE, second);
    assert.deepEqual(datas(await take(second, LANE)), ['1', '2', '3', '4']);
  });

  test('what was taken under a lease that is gone can not be done, and happens once', async () => {
    await append(first, '1');
    const late = await take(first, LANE);
    await installation.grant(LANE, second);
    await assert.rejects(finish(first, late), { code: 'fenced' });
    first.queue.giveBack(late);
    assert.deepEqual(await drain(second, LANE), ['1']);
  });

  test('a take waits until its process has the lane', async () => {
    await installation.grant(LANE, second);
    await append(first, '1');
    const waiting = first.queue.take(LANE, 10, new AbortController().signal);
    assert.equal(await takeNow(first, LANE), null);
    await installation.grant(LANE, first);
    // Whoever gave the lane away has told its waiter.
    const batch = (await within(waiting, 'the take')) ?? (await take(first, LANE));
    assert.deepEqual(datas(batch), ['1']);
    await finish(first, batch);
  });

  test('jobs that another took too late are worked on in their place', async () => {
    await append(first, '0');
    assert.deepEqual(await drain(first, LANE), ['0']);
    await append(second, '1');
    await append(second, '2');
    await installation.others.next(LANE, 2);
    await append(second, '3');
    assert.deepEqual(await drain(first, LANE), ['1', '2', '3']);
    await eventually(isEmpty, 'the jobs are completed');
  });

  test('jobs that another took too late are found when nothing follows them', async () => {
    await append(first, '0');
    assert.deepEqual(await drain(first, LANE), ['0']);
    const hang = first.queue.take(LANE, 10, new AbortController().signal);
    const release = second.hang();
    const appended = append(second, '1');
    await eventually(async () => (await installation.batches.countDocuments({ lane: LANE })) === 1, 'it is committed');
    const { _id } = (await installation.batches.findOne({ lane: LANE }))!;
    await installation.others.add(`lane-${LANE}`, [{ id: _id, data: { after: null }, delay: 0 }]);
    await installation.others.next(LANE, 1);
    release();
    await appended;
    const batch = (await within(hang, 'the take'))!;
    assert.deepEqual(datas(batch), ['1']);
    await finish(first, batch);
    await eventually(isEmpty, 'the job is completed');
  });

  test('a job that Redis has lost is worked on before the next of its member', async () => {
    await append(second, '0');
    assert.deepEqual(await drain(first, LANE), ['0']);
    for (let n = 1; n <= 20; n++) await append(second, String(n));
    const { database, redis } = installation;
    await redis.ltrim(`${database.name}:lane-${LANE}:wait`, 0, 0);
    assert.deepEqual(
      await drain(first, LANE),
      Array.from({ length: 20 }, (_, n) => String(n + 1)),
    );
  });

  for (const [where, data] of [
    ['waits', { after: null }],
    ['waits and looks like new', { after: 0, lines: '' }],
    ['was taken by the one before', null],
  ] as const) {
    test(`a job whose batch is done and that ${where} is only completed`, async () => {
      await append(second, '1');
      const [id] = await installation.jobs(LANE, 'wait');
      assert.deepEqual(await drain(first, LANE), ['1']);
      await eventually(isEmpty, 'the job is completed');
      await installation.others.add(`lane-${LANE}`, [{ id: id!, data, delay: 0 }]);
      if (data === null) await installation.others.next(LANE, 1);
      await installation.grant(LANE, data === null ? second : first);
      assert.deepEqual(await drain(data === null ? second : first, LANE), []);
      await eventually(isEmpty, 'the job is completed');
    });
  }

  test('a batch that was done although nobody knew is refused, and does not come again', async () => {
    await append(first, '1', '2');
    const batch = await take(first, LANE);
    await installation.batches.deleteMany({ lane: LANE });
    await assert.rejects(finish(first, batch), { code: 'stale-batch' });
    first.queue.giveBack(batch);
    await append(first, '3');
    assert.deepEqual(await drain(first, LANE), ['3']);
    await eventually(isEmpty, 'the job is completed');
  });

  test('one refused work takes nothing from the others of its group, and they keep their order', async () => {
    await append(first, '0');
    const batch = await take(first, LANE);
    await finish(first, batch);
    const outcomes = await Promise.allSettled([
      append(first, '1'),
      append(first, '2'),
      first.commit((work) => {
        work.done.push(batch);
        work.messages.push(message(tenantId, a, 'never'));
      }),
      append(first, '3'),
    ]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(await drain(first, LANE), ['1', '2', '3']);
  });

  test('many and large messages come whole and in order', async () => {
    const texts = [...Array.from({ length: 600 }, (_, n) => String(n)), `"${'x'.repeat(300_000)}"`, `"${'é\n'.repeat(400_000)}"`, 'last'];
    await append(first, ...texts);
    assert.deepEqual(
      (await installation.batches.find({ lane: LANE }).sort({ n: 1 }).toArray()).map(({ total, counts }) => [total, counts]),
      [256, 256, 89, 1, 1].map((n) => [n, [{ tenantId, owner: tenantId, n }]]),
    );
    assert.deepEqual(await drain(first, LANE), texts);
  });

  test('max is about as much as is taken, and nothing that was fetched beyond it is lost', async () => {
    for (const pair of [
      ['1', '2'],
      ['3', '4'],
      ['5', '6'],
    ])
      await append(first, ...pair);
    const batches: string[][] = [];
    for (let batch: Batch | null = await take(first, LANE, 1); batch; batch = await takeNow(first, LANE, 3)) {
      batches.push(datas(batch));
      await finish(first, batch);
    }
    assert.deepEqual(batches, [
      ['1', '2'],
      ['3', '4', '5', '6'],
    ]);
  });

  test('what another process appends wakes the holder at once', async () => {
    const waiting = first.queue.take(LANE, 10, new AbortController().signal);
    const began = performance.now();
    await append(second, '1');
    const appendedAt = performance.now();
    await finish(first, (await within(waiting, 'the take'))!);
    assert.ok(appendedAt - began < 400 && performance.now() - appendedAt < 400, 'sooner than the next poll');
  });

  test('lanes that go to and fro lose nothing and keep the order of every member', async () => {
    const members = [first, second];
    const sent: string[][] = [[], []];
    const got: string[] = [];
    let isOver = false;
    const produce = async (who: number) => {
      for (let n = 0; n < 60; n++) {
        const text = `${who} ${n}`;
        sent[who]!.push(text);
        await append(members[who]!, text);
      }
    };
    const work = async (member: Member) => {
      while (!isOver) {
        const batch = await member.queue.take(LANE, 1 + (got.length % 5), AbortSignal.timeout(100));
        if (!batch) {
          // Somebody else has the lane now.
          await new Promise((resolve) => setImmediate(resolve));
          continue;
        }
        try {
          await finish(member, batch);
          got.push(...datas(batch));
        } catch (cause) {
          // Of one that was accounted before the lane came back, the queue says so.
          assert.match(String((cause as { code?: string }).code), /^(fenced|stale-batch)$/);
          member.queue.giveBack(batch);
        }
      }
    };
    const workers = members.map(work);
    try {
      const producing = Promise.all([produce(0), produce(1)]);
      for (let turn = 0; turn < 12; turn++) {
        await installation.grant(LANE, members[turn % 2]!);
        const before = got.length;
        await eventually(() => got.length > before + 3 || got.length === 120, 'some are done', 20_000);
      }
      await producing;
      await eventually(() => got.length >= 120, 'all are done', 20_000);
    } finally {
      isOver = true;
      await Promise.all(workers);
    }
    assert.deepEqual(
      [0, 1].map((who) => got.filter((text) => text.startsWith(`${who} `))),
      sent,
    );
  });
});
