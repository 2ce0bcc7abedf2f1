import assert from 'node:assert/strict';
import test from 'node:test';
import { readProfileAlarms } from '#engine/alarm-rules/read.ts';
import type { DynamicValue, Filter } from '#engine/alarm-rules/rules.ts';
import type { Value } from '#engine/json.ts';
import { holds, required } from '#rulechains/shared/alarm-rules/condition.ts';

const long = (value: number | bigint): Value => ({ type: 'LONG', value });
const double = (value: number): Value => ({ type: 'DOUBLE', value });
const text = (value: string): Value => ({ type: 'STRING', value });
const bool = (value: boolean): Value => ({ type: 'BOOLEAN', value });
const json = (value: string): Value => ({ type: 'JSON', value });

/** As a client sends it: through the reader, so that the table speaks of stored rules. */
const filtersOf = (filters: readonly object[]): readonly Filter[] =>
  readProfileAlarms([{ alarmType: 'x', createRules: { MAJOR: { condition: { condition: filters } } } }])![0]!.createRules.MAJOR!.condition.condition;
const valuesOf = (values: Record<string, Value>, dynamic: Record<string, Value> = {}) => ({
  of: (key: string) => values[key] ?? null,
  dynamic: ({ sourceAttribute }: DynamicValue) => dynamic[sourceAttribute ?? ''] ?? null,
});
const KEY = { type: 'TIME_SERIES', key: 'x' };
const judge = (predicate: object, value: Value | undefined, dynamic: Record<string, Value> = {}) =>
  holds(filtersOf([{ key: KEY, predicate }]), valuesOf(value ? { 'TIME_SERIES x': value } : {}, dynamic));
const from = (sourceAttribute: string) => ({ sourceType: 'CURRENT_DEVICE', sourceAttribute });

for (const [operation, other, value, want] of [
  ['EQUAL', 5, long(5), true],
  ['EQUAL', 5, double(5), true],
  ['EQUAL', 5, long(6), false],
  ['EQUAL', 0, double(-0), false],
  ['NOT_EQUAL', 5, long(6), true],
  ['NOT_EQUAL', 5, long(5), false],
  ['GREATER', 5, double(5.1), true],
  ['GREATER', 5, long(5), false],
  ['LESS', 5, double(4.9), true],
  ['LESS', 5, long(5), false],
  ['GREATER_OR_EQUAL', 5, long(5), true],
  ['GREATER_OR_EQUAL', 5, long(4), false],
  ['LESS_OR_EQUAL', 5, long(5), true],
  ['LESS_OR_EQUAL', 5, long(6), false],
  ['GREATER', 5, text('5.5'), true],
  ['GREATER', 5, text(' 1e2 '), true],
  ['GREATER', 5, text('warm'), false],
  ['NOT_EQUAL', 5, text('warm'), false],
  ['EQUAL', 1, bool(true), true],
  ['EQUAL', 0, bool(false), true],
  ['GREATER', 5, json('6'), true],
  ['GREATER', 5, json('{"a":6}'), false],
  ['GREATER', 9007199254740992, long(9007199254740995n), true],
  ['EQUAL', null, long(5), false],
  ['NOT_EQUAL', null, long(5), false],
  ['GREATER', 5, undefined, false],
] as const)
  test(`condition: ${value ? `${value.type} ${value.value}` : 'no value'} ${operation} ${other}`, () =>
    assert.equal(judge({ type: 'NUMERIC', operation, value: { defaultValue: other } }, value), want));

for (const [operation, other, value, want, ignoreCase = false] of [
  ['EQUAL', 'on', text('on'), true],
  ['EQUAL', 'on', text('ON'), false],
  ['EQUAL', 'on', text('ON'), true, true],
  ['NOT_EQUAL', 'on', text('ON'), true],
  ['NOT_EQUAL', 'on', text('ON'), false, true],
  ['STARTS_WITH', 'wa', text('warm'), true],
  ['STARTS_WITH', 'WA', text('warm'), true, true],
  ['STARTS_WITH', 'rm', text('warm'), false],
  ['ENDS_WITH', 'rm', text('warm'), true],
  ['ENDS_WITH', 'wa', text('warm'), false],
  ['CONTAINS', 'ar', text('warm'), true],
  ['CONTAINS', 'x', text('warm'), false],
  ['NOT_CONTAINS', 'x', text('warm'), true],
  ['NOT_CONTAINS', 'AR', text('warm'), false, true],
  ['IN', 'warm, hot', text('hot'), true],
  ['IN', 'warm,hot', text('cold'), false],
  ['IN', "'a b','c'", text('a b'), true],
  ['IN', '"a","c"', text('c'), true],
  ['IN', '"a",\'c\'', text('c'), false],
  ['IN', 'a,,b', text('b'), true],
  ['IN', '', text(''), true],
  ['NOT_IN', 'warm,hot', text('cold'), true],
  ['NOT_IN', 'warm,HOT', text('hot'), false, true],
  ['EQUAL', '5', long(5), true],
  ['EQUAL', '5.0', double(5), true],
  ['EQUAL', 'true', bool(true), true],
  ['CONTAINS', '"a"', json('{"a":1}'), true],
  ['EQUAL', null, text('null'), false],
  ['NOT_EQUAL', null, text('x'), false],
] as const)
  test(`condition: ${value.type} '${value.value}' ${operation} '${other}'${ignoreCase ? ', whatever case' : ''}`, () =>
    assert.equal(judge({ type: 'STRING', operation, value: { defaultValue: other }, ignoreCase }, value), want));

for (const [operation, other, value, want] of [
  ['EQUAL', true, bool(true), true],
  ['EQUAL', true, bool(false), false],
  ['NOT_EQUAL', true, bool(false), true],
  ['EQUAL', true, long(1), true],
  ['EQUAL', true, long(-1), false],
  ['EQUAL', true, double(0.5), true],
  ['EQUAL', true, text('TRUE'), true],
  ['EQUAL', false, text('anything'), true],
  ['EQUAL', null, bool(true), false],
] as const)
  test(`condition: ${value.type} ${value.value} ${operation} ${other}, as boolean`, () =>
    assert.equal(judge({ type: 'BOOLEAN', operation, value: { defaultValue: other } }, value), want));

const above = (defaultValue: number) => ({ type: 'NUMERIC', operation: 'GREATER', value: { defaultValue } });
const below = (defaultValue: number) => ({ type: 'NUMERIC', operation: 'LESS', value: { defaultValue } });
for (const [name, predicate, value, want] of [
  ['AND, both', { type: 'COMPLEX', operation: 'AND', predicates: [above(1), below(9)] }, 5, true],
  ['AND, one', { type: 'COMPLEX', operation: 'AND', predicates: [above(1), below(3)] }, 5, false],
  ['AND of nothing', { type: 'COMPLEX', operation: 'AND', predicates: [] }, 5, true],
  ['OR, one', { type: 'COMPLEX', operation: 'OR', predicates: [above(7), below(9)] }, 5, true],
  ['OR, none', { type: 'COMPLEX', operation: 'OR', predicates: [above(7), below(3)] }, 5, false],
  ['OR of nothing', { type: 'COMPLEX', operation: 'OR', predicates: [] }, 5, false],
  [
    'nested',
    { type: 'COMPLEX', operation: 'OR', predicates: [above(7), { type: 'COMPLEX', operation: 'AND', predicates: [above(4), below(6)] }] },
    5,
    true,
  ],
] as const)
  test(`condition: ${name}`, () => assert.equal(judge(predicate, long(value)), want));

for (const [name, value, dynamic, want] of [
  ['the attribute counts', 6, { limit: long(5) }, true],
  ['not the default', 6, { limit: long(7) }, false],
  ['none: the default', 6, {}, true],
  ['no number: the default', 6, { limit: text('x') }, true],
  ['a text that is one', 6, { limit: text('7') }, false],
] as const)
  test(`condition: dynamic value, ${name}`, () =>
    assert.equal(judge({ ...above(1), value: { defaultValue: 1, dynamicValue: from('limit') } }, long(value), dynamic), want));

for (const [name, filter, dynamic, want] of [
  ['text', { valueType: 'STRING', value: 'on', predicate: { type: 'STRING', operation: 'EQUAL' } }, text('on'), true],
  ['number', { valueType: 'NUMERIC', value: 5, predicate: { type: 'NUMERIC', operation: 'GREATER' } }, long(4), true],
  ['number in text', { valueType: 'NUMERIC', value: '5.5', predicate: { type: 'NUMERIC', operation: 'EQUAL' } }, double(5.5), true],
  ['no number', { valueType: 'NUMERIC', value: 'x', predicate: { type: 'NUMERIC', operation: 'NOT_EQUAL' } }, long(4), false],
  ['date', { valueType: 'DATE_TIME', value: 1700000000000, predicate: { type: 'NUMERIC', operation: 'LESS' } }, long(1700000000001), true],
  ['boolean', { valueType: 'BOOLEAN', value: true, predicate: { type: 'BOOLEAN', operation: 'EQUAL' } }, bool(true), true],
  ['no dynamic value: the default means nothing', { valueType: 'NUMERIC', value: 5, predicate: above(1) }, undefined, false],
  ['no type', { value: 5, predicate: above(1) }, long(1), false],
] as const)
  test(`condition: constant, ${name}`, () => {
    const predicate = {
      ...filter.predicate,
      value: { defaultValue: null, ...('value' in filter.predicate ? filter.predicate.value : {}), dynamicValue: from('a') },
    };
    const filters = filtersOf([{ ...filter, key: { type: 'CONSTANT', key: 'c' }, predicate }]);
    assert.equal(holds(filters, valuesOf({}, dynamic ? { a: dynamic } : {})), want);
  });

test('condition: all filters have to be true, and each needs its value', () => {
  const filters = filtersOf([
    { key: KEY, predicate: above(1) },
    { key: { type: 'SERVER_ATTRIBUTE', key: 'y' }, predicate: below(9) },
  ]);
  assert.equal(holds(filters, valuesOf({ 'TIME_SERIES x': long(5), 'ATTRIBUTE y': long(5) })), true);
  assert.equal(holds(filters, valuesOf({ 'TIME_SERIES x': long(5), 'ATTRIBUTE y': long(10) })), false);
  assert.equal(holds(filters, valuesOf({ 'TIME_SERIES x': long(5) })), false);
  assert.equal(holds([], valuesOf({})), true);
});

for (const [value, want] of [
  [undefined, 3],
  [long(7), 7],
  [double(7.9), 7],
  [text('7'), 7],
  [bool(true), 1],
] as const)
  test(`required: ${value ? `${value.type} ${value.value}` : 'the default'}`, () =>
    assert.equal(
      required(
        { defaultValue: 3, userValue: null, dynamicValue: { ...from('n'), sourceType: 'CURRENT_DEVICE', inherit: false } },
        valuesOf({}, value ? { n: value } : {}),
      ),
      want,
    ));

test('required: what is no number is an error', () =>
  assert.throws(
    () =>
      required(
        { defaultValue: 3, userValue: null, dynamicValue: { sourceType: 'CURRENT_DEVICE', sourceAttribute: 'n', inherit: false } },
        valuesOf({}, { n: text('many') }),
      ),
    { message: "Could not convert attribute 'n' with value 'many' to numeric value!" },
  ));
