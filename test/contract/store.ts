import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AppError, Duplicate, VersionConflict } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Sample, Value } from '#engine/json.ts';
import { type EntityRef, NULL_ID } from '#engine/message.ts';
import type { Backend, Change } from '#engine/queue.ts';
import type { DeadLetter, DocQuery, EventQuery, EventRow, HistoryQuery } from '#engine/store.ts';
import { type BackendUnderTest, commit, device, doc, downlink, message, type Running } from '#test/support/backend.ts';

const long = (value: number | bigint): Value => ({ type: 'LONG', value });
const double = (value: number): Value => ({ type: 'DOUBLE', value });
const text = (value: string): Value => ({ type: 'STRING', value });
const yes: Value = { type: 'BOOLEAN', value: true };

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

function documents(backend: () => Backend): void {
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

function telemetry(backend: () => Backend, setNow: (at: number) => void): void {
  const tenantId = newId();
  const write = (entity: EntityRef, samples: (Sample & { expiresAt?: number; history?: boolean; latest?: boolean })[]) =>
    commit(backend(), (work) => {
      for (const { ts, values, expiresAt = null, history = true, latest = true } of samples)
        work.telemetry.push({ tenantId, entity, ts, values, expiresAt, history, latest });
    });
  const range = (entity: EntityRef, query: Partial<HistoryQuery>) =>
    backend().store.history(tenantId, entity, { keys: ['a'], startTs: 0, endTs: 1_000_000, aggregation: 'NONE', limit: 100, order: 'ASC', ...query });

  test('every type comes back exactly', async () => {
    const entity = device();
    const values = [
      ['boolean', yes],
      ['false', { type: 'BOOLEAN', value: false }],
      ['long', long(-7)],
      ['large', long(9_223_372_036_854_775_807n)],
      ['safe', long(2 ** 53 - 1)],
      ['whole', double(42)],
      ['tiny', double(5e-324)],
      ['text', text('"\u0000é')],
      ['numeral', text('5')],
      ['json', { type: 'JSON', value: '{"a": 1}' }],
    ] as const;
    await write(entity, [{ ts: 5, values }]);
    const expected = new Map(values.map(([key, value]) => [key, { ts: 5, value }]));
    assert.deepEqual(await backend().store.latest(tenantId, entity), expected);
    const history = await range(entity, { keys: values.map(([key]) => key) });
    assert.deepEqual(history, new Map([...expected].map(([key, point]) => [key, [point]])));
    assert.deepEqual(await backend().store.latest(tenantId, entity, ['long', 'none']), new Map([['long', expected.get('long')!]]));
  });

  test('latest is the newest ts, and of equal ones the last written', async () => {
    const entity = device();
    await write(entity, [
      { ts: 20, values: [['a', long(1)]] },
      {
        ts: 10,
        values: [
          ['a', long(2)],
          ['b', long(3)],
        ],
      },
    ]);
    await write(entity, [
      { ts: 20, values: [['a', long(4)]] },
      { ts: 15, values: [['a', long(5)]] },
    ]);
    assert.deepEqual(
      await backend().store.latest(tenantId, entity),
      new Map([
        ['a', { ts: 20, value: long(4) }],
        ['b', { ts: 10, value: long(3) }],
      ]),
    );
    assert.deepEqual((await range(entity, {})).get('a'), [
      { ts: 10, value: long(2) },
      { ts: 15, value: long(5) },
      { ts: 20, value: long(4) },
    ]);
  });

  test('values of one moment join, the later write of a key wins', async () => {
    const entity = device();
    await write(entity, [
      {
        ts: 1,
        values: [
          ['a', long(1)],
          ['b', long(1)],
        ],
      },
    ]);
    await write(entity, [
      {
        ts: 1,
        values: [
          ['b', double(2)],
          ['c', long(3)],
        ],
      },
    ]);
    assert.deepEqual(
      await range(entity, { keys: ['a', 'b', 'c', 'd'] }),
      new Map([
        ['a', [{ ts: 1, value: long(1) }]],
        ['b', [{ ts: 1, value: double(2) }]],
        ['c', [{ ts: 1, value: long(3) }]],
      ]),
    );
  });

  test('only history, or only latest', async () => {
    const entity = device();
    await write(entity, [
      { ts: 1, values: [['a', long(1)]], latest: false },
      { ts: 2, values: [['b', long(2)]], history: false },
    ]);
    assert.deepEqual(await backend().store.latest(tenantId, entity), new Map([['b', { ts: 2, value: long(2) }]]));
    assert.deepEqual([...(await range(entity, { keys: ['a', 'b'] })).keys()], ['a']);
  });

  test('ranges: start inclusive, end exclusive, limit a key, both orders', async () => {
    const entity = device();
    await write(
      entity,
      Array.from({ length: 2500 }, (_, ts) => ({
        ts,
        values: [['a', long(ts)], ...(ts % 1000 === 0 ? [['rare', long(ts)] as const] : [])] as const,
      })),
    );
    const ts = async (query: Partial<HistoryQuery>, key = 'a') => (await range(entity, query)).get(key)?.map((point) => point.ts);
    assert.deepEqual(await ts({ startTs: 10, endTs: 13 }), [10, 11, 12]);
    assert.deepEqual(await ts({ order: 'DESC', limit: 3 }), [2499, 2498, 2497]);
    assert.deepEqual(await ts({ keys: ['a', 'rare'], order: 'DESC', limit: 2 }, 'rare'), [2000, 1000]);
    assert.equal((await ts({ limit: 5000 }))?.length, 2500);
    assert.equal(await ts({ startTs: 2500 }), undefined);
  });

  const samples: [number, Value][] = [
    [0, long(1)],
    [5, double(2.5)],
    [9, long(4)],
    [10, text('x')],
    [15, yes],
    [25, long(7)],
  ];
  const counted = (aggregation: HistoryQuery['aggregation'], expected: [number, Value][], rows = samples, extra: Partial<HistoryQuery> = {}) => ({
    aggregation,
    expected,
    rows,
    extra,
  });
  for (const [name, { aggregation, expected, rows, extra }] of Object.entries({
    'COUNT counts one type of a bucket': counted('COUNT', [
      [5, long(3)],
      [15, long(1)],
      [25, long(1)],
    ]),
    'SUM is a double when any value is one, and 0 over texts and booleans': counted('SUM', [
      [5, double(7.5)],
      [15, long(0)],
      [25, long(7)],
    ]),
    'AVG is always a double': counted('AVG', [
      [5, double(2.5)],
      [15, double(0)],
      [25, double(7)],
    ]),
    'MIN of mixed numbers is a double, of texts a text': counted('MIN', [
      [5, double(1)],
      [15, text('x')],
      [25, long(7)],
    ]),
    MAX: counted('MAX', [
      [5, double(4)],
      [15, text('x')],
      [25, long(7)],
    ]),
    'MIN of whole numbers stays whole, 64 bits exact': counted(
      'MIN',
      [[5, long(2n ** 62n)]],
      [
        [1, long(2n ** 62n + 1n)],
        [2, long(2n ** 62n)],
      ],
    ),
    'SUM of 64-bit numbers is exact': counted(
      'SUM',
      [[5, long(2n ** 62n + 1n)]],
      [
        [1, long(2n ** 62n)],
        [2, long(1)],
      ],
    ),
    'the last bucket is cut at the end': counted(
      'COUNT',
      [
        [5, long(3)],
        [13, long(1)],
      ],
      samples,
      { endTs: 16, buckets: [0, 10] },
    ),
    'rows before the first bucket do not count': counted('COUNT', [[7, long(2)]], samples, { startTs: 5, endTs: 10, buckets: [5] }),
  })) {
    test(`aggregation: ${name}`, async () => {
      const entity = device();
      await write(
        entity,
        rows.map(([ts, value]) => ({ ts, values: [['a', value]] })),
      );
      const found = await range(entity, { endTs: 30, buckets: [0, 10, 20], aggregation, ...extra });
      assert.deepEqual(
        found.get('a'),
        expected.map(([ts, value]) => ({ ts, value })),
      );
    });
  }

  test('aggregation: a sum beyond 64 bits is refused', async () => {
    const entity = device();
    await write(
      entity,
      [1, 2].map((ts) => ({ ts, values: [['a', long(2n ** 63n - 1n)]] })),
    );
    for (const aggregation of ['SUM', 'AVG'] as const)
      await assert.rejects(range(entity, { aggregation, buckets: [0] }), (cause: AppError) => cause.code === 'overflow');
  });

  test('what is expired is not read, and the latest value stays', async () => {
    const entity = device();
    await write(entity, [
      { ts: 1, values: [['a', long(1)]], expiresAt: 20_000 },
      { ts: 2, values: [['a', long(2)]] },
    ]);
    assert.equal((await range(entity, {})).get('a')?.length, 2);
    setNow(20_000);
    assert.deepEqual((await range(entity, {})).get('a'), [{ ts: 2, value: long(2) }]);
    assert.equal((await range(entity, { aggregation: 'COUNT', buckets: [0] })).get('a')?.[0]?.value.value, 1);
    setNow(10_000);
  });

  for (const { name, removal, history, latest } of [
    { name: 'all data of a key', removal: { range: null, removeLatest: true, rewriteLatest: false }, history: [], latest: [] },
    {
      name: 'a range, latest outside it stays',
      removal: { range: { startTs: 1, endTs: 3 }, removeLatest: true, rewriteLatest: false },
      history: [3],
      latest: [3],
    },
    {
      name: 'a range with the latest in it',
      removal: { range: { startTs: 2, endTs: 9 }, removeLatest: true, rewriteLatest: false },
      history: [1],
      latest: [],
    },
    {
      name: 'latest is rewritten from what is left',
      removal: { range: { startTs: 2, endTs: 9 }, removeLatest: true, rewriteLatest: true },
      history: [1],
      latest: [1],
    },
    { name: 'history only', removal: { range: null, removeLatest: false, rewriteLatest: false }, history: [], latest: [3] },
  ]) {
    test(`removal: ${name}`, async () => {
      const entity = device();
      await write(
        entity,
        [1, 2, 3].map((ts) => ({
          ts,
          values: [
            ['a', long(ts)],
            ['other', long(ts)],
          ],
        })),
      );
      await commit(backend(), (work) => work.telemetryRemovals.push({ tenantId, entity, keys: ['a', 'never-seen'], ...removal }));
      const found = await range(entity, { keys: ['a', 'other'] });
      assert.deepEqual(
        (found.get('a') ?? []).map((point) => point.ts),
        history,
      );
      assert.equal(found.get('other')?.length, 3);
      const values = await backend().store.latest(tenantId, entity);
      assert.deepEqual(
        [values.get('a')?.ts].filter((ts) => ts !== undefined),
        latest,
      );
      assert.equal(values.get('other')?.ts, 3);
    });
  }
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
