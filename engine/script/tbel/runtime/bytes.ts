import { boolArg, intArg, textArg } from './methods.ts';
import { textOf } from './text.ts';
import { Arr, Byt, byteOf, Chr, cannotCast, dbl, fault, flt, isInt, Lng, lng, numberOf, rankOf } from './values.ts';

/** Bytes, their texts, and the numbers in them (specs: tbel §8.1, §8.3). */

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const HEX_DIGITS = '0123456789ABCDEF';
const SIXES = new Map([...BASE64].map((char, i) => [char, i]));

export const byteList = (bits: ArrayLike<number>): unknown[] => Array.from(bits, byteOf);
export const byteArray = (bits: ArrayLike<number>): Arr => new Arr('byte', byteList(bits));

/** The low 8 bits of each element: a list of bytes, Integers and their texts, or an array. */
export function bitsOf(v: unknown): number[] {
  const items = Array.isArray(v)
    ? v
    : v instanceof Arr
      ? v.items
      : v === null || v === undefined
        ? fault('null pointer')
        : cannotCast(v, 'java.util.List');
  return items.map((item) => {
    if (item instanceof Byt || isInt(item)) return numberOf(item) & 255;
    return rankOf(item) > 0 ? numberOf(item) & 255 : cannotCast(item, 'java.lang.Number');
  });
}

function textBytes(v: unknown): number[] {
  const items = Array.isArray(v) ? v : v instanceof Arr ? v.items : cannotCast(v, 'java.util.List');
  return items.map((item) => {
    const value = item instanceof Byt || isInt(item) ? numberOf(item) : typeof item === 'string' ? Number(item) : Number.NaN;
    if (Number.isInteger(value) && value >= -128 && value <= 255) return value & 255;
    return fault(`The value '${textOf(item)}' could not be correctly converted to a byte. Must be between -128 and 255`);
  });
}

export function utf8Of(text: string): number[] {
  const bits: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if (code < 0x80) bits.push(code);
    else if (code < 0x800) bits.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code >= 0xd800 && code < 0xe000) bits.push(63);
    else if (code < 0x10000) bits.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else bits.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return bits;
}

/** What is no UTF-8 becomes U+FFFD. */
export function utf8Text(bits: ArrayLike<number>): string {
  let text = '';
  for (let i = 0; i < bits.length; ) {
    const lead = bits[i++]!;
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      continue;
    }
    let left = lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : 0;
    let code = left === 0 ? 0xfffd : lead & (0x3f >> left);
    let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    for (; left > 0; left--) {
      const next = i < bits.length ? bits[i]! : -1;
      if (next < low || next > high) {
        code = 0xfffd;
        break;
      }
      code = (code << 6) | (next & 63);
      low = 0x80;
      high = 0xbf;
      i++;
    }
    text += String.fromCodePoint(code);
  }
  return text;
}

const charsetOf = (v: unknown): string => (v === undefined ? 'utf8' : textArg(v).toLowerCase().replaceAll('-', '').replaceAll('_', ''));

export function bytesToText(v: unknown, charset: unknown): string {
  const bits = textBytes(v);
  switch (charsetOf(charset)) {
    case 'utf8':
      return utf8Text(bits);
    case 'usascii':
      return bits.map((bit) => (bit < 128 ? String.fromCharCode(bit) : '\ufffd')).join('');
    case 'iso88591':
    case 'latin1':
      return bits.map((bit) => String.fromCharCode(bit)).join('');
    case 'utf16':
    case 'utf16be':
      return words(bits, (a, b) => (a << 8) | b);
    case 'utf16le':
      return words(bits, (a, b) => (b << 8) | a);
    default:
      return fault(textArg(charset));
  }
}
function words(bits: readonly number[], join: (a: number, b: number) => number): string {
  let text = '';
  for (let i = 0; i + 1 < bits.length; i += 2) text += String.fromCharCode(join(bits[i]!, bits[i + 1]!));
  return text;
}

export function textToBytes(v: unknown, charset: unknown): unknown[] {
  if (typeof v !== 'string') return fault(`Invalid type parameter [${v === null ? 'null' : simpleName(v)}]. Expected 'String'`);
  const name = charsetOf(charset);
  if (name === 'utf8') return byteList(utf8Of(v));
  const codes = Array.from({ length: v.length }, (_, i) => v.charCodeAt(i));
  if (name === 'utf16le') return byteList(codes.flatMap((code) => [code & 255, code >> 8]));
  if (name === 'utf16be' || name === 'utf16')
    return byteList([...(name === 'utf16' ? [254, 255] : []), ...codes.flatMap((code) => [code >> 8, code & 255])]);
  if (name === 'usascii' || name === 'iso88591' || name === 'latin1')
    return byteList(codes.map((code) => (code > (name === 'usascii' ? 127 : 255) ? 63 : code)));
  return fault(textArg(charset));
}
const simpleName = (v: unknown): string =>
  isInt(v)
    ? 'Integer'
    : v instanceof Lng
      ? 'Long'
      : v instanceof Byt
        ? 'Byte'
        : v instanceof Chr
          ? 'Character'
          : typeof v === 'boolean'
            ? 'Boolean'
            : rankOf(v) > 0
              ? 'Double'
              : Array.isArray(v)
                ? 'ExecutionArrayList'
                : 'Object';

export function base64Bits(v: unknown): number[] {
  const text = textArg(v);
  const bits: number[] = [];
  let held = 0;
  let size = 0;
  let end = text.length;
  while (end > 0 && text[end - 1] === '=' && text.length - end < 2) end--;
  for (let i = 0; i < end; i++) {
    const six = SIXES.get(text[i]!);
    if (six === undefined) return fault(`Illegal base64 character ${text.charCodeAt(i).toString(16)}`);
    held = ((held << 6) | six) & 0xffffff;
    size += 6;
    if (size >= 8) {
      size -= 8;
      bits.push((held >> size) & 255);
    }
  }
  return size === 6 ? fault('Last unit does not have enough valid bits') : bits;
}
export function base64Of(bits: readonly number[]): string {
  let text = '';
  for (let i = 0; i < bits.length; i += 3) {
    const three = (bits[i]! << 16) | ((bits[i + 1] ?? 0) << 8) | (bits[i + 2] ?? 0);
    text +=
      BASE64[three >> 18]! +
      BASE64[(three >> 12) & 63]! +
      (i + 1 < bits.length ? BASE64[(three >> 6) & 63]! : '=') +
      (i + 2 < bits.length ? BASE64[three & 63]! : '=');
  }
  return text;
}

export function hexBits(v: unknown): number[] {
  let text = textArg(v);
  if (text.startsWith('0x') || text.startsWith('0X')) text = text.slice(2);
  if (text.trim() === '') return fault('Hex string must be not empty!');
  if (text.length % 2 !== 0) return fault('Hex string must be even-length.');
  const bits: number[] = [];
  for (let i = 0; i < text.length; i += 2) {
    const high = HEX_DIGITS.indexOf(text[i]!.toUpperCase());
    const low = HEX_DIGITS.indexOf(text[i + 1]!.toUpperCase());
    if (high < 0 || low < 0) return fault(`Illegal hexadecimal character ${text[high < 0 ? i : i + 1]} at index ${high < 0 ? i : i + 1}`);
    bits.push(high * 16 + low);
  }
  return bits;
}
export const hexOf = (bits: readonly number[]): string => bits.map((bit) => HEX_DIGITS[bit >> 4]! + HEX_DIGITS[bit & 15]!).join('');

/** The bytes of a number, the most significant one first: `(bytes, offset, length, bigEndian)` (§8.3). */
function numberBits([v, offset, length, bigEndian]: readonly unknown[], most: number, validates = true): number[] {
  const size = Array.isArray(v)
    ? v.length
    : v instanceof Arr
      ? v.items.length
      : v === null || v === undefined
        ? fault('null pointer')
        : cannotCast(v, 'java.util.List');
  const from = offset === undefined ? 0 : intArg(offset);
  if (validates && (from < 0 || (size > 0 && from >= size) || (size === 0 && from > 0)))
    return fault(`Offset: ${from} is out of bounds for array with length: ${size}!`);
  const count = length === undefined ? Math.min(most, size - from) : intArg(length);
  if (count > most) return fault(`Length: ${count} is too large. Maximum ${most} bytes is allowed!`);
  if (from < 0 || count < 0 || from + count > size)
    return fault(`Offset: ${from} and Length: ${count} is out of bounds for array with length: ${size}!`);
  const items = (Array.isArray(v) ? v : (v as Arr).items).slice(from, from + count);
  const bits = bitsOf(items);
  return boolArg(bigEndian, true) ? bits : bits.reverse();
}
const wholeOf = (bits: readonly number[]): bigint => bits.reduce((value, bit) => (value << 8n) | BigInt(bit), 0n);

export function bytesToInt(args: readonly unknown[]): number {
  let value = 0;
  for (const bit of numberBits(args, 4)) value = (value << 8) | bit;
  return value;
}
export const bytesToLong = (args: readonly unknown[]): Lng => lng(wholeOf(numberBits(args, 8)));
export const bytesIntToFloat = (args: readonly unknown[]): unknown => flt(Number(wholeOf(numberBits(args, 4))));
export const bytesLongToDouble = (args: readonly unknown[]): unknown => dbl(Number(wholeOf(numberBits(args, 8))));

/** Short ones are filled with zeros: on the left when big-endian, on the right (in wire order) when little-endian. */
export function bytesToReal(args: readonly unknown[], size: 4 | 8): unknown {
  const bits = numberBits(args, size);
  return realOf(wholeOf(bits), size);
}
export function realOf(whole: bigint, size: 4 | 8): unknown {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, whole);
  const value = size === 4 ? view.getFloat32(4) : view.getFloat64(0);
  if (Number.isNaN(value))
    return fault(
      `byte[] 0x${whole
        .toString(16)
        .toUpperCase()
        .padStart(size * 2, '0')} is a Not-a-Number (NaN) value`,
    );
  return size === 4 ? flt(value) : dbl(value);
}
export const bitsOfReal = (value: number, size: 4 | 8): number[] => {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  return Array.from({ length: size }, (_, i) => view.getUint8(i));
};
