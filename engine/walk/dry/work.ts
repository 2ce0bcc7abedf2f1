import type { NodeInfo } from '#engine/node.ts';
import { Work } from '#engine/work.ts';
import type { OutsideBody } from './effects.ts';

/** What a node would have done outside of the store. */
export interface Outside {
  readonly node: NodeInfo;
  readonly body: OutsideBody;
}

/** The one unit of work of a dry run: all of its walks write into it and read from it, and nobody commits it. */
export class DryWork extends Work {
  /** A list like all others: what is taken back from the work is taken back from here too. */
  readonly outside: Outside[] = [];
  private readonly waiting: (() => void)[] = [];

  override afterCommit(callback: () => void): void {
    this.waiting.push(callback);
  }

  /** Goes on as if everything so far were durable. */
  release(): void {
    for (const callback of this.waiting.splice(0)) callback();
  }

  /** What is made beside the walks comes in too. */
  add(other: Work): void {
    const own = this as unknown as Record<string, unknown[]>;
    for (const [list, entries] of Object.entries(other)) if (Array.isArray(entries)) own[list]?.push(...entries);
  }
}
