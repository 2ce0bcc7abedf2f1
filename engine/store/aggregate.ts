import { AppError } from '#engine/errors.ts';
import type { Value } from '#engine/json.ts';
import type { Aggregation, Point } from '#engine/store.ts';

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

/** Sums 64-bit integers exactly; as plain numbers while they are small, which is nearly always. */
class LongSum {
  private small = 0;
  private large = 0n;

  add(value: number | bigint): void {
    if (typeof value === 'bigint') this.large += value;
    else {
      const next = this.small + value;
      if (Number.isSafeInteger(next)) this.small = next;
      else {
        this.large += BigInt(this.small) + BigInt(value);
        this.small = 0;
      }
    }
  }

  total(): bigint {
    const total = this.large + BigInt(this.small);
    // The original's database refuses too (specs: rest-api §8, 2.15).
    if (total < LONG_MIN || total > LONG_MAX) throw new AppError('overflow', 'never', 'The sum is beyond 64 bits', {});
    return total;
  }
}

const toLong = (value: bigint): Value => ({
  type: 'LONG',
  value: value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value,
});

/** What one bucket of one key has seen. Semantics: specs rest-api §2.15 and its corrections in §8. */
export class Bucket {
  private readonly aggregation: Aggregation;
  private readonly counts = { BOOLEAN: 0, LONG: 0, DOUBLE: 0, STRING: 0, JSON: 0 };
  private readonly longs = new LongSum();
  private doubles = 0;
  private long: number | bigint | null = null;
  private double: number | null = null;
  private text: string | null = null;

  constructor(aggregation: Aggregation) {
    this.aggregation = aggregation;
  }

  add(value: Value): void {
    this.counts[value.type]++;
    const sums = this.aggregation === 'SUM' || this.aggregation === 'AVG';
    if (value.type === 'LONG') {
      if (sums) this.longs.add(value.value);
      else if (this.long === null || this.better(value.value, this.long)) this.long = value.value;
    } else if (value.type === 'DOUBLE') {
      if (sums) this.doubles += value.value;
      else if (this.double === null || this.better(value.value, this.double)) this.double = value.value;
    } else if (value.type === 'STRING') {
      if (this.text === null || this.better(value.value, this.text)) this.text = value.value;
    }
  }

  private better<T extends number | bigint | string>(value: T, than: T): boolean {
    return this.aggregation === 'MAX' ? value > than : value < than;
  }

  /** null: nothing to show (no rows, or only values that have no order). */
  result(): Value | null {
    const { counts } = this;
    const numbers = counts.LONG + counts.DOUBLE;
    switch (this.aggregation) {
      case 'COUNT':
        // A key whose type changed counts one type only, as the original does.
        return { type: 'LONG', value: counts.BOOLEAN || counts.STRING || counts.JSON || numbers };
      case 'SUM':
        return counts.DOUBLE > 0 ? { type: 'DOUBLE', value: this.doubles + Number(this.longs.total()) } : toLong(this.longs.total());
      case 'AVG':
        return { type: 'DOUBLE', value: numbers === 0 ? 0 : (this.doubles + Number(this.longs.total())) / numbers };
      default:
        return this.extreme();
    }
  }

  private extreme(): Value | null {
    if (this.text !== null) return { type: 'STRING', value: this.text };
    if (this.double === null) return this.long === null ? null : { type: 'LONG', value: this.long };
    if (this.long === null) return { type: 'DOUBLE', value: this.double };
    return { type: 'DOUBLE', value: this.better(this.long, this.double) ? Number(this.long) : this.double };
  }
}

/** Buckets of one key, filled in any order. `starts` ascend; the last bucket ends at `endTs`. */
export class Buckets {
  private readonly starts: readonly number[];
  private readonly endTs: number;
  private readonly aggregation: Aggregation;
  private readonly buckets = new Map<number, Bucket>();

  constructor(starts: readonly number[], endTs: number, aggregation: Aggregation) {
    this.starts = starts;
    this.endTs = endTs;
    this.aggregation = aggregation;
  }

  add(ts: number, value: Value): void {
    const index = this.indexOf(ts);
    if (index < 0) return;
    let bucket = this.buckets.get(index);
    if (!bucket) {
      bucket = new Bucket(this.aggregation);
      this.buckets.set(index, bucket);
    }
    bucket.add(value);
  }

  points(): Point[] {
    const points: Point[] = [];
    for (const index of [...this.buckets.keys()].sort((a, b) => a - b)) {
      const value = this.buckets.get(index)!.result();
      const start = this.starts[index]!;
      const end = this.starts[index + 1] ?? this.endTs;
      if (value) points.push({ ts: start + Math.floor((end - start) / 2), value });
    }
    return points;
  }

  private indexOf(ts: number): number {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle]! <= ts) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
