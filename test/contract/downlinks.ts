import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { Downlink, DownlinkState } from '#engine/store.ts';
import { aMoment, commit, device, downlink, offBy, type Running, within } from '#test/support/backend.ts';

const FAR = 4_000_000_000_000;

/** Downlinks that are sent now and those that wait, from QUEUED to their end. */
export function downlinks(running: () => Running): void {
  const backend = (): Backend => running().backend;
  const tenantId = newId();
  let integrationId: string;
  let entity: EntityRef;
  beforeEach(async () => {
    integrationId = newId();
    entity = device();
    await running().place?.(integrationId);
  });
  const make = (fields: Partial<Downlink> = {}) => downlink({ tenantId, integrationId, entity, ...fields });
  const create = (...list: Downlink[]) =>
    commit(backend(), (work) => {
      work.downlinks.push(...list);
      work.count(tenantId, integrationId, 'downlinks.created', list.length);
    });
  const move = (of: Downlink, state: DownlinkState, reason: string | null = null) =>
    commit(backend(), (work) => {
      work.downlinkMoves.push({ tenantId, integrationId, id: of.id, state, reason, ts: 2000 });
      if (state === 'SENT' || state === 'DELIVERED') work.count(tenantId, integrationId, 'downlinks.sent');
      if (state === 'FAILED') work.count(tenantId, integrationId, 'downlinks.failed');
    });
  const stateOf = async (of: Downlink) => (await backend().store.downlink(tenantId, of.id))?.state;
  const ledger = async () => {
    const found = await backend().store.ledger(tenantId, integrationId);
    assert.deepEqual(offBy(found).downlinks, 0);
    return found.downlinks;
  };
  const takeAll = async (max = 10) =>
    (await within(backend().queue.takeDownlinks(integrationId, max, new AbortController().signal), 'takeDownlinks'))!.map((found) => found.id);
  const nothingToSend = async () => {
    const controller = new AbortController();
    const taken = backend().queue.takeDownlinks(integrationId, 10, controller.signal);
    await aMoment(backend());
    controller.abort();
    return (await taken) === null;
  };

  test('a downlink is kept whole, with each step of its life', async () => {
    const sent = make({ delivery: 'now', policy: 'fifo' });
    await create(sent);
    assert.deepEqual(await backend().store.downlink(tenantId, sent.id), sent);
    await move(sent, 'CONVERTED');
    await move(sent, 'SENT', 'to v1/devices');
    const history = [...sent.history, { state: 'CONVERTED', ts: 2000, reason: null }, { state: 'SENT', ts: 2000, reason: 'to v1/devices' }];
    assert.deepEqual(await backend().store.downlink(tenantId, sent.id), { ...sent, state: 'SENT', history });
    assert.deepEqual(
      (await backend().store.downlinks(tenantId, entity.id, 0, 10)).data.map((found) => found.id),
      [sent.id],
    );
    assert.deepEqual(await ledger(), { created: 1, sent: 1, pending: 0, replaced: 0, expired: 0, failed: 0 });
  });

  test('those to be sent now: oldest first, once, and again after a release or restart', async () => {
    const list = [1, 2, 3].map(() => make({ delivery: 'now' }));
    const ids = list.map((found) => found.id);
    const waiting = takeAll(2);
    await create(...list);
    assert.deepEqual(await waiting, ids.slice(0, 2));
    assert.deepEqual(await takeAll(), ids.slice(2));
    assert.ok(await nothingToSend());
    await move(list[0]!, 'CONVERTED');
    assert.ok(await nothingToSend());
    await move(list[2]!, 'SENT');
    backend().queue.releaseDownlinks(list.slice(0, 2));
    assert.deepEqual(await takeAll(), ids.slice(0, 2));
    await running().restart();
    assert.deepEqual(await takeAll(), ids.slice(0, 2));
    assert.equal((await ledger()).pending, 2);
  });

  test('a pending one waits under its integration and device, and is given to one taker', async () => {
    const sent = make();
    await create(sent);
    assert.ok(await nothingToSend());
    assert.equal(await backend().queue.takePending(newId(), [entity.id]), null);
    assert.equal(await backend().queue.takePending(integrationId, [newId()]), null);
    const takers = await Promise.all([1, 2, 3].map(() => backend().queue.takePending(integrationId, [newId(), entity.id])));
    assert.deepEqual(
      takers.filter(Boolean).map((found) => found!.id),
      [sent.id],
    );
    backend().queue.putBack(sent);
    assert.equal((await backend().queue.takePending(integrationId, [entity.id]))?.id, sent.id);
    await running().restart();
    assert.equal((await backend().queue.takePending(integrationId, [entity.id]))?.id, sent.id);
    await move(sent, 'DELIVERED');
    assert.equal(await backend().queue.takePending(integrationId, [entity.id]), null);
    assert.deepEqual(await ledger(), { created: 1, sent: 1, pending: 0, replaced: 0, expired: 0, failed: 0 });
  });

  test('the first of several devices that has one', async () => {
    const [other, third] = [device(), device()];
    const sent = [make({ entity: other }), make({ entity: third })];
    await create(...sent);
    assert.equal((await backend().queue.takePending(integrationId, [entity.id, third.id, other.id]))?.id, sent[1]!.id);
  });

  test('policy last: a new one replaces the older', async () => {
    const [first, second, other] = [make(), make(), make({ entity: device() })];
    await create(first, other);
    await create(second);
    assert.equal(await stateOf(first), 'REPLACED');
    assert.deepEqual(
      (await backend().store.downlink(tenantId, first.id))?.history.map((step) => step.state),
      ['QUEUED', 'REPLACED'],
    );
    assert.equal((await backend().queue.takePending(integrationId, [entity.id]))?.id, second.id);
    assert.deepEqual(await ledger(), { created: 3, sent: 0, pending: 2, replaced: 1, expired: 0, failed: 0 });
  });

  test('policy last: one that is being answered is left alone, and replaced when it is put back', async () => {
    const [first, second] = [make(), make()];
    await create(first);
    await backend().queue.takePending(integrationId, [entity.id]);
    await create(second);
    assert.equal(await stateOf(first), 'QUEUED');
    backend().queue.putBack(first);
    assert.equal((await backend().queue.takePending(integrationId, [entity.id]))?.id, second.id);
    await commit(backend(), (work) => work.count(tenantId, integrationId, 'downlinks.created', 0));
    assert.equal(await stateOf(first), 'REPLACED');
    assert.deepEqual(await ledger(), { created: 2, sent: 0, pending: 1, replaced: 1, expired: 0, failed: 0 });
  });

  test('policy fifo: one after the other', async () => {
    const list = [1, 2, 3].map(() => make({ policy: 'fifo' }));
    await create(...list);
    for (const sent of list) {
      assert.equal((await backend().queue.takePending(integrationId, [entity.id]))?.id, sent.id);
      await move(sent, 'DELIVERED');
    }
    assert.equal((await ledger()).sent, 3);
  });

  test('what is over its time expires, once, and is not given out', async () => {
    const [old, fresh, busy] = [
      make({ expiresAt: 5000, policy: 'fifo' }),
      make({ expiresAt: FAR, policy: 'fifo' }),
      make({ expiresAt: FAR - 1, entity: device() }),
    ];
    await create(old, fresh, busy);
    await backend().queue.takePending(integrationId, [busy.entity.id]);
    assert.equal((await backend().queue.takePending(integrationId, [entity.id]))?.id, fresh.id);
    assert.equal(await backend().queue.expireDownlinks(5000), 1);
    assert.equal(await backend().queue.expireDownlinks(5000), 0);
    assert.deepEqual(await Promise.all([old, fresh, busy].map(stateOf)), ['EXPIRED', 'QUEUED', 'QUEUED']);
    // One that is just being answered is its taker's.
    assert.equal(await backend().queue.expireDownlinks(FAR - 1), 0);
    assert.deepEqual(await ledger(), { created: 3, sent: 0, pending: 2, replaced: 0, expired: 1, failed: 0 });
  });

  for (const [from, to] of [
    ['SENT', 'SENT'],
    ['SENT', 'QUEUED'],
    ['FAILED', 'SENT'],
    ['DELIVERED', 'SENT'],
    ['EXPIRED', 'SENT'],
    ['REPLACED', 'SENT'],
  ] as const) {
    test(`no way from ${from} to ${to}, and nothing of such a work happens`, async () => {
      const sent = make();
      await create(sent);
      await commit(backend(), (work) => work.downlinkMoves.push({ tenantId, integrationId, id: sent.id, state: from, reason: null, ts: 1 }));
      await assert.rejects(move(sent, to), { code: 'stale-downlink' });
      assert.equal(await stateOf(sent), from);
      assert.equal((await backend().store.ledger(tenantId, integrationId)).downlinks.sent, 0);
    });
  }

  test('what waits for a deleted entity ends as expired', async () => {
    await create(make(), make({ delivery: 'now' }));
    await commit(backend(), (work) => work.purges.push({ tenantId, entity }));
    assert.equal(await backend().queue.takePending(integrationId, [entity.id]), null);
    assert.deepEqual(await ledger(), { created: 2, sent: 0, pending: 0, replaced: 0, expired: 2, failed: 0 });
  });

  test('what waits in a deleted integration ends as expired, and its device still lists it', async () => {
    const [pending, now] = [make(), make({ delivery: 'now' })];
    await create(pending, now);
    await commit(backend(), (work) => work.purges.push({ tenantId, entity: { entityType: 'INTEGRATION', id: integrationId } }));
    assert.equal(await backend().queue.takePending(integrationId, [entity.id]), null);
    assert.deepEqual(await ledger(), { created: 2, sent: 0, pending: 0, replaced: 0, expired: 2, failed: 0 });
    for (const { id } of [pending, now]) {
      const found = await backend().store.downlink(tenantId, id);
      assert.deepEqual([found?.state, found?.history.at(-1)?.reason], ['EXPIRED', 'the integration was deleted']);
    }
  });
}
