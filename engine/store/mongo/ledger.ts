import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyBulkWriteOperation, ClientSession, Document, MongoClient } from 'mongodb';
import type { Counter, Ledger } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import type { Collections } from './database.ts';
import { isConflict } from './errors.ts';
import type { Part, Transaction } from './transaction.ts';

export interface StoredCounts {
  /** `OWNER/MEMBER/SLOT`: no two transactions that are under way at a time count in the same document. */
  readonly _id: string;
  readonly tenantId: string;
  readonly owner: string;
  /** '': of those that are gone. */
  readonly member: string;
  /** By group and counter: `{uplinks: {received: 1}}`. */
  readonly n: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Counters of an owner that are raised in one transaction. */
interface Sums {
  readonly tenantId: string;
  readonly owner: string;
  readonly by: Map<Counter, number>;
}

const FOLD_STEP = 500;
const GIVE_UP_MS = 5000;

/** The counters, and the ledgers that they and what is waiting come to. The last part to write: the others count by `count()` what they find while writing. */
export class Ledgers implements Part {
  private readonly client: MongoClient;
  private readonly collections: Collections;
  private readonly counted = new WeakMap<Transaction, Map<string, Sums>>();

  constructor({ client, collections }: { client: MongoClient; collections: Collections }) {
    this.client = client;
    this.collections = collections;
  }

  /** In the running transaction, before `write`. */
  count(transaction: Transaction, tenantId: string, owner: string, counter: Counter, by = 1): void {
    let sums = this.counted.get(transaction);
    if (!sums) {
      sums = new Map();
      this.counted.set(transaction, sums);
    }
    const key = `${tenantId}/${owner}`;
    let of = sums.get(key);
    if (!of) {
      of = { tenantId, owner, by: new Map() };
      sums.set(key, of);
    }
    of.by.set(counter, (of.by.get(counter) ?? 0) + by);
  }

  async write(works: readonly Work[], transaction: Transaction): Promise<void> {
    for (const work of works) {
      for (const { tenantId, owner, counter, by } of work.counts.values()) this.count(transaction, tenantId, owner, counter, by);
    }
    const { session, member, slot } = transaction;
    const sums = this.counted.get(transaction);
    if (sums) await this.add([...sums.values()], member, slot, session);
  }

  /** Terms that are kept, and terms that are counted from what is there, all of the same moment: that they add up is a check that can fail. */
  read(tenantId: string, owner: string): Promise<Ledger> {
    return again(() => this.readOnce(tenantId, owner));
  }

  private async readOnce(tenantId: string, owner: string): Promise<Ledger> {
    const session = this.client.startSession();
    try {
      session.startTransaction({ readConcern: { level: 'snapshot' } });
      const kept = await this.collections.counters.find({ tenantId, owner }, { session }).toArray();
      const inFlight = await this.inFlight(tenantId, owner, session);
      const pending = await this.collections.downlinks.countDocuments({ tenantId, integrationId: owner, waiting: true }, { session });
      const of = (counter: Counter): number => {
        const [group = '', name = ''] = counter.split('.');
        return kept.reduce((sum, { n }) => sum + (n[group]?.[name] ?? 0), 0);
      };
      return {
        // An uplink is converted before its commit: nothing ever stands for one that is not.
        uplinks: {
          received: of('uplinks.received'),
          converted: of('uplinks.converted'),
          empty: of('uplinks.empty'),
          dead: of('uplinks.dead'),
          inFlight: 0,
        },
        messages: {
          created: of('messages.created'),
          stored: of('messages.stored'),
          filtered: of('messages.filtered'),
          dead: of('messages.dead'),
          inFlight,
        },
        downlinks: {
          created: of('downlinks.created'),
          sent: of('downlinks.sent'),
          pending,
          replaced: of('downlinks.replaced'),
          expired: of('downlinks.expired'),
          failed: of('downlinks.failed'),
        },
      };
    } finally {
      // Nothing was written: there is nothing to commit.
      await session.abortTransaction().catch(() => {});
      await session.endSession();
    }
  }

  /** What a member that is gone has counted is nobody's from then on: so the number of documents does not grow with every start. */
  async fold(member: string): Promise<void> {
    while (await again(() => this.foldSome(member)));
  }

  private async foldSome(member: string): Promise<boolean> {
    const session = this.client.startSession();
    const { counters } = this.collections;
    try {
      session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority', journal: true } });
      const rows = await counters.find({ member }, { session, limit: FOLD_STEP }).toArray();
      if (rows.length > 0) {
        // First, because of two that fold the same at the same time one is refused here.
        await counters.deleteMany({ member, _id: { $in: rows.map(({ _id }) => _id) } }, { session });
        await this.add(rows.map(sumsOf), '', 0, session);
        await session.commitTransaction();
      } else await session.abortTransaction();
      return rows.length === FOLD_STEP;
    } catch (cause) {
      await session.abortTransaction().catch(() => {}); // It ends with its session.
      throw cause;
    } finally {
      await session.endSession();
    }
  }

  private async add(sums: readonly Sums[], member: string, slot: number, session: ClientSession): Promise<void> {
    const operations = sums.map(({ tenantId, owner, by }): AnyBulkWriteOperation<StoredCounts> => {
      const filter = { _id: `${owner}/${member}/${slot}`, tenantId };
      const $inc = Object.fromEntries(Array.from(by, ([counter, n]) => [`n.${counter}`, n]));
      return { updateOne: { filter, update: { $inc, $setOnInsert: { owner, member } } as Document, upsert: true } };
    });
    await this.collections.counters.bulkWrite(operations, { session, ordered: false });
  }

  private async inFlight(tenantId: string, owner: string, session: ClientSession): Promise<number> {
    const { batches, held, kept } = this.collections;
    const [inLanes] = await batches
      .aggregate<{ n: number }>(
        [
          { $match: { counts: { $elemMatch: { tenantId, owner } } } },
          { $project: { counts: 1 } },
          { $unwind: '$counts' },
          { $match: { 'counts.tenantId': tenantId, 'counts.owner': owner } },
          { $group: { _id: null, n: { $sum: '$counts.n' } } },
        ],
        { session },
      )
      .toArray();
    const ofHeld = await held.countDocuments({ tenantId, owner }, { session });
    return (inLanes?.n ?? 0) + ofHeld + (await kept.countDocuments({ tenantId, owner }, { session }));
  }
}

/** Until no other transaction is in the way. */
async function again<T>(run: () => Promise<T>): Promise<T> {
  const giveUpAt = Date.now() + GIVE_UP_MS;
  for (let waitMs = 1; ; waitMs = Math.min(2 * waitMs, 50)) {
    try {
      return await run();
    } catch (cause) {
      if (!isConflict(cause) || Date.now() > giveUpAt) throw cause;
      await sleep(Math.random() * waitMs);
    }
  }
}

function sumsOf({ tenantId, owner, n }: StoredCounts): Sums {
  const by = Object.entries(n).flatMap(([group, counts]) =>
    Object.entries(counts).map(([name, value]) => [`${group}.${name}` as Counter, value] as const),
  );
  return { tenantId, owner, by: new Map(by) };
}
