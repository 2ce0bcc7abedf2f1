import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Collection, MongoServerError } from 'mongodb';
import { type StoredDownlink, toStored } from '#engine/queue/bullmq/downlink-docs.ts';
import { Draft } from '#engine/queue/bullmq/downlink-draft.ts';
import { Again, type Dispatch, type Transaction } from '#engine/store/mongo/transaction.ts';
import { device, downlink } from '#test/support/backend.ts';

/** A server that tells of a key that another transaction has written since: others end the transaction as a conflict instead. */
for (const [name, key, again] of [
  ['a slot that another process has filled meanwhile', 'slot', true],
  ['the same downlink twice', '_id', false],
] as const) {
  test(`draft: ${name} ${again ? 'is written anew' : 'is refused'}`, async () => {
    const duplicate = new MongoServerError({ message: `E11000 duplicate key error index: ${key}_1 dup key: { ${key}: "x" }`, code: 11000 });
    const draft = new Draft({
      collection: { insertMany: () => Promise.reject(duplicate) } as unknown as Collection<StoredDownlink>,
      transaction: { now: 1000, member: 'a' } as Transaction,
      count: () => {},
      onEnded: () => {},
    });
    draft.add(downlink({ tenantId: 't', integrationId: 'i', entity: device() }), 1);
    await assert.rejects(draft.write(), (cause) => (again ? cause instanceof Again : cause === duplicate));
  });
}

test('draft: one that is being answered with is left alone by those that come after it', async () => {
  const [claimed, newer, newest] = [1, 2, 3].map(() => downlink({ tenantId: 't', integrationId: 'i', entity: device('d') }));
  const written: unknown[] = [];
  const jobs: Dispatch[] = [];
  const counted: string[] = [];
  const draft = new Draft({
    collection: {
      bulkWrite: async (operations: unknown[]) => void written.push(...operations),
      insertMany: async (documents: unknown[]) => void written.push(...documents),
    } as unknown as Collection<StoredDownlink>,
    transaction: { now: 1000, member: 'a', dispatch: (job: Dispatch) => void jobs.push(job) } as unknown as Transaction,
    count: (_tenantId, integrationId, counter) => void counted.push(`${integrationId} ${counter}`),
    onEnded: () => {},
  });
  draft.know({ ...toStored(claimed!, 1, 'a'), claimedBy: 'b' });
  draft.move([{ tenantId: 't', integrationId: 'i', id: claimed!.id, state: 'CONVERTED', reason: null, ts: 5 }]);
  draft.add(newer!, 2);
  draft.add(newest!, 3);
  await draft.write();
  const converted = { state: 'CONVERTED', ts: 5, reason: null };
  const { waiting, claimedBy, slot, ...over } = toStored(newer!, 2, 'a');
  assert.deepEqual(written, [
    {
      updateMany: {
        filter: { _id: { $in: [claimed!.id] }, tenantId: 't' },
        update: { $set: { state: 'CONVERTED' }, $push: { history: { $each: [converted] } } },
      },
    },
    { ...over, state: 'REPLACED', history: [...over.history, { state: 'REPLACED', ts: 1000, reason: `replaced by ${newest!.id}` }] },
    toStored(newest!, 3, 'a'),
  ]);
  assert.deepEqual(counted, ['i downlinks.replaced']);
  assert.deepEqual(jobs, [{ queue: 'downlinks-i', jobId: newest!.id, data: {}, dueAt: 1000 + 30 * 24 * 3_600_000 }]);
});
