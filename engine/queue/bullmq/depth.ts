import type { Collection } from 'mongodb';
import type { StoredBatch } from './batches.ts';
import type { StoredHeld } from './held.ts';
import type { StoredKept } from './kept.ts';

export interface DepthOptions {
  readonly batches: Collection<StoredBatch>;
  readonly held: Collection<StoredHeld>;
  readonly kept: Collection<StoredKept>;
  readonly lanes: number;
  readonly now: () => number;
  readonly member: () => string;
  /** Batches that are being worked on here, with their messages. */
  readonly out: () => readonly Out[];
  /** Held messages of a lane; null: the lane is not ours. */
  readonly heldOf: (lane: number) => number | null;
  readonly everyMs?: number;
}

export interface Out {
  readonly id: string;
  readonly delayed: boolean;
  readonly total: number;
}

interface Counts {
  messages: number;
  delayed: number;
}

interface Row {
  readonly _id: { readonly lane: number; readonly delayed: boolean };
  readonly n: number;
  readonly oldest: number;
}

/** Most batches that are told apart by their ids; with more of them under way the numbers are a little off until the next look. */
const MOST_OUT = 256;
/** Looks in a row that are not counted with: where so much goes on, the numbers need not be exact. */
const MOST_BLURRED = 5;

/**
 * How much waits, everywhere: looked up several times a second, and corrected by what this process has appended and done since. What is under way while the database
 * is asked would be counted twice or not at all, so it is left out there and counted here.
 */
export class Depth {
  private readonly options: Required<DepthOptions>;
  private base: Counts = { messages: 0, delayed: 0 };
  /** What has changed since the look that the base is from began. */
  private since: Counts = { messages: 0, delayed: 0 };
  /** What has changed since the look under way began. */
  private meanwhile: Counts = { messages: 0, delayed: 0 };
  /** Batches that were being worked on when it began. */
  private known: ReadonlySet<string> = new Set();
  /** Something was taken and done since it began: whether it was counted nobody knows. */
  private isBlurred = false;
  private blurredLooks = 0;
  private held: readonly number[] = [];
  private kept = 0;
  /** It has changed since the look under way began. */
  private isKeptBlurred = false;
  private blurredKept = 0;
  /** By lane, when the oldest batch that waits was appended. */
  private oldest: (number | null)[] = [];
  private appendedAt: number | null = null;
  /** Number of the last batch of this process that was dispatched. */
  private lastN = -1;
  private timer: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(options: DepthOptions) {
    this.options = { everyMs: 300, ...options };
  }

  /** Resolves after the first look. */
  async start(): Promise<void> {
    await this.look();
    this.next(this.options.everyMs);
  }

  appended(batches: readonly StoredBatch[]): void {
    for (const { dueAt, total, n, at } of batches) {
      this.change(dueAt !== null, total);
      this.lastN = Math.max(this.lastN, n);
      if (dueAt === null && this.appendedAt === null) this.appendedAt = at;
    }
  }

  done(batches: readonly Out[]): void {
    for (const { id, delayed, total } of batches) {
      this.change(delayed, -total);
      this.isBlurred ||= !this.known.has(id);
    }
  }

  keptChanged(by: number): void {
    this.kept += by;
    this.isKeptBlurred = true;
  }

  value(): { messages: number; held: number; delayed: number; kept: number; oldestMs: number } {
    const messages = Math.max(0, this.base.messages + this.since.messages);
    let held = 0;
    for (let lane = 0; lane < this.options.lanes; lane++) held += this.options.heldOf(lane) ?? this.held[lane] ?? 0;
    const oldest = Math.min(...this.oldest.map((at) => at ?? Number.POSITIVE_INFINITY), this.appendedAt ?? Number.POSITIVE_INFINITY);
    return {
      messages,
      held,
      delayed: Math.max(0, this.base.delayed + this.since.delayed),
      kept: this.kept,
      oldestMs: messages > 0 && Number.isFinite(oldest) ? Math.max(0, this.options.now() - oldest) : 0,
    };
  }

  /** When the oldest batch of the lane was appended, as of the last look. */
  oldestOf(lane: number): number | null {
    return this.oldest[lane] ?? null;
  }

  close(): void {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
  }

  private change(delayed: boolean, by: number): void {
    for (const counts of [this.since, this.meanwhile]) {
      if (delayed) counts.delayed += by;
      else counts.messages += by;
    }
  }

  private next(inMs: number): void {
    if (this.closed) return;
    this.timer = setTimeout(() => {
      const began = performance.now();
      // A server that is away is the monitor's to tell; the numbers are those of before.
      this.look()
        .catch(() => {})
        // Where it takes long, because much waits, it is not to take all there is.
        .finally(() => this.next(Math.max(this.options.everyMs, 10 * (performance.now() - began))));
    }, inMs);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    const { batches, held, kept, lanes, member, out } = this.options;
    const under = out();
    const known = under.length > MOST_OUT ? [] : under;
    this.known = new Set(known.map(({ id }) => id));
    this.meanwhile = { messages: 0, delayed: 0 };
    this.isBlurred = false;
    this.isKeptBlurred = false;
    const isOurs = {
      $or: [{ $in: ['$_id', [...this.known]] }, { $and: [{ $eq: ['$member', member()] }, { $gt: ['$n', this.lastN] }] }],
    };
    const [rows, heldRows, keptRows] = await Promise.all([
      batches
        .aggregate<Row>([
          { $project: { lane: 1, dueAt: 1, at: 1, member: 1, n: 1, total: 1 } },
          {
            $group: {
              _id: { lane: '$lane', delayed: { $ne: ['$dueAt', null] } },
              n: { $sum: { $cond: [isOurs, 0, '$total'] } },
              oldest: { $min: '$at' },
            },
          },
        ])
        .toArray(),
      held.aggregate<{ _id: number; n: number }>([{ $group: { _id: '$lane', n: { $sum: 1 } } }]).toArray(),
      kept.estimatedDocumentCount(),
    ]);
    const base = { messages: 0, delayed: 0 };
    this.oldest = Array.from({ length: lanes }, () => null);
    for (const { _id, n, oldest } of rows) {
      if (_id.delayed) base.delayed += n;
      else {
        base.messages += n;
        this.oldest[_id.lane] = oldest;
      }
    }
    for (const { delayed, total } of known) {
      if (delayed) base.delayed += total;
      else base.messages += total;
    }
    this.held = Array.from({ length: lanes }, (_, lane) => heldRows.find((row) => row._id === lane)?.n ?? 0);
    if (!this.isKeptBlurred || ++this.blurredKept >= MOST_BLURRED) {
      this.kept = keptRows;
      this.blurredKept = 0;
    }
    // The next look tells.
    this.appendedAt = null;
    if (this.isBlurred && ++this.blurredLooks < MOST_BLURRED) return;
    this.blurredLooks = 0;
    this.base = base;
    this.since = this.meanwhile;
    this.meanwhile = { messages: 0, delayed: 0 };
  }
}
