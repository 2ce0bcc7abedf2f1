import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Database } from '#engine/store/mongo/database.ts';
import { Events } from '#engine/store/mongo/events.ts';
import type { EventRow } from '#engine/store.ts';
import { device } from '#test/support/backend.ts';
import { type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';
import { open, transact, work } from './running.ts';

const DAY_MS = 86_400_000;

describe('events in MongoDB', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  let database: Database;
  let events: Events;
  before(async () => {
    mongo = await startMongo();
    database = await open(mongo);
    events = new Events(database.collections);
  });
  after(async () => {
    await database.close();
    await mongo.close();
  });

  const tenantId = newId();
  const event = (entity: EntityRef, n: number, fields: Partial<EventRow> = {}): EventRow => ({
    id: newId(),
    tenantId,
    entity,
    type: 'DEBUG_RULE_NODE',
    createdTime: 1_700_000_000_000,
    body: { n },
    ...fields,
  });
  const add = (...added: EventRow[]) => work(({ events }) => events.push(...added));
  const write = (...works: ReturnType<typeof work>[]) => transact(database, events, works);
  const read = async (entity: EntityRef, query: object = {}, part = events) =>
    (await part.read(tenantId, entity, { type: 'DEBUG_RULE_NODE', pageSize: 1000, order: 'ASC', ...query })).data.map(({ body }) => body['n']);

  test('events of one millisecond keep the order in which they were written', async () => {
    const entity = device();
    await write(add(event(entity, 1), event(entity, 2)), add(event(entity, 3)));
    await write(add(event(entity, 4), event(entity, 0, { createdTime: 1_699_999_999_999 })));
    assert.deepEqual(await read(entity), [0, 1, 2, 3, 4]);
    assert.deepEqual(await read(entity, { order: 'DESC', pageSize: 2, page: 1 }), [2, 1]);
    // Also when the transaction of the group before them ends later.
    const order = Date.now() + 60_000;
    const writeAs = (n: number, at: number) => transact(database, events, [add(event(entity, n))], { order: at, slot: at - order });
    await writeAs(6, order + 1);
    await writeAs(5, order);
    assert.deepEqual(await read(entity), [0, 1, 2, 3, 4, 5, 6]);
  });

  test('the order of the works of a group is that of their effects', async () => {
    const [entity, purged] = [device(), device()];
    const [stored, fresh, later] = [event(entity, 1), event(entity, 2), event(entity, 3)];
    const clear = (fields: object) => work(({ eventRemovals }) => eventRemovals.push({ tenantId, entity, type: 'DEBUG_RULE_NODE', ...fields }));
    await write(add(stored, event(entity, 9), event(purged, 1)));
    await write(
      add(fresh, event(entity, 8), event(purged, 2)),
      clear({ ids: [stored.id, fresh.id, newId()] }),
      work(({ purges }) => purges.push({ tenantId, entity: purged })),
      add(later),
    );
    assert.deepEqual([await read(entity), await read(purged)], [[9, 8, 3], []]);
    await write(
      add(event(entity, 4)),
      clear({ endTime: stored.createdTime - 1 }),
      clear({ startTime: stored.createdTime, endTime: stored.createdTime }),
    );
    assert.deepEqual(await read(entity), []);
  });

  test('a long search finds all pages', async () => {
    const entity = device();
    await write(add(...Array.from({ length: 1200 }, (_, n) => event(entity, n, { createdTime: 1_700_000_000_000 + (n >> 2) }))));
    const page = await events.read(tenantId, entity, { type: 'DEBUG_RULE_NODE', ranges: { n: [100, 1099] }, page: 1, pageSize: 400, order: 'ASC' });
    assert.deepEqual(
      { ...page, data: [page.data[0]!.body['n'], page.data.at(-1)!.body['n'], page.data.length] },
      { data: [500, 899, 400], totalElements: 1000, totalPages: 3, hasNext: true },
    );
  });

  test('beyond the cap the oldest go, of that entity and type only', async () => {
    const capped = new Events({ events: database.collections.events, cap: 20 });
    const [busy, quiet] = [device(), device()];
    await transact(database, capped, [
      add(...Array.from({ length: 30 }, (_, n) => event(busy, n)), event(busy, 77, { type: 'ERROR' }), event(quiet, 1)),
    ]);
    await capped.sweep();
    assert.deepEqual(
      [await read(busy), await read(busy, { type: 'ERROR' }), await read(quiet)],
      [Array.from({ length: 20 }, (_, n) => n + 10), [77], [1]],
    );
    // There is room for a tenth of the cap before the next look.
    await transact(database, capped, [add(event(busy, 30))]);
    await capped.sweep();
    assert.equal((await read(busy)).length, 21);
    await transact(database, capped, [add(event(busy, 31))]);
    await capped.sweep();
    assert.deepEqual((await read(busy)).slice(0, 2), [12, 13]);
  });

  test('what MongoDB removes by its age: events of debugging, after seven days', async () => {
    const entity = device();
    const createdTime = Date.now();
    await write(add(event(entity, 1, { createdTime }), event(entity, 2, { createdTime, type: 'LC_EVENT' })));
    const stored = await database.collections.events.find({ tenantId, _id: new RegExp(entity.id) }).toArray();
    assert.deepEqual(stored.map(({ expiresAt }) => expiresAt?.getTime()).sort(), [createdTime + 7 * DAY_MS, undefined]);
    const indexes = await database.collections.events.indexes();
    assert.deepEqual(
      indexes
        .filter(({ expireAfterSeconds }) => expireAfterSeconds !== undefined)
        .map(({ key, expireAfterSeconds }) => ({ key, expireAfterSeconds })),
      [{ key: { expiresAt: 1 }, expireAfterSeconds: 0 }],
    );
  });
});
