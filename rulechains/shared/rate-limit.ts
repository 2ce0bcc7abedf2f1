interface Bucket {
  /** Left of each limit at `at`. */
  tokens: number[];
  at: number;
  /** What was let through last: the same asked again (its batch runs a second time) is let through again. */
  last: string;
}

export interface RateLimit {
  /** @param what names the one thing that is asked about. */
  allows(key: string, what: string, now: number): boolean;
}

const MOST_KEYS = 100_000;

/** Token buckets of each key, filled steadily. @param spec `count:seconds`, separated by commas; all must hold. */
export function rateLimit(spec: string): RateLimit {
  const limits = spec.split(',').map((limit) => limit.split(':').map(Number) as [count: number, seconds: number]);
  const longestMs = Math.max(...limits.map(([, seconds]) => seconds)) * 1000;
  const buckets = new Map<string, Bucket>();
  const full = (now: number): Bucket => ({ tokens: limits.map(([count]) => count), at: now, last: '' });

  return {
    allows(key, what, now) {
      const bucket = buckets.get(key) ?? full(now);
      if (bucket.last === what) return true;
      const passed = Math.max(0, now - bucket.at) / 1000;
      bucket.tokens = limits.map(([count, seconds], index) => Math.min(count, bucket.tokens[index]! + (passed * count) / seconds));
      bucket.at = Math.max(bucket.at, now);
      // In order of their last question: the oldest are the first to be full, and forgotten.
      buckets.delete(key);
      buckets.set(key, bucket);
      for (const [oldest, { at }] of buckets) {
        if (buckets.size <= MOST_KEYS && now - at < longestMs) break;
        buckets.delete(oldest);
      }
      // What was added up of parts may be a hair under one.
      if (bucket.tokens.some((tokens) => tokens < 1 - 1e-9)) return false;
      bucket.tokens = bucket.tokens.map((tokens) => tokens - 1);
      bucket.last = what;
      return true;
    },
  };
}
