import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Duplicate, VersionConflict } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { laneOf } from '#engine/queue.ts';
import { Work } from '#engine/work.ts';
import { type BackendUnderTest, commit, device, doc, message, offBy, type Running, take, takeNow } from '#test/support/backend.ts';

/** Units of work and the ledger: what ties queue and store together. */
export function backendContract(under: BackendUnderTest): void {
  describe(`backend: ${under.name}`, () => {
    let running: Running;
    const backend = () => running.backend;
    before(async () => {
      running = await under.start({ lanes: 4 });
    });
    after(() => running.stop());

    test('works of one turn each have their own fate', async () => {
      const tenantId = newId();
      const [a, b] = [doc({ tenantId, uniqueKey: newId() }), doc({ tenantId })];
      const works = [
        { doc: a },
        { doc: { ...doc({ tenantId }), uniqueKey: a.uniqueKey } },
        { doc: b },
        { doc: b, expects: 9 },
        { doc: { ...b, name: 'B' }, expects: 1 },
      ].map((save) => {
        const work = new Work();
        work.docs.push(save);
        work.count(tenantId, tenantId, 'messages.created');
        work.messages.push(message(tenantId, device(), '{}'));
        return work;
      });
      const outcomes = await Promise.allSettled(works.map((work) => backend().commit(work)));
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.constructor : 'durable')),
        ['durable', Duplicate, 'durable', VersionConflict, 'durable'],
      );
      assert.equal((await backend().store.doc('DEVICE', tenantId, b.id))?.name, 'B');
      assert.deepEqual((await backend().store.ledger(tenantId, tenantId)).messages, { created: 3, stored: 0, filtered: 0, dead: 0, inFlight: 3 });
    });

    test('a refused work leaves nothing of itself', async () => {
      const tenantId = newId();
      const entity = device();
      const before = backend().queue.depth();
      await assert.rejects(
        commit(backend(), (work) => {
          work.telemetry.push({ tenantId, entity, ts: 1, values: [['a', { type: 'LONG', value: 1 }]], expiresAt: null, history: true, latest: true });
          work.attributes.push({ tenantId, entity, scope: 'SERVER_SCOPE', key: 'a', value: { type: 'LONG', value: 1 }, lastUpdateTs: 1 });
          work.held.push({ message: message(tenantId, entity, 'held'), notBefore: 0 });
          work.delayed.push({ message: message(tenantId, entity, 'delayed'), dueAt: 0 });
          work.messages.push(message(tenantId, entity, 'lane'));
          work.count(tenantId, tenantId, 'messages.created', 3);
          work.docs.push({ doc: doc({ tenantId }), expects: 5 });
        }),
        VersionConflict,
      );
      assert.deepEqual({ ...backend().queue.depth(), oldestMs: 0 }, { ...before, oldestMs: 0 });
      assert.equal((await backend().store.latest(tenantId, entity)).size, 0);
      assert.deepEqual(await backend().store.attributes(tenantId, entity, 'SERVER_SCOPE'), []);
      assert.equal((await backend().store.ledger(tenantId, tenantId)).messages.created, 0);
      // What the refused work gave numbers to is usable afterwards.
      await commit(backend(), (work) =>
        work.telemetry.push({
          tenantId,
          entity,
          ts: 1,
          values: [['fresh key', { type: 'LONG', value: 1 }]],
          expiresAt: null,
          history: true,
          latest: true,
        }),
      );
      assert.deepEqual([...(await backend().store.latest(tenantId, entity)).keys()], ['fresh key']);
    });

    test('afterCommit runs when it is durable, before commit() resolves, and never for a refused work', async () => {
      const tenantId = newId();
      const heard: string[] = [];
      const good = new Work();
      good.docs.push({ doc: doc({ tenantId }) });
      good.afterCommit(() => heard.push('good'));
      const refused = new Work();
      refused.docs.push({ doc: doc({ tenantId }), expects: 3 });
      refused.afterCommit(() => heard.push('refused'));
      await Promise.allSettled([
        backend()
          .commit(good)
          .then(() => heard.push('resolved')),
        backend().commit(refused),
      ]);
      assert.deepEqual(heard, ['good', 'resolved']);
    });

    test('a batch is done once: its effects can not happen again', async () => {
      const tenantId = newId();
      const entity = device();
      await commit(backend(), (work) => {
        work.messages.push(message(tenantId, entity, 'a'));
        work.count(tenantId, tenantId, 'messages.created');
      });
      const lanes = await Promise.all(Array.from({ length: 4 }, (_, lane) => takeNow(backend(), lane)));
      const batch = lanes.find((candidate) => candidate?.messages.some((entry) => entry.tenantId === tenantId))!;
      for (const other of lanes) if (other && other !== batch) backend().queue.giveBack(other);
      const finish = () =>
        commit(backend(), (work) => {
          work.done.push(batch);
          work.count(tenantId, tenantId, 'messages.stored');
          work.telemetry.push({ tenantId, entity, ts: 1, values: [['a', { type: 'LONG', value: 1 }]], expiresAt: null, history: true, latest: true });
        });
      const outcomes = await Promise.allSettled([finish(), finish()]);
      assert.deepEqual(
        outcomes.map((outcome) => outcome.status),
        ['fulfilled', 'rejected'],
      );
      await assert.rejects(finish(), { code: 'stale-batch' });
      assert.deepEqual((await backend().store.ledger(tenantId, tenantId)).messages, { created: 1, stored: 1, filtered: 0, dead: 0, inFlight: 0 });
    });

    test('a batch that was given back can not be done', async () => {
      const tenantId = newId();
      const entity = device();
      const lane = await emptyLane(running, entity, tenantId);
      const batch = await take(backend(), lane);
      backend().queue.giveBack(batch);
      await assert.rejects(
        commit(backend(), (work) => work.done.push(batch)),
        { code: 'stale-batch' },
      );
      const again = await take(backend(), lane);
      assert.deepEqual(again.messages, batch.messages);
      await commit(backend(), (work) => work.done.push(again));
    });

    test('the ledger adds up from lanes, held, delayed and downlinks, also after a restart', async () => {
      const tenantId = newId();
      const owner = newId();
      const of = (data: string) => message(tenantId, device(), data, { owner });
      await commit(backend(), (work) => {
        work.count(tenantId, owner, 'uplinks.received', 4);
        work.count(tenantId, owner, 'uplinks.converted', 2);
        work.count(tenantId, owner, 'uplinks.empty');
        work.count(tenantId, owner, 'uplinks.dead');
        work.messages.push(of('1'), of('2'), of('3'));
        work.held.push({ message: of('4'), notBefore: Number.MAX_SAFE_INTEGER });
        work.delayed.push({ message: of('5'), dueAt: 4_000_000_000_000 });
        work.count(tenantId, owner, 'messages.created', 9);
        work.count(tenantId, owner, 'messages.stored', 3);
        work.count(tenantId, owner, 'messages.dead');
      });
      const expected = {
        uplinks: { received: 4, converted: 2, empty: 1, dead: 1, inFlight: 0 },
        messages: { created: 9, stored: 3, filtered: 0, dead: 1, inFlight: 5 },
        downlinks: { created: 0, sent: 0, pending: 0, replaced: 0, expired: 0, failed: 0 },
      };
      assert.deepEqual(await backend().store.ledger(tenantId, owner), expected);
      await running.restart();
      assert.deepEqual(await backend().store.ledger(tenantId, owner), expected);
      assert.deepEqual(offBy(expected), { uplinks: 0, messages: 0, downlinks: 0 });
      assert.deepEqual((await backend().store.ledger(tenantId, newId())).messages, { created: 0, stored: 0, filtered: 0, dead: 0, inFlight: 0 });
    });

    test('health is good while things become durable', () => assert.deepEqual(backend().health(), { ok: true }));
  });
}

/** Appends one message to the lane of `entity` and takes away what else is in it. Returns the lane. */
async function emptyLane(running: Running, entity: ReturnType<typeof device>, tenantId: string): Promise<number> {
  const lane = laneOf(entity.id, running.backend.queue.lanes);
  for (let batch = await takeNow(running.backend, lane); batch; batch = await takeNow(running.backend, lane)) {
    const rest = batch;
    await commit(running.backend, (work) => work.done.push(rest));
  }
  await commit(running.backend, (work) => work.messages.push(message(tenantId, entity, 'a')));
  return lane;
}
