import type { Collection } from 'mongodb';
import type { StoredBatch } from './batches.ts';
import type { Jobs } from './jobs.ts';
import type { Backlog } from './line.ts';
import type { Outbox } from './outbox.ts';

export interface RestoreOptions {
  readonly batches: Collection<StoredBatch>;
  readonly jobs: Jobs;
  readonly outbox: Outbox;
  readonly now: () => number;
  /** This process, as in `Transaction.member`. */
  readonly member: () => string;
  /** Members that have not been given up, this one too. */
  readonly living: () => Promise<Iterable<string>>;
  readonly bus: Bus;
}

/** Words to all processes, this one too, and to this one at once. */
export interface Bus {
  publish(topic: string, data: unknown): void;
  /** Returns the unsubscriber. */
  subscribe(topic: string, listener: (data: unknown) => void): () => void;
}

const ASK = 'dispatched?';
const ANSWER = 'dispatched!';

interface Answer {
  readonly member: string;
  /** Number of its last batch that was dispatched. */
  readonly n: number;
}

/** Who comes back after Redis was away is connected again within a second. */
const ANSWER_MS = 1500;
const ASK_AGAIN_MS = 250;
/** Of a member that does not answer: its transactions are over after this time, or nothing of it goes on. */
const SETTLED_MS = 10_000;
/** Batches that are looked up in Redis. */
const SUSPECTS = 512;
const FACTS = { lines: 0, counts: 0 } as const;

/**
 * After a lane was given or the connection to Redis was lost: does BullMQ have all that MongoDB has? A batch that its member is about to dispatch is no missing one: one
 * before it may not be seen yet, because its transaction is still under way. So the living are asked how far they are; of the dead all has been seen.
 */
export class Restore {
  private readonly options: RestoreOptions;
  private readonly answers = new Map<string, number>();
  private readonly unsubscribe: readonly (() => void)[];
  private asking: Promise<void> | null = null;
  private closed = false;

  constructor(options: RestoreOptions) {
    this.options = options;
    const { bus, member, outbox } = options;
    this.unsubscribe = [
      bus.subscribe(ASK, () => bus.publish(ANSWER, { member: member(), n: outbox.dispatchedUpTo() } satisfies Answer)),
      bus.subscribe(ANSWER, (data) => {
        const answer = data as Answer;
        this.answers.set(answer.member, answer.n);
      }),
    ];
  }

  /** Null: nothing is missing. Delayed batches that BullMQ lacks are added to it; all others are to be worked on from MongoDB, in the order in which they came. */
  async backlogOf(lane: number): Promise<Backlog | null> {
    const { batches, jobs, outbox, now, living } = this.options;
    const until = now();
    const suspects = await this.suspectsOf(lane);
    const missing = new Set(
      await jobs.missing(
        lane,
        suspects.map(({ _id }) => _id),
      ),
    );
    if (missing.size === 0) return null;
    const alive = new Set(await living());
    this.asking ??= this.ask(alive).finally(() => {
      this.asking = null;
    });
    await this.asking;
    const answers = new Map(this.answers);
    const backlog: Backlog = {
      until,
      isPartial: false,
      isOver({ member, n, at }) {
        const dispatched = answers.get(member);
        const isOver = !alive.has(member) || (dispatched === undefined ? at <= until - SETTLED_MS : n <= dispatched);
        backlog.isPartial ||= !isOver;
        return isOver;
      },
    };
    // Nearly always the rest is on its way.
    if (!suspects.some((batch) => missing.has(batch._id) && backlog.isOver(batch)) && !backlog.isPartial) return null;
    await outbox.addMissing(lane, batches.find({ lane, dueAt: { $ne: null } }, { projection: FACTS }), (batch) => backlog.isOver(batch));
    return backlog;
  }

  /** What is missing if anything is: a Redis that was stopped hard has lost what came last, one without its data everything. */
  private async suspectsOf(lane: number): Promise<StoredBatch[]> {
    const { batches } = this.options;
    const found = await Promise.all(
      [
        [{ lane, dueAt: null }, { at: -1, _id: -1 }, SUSPECTS] as const,
        [{ lane, dueAt: null }, { at: 1, _id: 1 }, 1] as const,
        [{ lane, dueAt: { $ne: null } }, { at: -1, _id: -1 }, SUSPECTS] as const,
        [{ lane, dueAt: { $ne: null } }, { dueAt: 1 }, 1] as const,
      ].map(([filter, sort, limit]) => batches.find(filter, { projection: FACTS }).sort(sort).limit(limit).toArray()),
    );
    return found.flat();
  }

  close(): void {
    this.closed = true;
    for (const unsubscribe of this.unsubscribe) unsubscribe();
  }

  private async ask(members: ReadonlySet<string>): Promise<void> {
    this.answers.clear();
    for (let waited = 0; waited < ANSWER_MS && !this.closed; waited += ASK_AGAIN_MS) {
      this.options.bus.publish(ASK, null);
      for (let ms = 0; ms < ASK_AGAIN_MS; ms += 10) {
        if ([...members].every((member) => this.answers.has(member))) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }
}
