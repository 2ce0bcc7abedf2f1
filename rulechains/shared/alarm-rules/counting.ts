import type { Spec } from '#engine/alarm-rules/rules.ts';
import { required, type Values } from './condition.ts';

/** How often and how long a condition has to hold before it counts. */

export interface Count {
  /** Messages for which the condition held. */
  readonly events: number;
  /** Time of the last of them; 0: none. */
  readonly lastTs: number;
  /** From the first to the last of them, ms. */
  readonly duration: number;
  /** The rule came true by the clock alone, after the last message. */
  readonly fired: boolean;
}
export const NOTHING: Count = Object.freeze({ events: 0, lastTs: 0, duration: 0, fired: false });

export type Verdict = 'true' | 'not yet' | 'false';

const UNIT_MS: Readonly<Record<string, number>> = {
  NANOSECONDS: 1e-6,
  MICROSECONDS: 1e-3,
  MILLISECONDS: 1,
  SECONDS: 1000,
  MINUTES: 60_000,
  HOURS: 3_600_000,
  DAYS: 86_400_000,
};

type Duration = Extract<Spec, { type: 'DURATION' }>;

/** ms */
export const requiredMs = ({ unit, predicate }: Duration, values: Values): number => Math.trunc(required(predicate, values) * UNIT_MS[unit]!);

/** A message came at `ts` (its own time). @param isMet the condition holds and the rule is in force */
export function counted(spec: Spec, count: Count, isMet: boolean, ts: number, values: Values): { verdict: Verdict; count: Count } {
  if (!isMet) return { verdict: 'false', count };
  switch (spec.type) {
    case 'SIMPLE':
      return { verdict: 'true', count };
    case 'REPEATING': {
      const events = count.events + 1;
      return { verdict: events >= required(spec.predicate, values) ? 'true' : 'not yet', count: { ...count, events } };
    }
    case 'DURATION': {
      const next = lasting(count, ts);
      return { verdict: next.duration > requiredMs(spec, values) ? 'true' : 'not yet', count: next };
    }
  }
}

function lasting(count: Count, ts: number): Count {
  if (count.lastTs === 0) return { ...count, lastTs: ts, duration: 0, fired: false };
  return ts > count.lastTs ? { ...count, lastTs: ts, duration: count.duration + (ts - count.lastTs) } : count;
}

/** No message came; the clock shows `now`. @param isInForce the rule is */
export function elapsed(spec: Spec, count: Count, isInForce: boolean, now: number, values: Values): { verdict: Verdict; duration: number } {
  if (spec.type !== 'DURATION' || count.lastTs === 0) return { verdict: 'not yet', duration: 0 };
  const duration = count.duration + Math.max(0, now - count.lastTs);
  if (!isInForce) return { verdict: 'false', duration };
  const requiredDuration = requiredMs(spec, values);
  return { verdict: requiredDuration > 0 && duration > requiredDuration ? 'true' : 'not yet', duration };
}

/** When the clock alone makes it true; null: it waits for a message. */
export function dueAt(spec: Spec, count: Count, values: Values): number | null {
  if (spec.type !== 'DURATION' || count.lastTs === 0 || count.fired) return null;
  const needed = requiredMs(spec, values);
  const missing = needed - count.duration;
  return needed <= 0 || missing < 0 ? null : count.lastTs + missing + 1;
}
