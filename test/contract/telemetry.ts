import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AppError } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Sample, Value } from '#engine/json.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { HistoryQuery } from '#engine/store.ts';
import { commit, device } from '#test/support/backend.ts';
import { double, long, text, yes } from './values.ts';

/** Latest values and history. `setNow` moves the backend's clock, which starts at 10,000. */
export function telemetry(backend: () => Backend, setNow: (at: number) => void): void {
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
