import { localMs, utcMs, zoneOf } from '../zones.ts';
import { badRequest } from './errors.ts';

export const INTERVAL_TYPES = ['MILLISECONDS', 'WEEK', 'WEEK_ISO', 'MONTH', 'QUARTER'] as const;
export type IntervalType = (typeof INTERVAL_TYPES)[number];

const MAX_BUCKETS = 700;
const DAY_MS = 86_400_000;

export interface BucketRange {
  /** Inclusive, ms. */
  readonly startTs: number;
  /** Exclusive, ms. */
  readonly endTs: number;
  readonly intervalType: IntervalType;
  /** ms; only for MILLISECONDS. */
  readonly interval: number;
  /** IANA name; only for calendar types. */
  readonly timeZone: string;
}

/**
 * Where the buckets of an aggregation begin, ascending: the first at `startTs`, the last ends at `endTs`. Calendar intervals end at local midnight of the
 * week's first day (WEEK: Sunday, WEEK_ISO: Monday), of the month or quarter. @throws HttpError 400 above 700 buckets or for an unknown time zone.
 */
export function bucketStarts(range: BucketRange): number[] {
  const { startTs, endTs, interval, intervalType } = range;
  if (intervalType === 'MILLISECONDS') {
    // The limit counts intervals below a second as a second (recorded: specs rest-api §8).
    refuseAbove(Math.floor((endTs - startTs) / Math.max(interval, 1000)));
    const starts: number[] = [];
    for (let ts = startTs; ts < endTs; ts += interval) starts.push(ts);
    return starts;
  }
  const zone = knownZone(range.timeZone);
  const starts: number[] = [];
  for (let ts = startTs; ts < endTs; ts = nextBoundary(ts, intervalType, zone)) {
    starts.push(ts);
    refuseAbove(starts.length);
  }
  return starts;
}

function refuseAbove(count: number): void {
  if (count > MAX_BUCKETS)
    throw badRequest(
      `Number of intervals is to high - ${count}. Please increase 'interval' parameter for your query or reduce the time range of the query.`,
    );
}

/** Unix ms of the next start of a week, month or quarter after `ts`, in local time of the zone. */
function nextBoundary(ts: number, type: Exclude<IntervalType, 'MILLISECONDS'>, zone: Intl.DateTimeFormat): number {
  const local = new Date(localMs(ts, zone));
  const midnight = Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate());
  const next = (): number => {
    switch (type) {
      case 'WEEK':
        return midnight + (7 - local.getUTCDay()) * DAY_MS;
      case 'WEEK_ISO':
        return midnight + (7 - ((local.getUTCDay() + 6) % 7)) * DAY_MS;
      case 'MONTH':
        return Date.UTC(local.getUTCFullYear(), local.getUTCMonth() + 1);
      case 'QUARTER':
        return Date.UTC(local.getUTCFullYear(), local.getUTCMonth() - (local.getUTCMonth() % 3) + 3);
    }
  };
  return utcMs(next(), zone);
}

function knownZone(timeZone: string): Intl.DateTimeFormat {
  try {
    return zoneOf(timeZone);
  } catch {
    throw badRequest(`Unknown time-zone ID: ${timeZone}`);
  }
}
