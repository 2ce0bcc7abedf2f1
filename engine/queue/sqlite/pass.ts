/** One attempt at a transaction: what it does to memory happens after its commit, or never. */
export interface Pass {
  readonly now: number;
  /** Memory follows the file. */
  afterCommit(effect: () => void): void;
  /** After all effects: those who wait are served from what memory then says. */
  wake(waiters: () => void): void;
}
