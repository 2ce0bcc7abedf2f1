import { decimalOf, textOf } from './text.ts';
import { Big, Byt, cannotCast, clampInt, Dbl, dbl, Flt, fault, flt, isInt, kindOf, Lng, lng, numberOf, ofRank, rankOf } from './values.ts';

/** Operators by the kinds of their operands (specs: tbel §5.2, §5.3, §5.4). */

const MIN = -2147483648;
const MAX = 2147483647;
/** The result of two Integers: a Long where 32 bits are not enough. */
const fit = (v: number): unknown => (v >= MIN && v <= MAX ? v + 0 : new Lng(BigInt(v)));
const areInts = (a: number, b: number): boolean => Number.isInteger(a) && Number.isInteger(b);

export function add(a: unknown, b: unknown): unknown {
  if (typeof a === 'number' && typeof b === 'number') return areInts(a, b) ? fit(a + b) : dbl(a + b);
  if (typeof a === 'string' && typeof b === 'string') return a + b;
  if (Array.isArray(a)) return Array.isArray(b) ? [...a, ...b] : [...a, b];
  if (rankOf(a) > 0 && rankOf(b) > 0) return compute('+', a, b);
  return textOf(a) + textOf(b);
}
export function sub(a: unknown, b: unknown): unknown {
  if (typeof a === 'number' && typeof b === 'number') return areInts(a, b) ? fit(a - b) : dbl(a - b);
  return compute('-', a, b);
}
export function mul(a: unknown, b: unknown): unknown {
  if (typeof a === 'number' && typeof b === 'number') {
    if (!areInts(a, b)) return dbl(a * b);
    const product = a * b;
    return product >= MIN && product <= MAX ? product + 0 : new Lng(BigInt(a) * BigInt(b));
  }
  return compute('*', a, b);
}
export function div(a: unknown, b: unknown): unknown {
  if (typeof a === 'number' && typeof b === 'number') return dbl(a / b);
  return compute('/', a, b);
}
export function mod(a: unknown, b: unknown): unknown {
  if (typeof a === 'number' && typeof b === 'number') {
    if (!areInts(a, b)) return dbl(a % b);
    return b === 0 ? fault('/ by zero') : (a % b) + 0;
  }
  return compute('%', a, b);
}
export const pow = (a: unknown, b: unknown): unknown => compute('**', a, b);

function onNumbers(operator: string, a: number, b: number): number {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
    default:
      return a ** b;
  }
}

function onLongs(operator: string, a: bigint, b: bigint): unknown {
  switch (operator) {
    case '+':
      return lng(a + b);
    case '-':
      return lng(a - b);
    case '*':
      return lng(a * b);
    case '%':
      return b === 0n ? fault('/ by zero') : lng(a % b);
    case '/':
      return dbl(Number(a) / Number(b));
    default: {
      const power = Number(a) ** Number(b);
      return power > 9.2233720368547758e18 ? dbl(power) : ofRank(power, 3);
    }
  }
}

function power(a: number, b: number): unknown {
  const value = a ** b;
  return value > MAX ? dbl(value) : clampInt(value);
}

function compute(operator: string, a: unknown, b: unknown): unknown {
  const left = rankOf(a);
  const right = rankOf(b);
  if (left > 0 && right > 0) {
    if (left !== right) return ofRank(onNumbers(operator, numberOf(a), numberOf(b)), Math.max(left, right));
    if (a instanceof Lng && b instanceof Lng) return onLongs(operator, a.v, b.v);
    if (a instanceof Big && b instanceof Big) {
      const value = onLongs(operator, a.v, b.v);
      return operator === '+' ? new Big(a.v + b.v) : operator === '-' ? new Big(a.v - b.v) : operator === '*' ? new Big(a.v * b.v) : value;
    }
    const x = numberOf(a);
    const y = numberOf(b);
    if (left === 5) return operator === '/' || operator === '**' ? dbl(onNumbers(operator, x, y)) : flt(onNumbers(operator, x, y));
    if (left === 6) return dbl(onNumbers(operator, x, y));
    if (operator === '**') return power(x, y);
    return operator === '/' ? dbl(x / y) : operator === '%' ? mod(x, y) : fit(onNumbers(operator, x, y));
  }
  const x = left > 0 ? numberOf(a) : typeof a === 'string' ? decimalOf(a) : undefined;
  const y = right > 0 ? numberOf(b) : typeof b === 'string' ? decimalOf(b) : undefined;
  if (x === undefined || y === undefined) return null;
  return ofRank(onNumbers(operator, x, y), left || right || 6);
}

// ---- operands that the compiler knows to be Integers ----

const int = (v: unknown): number => (isInt(v) ? v : v === null || v === undefined ? 0 : cannotCast(v, 'java.lang.Integer'));

export const intAdd = (a: unknown, b: unknown): number => (int(a) + int(b)) | 0;
export const intSub = (a: unknown, b: unknown): number => (int(a) - int(b)) | 0;
export const intMul = (a: unknown, b: unknown): number => Math.imul(int(a), int(b));
export function intDiv(a: unknown, b: unknown): number {
  const divisor = int(b);
  return divisor === 0 ? fault('/ by zero') : (int(a) / divisor) | 0;
}
/** One of them is a primitive int: computed as a double. */
export const clampedOp = (operator: string, a: unknown, b: unknown): number => clampInt(onNumbers(operator, numberOf(a), numberOf(b)));
/** A variable that the compiler takes for an Integer and that holds another number. */
export const asInt = (v: unknown): unknown => (typeof v === 'number' && Number.isInteger(v) ? v : rankOf(v) > 0 ? clampInt(numberOf(v)) : v);
export const asLong = (v: unknown): unknown => (v instanceof Lng || rankOf(v) === 0 ? v : ofRank(numberOf(v), 3));

export function negate(v: unknown): unknown {
  if (typeof v === 'number') return Number.isInteger(v) ? (v === MIN ? MIN : 0 - v) : -v;
  if (v instanceof Dbl) return new Dbl(-v.v);
  if (v instanceof Lng) return lng(-v.v);
  if (v instanceof Flt) return new Flt(-v.v);
  return v instanceof Byt ? 0 - v.v : fault(`expected a number to negate, got ${v === null ? 'null' : textOf(v)}`);
}

// ---- bits ----

function bitOperand(v: unknown): number | bigint | null {
  if (isInt(v)) return v;
  if (typeof v === 'boolean') return v ? 1 : 0;
  if (v instanceof Byt) return v.v;
  return v instanceof Lng ? v.v : null;
}

export function bits(operator: string, a: unknown, b: unknown): unknown {
  if (typeof a === 'number' && typeof b === 'number' && areInts(a, b)) return onBits(operator, a, b);
  if (b instanceof Byt) return cannotCast(b, 'java.lang.Integer');
  const left = bitOperand(a);
  const right = bitOperand(b);
  if (left === null || right === null) {
    if (kindOf(a) === 'D' && kindOf(b) === 'D') return fault('bitwise operation on a non-fixed-point number.');
    return null;
  }
  if (typeof a === 'boolean' && typeof b === 'boolean') {
    const value = onBits(operator, left as number, right as number);
    return operator === '&' || operator === '|' || operator === '^' ? value !== 0 : value;
  }
  if (typeof left === 'number' && typeof right === 'number') return onBits(operator, left, right);
  const x = BigInt(left);
  const y = BigInt(right);
  switch (operator) {
    case '&':
      return lng(x & y);
    case '|':
      return lng(x | y);
    case '^':
      return lng(x ^ y);
  }
  // The left operand says how wide a shift is.
  if (typeof left === 'number') return onBits(operator, left, Number(y & 31n));
  const by = y & 63n;
  return lng(operator === '>>>' ? BigInt.asUintN(64, x) >> by : operator === '>>' ? x >> by : x << by);
}

const isSmall = (v: unknown): v is number => typeof v === 'number' && (v | 0) === v;
/** The operators as the compiler calls them: Integers and bytes with an Integer, as decoders have them, go straight through. */
export const bitAnd = (a: unknown, b: unknown): unknown =>
  isSmall(b) ? (isSmall(a) ? a & b : a instanceof Byt ? a.v & b : bits('&', a, b)) : bits('&', a, b);
export const bitOr = (a: unknown, b: unknown): unknown => (isSmall(a) && isSmall(b) ? a | b : bits('|', a, b));
export const bitXor = (a: unknown, b: unknown): unknown => (isSmall(a) && isSmall(b) ? a ^ b : bits('^', a, b));
export const shiftLeft = (a: unknown, b: unknown): unknown => (isSmall(a) && isSmall(b) ? a << b : bits('<<', a, b));
export const shiftRight = (a: unknown, b: unknown): unknown => (isSmall(a) && isSmall(b) ? a >> b : bits('>>', a, b));
export const shiftRightZero = (a: unknown, b: unknown): unknown => (isSmall(a) && isSmall(b) ? (a >>> b) | 0 : bits('>>>', a, b));

function onBits(operator: string, a: number, b: number): number {
  switch (operator) {
    case '&':
      return a & b;
    case '|':
      return a | b;
    case '^':
      return a ^ b;
    case '>>':
      return a >> b;
    case '>>>':
      return (a >>> b) | 0;
    default:
      return a << b;
  }
}
export function complement(v: unknown): unknown {
  const value = bitOperand(v);
  if (value === null) return fault(`expected an integer for '~', got ${textOf(v)}`);
  return typeof value === 'bigint' ? lng(~value) : ~value;
}
export function count(v: unknown, by: number): unknown {
  if (isInt(v)) return fit(v + by);
  return rankOf(v) > 0 ? add(v, by) : fault(`expected a number to count, got ${v === null ? 'null' : textOf(v)}`);
}
