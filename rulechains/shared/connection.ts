import { Timeout } from '#engine/errors.ts';

/** What a node keeps open: made by the first message that needs it, shared by all, made again after it broke, closed by the node's `stop`. */
export interface Connection<T> {
  /** @throws what opening threw; the next call tries again. */
  use(signal?: AbortSignal): Promise<T>;
  /** It broke: the next `use` opens another. Of one that was replaced already it means nothing. */
  lost(broken: T): void;
  stop(): void;
}

/** @param open is given a signal that aborts when the node stops. */
export function connection<T extends object>(open: (signal: AbortSignal) => Promise<T>, close: (value: T) => unknown): Connection<T> {
  const stopped = new AbortController();
  let current: { readonly opening: Promise<T>; value?: T } | null = null;

  const end = (value: T): void => {
    // Nobody waits for it, and a peer that is gone can not be taken leave of.
    Promise.resolve()
      .then(() => close(value))
      .catch(() => {});
  };

  function opened(): Promise<T> {
    if (current) return current.opening;
    const mine: { opening: Promise<T>; value?: T } = { opening: open(stopped.signal) };
    current = mine;
    mine.opening.then(
      (value) => {
        mine.value = value;
        if (stopped.signal.aborted) end(value);
      },
      () => {
        if (current === mine) current = null;
      },
    );
    return mine.opening;
  }

  return {
    async use(signal) {
      if (stopped.signal.aborted) throw new Timeout('The node was stopped');
      return signal ? abortable(opened(), signal) : opened();
    },
    lost(broken) {
      if (current?.value !== broken) return;
      current = null;
      end(broken);
    },
    stop() {
      stopped.abort(new Timeout('The node was stopped'));
      if (current?.value) end(current.value);
      current = null;
    },
  };
}

/** One who waits may give up; what others wait for goes on. @throws Timeout */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Timeout('Stopped while connecting', { cause: signal.reason }));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
