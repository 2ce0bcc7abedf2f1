import type { Collection } from 'mongodb';
import { batchId, batchName, type StoredBatch } from './batches.ts';
import type { Jobs } from './jobs.ts';

/** What a job says. */
export interface JobData {
  /** Number of the batch that was dispatched before it to the same lane by the same member, 0 for the first; null: nobody knows, and it may be done already. */
  readonly after: number | null;
  /** Its messages; absent where they are many: then they are read from the batch. */
  readonly lines?: string;
}

export interface Next {
  readonly id: string;
  readonly lines: string;
}

interface Entry {
  readonly id: string;
  /** null: to be read, if the batch is still there. */
  lines: string | null;
  /** Those of its member behind this number and before it come first, where they are still there; null: none. */
  readonly behind: number | null;
}

/** Batches that are read at a time: of at most 1 MB each. */
const PAGE = 16;
/** Jobs that are fetched at a time. */
const MOST_JOBS = 64;
/** Of these, about. */
const MOST_CHARS = 4_000_000;
/** Where nothing more was found the last time, a few are asked for first. */
const FEW = 2;

/**
 * What was fetched of a lane, in the order in which it is worked on. BullMQ gives the jobs of a member in the order in which they were dispatched. Where one is
 * missing it is elsewhere: a process that had the lane before and was stopped took it late, or Redis lost it. Then MongoDB says what comes first. What may have been
 * done before is looked up, too; a job without a batch has nothing to do any more and is only completed.
 */
export class Line {
  private readonly lane: number;
  private readonly batches: Collection<StoredBatch>;
  private readonly jobs: Jobs;
  private entries: Entry[] = [];
  /** Ids of entries, and of what was taken from here and is not done. */
  private readonly known = new Set<string>();
  /** By member: the number of its last batch that came this way. */
  private readonly last = new Map<string, number>();

  /** BullMQ gave all the jobs that it was asked for. */
  private hasMore = false;
  /** Of the jobs that were fetched last, on average. */
  private size = { messages: 1, chars: 1 };

  constructor({ lane, batches, jobs }: { lane: number; batches: Collection<StoredBatch>; jobs: Jobs }) {
    this.lane = lane;
    this.batches = batches;
    this.jobs = jobs;
  }

  /** Jobs that are taken, but not by us: by who had the lane before, or too late by whoever believed to have it. */
  async admitActive(): Promise<void> {
    for (const id of await this.jobs.active(this.lane)) this.admit(id, {});
  }

  /** The next batch; null: there is none now. @param room how many messages are wanted, about. */
  async next(room: number): Promise<Next | null> {
    let most = this.hasMore ? MOST_JOBS : FEW;
    for (;;) {
      const next = await this.nextOfEntries();
      if (next) return next;
      if (most === 0) return null;
      most = Math.max(1, Math.min(most, Math.ceil(room / this.size.messages), Math.ceil(MOST_CHARS / this.size.chars)));
      const found = await this.jobs.next(this.lane, most);
      this.hasMore = found.length === most;
      this.measure(found.map((job) => (job.data as Partial<JobData>).lines ?? ''));
      for (const { id, data } of found) this.admit(id, data as Partial<JobData>);
      most = this.hasMore ? MOST_JOBS : 0;
    }
  }

  private measure(lines: readonly string[]): void {
    if (lines.length === 0) return;
    const chars = lines.reduce((sum, text) => sum + text.length, 0);
    const messages = lines.reduce((sum, text) => sum + text.split('\n').length, 0);
    this.size = { messages: messages / lines.length, chars: Math.max(1, chars / lines.length) };
  }

  /** The next job in the order of BullMQ. */
  private admit(id: string, { after, lines }: Partial<JobData>): void {
    if (this.known.has(id)) return;
    this.known.add(id);
    const { member, n, delayed } = batchName(id);
    const isSure = after !== null && after !== undefined;
    if (delayed) {
      this.entries.push({ id, lines: isSure ? (lines ?? null) : null, behind: null });
      return;
    }
    const last = this.last.get(member);
    if (last !== undefined && n <= last) {
      this.entries.push({ id, lines: null, behind: null });
      return;
    }
    this.last.set(member, n);
    if (last !== undefined && isSure && after <= last) this.entries.push({ id, lines: lines ?? null, behind: null });
    else this.entries.push({ id, lines: null, behind: last ?? -1 });
  }

  private async nextOfEntries(): Promise<Next | null> {
    for (;;) {
      const first = this.entries[0];
      if (!first) return null;
      if (first.lines !== null) {
        this.entries.shift();
        return { id: first.id, lines: first.lines };
      }
      if (first.behind === null) await this.readFirst();
      else await this.readUpTo(first, first.behind);
    }
  }

  /** They come again, before all others. */
  back(entries: readonly Next[]): void {
    this.entries.unshift(...entries.map(({ id, lines }) => ({ id, lines, behind: null })));
  }

  /** They come again, before all others, unless they were done. */
  backUnsure(ids: readonly string[]): void {
    this.entries.unshift(...ids.map((id) => ({ id, lines: null, behind: null })));
  }

  done(ids: readonly string[]): void {
    for (const id of ids) this.known.delete(id);
  }

  private async readFirst(): Promise<void> {
    const unread: Entry[] = [];
    for (const entry of this.entries) {
      if (entry.lines !== null || entry.behind !== null || unread.length === PAGE) break;
      unread.push(entry);
    }
    const found = await this.batches.find({ _id: { $in: unread.map(({ id }) => id) } }, { projection: { lines: 1 } }).toArray();
    const lines = new Map(found.map((batch) => [batch._id, batch.lines]));
    for (const entry of unread) entry.lines = lines.get(entry.id) ?? null;
    const gone = unread.filter((entry) => entry.lines === null);
    this.entries = this.entries.filter((entry) => !gone.includes(entry));
    this.gone(gone.map(({ id }) => id));
  }

  private async readUpTo(first: Entry, behind: number): Promise<void> {
    const { member } = batchName(first.id);
    const from = batchId({ lane: this.lane, member, n: Math.max(behind, 0), delayed: false });
    const found = await this.batches
      .find({ _id: behind < 0 ? { $gte: from, $lte: first.id } : { $gt: from, $lte: first.id } }, { projection: { lines: 1, n: 1 } })
      .sort({ _id: 1 })
      .limit(PAGE)
      .toArray();
    const last = found.at(-1);
    const isAll = found.length < PAGE || last?._id === first.id;
    const read = found.filter(({ _id }) => _id === first.id || !this.known.has(_id)).map(({ _id, lines }) => ({ id: _id, lines, behind: null }));
    for (const { id } of read) this.known.add(id);
    this.entries.splice(0, 1, ...read, ...(isAll ? [] : [{ ...first, behind: last!.n }]));
    if (isAll && last?._id !== first.id) this.gone([first.id]);
  }

  private gone(ids: readonly string[]): void {
    if (ids.length === 0) return;
    for (const id of ids) this.known.delete(id);
    void this.jobs.complete(this.lane, ids);
  }
}
