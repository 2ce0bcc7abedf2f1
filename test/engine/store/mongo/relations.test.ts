import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Database } from '#engine/store/mongo/database.ts';
import { isConflict } from '#engine/store/mongo/errors.ts';
import { Relations } from '#engine/store/mongo/relations.ts';
import type { Relation } from '#engine/store.ts';
import { device } from '#test/support/backend.ts';
import { type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';
import { open, transact, work } from './running.ts';

describe('relations in MongoDB', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  let database: Database;
  let relations: Relations;
  before(async () => {
    mongo = await startMongo();
    database = await open(mongo);
    relations = new Relations(database.collections);
  });
  after(async () => {
    await database.close();
    await mongo.close();
  });

  const tenantId = newId();
  const relation = (from: EntityRef, to: EntityRef, fields: Partial<Relation> = {}): Relation => ({
    from,
    to,
    type: 'Contains',
    typeGroup: 'COMMON',
    ...fields,
  });
  const save = (saved: Relation) => work(({ relations }) => relations.push({ tenantId, save: saved }));
  const remove = (removed: Relation) => work(({ relations }) => relations.push({ tenantId, remove: removed }));
  const purge = (entity: EntityRef) => work(({ purges }) => purges.push({ tenantId, entity }));
  const write = (...works: ReturnType<typeof work>[]) => transact(database, relations, works);
  const types = async (query: Parameters<Relations['read']>[1]) => (await relations.read(tenantId, query)).map(({ type }) => type);

  test('the order of the works of a group is that of their effects', async () => {
    const [a, b, c] = [device(), device(), device()];
    await write(save(relation(a, b, { type: 'old' })), save(relation(c, a, { type: 'in' })), save(relation(b, c, { type: 'other' })));
    await write(
      save(relation(a, b, { type: 'before' })),
      save(relation(c, a, { type: 'before' })),
      purge(a),
      save(relation(a, b, { type: '1' })),
      remove(relation(a, b, { type: '1' })),
      save(relation(a, c, { type: '2' })),
      remove(relation(a, c, { type: '3' })),
      save(relation(a, c, { type: '1', additionalInfo: null })),
    );
    // In the order of their versions.
    assert.deepEqual(
      [await types({ from: a }), await types({ to: a }), await types({ from: b }), await types({ from: c })],
      [['2', '1'], [], ['other'], []],
    );
    assert.equal((await relations.read(tenantId, { from: a, type: '1' }))[0]?.additionalInfo, null);
  });

  test('types and groups that look alike are apart', async () => {
    const [a, b] = [device(), device()];
    const apart = [
      { typeGroup: 'A', type: 'B/C' },
      { typeGroup: 'A/B', type: 'C' },
      { typeGroup: 'A%2FB', type: 'C' },
      { typeGroup: '', type: 'A/B/C' },
      { typeGroup: 'A', type: 'b/c' },
    ];
    await write(...apart.map((fields) => save(relation(a, b, fields))));
    const found = async () => (await relations.read(tenantId, { from: a, to: b })).map(({ typeGroup, type }) => ({ typeGroup, type }));
    assert.deepEqual(await found(), apart);
    await write(remove(relation(a, b, apart[1]!)));
    assert.deepEqual(await found(), apart.toSpliced(1, 1));
    assert.deepEqual(await types({ to: b, typeGroup: 'A' }), ['B/C', 'b/c']);
  });

  test('who saves later has the higher version, of whatever process', async () => {
    const other = new Relations(database.collections);
    const saved = relation(device(), device());
    const versions: number[] = [];
    for (const part of [relations, other, relations]) {
      await transact(database, part, [save(saved), save(relation(device(), device()))]);
      versions.push((await relations.read(tenantId, { from: saved.from }))[0]!.version!);
    }
    assert.deepEqual(
      versions,
      versions.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(versions).size, 3);
    let refused: unknown;
    await transact(database, relations, [save(saved)], {
      before: async () => {
        refused = await transact(database, other, [save(saved)]).catch((cause: unknown) => cause);
        // Others are not waited for.
        await transact(database, other, [save(relation(device(), device()))]);
      },
    });
    assert.ok(isConflict(refused), String(refused));
  });
});
