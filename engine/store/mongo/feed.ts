import type { Collection, Db } from 'mongodb';
import type { Bus } from '#engine/queue/bullmq/bus.ts';
import type { Change } from '#engine/queue.ts';
import type { Work } from '#engine/work.ts';
import { isUnavailable } from './errors.ts';
import type { Part, Transaction } from './transaction.ts';
import { type Sleep, sleep, Turns } from './turns.ts';

/** `changes`: what one transaction has saved or removed, for an hour (TTL on `at`). */
export interface ChangesDoc {
  readonly _id: string;
  /** By the clock of the MongoDB server, when the transaction was under way. */
  readonly at: Date;
  readonly changes: readonly Change[];
}

export interface FeedOptions {
  readonly db: Pick<Db, 'command'>;
  readonly changes: Collection<ChangesDoc>;
  readonly bus: Bus;
  /** Member id of this process now. */
  readonly member: () => string;
  /** What others have changed. */
  readonly onChanges: (changes: readonly Change[]) => void;
  /** We were away for longer than changes are kept: anything may have changed. */
  readonly onResync: () => void;
  readonly now?: () => number;
  readonly sleep?: Sleep;
  readonly pollMs?: number;
  /**
   * How far a look reaches back behind the last one: a transaction shows what it wrote when it commits (within a minute), and after a failover another clock goes on
   * (a minute off).
   */
  readonly overlapMs?: number;
  /** How long changes are kept. */
  readonly keptMs?: number;
  readonly onProblem?: (cause: unknown) => void;
}

const TOPIC = 'feed';
/** Of one document: far below the 16 MB that one may have. */
const MOST_CHANGES = 5000;
const MOST_READ = 500;

/**
 * Changes of documents from process to process: written in the transaction that makes them, so that none is lost; told over the bus at once; and looked for every few
 * seconds, for what the bus has lost.
 */
export class Feed implements Part {
  private readonly options: Required<FeedOptions>;
  /** Documents that need not be told any more: our own, and what the bus or a look has told. When each was, by the server's clock. */
  private readonly known = new Map<string, number>();
  /** The documents in which changes of ours are. */
  private readonly idsOf = new WeakMap<readonly Change[], readonly string[]>();
  private number = 0;
  /** Clock of the MongoDB server minus ours. */
  private aheadMs = 0;
  /** Up to where all is known but for what an overlap has still to show; by the server's clock. */
  private lookedAt = 0;
  private turns: Turns | null = null;
  private readonly unsubscribe: () => void;

  constructor(options: FeedOptions) {
    const { now = Date.now, pollMs = 5000, overlapMs = 150_000, keptMs = 3_600_000, onProblem = () => {} } = options;
    this.options = { ...options, sleep: options.sleep ?? sleep, now, pollMs, overlapMs, keptMs, onProblem };
    this.unsubscribe = options.bus.subscribe(TOPIC, (data) => this.heard(data));
  }

  /** From now on; before anything is read that should be kept up to date. @throws MongoError */
  async start(): Promise<void> {
    this.lookedAt = await this.serverTime();
    for await (const { _id, at } of this.recent(this.lookedAt)) this.known.set(_id, at.getTime());
    const { pollMs: everyMs, sleep } = this.options;
    // MongoDB is away: the next look reaches back to the last one.
    const turn = () =>
      this.look().catch((cause) => {
        if (!isUnavailable(cause)) this.options.onProblem(cause);
      });
    this.turns = new Turns({ turn, everyMs, elapsed: () => performance.now(), sleep });
  }

  /** After the parts that change documents. */
  async write(_works: readonly Work[], { session, member, changes, afterCommit }: Transaction): Promise<void> {
    if (changes.length === 0) return;
    const at = this.options.now() + this.aheadMs;
    const docs: ChangesDoc[] = [];
    for (let from = 0; from < changes.length; from += MOST_CHANGES) {
      docs.push({ _id: `${member}.${++this.number}`, at: new Date(at), changes: changes.slice(from, from + MOST_CHANGES) });
    }
    await this.options.changes.insertMany(docs, { session });
    this.idsOf.set(
      changes,
      docs.map(({ _id }) => _id),
    );
    afterCommit(() => {
      for (const { _id } of docs) this.known.set(_id, at);
    });
  }

  /** After the commit. @param changes those of the transaction, the same array. */
  publish(changes: readonly Change[]): void {
    this.options.bus.publish(TOPIC, { ids: this.idsOf.get(changes) ?? [], changes }, this.options.member());
  }

  async close(): Promise<void> {
    this.unsubscribe();
    await this.turns?.end();
  }

  private async look(): Promise<void> {
    const { changes, keptMs, overlapMs, onResync } = this.options;
    const at = await this.serverTime();
    const missed: string[] = [];
    const before = this.lookedAt;
    for await (const { _id } of this.recent(before)) if (!this.known.has(_id)) missed.push(_id);
    // What was written before the last look, and has shown itself since, must still be there.
    const resync = at - before > keptMs - overlapMs;
    for (let from = 0; !resync && from < missed.length; from += MOST_READ) {
      const docs = await changes
        .find({ _id: { $in: missed.slice(from, from + MOST_READ) } })
        .sort({ at: 1 })
        .toArray();
      for (const { _id, at: when, changes } of docs) this.tell([_id], when.getTime(), changes);
    }
    if (resync) {
      for (const id of missed) this.known.set(id, at);
      onResync();
    }
    this.lookedAt = at;
    for (const [id, when] of this.known) if (when < at - 2 * overlapMs) this.known.delete(id);
  }

  private recent(since: number) {
    return this.options.changes.find({ at: { $gte: new Date(since - this.options.overlapMs) } }, { projection: { _id: 1, at: 1 } });
  }

  private async serverTime(): Promise<number> {
    const before = this.options.now();
    const { localTime } = await this.options.db.command({ hello: 1 });
    const time = (localTime as Date).getTime();
    this.aheadMs = time - before;
    return time;
  }

  /** Our own words too: the listeners of this process have been told of those, and they are known. */
  private heard(data: unknown): void {
    const word = data as { ids?: unknown; changes?: unknown } | null;
    if (!isTexts(word?.ids) || !isChanges(word?.changes)) return;
    this.tell(word.ids, this.options.now() + this.aheadMs, word.changes);
  }

  private tell(ids: readonly string[], at: number, changes: readonly Change[]): void {
    if (ids.length > 0 && ids.every((id) => this.known.has(id))) return;
    for (const id of ids) this.known.set(id, at);
    this.options.onChanges(changes);
  }
}

const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((each) => typeof each === 'string');

const isChanges = (value: unknown): value is Change[] =>
  Array.isArray(value) &&
  value.every((each) => {
    const change = each as Record<keyof Change, unknown> | null;
    return (
      typeof change?.collection === 'string' &&
      typeof change.tenantId === 'string' &&
      typeof change.id === 'string' &&
      typeof change.removed === 'boolean'
    );
  });
