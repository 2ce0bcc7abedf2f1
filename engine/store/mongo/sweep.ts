/** Removes what is over its time and no index removes, a little at a time; any number of processes at once. Returns what stops it. */
export function startSweep({
  sweeps,
  everyMs,
}: {
  /** Each removes some, and says `true` when there is more. */
  readonly sweeps: readonly (() => Promise<unknown>)[];
  readonly everyMs: number;
}): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  const sweepAll = async (): Promise<void> => {
    for (const sweep of sweeps) while (!stopped && (await sweep()) === true);
  };
  const next = (): void => {
    timer = setTimeout(() => {
      // MongoDB is away, which the monitor says: the next round tries again.
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
