import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import { Attributes } from '#engine/store/mongo/attributes.ts';
import type { Database } from '#engine/store/mongo/database.ts';
import { long, text, yes } from '#test/contract/values.ts';
import { device } from '#test/support/backend.ts';
import { type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';
import { open, transact, work } from './running.ts';

describe('attributes in MongoDB', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  let database: Database;
  let attributes: Attributes;
  before(async () => {
    mongo = await startMongo();
    database = await open(mongo);
    attributes = new Attributes(database.collections);
  });
  after(async () => {
    await database.close();
    await mongo.close();
  });

  const tenantId = newId();
  const scope = 'SERVER_SCOPE' as const;
  const set = (entity: EntityRef, key: string, n: number, of = tenantId) =>
    work(({ attributes }) => attributes.push({ tenantId: of, entity, scope, key, value: long(n), lastUpdateTs: n }));
  const unset = (entity: EntityRef, ...keys: string[]) => work(({ attributes }) => attributes.push({ tenantId, entity, scope, keys }));
  const purge = (entity: EntityRef) => work(({ purges }) => purges.push({ tenantId, entity }));
  const write = (...works: ReturnType<typeof work>[]) => transact(database, attributes, works);
  const read = async (entity: EntityRef, of = tenantId) =>
    Object.fromEntries((await attributes.read(of, entity, scope)).map(({ key, value }) => [key, Number(value.value)]));

  test('the order of the works of a group is that of their effects', async () => {
    const [a, b, gone] = [device(), device(), device()];
    await write(set(a, 'old', 1), set(gone, 'old', 1), set(gone, 'kept', 1));
    await write(
      set(a, 'x', 1),
      unset(a, 'x', 'old'),
      set(b, 'y', 1),
      set(b, 'y', 2),
      set(a, 'x', 3),
      set(gone, 'x', 1),
      purge(gone),
      set(gone, 'kept', 2),
    );
    assert.deepEqual([await read(a), await read(b), await read(gone)], [{ x: 3 }, { y: 2 }, { kept: 2 }]);
  });

  test('a purge takes all scopes of that entity, and of no other', async () => {
    const id = newId();
    const [gone, asset, longer] = [device(id), { entityType: 'ASSET', id } as EntityRef, device(`${id}0`)];
    const other = newId();
    await write(set(gone, 'a', 1), set(asset, 'a', 2), set(longer, 'a', 3), set(gone, 'a', 4, other));
    await write(work(({ attributes }) => attributes.push({ tenantId, entity: gone, scope: 'CLIENT_SCOPE', key: 'c', value: yes, lastUpdateTs: 1 })));
    await write(purge(gone));
    assert.deepEqual([await read(gone), await read(asset), await read(longer), await read(gone, other)], [{}, { a: 2 }, { a: 3 }, { a: 4 }]);
    assert.deepEqual(await attributes.read(tenantId, gone, 'CLIENT_SCOPE'), []);
  });

  test('a key may have any characters', async () => {
    const entity = device();
    const keys = ['', '$set', '.', '/', '0', 'a.b', 'a/b', 'nul\0', 'é', '😀'];
    const value = text('"\u0000é');
    await write(work(({ attributes }) => attributes.push(...keys.map((key) => ({ tenantId, entity, scope, key, value, lastUpdateTs: 1 })))));
    assert.deepEqual(
      await attributes.read(tenantId, entity, scope),
      keys.map((key) => ({ key, value, lastUpdateTs: 1 })),
    );
    assert.deepEqual(
      (await attributes.read(tenantId, entity, scope, ['a/b', 'nul\0', 'a'])).map(({ key }) => key),
      ['a/b', 'nul\0'],
    );
    await write(unset(entity, ...keys));
    assert.deepEqual(await read(entity), {});
  });
});
