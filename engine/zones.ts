/** Wall clocks of time zones. */

const ZONES = new Map<string, Intl.DateTimeFormat>();

/** @throws RangeError for a zone that nobody knows. */
export function zoneOf(timeZone: string): Intl.DateTimeFormat {
  let zone = ZONES.get(timeZone);
  if (!zone) {
    zone = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    ZONES.set(timeZone, zone);
  }
  return zone;
}

/** Wall clock of the zone, as if it were UTC. */
export function localMs(ts: number, zone: Intl.DateTimeFormat): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of zone.formatToParts(ts)) parts[type] = Number(value);
  return Date.UTC(parts['year']!, parts['month']! - 1, parts['day'], parts['hour'], parts['minute'], parts['second']) + (((ts % 1000) + 1000) % 1000);
}

/** The instant at which the zone's wall clock shows `local`. Twice: the offset found first may be the one before a change of summer time. */
export function utcMs(local: number, zone: Intl.DateTimeFormat): number {
  const guess = local - (localMs(local, zone) - local);
  return guess - (localMs(guess, zone) - local);
}
