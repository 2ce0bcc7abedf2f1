import { fault } from './values.ts';

/** Instants, their fields in a zone, and their texts by pattern (specs: tbel §8.8). The zone of the server is that of the program: its own. */

export interface Fields {
  y: number;
  m: number;
  d: number;
  h: number;
  min: number;
  s: number;
  ms: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();
function cached(key: string, make: () => Intl.DateTimeFormat): Intl.DateTimeFormat {
  let format = formats.get(key);
  if (format === undefined) {
    try {
      format = make();
    } catch (cause) {
      return fault((cause as Error).message);
    }
    if (formats.size > 50) formats.clear();
    formats.set(key, format);
  }
  return format;
}

export const localZone = (): string => cached('local', () => new Intl.DateTimeFormat()).resolvedOptions().timeZone;

function fixedOffset(zone: string): number | null {
  if (zone === 'Z' || zone === 'UTC' || zone === 'GMT') return 0;
  const match = /^(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?$/.exec(zone);
  return match === null ? null : (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3] ?? 0)) * 60_000;
}

/** Milliseconds that the zone is ahead of UTC at an instant. */
export function offsetAt(ms: number, zone: string): number {
  const fixed = fixedOffset(zone);
  if (fixed !== null) return fixed;
  const format = cached(
    `parts ${zone}`,
    () =>
      new Intl.DateTimeFormat('en-US', {
        timeZone: zone,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      }),
  );
  const at: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(ms)) at[type] = Number(value);
  const wall = Date.UTC(at['year']!, at['month']! - 1, at['day'], at['hour'], at['minute'], at['second']);
  return wall - Math.floor(ms / 1000) * 1000;
}

export function fieldsAt(ms: number, zone: string): Fields {
  const wall = new Date(ms + offsetAt(ms, zone));
  return {
    y: wall.getUTCFullYear(),
    m: wall.getUTCMonth() + 1,
    d: wall.getUTCDate(),
    h: wall.getUTCHours(),
    min: wall.getUTCMinutes(),
    s: wall.getUTCSeconds(),
    ms: wall.getUTCMilliseconds(),
  };
}

export function instantOf({ y, m, d, h, min, s, ms }: Fields, zone: string): number {
  const wall = new Date(0);
  wall.setUTCFullYear(y, m - 1, d);
  wall.setUTCHours(h, min, s, ms);
  const guess = wall.getTime() - offsetAt(wall.getTime(), zone);
  return wall.getTime() - offsetAt(guess, zone);
}

const two = (v: number, size = 2): string => String(v).padStart(size, '0');

export function isoText(ms: number): string {
  const { y, m, d, h, min, s, ms: rest } = fieldsAt(ms, 'UTC');
  return `${two(y, 4)}-${two(m)}-${two(d)}T${two(h)}:${two(min)}:${two(s)}${rest === 0 ? '' : `.${two(rest, 3)}`}Z`;
}

export function offsetText(ms: number, zone: string, colon: boolean, zulu: boolean): string {
  const minutes = Math.round(offsetAt(ms, zone) / 60_000);
  if (minutes === 0 && zulu) return 'Z';
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${colon ? ':' : ''}${two(size % 60)}`;
}

const named = (ms: number, zone: string, locale: string, options: Intl.DateTimeFormatOptions): string => {
  const shown = fixedOffset(zone) === null ? ms : ms + offsetAt(ms, zone);
  const timeZone = fixedOffset(zone) === null ? zone : 'UTC';
  // ICU puts a narrow space in front of AM and PM where the JDK has a plain one.
  return cached(`${locale} ${timeZone} ${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(locale, { ...options, timeZone }))
    .format(shown)
    .replaceAll('\u202f', ' ');
};

/** Pieces of a pattern: a letter with its count, or literal text. */
export function patternParts(pattern: string): { letter: string; count: number; text: string }[] {
  const parts: { letter: string; count: number; text: string }[] = [];
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at]!;
    if (char === "'") {
      let text = '';
      at++;
      if (pattern[at] === "'") text = "'";
      while (at < pattern.length && (pattern[at] !== "'" || pattern[at + 1] === "'")) {
        if (pattern[at] === "'") at++;
        text += pattern[at++];
      }
      at++;
      parts.push({ letter: '', count: 0, text });
    } else if ((char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z')) {
      let count = 1;
      while (pattern[at + count] === char) count++;
      parts.push({ letter: char, count, text: '' });
      at += count;
    } else {
      parts.push({ letter: '', count: 0, text: char });
      at++;
    }
  }
  return parts;
}

export function formatPattern(ms: number, pattern: string, locale: string, zone: string): string {
  const f = fieldsAt(ms, zone);
  const weekday = (((Math.floor((ms + offsetAt(ms, zone)) / 86_400_000) + 3) % 7) + 7) % 7;
  let text = '';
  for (const { letter, count, text: literal } of patternParts(pattern)) {
    switch (letter) {
      case '':
        text += literal;
        break;
      case 'y':
      case 'u':
        text += count === 2 ? two(f.y % 100) : two(f.y, count);
        break;
      case 'M':
      case 'L':
        text += count <= 2 ? two(f.m, count) : named(ms, zone, locale, { month: count === 3 ? 'short' : count === 4 ? 'long' : 'narrow' });
        break;
      case 'd':
        text += two(f.d, count);
        break;
      case 'D':
        text += two(Math.floor((Date.UTC(2000, f.m - 1, f.d) - Date.UTC(2000, 0, 0)) / 86_400_000) - (f.m > 2 && !isLeap(f.y) ? 1 : 0), count);
        break;
      case 'H':
        text += two(f.h, count);
        break;
      case 'k':
        text += two(f.h || 24, count);
        break;
      case 'h':
        text += two(f.h % 12 || 12, count);
        break;
      case 'K':
        text += two(f.h % 12, count);
        break;
      case 'm':
        text += two(f.min, count);
        break;
      case 's':
        text += two(f.s, count);
        break;
      case 'S':
        text += two(f.ms, 3).padEnd(count, '0').slice(0, count);
        break;
      case 'n':
        text += two(f.ms * 1_000_000, count);
        break;
      case 'a':
        text += f.h < 12 ? 'AM' : 'PM';
        break;
      case 'E':
        text += named(ms, zone, locale, { weekday: count <= 3 ? 'short' : count === 4 ? 'long' : 'narrow' });
        break;
      case 'e':
      case 'c':
        text += two(weekday + 1, count);
        break;
      case 'G':
        text += f.y > 0 ? 'AD' : 'BC';
        break;
      case 'X':
      case 'x':
        text += count === 1 ? offsetText(ms, zone, false, letter === 'X').replace(/00$/, '') : offsetText(ms, zone, count % 2 === 1, letter === 'X');
        break;
      case 'Z':
        text +=
          count <= 3
            ? offsetText(ms, zone, false, false)
            : count === 4
              ? `GMT${offsetText(ms, zone, true, false)}`
              : offsetText(ms, zone, true, true);
        break;
      case 'V':
        text += zone;
        break;
      case 'z':
        text += fixedOffset(zone) === null ? zoneName(ms, zone, locale, count) : zone;
        break;
      default:
        return fault(`Unknown pattern letter: ${letter}`);
    }
  }
  return text;
}
export const isLeap = (y: number): boolean => (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0;
function zoneName(ms: number, zone: string, locale: string, count: number): string {
  const format = cached(
    `zone ${locale} ${zone} ${count > 3}`,
    () => new Intl.DateTimeFormat(locale, { timeZone: zone, timeZoneName: count > 3 ? 'long' : 'short' }),
  );
  return format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? zone;
}

export const styledText = (ms: number, zone: string, locale: string, dateStyle?: string, timeStyle?: string): string =>
  named(ms, zone, locale, { ...(dateStyle ? { dateStyle: dateStyle as 'full' } : {}), ...(timeStyle ? { timeStyle: timeStyle as 'full' } : {}) });

/** What a date is as a text: full date and time in the server's zone. */
export const dateText = (ms: number): string => styledText(ms, localZone(), 'en-US', 'full', 'full');
