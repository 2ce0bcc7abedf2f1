import type { ClientSession } from 'mongodb';
import type { Change } from '#engine/queue.ts';
import type { Work } from '#engine/work.ts';

/** A job that BullMQ is to dispatch; what it stands for is in MongoDB already. */
export interface Dispatch {
  /** Name of the BullMQ queue: `lane-3`, `downlinks-ID`. */
  readonly queue: string;
  /** Unique in its queue, without `:`. Adding it again changes nothing while it is there. */
  readonly jobId: string;
  readonly data: unknown;
  /** Not before then, Unix ms; null: now. */
  readonly dueAt: number | null;
}

/** One attempt at a transaction: what it does to memory and to Redis happens after the commit, or never. */
export interface Transaction {
  /** To be passed to every operation. One operation at a time: a MongoDB session takes no more. */
  readonly session: ClientSession;
  readonly now: number;
  /**
   * Grows with every group of works of this process, in the order in which the groups are dispatched and answered, and stays what it is when a transaction is
   * written again: so that what has an order keeps it whichever transaction ends first. Unix ms or a little more, so that it goes on after a restart.
   */
  readonly order: number;
  /** Member id of this process (`processes`): whose outbox the jobs are in until they are dispatched. */
  readonly member: string;
  /** Of the transactions of a member that are under way at a time each has its own: what all of them write (counters) is kept apart by it. */
  readonly slot: number;
  /** Documents that were saved or removed, for `Backend.onChange`. */
  readonly changes: Change[];
  /** After the commit, and before the dispatch. In order; must not throw. */
  afterCommit(effect: () => void): void;
  /** Added to BullMQ after the commit, in order, before anybody is answered. */
  dispatch(job: Dispatch): void;
}

/** What one part of the store or queue writes of a group of works: once for all of them, in as few operations as it can. */
export interface Part {
  /** @throws AppError with retry `never` when the content of a work is refused; `Again` when the whole transaction has to be written anew, otherwise. */
  write(works: readonly Work[], transaction: Transaction): Promise<void>;
}

/**
 * A step of the backend itself (what is over its time, what is replaced): written with the works of its group, before their parts, and with a fate of its own like
 * theirs. Called again on every attempt: what it remembers of itself happens by `transaction.afterCommit`.
 */
export type Step = (transaction: Transaction) => Promise<void>;

/** The quick way of writing did not do and its part knows now which way does: the transaction is to be written again. */
export class Again extends Error {}
