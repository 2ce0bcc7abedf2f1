import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { VersionConflict } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Database } from '#engine/store/mongo/database.ts';
import { DeadLetters } from '#engine/store/mongo/dead-letters.ts';
import type { DeadLetter } from '#engine/store.ts';
import { device, message } from '#test/support/backend.ts';
import { type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';
import { open, transact, work } from './running.ts';

describe('dead letters in MongoDB', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  let database: Database;
  let letters: DeadLetters;
  before(async () => {
    mongo = await startMongo();
    database = await open(mongo);
    letters = new DeadLetters(database.collections);
  });
  after(async () => {
    await database.close();
    await mongo.close();
  });

  const tenantId = newId();
  const letter = (fields: Partial<DeadLetter> = {}): DeadLetter => ({
    id: newId(),
    createdTime: 1,
    tenantId,
    owner: tenantId,
    integrationId: null,
    stage: 'chain',
    reason: 'r',
    payload: new Uint8Array([1]),
    metadata: {},
    entity: null,
    node: null,
    message: null,
    ...fields,
  });
  const add = (...added: DeadLetter[]) => work(({ deadLetters }) => deadLetters.push(...added));
  const remove = ({ id }: DeadLetter, of = tenantId) => work(({ deadLetterRemovals }) => deadLetterRemovals.push({ tenantId: of, id }));
  const write = (...works: ReturnType<typeof work>[]) => transact(database, letters, works);

  test('each is removed once, in one group as in two', async () => {
    const [a, b, c] = [letter(), letter(), letter()];
    await write(add(a, b));
    for (const works of [
      [remove(a), remove(a)],
      [remove(a), remove(letter())],
      [remove(a, newId())],
      [add(c), remove(c, newId())],
      [add(c), remove(c), remove(c)],
    ])
      await assert.rejects(write(...works), VersionConflict);
    await write(remove(a), add(c), remove(b), remove(c));
    assert.deepEqual((await letters.page(tenantId, undefined, 0, 9)).data, []);
  });

  const large = JSON.stringify({ a: '"'.repeat(6_000_000) });
  for (const { name, kept } of [
    {
      name: 'one that repeats the data of its message',
      kept: letter({ payload: new Uint8Array(Buffer.from('{"ä":1}')), message: message(tenantId, device(), '{"ä":1}') }),
    },
    {
      name: 'one whose message can not be written as bytes',
      kept: letter({ payload: new Uint8Array(Buffer.from('\ud800')), message: message(tenantId, device(), '\ud800') }),
    },
    { name: 'one with an empty payload', kept: letter({ payload: new Uint8Array(), message: message(tenantId, device(), '') }) },
    { name: 'one of 10 MB that no text can hold', kept: letter({ stage: 'uplink', payload: new Uint8Array(10_000_000).fill(0xff) }) },
    {
      name: 'one that would be more than a document can be',
      kept: letter({ payload: new Uint8Array(Buffer.from(large)), message: message(tenantId, device(), large) }),
    },
  ]) {
    test(`kept whole: ${name}`, async () => {
      await write(add(kept));
      assert.deepEqual(await letters.one(tenantId, kept.id), kept);
    });
  }
});
