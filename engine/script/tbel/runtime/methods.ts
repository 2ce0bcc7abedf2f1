import { decimalOf, textOf } from './text.ts';
import { Byt, Chr, cannotConvert, clampInt, classOf, fault, isInt, Lng, numberOf, rankOf, sameValue, valueOfKey } from './values.ts';

/** Methods of values: tables by name, so that no name of a program is ever looked up on an object. */
export interface Method {
  readonly min: number;
  readonly max: number;
  readonly run: (self: never, args: readonly unknown[]) => unknown;
}
export type Methods = ReadonlyMap<string, Method>;

export type MethodRow<T> = readonly [min: number, max: number, run: (self: T, args: readonly unknown[]) => unknown];
export const methodTable = <T>(rows: Readonly<Record<string, MethodRow<T>>>): Methods =>
  new Map(Object.entries(rows).map(([name, [min, max, run]]) => [name, { min, max, run: run as Method['run'] }]));

export const unresolvedMethod = (name: string, args: readonly unknown[]): never =>
  fault(`unable to resolve method: ${name}(${args.map(classOf).join(', ')}) [arglength=${args.length}]`);

export function callMethod(table: Methods, self: unknown, name: string, args: readonly unknown[]): unknown {
  const method = table.get(name);
  if (method === undefined || args.length < method.min || args.length > method.max) return unresolvedMethod(name, args);
  return method.run(self as never, args);
}

// ---- arguments, converted as the original does (§6) ----

/** A number or a numeric text as an Integer; bytes do not convert. */
export function intArg(v: unknown): number {
  if (isInt(v)) return v;
  if (v instanceof Byt) return cannotConvert(v, 'java.lang.Integer');
  if (v === null || v === undefined) return fault('null pointer');
  if (typeof v === 'boolean') return v ? 1 : 0;
  const value = rankOf(v) > 0 ? numberOf(v) : decimalOf(textOf(v));
  return value === undefined ? fault(`For input string: "${textOf(v)}"`) : clampInt(value);
}
export function numberArg(v: unknown): number {
  if (v === null || v === undefined) return fault('null pointer');
  if (rankOf(v) > 0) return numberOf(v);
  if (typeof v === 'boolean') return v ? 1 : 0;
  const text = textOf(v).trim();
  if (text === 'NaN') return Number.NaN;
  if (text === 'Infinity' || text === '-Infinity') return Number(text);
  return decimalOf(text) ?? fault(text === '' ? 'empty String' : `For input string: "${text}"`);
}
export function longArg(v: unknown): bigint {
  if (v instanceof Lng) return v.v;
  if (typeof v === 'string') {
    const value = decimalOf(v);
    if (value !== undefined && Number.isInteger(value) && !v.includes('.') && !v.toLowerCase().includes('e')) return BigInt(v.trim());
  }
  return BigInt(Math.trunc(numberArg(v)));
}
export const textArg = (v: unknown): string => (v === null || v === undefined ? fault('null pointer') : textOf(v));
export const boolArg = (v: unknown, otherwise: boolean): boolean =>
  v === undefined ? otherwise : typeof v === 'boolean' ? v : v === null ? fault('null pointer') : textOf(v).toLowerCase() === 'true';

/** Java's hashCode(). */
export function hashOf(v: unknown): number {
  if (v === null || v === undefined) return 0;
  if (isInt(v)) return v;
  if (typeof v === 'boolean') return v ? 1231 : 1237;
  if (v instanceof Byt) return v.v;
  if (v instanceof Lng) return Number(BigInt.asIntN(32, v.v ^ (BigInt.asUintN(64, v.v) >> 32n)));
  if (Array.isArray(v)) return v.reduce<number>((hash, each) => (Math.imul(31, hash) + hashOf(each)) | 0, 1);
  if (v instanceof Map) return [...v].reduce((hash, [key, value]) => (hash + (hashOf(valueOfKey(key)) ^ hashOf(value))) | 0, 0);
  if (rankOf(v) > 0) {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, numberOf(v));
    return view.getInt32(0) ^ view.getInt32(4);
  }
  const text = textOf(v);
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(31, hash) + text.charCodeAt(i)) | 0;
  return hash;
}

export const commonMethods = {
  toString: [0, 0, (self: unknown) => textOf(self)],
  equals: [1, 1, (self: unknown, [other]: readonly unknown[]) => sameValue(self, other)],
  hashCode: [0, 0, (self: unknown) => hashOf(self)],
} as const;

/** Numeric if every one of them parses as a number, else by text. Kinds are kept. */
export function sortValues<T>(items: T[], of: (item: T) => unknown, ascending: boolean): T[] {
  const numbers = items.map((item) => {
    const value = of(item);
    return rankOf(value) > 0 ? numberOf(value) : typeof value === 'string' || value instanceof Chr ? decimalOf(textOf(value)) : undefined;
  });
  const sign = ascending ? 1 : -1;
  if (numbers.every((value) => value !== undefined)) {
    const order = items.map((item, i) => ({ item, value: numbers[i]! }));
    return order.sort((a, b) => sign * (a.value < b.value ? -1 : a.value > b.value ? 1 : 0)).map(({ item }) => item);
  }
  const order = items.map((item) => ({ item, value: textOf(of(item)) }));
  return order.sort((a, b) => sign * (a.value < b.value ? -1 : a.value > b.value ? 1 : 0)).map(({ item }) => item);
}
export const MAX_TEXT = 4194304;
export const checkedLength = (length: number): void => {
  if (length > MAX_TEXT) fault(`Max string length overflow (${length} > ${MAX_TEXT})!`);
};
