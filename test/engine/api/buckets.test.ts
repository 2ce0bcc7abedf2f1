import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketStarts, type IntervalType } from '#engine/api/buckets.ts';

const at = (iso: string): number => Date.parse(iso);

for (const { name, from, to, type, interval = 0, zone = 'UTC', want } of [
  {
    name: 'milliseconds, last one cut',
    from: '2024-01-01T00:00:00Z',
    to: '2024-01-01T00:02:30Z',
    type: 'MILLISECONDS',
    interval: 60_000,
    want: ['2024-01-01T00:00:00Z', '2024-01-01T00:01:00Z', '2024-01-01T00:02:00Z'],
  },
  {
    name: 'weeks begin on Sunday',
    from: '2024-01-03T10:00:00Z',
    to: '2024-01-15T00:00:00Z',
    type: 'WEEK',
    want: ['2024-01-03T10:00:00Z', '2024-01-07T00:00:00Z', '2024-01-14T00:00:00Z'],
  },
  {
    name: 'ISO weeks begin on Monday',
    from: '2024-01-03T10:00:00Z',
    to: '2024-01-15T00:00:00Z',
    type: 'WEEK_ISO',
    want: ['2024-01-03T10:00:00Z', '2024-01-08T00:00:00Z'],
  },
  {
    name: 'an ISO week from a Monday is a whole one',
    from: '2024-01-08T00:00:00Z',
    to: '2024-01-16T00:00:00Z',
    type: 'WEEK_ISO',
    want: ['2024-01-08T00:00:00Z', '2024-01-15T00:00:00Z'],
  },
  {
    name: 'months, leap year',
    from: '2024-01-31T00:00:00Z',
    to: '2024-03-01T00:00:01Z',
    type: 'MONTH',
    want: ['2024-01-31T00:00:00Z', '2024-02-01T00:00:00Z', '2024-03-01T00:00:00Z'],
  },
  {
    name: 'months across summer time',
    from: '2024-03-10T00:00:00Z',
    to: '2024-05-02T00:00:00Z',
    type: 'MONTH',
    zone: 'Europe/Berlin',
    want: ['2024-03-10T00:00:00Z', '2024-03-31T22:00:00Z', '2024-04-30T22:00:00Z'],
  },
  {
    name: 'a week that ends on the day of the change',
    from: '2024-10-23T00:00:00Z',
    to: '2024-10-28T00:00:00Z',
    type: 'WEEK',
    zone: 'Europe/Berlin',
    want: ['2024-10-23T00:00:00Z', '2024-10-26T22:00:00Z'],
  },
  {
    name: 'quarters, west of Greenwich',
    from: '2024-01-01T03:00:00Z',
    to: '2024-04-02T00:00:00Z',
    type: 'QUARTER',
    zone: 'America/New_York',
    want: ['2024-01-01T03:00:00Z', '2024-01-01T05:00:00Z', '2024-04-01T04:00:00Z'],
  },
  { name: 'nothing in an empty range', from: '2024-01-01T00:00:00Z', to: '2024-01-01T00:00:00Z', type: 'MONTH', want: [] },
] as { name: string; from: string; to: string; type: IntervalType; interval?: number; zone?: string; want: string[] }[]) {
  test(`buckets: ${name}`, () => {
    assert.deepEqual(bucketStarts({ startTs: at(from), endTs: at(to), intervalType: type, interval, timeZone: zone }), want.map(at));
  });
}

for (const { name, range } of [
  { name: '701 seconds of a millisecond each', range: { startTs: 0, endTs: 701_000, intervalType: 'MILLISECONDS', interval: 1, timeZone: 'UTC' } },
  { name: '60 years of months', range: { startTs: 0, endTs: at('2030-01-01T00:00:00Z'), intervalType: 'MONTH', interval: 0, timeZone: 'UTC' } },
  { name: 'an unknown time zone', range: { startTs: 0, endTs: 1, intervalType: 'MONTH', interval: 0, timeZone: 'Mars/Base' } },
] as const) {
  test(`buckets: refuses ${name}`, () => assert.throws(() => bucketStarts(range), { status: 400 }));
}
