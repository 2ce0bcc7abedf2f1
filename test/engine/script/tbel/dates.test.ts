import { rows } from './run.ts';

process.env['TZ'] = 'UTC';

/** Specs: tbel §8.8, with the zone of the server being UTC. */
const AT = 'new Date(1691294645123L)';
const time = (...given: string[]): string => `[${given.map((each) => `new Date(${each}).getTime()`).join(', ')}]`;
const ISO = (given: string): string => `new Date(${given}).toISOString()`;

rows('Date made', [
  ['[new Date(5).getTime(), new Date(5L).getTime(), new Date().getTime() > 1700000000000L, Date.now() instanceof Long]', '[5,5,true,true]'],
  [
    time('"2023-08-06T04:04:05.123Z"', '"2023-08-06T04:04:05Z"', '"2023-08-06T07:04:05+03:00"', '"2023-08-06 04:04"', '"2023-08-06T04:04:05"'),
    '[1691294645123,1691294645000,1691294645000,1691294640000,1691294645000]',
  ],
  [
    time('"2023-08-06 04:04:05.123"', '"2023-08-06 07:04:05+0300"', '"2023-08-06 04:04:05 UTC"', '"2023-08-06 00:04:05 America/New_York"'),
    '[1691294645123,1691294645000,1691294645000,1691294645000]',
  ],
  [time('"2023-08-06T04:04:05.123456Z"', '"2023-08-06T04:04:05.1+00:00"'), '[1691294645123,1691294645100]'],
  ['new Date("2023-08-06T04:04:05.123456+0000")', 'error: could not create constructor: null'],
  ['new Date("2023-08-06")', 'error: could not create constructor: null'],
  ['new Date("2023-13-06T00:00:00Z")', 'error: could not create constructor: null'],
  ['new Date("x")', 'error: could not create constructor: null'],
  [ISO('"Tue, 3 Jun 2008 11:05:30 GMT"'), '"2008-06-03T11:05:30Z"'],
  [ISO('"06.08.2023 04:04", "dd.MM.yyyy HH:mm"'), '"2023-08-06T04:04:00Z"'],
  [ISO('"6 Aug 2023 04:04:05", "d MMM yyyy HH:mm:ss", "en-US", "America/New_York"'), '"2023-08-06T08:04:05Z"'],
  [ISO('2023, 8, 6, 4, 4, 5, 123'), '"2023-08-06T04:04:05.123Z"'],
  [ISO('2023, 8, 6'), '"2023-08-06T00:00:00Z"'],
  [ISO('2023, 8, 6, 4, 4, "Asia/Tokyo"'), '"2023-08-05T19:04:00Z"'],
  [
    `[${ISO('69, 1, 1')}, ${ISO('70, 1, 1')}, ${ISO('0, 1, 1')}, ${ISO('99, 1, 1')}]`,
    '["2069-01-01T00:00:00Z","1970-01-01T00:00:00Z","2000-01-01T00:00:00Z","1999-01-01T00:00:00Z"]',
  ],
  ['new Date(2023, 13, 1)', 'error: could not create constructor: null'],
  [
    '[Date.parse("2023-08-06T04:04:05Z"), Date.parse("nonsense"), Date.parse("2023-08-06"), Date.parse("06.08.2023", "dd.MM.yyyy")]',
    '[1691294645000,-1,-1,1691280000000]',
  ],
  // A missing or zero month is 12, a day 31; the year 0 is 1899.
  [
    '[Date.UTC(2023), Date.UTC(2023, 8, 6), Date.UTC(2023, 8, 6, 4, 4, 5, 123), Date.UTC(0)]',
    `[${Date.UTC(2023, 11, 31)},${Date.UTC(2023, 7, 6)},1691294645123,${Date.UTC(1899, 11, 31)}]`,
  ],
]);

rows('Date read', [
  [
    `var d = ${AT}; return [d.getFullYear(), d.getMonth(), d.getDate(), d.getDay(), d.getHours(), d.getMinutes(), d.getSeconds(), d.getMilliseconds()];`,
    '[2023,8,6,7,4,4,5,123]',
  ],
  [
    `var d = ${AT}; return [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCDay(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds(), d.getUTCMilliseconds()];`,
    '[2023,8,6,7,4,4,5,123]',
  ],
  [
    `var d = ${AT}; return [d.getTime(), d.valueOf(), d.parseSecondMilli(), d.parseSecond(), d.getLocaleZoneOffset(), d.getTime() instanceof Long];`,
    '[1691294645123,1691294645123,1691294645123,1691294645,0,true]',
  ],
  ['[new Date("2024-01-01T00:00:00Z").getDay(), new Date("2024-01-07T00:00:00Z").getDay()]', '[1,7]'],
]);

const changed = (from: string, call: string): string => `var d = new Date("${from}"); d.${call}; return d.toISOString();`;
rows('Date changed', [
  [changed('2023-08-06T04:04:05Z', 'setFullYear(2020, 2, 29)'), '"2020-02-29T04:04:05Z"'],
  [changed('2023-01-31T00:00:00Z', 'setMonth(2)'), '"2023-03-03T00:00:00Z"'],
  [changed('2024-01-31T00:00:00Z', 'setMonth(2)'), '"2024-03-02T00:00:00Z"'],
  [changed('2023-08-06T04:04:05Z', 'setMonth(1, 2)'), '"2023-01-02T04:04:05Z"'],
  [changed('2023-08-06T04:04:05Z', 'setDate(1)'), '"2023-08-01T04:04:05Z"'],
  [changed('2023-08-06T04:04:05Z', 'setHours(1, 2, 3, 4)'), '"2023-08-06T01:02:03.004Z"'],
  [changed('2023-08-06T04:04:05Z', 'setMinutes(59)'), '"2023-08-06T04:59:05Z"'],
  [changed('2023-08-06T04:04:05Z', 'setSeconds(1)'), '"2023-08-06T04:04:01Z"'],
  [changed('2023-08-06T04:04:05Z', 'setMilliseconds(7)'), '"2023-08-06T04:04:05.007Z"'],
  [changed('2023-08-06T04:04:05Z', 'setTime(0)'), '"1970-01-01T00:00:00Z"'],
  [changed('2023-08-06T04:04:05Z', 'setUTCHours(0)'), '"2023-08-06T00:04:05Z"'],
  [changed('2023-08-06T04:04:05Z', 'setMinutes(61)'), 'error: Invalid value for MinuteOfHour (valid values 0 - 59): 61'],
  [changed('2024-02-29T00:00:00Z', 'addYears(1)'), '"2025-02-28T00:00:00Z"'],
  [changed('2024-01-31T00:00:00Z', 'addMonths(1)'), '"2024-02-29T00:00:00Z"'],
  [changed('2024-01-31T00:00:00Z', 'addWeeks(1)'), '"2024-02-07T00:00:00Z"'],
  [changed('2024-01-31T00:00:00Z', 'addDays(-31)'), '"2023-12-31T00:00:00Z"'],
  [changed('2024-01-31T00:00:00Z', 'addHours(25)'), '"2024-02-01T01:00:00Z"'],
  [changed('2024-01-31T00:00:00Z', 'addMinutes(90)'), '"2024-01-31T01:30:00Z"'],
  [changed('2024-01-31T00:00:00Z', 'addSeconds(61)'), '"2024-01-31T00:01:01Z"'],
  [changed('2024-01-31T00:00:00Z', 'addNanos(5000000)'), '"2024-01-31T00:00:00.005Z"'],
]);

rows('Date as text', [
  [
    `[${AT}.toISOString(), ${AT}.toJSON(), new Date(1691294645000L).toISOString()]`,
    '["2023-08-06T04:04:05.123Z","2023-08-06T04:04:05.123Z","2023-08-06T04:04:05Z"]',
  ],
  [`${AT}.toString()`, '"Sunday, August 6, 2023 at 4:04:05 AM Coordinated Universal Time"'],
  [
    `[${AT}.toLocaleString(), ${AT}.toLocaleDateString(), ${AT}.toLocaleTimeString(), ${AT}.toUTCString()]`,
    '["2023-08-06 04:04:05","2023 Aug 6, Sun","4:04:05 AM","2023 Aug 6, Sun 04:04:05"]',
  ],
  [`[${AT}.toDateString(), ${AT}.toTimeString()]`, '["Sunday, August 6, 2023","4:04:05 AM Coordinated Universal Time"]'],
  [`${AT}.toLocaleString("en-US", "America/New_York")`, '"8/6/23, 12:04:05 AM"'],
  [`${AT}.toLocaleString("en-US", '{"timeZone":"Asia/Tokyo","pattern":"yyyy/MM/dd HH:mm:ss"}')`, '"2023/08/06 13:04:05"'],
  [`${AT}.toLocaleString("en-US", '{"timeZone":"+02:00","pattern":"EEE d MMM yy h:mm a, XXX"}')`, '"Sun 6 Aug 23 6:04 AM, +02:00"'],
  [`${AT}.toLocaleDateString("de-DE", '{"dateStyle":"medium"}')`, '"06.08.2023"'],
  [
    `var r = {at: ${AT}, l: [${AT}]}; return r;`,
    '{"at":"Sunday, August 6, 2023 at 4:04:05 AM Coordinated Universal Time","l":["Sunday, August 6, 2023 at 4:04:05 AM Coordinated Universal Time"]}',
  ],
]);
