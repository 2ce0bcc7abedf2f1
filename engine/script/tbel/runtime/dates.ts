import { parseInstant, parsePattern } from './date-parse.ts';
import { type Fields, fieldsAt, formatPattern, instantOf, isoText, localZone, offsetAt, styledText } from './date-text.ts';
import { readJson } from './json.ts';
import { commonMethods, intArg, type Method, type MethodRow, type Methods, methodTable, numberArg, textArg } from './methods.ts';
import { clampLong, fault, isNumber, type Lng, TbelDate } from './values.ts';

/** The platform's own Date: months 1 to 12, Monday is 1 (specs: tbel §8.8). */

const ms = (v: number): Lng => clampLong(v);

export function newDate(args: readonly unknown[]): TbelDate {
  const [first, pattern, locale, zone] = args;
  if (args.length === 0) return new TbelDate(Date.now());
  if (args.length === 1 && isNumber(first)) return new TbelDate(Math.trunc(numberArg(first)));
  if (typeof first === 'string') {
    const found =
      pattern === undefined
        ? parseInstant(first)
        : parsePattern(first, textArg(pattern), zone === undefined ? localZone() : textArg(zone), String(locale ?? 'en-US'));
    return found === null ? fault('could not create constructor: null') : new TbelDate(found);
  }
  if (args.length === 1) return fault('could not create constructor: null');
  const zoneText = typeof args.at(-1) === 'string' ? textArg(args.at(-1)) : localZone();
  const [y, m, d = 1, h = 0, min = 0, s = 0, rest = 0] = args.filter((arg) => typeof arg !== 'string').map(intArg) as [number, number, ...number[]];
  const year = y >= 0 && y < 70 ? 2000 + y : y >= 70 && y < 100 ? 1900 + y : y;
  const fields = { y: year, m, d, h, min, s, ms: rest };
  return checked(fields) ? new TbelDate(instantOf(fields, zoneText)) : fault('could not create constructor: null');
}
const daysIn = (y: number, m: number): number => new Date(Date.UTC(y, m, 0)).getUTCDate();
const checked = ({ y, m, d, h, min, s, ms: rest }: Fields): boolean =>
  m >= 1 && m <= 12 && d >= 1 && d <= daysIn(y, m) && h >= 0 && h < 24 && min >= 0 && min < 60 && s >= 0 && s < 60 && rest >= 0 && rest < 1000;

const PARTS = {
  FullYear: 'y',
  Month: 'm',
  Date: 'd',
  Hours: 'h',
  Minutes: 'min',
  Seconds: 's',
  Milliseconds: 'ms',
} as const satisfies Record<string, keyof Fields>;
type Part = keyof typeof PARTS;
const FOLLOWING: Readonly<Record<Part, readonly Part[]>> = {
  FullYear: ['FullYear', 'Month', 'Date'],
  Month: ['Month', 'Date'],
  Date: ['Date'],
  Hours: ['Hours', 'Minutes', 'Seconds', 'Milliseconds'],
  Minutes: ['Minutes', 'Seconds', 'Milliseconds'],
  Seconds: ['Seconds', 'Milliseconds'],
  Milliseconds: ['Milliseconds'],
};
const RANGES: Readonly<Record<Part, readonly [string, number, number]>> = {
  FullYear: ['Year', -999999999, 999999999],
  Month: ['MonthOfYear', 1, 12],
  Date: ['DayOfMonth', 1, 31],
  Hours: ['HourOfDay', 0, 23],
  Minutes: ['MinuteOfHour', 0, 59],
  Seconds: ['SecondOfMinute', 0, 59],
  Milliseconds: ['MilliOfSecond', 0, 999],
};
const zoneOf = (isUtc: boolean): string => (isUtc ? 'UTC' : localZone());

function setParts(date: TbelDate, part: Part, args: readonly unknown[], isUtc: boolean): null {
  const fields = fieldsAt(date.ms, zoneOf(isUtc));
  for (const [i, each] of FOLLOWING[part].entries()) {
    if (args[i] === undefined) break;
    const value = intArg(args[i]);
    const [name, least, most] = RANGES[each];
    if (value < least || value > most) return fault(`Invalid value for ${name} (valid values ${least} - ${most}): ${value}`);
    fields[PARTS[each]] = value;
  }
  // A day that the month has not goes on into the next one: instantOf() counts.
  date.ms = instantOf(fields, zoneOf(isUtc));
  return null;
}

function addTo(date: TbelDate, part: Part, by: number): null {
  const fields = fieldsAt(date.ms, localZone());
  if (part === 'FullYear' || part === 'Month') {
    const months = fields.y * 12 + fields.m - 1 + by * (part === 'FullYear' ? 12 : 1);
    fields.y = Math.floor(months / 12);
    fields.m = (((months % 12) + 12) % 12) + 1;
    fields.d = Math.min(fields.d, daysIn(fields.y, fields.m));
  } else fields[PARTS[part]] += by;
  date.ms = instantOf(fields, localZone());
  return null;
}

type Shape = 'all' | 'date' | 'time' | 'plain' | 'plainDate' | 'plainTime' | 'utc';
function shown({ ms: at }: TbelDate, shape: Shape, [locale, options]: readonly unknown[]): string {
  const tag = locale === undefined || locale === null ? 'en-US' : textArg(locale).replaceAll('_', '-');
  let zone = shape === 'utc' ? 'UTC' : localZone();
  let style: { dateStyle?: string; timeStyle?: string; pattern?: string } = {};
  if (options !== undefined && options !== null) {
    const text = textArg(options);
    if (text.trim().startsWith('{')) {
      const map = readJson(text) as Map<string, string>;
      zone = map.get('timeZone') ?? zone;
      style = { dateStyle: map.get('dateStyle'), timeStyle: map.get('timeStyle'), pattern: map.get('pattern') };
    } else zone = text;
  }
  if (style.pattern !== undefined) return formatPattern(at, style.pattern, tag, zone);
  if (style.dateStyle !== undefined || style.timeStyle !== undefined) return styledText(at, zone, tag, style.dateStyle, style.timeStyle);
  if (locale === undefined) {
    switch (shape) {
      case 'plain':
        return formatPattern(at, 'yyyy-MM-dd HH:mm:ss', tag, zone);
      case 'plainDate':
        return formatPattern(at, 'yyyy MMM d, E', tag, zone);
      case 'plainTime':
        return formatPattern(at, 'h:mm:ss a', tag, zone);
      case 'utc':
        return formatPattern(at, 'yyyy MMM d, E HH:mm:ss', tag, zone);
    }
  }
  switch (shape) {
    case 'date':
      return styledText(at, zone, tag, 'full');
    case 'time':
      return styledText(at, zone, tag, undefined, 'full');
    case 'plain':
      return styledText(at, zone, tag, 'short', 'medium');
    case 'plainDate':
      return styledText(at, zone, tag, 'short');
    case 'plainTime':
      return styledText(at, zone, tag, undefined, 'medium');
    case 'utc':
      return styledText(at, zone, tag, 'medium', 'medium');
    default:
      return styledText(at, zone, tag, 'full', 'full');
  }
}

const getters: Record<string, readonly [number, number, (date: TbelDate, args: readonly unknown[]) => unknown]> = {};
for (const prefix of ['', 'UTC']) {
  const isUtc = prefix !== '';
  for (const [part, field] of Object.entries(PARTS)) {
    getters[`get${prefix}${part}`] = [0, 0, (date) => fieldsAt(date.ms, zoneOf(isUtc))[field]];
    getters[`set${prefix}${part}`] = [1, 4, (date, args) => setParts(date, part as Part, args, isUtc)];
  }
  getters[`get${prefix}Day`] = [0, 0, (date) => ((((Math.floor((date.ms + offsetAt(date.ms, zoneOf(isUtc))) / 86_400_000) + 3) % 7) + 7) % 7) + 1];
}
for (const [name, part, times] of [
  ['addYears', 'FullYear', 1],
  ['addMonths', 'Month', 1],
  ['addWeeks', 'Date', 7],
  ['addDays', 'Date', 1],
  ['addHours', 'Hours', 1],
  ['addMinutes', 'Minutes', 1],
  ['addSeconds', 'Seconds', 1],
] as const)
  getters[name] = [1, 1, (date, [n]) => addTo(date, part, intArg(n) * times)];

export const dateMethods: Methods = methodTable<TbelDate>({
  ...commonMethods,
  ...getters,
  equals: [1, 1, (date, [other]) => date === other],
  toString: [0, 2, (date: TbelDate, args: readonly unknown[]) => shown(date, 'all', args)] as MethodRow<TbelDate>,
  toLocaleString: [0, 2, (date: TbelDate, args: readonly unknown[]) => shown(date, 'plain', args)] as MethodRow<TbelDate>,
  toLocaleDateString: [0, 2, (date, args) => shown(date, 'plainDate', args)],
  toLocaleTimeString: [0, 2, (date, args) => shown(date, 'plainTime', args)],
  toDateString: [0, 2, (date, args) => shown(date, 'date', args)],
  toTimeString: [0, 2, (date, args) => shown(date, 'time', args)],
  toUTCString: [0, 2, (date, args) => shown(date, 'utc', args)],
  toISOString: [0, 0, (date) => isoText(date.ms)],
  toJSON: [0, 0, (date) => isoText(date.ms)],
  getTime: [0, 0, (date) => ms(date.ms)],
  valueOf: [0, 0, (date: TbelDate) => ms(date.ms)] as MethodRow<TbelDate>,
  parseSecondMilli: [0, 0, (date) => ms(date.ms)],
  parseSecond: [0, 0, (date) => ms(Math.floor(date.ms / 1000))],
  getLocaleZoneOffset: [0, 0, (date) => Math.round(offsetAt(date.ms, localZone()) / 60_000)],
  setTime: [
    1,
    1,
    (date, [at]) => {
      date.ms = Math.trunc(numberArg(at));
      return null;
    },
  ],
  addNanos: [
    1,
    1,
    (date, [n]) => {
      date.ms += Math.floor(numberArg(n) / 1_000_000);
      return null;
    },
  ],
});

export const dateStatics: Readonly<Record<string, readonly [number, number, Method['run']]>> = {
  'Date.now': [0, 0, () => ms(Date.now())],
  'Date.parse': [
    1,
    4,
    (_, [text, pattern, locale, zone]) => {
      const found =
        pattern === undefined
          ? parseInstant(textArg(text))
          : parsePattern(textArg(text), textArg(pattern), zone === undefined ? localZone() : textArg(zone), String(locale ?? 'en-US'));
      return ms(found ?? -1);
    },
  ],
  'Date.UTC': [
    1,
    7,
    (_, args) => {
      const [y = 0, m = 0, d = 0, h = 0, min = 0, s = 0, rest = 0] = args.map(intArg);
      const year = y === 0 ? 1899 : y > 0 && y < 70 ? 2000 + y : y >= 70 && y < 100 ? 1900 + y : y;
      return ms(instantOf({ y: year, m: m || 12, d: d || 31, h, min, s, ms: rest }, 'UTC'));
    },
  ],
};
