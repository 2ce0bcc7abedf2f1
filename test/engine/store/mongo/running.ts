import { type Database, openDatabase } from '#engine/store/mongo/database.ts';
import type { Part, Transaction } from '#engine/store/mongo/transaction.ts';
import { Work } from '#engine/work.ts';
import { freshDatabase, type MongoServer } from '#test/support/mongo.ts';

export const open = (mongo: MongoServer): Promise<Database> => openDatabase({ url: freshDatabase(mongo), lanes: 4, version: '1' });

export function work(fill: (work: Work) => void): Work {
  const filled = new Work();
  fill(filled);
  return filled;
}

let groups = Date.now();

/** One transaction of one part, as the committer makes it; what another does with the database meanwhile is `before` its commit. */
export async function transact(
  { client }: Database,
  part: Part,
  works: readonly Work[],
  {
    member = 'm',
    slot = 0,
    order = ++groups,
    before = async () => {},
  }: { member?: string; slot?: number; order?: number; before?: (transaction: Transaction) => Promise<void> } = {},
): Promise<Transaction['changes']> {
  const effects: (() => void)[] = [];
  const session = client.startSession();
  const transaction: Transaction = {
    session,
    now: 0,
    member,
    slot,
    order,
    changes: [],
    afterCommit: (effect) => void effects.push(effect),
    dispatch() {},
  };
  try {
    session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority', j: true } });
    await part.write(works, transaction);
    await before(transaction);
    await session.commitTransaction();
  } catch (cause) {
    await session.abortTransaction().catch(() => {});
    throw cause;
  } finally {
    await session.endSession();
  }
  for (const effect of effects) effect();
  return transaction.changes;
}
