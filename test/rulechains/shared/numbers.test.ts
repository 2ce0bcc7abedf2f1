import assert from 'node:assert/strict';
import test from 'node:test';
import { Double, parseJson } from '#engine/json.ts';
import { lenientDouble, parseDouble, roundHalfUp, toLong, wholeOrDouble } from '#rulechains/shared/numbers.ts';

test('numbers: rounding half up, by the digits that are shown', () => {
  for (const [value, scale, rounded] of [
    [2.345, 2, 2.35],
    [2.005, 2, 2.01],
    [1.005, 2, 1.01],
    [-2.5, 0, -3],
    [2.5, 0, 3],
    [0.5, 0, 1],
    [0.49999, 0, 0],
    [1 / 3, 10, 0.3333333333],
    [1 / 3, 17, 1 / 3],
    [1234.5, -2, 1200],
    [1250, -2, 1300],
    [50, -2, 100],
    [49, -2, 0],
    [5, -2, 0],
    [1e-7, 6, 0],
    [5e-7, 6, 0.000001],
    [1e300, 6, 1e300],
    [-0.0001, 2, 0],
    [5e-324, 2, 0],
    [12.5, 2_147_483_647, 12.5],
    [12.5, -2_147_483_648, 0],
  ] as const)
    assert.ok(Object.is(roundHalfUp(value, scale), rounded), `${value} to ${scale}: ${roundHalfUp(value, scale)}`);
});

test('numbers: texts as Java reads them', () => {
  const texts = ['10', ' 5 ', '-1.5e3', '.5', '5.', '1d', '+2', 'NaN', '-Infinity', '', ' ', 'abc', '1,5', '0x10', '1 2', '1e', '--1', '\u00a05'];
  assert.deepEqual(texts.map(parseDouble), [10, 5, -1500, 0.5, 5, 1, 2, NaN, -Infinity, null, null, null, null, null, null, null, null, null]);
});

test('numbers: JSON values read leniently', () => {
  const values = ['1', '"10"', '" 5 "', '""', '"x"', 'true', 'false', 'null', '[1]', '{"a":1}', '3.0', '9007199254740993', '1e400'];
  assert.deepEqual(
    values.map((text) => lenientDouble(parseJson(text))),
    [1, 10, 5, 0, 0, 1, 0, 0, 0, 0, 3, 9007199254740992, Infinity],
  );
});

test('numbers: narrowed to 64 bits', () => {
  assert.deepEqual([2.7, -2.7, 1e200, -1e200, NaN, 1e10].map(toLong), [2n, -2n, 2n ** 63n - 1n, -(2n ** 63n), 0n, 10_000_000_000n]);
});

test('numbers: whole ones become integers, the others stay doubles', () => {
  assert.deepEqual([2, 2.5, -0, 1e18, 1.2345678901234568e18].map(wholeOrDouble), [2, 2.5, 0, 10n ** 18n, 1234567890123456800n]);
  assert.equal(new Double(2).value, 2);
  for (const value of [1e19, -1e19, 1e30]) assert.throws(() => wholeOrDouble(value), { message: 'Overflow' });
});
