import { Double, isJsonObject, type Json } from '#engine/json.ts';

/** Numbers as Java reads, rounds and narrows them. */

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;
const DOUBLE_TEXT = /^[+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[dDfF]?)$/;

/** `Double.parseDouble`: blanks around it and a trailing `d` or `f` are allowed. null: no number. */
export function parseDouble(text: string): number | null {
  const trimmed = text.replace(/^[\0- ]+|[\0- ]+$/g, '');
  return DOUBLE_TEXT.test(trimmed) ? Number(trimmed.replace(/[dDfF]$/, '')) : null;
}

/** A JSON number as double; null for everything else. */
export function numberOf(value: Json): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Double ? value.value : null;
}

/** `JsonNode.asDouble`: texts are read, true is 1, what is no number is 0. */
export function lenientDouble(value: Json): number {
  if (typeof value === 'string') return parseDouble(value) ?? 0;
  if (value === true) return 1;
  return value === null || Array.isArray(value) || isJsonObject(value) ? 0 : (numberOf(value) ?? 0);
}

/**
 * `BigDecimal.valueOf(value).setScale(scale, HALF_UP)`: the digits that are shown decide, so 2.345 becomes 2.35. A negative scale rounds to tens, hundreds, ….
 * Never -0. @param value finite.
 */
export function roundHalfUp(value: number, scale: number): number {
  const [mantissa = '', exponentText = ''] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  /** How many of the digits go. */
  const dropped = digits.length - 1 - Number(exponentText) - scale;
  if (dropped <= 0) return value + 0;
  if (dropped > digits.length) return 0;
  const power = 10n ** BigInt(dropped);
  const all = BigInt(digits);
  const kept = all / power + (2n * (all % power) >= power ? 1n : 0n);
  return Number(`${value < 0 ? '-' : ''}${kept}e${-scale}`) + 0;
}

/** `(long) value`: cut off, held within 64 bits, NaN is 0. */
export function toLong(value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  if (value >= 2 ** 63) return LONG_MAX;
  return value <= -(2 ** 63) ? LONG_MIN : BigInt(Math.trunc(value));
}

/** A 64-bit integer as JSON holds it. */
export const longJson = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

/** A double as JSON holds it: `5.0` stays one. */
export const doubleJson = (value: number): Json => (Number.isInteger(value) ? new Double(value) : value);

/**
 * A decimal result: whole ones are integers, the others doubles.
 * @throws Error when a whole one is beyond 64 bits.
 */
export function wholeOrDouble(value: number): Json {
  if (!Number.isInteger(value)) return value;
  // The digits that are shown count here too: 1.2345678901234568E18 is 1234567890123456800.
  const long = Math.abs(value) < 1e21 ? BigInt(String(value)) : null;
  if (long === null || long < LONG_MIN || long > LONG_MAX) throw new Error('Overflow');
  return longJson(long);
}
