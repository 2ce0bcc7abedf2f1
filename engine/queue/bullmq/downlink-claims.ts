import { setTimeout as sleep } from 'node:timers/promises';
import { type Collection, type Filter, MongoError } from 'mongodb';
import { isConflict } from '#engine/store/mongo/errors.ts';
import type { Step } from '#engine/store/mongo/transaction.ts';
import type { Downlink } from '#engine/store.ts';
import { type StoredDownlink, slotOf, toDownlink } from './downlink-docs.ts';
import { isSlotTaken } from './downlink-draft.ts';

export interface ClaimsOptions {
  readonly collection: Collection<StoredDownlink>;
  readonly member: () => string;
  readonly now: () => number;
  readonly commit: (step: Step) => Promise<void>;
  /** A step that ends it as replaced, while it waits. */
  readonly replace: (id: string, byId: string) => Step;
}

const CONFLICT_MS = 5000;
/** An operation whose answer was lost is over by then, one way or the other. */
const UNSURE_MS = 60_000;
const PENDING = { delivery: 'pending', waiting: true } as const;

/**
 * Pending downlinks that are being answered with. A claim is one atomic change of the document, so that any process may answer; it is undone by its process, or by
 * whoever buries that.
 */
export class Claims {
  private readonly options: ClaimsOptions;
  private claims = 0;
  /** Numbers of claims of which nobody knows whether they happen: the server went away meanwhile. With the time until which that may be. */
  private readonly unsure = new Map<number, number>();
  /** Put back, and not yet there: the server was away. By id. */
  private readonly owed = new Map<string, Downlink>();
  /** Those that are being put back right now: whoever asks next gets them. */
  private readonly returning = new Set<Promise<void>>();

  constructor(options: ClaimsOptions) {
    this.options = options;
  }

  async take(integrationId: string, entityIds: readonly string[]): Promise<Downlink | null> {
    if (this.returning.size > 0) await Promise.all(this.returning);
    if (entityIds.length === 0) return null;
    const free = { ...PENDING, integrationId, claimedBy: null, expiresAt: { $gt: this.options.now() } };
    const claim = ++this.claims;
    try {
      for (;;) {
        const entityId = entityIds.length === 1 ? entityIds[0]! : await this.firstOf(entityIds, free);
        if (entityId === undefined) return null;
        const claimed = await this.claim({ ...free, entityId }, claim);
        if (claimed) return toDownlink(claimed);
        // With several, another may have been quicker at the first.
        if (entityIds.length === 1) return null;
      }
    } catch (cause) {
      if (!(cause instanceof MongoError)) throw cause;
      // The message of the device is stored and has its answer to come: what waits goes on waiting. If it was claimed all the same, that is undone.
      this.unsure.set(claim, Date.now() + UNSURE_MS);
      return null;
    }
  }

  /** Back into its slot; where a newer one has come meanwhile and the last wins, it is replaced instead. */
  putBack(downlink: Downlink): void {
    const returning = this.giveUp(downlink.id, this.options.member())
      .catch(() => void this.owed.set(downlink.id, downlink))
      .finally(() => this.returning.delete(returning));
    this.returning.add(returning);
  }

  /** What could not be undone when it should have been. */
  async settle(): Promise<void> {
    const owed = [...this.owed.values()];
    this.owed.clear();
    for (const downlink of owed) this.putBack(downlink);
    if (this.unsure.size === 0) return;
    const member = this.options.member();
    const at = Date.now();
    for (const { _id } of await this.claimedBy(member, { claim: { $in: [...this.unsure.keys()] } })) await this.giveUp(_id, member);
    for (const [claim, until] of this.unsure) if (until < at) this.unsure.delete(claim);
  }

  /** All claims of a process that will answer nobody any more. */
  async release(member: string): Promise<void> {
    for (const { _id } of await this.claimedBy(member, {})) await this.giveUp(_id, member);
  }

  /** Resolves when nothing is being put back any more. */
  async returned(): Promise<void> {
    while (this.returning.size > 0) await Promise.all(this.returning);
  }

  private claimedBy(member: string, filter: Filter<StoredDownlink>): Promise<Pick<StoredDownlink, '_id'>[]> {
    return this.options.collection
      .find({ claimedBy: member, waiting: true, ...filter }, { projection: { _id: 1 } })
      .sort({ seq: 1 })
      .toArray();
  }

  private async firstOf(entityIds: readonly string[], free: Filter<StoredDownlink>): Promise<string | undefined> {
    const waiting = new Set(await this.options.collection.distinct('entityId', { ...free, entityId: { $in: [...entityIds] } }));
    return entityIds.find((entityId) => waiting.has(entityId));
  }

  private claim(free: Filter<StoredDownlink>, claim: number): Promise<StoredDownlink | null> {
    const update = { $set: { claimedBy: this.options.member(), claim }, $unset: { slot: '' } } as const;
    return this.again(() => this.options.collection.findOneAndUpdate(free, update, { sort: { seq: 1 }, returnDocument: 'before' }));
  }

  private async giveUp(id: string, member: string): Promise<void> {
    const { collection, commit, replace } = this.options;
    const claimed = await collection.findOne({ _id: id, claimedBy: member, waiting: true });
    if (!claimed) return;
    if (claimed.policy !== 'last') return await this.free({ _id: id, claimedBy: member, waiting: true }, {});
    const { integrationId, entityId, seq } = claimed;
    const slot = slotOf(claimed);
    for (;;) {
      const newer = await collection.findOne(
        { ...PENDING, integrationId, entityId, _id: { $ne: id }, $or: [{ seq: { $gt: seq } }, { slot }] },
        { sort: { seq: -1 }, projection: { _id: 1 } },
      );
      if (newer) return await commit(replace(id, newer._id));
      try {
        return await this.free({ _id: id, claimedBy: member, waiting: true }, { slot });
      } catch (cause) {
        // One that came after our look has it.
        if (!isSlotTaken(cause)) throw cause;
      }
    }
  }

  private async free(filter: Filter<StoredDownlink>, slot: { slot?: string }): Promise<void> {
    await this.again(() => this.options.collection.updateOne(filter, { $set: { claimedBy: null, ...slot }, $unset: { claim: '' } }));
  }

  /** A transaction of somebody else has the document right now. */
  private async again<T>(operation: () => Promise<T>): Promise<T> {
    const giveUpAt = Date.now() + CONFLICT_MS;
    for (;;) {
      try {
        return await operation();
      } catch (cause) {
        if (!isConflict(cause) || Date.now() > giveUpAt) throw cause;
        await sleep(Math.random() * 10);
      }
    }
  }
}
