import { type Json, printJson } from '#engine/json.ts';
import { type Aggregate, type Aggregation, add, result } from './aggregation.ts';
import type { Interval, IntervalOf } from './periods.ts';

/** The intervals of one originator at an "aggregate stream" node. All of it is JSON: it is remembered with the message that changed it, and outlives a restart. */

export const POLICIES = ['ON_EACH_MESSAGE', 'ON_EACH_CHECK', 'ON_EACH_CHECK_AFTER_INTERVAL_END'] as const;
export type Policy = (typeof POLICIES)[number];

export interface Settings {
  readonly fn: Aggregation;
  readonly policy: Policy;
  readonly intervalOf: IntervalOf;
  readonly checkMs: number;
  /** How long after its end an interval takes late values and gives its result again. */
  readonly ttlMs: number;
}

interface Open extends Aggregate {
  end: number;
  /** Changed since its result was given. */
  changed: boolean;
}

export interface Stream {
  fn: Aggregation;
  /** By start, Unix ms. */
  open: Record<string, Open>;
  /** When it is looked at next. */
  due: number | null;
  /** Up to which interval the silent ones were filled, and which after it had their result already. */
  filled: number | null;
  done: number[];
}

export interface Reported {
  /** Start of the interval. */
  readonly ts: number;
  readonly value: Json;
}

/** A device whose clock jumps opens no more than these. */
const MOST_OPEN = 1000;

/** What was remembered; a function that was changed since begins anew. */
export function toStream(remembered: unknown, fn: Aggregation): Stream {
  const stream = remembered as Stream | null;
  return stream?.fn === fn ? stream : { fn, open: {}, due: null, filled: null, done: [] };
}

/** Takes a value in. Gives the interval's result where every message gives one. @throws Error for a value that is no number; nothing is changed then. */
export function take(stream: Stream, ts: number, value: Json, now: number, settings: Settings): Reported | null {
  const interval = settings.intervalOf(ts);
  const open = stream.open[interval.start];
  // Too late for its interval.
  if (!open && interval.end + settings.ttlMs <= now) return null;
  if (!open && Object.keys(stream.open).length >= MOST_OPEN)
    throw new Error(`More than ${MOST_OPEN} intervals are open: is the clock of the originator right?`);
  const added = { ...add(settings.fn, open ?? { n: 0 }, value), end: interval.end, changed: settings.policy !== 'ON_EACH_MESSAGE' };
  stream.open[interval.start] = added;
  return settings.policy === 'ON_EACH_MESSAGE' ? { ts: interval.start, value: result(settings.fn, added) } : null;
}

/** Opens the intervals of a silent originator from the last filled one on, so that they give what comes of no value. */
export function fill(stream: Stream, now: number, settings: Settings): void {
  const current = settings.intervalOf(now);
  const missing: Interval[] = [];
  for (let at = current; stream.filled !== null && at.start > stream.filled && missing.length < MOST_OPEN; at = settings.intervalOf(at.start - 1))
    missing.push(at);
  if (stream.filled === null) missing.push(current);
  for (const { start, end } of missing) if (!stream.open[start] && !stream.done.includes(start)) stream.open[start] = { n: 0, end, changed: true };
  stream.filled = current.start;
  stream.done = stream.done.filter((start) => start > current.start);
}

/** The results that are due; intervals that nothing can change any more are closed. */
export function report(stream: Stream, now: number, { fn, policy, ttlMs }: Settings): Reported[] {
  const reports: Reported[] = [];
  for (const [key, open] of Object.entries(stream.open)) {
    const start = Number(key);
    const isOver = open.end <= now;
    if (open.changed && (isOver || policy === 'ON_EACH_CHECK')) {
      reports.push({ ts: start, value: result(fn, open) });
      open.changed = false;
    }
    if (!isOver || open.end + ttlMs > now) continue;
    delete stream.open[key];
    if (stream.filled !== null && start > stream.filled) stream.done.push(start);
  }
  return reports.sort((a, b) => a.ts - b.ts);
}

/** When there is something to report or to close; null: not before another message. */
export function nextCheck(stream: Stream, now: number, { policy, checkMs, ttlMs }: Settings): number | null {
  let at = Number.POSITIVE_INFINITY;
  const checkAfter = (ts: number): number => (Math.floor(ts / checkMs) + 1) * checkMs;
  for (const open of Object.values(stream.open)) {
    const next = open.changed ? (policy === 'ON_EACH_CHECK' ? now : open.end) : open.end + ttlMs;
    at = Math.min(at, checkAfter(Math.max(next, now)));
  }
  return Number.isFinite(at) ? at : null;
}

export const reportData = (key: string, { value }: Reported): string => printJson({ [key]: value });
export const reportMetadata = ({ ts }: Reported): Record<string, string> => ({ ts: String(ts), overwriteValue: 'true' });
