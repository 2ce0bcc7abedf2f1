import { readSchedule, zoneName } from '#engine/alarm-rules/read.ts';
import type { Schedule } from '#engine/alarm-rules/rules.ts';
import { localMs, utcMs, zoneOf } from '#engine/zones.ts';
import type { Values } from './condition.ts';

/** When alarm rules are in force. */

const DAY_MS = 86_400_000;

/** An attribute of a device may hold the schedule, of the same type; what is none there leaves that of the rule in force. */
function inForce(schedule: Schedule, values: Values): Schedule {
  const value = schedule.dynamicValue && values.dynamic(schedule.dynamicValue);
  if (!value) return schedule;
  try {
    const dynamic = readSchedule(JSON.parse(String(value.value)), 'schedule');
    return dynamic.type === schedule.type ? dynamic : schedule;
  } catch {
    return schedule;
  }
}

/** @param ts Unix ms */
export function isInForce(schedule: Schedule | null, ts: number, values: Values): boolean {
  if (!schedule || schedule.type === 'ANY_TIME') return true;
  const now = inForce(schedule, values);
  if (now.type === 'ANY_TIME') return true;
  const zone = zoneOf(zoneName(now.timezone));
  const local = localMs(ts, zone);
  const day = new Date(local).getUTCDay() || 7;
  // What has passed of the day, which the change of summer time makes shorter or longer than the clock on the wall says.
  const passed = ts - utcMs(Math.floor(local / DAY_MS) * DAY_MS, zone);
  if (now.type === 'SPECIFIC_TIME') return now.daysOfWeek.includes(day) && isWithin(passed, now);
  const item = now.items.find(({ dayOfWeek }) => dayOfWeek === day);
  return item?.enabled === true && isWithin(passed, item);
}

function isWithin(passed: number, { startsOn, endsOn }: { readonly startsOn: number; readonly endsOn: number }): boolean {
  const end = endsOn === 0 ? DAY_MS : endsOn;
  if (startsOn <= end) return startsOn <= passed && passed < end;
  return startsOn < passed || (0 < passed && passed < end);
}
