import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AppError, Duplicate, VersionConflict } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { type EntityRef, NULL_ID } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { DeadLetter, EventQuery, EventRow } from '#engine/store.ts';
import { type BackendUnderTest, commit, device, doc, downlink, message, type Running } from '#test/support/backend.ts';
import { documents } from './documents.ts';
import { telemetry } from './telemetry.ts';
import { double, long, text } from './values.ts';

/** What every store must do, whatever it is built on. */
export function storeContract(under: BackendUnderTest): void {
  describe(`store: ${under.name}`, () => {
    let running: Running;
    let backend: Backend;
    let now = 10_000;
    before(async () => {
      running = await under.start({ now: () => now });
      backend = running.backend;
    });
    after(() => running.stop());

    documents(() => backend);
    telemetry(
      () => backend,
      (at) => {
        now = at;
      },
    );
    theRest(() => backend);
    tenants(() => backend);
  });
}

function theRest(backend: () => Backend): void {
  const tenantId = newId();

  test('attributes: written, replaced and removed in order, by scope', async () => {
    const entity = device();
    const at = { tenantId, entity };
    await commit(backend(), (work) => {
      work.attributes.push({ ...at, scope: 'SERVER_SCOPE', key: 'a', value: long(1), lastUpdateTs: 9 });
      work.attributes.push({ ...at, scope: 'SERVER_SCOPE', keys: ['a', 'none'] });
      work.attributes.push({ ...at, scope: 'SERVER_SCOPE', key: 'a', value: double(2), lastUpdateTs: 5 });
      work.attributes.push({ ...at, scope: 'SHARED_SCOPE', key: 'a', value: text('s'), lastUpdateTs: 6 });
      work.attributes.push({ ...at, scope: 'SERVER_SCOPE', key: 'b', value: long(2n ** 60n), lastUpdateTs: 7 });
    });
    const b = { key: 'b', value: long(2n ** 60n), lastUpdateTs: 7 };
    assert.deepEqual(await backend().store.attributes(tenantId, entity, 'SERVER_SCOPE'), [{ key: 'a', value: double(2), lastUpdateTs: 5 }, b]);
    assert.deepEqual(await backend().store.attributes(tenantId, entity, 'SERVER_SCOPE', ['b', 'none']), [b]);
    assert.deepEqual(await backend().store.attributes(tenantId, entity, 'SHARED_SCOPE'), [{ key: 'a', value: text('s'), lastUpdateTs: 6 }]);
    assert.deepEqual(await backend().store.attributes(tenantId, entity, 'CLIENT_SCOPE'), []);
  });

  test('relations: upsert raises the version, found from both ends', async () => {
    const [a, b] = [device(), device()];
    const relation = { from: a, to: b, type: 'Contains', typeGroup: 'COMMON', additionalInfo: { x: 1 } };
    await commit(backend(), (work) => work.relations.push({ tenantId, save: relation }));
    const [first] = await backend().store.relations(tenantId, { from: a });
    await commit(backend(), (work) =>
      work.relations.push({ tenantId, save: relation }, { tenantId, save: { ...relation, typeGroup: 'FROM_ENTITY_GROUP' } }),
    );
    const [second] = await backend().store.relations(tenantId, { to: b, typeGroup: 'COMMON', type: 'Contains' });
    assert.deepEqual({ ...second, version: 0 }, { ...relation, version: 0 });
    assert.ok(second!.version! > first!.version!);
    assert.equal((await backend().store.relations(tenantId, { from: a, to: b })).length, 2);
    assert.deepEqual(await backend().store.relations(tenantId, { from: b }), []);
    await commit(backend(), (work) => work.relations.push({ tenantId, remove: relation }));
    assert.deepEqual(
      (await backend().store.relations(tenantId, { from: a })).map((found) => found.typeGroup),
      ['FROM_ENTITY_GROUP'],
    );
  });

  describe('events', () => {
    const entity: EntityRef = { entityType: 'RULE_NODE', id: newId() };
    const bodies = [
      { type: 'IN', data: 'Hot Water', n: 1 },
      { type: 'OUT', data: '', n: 5, error: 'boom' },
      { type: 'OUT', data: 'cold', n: 9, ok: true },
    ];
    const events: EventRow[] = bodies.map((body, index) => ({
      id: newId(),
      tenantId,
      entity,
      type: 'DEBUG_RULE_NODE',
      createdTime: 5000 + index,
      body,
    }));
    before(() =>
      commit(backend(), (work) => {
        work.events.push(...events, { ...events[0]!, id: newId(), type: 'ERROR' });
      }),
    );
    const queries: { name: string; query: Partial<EventQuery>; finds: number[] }[] = [
      { name: 'newest first', query: {}, finds: [2, 1, 0] },
      { name: 'oldest first', query: { order: 'ASC' }, finds: [0, 1, 2] },
      { name: 'time range', query: { startTime: 5001, endTime: 5001 }, finds: [1] },
      { name: 'text contained, whatever its case', query: { contains: { data: 'hot w' } }, finds: [0] },
      { name: 'two conditions', query: { contains: { type: 'out', data: 'COLD' } }, finds: [2] },
      { name: 'a boolean equals', query: { contains: { ok: 'true' } }, finds: [2] },
      { name: 'numbers in a range', query: { ranges: { n: [2, null] } }, finds: [2, 1] },
      { name: 'with an error', query: { isError: true }, finds: [1] },
      { name: 'without an error', query: { isError: false }, finds: [2, 0] },
      { name: 'of a type that has none', query: { type: 'STATS' }, finds: [] },
    ];
    for (const { name, query, finds } of queries) {
      test(name, async () => {
        const page = await backend().store.events(tenantId, entity, { type: 'DEBUG_RULE_NODE', pageSize: 10, ...query });
        assert.deepEqual(page, {
          data: finds.map((index) => events[index]),
          totalElements: finds.length,
          totalPages: finds.length ? 1 : 0,
          hasNext: false,
        });
      });
    }
    test('pages, filtered and not', async () => {
      for (const contains of [undefined, { data: '' }, { type: 't' }] as (Record<string, string> | undefined)[]) {
        const page = await backend().store.events(tenantId, entity, { type: 'DEBUG_RULE_NODE', contains, page: 1, pageSize: 1 });
        const total = contains ? 2 : 3;
        assert.deepEqual({ n: page.data.length, total: page.totalElements, hasNext: page.hasNext }, { n: 1, total, hasNext: total > 2 });
      }
    });
    test('cleared by ids, then by time', async () => {
      await commit(backend(), (work) => work.eventRemovals.push({ tenantId, entity, type: 'DEBUG_RULE_NODE', ids: [events[1]!.id] }));
      const left = async () => (await backend().store.events(tenantId, entity, { type: 'DEBUG_RULE_NODE' })).data.map((event) => event.id);
      assert.deepEqual(await left(), [events[2]!.id, events[0]!.id]);
      await commit(backend(), (work) => work.eventRemovals.push({ tenantId, entity, type: 'DEBUG_RULE_NODE', startTime: 5002 }));
      assert.deepEqual(await left(), [events[0]!.id]);
    });
  });

  test('dead letters: kept whole, listed newest first, removed once', async () => {
    const owner = newId();
    const letters = [1, 2, 3].map(
      (createdTime): DeadLetter => ({
        id: newId(),
        createdTime,
        tenantId,
        owner: createdTime === 3 ? tenantId : owner,
        integrationId: createdTime === 3 ? null : owner,
        stage: 'chain',
        reason: 'because',
        payload: new Uint8Array([0, 255, 1]),
        metadata: { a: 'b' },
        entity: device(),
        node: { chainId: 'c', chainName: 'C', nodeId: 'n', nodeName: 'N' },
        message: message(tenantId, device(), '{"a":1}'),
      }),
    );
    await commit(backend(), (work) => work.deadLetters.push(...letters));
    assert.deepEqual(await backend().store.deadLetter(tenantId, letters[0]!.id), letters[0]);
    const list = async (of?: string) => (await backend().store.deadLetters(tenantId, of, 0, 10)).data.map((letter) => letter.createdTime);
    assert.deepEqual(await list(), [3, 2, 1]);
    assert.deepEqual(await list(owner), [2, 1]);
    const remove = () => commit(backend(), (work) => work.deadLetterRemovals.push({ tenantId, id: letters[0]!.id }));
    await remove();
    await assert.rejects(remove(), VersionConflict);
    assert.deepEqual(await list(owner), [2]);
  });

  test('a purge takes everything that hangs on an entity, and a new one starts empty', async () => {
    const [gone, other] = [device(), device()];
    const fill = (entity: EntityRef) =>
      commit(backend(), (work) => {
        work.attributes.push({ tenantId, entity, scope: 'SERVER_SCOPE', key: 'a', value: long(1), lastUpdateTs: 1 });
        work.telemetry.push({ tenantId, entity, ts: 1, values: [['a', long(1)]], expiresAt: null, history: true, latest: true });
        work.events.push({ id: newId(), tenantId, entity, type: 'ERROR', createdTime: 1, body: {} });
        work.relations.push({ tenantId, save: { from: entity, to: { entityType: 'ASSET', id: newId() }, type: 'Contains', typeGroup: 'COMMON' } });
        work.docs.push({ doc: doc({ collection: 'ALARM', tenantId, ref: entity.id }) });
      });
    const count = async (entity: EntityRef) => [
      (await backend().store.attributes(tenantId, entity, 'SERVER_SCOPE')).length,
      (await backend().store.latest(tenantId, entity)).size,
      (await backend().store.history(tenantId, entity, { keys: ['a'], startTs: 0, endTs: 9, aggregation: 'NONE', limit: 9, order: 'ASC' })).size,
      (await backend().store.events(tenantId, entity, { type: 'ERROR' })).totalElements,
      (await backend().store.relations(tenantId, { from: entity })).length,
      (await backend().store.docs('ALARM', tenantId, { ref: entity.id })).totalElements,
    ];
    await fill(gone);
    await fill(other);
    await commit(backend(), (work) => work.purges.push({ tenantId, entity: gone }));
    assert.deepEqual(await count(gone), [0, 0, 0, 0, 0, 0]);
    assert.deepEqual(await count(other), [1, 1, 1, 1, 1, 1]);
    await fill(gone);
    assert.deepEqual(await count(gone), [1, 1, 1, 1, 1, 1]);
  });
}

/** Everything is written for one tenant; with another tenant's id nothing of it comes back and nothing of it can be changed. */
function tenants(backend: () => Backend): void {
  test('another tenant sees and changes nothing', async () => {
    const [mine, theirs] = [newId(), newId()];
    const entity = device();
    const document = doc({ tenantId: mine, id: entity.id, name: 'secret', ref: 'r' });
    const relation = { from: entity, to: device(), type: 'Contains', typeGroup: 'COMMON' };
    const down = downlink({ tenantId: mine, integrationId: newId(), entity });
    const letter: DeadLetter = {
      id: newId(),
      createdTime: 1,
      tenantId: mine,
      owner: mine,
      integrationId: null,
      stage: 'uplink',
      reason: 'r',
      payload: new Uint8Array(),
      metadata: {},
      entity: null,
      node: null,
      message: null,
    };
    const event: EventRow = { id: newId(), tenantId: mine, entity, type: 'ERROR', createdTime: 1, body: {} };
    await commit(backend(), (work) => {
      work.docs.push({ doc: document });
      work.attributes.push({ tenantId: mine, entity, scope: 'SERVER_SCOPE', key: 'a', value: long(1), lastUpdateTs: 1 });
      work.telemetry.push({ tenantId: mine, entity, ts: 1, values: [['a', long(1)]], expiresAt: null, history: true, latest: true });
      work.relations.push({ tenantId: mine, save: relation });
      work.events.push(event);
      work.downlinks.push(down);
      work.count(mine, down.integrationId, 'downlinks.created');
      work.deadLetters.push(letter);
    });
    const see = async (tenantId: string) => {
      const { store } = backend();
      const query = { keys: ['a'], startTs: 0, endTs: 9, aggregation: 'NONE', limit: 9, order: 'ASC' } as const;
      return [
        await store.doc('DEVICE', tenantId, entity.id),
        await store.docByName('DEVICE', tenantId, 'secret'),
        (await store.docs('DEVICE', tenantId, { ids: [entity.id] })).data[0] ?? null,
        (await store.docs('DEVICE', tenantId, { ref: 'r' })).data[0] ?? null,
        (await store.attributes(tenantId, entity, 'SERVER_SCOPE'))[0] ?? null,
        (await store.latest(tenantId, entity)).get('a') ?? null,
        (await store.history(tenantId, entity, query)).get('a') ?? null,
        (await store.history(tenantId, entity, { ...query, aggregation: 'COUNT', buckets: [0] })).get('a') ?? null,
        (await store.relations(tenantId, { from: entity }))[0] ?? null,
        (await store.relations(tenantId, { to: relation.to }))[0] ?? null,
        (await store.events(tenantId, entity, { type: 'ERROR' })).data[0] ?? null,
        (await store.events(tenantId, entity, { type: 'ERROR', isError: false })).data[0] ?? null,
        await store.downlink(tenantId, down.id),
        (await store.downlinks(tenantId, entity.id, 0, 9)).data[0] ?? null,
        await store.deadLetter(tenantId, letter.id),
        (await store.deadLetters(tenantId, undefined, 0, 9)).data[0] ?? null,
        (await store.deadLetters(tenantId, mine, 0, 9)).data[0] ?? null,
        (await store.ledger(tenantId, down.integrationId)).downlinks.created || null,
      ];
    };
    const whole = await see(mine);
    assert.equal(whole.includes(null), false);
    for (const tenantId of [theirs, NULL_ID, ''])
      assert.deepEqual(
        await see(tenantId),
        whole.map(() => null),
      );

    await commit(backend(), (work) => {
      work.docs.push({ remove: { collection: 'DEVICE', tenantId: theirs, id: entity.id } });
      work.attributes.push({ tenantId: theirs, entity, scope: 'SERVER_SCOPE', keys: ['a'] });
      work.telemetryRemovals.push({ tenantId: theirs, entity, keys: ['a'], range: null, removeLatest: true, rewriteLatest: false });
      work.relations.push({ tenantId: theirs, remove: relation });
      work.eventRemovals.push({ tenantId: theirs, entity, type: 'ERROR' });
      work.purges.push({ tenantId: theirs, entity });
    });
    await assert.rejects(
      commit(backend(), (work) => work.docs.push({ doc: { ...document, tenantId: theirs } })),
      Duplicate,
    );
    await assert.rejects(
      commit(backend(), (work) => work.deadLetterRemovals.push({ tenantId: theirs, id: letter.id })),
      AppError,
    );
    const move = { tenantId: theirs, integrationId: down.integrationId, id: down.id, state: 'SENT', reason: null, ts: 1 } as const;
    await assert.rejects(
      commit(backend(), (work) => work.downlinkMoves.push(move)),
      AppError,
    );
    assert.deepEqual(await see(mine), whole);
  });
}
