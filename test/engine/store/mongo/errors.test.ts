import assert from 'node:assert/strict';
import test from 'node:test';
import { MongoClient } from 'mongodb';
import { isConflict, isUnavailable } from '#engine/store/mongo/errors.ts';
import { startMongo } from '#test/support/mongo.ts';
import { freePort, missing } from '#test/support/servers.ts';

const failing = (operation: Promise<unknown>): Promise<unknown> =>
  operation.then(
    () => assert.fail('it did not fail'),
    (cause: unknown) => cause,
  );

test('no server at all: whatever the operation, it is known that nothing can be stored now', async (t) => {
  const client = new MongoClient(`mongodb://127.0.0.1:${await freePort()}`, { serverSelectionTimeoutMS: 100 });
  t.after(() => client.close());
  const things = client.db('t').collection<{ _id: string }>('things');
  for (const operation of [
    () => things.findOne({}),
    () => things.insertMany([{ _id: 'a' }]),
    () => things.bulkWrite([{ insertOne: { document: { _id: 'a' } } }]),
  ]) {
    const cause = await failing(operation());
    assert.deepEqual([isUnavailable(cause), isConflict(cause)], [true, false], String(cause));
  }
});

test('a server that hangs, with every connection taken', { skip: missing('mongo') }, async (t) => {
  const server = await startMongo();
  const client = new MongoClient(server.url, { maxPoolSize: 1, waitQueueTimeoutMS: 100, socketTimeoutMS: 1000 });
  t.after(async () => {
    server.resume();
    await client.close();
    await server.close();
  });
  const things = client.db('t').collection<{ _id: string }>('things');
  await things.insertOne({ _id: 'a' });
  server.pause();
  const causes = await Promise.all([failing(things.findOne({})), failing(things.findOne({})), failing(things.insertMany([{ _id: 'b' }]))]);
  assert.deepEqual(
    causes.map((cause) => isUnavailable(cause)),
    [true, true, true],
    causes.map(String).join('; '),
  );
});
