import assert from 'node:assert/strict';
import test from 'node:test';
import { readSchedule } from '#engine/alarm-rules/read.ts';
import type { Value } from '#engine/json.ts';
import { isInForce } from '#rulechains/shared/alarm-rules/schedule.ts';

const HOUR = 3_600_000;
const WORKDAYS = [1, 2, 3, 4, 5];
const specific = (fields: object) => ({
  type: 'SPECIFIC_TIME',
  timezone: 'UTC',
  daysOfWeek: [1, 2, 3, 4, 5, 6, 7],
  startsOn: 0,
  endsOn: 0,
  ...fields,
});
const custom = (items: readonly object[], timezone = 'UTC') => ({ type: 'CUSTOM', timezone, items });

for (const [name, schedule, at, want] of [
  ['any time', { type: 'ANY_TIME' }, '2026-03-02T03:00:00Z', true],
  ['at its start', specific({ startsOn: 9 * HOUR, endsOn: 17 * HOUR }), '2026-03-02T09:00:00Z', true],
  ['before its start', specific({ startsOn: 9 * HOUR, endsOn: 17 * HOUR }), '2026-03-02T08:59:59.999Z', false],
  ['at its end', specific({ startsOn: 9 * HOUR, endsOn: 17 * HOUR }), '2026-03-02T17:00:00Z', false],
  ['an end of 0 is the end of the day', specific({ startsOn: 9 * HOUR }), '2026-03-02T23:59:59.999Z', true],
  ['past midnight, in the evening', specific({ startsOn: 22 * HOUR, endsOn: 6 * HOUR }), '2026-03-02T23:00:00Z', true],
  ['past midnight, in the morning', specific({ startsOn: 22 * HOUR, endsOn: 6 * HOUR }), '2026-03-02T05:00:00Z', true],
  ['past midnight, by day', specific({ startsOn: 22 * HOUR, endsOn: 6 * HOUR }), '2026-03-02T12:00:00Z', false],
  ['a workday', specific({ daysOfWeek: WORKDAYS }), '2026-03-06T12:00:00Z', true],
  ['a Sunday', specific({ daysOfWeek: WORKDAYS }), '2026-03-08T12:00:00Z', false],
  ['no day at all', specific({ daysOfWeek: [] }), '2026-03-06T12:00:00Z', false],
  ['already Monday in Tokyo', specific({ daysOfWeek: [1], timezone: 'Asia/Tokyo' }), '2026-03-01T20:00:00Z', true],
  ['the hour in New York', specific({ startsOn: 9 * HOUR, endsOn: 10 * HOUR, timezone: 'America/New_York' }), '2026-03-02T14:30:00Z', true],
  ['summer time there', specific({ startsOn: 9 * HOUR, endsOn: 10 * HOUR, timezone: 'America/New_York' }), '2026-07-02T13:30:00Z', true],
  ['an offset', specific({ startsOn: 9 * HOUR, endsOn: 10 * HOUR, timezone: 'GMT+2' }), '2026-03-02T07:30:00Z', true],
  ['another way to write it', specific({ startsOn: 9 * HOUR, endsOn: 10 * HOUR, timezone: '-03:30' }), '2026-03-02T12:45:00Z', true],
  ['no zone is UTC', specific({ startsOn: 9 * HOUR, endsOn: 10 * HOUR, timezone: '' }), '2026-03-02T09:30:00Z', true],
  // The day of the change has an hour less: at 10:00 on the wall nine hours have passed.
  ['hours that passed, not those on the wall', specific({ startsOn: 10 * HOUR, timezone: 'Europe/Berlin' }), '2026-03-29T08:30:00Z', false],
  ['custom, its day', custom([{ enabled: true, dayOfWeek: 1, startsOn: 9 * HOUR, endsOn: 17 * HOUR }]), '2026-03-02T12:00:00Z', true],
  ['custom, the wrong hour', custom([{ enabled: true, dayOfWeek: 1, startsOn: 9 * HOUR, endsOn: 17 * HOUR }]), '2026-03-02T18:00:00Z', false],
  ['custom, a day that is off', custom([{ enabled: false, dayOfWeek: 1, startsOn: 0, endsOn: 0 }]), '2026-03-02T12:00:00Z', false],
  ['custom, a day that is not there', custom([{ enabled: true, dayOfWeek: 2, startsOn: 0, endsOn: 0 }]), '2026-03-02T12:00:00Z', false],
  ['custom, the whole day', custom([{ enabled: true, dayOfWeek: 1, startsOn: 0, endsOn: 0 }]), '2026-03-02T23:00:00Z', true],
  ['custom, its zone', custom([{ enabled: true, dayOfWeek: 1, startsOn: 0, endsOn: HOUR }], 'Asia/Kolkata'), '2026-03-01T19:00:00Z', true],
] as const)
  test(`schedule: ${name}`, () =>
    assert.equal(isInForce(readSchedule(schedule, 's'), Date.parse(at), { of: () => null, dynamic: () => null }), want));

test('schedule: none is always in force', () => assert.equal(isInForce(null, 0, { of: () => null, dynamic: () => null }), true));

for (const [name, value, want] of [
  ['of an attribute', { type: 'JSON', value: JSON.stringify(specific({ startsOn: HOUR, endsOn: 2 * HOUR })) }, false],
  ['of a text', { type: 'STRING', value: JSON.stringify(specific({ startsOn: HOUR, endsOn: 2 * HOUR })) }, false],
  ['of another type: not that', { type: 'JSON', value: '{"type":"CUSTOM","items":[]}' }, true],
  ['that is none: the rule’s own', { type: 'JSON', value: '{"daysOfWeek":1}' }, true],
  ['no JSON: the rule’s own', { type: 'STRING', value: 'never' }, true],
] as const)
  test(`schedule: a dynamic value ${name}`, () => {
    const schedule = readSchedule(specific({ dynamicValue: { sourceType: 'CURRENT_DEVICE', sourceAttribute: 'when' } }), 's');
    assert.equal(isInForce(schedule, Date.parse('2026-03-02T12:00:00Z'), { of: () => null, dynamic: () => value as Value }), want);
  });
