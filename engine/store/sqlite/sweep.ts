import type { Attempt } from './committer.ts';

/** Removes what is over its time, a little in each transaction: nobody waits for it. Returns what stops it. */
export function startSweep({
  sweeps,
  commit,
  now,
  everyMs,
}: {
  /** Each removes some, in the running transaction, and says whether there is more. */
  readonly sweeps: readonly ((now: number, attempt: Attempt) => boolean)[];
  readonly commit: (step: (attempt: Attempt) => void) => Promise<void>;
  readonly now: () => number;
  readonly everyMs: number;
}): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  const sweepAll = async (): Promise<void> => {
    for (const sweep of sweeps) {
      let more = true;
      while (more && !stopped) {
        await commit((attempt) => {
          more = sweep(now(), attempt);
        });
      }
    }
  };
  const next = (): void => {
    timer = setTimeout(() => {
      // A full disk is known by then: the next round tries again.
      sweepAll()
        .catch(() => {})
        .finally(() => {
          if (!stopped) next();
        });
    }, everyMs);
    timer.unref();
  };
  next();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
