import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AppError, Duplicate, VersionConflict } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Database } from '#engine/store/mongo/database.ts';
import { Docs } from '#engine/store/mongo/docs.ts';
import { isConflict } from '#engine/store/mongo/errors.ts';
import type { Doc, DocQuery } from '#engine/store.ts';
import { device, doc } from '#test/support/backend.ts';
import { type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';
import { open, transact, work } from './running.ts';

describe('documents in MongoDB', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  let database: Database;
  let docs: Docs;
  before(async () => {
    mongo = await startMongo();
    database = await open(mongo);
    docs = new Docs(database.collections);
  });
  after(async () => {
    await database.close();
    await mongo.close();
  });

  const save = (saved: Doc, expects?: number) => work(({ docs }) => docs.push({ doc: saved, expects }));
  const remove = ({ collection, tenantId, id }: Doc) => work(({ docs }) => docs.push({ remove: { collection, tenantId, id } }));
  const write = (...works: ReturnType<typeof work>[]) => transact(database, docs, works);
  const refusal = (writing: Promise<unknown>) =>
    writing.then(
      () => 'written',
      (cause: AppError) => [cause.constructor, cause.message, cause.details],
    );

  test('works of one group see each other', async () => {
    const tenantId = newId();
    const [key, other] = [newId(), newId()];
    const [a, b] = [doc({ tenantId, uniqueKey: key }), doc({ tenantId })];
    const changes = await write(
      save(a, 0),
      save({ ...a, name: 'B', uniqueKey: other }, 1),
      save({ ...b, uniqueKey: key }),
      remove(b),
      remove(b),
      save(b),
    );
    assert.deepEqual(
      changes.map(({ id, removed }) => [id, removed]),
      [
        [a.id, false],
        [a.id, false],
        [b.id, false],
        [b.id, true],
        [b.id, false],
      ],
    );
    assert.deepEqual(
      (await docs.page('DEVICE', tenantId, { sortBy: 'version', order: 'DESC' })).data.map(({ name, version }) => [name, version]),
      [
        ['B', 2],
        ['A', 1],
      ],
    );
    assert.deepEqual([(await docs.docByKey('DEVICE', key))?.id, (await docs.docByKey('DEVICE', other))?.id], [undefined, a.id]);
  });

  test('two may exchange their keys', async () => {
    const tenantId = newId();
    const [k1, k2] = [newId(), newId()];
    const [a, b] = [doc({ tenantId, uniqueKey: k1 }), doc({ tenantId, uniqueKey: k2 })];
    await write(save(a), save(b));
    await write(save({ ...a, uniqueKey: null }), save({ ...b, uniqueKey: k1 }), save({ ...a, uniqueKey: k2 }));
    assert.deepEqual([(await docs.docByKey('DEVICE', k1))?.id, (await docs.docByKey('DEVICE', k2))?.id], [b.id, a.id]);
  });

  test('what is refused says why, in one group as with what is stored', async () => {
    const tenantId = newId();
    const uniqueKey = newId();
    const stored = doc({ tenantId, uniqueKey });
    const taken = [Duplicate, 'DEVICE with this key already exists', { key: uniqueKey }];
    assert.deepEqual(await refusal(write(save(stored), save(doc({ tenantId, uniqueKey })))), taken);
    await write(save(stored));
    for (const { works, because } of [
      { works: [save(doc({ tenantId, uniqueKey }))], because: taken },
      { works: [save({ ...stored, tenantId: newId() })], because: [Duplicate, 'DEVICE with this id already exists', { key: 'id' }] },
      { works: [save(stored, 1), save(stored, 1)], because: [VersionConflict, 'DEVICE was already changed by someone else', {}] },
      { works: [remove(stored), save(stored, 1)], because: [VersionConflict, 'DEVICE was already changed by someone else', {}] },
      { works: [save({ ...stored, body: { a: 'x'.repeat(15_000_000) } })], because: [AppError, 'DEVICE is too large to be stored', {}] },
    ]) {
      assert.deepEqual(await refusal(write(...works)), because);
    }
    assert.equal((await docs.doc('DEVICE', tenantId, stored.id))?.version, 1);
  });

  test('of two processes that save the same, or take the same key, one has to begin again', async () => {
    const tenantId = newId();
    const stored = doc({ tenantId });
    await write(save(stored));
    const uniqueKey = newId();
    for (const [first, second] of [
      [save({ ...stored, name: 'first' }), save({ ...stored, name: 'second' })],
      [save(doc({ tenantId, uniqueKey })), save(doc({ tenantId, uniqueKey }))],
    ] as const) {
      let refused: unknown;
      await transact(database, docs, [first], {
        before: async () => {
          refused = await transact(database, docs, [second]).catch((cause: unknown) => cause);
        },
      });
      assert.ok(isConflict(refused), String(refused));
    }
    assert.equal((await docs.doc('DEVICE', tenantId, stored.id))?.name, 'first');
    assert.deepEqual((await refusal(write(save(doc({ tenantId, uniqueKey })))))[0], Duplicate);
  });

  test('a purge takes the alarms that there are by then, and tells of them', async () => {
    const tenantId = newId();
    const entity = device();
    const alarm = (fields: Partial<Doc> = {}) => doc({ collection: 'ALARM', tenantId, ref: entity.id, ...fields });
    const [stored, fresh, later, foreign] = [alarm(), alarm(), alarm(), alarm({ tenantId: newId() })];
    await write(save(stored), save(foreign), save(doc({ tenantId, ref: entity.id })));
    const changes = await write(
      save(fresh),
      save({ ...foreign, name: 'B' }),
      work(({ purges }) => purges.push({ tenantId, entity })),
      save(later),
    );
    assert.deepEqual(
      changes.map(({ id, removed }) => [id, removed]),
      [
        [fresh.id, false],
        [foreign.id, false],
        [stored.id, true],
        [fresh.id, true],
        [later.id, false],
      ],
    );
    assert.deepEqual(
      (await docs.page('ALARM', tenantId, {})).data.map(({ id }) => id),
      [later.id],
    );
    assert.deepEqual(
      [(await docs.page('ALARM', foreign.tenantId, {})).totalElements, (await docs.page('DEVICE', tenantId, {})).totalElements],
      [1, 1],
    );
  });

  test('a body has whatever keys and values JSON can have', async () => {
    const tenantId = newId();
    const body = JSON.parse(
      '{"a.b":1,"$c":{"$set":2},"\\u0000":"\\ud800","__proto__":3,"":null,"n":1e300,"i":9007199254740991,"f":1.5,"z":-0.5,"l":[1,[]]}',
    );
    const saved = doc({ tenantId, body });
    await write(save(saved));
    assert.equal(JSON.stringify((await docs.doc('DEVICE', tenantId, saved.id))?.body), JSON.stringify(body));
  });

  describe('docs()', () => {
    const tenantId = newId();
    const rows: { name: string; label?: string; body: Record<string, unknown> }[] = [
      { name: 'a.b', body: { key: 'b', flag: true } },
      { name: 'a(b', label: 'x\\y', body: { key: 'a', flag: false } },
      { name: 'A+[b]', body: { key: 5, flag: 0.5 } },
      { name: 'nul\0nul', label: 'line\nend', body: { key: null } },
      { name: '100%', body: { list: [1] } },
    ];
    before(() => write(...rows.map((row, index) => save(doc({ tenantId, createdTime: index, ...row })))));
    for (const { query, finds } of [
      { query: { textSearch: 'a.b' }, finds: ['a.b'] },
      { query: { textSearch: '(' }, finds: ['a(b'] },
      { query: { textSearch: '+[B]' }, finds: ['A+[b]'] },
      { query: { textSearch: 'X\\Y' }, finds: ['a(b'] },
      { query: { textSearch: '\0' }, finds: ['nul\0nul'] },
      { query: { textSearch: 'e%d' }, finds: ['nul\0nul'] },
      { query: { textSearch: '%%%' }, finds: rows.map(({ name }) => name) },
      { query: { textSearch: '%a%%b' }, finds: ['a.b', 'a(b', 'A+[b]'] },
      // As SQL sorts: nothing, numbers, texts.
      { query: { sortBy: 'key' }, finds: ['nul\0nul', '100%', 'A+[b]', 'a(b', 'a.b'] },
      { query: { sortBy: 'flag', order: 'DESC', pageSize: 3 }, finds: ['a.b', 'A+[b]', 'a(b'] },
      { query: { sortBy: 'list', order: 'DESC', pageSize: 1 }, finds: ['100%'] },
      { query: { sortBy: 'id', pageSize: 1, page: 7 }, finds: [] },
    ] as { query: DocQuery; finds: string[] }[]) {
      test(JSON.stringify(query), async () => {
        const names = (await docs.page('DEVICE', tenantId, query)).data.map(({ name }) => name);
        // Those without the key are in the order of their ids.
        const head = query.sortBy === 'key' ? 2 : 0;
        assert.deepEqual([...names.slice(0, head).sort(), ...names.slice(head)], [...finds.slice(0, head).sort(), ...finds.slice(head)]);
      });
    }
  });
});
