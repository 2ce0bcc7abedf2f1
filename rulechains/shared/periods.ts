import { Type } from 'typebox';
import { localMs, utcMs, zoneOf } from '#engine/zones.ts';
import { nullable } from './fields.ts';

/** Lengths of time and calendar intervals of the analytics nodes (specs: rule-nodes §3.8). */

const UNITS: Readonly<Record<string, number>> = { MILLISECONDS: 1, SECONDS: 1000, MINUTES: 60_000, HOURS: 3_600_000, DAYS: 86_400_000 };
export const MINUTE_MS = UNITS['MINUTES']!;
const HOUR_MS = UNITS['HOURS']!;
const DAY_MS = UNITS['DAYS']!;

export const timeUnit = (title: string) =>
  nullable(Type.Enum(['MILLISECONDS', 'SECONDS', 'MINUTES', 'HOURS', 'DAYS']), { title, description: 'Of the number beside it.' });

export const periodMs = (unit: string | null, value: number): number => (UNITS[unit ?? ''] ?? MINUTE_MS) * value;

export const INTERVAL_TYPES = ['HOUR', 'DAY', 'WEEK', 'WEEK_SUN_SAT', 'MONTH', 'YEAR', 'CUSTOM'] as const;

export interface Interval {
  /** Inclusive, Unix ms. */
  readonly start: number;
  /** Exclusive, Unix ms. */
  readonly end: number;
}
export type IntervalOf = (ts: number) => Interval;

/**
 * Intervals of one length, from 1970 on, or those of the calendar in a time zone.
 * @throws Error for a length that is none, and for an unknown time zone.
 */
export function intervals(type: (typeof INTERVAL_TYPES)[number] | null, lengthMs: number, timeZone: string | null): IntervalOf {
  if (type === null || type === 'CUSTOM') {
    if (!(lengthMs > 0)) throw new Error('Aggregation interval should be greater than 0!');
    return (ts) => {
      const start = Math.floor(ts / lengthMs) * lengthMs;
      return { start, end: start + lengthMs };
    };
  }
  const zone = knownZone(timeZone || 'UTC');
  if (type === 'HOUR')
    return (ts) => {
      // Within the hour of the wall clock: the hour that comes twice in autumn is two.
      const start = ts - (localMs(ts, zone) % HOUR_MS);
      return { start, end: start + HOUR_MS };
    };
  return (ts) => {
    const [start, end] = calendar(new Date(localMs(ts, zone)), type);
    return { start: utcMs(start, zone), end: utcMs(end, zone) };
  };
}

/** By the wall clock. */
function calendar(local: Date, type: 'DAY' | 'WEEK' | 'WEEK_SUN_SAT' | 'MONTH' | 'YEAR'): [start: number, end: number] {
  const [year, month] = [local.getUTCFullYear(), local.getUTCMonth()];
  const midnight = Date.UTC(year, month, local.getUTCDate());
  const since = (days: number, length: number): [number, number] => [midnight - days * DAY_MS, midnight + (length - days) * DAY_MS];
  switch (type) {
    case 'DAY':
      return since(0, 1);
    case 'WEEK':
      return since((local.getUTCDay() + 6) % 7, 7);
    case 'WEEK_SUN_SAT':
      return since(local.getUTCDay(), 7);
    case 'MONTH':
      return [Date.UTC(year, month), Date.UTC(year, month + 1)];
    case 'YEAR':
      return [Date.UTC(year, 0), Date.UTC(year + 1, 0)];
  }
}

function knownZone(timeZone: string): Intl.DateTimeFormat {
  try {
    return zoneOf(timeZone);
  } catch (cause) {
    throw new Error(`Unknown time-zone ID: ${timeZone}`, { cause });
  }
}
