import type { Redis } from 'ioredis';
import type { Collection, Filter } from 'mongodb';
import type { Lease } from '#engine/cluster.ts';
import { readPage } from '#engine/store/mongo/page.ts';
import type { Dispatch, Part, Step, Transaction } from '#engine/store/mongo/transaction.ts';
import type { Counter, Downlink, Page } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { Claims } from './downlink-claims.ts';
import { dueAt, queueOf, type StoredDownlink, toDownlink } from './downlink-docs.ts';
import { Draft, KNOWN, type Known } from './downlink-draft.ts';
import { DownlinkJobs } from './downlink-jobs.ts';
import { Turns } from './downlink-turns.ts';

export interface DownlinksOptions {
  readonly collection: Collection<StoredDownlink>;
  readonly connection: Redis;
  /** Of all keys in Redis. */
  readonly prefix: string;
  /** Of one integration that may wait; a new one beyond it ends the oldest. */
  readonly pendingLimit: number;
  readonly now: () => number;
  /** This process, as in `Transaction.member`. */
  readonly member: () => string;
  /** This process' lease of an integration; null: it is another's, or nobody's. */
  readonly leaseOf: (integrationId: string) => Lease | null;
  readonly commit: (step: Step) => Promise<void>;
  /** In the running transaction: what was ended by the backend itself. */
  readonly count: (transaction: Transaction, tenantId: string, owner: string, counter: Counter, by?: number) => void;
  /** Adds jobs that are missing. */
  readonly dispatch: (jobs: readonly Dispatch[]) => Promise<void>;
}

const STEP = 500;
/** Downlinks of one group of works keep their order within the order of the groups. */
const IN_GROUP = 4096;
/** Since 2020, so that the product stays an exact number. */
const EPOCH_MS = 1_577_836_800_000;
/** So many of the limit may be added between two counts: where 100,000 wait, counting them takes a while. */
const UNCOUNTED = 0.001;
const COUNTED_MS = 10_000;
/** One that is to be sent at once and is over its time may be on its way just now: whoever sends it ends it. Nobody does where nobody has the integration. */
const ORPHANED_MS = 30_000;
/** Jobs of pending downlinks that are due for so long belong to no downlink any more. */
const LEFT_OVER_MS = 60_000;

/**
 * Downlinks from QUEUED to their end, over several processes. MongoDB has them, and who answers a device with one of them right now; BullMQ has a job for each that
 * waits: it wakes the process that runs the integration, or is due when a pending one is over its time, and goes with its downlink.
 */
export class Downlinks implements Part {
  readonly turns: Turns;
  private readonly options: DownlinksOptions;
  private readonly collection: Collection<StoredDownlink>;
  private readonly jobs: DownlinkJobs;
  private readonly claims: Claims;
  /** By the order of their group, how many were added. */
  private readonly places = new Map<number, number>();
  /** By integration: how many were pending when they were counted, and how many this process has added since. */
  private readonly counted = new Map<string, { readonly n: number; readonly at: number; added: number }>();

  constructor(options: DownlinksOptions) {
    const { collection, connection, prefix, member, now, leaseOf, commit } = options;
    this.options = options;
    this.collection = collection;
    this.jobs = new DownlinkJobs({ connection, prefix });
    this.turns = new Turns({ collection, jobs: this.jobs, now, leaseOf });
    this.claims = new Claims({ collection, member, now, commit, replace: (id, byId) => this.ending([id], 'REPLACED', `replaced by ${byId}`) });
  }

  async write(works: readonly Work[], transaction: Transaction): Promise<void> {
    const mine = works.filter(({ downlinks, downlinkMoves, purges }) => downlinks.length + downlinkMoves.length + purges.length > 0);
    if (mine.length === 0) return;
    const draft = this.draft(transaction);
    const added = mine.flatMap(({ downlinks }) => downlinks);
    const moved = new Set(mine.flatMap(({ downlinkMoves }) => downlinkMoves.map(({ id }) => id)));
    for (const { id } of added) moved.delete(id);
    const last = added.filter(({ delivery, policy }) => delivery === 'pending' && policy === 'last');
    await draft.read([...moved], last);
    const fills = new Set<string>();
    for (const { downlinks, downlinkMoves, purges } of mine) {
      for (const downlink of downlinks) {
        draft.add(downlink, this.placeIn(transaction));
        if (downlink.delivery === 'pending') fills.add(downlink.integrationId);
      }
      for (const steps of Map.groupBy(downlinkMoves, (move) => move.id).values()) draft.move(steps);
      if (purges.length === 0) continue;
      await this.limit(fills, draft, transaction);
      fills.clear();
      await draft.write();
      for (const [tenantId, ofTenant] of Map.groupBy(purges, (purge) => purge.tenantId)) {
        const ids = ofTenant.map(({ entity }) => entity.id);
        await this.purgeEntities(tenantId, ids, transaction);
        for (const { entity } of ofTenant) if (entity.entityType === 'INTEGRATION') await this.purgeIntegration(tenantId, entity.id, transaction);
      }
      // What the purge has ended is over for the works behind it.
      if (mine.length > 1) await draft.read([...moved], last);
    }
    await this.limit(fills, draft, transaction);
    await draft.write();
  }

  take(integrationId: string, max: number, signal: AbortSignal): Promise<Downlink[] | null> {
    return this.turns.take(integrationId, max, signal);
  }

  release(downlinks: readonly Downlink[]): void {
    this.turns.release(downlinks);
  }

  takePending(integrationId: string, entityIds: readonly string[]): Promise<Downlink | null> {
    return this.claims.take(integrationId, entityIds);
  }

  putBack(downlink: Downlink): void {
    this.claims.putBack(downlink);
  }

  /**
   * Steps of their own transactions, so that a hundred thousand do not hold up everything else. Whatever ends one first, another process too, counts it; but one
   * process at a time does this, because whoever shares a transaction with a step that conflicts has to wait too.
   */
  async expire(now: number): Promise<number> {
    this.jobs.tidy();
    await this.claims.settle();
    const member = this.options.member();
    if (!(await this.collection.findOne(this.overdue(now), { projection: { _id: 1 } })) || !(await this.jobs.turnToExpire(member))) return 0;
    try {
      let expired = 0;
      for (;;) {
        const n = await this.expireSome(now);
        if (n === null) return expired;
        expired += n;
        await this.jobs.longerTurn(member);
      }
    } finally {
      await this.jobs.endTurn();
    }
  }

  async one(tenantId: string, id: string): Promise<Downlink | null> {
    const stored = await this.collection.findOne({ _id: id, tenantId });
    return stored ? toDownlink(stored) : null;
  }

  page(tenantId: string, entityId: string, page: number, pageSize: number): Promise<Page<Downlink>> {
    return readPage(this.collection, { tenantId, entityId }, { sort: { createdTime: -1, seq: -1 }, page, pageSize, map: toDownlink });
  }

  /** For whoever buries a process, before its work is given on: what it was answering with waits again, and jobs that it may not have added are there. */
  async releaseMember(member: string): Promise<void> {
    await this.claims.release(member);
    const now = this.options.now();
    for (let after = 0; ; ) {
      const rows = await this.collection
        .find({ member, waiting: true, seq: { $gt: after } })
        .sort({ seq: 1 })
        .limit(STEP)
        .toArray();
      if (rows.length > 0)
        await this.options.dispatch(rows.map((row) => ({ queue: queueOf(row.integrationId), jobId: row._id, data: {}, dueAt: dueAt(row, now) })));
      if (rows.length < STEP) return;
      after = rows.at(-1)!.seq;
    }
  }

  /** Redis may have lost jobs. */
  reload(): void {
    this.turns.reload();
  }

  /** Nothing is given out any more, and what is claimed waits again. */
  async close(): Promise<void> {
    this.turns.close();
    await this.claims.returned();
    await this.claims.release(this.options.member()).catch(() => {}); // Then whoever buries us does it.
    await this.jobs.close();
  }

  /** Null: there is nothing more. */
  private async expireSome(now: number): Promise<number | null> {
    const due = await this.collection
      .find(this.overdue(now), { projection: { integrationId: 1 } })
      .sort({ expiresAt: 1 })
      .limit(STEP)
      .toArray();
    if (due.length === 0) return null;
    let expired = 0;
    const ids = due.map(({ _id }) => _id);
    await this.options.commit(
      this.ending(ids, 'EXPIRED', 'not fetched in time', (n) => {
        expired = n;
      }),
    );
    for (const integrationId of new Set(due.map((row) => row.integrationId))) this.jobs.removeDue(integrationId, now - LEFT_OVER_MS);
    return expired;
  }

  private draft(transaction: Transaction): Draft {
    return new Draft({
      collection: this.collection,
      transaction,
      count: (tenantId, integrationId, counter) => this.options.count(transaction, tenantId, integrationId, counter),
      onEnded: (known) => this.onEnded(known),
    });
  }

  private onEnded({ _id, integrationId }: Pick<Known, '_id' | 'integrationId'>): void {
    this.turns.ended(integrationId, _id);
    this.jobs.remove(integrationId, [_id]);
  }

  private placeIn({ order }: Transaction): number {
    const place = this.places.get(order) ?? 0;
    this.places.set(order, place + 1);
    if (this.places.size > 64) this.places.delete(this.places.keys().next().value!);
    return (order - EPOCH_MS) * IN_GROUP + place;
  }

  private overdue(now: number): Filter<StoredDownlink> {
    const whose = [{ delivery: 'pending' as const }, { integrationId: { $in: this.turns.own() } }, { expiresAt: { $lte: now - ORPHANED_MS } }];
    return { expiresAt: { $lte: now }, waiting: true, claimedBy: null, _id: { $nin: this.turns.taken() }, $or: whose };
  }

  /** Ends those of them that still wait; a claimed one only as replaced, by its own process. */
  private ending(ids: readonly string[], state: 'REPLACED' | 'EXPIRED', reason: string, onEnded: (n: number) => void = () => {}): Step {
    return async (transaction) => {
      const filter = { _id: { $in: [...ids] }, waiting: true, ...(state === 'EXPIRED' ? { claimedBy: null } : {}) } as const;
      const waiting = await this.collection.find<Known>(filter, { session: transaction.session, projection: KNOWN }).toArray();
      const draft = this.draft(transaction);
      for (const known of waiting) {
        draft.know(known);
        draft.end(known._id, state, reason);
      }
      await draft.write();
      transaction.afterCommit(() => onEnded(waiting.length));
    };
  }

  private async limit(integrationIds: ReadonlySet<string>, draft: Draft, transaction: Transaction): Promise<void> {
    const { pendingLimit } = this.options;
    for (const integrationId of integrationIds) {
      const grown = draft.grownBy(integrationId);
      const before = this.counted.get(integrationId);
      const unseen = before ? before.added + grown : 0;
      const mayAdd = before ? Math.max((pendingLimit - before.n) / 2, pendingLimit * UNCOUNTED) : 0;
      if (before && unseen <= mayAdd && transaction.now - before.at < COUNTED_MS) {
        transaction.afterCommit(() => {
          before.added += grown;
        });
        continue;
      }
      const n = await this.collection.countDocuments({ integrationId, delivery: 'pending', waiting: true }, { session: transaction.session });
      if (n + grown > pendingLimit) await draft.endOldest(integrationId, n + grown - pendingLimit);
      transaction.afterCommit(() => this.counted.set(integrationId, { n, at: transaction.now, added: grown }));
    }
  }

  /** What waits for a deleted entity is removed, and counted as expired. What was taken is ended by its taker. */
  private async purgeEntities(tenantId: string, ids: readonly string[], transaction: Transaction): Promise<void> {
    const { session } = transaction;
    const filter = { tenantId, entityId: { $in: [...ids] }, waiting: true, claimedBy: null, _id: { $nin: this.turns.taken() } } as const;
    const rows = await this.collection.find(filter, { session, projection: { integrationId: 1 } }).toArray();
    if (rows.length === 0) return;
    await this.collection.deleteMany({ tenantId, _id: { $in: rows.map(({ _id }) => _id) } }, { session });
    for (const { integrationId } of rows) this.options.count(transaction, tenantId, integrationId, 'downlinks.expired');
    transaction.afterCommit(() => {
      for (const row of rows) this.onEnded(row);
    });
  }

  /** What waits in a deleted integration expires and stays listed with its device: all at once, on the server, however much that is. */
  private async purgeIntegration(tenantId: string, integrationId: string, transaction: Transaction): Promise<void> {
    const { session, now } = transaction;
    const step = { state: 'EXPIRED', ts: now, reason: 'the integration was deleted' } as const;
    const { modifiedCount } = await this.collection.updateMany(
      { tenantId, integrationId, waiting: true, claimedBy: null, _id: { $nin: this.turns.taken() } },
      { $set: { state: step.state }, $push: { history: step }, $unset: { waiting: '', claimedBy: '', slot: '' } },
      { session },
    );
    if (modifiedCount > 0) this.options.count(transaction, tenantId, integrationId, 'downlinks.expired', modifiedCount);
    transaction.afterCommit(() => this.jobs.drop(integrationId));
  }
}
