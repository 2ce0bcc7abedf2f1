import type { Collection } from 'mongodb';
import type { StoredBatch } from './batches.ts';

/** When the next delayed messages of a lane are due: BullMQ hands them out then, to whoever asks. */
export class Delayed {
  private readonly batches: Collection<StoredBatch>;
  private readonly now: () => number;
  /** By lane. */
  private readonly next = new Map<number, number>();

  constructor({ batches, now }: { batches: Collection<StoredBatch>; now: () => number }) {
    this.batches = batches;
    this.now = now;
  }

  dueAt(lane: number): number {
    return this.next.get(lane) ?? Number.POSITIVE_INFINITY;
  }

  added(lane: number, dueAt: number): void {
    this.next.set(lane, Math.min(dueAt, this.dueAt(lane)));
  }

  /** What was due is in the lane by now. */
  async refresh(lane: number): Promise<void> {
    if (this.dueAt(lane) <= this.now()) await this.load(lane);
  }

  async load(lane: number): Promise<void> {
    this.next.delete(lane);
    const next = await this.batches.findOne({ lane, dueAt: { $gt: this.now() } }, { projection: { dueAt: 1 }, sort: { dueAt: 1 } });
    if (next) this.added(lane, next.dueAt!);
  }
}
