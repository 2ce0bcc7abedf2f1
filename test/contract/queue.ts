import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import { type EntityRef, withChanges } from '#engine/message.ts';
import { type Backend, type Batch, laneOf } from '#engine/queue.ts';
import { type BackendUnderTest, commit, datas, device, message, type Running, take, takeNow, within } from '#test/support/backend.ts';
import { downlinks } from './downlinks.ts';
import { orderProperty } from './order.ts';

const FAR = 4_000_000_000_000;

/** What every queue must do, whatever it is built on. */
export function queueContract(under: BackendUnderTest): void {
  describe(`queue: ${under.name}`, () => {
    let running: Running;
    before(async () => {
      running = await under.start({ lanes: 4 });
    });
    after(() => running.stop());
    lanes(() => running);
    downlinks(() => running);
  });
  orderProperty(under);
}

function lanes(running: () => Running): void {
  const backend = (): Backend => running().backend;
  const tenantId = newId();
  let a: EntityRef;
  let b: EntityRef;
  let lane: number;
  /** Two originators of one lane that no test has used. */
  beforeEach(async () => {
    a = device();
    lane = laneOf(a.id, 4);
    do b = device();
    while (laneOf(b.id, 4) !== lane);
    for (let rest = await takeNow(backend(), lane); rest; rest = await takeNow(backend(), lane)) await done(rest);
  });
  const append = (...entries: [EntityRef, string][]) =>
    commit(backend(), (work) => work.messages.push(...entries.map(([entity, data]) => message(tenantId, entity, data))));
  const done = (batch: Batch) => commit(backend(), (work) => work.done.push(batch));
  /** The taken batch is done, but for those with this data, that are held with everything behind them of the same originator. */
  const holdFrom = (batch: Batch, data: string, notBefore: number) =>
    commit(backend(), (work) => {
      work.done.push(batch);
      const at = batch.messages.findIndex((entry) => entry.data === data);
      const { id } = batch.messages[at]!.originator;
      for (const entry of batch.messages.slice(at))
        if (entry.originator.id === id) work.held.push({ message: withChanges(entry, { attempts: entry.attempts + 1 }), notBefore });
    });

  test('caught up: what was appended before the mark is through, what came after is not waited for', async () => {
    await append([a, 'a1']);
    const mark = backend().queue.mark();
    await append([a, 'a2']);
    let caughtUp = false;
    const waiting = backend()
      .queue.caughtUp(a.id, mark, 60_000)
      .then(() => {
        caughtUp = true;
      });
    const first = (await backend().queue.take(lane, 1, AbortSignal.timeout(5000)))!;
    assert.deepEqual([datas(first), caughtUp], [['a1'], false], 'taken is not through');
    await done(first);
    await within(waiting, 'the lane is past the mark');
    await within(backend().queue.caughtUp(a.id, mark, 60_000), 'past it already');
    await within(backend().queue.caughtUp(a.id, backend().queue.mark(), 10), 'not through, but long enough');
    await done(await take(backend(), lane));
  });

  test('messages come in order, whole, with all their fields', async () => {
    const sent = message(tenantId, a, '{"a":\n"\u0000é"}', {
      customerId: newId(),
      metadata: { k: 'v\n', ключ: '' },
      dataType: 'TEXT',
      queueName: 'HighPriority',
      at: { chainId: 'c', nodeId: 'n', labels: ['Success', 'My label'] },
      stack: [{ chainId: 'c', nodeId: 'n' }],
      executions: 7,
      owner: newId(),
      effect: true,
      attempts: 2,
    });
    await commit(backend(), (work) => work.messages.push(sent));
    const first = await take(backend(), lane);
    assert.deepEqual(first.messages, [sent]);
    await running().restart();
    const again = await take(backend(), lane);
    assert.deepEqual(again.messages, [sent]);
    assert.ok(Object.isFrozen(again.messages[0]));
    await done(again);
  });

  test('take waits for the first message, and for the batch before it', async () => {
    const controller = new AbortController();
    const waiting = backend().queue.take(lane, 10, controller.signal);
    await append([a, '1']);
    const first = (await within(waiting, 'take'))!;
    await append([a, '2']);
    assert.equal(await takeNow(backend(), lane), null);
    const next = backend().queue.take(lane, 10, controller.signal);
    await done(first);
    const second = (await within(next, 'take after done'))!;
    assert.deepEqual(datas(second), ['2']);
    await done(second);
    assert.equal(await takeNow(backend(), lane), null);
  });

  test('an aborted take takes nothing', async () => {
    const controller = new AbortController();
    const waiting = backend().queue.take(lane, 10, controller.signal);
    controller.abort();
    assert.equal(await waiting, null);
    assert.equal(await backend().queue.take(lane, 10, controller.signal), null);
    await append([a, '1']);
    const batch = await take(backend(), lane);
    assert.deepEqual(datas(batch), ['1']);
    await done(batch);
  });

  test('a given back batch comes again, before what came later', async () => {
    await append([a, '1'], [b, '2']);
    const batch = await take(backend(), lane);
    await append([a, '3']);
    backend().queue.giveBack(batch);
    const again = await take(backend(), lane);
    assert.deepEqual(datas(again), ['1', '2', '3']);
    await done(again);
  });

  test('a batch that was taken when the process ended comes again', async () => {
    await append([a, '1'], [b, '2']);
    await take(backend(), lane);
    await running().restart();
    const again = await take(backend(), lane);
    assert.deepEqual(datas(again), ['1', '2']);
    await done(again);
    await running().restart();
    assert.equal(await takeNow(backend(), lane), null);
  });

  test('a long backlog of single messages keeps its order, in memory and in the file', async () => {
    const owners = [newId(), newId()];
    const sent: string[] = [];
    const send = async (n: number) => {
      for (let i = 0; i < n; i++) {
        const data = String(sent.length);
        sent.push(data);
        await commit(backend(), (work) =>
          work.messages.push(message(tenantId, sent.length % 3 ? a : b, data, { owner: owners[Math.floor(sent.length / 7) % 2]! })),
        );
      }
    };
    await send(400);
    const got: string[] = [];
    const drain = async (batches: number) => {
      for (let i = 0; i < batches; i++) {
        const batch = await takeNow(backend(), lane, 50);
        if (!batch) return;
        got.push(...datas(batch));
        await done(batch);
      }
    };
    await drain(2);
    await running().restart();
    await send(300);
    await drain(3);
    await send(20);
    await drain(1000);
    assert.deepEqual(got, sent);
    assert.equal(backend().queue.depth().messages, 0);
  });

  test('a held message holds the later ones of its originator and nobody else', async () => {
    await append([a, 'a1'], [b, 'b1'], [a, 'a2']);
    await holdFrom(await take(backend(), lane), 'a1', FAR);
    await append([a, 'a3'], [b, 'b2']);
    const batch = await take(backend(), lane);
    assert.deepEqual(datas(batch), ['b2']);
    await done(batch);
    await append([a, 'a4']);
    assert.equal(await takeNow(backend(), lane), null);
    const { held } = backend().queue.depth();
    await running().restart();
    await append([b, 'b3'], [a, 'a5']);
    const after = await take(backend(), lane);
    assert.deepEqual(datas(after), ['b3']);
    await done(after);
    assert.ok(backend().queue.depth().held >= held);
  });

  test('held ones come in order when their time is there, with what came later behind them', async () => {
    await append([a, 'a1'], [a, 'a2'], [b, 'b1']);
    const soon = Date.now() + 60;
    await holdFrom(await take(backend(), lane), 'a1', soon);
    await append([a, 'a3'], [b, 'b2']);
    await done(await take(backend(), lane));
    await append([a, 'a4']);
    const batch = await take(backend(), lane);
    assert.ok(Date.now() >= soon);
    assert.deepEqual(datas(batch), ['a1', 'a2', 'a3', 'a4']);
    assert.deepEqual(
      batch.messages.map((entry) => entry.attempts),
      [1, 1, 0, 0],
    );
    await done(batch);
    assert.equal(await takeNow(backend(), lane), null);
  });

  test('a message that fails again goes before what waited behind it', async () => {
    await append([a, 'a1'], [a, 'a2'], [a, 'a3'], [a, 'a4']);
    await holdFrom(await take(backend(), lane), 'a1', 0);
    const part = await take(backend(), lane, 2);
    assert.deepEqual(datas(part), ['a1', 'a2']);
    await append([a, 'a5']);
    await holdFrom(part, 'a2', 0);
    const rest = await take(backend(), lane);
    assert.deepEqual(datas(rest), ['a2', 'a3', 'a4', 'a5']);
    await done(rest);
  });

  test('delayed messages enter their lane at their time and hold back nobody', async () => {
    // Not before it was looked at.
    const dueAt = Date.now() + (backend().cluster.shared ? 1000 : 60);
    await commit(backend(), (work) => {
      work.delayed.push({ message: message(tenantId, a, 'later'), dueAt: dueAt + 20 }, { message: message(tenantId, a, 'soon'), dueAt });
    });
    await append([a, 'now']);
    await done(await take(backend(), lane));
    assert.equal(backend().queue.depth().delayed, 2);
    const got: string[] = [];
    while (got.length < 2) {
      const batch = await take(backend(), lane);
      got.push(...datas(batch));
      await done(batch);
    }
    assert.ok(Date.now() >= dueAt);
    assert.deepEqual(got, ['soon', 'later']);
    assert.equal(backend().queue.depth().delayed, 0);
  });

  test('delayed messages survive a restart', async () => {
    await commit(backend(), (work) => work.delayed.push({ message: message(tenantId, a, 'later'), dueAt: Date.now() + 30 }));
    await running().restart();
    const batch = await take(backend(), lane);
    assert.deepEqual(datas(batch), ['later']);
    await done(batch);
  });
}
