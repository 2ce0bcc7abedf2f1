import type { Message } from '#engine/message.ts';
import type { Batch, Queue } from '#engine/queue.ts';
import type { Database } from '#engine/store/sqlite/database.ts';
import type { Numbers } from '#engine/store/sqlite/numbers.ts';
import type { Downlink, Kept } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import { Delayed } from './sqlite/delayed.ts';
import { Downlinks } from './sqlite/downlinks.ts';
import { KeptMessages } from './sqlite/kept.ts';
import { Lanes } from './sqlite/lanes.ts';
import type { Pass } from './sqlite/pass.ts';

export interface SqliteQueueOptions {
  readonly db: Database;
  readonly numbers: Numbers;
  readonly lanes: number;
  readonly pendingLimit: number;
  readonly now: () => number;
  readonly commit: (step: Work | ((pass: Pass) => void)) => Promise<void>;
  readonly settled: () => Promise<void>;
}

/** The queue's half of the embedded backend: rows of the same file, written in the same transactions. */
export class SqliteQueue implements Queue {
  readonly lanes: number;
  readonly downlinks: Downlinks;
  readonly kept: KeptMessages;
  private readonly waiting: Lanes;
  private readonly delayed: Delayed;
  private readonly now: () => number;

  readonly settled: () => Promise<void>;

  constructor({ db, numbers, lanes, pendingLimit, now, commit, settled }: SqliteQueueOptions) {
    this.lanes = lanes;
    this.settled = settled;
    this.now = now;
    this.waiting = new Lanes(db, numbers, lanes, now, (batch) => {
      const work = new Work();
      work.done.push(batch);
      return commit(work);
    });
    this.delayed = new Delayed(db, numbers, now, () => commit((pass) => this.waiting.append(this.delayed.takeDue(pass), pass)));
    this.kept = new KeptMessages(db, numbers, lanes);
    this.downlinks = new Downlinks(db, numbers, now, commit, pendingLimit);
  }

  /** In the running transaction: everything of a work that is the queue's, but for its new messages. */
  apply(work: Work, pass: Pass): void {
    for (const batch of work.done) this.waiting.done(batch, pass);
    if (work.held.length > 0) this.waiting.hold(work, pass);
    if (work.delayed.length > 0) this.delayed.add(work.delayed, pass);
    if (work.kept.length + work.keptMoves.length + work.keptRemovals.length > 0) this.kept.write(work, pass);
    if (work.downlinks.length > 0) this.downlinks.add(work.downlinks, pass);
    if (work.downlinkMoves.length > 0) this.downlinks.move(work.downlinkMoves, pass);
  }

  /** In the running transaction, once for all its works. */
  append(messages: readonly Message[], pass: Pass): void {
    this.waiting.append(messages, pass);
  }

  purge(tenantId: string, entityId: string, pass: Pass): void {
    this.downlinks.purge(tenantId, entityId, pass);
  }

  take(lane: number, max: number, signal: AbortSignal): Promise<Batch | null> {
    return this.waiting.take(lane, max, signal);
  }

  giveBack(batch: Batch): void {
    this.waiting.giveBack(batch);
  }

  sends(lane: number, query: { after?: string; max: number }): Promise<Kept[]> {
    return this.kept.sends(lane, query);
  }

  mark(): number {
    return this.waiting.mark();
  }

  caughtUp(originatorId: string, mark: number, atMostMs: number): Promise<void> {
    return this.waiting.caughtUp(originatorId, mark, atMostMs);
  }

  takeDownlinks(integrationId: string, max: number, signal: AbortSignal): Promise<Downlink[] | null> {
    return this.downlinks.take(integrationId, max, signal);
  }

  releaseDownlinks(downlinks: readonly Downlink[]): void {
    this.downlinks.release(downlinks);
  }

  async takePending(integrationId: string, entityIds: readonly string[]): Promise<Downlink | null> {
    return this.downlinks.takePending(integrationId, entityIds);
  }

  putBack(downlink: Downlink): void {
    this.downlinks.putBack(downlink);
  }

  expireDownlinks(now: number): Promise<number> {
    return this.downlinks.expire(now);
  }

  depth(): { messages: number; held: number; delayed: number; kept: number; oldestMs: number } {
    const oldestAt = this.waiting.oldestAt();
    return {
      messages: this.waiting.count,
      held: this.waiting.held.count,
      delayed: this.delayed.count,
      kept: this.kept.count,
      oldestMs: oldestAt === null ? 0 : Math.max(0, this.now() - oldestAt),
    };
  }

  close(): void {
    this.waiting.close();
    this.delayed.close();
    this.downlinks.close();
  }
}
