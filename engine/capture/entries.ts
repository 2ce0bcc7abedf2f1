import type { CaptureRecord } from './records.ts';
import type { Ring } from './rings.ts';

/** What is captured and not written yet: references, with an estimate of what they hold. */
export interface Entry {
  /** Of its records, about. */
  readonly bytes: number;
  readonly size: number;
  /** Puts the record `i` of it, when its ring still has room for it. */
  write(i: number, sink: Sink): void;
}

export interface Sink {
  wants(ring: Ring, mark: number): boolean;
  put(ring: Ring, record: CaptureRecord): void;
  newId(): string;
}
