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

/** Batches that are worked on as MongoDB has them, whatever BullMQ has. */
export interface Backlog {
  /** Those that were appended up to then. */
  readonly until: number;
  readonly isOver: (batch: StoredBatch) => boolean;
  /** Some were left out, because they are not over. */
  isPartial: boolean;
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
/** Names of batches that are read at a time. */
const BACKLOG_PAGE = 256;
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

  private backlog: Backlog | null = null;
  /** Where its next page begins. */
  private behind: Pick<StoredBatch, '_id' | 'at'> = { _id: '', at: 0 };
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

  /** What this has comes before what BullMQ has. */
  begin(backlog: Backlog): void {
    this.backlog = backlog;
    this.behind = { _id: '', at: Number.NEGATIVE_INFINITY };
  }

  /** The next batch; null: there is none now. @param room how many messages are wanted, about. */
  async next(room: number): Promise<Next | null> {
    let most = this.hasMore ? MOST_JOBS : FEW;
    for (;;) {
      const next = await this.nextOfEntries();
      if (next) return next;
      if (this.backlog) {
        await this.admitBacklog(this.backlog);
        continue;
      }
      if (most === 0) return null;
      most = Math.max(1, Math.min(most, Math.ceil(room / this.size.messages), Math.ceil(MOST_CHARS / this.size.chars)));
      const found = await this.jobs.next(this.lane, most);
      this.hasMore = found.length === most;
      this.measure(found.map((job) => (job.data as Partial<JobData>).lines ?? ''));
      for (const { id, data } of found) this.admit(id, data as Partial<JobData>);
      most = this.hasMore ? MOST_JOBS : 0;
    }
  }

  private async admitBacklog(backlog: Backlog): Promise<void> {
    const { _id, at } = this.behind;
    const found = await this.batches
      .find(
        { lane: this.lane, dueAt: null, $or: [{ at: { $gt: at, $lte: backlog.until } }, { at, _id: { $gt: _id } }] },
        { projection: { lines: 0, counts: 0 } },
      )
      .sort({ at: 1, _id: 1 })
      .limit(BACKLOG_PAGE)
      .toArray();
    for (const batch of found) if (backlog.isOver(batch)) this.admit(batch._id, {});
    this.behind = found.at(-1) ?? this.behind;
    if (found.length < BACKLOG_PAGE) this.backlog = null;
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
    else this.entries.push({ id, lines: null, behind: last ?? 0 });
  }

  private async nextOfEntries(): Promise<Next | null> {
    for (;;) {
      const first = this.entries[0];
      if (!first) return null;
      if (first.lines !== null) {
        this.entries.shift();
        return { id: first.id, lines: first.lines };
      }
      await this.read();
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

  /** Reads the first entries, in one go. */
  private async read(): Promise<void> {
    const unread: Entry[] = [];
    for (const entry of this.entries) {
      if (entry.lines !== null || unread.length === PAGE) break;
      unread.push(entry);
    }
    const plain = unread.filter((entry) => entry.behind === null);
    const [found, ...ranges] = await Promise.all([
      plain.length > 0 ? this.batches.find({ _id: { $in: plain.map(({ id }) => id) } }, { projection: { lines: 1 } }).toArray() : [],
      ...unread.flatMap((entry, index) => (entry.behind === null ? [] : [this.readUpTo(entry, entry.behind, index === 0 ? PAGE : 2)])),
    ]);
    const lines = new Map(found.map((batch) => [batch._id, batch.lines]));
    const gone: string[] = [];
    const read = unread.flatMap((entry): Entry[] => {
      if (entry.behind !== null) return ranges.shift()!;
      const text = lines.get(entry.id);
      if (text === undefined) gone.push(entry.id);
      return text === undefined ? [] : [{ ...entry, lines: text }];
    });
    this.entries.splice(0, unread.length, ...read);
    this.gone(gone);
  }

  /** What the entry stands for, as far as `most` batches reach. */
  private async readUpTo(entry: Entry, behind: number, most: number): Promise<Entry[]> {
    const { member } = batchName(entry.id);
    const from = batchId({ lane: this.lane, member, n: behind, delayed: false });
    const found = await this.batches
      .find({ _id: { $gt: from, $lte: entry.id } }, { projection: { lines: 1, n: 1 } })
      .sort({ _id: 1 })
      .limit(most)
      .toArray();
    const last = found.at(-1);
    const isAll = found.length < most || last?._id === entry.id;
    const read = found.filter(({ _id }) => _id === entry.id || !this.known.has(_id)).map(({ _id, lines }) => ({ id: _id, lines, behind: null }));
    for (const { id } of read) this.known.add(id);
    if (!isAll) return [...read, { ...entry, behind: last!.n }];
    if (last?._id !== entry.id) this.gone([entry.id]);
    return read;
  }

  private gone(ids: readonly string[]): void {
    if (ids.length === 0) return;
    for (const id of ids) this.known.delete(id);
    void this.jobs.complete(this.lane, ids);
  }
}
