import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fenced } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import { type Backend, laneOf } from '#engine/queue.ts';
import type { Kept, Store } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { type BackendUnderTest, commit, device, message, offBy, type Running } from '#test/support/backend.ts';

const LANES = 4;
const NONE = { count: 0, oldestAt: null, lastReason: null };

/** Messages that stay at nodes, and what nodes remember: the same whatever it is kept in. */
export function keptContract(under: BackendUnderTest): void {
  describe(`kept: ${under.name}`, () => {
    let running: Running;
    before(async () => {
      running = await under.start({ lanes: LANES });
    });
    after(() => running.stop());
    messages(() => running);
    states(() => running);
    tenants(() => running);
  });
}

/** One tenant with a node that no test has used. */
function newNode() {
  const tenantId = newId();
  const nodeId = newId();
  const at = { chainId: newId(), nodeId, labels: null };
  const kept = (data: string, fields: Partial<Kept> = {}, originator: EntityRef = device()): Kept => ({
    ...{ nodeId, kind: 'own', key: 'k', keptAt: 1000, attempts: 0, reason: null },
    ...fields,
    message: message(tenantId, originator, data, { at: { ...at, nodeId: fields.nodeId ?? nodeId } }),
  });
  const removal = ({ message: { id: messageId }, ...of }: Kept) => ({ tenantId, nodeId: of.nodeId, key: of.key, messageId });
  const keep = (work: Work, ...list: Kept[]): void => {
    work.kept.push(...list);
    for (const { message: kept } of list) work.count(kept.tenantId, kept.owner, 'messages.created');
  };
  const release = (work: Work, ...list: Kept[]): void => {
    work.keptRemovals.push(...list.map(removal));
    for (const { message: kept } of list) work.count(kept.tenantId, kept.owner, 'messages.stored');
  };
  return { tenantId, nodeId, kept, keep, release };
}

const datas = (list: readonly Kept[]): string[] => list.map((kept) => kept.message.data);

function messages(running: () => Running): void {
  const backend = (): Backend => running().backend;
  const store = (): Store => backend().store;

  test('they come back whole and in the order in which they were kept, also after a restart', async () => {
    const { tenantId, nodeId, kept, keep } = newNode();
    const list = [kept('3'), kept('1', { key: 'other "%\n' }), kept('2', { kind: 'send', key: '', attempts: 4, reason: 'why\n' })];
    await commit(backend(), (work) => keep(work, ...list.slice(0, 2)));
    await commit(backend(), (work) => keep(work, ...list.slice(2)));
    for (const _ of ['before', 'after the restart']) {
      assert.deepEqual(await store().kept(tenantId, nodeId, { max: 10 }), list);
      assert.deepEqual(await store().kept(tenantId, nodeId, { key: 'other "%\n', max: 10 }), [list[1]]);
      assert.deepEqual(await store().kept(tenantId, nodeId, { key: '', max: 10 }), [list[2]]);
      await running().restart();
    }
    assert.deepEqual(await store().kept(newId(), nodeId, { max: 10 }), []);
    assert.deepEqual(await store().kept(tenantId, newId(), { max: 10 }), []);
    assert.deepEqual(await store().kept(tenantId, nodeId, { key: 'k%', max: 10 }), []);
    assert.deepEqual(await store().kept(tenantId, nodeId, { max: 0 }), []);
  });

  test('page by page, behind a message that is gone too, and nothing is left out or comes twice', async () => {
    const { tenantId, nodeId, kept, keep, release } = newNode();
    const list = Array.from({ length: 25 }, (_, i) => kept(String(i), { key: i % 2 ? 'odd' : 'even' }));
    for (let i = 0; i < 25; i += 5) await commit(backend(), (work) => keep(work, ...list.slice(i, i + 5)));
    const read: Kept[] = [];
    for (let after: string | undefined; ; ) {
      const page = await store().kept(tenantId, nodeId, { ...(after && { after }), max: 10 });
      read.push(...page);
      if (page.length < 10) break;
      after = page.at(-1)!.message.id;
      await commit(backend(), (work) => release(work, page.at(-1)!, page[3]!));
    }
    assert.deepEqual(datas(read), datas(list));
    const odd = list.filter(({ key, message: { data } }) => key === 'odd' && !['3', '9', '13', '19'].includes(data));
    assert.deepEqual(datas(await store().kept(tenantId, nodeId, { key: 'odd', max: 100 })), datas(odd));
    assert.deepEqual(datas(await store().kept(tenantId, nodeId, { key: 'odd', after: odd[2]!.message.id, max: 2 })), datas(odd.slice(3, 5)));
    // Whoever asks for what is behind a message that another process has ended, maybe long ago, is given all that may be.
    const gone = await running().restart();
    assert.deepEqual(datas(await gone.store.kept(tenantId, nodeId, { key: 'odd', after: list[9]!.message.id, max: 100 })).at(-1), '23');
    const strange = await gone.store.kept(tenantId, nodeId, { key: 'odd', after: 'no id', max: 100 });
    assert.deepEqual(datas(strange), datas(odd));
  });

  test('a page of many', async () => {
    const { tenantId, nodeId, kept, keep } = newNode();
    const list = Array.from({ length: 1203 }, (_, i) => kept(String(i)));
    await commit(backend(), (work) => keep(work, ...list));
    assert.deepEqual(datas(await store().kept(tenantId, nodeId, { key: 'k', max: 2000 })), datas(list));
    assert.deepEqual(datas(await store().kept(tenantId, nodeId, { max: 1001 })), datas(list.slice(0, 1001)));
    assert.equal((await store().keptSummary(tenantId, nodeId)).count, 1203);
    await commit(backend(), (work) => work.keptRemovals.push({ tenantId, nodeId, key: 'k', messageId: list[7]!.message.id }));
    await commit(backend(), (work) => keep(work, kept('more'), kept('and more')));
    assert.deepEqual([await count(tenantId, nodeId), await count(tenantId, nodeId, 'k')], [1204, 1204]);
  });
  const count = async (tenantId: string, nodeId: string, key?: string): Promise<number> => (await store().keptSummary(tenantId, nodeId, key)).count;

  test('what is to be sent, by the lane of its originator, over all nodes', async () => {
    const [one, two] = [newNode(), newNode()];
    const a = device();
    const lane = laneOf(a.id, LANES);
    let elsewhere: EntityRef;
    do elsewhere = device();
    while (laneOf(elsewhere.id, LANES) === lane);
    const send = { kind: 'send' } as const;
    const before = (await backend().queue.sends(lane, { max: 10_000 })).at(-1)?.message.id;
    const list = [one.kept('1', send, a), two.kept('2', { ...send, key: 'else' }, a), one.kept('3', send, a), one.kept('4', send, a)];
    await commit(backend(), (work) => {
      one.keep(work, list[0]!, one.kept('own', {}, a), one.kept('elsewhere', send, elsewhere));
      two.keep(work, list[1]!);
    });
    await commit(backend(), (work) => one.keep(work, ...list.slice(2)));
    const sends = (after: string | undefined, max: number) => backend().queue.sends(lane, { ...(after && { after }), max });
    const first = await sends(before, 2);
    assert.deepEqual(first, list.slice(0, 2));
    await commit(backend(), (work) => two.release(work, first[1]!));
    assert.deepEqual(await sends(first[1]!.message.id, 10), list.slice(2));
    assert.deepEqual(await sends(list[2]!.message.id, 10), list.slice(3));
    await running().restart();
    assert.deepEqual(
      (await sends(undefined, 10_000)).slice(-3).map((kept) => kept.message.data),
      ['1', '3', '4'],
    );
    await commit(backend(), (work) => one.release(work, list[0]!, list[2]!, list[3]!));
  });

  test('a message that comes to its node again hides nothing that stands between', async () => {
    const { tenantId, nodeId, kept, keep, release } = newNode();
    const [a, b] = [kept('a'), kept('b')];
    await commit(backend(), (work) => keep(work, a, b));
    const page = await store().kept(tenantId, nodeId, { max: 1 });
    assert.deepEqual(page, [a]);
    await commit(backend(), (work) => release(work, a));
    await commit(backend(), (work) => keep(work, a));
    assert.deepEqual(datas(await store().kept(tenantId, nodeId, { after: a.message.id, max: 10 })), ['b', 'a']);
    assert.deepEqual(await store().kept(tenantId, nodeId, { after: a.message.id, max: 10 }), []);
  });

  test('what is kept and ended in one work was never there', async () => {
    const { tenantId, nodeId, kept, keep, release } = newNode();
    const a = kept('a');
    await commit(backend(), (work) => {
      release(work, a);
      keep(work, a);
    });
    assert.deepEqual(await store().keptSummary(tenantId, nodeId), NONE);
    assert.deepEqual((await store().ledger(tenantId, tenantId)).messages, { created: 1, stored: 1, filtered: 0, dead: 0, inFlight: 0 });
  });

  test('ended twice is refused, whole, and the others of its group are not', async () => {
    const { tenantId, nodeId, kept, keep, release } = newNode();
    const [a, b] = [kept('a'), kept('b')];
    await commit(backend(), (work) => keep(work, a, b));
    const { kept: before } = backend().queue.depth();
    const end = (...list: Kept[]) =>
      commit(backend(), (work) => {
        release(work, ...list);
        keep(work, kept('follows'));
      });
    const outcomes = await Promise.allSettled([end(a), end(a, b), end(b)]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.constructor : 'durable')),
      ['durable', Fenced, 'durable'],
    );
    for (const wrong of [a, { ...b, key: 'wrong' }, { ...b, nodeId: newId() }]) await assert.rejects(end(wrong), Fenced);
    const own = kept('own');
    await commit(backend(), (work) => keep(work, own));
    for (const wrong of [
      { ...own, key: 'wrong' },
      { ...own, nodeId: newId() },
    ])
      await assert.rejects(end(wrong), Fenced);
    await assert.rejects(
      commit(backend(), (work) => work.keptRemovals.push({ tenantId: newId(), nodeId, key: 'k', messageId: own.message.id })),
      Fenced,
    );
    assert.deepEqual(datas(await store().kept(tenantId, nodeId, { max: 10 })), ['follows', 'follows', 'own']);
    assert.equal(backend().queue.depth().kept, before + 1);
    assert.deepEqual((await store().ledger(tenantId, tenantId)).messages, { created: 5, stored: 2, filtered: 0, dead: 0, inFlight: 3 });
  });

  test('failures to send are noted, and the newest is in the summary as long as it is kept', async () => {
    const { tenantId, nodeId, kept, keep, release } = newNode();
    const list = [kept('a', { keptAt: 5 }), kept('b', { keptAt: 6 }), kept('c', { keptAt: 7, key: 'else' })];
    const [a, b, c] = list as [Kept, Kept, Kept];
    await commit(backend(), (work) => keep(work, ...list));
    assert.deepEqual(await store().keptSummary(tenantId, nodeId), { count: 3, oldestAt: 5, lastReason: null });
    const move = (of: Kept, attempts: number, reason: string) =>
      commit(backend(), (work) => work.keptMoves.push({ tenantId, nodeId, messageId: of.message.id, attempts, reason }));
    await move(c, 1, 'first');
    await later();
    await move(a, 1, 'second');
    await later();
    await move(a, 2, 'third');
    assert.deepEqual(await store().kept(tenantId, nodeId, { max: 10 }), [
      { ...a, attempts: 2, reason: 'third' },
      b,
      { ...c, attempts: 1, reason: 'first' },
    ]);
    assert.deepEqual(await store().keptSummary(tenantId, nodeId), { count: 3, oldestAt: 5, lastReason: 'third' });
    assert.deepEqual(await store().keptSummary(tenantId, nodeId, 'else'), { count: 1, oldestAt: 7, lastReason: 'first' });
    await commit(backend(), (work) => release(work, a));
    assert.deepEqual(await store().keptSummary(tenantId, nodeId), { count: 2, oldestAt: 6, lastReason: 'first' });
    assert.deepEqual(await store().keptSummary(tenantId, nodeId, 'k'), { count: 1, oldestAt: 6, lastReason: null });
    // It was sent meanwhile.
    await move(a, 3, 'too late');
    assert.deepEqual(await store().keptSummary(tenantId, nodeId, 'none'), NONE);
    assert.deepEqual(await store().keptSummary(tenantId, newId()), NONE);
    assert.deepEqual(await store().keptSummary(newId(), nodeId), NONE);
    assert.equal((await store().keptSummary(tenantId, nodeId)).count, 2);
  });
  const later = () => new Promise((resolve) => setTimeout(resolve, 2));

  test('they are in flight of their owner, also after a restart', async () => {
    const { tenantId, kept, keep, release } = newNode();
    const owner = newId();
    const owned = (data: string, fields?: Partial<Kept>) => {
      const made = kept(data, fields);
      return { ...made, message: Object.freeze({ ...made.message, owner }) };
    };
    const list = [owned('1'), owned('2', { kind: 'send' }), owned('3')];
    await commit(backend(), (work) => keep(work, ...list, kept('not mine')));
    await commit(backend(), (work) => release(work, list[2]!));
    for (const _ of ['before', 'after the restart']) {
      const ledger = await store().ledger(tenantId, owner);
      assert.deepEqual(ledger.messages, { created: 3, stored: 1, filtered: 0, dead: 0, inFlight: 2 });
      assert.deepEqual(offBy(ledger).messages, 0);
      assert.equal((await store().ledger(tenantId, tenantId)).messages.inFlight, 1);
      await running().restart();
    }
  });

  test('a deleted originator and a deleted node leave them', async () => {
    const { tenantId, nodeId, kept, keep } = newNode();
    const originator = device();
    const list = [kept('a', {}, originator), kept('b', { kind: 'send' }, originator)];
    await commit(backend(), (work) => keep(work, ...list));
    await commit(backend(), (work) => {
      for (const entity of [originator, { entityType: 'RULE_NODE', id: nodeId } as const]) work.purges.push({ tenantId, entity });
    });
    assert.deepEqual(await store().kept(tenantId, nodeId, { max: 10 }), list);
  });
}

function states(running: () => Running): void {
  const backend = (): Backend => running().backend;
  const state = (tenantId: string, nodeId: string, key: string) => backend().store.nodeState(tenantId, nodeId, key);
  const set = (...states: Work['nodeStates']) => commit(backend(), (work) => work.nodeStates.push(...states));

  test('what a node remembers: set, overwritten, forgotten, in order', async () => {
    const [tenantId, nodeId] = [newId(), newId()];
    const at = { tenantId, nodeId };
    const values = [0, '', false, 'text', [1, null], { 'a.b': { $c: 'ü' } }];
    assert.equal(await state(tenantId, nodeId, 'k'), null);
    for (const value of values) {
      await set({ ...at, key: 'k', value });
      assert.deepEqual(await state(tenantId, nodeId, 'k'), JSON.parse(JSON.stringify(value)));
    }
    await set({ ...at, key: 'k', value: 1 }, { ...at, key: 'k', value: 2 }, { ...at, key: 'a/b', value: 3 }, { ...at, key: 'gone', value: 4 });
    await set({ ...at, key: 'gone', value: null }, { ...at, key: 'back', value: null }, { ...at, key: 'back', value: 5 });
    await set({ ...at, key: 'never', value: 6 }, { ...at, key: 'never', value: null }, { ...at, key: 'nor', value: undefined });
    for (const _ of ['before', 'after the restart']) {
      const found = await Promise.all(['k', 'a/b', 'gone', 'back', 'never', 'nor'].map((key) => state(tenantId, nodeId, key)));
      assert.deepEqual(found, [2, 3, null, 5, null, null]);
      await running().restart();
    }
    assert.equal(await state(newId(), nodeId, 'k'), null);
    assert.equal(await state(tenantId, newId(), 'k'), null);
  });

  test('works of one turn overwrite each other in their order', async () => {
    const at = { tenantId: newId(), nodeId: newId(), key: 'k' };
    await Promise.all([1, 2, null, 3, 4].map((value) => set({ ...at, value })));
    assert.equal(await state(at.tenantId, at.nodeId, 'k'), 4);
  });

  test('a refused work leaves what was remembered before', async () => {
    const at = { tenantId: newId(), nodeId: newId(), key: 'k' };
    await set({ ...at, value: 'before' });
    await assert.rejects(
      commit(backend(), (work) => {
        work.nodeStates.push({ ...at, value: 'refused' });
        work.keptRemovals.push({ tenantId: at.tenantId, nodeId: at.nodeId, key: 'k', messageId: newId() });
      }),
      Fenced,
    );
    assert.equal(await state(at.tenantId, at.nodeId, 'k'), 'before');
  });

  test('a deleted node remembers nothing', async () => {
    const at = { tenantId: newId(), nodeId: newId(), key: 'k' };
    const other = { ...at, nodeId: newId() };
    await set({ ...at, value: 1 }, { ...other, value: 2 });
    await commit(backend(), (work) => work.purges.push({ tenantId: at.tenantId, entity: { entityType: 'RULE_NODE', id: at.nodeId } }));
    assert.deepEqual([await state(at.tenantId, at.nodeId, 'k'), await state(at.tenantId, other.nodeId, 'k')], [null, 2]);
    await set({ ...at, value: 'again' });
    assert.equal(await state(at.tenantId, at.nodeId, 'k'), 'again');
  });
}

function tenants(running: () => Running): void {
  test('nothing is given out any more of a deleted tenant, and all is of the others', async () => {
    const [gone, stays] = [newNode(), newNode()];
    const { store, queue } = running().backend;
    const a = device();
    const send = { kind: 'send' } as const;
    await commit(running().backend, (work) => {
      for (const { tenantId, nodeId, keep, kept } of [gone, stays]) {
        keep(work, kept('own'), kept('send', send, a));
        work.nodeStates.push({ tenantId, nodeId, key: 'k', value: 1 });
      }
      work.purges.push({ tenantId: gone.tenantId, entity: { entityType: 'TENANT', id: gone.tenantId } });
    });
    const lane = laneOf(a.id, LANES);
    for (const [{ tenantId, nodeId }, expected] of [
      [gone, [[], NONE, 0, null]],
      [stays, [['own', 'send'], { count: 2, oldestAt: 1000, lastReason: null }, 1, 1]],
    ] as const) {
      const sends = await queue.sends(lane, { max: 10_000 });
      assert.deepEqual(
        [
          datas(await store.kept(tenantId, nodeId, { max: 10 })),
          await store.keptSummary(tenantId, nodeId),
          sends.filter((kept) => kept.message.tenantId === tenantId).length,
          await store.nodeState(tenantId, nodeId, 'k'),
        ],
        expected,
      );
    }
  });
}
