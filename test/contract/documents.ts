import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { AppError, Duplicate, VersionConflict } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Backend, Change } from '#engine/queue.ts';
import type { DocQuery } from '#engine/store.ts';
import { commit, doc } from '#test/support/backend.ts';

/** Entities and everything else that is kept as a document. */
export function documents(backend: () => Backend): void {
  const save = (document: ReturnType<typeof doc>, expects?: number) => commit(backend(), (work) => work.docs.push({ doc: document, expects }));

  test('a document comes back as it was, with its version', async () => {
    const tenantId = newId();
    const saved = doc({
      tenantId,
      name: 'é\u0000"',
      label: 'L',
      kind: 'k',
      ref: 'r',
      state: 's',
      customerId: newId(),
      uniqueKey: newId(),
      body: { a: [1, null, { b: '\ud800' }] },
      version: 77,
    });
    await save(saved);
    assert.deepEqual({ ...(await backend().store.doc('DEVICE', tenantId, saved.id)) }, { ...saved, version: 1 });
    await save({ ...saved, name: 'B' }, 1);
    assert.deepEqual({ ...(await backend().store.doc('DEVICE', tenantId, saved.id)) }, { ...saved, name: 'B', version: 2 });
    assert.deepEqual({ ...(await backend().store.docByKey('DEVICE', saved.uniqueKey!)) }, { ...saved, name: 'B', version: 2 });
    assert.equal((await backend().store.docByName('DEVICE', tenantId, 'B'))?.id, saved.id);
    assert.equal(await backend().store.ownerOf('DEVICE', saved.id), tenantId);
  });

  test('a save based on another version is refused', async () => {
    const tenantId = newId();
    const saved = doc({ tenantId });
    await save(saved);
    await save(saved);
    await assert.rejects(save({ ...saved, name: 'stale' }, 1), VersionConflict);
    await assert.rejects(save(doc({ tenantId }), 3), VersionConflict);
    assert.equal((await backend().store.doc('DEVICE', tenantId, saved.id))?.name, 'A');
  });

  test('a unique key is taken once, and free again when its holder is gone', async () => {
    const tenantId = newId();
    const uniqueKey = newId();
    const first = doc({ tenantId, uniqueKey });
    const second = doc({ tenantId: newId(), uniqueKey });
    await save(first);
    await assert.rejects(save(second), Duplicate);
    await save(first);
    await save({ ...second, collection: 'ASSET' });
    await commit(backend(), (work) => {
      work.docs.push({ remove: { collection: 'DEVICE', tenantId, id: first.id } }, { doc: second });
    });
    assert.equal((await backend().store.docByKey('DEVICE', uniqueKey))?.id, second.id);
  });

  test('listeners hear of saves and removals, after the commit', async () => {
    const heard: Change[] = [];
    const stop = backend().onChange((changes) => heard.push(...changes));
    const saved = doc({ tenantId: newId() });
    const change = { collection: 'DEVICE', tenantId: saved.tenantId, id: saved.id };
    await save(saved);
    await assert.rejects(save({ ...saved, name: 'B' }, 9));
    await commit(backend(), (work) => {
      work.docs.push({ remove: change as never }, { remove: { ...change, id: newId() } as never });
    });
    stop();
    await save(doc({ tenantId: newId() }));
    assert.deepEqual(heard, [
      { ...change, removed: false },
      { ...change, removed: true },
    ]);
  });

  const customerId = newId();
  const ids = ['alpha', 'Beta', 'gamma_1', 'Δelta'].map(() => newId());
  const rows = [
    { name: 'alpha', label: 'Zoo', kind: 'x', ref: 'one', state: 'ACTIVE_ACK', customerId: null, createdTime: 1000, body: { rank: 3, code: 'c' } },
    { name: 'Beta', label: null, kind: 'x', ref: 'two', state: 'ACTIVE_UNACK', customerId, createdTime: 2000, body: { rank: 1 } },
    { name: 'gamma_1', label: 'alphabet', kind: 'y', ref: 'two', state: null, customerId, createdTime: 3000, body: { rank: 2 } },
    { name: 'Δelta', label: null, kind: null, ref: null, state: null, customerId: null, createdTime: 4000, body: {} },
  ];
  const queries: { name: string; query: DocQuery; finds: string[]; total?: number; pages?: number; hasNext?: boolean }[] = [
    { name: 'everything, by createdTime', query: {}, finds: ['alpha', 'Beta', 'gamma_1', 'Δelta'] },
    { name: 'newest first', query: { order: 'DESC' }, finds: ['Δelta', 'gamma_1', 'Beta', 'alpha'] },
    { name: 'of a kind', query: { kind: 'x' }, finds: ['alpha', 'Beta'] },
    { name: 'of a ref', query: { ref: 'two' }, finds: ['Beta', 'gamma_1'] },
    { name: 'in states', query: { states: ['ACTIVE_ACK', 'CLEARED'] }, finds: ['alpha'] },
    { name: 'of a customer', query: { customerId }, finds: ['Beta', 'gamma_1'] },
    { name: "the tenant's own", query: { customerId: null }, finds: ['alpha', 'Δelta'] },
    { name: 'by ids', query: { ids: [ids[1]!, ids[3]!, newId()] }, finds: ['Beta', 'Δelta'] },
    { name: 'by no ids', query: { ids: [] }, finds: [] },
    { name: 'in a time range, both ends inclusive', query: { startTime: 2000, endTime: 3000 }, finds: ['Beta', 'gamma_1'] },
    { name: 'text in name or label, whatever its case', query: { textSearch: 'ALPHA' }, finds: ['alpha', 'gamma_1'] },
    { name: 'text beyond ASCII', query: { textSearch: 'δE' }, finds: ['Δelta'] },
    { name: '% is a wildcard', query: { textSearch: 'a%a' }, finds: ['alpha', 'gamma_1'] },
    { name: '_ is none', query: { textSearch: 'a_1' }, finds: ['gamma_1'] },
    { name: 'nothing but _', query: { textSearch: 'l_h' }, finds: [] },
    { name: 'sorted by name', query: { sortBy: 'name' }, finds: ['Beta', 'alpha', 'gamma_1', 'Δelta'] },
    { name: 'sorted by a key of the body', query: { sortBy: 'rank', kind: 'x' }, finds: ['Beta', 'alpha'] },
    { name: 'a page', query: { pageSize: 3, page: 0 }, finds: ['alpha', 'Beta', 'gamma_1'], total: 4, pages: 2, hasNext: true },
    { name: 'the last page', query: { pageSize: 3, page: 1 }, finds: ['Δelta'], total: 4, pages: 2 },
    { name: 'a page beyond', query: { pageSize: 3, page: 5 }, finds: [], total: 4, pages: 2 },
  ];
  describe('docs()', () => {
    const tenantId = newId();
    before(() =>
      commit(backend(), (work) => {
        for (const [index, row] of rows.entries()) work.docs.push({ doc: doc({ ...row, tenantId, id: ids[index]! }) });
        work.docs.push({ doc: doc({ tenantId: newId(), name: 'alpha' }) });
      }),
    );
    for (const { name, query, finds, total = finds.length, pages = finds.length ? 1 : 0, hasNext = false } of queries) {
      test(name, async () => {
        const page = await backend().store.docs('DEVICE', tenantId, query);
        assert.deepEqual({ ...page, data: page.data.map((found) => found.name) }, { data: finds, totalElements: total, totalPages: pages, hasNext });
      });
    }
    test('sorting by a key that nothing has is refused', async () => {
      for (const sortBy of ['nothing', "x'; --", 'a.b']) {
        await assert.rejects(
          backend().store.docs('DEVICE', tenantId, { sortBy }),
          (cause: AppError) => cause instanceof AppError && cause.code === 'sort',
          sortBy,
        );
      }
    });
    test('everyDoc goes over all tenants', async () => {
      const found: string[] = [];
      for await (const { id } of backend().store.everyDoc('DEVICE')) found.push(id);
      assert.deepEqual(
        ids.filter((id) => !found.includes(id)),
        [],
      );
      assert.equal(new Set(found).size, found.length);
    });
  });
}
