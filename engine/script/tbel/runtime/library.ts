import {
  base64Bits,
  base64Of,
  bitsOf,
  byteArray,
  byteList,
  bytesIntToFloat,
  bytesLongToDouble,
  bytesToInt,
  bytesToLong,
  bytesToReal,
  bytesToText,
  hexBits,
  hexOf,
  textToBytes,
  utf8Of,
  utf8Text,
} from './bytes.ts';
import { insideCircle, insidePolygon } from './geo.ts';
import { readJson } from './json.ts';
import { itemsOf } from './lists.ts';
import { boolArg, intArg, numberArg, textArg, unresolvedMethod } from './methods.ts';
import {
  byteDigits,
  bytesDigits,
  digitsToInt,
  fixed,
  hexToInt,
  hexToLong,
  hexToReal,
  hexWholeToFloat,
  intHexText,
  isBinaryText,
  isDecimalText,
  isHexText,
  isOctalText,
  longDigits,
  longHexText,
  parseDoubleText,
  parseFloatText,
  parseIntText,
  parseLongText,
  radixText,
  realHexText,
  roundedInt,
} from './number-texts.ts';
import { textOf } from './text.ts';
import { Arr, cannotCast, fault, keyOf, TbelError, valueOfKey } from './values.ts';

/** The functions that a program has by name (specs: tbel §8). */

type Args = readonly unknown[];
type Row = readonly [min: number, max: number, run: (args: Args) => unknown];

const URI_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789;,/?:@&=+$#!'()~*-_.";
const encoded = (text: string): string =>
  [...text]
    .map((char) =>
      URI_SAFE.includes(char)
        ? char
        : utf8Of(char)
            .map((bit) => `%${hexOf([bit])}`)
            .join(''),
    )
    .join('');
function decoded(text: string): string {
  const bits: number[] = [];
  for (let at = 0; at < text.length; ) {
    if (text[at] === '%') {
      const code = Number.parseInt(text.slice(at + 1, at + 3), 16);
      if (at + 2 >= text.length || !isHexText(text.slice(at + 1, at + 3))) return fault(`URLDecoder: Illegal hex characters in escape (%) pattern`);
      bits.push(code);
      at += 3;
    } else {
      const char = String.fromCodePoint(text.codePointAt(at)!);
      bits.push(...utf8Of(char));
      at += char.length;
    }
  }
  return utf8Text(bits);
}

function flatten(
  target: Map<unknown, unknown>,
  value: unknown,
  path: string,
  last: string,
  options: { excluded: ReadonlySet<unknown>; withPath: boolean },
  depth: number,
): void {
  if (depth > 500) fault('The value is nested too deeply');
  const isMap = value instanceof Map;
  if (!isMap && !Array.isArray(value)) {
    target.set(keyOf(options.withPath ? path : last), value);
    return;
  }
  const pairs: Iterable<[unknown, unknown]> = isMap ? value : value.map((each, i): [unknown, unknown] => [String(i), each]);
  for (const [key, each] of pairs) {
    if (isMap && options.excluded.has(key)) continue;
    const name = textOf(valueOfKey(key));
    flatten(target, each, path === '' ? name : `${path}.${name}`, isMap || last === '' ? name : `${last}.${name}`, options, depth + 1);
  }
}
function flatMap([map, second, third]: Args): Map<unknown, unknown> {
  if (!(map instanceof Map)) return map === null || map === undefined ? fault('null pointer') : cannotCast(map, 'java.util.Map');
  const excluded = new Set(second === undefined || second === null || typeof second === 'boolean' ? [] : itemsOf(second).map(keyOf));
  const flat = new Map<unknown, unknown>();
  flatten(flat, map, '', '', { excluded, withPath: typeof second === 'boolean' ? second : boolArg(third, true) }, 0);
  return flat;
}

const pad = (atStart: boolean): Row => [
  3,
  3,
  ([v, n, char]) => {
    const text = textArg(v);
    const length = intArg(n);
    if (length > 4194304) return fault(`Max string length overflow (${length} > 4194304)!`);
    return atStart ? text.padStart(length, textArg(char)[0] ?? '') : text.padEnd(length, textArg(char)[0] ?? '');
  },
];
const endian = (read: (v: unknown, bigEndian: boolean) => unknown, name: string): Record<string, Row> => ({
  [`parseHexTo${name}`]: [1, 2, ([v, bigEndian]) => read(v, boolArg(bigEndian, true))],
  [`parseBigEndianHexTo${name}`]: [1, 1, ([v]) => read(v, true)],
  [`parseLittleEndianHexTo${name}`]: [1, 1, ([v]) => read(v, false)],
});
const looksLike = (is: (text: string) => boolean, radix: number): Row => [1, 1, ([v]) => (is(textArg(v)) ? radix : -1)];
const raise = ([message]: Args): never => fault(textOf(message));

const rows: Record<string, Row> = {
  decodeToJson: [1, 1, ([v]) => (v === null ? null : readJson(typeof v === 'string' ? v : utf8Text(bitsOf(v))))],
  bytesToString: [1, 2, ([v, charset]) => bytesToText(v, charset)],
  decodeToString: [1, 1, ([v]) => bytesToText(v, undefined)],
  stringToBytes: [1, 2, ([v, charset]) => textToBytes(v, charset)],
  btoa: [1, 1, ([v]) => base64Of(utf8Of(textArg(v)))],
  atob: [1, 1, ([v]) => utf8Text(base64Bits(v))],
  base64ToBytes: [1, 1, ([v]) => byteArray(base64Bits(v))],
  base64ToBytesList: [1, 1, ([v]) => byteList(base64Bits(v))],
  bytesToBase64: [1, 1, ([v]) => base64Of(bitsOf(v))],
  base64ToHex: [1, 1, ([v]) => hexOf(base64Bits(v))],
  hexToBase64: [1, 1, ([v]) => base64Of(hexBits(v))],
  hexToBytes: [1, 1, ([v]) => byteList(hexBits(v))],
  hexToBytesArray: [1, 1, ([v]) => byteArray(hexBits(v))],
  bytesToHex: [1, 1, ([v]) => hexOf(bitsOf(v))],
  printUnsignedBytes: [1, 1, ([v]) => bitsOf(v)],
  bytesToExecutionArrayList: [1, 1, ([v]) => byteList(bitsOf(v))],
  encodeURI: [1, 1, ([v]) => encoded(textArg(v))],
  decodeURI: [1, 1, ([v]) => decoded(textArg(v))],
  padStart: pad(true),
  padEnd: pad(false),
  isBinary: looksLike(isBinaryText, 2),
  isOctal: looksLike(isOctalText, 8),
  isDecimal: looksLike(isDecimalText, 10),
  isHexadecimal: looksLike(isHexText, 16),
  toFlatMap: [1, 3, flatMap],
  raiseError: [1, 1, raise],
  isMap: [1, 1, ([v]) => v instanceof Map],
  isList: [1, 1, ([v]) => Array.isArray(v)],
  isArray: [1, 1, ([v]) => v instanceof Arr],
  isSet: [1, 1, ([v]) => v instanceof Set],
  newSet: [0, 0, () => new Set()],
  toSet: [1, 1, ([v]) => new Set(itemsOf(v).map(keyOf))],
  parseInt: [1, 2, parseIntText],
  parseLong: [1, 2, parseLongText],
  parseFloat: [1, 2, parseFloatText],
  parseDouble: [1, 1, parseDoubleText],
  ...endian(hexToInt, 'Int'),
  ...endian(hexToLong, 'Long'),
  ...endian((v, bigEndian) => hexToReal(v, bigEndian, 4), 'Float'),
  ...endian((v, bigEndian) => hexToReal(v, bigEndian, 8), 'Double'),
  parseHexIntLongToFloat: [2, 2, ([v, bigEndian]) => hexWholeToFloat(v, boolArg(bigEndian, true))],
  parseBytesToInt: [1, 4, bytesToInt],
  parseBytesToLong: [1, 4, bytesToLong],
  parseBytesToFloat: [1, 4, (args) => bytesToReal(args, 4)],
  parseBytesToDouble: [1, 4, (args) => bytesToReal(args, 8)],
  parseBytesIntToFloat: [1, 4, bytesIntToFloat],
  parseBytesLongToDouble: [1, 4, bytesLongToDouble],
  intToHex: [1, 4, intHexText],
  longToHex: [1, 4, longHexText],
  intLongToRadixString: [1, 4, radixText],
  floatToHex: [1, 2, (args) => realHexText(args, 4)],
  doubleToHex: [1, 2, (args) => realHexText(args, 8)],
  toFixed: [2, 2, fixed],
  toInt: [1, 1, roundedInt],
  isNaN: [1, 1, ([v]) => Number.isNaN(numberArg(v))],
  parseByteToBinaryArray: [1, 3, byteDigits],
  parseBytesToBinaryArray: [1, 2, bytesDigits],
  parseLongToBinaryArray: [1, 2, longDigits],
  parseBinaryArrayToInt: [1, 3, digitsToInt],
  isInsidePolygon: [3, 3, insidePolygon],
  isInsideCircle: [3, 3, insideCircle],
};
export const library: ReadonlyMap<string, { readonly min: number; readonly max: number; readonly run: (args: Args) => unknown }> = new Map(
  Object.entries(rows).map(([name, [min, max, run]]) => [name, { min, max, run }]),
);

/** A fault gets the text of the call in front, which only the compiler knows. */
export function callLibrary(name: string, args: Args): unknown {
  const row = library.get(name)!;
  try {
    if (args.length < row.min || args.length > row.max) return unresolvedMethod(name, args);
    return row.run(args);
  } catch (cause) {
    if (cause instanceof TbelError) {
      cause.inLibrary = true;
      // From here the place in the program is near, however deep the fault was.
      Error.captureStackTrace(cause, callLibrary);
    }
    throw cause;
  }
}
