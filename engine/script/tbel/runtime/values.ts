/**
 * Values of TBEL (specs: tbel §11.3). An Integer is a whole number of JavaScript, a Double any other one; whole doubles, longs, floats, bytes and characters
 * are wrapped, because programs see the difference. Lists are arrays, maps are `Map`s whose keys `keyOf` made, sets are `Set`s of such keys.
 *
 * The files of this folder become one text that is run in the context of a script: they may use nothing but the language and each other, and their top-level
 * names must differ.
 */
export class Dbl {
  readonly v: number;
  constructor(v: number) {
    this.v = v;
  }
}
export class Lng {
  readonly v: bigint;
  constructor(v: bigint) {
    this.v = v;
  }
}
/** BigInteger: a JSON number of more than 64 bits. */
export class Big {
  readonly v: bigint;
  constructor(v: bigint) {
    this.v = v;
  }
}
export class Flt {
  readonly v: number;
  constructor(v: number) {
    this.v = v;
  }
}
export class Byt {
  readonly v: number;
  constructor(v: number) {
    this.v = v;
  }
}
export class Chr {
  readonly v: string;
  constructor(v: string) {
    this.v = v;
  }
}
/** An array of a primitive type. */
export class Arr {
  readonly of: string;
  readonly items: unknown[];
  constructor(of: string, items: unknown[]) {
    this.of = of;
    this.items = items;
  }
}
export class Entry {
  readonly k: unknown;
  v: unknown;
  constructor(k: unknown, v: unknown) {
    this.k = k;
    this.v = v;
  }
}
export class TbelDate {
  ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}
/** `java.util.Random`, without a seed of its own. */
export class Rnd {}

/** What a program did wrong. `inLibrary`: the text of the call belongs in front of the message. */
export class TbelError extends Error {
  inLibrary = false;
}
export const fault = (message: string): never => {
  throw new TbelError(message);
};

const BYTES: readonly Byt[] = Array.from({ length: 256 }, (_, i) => new Byt(i > 127 ? i - 256 : i));
/** Of the low 8 bits. */
export const byteOf = (bits: number): Byt => BYTES[bits & 255]!;
export const dbl = (v: number): unknown => (Number.isInteger(v) ? new Dbl(v) : v);
export const flt = (v: number): Flt => new Flt(Math.fround(v));
export const lng = (v: bigint): Lng => new Lng(BigInt.asIntN(64, v));
export const isInt = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v);
export const isReadOnly = (v: object): boolean => (v as { isReadOnly?: boolean }).isReadOnly === true;

export type Kind = 'I' | 'L' | 'BI' | 'D' | 'F' | 'B' | 'C' | 'S' | 'Z' | 'N' | 'list' | 'map' | 'set' | 'array' | 'date' | 'entry' | 'other';

export function kindOf(v: unknown): Kind {
  if (v === null || v === undefined) return 'N';
  if (typeof v === 'number') return Number.isInteger(v) ? 'I' : 'D';
  if (typeof v === 'string') return 'S';
  if (typeof v === 'boolean') return 'Z';
  if (Array.isArray(v)) return 'list';
  if (v instanceof Map) return 'map';
  if (v instanceof Byt) return 'B';
  if (v instanceof Dbl) return 'D';
  if (v instanceof Lng) return 'L';
  if (v instanceof Flt) return 'F';
  if (v instanceof Chr) return 'C';
  if (v instanceof Set) return 'set';
  if (v instanceof Arr) return 'array';
  if (v instanceof TbelDate) return 'date';
  if (v instanceof Entry) return 'entry';
  return v instanceof Big ? 'BI' : 'other';
}

const CLASS_NAMES: Readonly<Record<Kind, string>> = {
  I: 'java.lang.Integer',
  L: 'java.lang.Long',
  BI: 'java.math.BigInteger',
  D: 'java.lang.Double',
  F: 'java.lang.Float',
  B: 'java.lang.Byte',
  C: 'java.lang.Character',
  S: 'java.lang.String',
  Z: 'java.lang.Boolean',
  N: 'null',
  list: 'org.mvel2.execution.ExecutionArrayList',
  map: 'org.mvel2.execution.ExecutionHashMap',
  set: 'org.mvel2.execution.ExecutionLinkedHashSet',
  array: 'array',
  date: 'org.thingsboard.script.api.tbel.TbDate',
  entry: 'java.util.Map$Entry',
  other: 'java.lang.Object',
};
export const classOf = (v: unknown): string => (v instanceof Arr ? `${v.of}[]` : CLASS_NAMES[kindOf(v)]);
export const cannotCast = (v: unknown, to: string): never => fault(`class ${classOf(v)} cannot be cast to class ${to}`);
export const cannotConvert = (v: unknown, to: string): never => fault(`cannot convert type: ${classOf(v)} to: ${to}`);

/** Order of widening: B < I < L < F < D; 0: no number. */
export function rankOf(v: unknown): number {
  if (typeof v === 'number') return Number.isInteger(v) ? 2 : 6;
  if (typeof v !== 'object' || v === null) return 0;
  return v instanceof Dbl ? 6 : v instanceof Byt ? 1 : v instanceof Lng ? 3 : v instanceof Flt ? 5 : v instanceof Big ? 4 : 0;
}
export const isNumber = (v: unknown): boolean => rankOf(v) > 0;

/** Of a number; NaN of anything else. */
export function numberOf(v: unknown): number {
  if (typeof v === 'number') return v;
  if (v instanceof Dbl || v instanceof Byt || v instanceof Flt) return v.v;
  return v instanceof Lng || v instanceof Big ? Number(v.v) : Number.NaN;
}

const MAX_LNG = 2n ** 63n - 1n;
export function clampInt(v: number): number {
  return Number.isNaN(v) ? 0 : v >= 2147483647 ? 2147483647 : v <= -2147483648 ? -2147483648 : Math.trunc(v) + 0;
}
export function clampLong(v: number): Lng {
  if (Number.isNaN(v)) return new Lng(0n);
  if (v >= 9.2233720368547758e18) return new Lng(MAX_LNG);
  return new Lng(v <= -9.2233720368547758e18 ? -MAX_LNG - 1n : BigInt(Math.trunc(v)));
}

/** A number as the kind of the rank: integers saturate, bytes wrap. */
export function ofRank(v: number, rank: number): unknown {
  switch (rank) {
    case 1:
      return byteOf(clampInt(v));
    case 2:
      return clampInt(v);
    case 3:
      return clampLong(v);
    case 4:
      return new Big(Number.isFinite(v) ? BigInt(Math.trunc(v)) : 0n);
    case 5:
      return flt(v);
    default:
      return dbl(v);
  }
}

// ---- keys of maps, elements of sets ----

/**
 * A value as a key, so that what Java's equals() holds for the same meets: strings and Integers as they are, the others as text behind a zero.
 * A string that begins with a zero itself gets another one.
 */
export function keyOf(v: unknown): unknown {
  if (typeof v === 'string') return v.charCodeAt(0) === 0 ? `\0s${v}` : v;
  if (typeof v === 'number' || typeof v === 'boolean') return v;
  if (v === null || v === undefined) return null;
  if (v instanceof Dbl) return `\0d${Object.is(v.v, -0) ? '-0' : v.v}`;
  if (v instanceof Lng) return `\0l${v.v}`;
  if (v instanceof Big) return `\0i${v.v}`;
  if (v instanceof Flt) return `\0f${v.v}`;
  if (v instanceof Byt) return `\0b${v.v}`;
  return v instanceof Chr ? `\0c${v.v}` : v;
}
export function valueOfKey(key: unknown): unknown {
  if (typeof key !== 'string' || key.charCodeAt(0) !== 0) return key;
  const rest = key.slice(2);
  switch (key[1]) {
    case 'd':
      return new Dbl(Number(rest));
    case 'l':
      return new Lng(BigInt(rest));
    case 'i':
      return new Big(BigInt(rest));
    case 'f':
      return new Flt(Number(rest));
    case 'b':
      return byteOf(Number(rest));
    case 'c':
      return new Chr(rest);
    default:
      return rest;
  }
}

/** Java's equals(): kinds must agree as well. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Number.isNaN(a) && Number.isNaN(b);
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((each, i) => sameValue(each, b[i]));
  if (a instanceof Map) {
    if (!(b instanceof Map) || a.size !== b.size) return false;
    for (const [key, value] of a) if (!b.has(key) || !sameValue(value, b.get(key))) return false;
    return true;
  }
  if (a instanceof Set) return b instanceof Set && a.size === b.size && [...a].every((each) => b.has(each));
  if (a instanceof Entry) return b instanceof Entry && sameValue(a.k, b.k) && sameValue(a.v, b.v);
  const key = keyOf(a);
  return key !== a && key === keyOf(b);
}

/** Null never stays in a map. */
export function putEntry(map: Map<unknown, unknown>, key: unknown, value: unknown): void {
  if (isReadOnly(map)) fault('Map is unmodifiable');
  if (value === null || value === undefined) map.delete(keyOf(key));
  else map.set(keyOf(key), value);
}
export const entriesOf = (map: Map<unknown, unknown>): Entry[] => [...map].map(([key, value]) => new Entry(valueOfKey(key), value));
