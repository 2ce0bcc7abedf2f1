import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { outcomeOf } from './run.ts';

/**
 * A small model of Java's numbers, with BigInt for what is whole, against the runtime (specs: tbel §5.2 to §5.5). It shares no line with it.
 */
type Whole = 'B' | 'I' | 'L';
type Value = { k: Whole; n: bigint } | { k: 'F' | 'D'; n: number } | { k: 'S'; n: string } | { k: 'Z'; n: boolean } | { k: 'N' };
type Numeric = Extract<Value, { n: bigint | number }>;
class Fault extends Error {}

const WIDTH = ['B', 'I', 'L', 'F', 'D'];
const isNumeric = (v: Value): v is Numeric => WIDTH.includes(v.k);
const saturated = (d: number, bits: bigint): bigint => {
  if (Number.isNaN(d)) return 0n;
  const [least, most] = [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
  if (d >= Number(most)) return most;
  return d <= Number(least) ? least : BigInt(Math.trunc(d));
};
const as = (k: string, d: number): Value => {
  switch (k) {
    case 'B':
      return { k, n: BigInt.asIntN(8, saturated(d, 32n)) };
    case 'I':
      return { k, n: saturated(d, 32n) };
    case 'L':
      return { k, n: saturated(d, 64n) };
    case 'F':
      return { k, n: Math.fround(d) };
    default:
      return { k: 'D', n: d };
  }
};
const real = (op: string, a: number, b: number): number =>
  op === '+' ? a + b : op === '-' ? a - b : op === '*' ? a * b : op === '/' ? a / b : op === '%' ? a % b : a ** b;

function sameKind(op: string, a: Numeric, b: Numeric): Value {
  if (a.k === 'F' || a.k === 'D') {
    const d = real(op, Number(a.n), Number(b.n));
    return as(a.k === 'F' && op !== '/' && op !== '**' ? 'F' : 'D', d);
  }
  const [x, y] = [a.n as bigint, b.n as bigint];
  const isLong = a.k === 'L';
  if (op === '/') return { k: 'D', n: Number(x) / Number(y) };
  if (op === '**') {
    const d = Number(x) ** Number(y);
    return d > Number(isLong ? 2n ** 63n - 1n : 2n ** 31n - 1n) ? { k: 'D', n: d } : as(isLong ? 'L' : 'I', d);
  }
  if (op === '%' && y === 0n) throw new Fault('/ by zero');
  const exact = op === '+' ? x + y : op === '-' ? x - y : op === '*' ? x * y : x % y;
  if (isLong) return { k: 'L', n: BigInt.asIntN(64, exact) };
  return { k: exact === BigInt.asIntN(32, exact) ? 'I' : 'L', n: exact };
}

/** Only what decimal digits say. */
const numericText = (text: string): number | null => (/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(text) ? Number(text) : null);

function arithmetic(op: string, a: Value, b: Value): Value {
  if (isNumeric(a) && isNumeric(b)) {
    if (a.k === b.k) return sameKind(op, a, b);
    return as(WIDTH[Math.max(WIDTH.indexOf(a.k), WIDTH.indexOf(b.k))]!, real(op, Number(a.n), Number(b.n)));
  }
  if (op === '+') return { k: 'S', n: textOf(a) + textOf(b) };
  const x = isNumeric(a) ? Number(a.n) : a.k === 'S' ? numericText(a.n) : null;
  const y = isNumeric(b) ? Number(b.n) : b.k === 'S' ? numericText(b.n) : null;
  if (x === null || y === null) return { k: 'N' };
  return as(isNumeric(a) ? a.k : isNumeric(b) ? b.k : 'D', real(op, x, y));
}

function bitwise(op: string, a: Value, b: Value): Value {
  if (b.k === 'B') throw new Fault('class java.lang.Byte cannot be cast to class java.lang.Integer');
  if (a.k === 'D' && b.k === 'D') throw new Fault('bitwise operation on a non-fixed-point number.');
  const whole = (v: Value): bigint | null => (v.k === 'Z' ? BigInt(v.n) : v.k === 'I' || v.k === 'L' || v.k === 'B' ? v.n : null);
  const [x, y] = [whole(a), whole(b)];
  if (x === null || y === null) return { k: 'N' };
  if (op === '&' || op === '|' || op === '^') {
    const n = op === '&' ? x & y : op === '|' ? x | y : x ^ y;
    if (a.k === 'Z' && b.k === 'Z') return { k: 'Z', n: n !== 0n };
    return { k: a.k === 'L' || b.k === 'L' ? 'L' : 'I', n };
  }
  const bits = a.k === 'L' ? 64 : 32;
  const by = BigInt.asUintN(bits === 64 ? 6 : 5, y);
  const n = op === '<<' ? x << by : op === '>>' ? x >> by : BigInt.asUintN(bits, x) >> by;
  return { k: a.k === 'L' ? 'L' : 'I', n: BigInt.asIntN(bits, n) };
}

function compared(op: string, a: Value, b: Value): Value {
  const truth = (v: Value): boolean => (v.k === 'Z' ? v.n : v.k === 'S' ? v.n.toLowerCase() === 'true' : Number((v as Numeric).n) !== 0);
  const isEquality = op === '==' || op === '!=';
  const result = (n: boolean): Value => ({ k: 'Z', n });
  if (a.k === 'N' || b.k === 'N') return result(isEquality ? (a.k === b.k) === (op === '==') : false);
  let order: number;
  if (a.k === 'Z' || b.k === 'Z') order = Number(truth(a)) - Number(truth(b));
  else if (a.k === 'S' && b.k === 'S') order = a.n < b.n ? -1 : a.n > b.n ? 1 : 0;
  else {
    if (a.k === 'L' && b.k === 'L') order = a.n < b.n ? -1 : a.n > b.n ? 1 : 0;
    else {
      const [x, y] = [a, b].map((v) => (v.k === 'S' ? numericText(v.n) : Number((v as Numeric).n)));
      if (x === null || y === null) {
        if (isEquality) return result(op === '!=');
        throw new Fault(`uncomparable values <<${textOf(a)}>> and <<${textOf(b)}>>`);
      }
      order = x! < y! ? -1 : x! > y! ? 1 : x === y ? 0 : Number.NaN;
    }
  }
  if (Number.isNaN(order)) return result(op === '!=');
  return result(
    op === '==' ? order === 0 : op === '!=' ? order !== 0 : op === '<' ? order < 0 : op === '>' ? order > 0 : op === '<=' ? order <= 0 : order >= 0,
  );
}

/** Of values whose digits are written the same way by both languages, which is all that is generated. */
function textOf(v: Value): string {
  if (v.k === 'N') return 'null';
  if (v.k === 'F' || v.k === 'D') return Number.isInteger(v.n) ? `${v.n}.0` : String(v.n);
  return String(v.n);
}

const whole = (k: 'I' | 'L', n: bigint): readonly [string, Value] => [
  k === 'I'
    ? `(${n === -2147483648n ? 'Integer.MIN_VALUE' : `0 + ${n < 0n ? `(0 - ${-n})` : n}`})`
    : `${n < 0n ? '(0L - ' : '('}${n < 0n ? -n : n}L)`,
  { k, n },
];
const INTS = [0n, 1n, -1n, 2n, 3n, 7n, 31n, 33n, 64n, 255n, -128n, 65536n, 46341n, 999999999n, -999999999n];
const LONGS = [
  0n,
  1n,
  -1n,
  5n,
  63n,
  2147483647n,
  2147483648n,
  -2147483649n,
  1700000000999n,
  9007199254740993n,
  9223372036854775807n,
  -9223372036854775807n,
];
const REALS = [0, 0.5, -0.5, 1.5, 2, -7.25, 100, 1234.5, 0.001];
const operand: fc.Arbitrary<readonly [string, Value]> = fc.oneof(
  fc.oneof(fc.constantFrom(...INTS), fc.bigInt({ min: -99999999n, max: 99999999n })).map((n) => whole('I', n)),
  fc.oneof(fc.constantFrom(...LONGS), fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n })).map((n) => whole('L', n)),
  fc.constantFrom(...REALS).map((n) => [`(${n}d)`, { k: 'D', n }] as const),
  fc.constantFrom(...REALS.filter((n) => n === Math.fround(n))).map((n) => [`(${n}f)`, { k: 'F', n }] as const),
  fc.integer({ min: 0, max: 255 }).map((n) => [`payload[${n}]`, { k: 'B', n: BigInt.asIntN(8, BigInt(n)) }] as const),
  fc.constantFrom('7', '-2', '2.5', ' 3 ', '1e2', 'abc', '', 'true').map((n) => [JSON.stringify(n), { k: 'S', n }] as const),
  fc.boolean().map((n) => [String(n), { k: 'Z', n }] as const),
  fc.constant(['null', { k: 'N' }] as const),
);
const PAYLOAD = Array.from({ length: 256 }, (_, i) => i);
const KINDS = ['Integer', 'Long', 'Float', 'Double', 'Byte', 'String', 'Boolean'];
const KIND_NAMES: Record<string, string> = { I: 'Integer', L: 'Long', F: 'Float', D: 'Double', B: 'Byte', S: 'String', Z: 'Boolean' };

/** The value and its kind, as a program that asks both would give them. */
function expected(run: () => Value): string {
  try {
    const v = run();
    const kinds = KINDS.map((kind) => String(KIND_NAMES[v.k] === kind)).join();
    if (v.k === 'N') return `[null,${kinds}]`;
    if (v.k === 'S') return `[${JSON.stringify(v.n)},${kinds}]`;
    return `[${v.n},${kinds}]`;
  } catch (cause) {
    if (cause instanceof Fault) return `error: ${cause.message}`;
    throw cause;
  }
}
/** A number's text as JavaScript writes it: how Java writes it is another table's. */
function plain(outcome: string): string {
  if (!outcome.startsWith('[')) return outcome;
  const [first, ...kinds] = JSON.parse(outcome) as [unknown, ...boolean[]];
  const [, , isFloat, , , isText] = kinds;
  const digits = /^\[(-?\d+)[,\]]/.exec(outcome)?.[1];
  let shown = digits ?? String(first);
  if (typeof first === 'string' && isText) shown = JSON.stringify(first);
  // A float is written with the fewest digits that read back as it.
  if (typeof first === 'number' && digits === undefined) shown = String(isFloat ? Math.fround(first) : first);
  return `[${shown},${kinds.join()}]`;
}

const ASKED = KINDS.map((kind) => `r instanceof ${kind}`).join(', ');
const dynamic = (op: string, a: string, b: string): string => `function f(a, b) { return a ${op} b; } var r = f(${a}, ${b}); return [r, ${ASKED}];`;
for (const [name, operators, model] of [
  ['arithmetic', ['+', '-', '*', '/', '%', '**'], arithmetic],
  ['bits', ['&', '|', '^', '<<', '>>', '>>>'], bitwise],
  ['comparison', ['==', '!=', '<', '>', '<=', '>='], compared],
] as const)
  test(`tbel against the model: ${name}`, () =>
    fc.assert(
      fc.property(fc.constantFrom(...operators), operand, operand, (op, [a, x], [b, y]) => {
        assert.equal(
          plain(outcomeOf(dynamic(op, a, b), PAYLOAD)),
          expected(() => model(op, x, y)),
        );
      }),
      { numRuns: 4000, seed: 7_654_321 },
    ));

test('tbel against the model: integers that the compiler knows', () =>
  fc.assert(
    fc.property(
      fc.constantFrom('+', '-', '*', '/'),
      fc.bigInt({ min: -99999999n, max: 999999999n }),
      fc.bigInt({ min: -9n, max: 999999999n }),
      (op, x, y) => {
        const literal = (n: bigint): string => (n < 0n ? `-${-n}` : String(n));
        const exact = op === '+' ? x + y : op === '-' ? x - y : op === '*' ? x * y : y === 0n ? null : x / y;
        const gives = exact === null ? 'error: / by zero' : String(BigInt.asIntN(32, exact));
        assert.equal(outcomeOf(`var a = ${literal(x)}; var b = ${literal(y)}; return a ${op} b;`), gives);
      },
    ),
    { numRuns: 2000, seed: 1_234_567 },
  ));
