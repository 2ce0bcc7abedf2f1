import { dateStatics } from './dates.ts';
import { readJson, writeJson } from './json.ts';
import { itemsOf } from './lists.ts';
import { intArg, longArg, type Method, numberArg, sortValues, textArg, unresolvedMethod } from './methods.ts';
import { intIn, longIn } from './number-texts.ts';
import { stringStatics } from './strings.ts';
import { textOf } from './text.ts';
import { Arr, Byt, cannotConvert, clampInt, clampLong, Dbl, dbl, Flt, fault, flt, isInt, Lng, lng, numberOf } from './values.ts';

/** What a program can reach by the name of a class (specs: tbel §7.1, §8.9). */

type Row = readonly [min: number, max: number, run: (self: never, args: readonly unknown[]) => unknown];
const pure = (run: (v: number) => number): Row => [1, 1, (_, [v]) => dbl(run(mathArg(v)))];
const mathArg = (v: unknown): number => (v instanceof Byt ? cannotConvert(v, 'java.lang.Double') : numberArg(v));

/** One Integer is enough for the version of Integers, which cuts the other one (§6). */
function extreme(pick: (a: number, b: number) => number): Row {
  return [
    2,
    2,
    (_, [a, b]) => {
      if (a instanceof Byt || b instanceof Byt) return cannotConvert(a instanceof Byt ? a : b, 'java.lang.Integer');
      if (isInt(a) || isInt(b)) {
        if (a instanceof Lng || b instanceof Lng) return clampLong(pick(numberArg(a), numberArg(b)));
        return pick(intArg(a), intArg(b));
      }
      const value = pick(numberArg(a), numberArg(b));
      if (a instanceof Lng && b instanceof Lng) return value === Number(a.v) ? a : b;
      return a instanceof Flt && b instanceof Flt ? flt(value) : dbl(value);
    },
  ];
}
const max = (a: number, b: number): number => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.max(a, b));
const min = (a: number, b: number): number => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.min(a, b));

const math: Record<string, Row> = {
  abs: [
    1,
    1,
    (_, [v]) => {
      if (v instanceof Byt) return cannotConvert(v, 'java.lang.Integer');
      if (v instanceof Lng) return v.v < 0n ? lng(-v.v) : v;
      if (isInt(v)) return v === -2147483648 ? v : Math.abs(v);
      return v instanceof Flt ? flt(Math.abs(v.v)) : dbl(Math.abs(numberArg(v)));
    },
  ],
  round: [
    1,
    1,
    (_, [v]) => {
      if (v instanceof Byt) return cannotConvert(v, 'java.lang.Integer');
      const value = Math.floor(numberArg(v)) + (numberArg(v) - Math.floor(numberArg(v)) >= 0.5 ? 1 : 0);
      return v instanceof Flt || isInt(v) ? clampInt(value) : v instanceof Lng ? v : clampLong(value);
    },
  ],
  max: extreme(max),
  min: extreme(min),
  pow: [2, 2, (_, [a, b]) => dbl(mathArg(a) ** mathArg(b))],
  atan2: [2, 2, (_, [a, b]) => dbl(Math.atan2(mathArg(a), mathArg(b)))],
  hypot: [2, 2, (_, [a, b]) => dbl(Math.hypot(mathArg(a), mathArg(b)))],
  random: [0, 0, () => dbl(Math.random())],
  toRadians: pure((v) => (v * Math.PI) / 180),
  toDegrees: pure((v) => (v * 180) / Math.PI),
  signum: pure(Math.sign),
  rint: pure((v) => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v))),
  floorMod: [2, 2, (_, [a, b]) => (intArg(b) === 0 ? fault('/ by zero') : ((intArg(a) % intArg(b)) + intArg(b)) % intArg(b))],
  floorDiv: [2, 2, (_, [a, b]) => (intArg(b) === 0 ? fault('/ by zero') : Math.floor(intArg(a) / intArg(b)))],
};
for (const name of [
  'ceil',
  'floor',
  'sqrt',
  'cbrt',
  'log',
  'log10',
  'log1p',
  'exp',
  'expm1',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
] as const)
  math[name] = pure(Math[name]);

const digitsIn = (v: unknown, radix: unknown): string => longArg(v).toString(radix === undefined ? 10 : intArg(radix));
const whole = (name: 'Integer' | 'Long'): Record<string, Row> => {
  const isLong = name === 'Long';
  const size = isLong ? 64 : 32;
  const parse = (_: never, [text, radix]: readonly unknown[]): unknown => {
    if (text === null) return fault(isLong ? 'Cannot parse null string: null' : 'Cannot parse null string: null');
    const digits = textArg(text);
    return isLong ? longIn(digits, radix === undefined ? 10 : intArg(radix)) : intIn(digits, radix === undefined ? 10 : intArg(radix));
  };
  const valueArg = (v: unknown): bigint => (v instanceof Byt ? cannotConvert(v, 'java.lang.Integer') : isLong ? longArg(v) : BigInt(intArg(v)));
  const bits = (radix: number): Row => [1, 1, (_, [v]) => BigInt.asUintN(size, valueArg(v)).toString(radix)];
  return {
    [`parse${isLong ? 'Long' : 'Int'}`]: [1, 2, parse],
    valueOf: [
      1,
      2,
      (_: never, args: readonly unknown[]) => (typeof args[0] === 'string' ? parse(_, args) : isLong ? lng(longArg(args[0])) : intArg(args[0])),
    ] as Row,
    toString: [1, 2, (_: never, [v, radix]: readonly unknown[]) => digitsIn(isLong ? v : intArg(v), radix)] as Row,
    toHexString: bits(16),
    toBinaryString: bits(2),
    toOctalString: bits(8),
    bitCount: [1, 1, (_, [v]) => [...BigInt.asUintN(size, valueArg(v)).toString(2)].filter((bit) => bit === '1').length],
    compare: [2, 2, (_, [a, b]) => (longArg(a) < longArg(b) ? -1 : longArg(a) > longArg(b) ? 1 : 0)],
    max: math['max']!,
    min: math['min']!,
    signum: [1, 1, (_, [v]) => (longArg(v) > 0n ? 1 : longArg(v) < 0n ? -1 : 0)],
    reverse: [
      1,
      1,
      (_, [v]) => Number(BigInt.asIntN(32, BigInt(`0b${[...BigInt.asUintN(32, valueArg(v)).toString(2).padStart(32, '0')].reverse().join('')}`))),
    ],
  };
};
const realNumber = (isFloat: boolean): Record<string, Row> => {
  const made = (v: number): unknown => (isFloat ? flt(v) : dbl(v));
  const of: Row = [1, 1, (_, [v]) => made(numberArg(v))];
  return {
    [isFloat ? 'parseFloat' : 'parseDouble']: of,
    valueOf: of,
    toString: [1, 1, (_: never, [v]: readonly unknown[]) => textOf(made(numberArg(v)))] as Row,
    isNaN: [1, 1, (_, [v]) => Number.isNaN(numberArg(v))],
    isInfinite: [1, 1, (_, [v]) => Math.abs(numberArg(v)) === Number.POSITIVE_INFINITY],
    isFinite: [1, 1, (_, [v]) => Number.isFinite(numberArg(v))],
    compare: [2, 2, (_, [a, b]) => (numberArg(a) < numberArg(b) ? -1 : numberArg(a) > numberArg(b) ? 1 : 0)],
    max: [2, 2, (_, [a, b]) => made(max(numberArg(a), numberArg(b)))],
    min: [2, 2, (_, [a, b]) => made(min(numberArg(a), numberArg(b)))],
  };
};
const truthOfStatics: Row = [1, 1, (_, [v]) => (typeof v === 'boolean' ? v : v !== null && v !== undefined && textOf(v).toLowerCase() === 'true')];

const copyOfRange: Row = [
  3,
  3,
  (_, [array, a, b]) => {
    const items = itemsOf(array);
    const from = intArg(a);
    const to = intArg(b);
    if (from > to) return fault(`${from} > ${to}`);
    if (from < 0 || from > items.length) return fault('ArrayIndexOutOfBoundsException');
    if (to - from > 524288) return fault(`Max array length overflow (${to - from} > 524288)!`);
    const copy = items.slice(from, to);
    while (copy.length < to - from) copy.push(array instanceof Arr ? zeroOf(array.of) : null);
    return array instanceof Arr ? new Arr(array.of, copy) : copy;
  },
];
export function zeroOf(of: string): unknown {
  switch (of) {
    case 'byte':
      return byteZero;
    case 'long':
      return lng(0n);
    case 'float':
      return flt(0);
    case 'double':
      return new Dbl(0);
    case 'boolean':
      return false;
    case 'char':
      return charZero;
    default:
      return 0;
  }
}
const byteZero = new Byt(0);
const charZero = '\0';

const sorted = (list: unknown): unknown[] => sortValues([...itemsOf(list)], (item) => item, true);
const collections: Record<string, Row> = {
  'java.util.Arrays.copyOfRange': copyOfRange,
  'java.util.Arrays.copyOf': [2, 2, (_, [array, size]) => copyOfRange[2](_, [array, 0, size])],
  'java.util.Arrays.asList': [
    0,
    10,
    (_, args) => (args.length === 1 && typeof args[0] === 'object' && args[0] !== null ? [...itemsOf(args[0])] : [...args]),
  ],
  'java.util.Arrays.toString': [1, 1, (_, [array]) => textOf(array)],
  'java.util.List.of': [0, 10, (_, args) => [...args]],
  'java.util.Collections.max': [1, 1, (_, [list]) => sorted(list).at(-1) ?? fault('NoSuchElementException')],
  'java.util.Collections.min': [1, 1, (_, [list]) => sorted(list)[0] ?? fault('NoSuchElementException')],
  'java.util.Collections.sort': [1, 1, (_, [list]) => inPlace(list, sorted(list))],
  'java.util.Collections.reverse': [1, 1, (_, [list]) => inPlace(list, [...itemsOf(list)].reverse())],
  'java.util.Collections.emptyList': [0, 0, () => []],
  'java.util.Collections.emptyMap': [0, 0, () => new Map()],
  'java.util.UUID.randomUUID': [0, 0, () => uuid()],
  'java.util.UUID.fromString': [1, 1, (_, [v]) => textArg(v).toLowerCase()],
};
function inPlace(list: unknown, items: readonly unknown[]): null {
  if (Array.isArray(list)) for (const [i, item] of items.entries()) list[i] = item;
  return null;
}
function uuid(): string {
  const digits = Array.from({ length: 32 }, (_, i) =>
    (i === 12 ? 4 : Math.floor(Math.random() * (i === 16 ? 4 : 16)) + (i === 16 ? 8 : 0)).toString(16),
  ).join('');
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}

const classes: Record<string, Record<string, Row>> = {
  Math: math,
  StrictMath: math,
  Integer: whole('Integer'),
  Short: { parseShort: whole('Integer')['parseInt']!, valueOf: whole('Integer')['valueOf']! },
  Long: whole('Long'),
  Double: realNumber(false),
  Float: realNumber(true),
  Boolean: { parseBoolean: truthOfStatics, valueOf: truthOfStatics, toString: [1, 1, (_: never, [v]: readonly unknown[]) => textOf(v)] as Row },
  Byte: {
    toUnsignedInt: [1, 1, (_, [v]) => numberOf(v) & 255],
    parseByte: [1, 2, (_, [text, radix]) => new Byt((intIn(textArg(text), radix === undefined ? 10 : intArg(radix)) << 24) >> 24)],
    toString: [1, 1, (_: never, [v]: readonly unknown[]) => textOf(v)] as Row,
  },
  JSON: {
    stringify: [1, 1, (_, [v]) => writeJson(v)],
    parse: [1, 1, (_, [v]) => (v === null ? null : textArg(v) === '' ? fault('No content to map due to end-of-input') : readJson(textArg(v)))],
  },
};

export const statics: ReadonlyMap<string, Method> = new Map(
  [
    ...Object.entries(classes).flatMap(([name, rows]) => Object.entries(rows).map(([method, row]) => [`${name}.${method}`, row] as const)),
    ...Object.entries(collections),
    ...Object.entries(dateStatics),
    ...Object.entries(stringStatics as unknown as Record<string, Row>),
  ].map(([name, [least, most, run]]) => [name, { min: least, max: most, run }]),
);

export const constants: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['Math.PI', Math.PI],
  ['Math.E', Math.E],
  ['Integer.MAX_VALUE', 2147483647],
  ['Integer.MIN_VALUE', -2147483648],
  ['Short.MAX_VALUE', 32767],
  ['Short.MIN_VALUE', -32768],
  ['Byte.MAX_VALUE', new Byt(127)],
  ['Byte.MIN_VALUE', new Byt(-128)],
  ['Long.MAX_VALUE', lng(2n ** 63n - 1n)],
  ['Long.MIN_VALUE', lng(-(2n ** 63n))],
  ['Double.MAX_VALUE', dbl(Number.MAX_VALUE)],
  ['Double.MIN_VALUE', Number.MIN_VALUE],
  ['Double.NaN', Number.NaN],
  ['Double.POSITIVE_INFINITY', Number.POSITIVE_INFINITY],
  ['Double.NEGATIVE_INFINITY', Number.NEGATIVE_INFINITY],
  ['Float.MAX_VALUE', flt(3.4028234663852886e38)],
  ['Float.MIN_VALUE', flt(1.401298464324817e-45)],
  ['Boolean.TRUE', true],
  ['Boolean.FALSE', false],
]);

export function callStatic(name: string, args: readonly unknown[]): unknown {
  const method = statics.get(name);
  const short = name.slice(name.lastIndexOf('.') + 1);
  if (method === undefined || args.length < method.min || args.length > method.max) return unresolvedMethod(short, args);
  return method.run(null as never, args);
}
