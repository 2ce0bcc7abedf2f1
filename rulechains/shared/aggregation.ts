import { Type } from 'typebox';
import { Double, type Json, parseJson, plainText, printJson, toValue } from '#engine/json.ts';
import { nullable } from './fields.ts';

/** MIN, MAX, SUM, AVG, COUNT, COUNT_UNIQUE over values that come one by one. Whole numbers stay exact, and one value with a dot makes the result one. */

export const AGGREGATIONS = ['MIN', 'MAX', 'SUM', 'AVG', 'COUNT', 'COUNT_UNIQUE'] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

export const aggregation = nullable(Type.Enum([...AGGREGATIONS]), { title: 'Function', description: 'MIN, MAX, SUM, AVG, COUNT or COUNT_UNIQUE.' });

/** What is known of the values so far; as JSON it outlives a restart. */
export interface Aggregate {
  /** How many there were. */
  n: number;
  /** Sum or extreme, as JSON text. */
  v?: string;
  /** One of them was no whole number. */
  d?: true;
  /** Distinct values, for COUNT_UNIQUE. */
  u?: string[];
}

/** @throws Error for a value that is no number, where one is needed. */
export function add(fn: Aggregation, { n, v, d, u }: Aggregate, value: Json): Aggregate {
  if (fn === 'COUNT') return { n: n + 1 };
  if (fn === 'COUNT_UNIQUE') {
    const text = plainText(value);
    return { n: n + 1, u: u?.includes(text) ? u : [...(u ?? []), text] };
  }
  const number = toNumber(value);
  const before = v === undefined ? null : parseJson(v);
  const next = before === null ? number : combine(fn, before, number);
  return { n: n + 1, v: printJson(next), ...(d || !isWhole(number) ? { d: true as const } : {}) };
}

/** Of nothing: 0. */
export function result(fn: Aggregation, { n, v, d, u }: Aggregate): Json {
  if (fn === 'COUNT') return n;
  if (fn === 'COUNT_UNIQUE') return u?.length ?? 0;
  if (v === undefined) return 0;
  const value = parseJson(v);
  if (fn === 'AVG') return new Double(real(value) / n);
  return d ? new Double(real(value)) : value;
}

const isWhole = (value: Json): boolean => typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
const real = (value: Json): number => (value instanceof Double ? value.value : Number(value));

function combine(fn: Aggregation, a: Json, b: Json): Json {
  if (fn === 'MIN') return isLess(b, a) ? b : a;
  if (fn === 'MAX') return isLess(a, b) ? b : a;
  if (!isWhole(a) || !isWhole(b)) return new Double(real(a) + real(b));
  const sum = BigInt(a as number | bigint) + BigInt(b as number | bigint);
  const number = Number(sum);
  if (Number.isSafeInteger(number)) return number;
  return BigInt.asIntN(64, sum) === sum ? sum : new Double(number);
}

/** Whole numbers beyond 2^53 compare exactly. */
const isLess = (a: Json, b: Json): boolean => (isWhole(a) && isWhole(b) ? (a as number) < (b as number) : real(a) < real(b));

/** Numerals in text count, as everywhere in telemetry. */
function toNumber(value: Json): Json {
  const typed = toValue(value);
  if (typed?.type === 'LONG') return typed.value;
  if (typed?.type === 'DOUBLE' && Number.isFinite(typed.value)) return new Double(typed.value);
  throw new Error(`Value is not a number: ${printJson(value).slice(0, 100)}`);
}
