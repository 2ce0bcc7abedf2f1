/** How long things took: counts in buckets that grow by a fifth each, of the last five to ten minutes. */

/** Four buckets to the doubling: a quantile is at most 10 % off. */
const PER_DOUBLING = 4;
/** 1 µs to about 8 minutes. */
const BUCKETS = 29 * PER_DOUBLING;
const WINDOW_MS = 300_000;
const RATE_SLOT_MS = 10_000;
const RATE_SLOTS = 7;

/** Bucket and count, of those that have any: what processes tell each other. */
export type Buckets = readonly (readonly [bucket: number, count: number])[];

export class Times {
  private current = new Uint32Array(BUCKETS);
  private before = new Uint32Array(BUCKETS);
  private windowAt: number;
  private readonly slots = new Float64Array(RATE_SLOTS);
  private slot: number;
  private readonly since: number;
  /** Since the start of this process. */
  count = 0;
  totalMs = 0;

  /** @param now of a clock that only goes forward, ms. */
  constructor(now: number) {
    this.windowAt = now;
    this.slot = Math.floor(now / RATE_SLOT_MS);
    this.since = now;
  }

  /** `count` things that took `ms` each. */
  add(ms: number, count: number, now: number): void {
    this.turn(now);
    const bucket = ms <= 0.001 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log2(ms * 1000) * PER_DOUBLING));
    this.current[bucket]! += count;
    this.slots[this.slot % RATE_SLOTS]! += count;
    this.count += count;
    this.totalMs += ms * count;
  }

  /** Of the last minute. */
  perSecond(now: number): number {
    this.turn(now);
    let sum = 0;
    for (const each of this.slots) sum += each;
    const seconds = Math.min(now - this.since, (RATE_SLOTS - 1) * RATE_SLOT_MS + (now % RATE_SLOT_MS)) / 1000;
    return sum / Math.max(1, seconds);
  }

  buckets(now: number): Buckets {
    this.turn(now);
    const filled: [number, number][] = [];
    for (let i = 0; i < BUCKETS; i++) {
      const count = this.current[i]! + this.before[i]!;
      if (count > 0) filled.push([i, count]);
    }
    return filled;
  }

  private turn(now: number): void {
    const slot = Math.floor(now / RATE_SLOT_MS);
    if (slot > this.slot) {
      for (let passed = Math.max(this.slot + 1, slot - RATE_SLOTS + 1); passed <= slot; passed++) this.slots[passed % RATE_SLOTS] = 0;
      this.slot = slot;
    }
    if (now - this.windowAt < WINDOW_MS) return;
    const isOld = now - this.windowAt >= 2 * WINDOW_MS;
    this.before = isOld ? new Uint32Array(BUCKETS) : this.current;
    this.current = new Uint32Array(BUCKETS);
    this.windowAt = now;
  }
}

/** Milliseconds, of the buckets of several; null: nothing was counted. */
export function quantileOf(all: readonly Buckets[], q: number): number | null {
  const sums = new Map<number, number>();
  let total = 0;
  for (const buckets of all) {
    for (const [bucket, count] of buckets) {
      sums.set(bucket, (sums.get(bucket) ?? 0) + count);
      total += count;
    }
  }
  if (total === 0) return null;
  let seen = 0;
  for (const [bucket, count] of [...sums].sort(([a], [b]) => a - b)) {
    seen += count;
    // The middle of the bucket.
    if (seen >= q * total) return Math.round(2 ** ((bucket + 0.5) / PER_DOUBLING)) / 1000;
  }
  return null;
}
