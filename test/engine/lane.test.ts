import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AppError, Fenced, NotDurable } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Message } from '#engine/message.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import { type LaneDeps, workLane } from '#engine/walk/lane.ts';
import { Work } from '#engine/work.ts';
import { openEngine, type TestEngine, takeNow } from '#test/support/chain.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { within } from '#test/support/wait.ts';

const SAVING = [{ id: 'a', nodes: [{ name: 's', type: 'test.save' }] }];
const numbered = (seq: number, fields: Partial<Message> = {}): Message => message({ id: newId(), ts: seq + 1, data: { seq }, ...fields });
const range = (count: number): Message[] => Array.from({ length: count }, (_, seq) => numbered(seq));

/** Resolves when the tenant's ledger says so; the test's own deadline is the runner's. */
async function ledger(engine: TestEngine, until: (messages: Awaited<ReturnType<TestEngine['backend']['store']['ledger']>>['messages']) => boolean) {
  const deadline = Date.now() + 5000;
  for (;;) {
    const { messages } = await engine.backend.store.ledger(TENANT, TENANT);
    if (until(messages)) return messages;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(messages)}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const depsOf = (engine: TestEngine, deps: Partial<LaneDeps> = {}): LaneDeps => ({
  queue: engine.backend.queue,
  runner: engine.runner,
  commit: (work) => engine.backend.commit(work),
  newId,
  now: Date.now,
  log: { error: (_, text) => engine.log.push(text), warn: (_, text) => engine.log.push(text) },
  pauseMs: 5,
  ...deps,
});
const settled = { stored: 0, filtered: 0, dead: 0, inFlight: 0 };

test('lane: works what is appended until it is stopped, and finishes what is under way', async (t) => {
  const engine = await openEngine(t, { chains: SAVING });
  const running = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const lane = workLane(
    0,
    depsOf(engine, {
      runner: {
        async run(batch) {
          running.resolve();
          await goOn.promise;
          return engine.runner.run(batch);
        },
      },
    }),
  );
  await engine.append(range(3));
  await running.promise;
  const stopped = lane.stop();
  goOn.resolve();
  await stopped;
  assert.deepEqual((await engine.backend.store.ledger(TENANT, TENANT)).messages, { ...settled, created: 3, stored: 3 });
});

test('lane: what can not be made durable comes again, and its trouble is visible meanwhile', async (t) => {
  const engine = await openEngine(t, { chains: SAVING });
  let failures = 3;
  const troubled = Promise.withResolvers<ReturnType<ReturnType<typeof workLane>['trouble']>>();
  const lane = workLane(
    0,
    depsOf(engine, {
      async commit(work) {
        if (failures-- > 0) {
          if (failures === 1) troubled.resolve(lane.trouble());
          throw new NotDurable(new Error('disk full'));
        }
        await engine.backend.commit(work);
      },
    }),
  );
  t.after(() => lane.stop());
  await engine.append(range(5));
  assert.equal((await troubled.promise)?.reason, 'Not stored: disk full');
  assert.deepEqual(await ledger(engine, ({ inFlight }) => inFlight === 0), { ...settled, created: 5, stored: 5 });
  await lane.stop();
  assert.equal(lane.trouble(), null);
});

for (const [what, refusal] of [
  ['taken over by another process', new Fenced('lane:0')],
  ['accounted already', new AppError('stale-batch', 'never', 'accounted already')],
] as const) {
  test(`lane: ${what}, its batch is given back whole, without culprits, and the revocation does not wait for anything`, async (t) => {
    const engine = await openEngine(t, { chains: SAVING });
    const refused = Promise.withResolvers<void>();
    const works: Work[] = [];
    const lane = workLane(
      0,
      depsOf(engine, {
        pauseMs: 60_000,
        async commit(work) {
          works.push(work);
          refused.resolve();
          throw refusal;
        },
      }),
    );
    await engine.append(range(5));
    await refused.promise;
    await within(lane.stop(), 'the end of the lane');
    assert.deepEqual([works.map((work) => [work.done.length, work.held.length, work.deadLetters.length])], [[[1, 0, 0]]]);
    assert.deepEqual(engine.log, ['a lane waits: nothing can be made durable']);
    const batch = await takeNow(engine.backend, 0);
    assert.deepEqual(
      batch?.messages.map(({ ts }) => ts),
      [1, 2, 3, 4, 5],
    );
  });
}

for (const where of ['run', 'commit'] as const) {
  test(`lane: a message that breaks the ${where} stands alone in the end, is a dead letter, and the others happen once and in order`, async (t) => {
    const engine = await openEngine(t, { chains: SAVING });
    const culprit = numbered(6, { type: 'CULPRIT' });
    const breaks = (messages: readonly Message[]): void => {
      if (messages.some(({ type }) => type === 'CULPRIT')) throw new TypeError('broken by one');
    };
    const order: number[] = [];
    const lane = workLane(
      0,
      depsOf(engine, {
        runner: {
          async run(batch) {
            if (where === 'run') breaks(batch.messages);
            const work = await engine.runner.run(batch);
            if (where === 'commit') work.afterCommit(() => {});
            return Object.assign(work, { of: batch.messages });
          },
        },
        async commit(work) {
          if (where === 'commit') breaks((work as Work & { of?: readonly Message[] }).of ?? []);
          await engine.backend.commit(work);
          for (const write of work.attributes) if ('key' in write) order.push(Number(write.value.value));
        },
      }),
    );
    t.after(() => lane.stop());
    await engine.append([...range(6), culprit, ...range(12).slice(7)]);
    assert.deepEqual(await ledger(engine, ({ inFlight }) => inFlight === 0), { ...settled, created: 12, stored: 11, dead: 1 });
    await lane.stop();
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
    const { data } = await engine.backend.store.deadLetters(TENANT, undefined, 0, 10);
    assert.deepEqual(
      data.map(({ reason, message: dead }) => [reason, dead?.id]),
      [['broken by one', culprit.id]],
    );
    assert.ok(engine.log.includes('a message can not be run'));
  });
}

test('lane: a message held after a passing failure keeps its originator in order', async (t) => {
  let refusals = 1;
  const order: string[] = [];
  const engine = await openEngine(t, { chains: SAVING });
  const lane = workLane(
    0,
    depsOf(engine, {
      runner: {
        async run(batch) {
          const messages = batch.messages.map((each) =>
            each.ts === 2 && refusals-- > 0 ? { ...each, data: '{"seq":1,"ways":{"s":{"fail":"later"}}}' } : each,
          );
          const work = await engine.runner.run({ ...batch, messages });
          for (const entry of work.held)
            Object.assign(entry, { notBefore: 0, message: { ...entry.message, data: entry.message.data.replace(/,"ways.*/, '}') } });
          return work;
        },
      },
      async commit(work) {
        await engine.backend.commit(work);
        order.push(...work.attributes.map((write) => ('key' in write ? `${write.value.value}` : '')));
      },
    }),
  );
  t.after(() => lane.stop());
  await engine.append(range(4));
  assert.deepEqual(await ledger(engine, ({ inFlight }) => inFlight === 0), { ...settled, created: 4, stored: 4 });
  await lane.stop();
  assert.deepEqual(order, ['0', '1', '2', '3']);
});

test('lane: killed between run and commit, everything happens once', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fieldbridge-lane-'));
  t.after(() => rm(folder, { recursive: true }));
  const engine = await openEngine(t, {
    chains: [
      {
        id: 'a',
        nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }],
        links: [
          ['x', 'Success', 's'],
          ['x', 'Success', 's'],
          ['x', 'Failure', 's'],
        ],
      },
    ],
  });
  const before = await openSqliteBackend({ folder, lanes: 1 });
  const work = new Work();
  for (const each of range(10)) {
    work.messages.push(each);
    work.count(TENANT, TENANT, 'messages.created');
  }
  await before.commit(work);
  await engine.runner.run((await takeNow(before, 0))!);
  await before.close();

  const after = await openSqliteBackend({ folder, lanes: 1 });
  t.after(() => after.close());
  const batch = (await takeNow(after, 0))!;
  await after.commit(await engine.runner.run(batch));
  assert.deepEqual((await after.store.ledger(TENANT, TENANT)).messages, { ...settled, created: 30, stored: 30 });
  const attributes = await after.store.attributes(TENANT, { entityType: 'DEVICE', id: DEVICE }, 'SERVER_SCOPE');
  assert.deepEqual(attributes, [{ key: 's', value: { type: 'LONG', value: 9 }, lastUpdateTs: 10 }]);
});
