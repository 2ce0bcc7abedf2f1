import { toLong } from './numbers.ts';

/** What the math function node calculates, by operation and by function of its expressions (specs: rule-nodes §3.5, §7 row 18). */

const RADIANS = 0.017453292519943295;
const DEGREES = 57.29577951308232;

type Unary = (x: number) => number;
type Binary = (x: number, y: number) => number;

export const UNARY = {
  SIN: Math.sin,
  SINH: Math.sinh,
  COS: Math.cos,
  COSH: Math.cosh,
  TAN: Math.tan,
  TANH: Math.tanh,
  ACOS: Math.acos,
  ASIN: Math.asin,
  ATAN: Math.atan,
  EXP: Math.exp,
  EXPM1: Math.expm1,
  SQRT: Math.sqrt,
  CBRT: Math.cbrt,
  GET_EXP: exponentOf,
  LOG: Math.log,
  LOG10: Math.log10,
  LOG1P: Math.log1p,
  CEIL: Math.ceil,
  FLOOR: Math.floor,
  ABS: Math.abs,
  SIGNUM: Math.sign,
  RAD: (x) => x * RADIANS,
  DEG: (x) => x * DEGREES,
} as const satisfies Record<string, Unary>;

export const BINARY = {
  ADD: (x, y) => x + y,
  SUB: (x, y) => x - y,
  MULT: (x, y) => x * y,
  DIV: (x, y) => x / y,
  ATAN2: Math.atan2,
  HYPOT: Math.hypot,
  FLOOR_DIV: (x, y) => Number(BigInt.asIntN(64, floorDiv(toLong(x), toLong(y)))),
  FLOOR_MOD: (x, y) => {
    const [dividend, divisor] = [toLong(x), toLong(y)];
    return Number(dividend - floorDiv(dividend, divisor) * divisor);
  },
  MIN: Math.min,
  MAX: Math.max,
  POW: Math.pow,
} as const satisfies Record<string, Binary>;

/** Of 64-bit integers, towards minus infinity. */
function floorDiv(x: bigint, y: bigint): bigint {
  if (y === 0n) throw new Error('/ by zero');
  const quotient = x / y;
  return x % y !== 0n && x < 0n !== y < 0n ? quotient - 1n : quotient;
}

const EXPONENT = new DataView(new ArrayBuffer(8));
/** The exponent in the double's bits: -1023 for zero, 1024 for what is not finite. */
function exponentOf(x: number): number {
  EXPONENT.setFloat64(0, x);
  return ((EXPONENT.getUint16(0) >> 4) & 0x7ff) - 1023;
}

/** Functions of expressions, by name: number of arguments, and what they give. */
export const FUNCTIONS: ReadonlyMap<string, { readonly arity: number; readonly apply: (...args: number[]) => number }> = new Map(
  Object.entries<[arity: number, apply: (...args: number[]) => number]>({
    sin: [1, Math.sin],
    cos: [1, Math.cos],
    tan: [1, Math.tan],
    cot: [1, (x = 0) => inverse(Math.tan(x))],
    asin: [1, Math.asin],
    acos: [1, Math.acos],
    atan: [1, Math.atan],
    sinh: [1, Math.sinh],
    cosh: [1, Math.cosh],
    tanh: [1, Math.tanh],
    log: [1, Math.log],
    log2: [1, (x = 0) => Math.log(x) / Math.LN2],
    log10: [1, Math.log10],
    log1p: [1, Math.log1p],
    ln: [1, Math.log],
    lg: [1, Math.log10],
    logab: [2, (base = 0, x = 0) => Math.log(x) / Math.log(base)],
    abs: [1, Math.abs],
    cbrt: [1, Math.cbrt],
    floor: [1, Math.floor],
    ceil: [1, Math.ceil],
    sqrt: [1, Math.sqrt],
    pow: [2, Math.pow],
    exp: [1, Math.exp],
    expm1: [1, Math.expm1],
    signum: [1, (x = 0) => (x > 0 ? 1 : x < 0 ? -1 : 0)],
  }).map(([name, [arity, apply]]) => [name, { arity, apply }]),
);

function inverse(x: number): number {
  if (x === 0) throw new Error('Division by zero in cotangent!');
  return 1 / x;
}
