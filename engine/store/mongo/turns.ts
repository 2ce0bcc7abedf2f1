import { setTimeout as timer } from 'node:timers/promises';

export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

/** Resolves after the time, or when it is woken. Keeps no process alive. */
export const sleep: Sleep = async (ms, signal) => timer(ms, undefined, { signal, ref: false }).catch(() => {});

export interface TurnsOptions {
  /** Must not throw. */
  readonly turn: () => Promise<void>;
  readonly everyMs: number;
  readonly elapsed: () => number;
  readonly sleep: Sleep;
}

/** The same again and again, one after the other, at a fixed beat; at once when somebody asks for it, but at most ten times as often. */
export class Turns {
  private readonly options: TurnsOptions;
  private waiting: AbortController | null = null;
  private woken = false;
  private ended = false;
  private readonly loop: Promise<void>;

  constructor(options: TurnsOptions) {
    this.options = options;
    this.loop = this.run();
  }

  wake(): void {
    this.woken = true;
    this.waiting?.abort();
  }

  /** Resolves when the last one has ended. */
  async end(): Promise<void> {
    this.ended = true;
    this.wake();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { turn, everyMs, elapsed, sleep } = this.options;
    while (!this.ended) {
      const began = elapsed();
      await turn();
      await sleep(everyMs / 10);
      this.waiting = new AbortController();
      if (!this.woken) await sleep(Math.max(0, everyMs - (elapsed() - began)), this.waiting.signal);
      this.waiting = null;
      this.woken = false;
    }
  }
}
