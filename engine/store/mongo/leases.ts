import { type Collection, MongoBulkWriteError } from 'mongodb';
import type { Holder, Lease, Placed } from '#engine/cluster.ts';
import { DURABLE } from './burial.ts';
import type { LeaseDoc } from './committer.ts';
import { isDuplicateKey } from './errors.ts';
import { share } from './placement.ts';

export interface HoldingOptions {
  readonly kind: Placed;
  readonly holder: Holder;
  readonly leases: Collection<LeaseDoc>;
  /** Somebody else may take something now. */
  readonly onReleased: (name: string) => void;
  /** A holder that throws: its process may write nothing under the lease any more, and that is what counts. */
  readonly onProblem: (cause: unknown) => void;
  /** `lease-ended`: nothing of it is under way, and it is still ours; `lease-taken`: it is ours, and nobody knows. */
  readonly onPoint: (name: string) => void;
  readonly sleep: (ms: number) => Promise<void>;
  readonly retryMs: number;
}

interface Held {
  readonly lease: Lease;
  /** Set while it is being given away: nothing of it is under way any more; others may have it. */
  going: { readonly ended: Promise<void>; readonly free: Promise<void> } | null;
}

/** What this process holds of one kind, for as long as it is the same member. */
export class Holding {
  readonly kind: Placed;
  private readonly options: HoldingOptions;
  private readonly member: string;
  private readonly held = new Map<string, Held>();
  /** Epochs that we are done with: what was read before we gave it away does not bring it back. */
  private readonly given = new Map<string, number>();
  private leaving = false;
  private over = false;

  constructor(options: HoldingOptions, member: string) {
    this.options = options;
    this.kind = options.kind;
    this.member = member;
  }

  /** Also while it is being given away: what is under way may still be finished. */
  lease(name: string): Lease | null {
    return this.held.get(name)?.lease ?? null;
  }

  names(): string[] {
    return [...this.held.keys()];
  }

  /**
   * Gives away and takes what is due.
   * @param docs all leases of the kind that somebody has, read after the last call. @param members who takes part, as `share` wants them.
   */
  async place(docs: readonly LeaseDoc[], members: readonly string[]): Promise<void> {
    this.compare(docs);
    const owners = new Map<string, string>();
    for (const { _id, owner } of docs) owners.set(this.nameOf(_id), owner === this.member ? '' : owner!);
    for (const [name, { going }] of this.held) owners.set(name, going ? '' : this.member);
    const { release, take } = share({ members, me: this.member, names: this.options.holder.names(), owners });
    for (const name of release) {
      const entry = this.held.get(name);
      if (entry) this.release(name, entry);
    }
    if (take.length > 0 && !this.leaving) await this.take(take);
  }

  /** Gives everything away, and what still comes too. */
  leave(): { readonly ended: Promise<void>; readonly free: Promise<void> } {
    this.leaving = true;
    const going = [...this.held].map(([name, entry]) => this.release(name, entry));
    return { ended: all(going.map(({ ended }) => ended)), free: all(going.map(({ free }) => free)) };
  }

  /** It is not ours any more: whoever works on it has to stop. Nothing is given away; that is for those who gave us up. */
  async abandon(): Promise<void> {
    this.over = true;
    const held = [...this.held];
    this.held.clear();
    await Promise.all(held.map(([name, { going }]) => going?.ended ?? this.revoke(name)));
  }

  /** A lease whose taking we did not hear of is ours all the same; one that is not ours any more, though nobody gave us up, ends here. */
  private compare(docs: readonly LeaseDoc[]): void {
    const ours = new Map(docs.filter(({ owner }) => owner === this.member).map(({ _id, epoch }) => [this.nameOf(_id), epoch]));
    for (const [name, { lease, going }] of this.held) {
      if (going || ours.get(name) === lease.epoch) continue;
      this.held.delete(name);
      void this.revoke(name);
    }
    for (const [name, epoch] of ours) {
      if (!this.held.has(name) && epoch > (this.given.get(name) ?? 0)) this.grant(name, epoch);
    }
  }

  private async take(names: readonly string[]): Promise<void> {
    const { leases } = this.options;
    const ids = names.map((name) => `${this.kind}:${name}`);
    // The first transaction under the new lease must change the document, whatever number it has: so the last holder's mark goes.
    const update = { $set: { owner: this.member }, $inc: { epoch: 1 }, $unset: { mark: '' as const } };
    try {
      await leases.bulkWrite(
        ids.map((_id) => ({ updateOne: { filter: { _id, owner: null }, update, upsert: true } })),
        { ordered: false, ...DURABLE },
      );
    } catch (cause) {
      // Another one was faster with some: where its owner is not null, the upsert runs into the document that is there.
      const errors = cause instanceof MongoBulkWriteError ? [cause.writeErrors].flat() : [];
      if (!(isDuplicateKey(cause) || (errors.length > 0 && errors.every(({ code }) => code === 11000)))) throw cause;
    }
    this.options.onPoint('lease-taken');
    const ours = await leases.find({ _id: { $in: ids }, owner: this.member }).toArray();
    for (const { _id, epoch } of ours) if (!this.held.has(this.nameOf(_id))) this.grant(this.nameOf(_id), epoch);
  }

  private grant(name: string, epoch: number): void {
    if (this.over) return;
    const lease = { name: `${this.kind}:${name}`, epoch };
    this.held.set(name, { lease, going: null });
    this.options.holder.granted(name, lease);
    if (this.leaving) this.release(name, this.held.get(name)!);
  }

  private release(name: string, entry: Held): NonNullable<Held['going']> {
    if (!entry.going) {
      const ended = this.revoke(name);
      entry.going = { ended, free: ended.then(() => this.free(name, entry.lease)) };
    }
    return entry.going;
  }

  private async free(name: string, { name: _id, epoch }: Lease): Promise<void> {
    const { leases, sleep, retryMs, onReleased, onPoint } = this.options;
    onPoint('lease-ended');
    while (!this.over) {
      try {
        await leases.updateOne({ _id, owner: this.member, epoch }, { $set: { owner: null }, $inc: { epoch: 1 } }, DURABLE);
        this.given.set(name, epoch);
        this.held.delete(name);
        return onReleased(name);
      } catch {
        await sleep(retryMs); // MongoDB is away: until it is back, or we are given up.
      }
    }
  }

  private async revoke(name: string): Promise<void> {
    try {
      await this.options.holder.revoked(name);
    } catch (cause) {
      this.options.onProblem(cause);
    }
  }

  private nameOf(lease: string): string {
    return lease.slice(this.kind.length + 1);
  }
}

const all = async (promises: readonly Promise<void>[]): Promise<void> => void (await Promise.all(promises));
