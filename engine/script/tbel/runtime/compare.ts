import { decimalOf, textOf } from './text.ts';
import { Arr, byteOf, Chr, clampInt, dbl, fault, flt, Lng, numberOf, ofRank, rankOf, sameValue, TbelDate } from './values.ts';

// ---- casts ----

export function cast(to: string, v: unknown): unknown {
  if (v === null || v === undefined) return to === 'String' ? 'null' : null;
  if (to === 'String') return textOf(v);
  if (to === 'boolean' || to === 'Boolean')
    return typeof v === 'boolean' ? v : typeof v === 'string' ? v.toLowerCase() === 'true' : numberOf(v) !== 0;
  if (to === 'char' || to === 'Character') {
    if (v instanceof Chr) return v;
    if (typeof v === 'string' && v.length === 1) return new Chr(v);
    return rankOf(v) > 0 ? new Chr(String.fromCharCode(clampInt(numberOf(v)) & 0xffff)) : notCastable(v);
  }
  const source = v instanceof Chr ? v.v.charCodeAt(0) : typeof v === 'boolean' ? Number(v) : typeof v === 'string' ? decimalOf(v) : numberOf(v);
  if (source === undefined || (Number.isNaN(source) && rankOf(v) === 0)) return notCastable(v);
  switch (to) {
    case 'byte':
    case 'Byte':
      return byteOf(clampInt(source));
    case 'short':
    case 'Short':
      return (clampInt(source) << 16) >> 16;
    case 'int':
    case 'Integer':
      return clampInt(source);
    case 'long':
    case 'Long':
      return v instanceof Lng ? v : ofRank(source, 3);
    case 'float':
    case 'Float':
      return flt(source);
    default:
      return dbl(source);
  }
}
const notCastable = (v: unknown): never => fault(`cannot convert: ${textOf(v)}`);

// ---- comparison (§5.5) ----

export function eq(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || a === undefined || b === null || b === undefined) return (a ?? null) === (b ?? null);
  if (typeof a === 'string' && typeof b === 'string') return false;
  const left = rankOf(a);
  const right = rankOf(b);
  if (left > 0 && right > 0) return a instanceof Lng && b instanceof Lng ? a.v === b.v : numberOf(a) === numberOf(b);
  if (typeof a === 'boolean') return a === truth(b);
  if (typeof b === 'boolean') return b === truth(a);
  if (left > 0 && typeof b === 'string') return numberOf(a) === decimalOf(b);
  if (right > 0 && typeof a === 'string') return numberOf(b) === decimalOf(a);
  if (a instanceof Chr || b instanceof Chr) {
    if (left > 0 || right > 0) return fault(`uncomparable values <<${textOf(a)}>> and <<${textOf(b)}>>`);
    return textOf(a) === textOf(b);
  }
  return sameStructure(a, b);
}
function sameStructure(a: unknown, b: unknown): boolean {
  return a instanceof TbelDate || a instanceof Arr ? a === b : sameValue(a, b);
}
const truth = (v: unknown): boolean | undefined =>
  typeof v === 'boolean' ? v : typeof v === 'string' ? v.toLowerCase() === 'true' : rankOf(v) > 0 ? numberOf(v) !== 0 : undefined;

/** Below zero, zero, above, or NaN where the order is false whatever is asked. */
function order(a: unknown, b: unknown): number {
  if (a === null || a === undefined || b === null || b === undefined) return Number.NaN;
  if (a instanceof Lng && b instanceof Lng) return a.v < b.v ? -1 : a.v > b.v ? 1 : 0;
  const left = rankOf(a);
  const right = rankOf(b);
  if (left > 0 && right > 0) return difference(numberOf(a), numberOf(b));
  if (a instanceof TbelDate || b instanceof TbelDate) return Number.NaN;
  const text = typeof a === 'string' || a instanceof Chr;
  const other = typeof b === 'string' || b instanceof Chr;
  if (text && other) return textOf(a) < textOf(b) ? -1 : textOf(a) > textOf(b) ? 1 : 0;
  if (typeof a === 'boolean' || typeof b === 'boolean') {
    const x = truth(a);
    const y = truth(b);
    if (x !== undefined && y !== undefined) return Number(x) - Number(y);
  }
  const x = left > 0 ? numberOf(a) : typeof a === 'string' ? decimalOf(a) : undefined;
  const y = right > 0 ? numberOf(b) : typeof b === 'string' ? decimalOf(b) : undefined;
  if (x === undefined || y === undefined) return fault(`uncomparable values <<${textOf(a)}>> and <<${textOf(b)}>>`);
  return difference(x, y);
}
const difference = (x: number, y: number): number => (x < y ? -1 : x > y ? 1 : x === y ? 0 : Number.NaN);
export const lt = (a: unknown, b: unknown): boolean => (typeof a === 'number' && typeof b === 'number' ? a < b : order(a, b) < 0);
export const gt = (a: unknown, b: unknown): boolean => (typeof a === 'number' && typeof b === 'number' ? a > b : order(a, b) > 0);
export const le = (a: unknown, b: unknown): boolean => (typeof a === 'number' && typeof b === 'number' ? a <= b : order(a, b) <= 0);
export const ge = (a: unknown, b: unknown): boolean => (typeof a === 'number' && typeof b === 'number' ? a >= b : order(a, b) >= 0);
