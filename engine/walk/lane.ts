import { AppError, Duplicate, errorText, VersionConflict } from '#engine/errors.ts';
import type { Batch, Queue } from '#engine/queue.ts';
import { Work } from '#engine/work.ts';
import { bury } from './emit.ts';
import type { Runner } from './run.ts';

/** Times that a batch runs again because others wrote the same; each time at least one of them is through. */
const MOST_CONFLICTS = 20;

export interface LaneDeps {
  readonly queue: Pick<Queue, 'take' | 'giveBack'>;
  readonly runner: Runner;
  commit(work: Work): Promise<void>;
  newId(): string;
  now(): number;
  readonly log: { error(details: object, text: string): void; warn(details: object, text: string): void };
  /** Most messages of one batch. */
  readonly maxBatch?: number;
  /** Pause after the store could not make a batch durable, ms. */
  readonly pauseMs?: number;
}

export interface Lane {
  /** Since when nothing of the lane can be made durable and why; null: it works. */
  trouble(): { readonly since: number; readonly reason: string } | null;
  /** Resolves when the batch under way is finished. */
  stop(): Promise<void>;
}

/**
 * Works one lane: take, run, commit, and again. What arrives while a batch is under way is the next one. Nothing taken is ever dropped: a batch that can not be
 * made durable now goes back and comes again, one that can not be run is made smaller until the culprit stands alone and is a dead letter.
 */
export function workLane(lane: number, deps: LaneDeps): Lane {
  const { queue, runner, log, maxBatch = 512, pauseMs = 1000 } = deps;
  const stopping = new AbortController();
  let trouble: { since: number; reason: string } | null = null;

  const pause = async (cause: unknown): Promise<void> => {
    trouble = { since: trouble?.since ?? deps.now(), reason: errorText(cause) };
    log.warn({ lane, reason: trouble.reason }, 'a lane waits: nothing can be made durable');
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        stopping.signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, pauseMs);
      stopping.signal.addEventListener('abort', end);
      if (stopping.signal.aborted) end();
    });
  };

  /** The first `count` messages; the rest is held, which keeps their order, and comes again at once. */
  const workOn = async (batch: Batch, count: number): Promise<void> => {
    const work = await runner.run(count === batch.messages.length ? batch : { ...batch, messages: batch.messages.slice(0, count) });
    await commitPart(batch, count, work);
  };

  const commitPart = async (batch: Batch, count: number, work: Work): Promise<void> => {
    work.done.splice(0, work.done.length, batch);
    for (const message of batch.messages.slice(count)) work.held.push({ message, notBefore: deps.now() });
    await deps.commit(work);
  };

  const finish = async (batch: Batch): Promise<void> => {
    let conflicts = 0;
    for (let count = batch.messages.length; ; ) {
      try {
        await workOn(batch, count);
        return;
      } catch (cause) {
        // Another lane was faster with the same name or the same document: what it made is found now. Content that can never be stored comes to its turn below.
        if (isConflict(cause) && conflicts++ < MOST_CONFLICTS) continue;
        // A batch that was accounted already has no culprit in it: the queue finds out what of it is left.
        if (cause instanceof AppError && (cause.retry !== 'never' || cause.code === 'stale-batch')) throw cause;
        log.error({ lane, messages: count, err: cause }, count > 1 ? 'a batch failed and is made smaller' : 'a message can not be run');
        if (count > 1) {
          count = Math.ceil(count / 2);
          continue;
        }
        const culprit = batch.messages[0]!;
        const work = new Work();
        bury(work, culprit, errorText(cause), null, deps);
        await commitPart(batch, 1, work);
        return;
      }
    }
  };

  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let batch: Batch | null = null;
      try {
        batch = await queue.take(lane, maxBatch, stopping.signal);
        if (!batch) return; // stopped, or the queue is closed
        await finish(batch);
        trouble = null;
      } catch (cause) {
        if (batch) queue.giveBack(batch);
        if (!(cause instanceof AppError)) log.error({ lane, err: cause }, 'a lane failed');
        await pause(cause);
      }
    }
  };
  const ended = loop();
  return {
    trouble: () => trouble,
    stop() {
      stopping.abort();
      return ended;
    },
  };
}

const isConflict = (cause: unknown): boolean => cause instanceof Duplicate || cause instanceof VersionConflict;
