import { bitsOf, bitsOfReal, hexOf, realOf } from './bytes.ts';
import { boolArg, intArg, longArg, numberArg } from './methods.ts';
import { decimalOf, roundedText, textOf } from './text.ts';
import { Arr, Byt, byteOf, cannotConvert, dbl, Flt, fault, flt, isInt, Lng, lng, numberOf } from './values.ts';

/** Numbers from texts and texts of numbers (specs: tbel §8.2, §8.4). */

const isAll = (text: string, digits: string): boolean => text !== '' && [...text].every((char) => digits.includes(char));
const DIGITS_16 = '0123456789abcdefABCDEF';

export const isBinaryText = (text: string): boolean => isAll(text, '01');
export const isOctalText = (text: string): boolean => isAll(text, '01234567');
export const isDecimalText = (text: string): boolean => text.trim() === text && decimalOf(text) !== undefined;
export function isHexText(text: string): boolean {
  const unsigned = text.startsWith('-') ? text.slice(1) : text;
  return isAll(unsigned.startsWith('0x') || unsigned.startsWith('0X') ? unsigned.slice(2) : unsigned, DIGITS_16);
}

interface Prepared {
  readonly text: string;
  readonly wasHex: boolean;
}
function prepared(v: unknown): Prepared | null {
  if (v === null || v === undefined) return null;
  const trimmed = textOf(v).trim();
  const bare = trimmed.replaceAll('0x', '').replaceAll('0X', '').replaceAll(',', '.');
  return bare.trim() === '' ? null : { text: bare, wasHex: bare.length !== trimmed.length };
}

/** The radix that a text is read with. */
function radixOf({ text, wasHex }: Prepared, v: unknown): number {
  const radix = v === undefined ? 0 : intArg(v);
  if (radix === 0) {
    if (!wasHex && isDecimalText(text)) return 10;
    if (!isHexText(text)) return fault(`Value: "${text}" is not numeric or hexDecimal format!`);
    if ((text.startsWith('-') ? text.length - 1 : text.length) % 2 !== 0)
      return fault(`The hexadecimal value: "${text}" must be of even length, or if the decimal value must be a number!`);
    return 16;
  }
  const unsigned = text.startsWith('-') || text.startsWith('+') ? text.slice(1) : text;
  const isRight =
    radix === 2
      ? isBinaryText(unsigned)
      : radix === 8
        ? isOctalText(unsigned)
        : radix === 10
          ? isDecimalText(text)
          : radix === 16
            ? isHexText(text)
            : true;
  if (![2, 8, 10, 16].includes(radix) && (radix < 25 || radix > 36)) return fault(`Invalid radix: [${radix}]`);
  return isRight ? radix : fault(`Failed radix [${radix}] for value: "${text}", must be [-1] !`);
}

/** Digits of a radix, a sign before them. */
export function wholeIn(text: string, radix: number): bigint {
  const isNegative = text.startsWith('-');
  const digits = isNegative || text.startsWith('+') ? text.slice(1) : text;
  if (digits === '') return fault(`For input string: "${text}"`);
  let value = 0n;
  for (const char of digits.toLowerCase()) {
    const digit = char >= '0' && char <= '9' ? char.charCodeAt(0) - 48 : char >= 'a' && char <= 'z' ? char.charCodeAt(0) - 87 : 99;
    if (digit >= radix || value > 2n ** 70n) return fault(`For input string: "${text}"${radix === 10 ? '' : ` under radix ${radix}`}`);
    value = value * BigInt(radix) + BigInt(digit);
  }
  return isNegative ? -value : value;
}
export function intIn(text: string, radix: number): number {
  const value = wholeIn(text, radix);
  return value >= -2147483648n && value <= 2147483647n
    ? Number(value)
    : fault(`For input string: "${text}"${radix === 10 ? '' : ` under radix ${radix}`}`);
}
export function longIn(text: string, radix: number): Lng {
  const value = wholeIn(text, radix);
  return value >= -(2n ** 63n) && value < 2n ** 63n ? lng(value) : fault(`For input string: "${text}"${radix === 10 ? '' : ` under radix ${radix}`}`);
}

export function parseIntText([v, base]: readonly unknown[]): unknown {
  const ready = prepared(v);
  if (ready === null) return null;
  const radix = radixOf(ready, base);
  if (radix === 2 && ready.text.length === 32) return Number(BigInt.asIntN(32, wholeIn(ready.text, 2)));
  return intIn(ready.text, radix);
}
export function parseLongText([v, base]: readonly unknown[]): unknown {
  const ready = prepared(v);
  if (ready === null) return null;
  const radix = radixOf(ready, base);
  if (radix === 2 && ready.text.length === 64) return lng(wholeIn(ready.text, 2));
  return longIn(ready.text, radix);
}
export function parseFloatText([v, base]: readonly unknown[]): unknown {
  const ready = prepared(v);
  if (ready === null) return null;
  if (textOf(v).includes(',')) return fault(`For input string: "${textOf(v)}"`);
  const radix = radixOf(ready, base);
  if (radix === 10) return flt(Number(ready.text));
  return radix === 16 ? realOf(BigInt.asUintN(32, wholeIn(ready.text, 16)), 4) : flt(Number(wholeIn(ready.text, radix)));
}
export function parseDoubleText([v]: readonly unknown[]): unknown {
  const ready = prepared(v);
  if (ready === null) return fault('null pointer');
  if (!ready.wasHex && isDecimalText(ready.text)) return dbl(Number(ready.text));
  radixOf(ready, undefined);
  return realOf(BigInt.asUintN(64, wholeIn(ready.text, 16)), 8);
}

function hexDigits(v: unknown, bigEndian: boolean, most: number): bigint {
  const ready = prepared(v);
  if (ready === null) return fault('null pointer');
  const { text } = ready;
  if (!isHexText(text)) return fault(`Value: "${text}" is not numeric or hexDecimal format!`);
  if (text.length % 2 !== 0) return fault(`The hexadecimal value: "${text}" must be of even length, or if the decimal value must be a number!`);
  if (text.length > most * 2) return fault(`For input string: "${text}" under radix 16`);
  if (bigEndian) return BigInt(`0x${text}`);
  return BigInt(`0x${(text.match(/../g) ?? []).reverse().join('')}`);
}
export function hexToInt(v: unknown, bigEndian: boolean): number {
  const value = hexDigits(v, bigEndian, 4);
  return value > 0x7fffffffn ? fault(`For input string: "${textOf(v)}" under radix 16`) : Number(value);
}
export function hexToLong(v: unknown, bigEndian: boolean): Lng {
  const value = hexDigits(v, bigEndian, 8);
  return value > 0x7fffffffffffffffn ? fault(`For input string: "${textOf(v)}" under radix 16`) : lng(value);
}
export const hexToReal = (v: unknown, bigEndian: boolean, size: 4 | 8): unknown => realOf(hexDigits(v, bigEndian, size), size);
export const hexWholeToFloat = (v: unknown, bigEndian: boolean): unknown => flt(Number(hexDigits(v, bigEndian, 8)));

// ---- numbers as texts ----

/** Upper case and even, without leading zeros or the bytes FF of a negative number; the last `length` characters of it. */
function hexText(value: bigint, size: number, [, bigEndian, prefix, length]: readonly unknown[]): string {
  let text = BigInt.asUintN(size * 8, value)
    .toString(16)
    .toUpperCase();
  if (text.length % 2 !== 0) text = `0${text}`;
  if (value < 0n) while (text.length > 4 && text.startsWith('FF') && text[2]! >= '8') text = text.slice(2);
  if (!boolArg(bigEndian, true)) text = (text.match(/../g) ?? []).reverse().join('');
  if (length !== undefined) {
    const keep = intArg(length);
    text = keep > text.length ? fault(`begin ${text.length - keep}, end ${text.length}, length ${text.length}`) : text.slice(text.length - keep);
  }
  return (boolArg(prefix, false) ? '0x' : '') + text;
}
export const intHexText = (args: readonly unknown[]): string => hexText(BigInt(intArg(args[0])), 4, args);
export const longHexText = (args: readonly unknown[]): string => hexText(longArg(args[0]), 8, args);

export function radixText([v, base, bigEndian, prefix]: readonly unknown[]): string {
  const value = longArg(v);
  const radix = base === undefined ? 10 : intArg(base);
  if (radix === 2) {
    const digits = BigInt.asUintN(64, value).toString(2);
    return digits.padStart([8, 16, 32, 64].find((size) => size >= digits.length)!, '0');
  }
  if (radix === 16) return hexText(value, 8, [v, bigEndian, prefix]);
  if (radix !== 8 && radix !== 10 && (radix < 25 || radix > 36)) return fault(`Invalid radix: [${radix}]`);
  return value.toString(radix);
}
export function realHexText([v, bigEndian]: readonly unknown[], size: 4 | 8): string {
  const bits = bitsOfReal(numberArg(v), size);
  return `0x${hexOf(boolArg(bigEndian, true) ? bits : bits.reverse())}`;
}

export function fixed([v, places]: readonly unknown[]): unknown {
  if (v instanceof Byt) return cannotConvert(v, 'java.lang.Integer');
  const value = numberArg(v);
  if (!Number.isFinite(value)) return fault(Number.isNaN(value) ? 'NaN' : 'Infinity');
  const isFloat = v instanceof Flt || v instanceof Lng || isInt(v) || typeof v === 'string';
  const digits = intArg(places);
  if (digits > 100) return isFloat ? flt(value) : dbl(value);
  if (digits < 0) {
    const scale = 10 ** -digits;
    return isFloat ? flt(Number(roundedText(value / scale, 0)) * scale) : dbl(Number(roundedText(value / scale, 0)) * scale);
  }
  const rounded = Number(roundedText(isFloat ? Math.fround(value) : value, digits, isFloat));
  return isFloat ? flt(rounded) : dbl(rounded);
}
export function roundedInt([v]: readonly unknown[]): number {
  const value = v instanceof Byt ? numberOf(v) : numberArg(v);
  if (!Number.isFinite(value)) return fault(Number.isNaN(value) ? 'NaN' : 'Infinity');
  return Number(BigInt.asIntN(32, BigInt(roundedText(value, 0))));
}

const binaryArray = (value: bigint, [, length, bigEndian]: readonly unknown[], most: number): Arr => {
  const size = length === undefined ? most : intArg(length);
  if (size < 0 || size > most) return fault(`Length: ${size} is too large. Maximum ${most} bits is allowed!`);
  const digits = Array.from({ length: size }, (_, i) => Number((value >> BigInt(size - 1 - i)) & 1n));
  return new Arr('byte', (boolArg(bigEndian, true) ? digits : digits.reverse()).map(byteOf));
};
export const byteDigits = (args: readonly unknown[]): Arr => binaryArray(BigInt(Math.trunc(numberArg(args[0]))) & 255n, args, 8);
export const longDigits = (args: readonly unknown[]): Arr => binaryArray(BigInt.asUintN(64, longArg(args[0])), args, 64);
export function bytesDigits([v, length]: readonly unknown[]): Arr {
  const bits = bitsOf(v);
  const digits = bits.flatMap((bit) => [...bit.toString(2).padStart(8, '0')].map(Number));
  return new Arr('byte', (length === undefined ? digits : digits.slice(Math.max(0, digits.length - intArg(length)))).map(byteOf));
}
export function digitsToInt([v, offset, length]: readonly unknown[]): number {
  const bits = bitsOf(v);
  const from = offset === undefined ? 0 : intArg(offset);
  if (from < 0 || (from >= bits.length && bits.length > 0)) return fault(`Offset: ${from} is out of bounds for array with length: ${bits.length}!`);
  const count = length === undefined ? bits.length - from : intArg(length);
  if (count < 0 || from + count > bits.length)
    return fault(`Offset: ${from} and Length: ${count} is out of bounds for array with length: ${bits.length}!`);
  const digits = bits.slice(from, from + count);
  const wrong = digits.find((digit) => digit > 1);
  if (wrong !== undefined) return fault(`Binary array must contain only 0 and 1, got ${wrong}`);
  const value = digits.reduce((sum, digit) => sum * 2 + digit, 0);
  return from === 0 && count === 8 && digits[0] === 1 ? value - 256 : Number(BigInt.asIntN(32, BigInt(value)));
}
