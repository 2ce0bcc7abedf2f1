import { byteList, utf8Of } from './bytes.ts';
import { format } from './format.ts';
import { itemsOf } from './lists.ts';
import { checkedLength, commonMethods, hashOf, intArg, type Methods, methodTable, numberArg, textArg } from './methods.ts';
import { javaRegex, replacement } from './regex.ts';
import { textOf } from './text.ts';
import { Arr, byteOf, Chr, clampInt, dbl, fault, flt, numberOf, ofRank, rankOf, sameValue } from './values.ts';

/** Methods of Java's String (specs: tbel §8.6). */

function substring(text: string, a: unknown, b: unknown): string {
  const from = intArg(a);
  const to = b === undefined ? text.length : intArg(b);
  if (from < 0 || to > text.length || from > to) return fault(`begin ${from}, end ${to}, length ${text.length}`);
  return text.slice(from, to);
}

function split(text: string, pattern: string, limit: number): string[] {
  const regex = javaRegex(pattern, 'g');
  const parts: string[] = [];
  let from = 0;
  for (const match of text.matchAll(regex)) {
    if (limit > 0 && parts.length === limit - 1) break;
    const end = match.index + match[0].length;
    // A match of nothing at the beginning makes no empty part.
    if (end === 0 || (match[0] === '' && match.index >= text.length)) continue;
    parts.push(text.slice(from, match.index));
    from = end;
  }
  if (parts.length === 0) return [text];
  parts.push(text.slice(from));
  if (limit === 0) while (parts.length > 0 && parts.at(-1) === '') parts.pop();
  return parts;
}

const MAX_REPLACEMENT = 83886;
function checkedReplacement(v: unknown): string {
  const text = textArg(v);
  return text.length > MAX_REPLACEMENT ? fault(`Max replacement length overflow (${text.length} > ${MAX_REPLACEMENT})!`) : text;
}
function replaceByRegex(text: string, pattern: unknown, by: unknown, flags: string): string {
  const regex = javaRegex(textArg(pattern), flags);
  const make = replacement(checkedReplacement(by));
  return text.replace(regex, (...found: unknown[]) => make(found as string[]));
}
const compared = (a: string, b: string): number => {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a.charCodeAt(i) - b.charCodeAt(i);
  return a.length - b.length;
};
const matchesWhole = (text: string, pattern: string): boolean => javaRegex(`^(?:${pattern})$`, '').test(text);
export const matchesRegex = (text: unknown, pattern: unknown): boolean => matchesWhole(textArg(text), textArg(pattern));

export const stringMethods: Methods = methodTable<string>({
  ...commonMethods,
  equals: [1, 1, (text, [other]) => sameValue(text, other)],
  length: [0, 0, (text) => text.length],
  charAt: [
    1,
    1,
    (text, [i]) => {
      const at = intArg(i);
      return at >= 0 && at < text.length ? new Chr(text[at]!) : fault(`Index ${at} out of bounds for length ${text.length}`);
    },
  ],
  charCodeAt: [1, 1, (text, [i]) => text.charCodeAt(intArg(i)) || 0],
  codePointAt: [1, 1, (text, [i]) => text.codePointAt(intArg(i)) ?? fault(`Index ${intArg(i)} out of bounds for length ${text.length}`)],
  substring: [1, 2, (text, [a, b]) => substring(text, a, b)],
  subSequence: [2, 2, (text, [a, b]) => substring(text, a, b)],
  indexOf: [1, 2, (text, [part, from]) => text.indexOf(partOf(part), from === undefined ? 0 : intArg(from))],
  lastIndexOf: [1, 2, (text, [part, from]) => text.lastIndexOf(partOf(part), from === undefined ? text.length : intArg(from))],
  contains: [1, 1, (text, [part]) => text.includes(textArg(part))],
  startsWith: [1, 2, (text, [part, from]) => text.startsWith(textArg(part), from === undefined ? 0 : intArg(from))],
  endsWith: [1, 1, (text, [part]) => text.endsWith(textArg(part))],
  equalsIgnoreCase: [1, 1, (text, [other]) => other !== null && text.toLowerCase() === textOf(other).toLowerCase()],
  compareTo: [1, 1, (text, [other]) => compared(text, textArg(other))],
  compareToIgnoreCase: [1, 1, (text, [other]) => compared(text.toLowerCase(), textArg(other).toLowerCase())],
  isEmpty: [0, 0, (text) => text === ''],
  isBlank: [0, 0, (text) => text.trim() === ''],
  trim: [0, 0, (text) => trimmed(text)],
  strip: [0, 0, (text) => text.trim()],
  stripLeading: [0, 0, (text) => text.trimStart()],
  stripTrailing: [0, 0, (text) => text.trimEnd()],
  toUpperCase: [0, 0, (text) => text.toUpperCase()],
  toLowerCase: [0, 0, (text) => text.toLowerCase()],
  concat: [
    1,
    1,
    (text, [other]) => {
      const more = textArg(other);
      checkedLength(text.length + more.length);
      return text + more;
    },
  ],
  replace: [2, 2, (text, [a, b]) => text.replaceAll(textArg(a), () => checkedReplacement(b))],
  replaceAll: [2, 2, (text, [pattern, by]) => replaceByRegex(text, pattern, by, 'g')],
  replaceFirst: [2, 2, (text, [pattern, by]) => replaceByRegex(text, pattern, by, '')],
  matches: [1, 1, (text, [pattern]) => matchesWhole(text, textArg(pattern))],
  split: [1, 2, (text, [pattern, limit]) => split(text, textArg(pattern), limit === undefined ? 0 : intArg(limit))],
  toCharArray: [
    0,
    0,
    (text) =>
      new Arr(
        'char',
        Array.from({ length: text.length }, (_, i) => new Chr(text[i]!)),
      ),
  ],
  getBytes: [0, 1, (text) => new Arr('byte', byteList(utf8Of(text)))],
  repeat: [
    1,
    1,
    (text, [times]) => {
      const n = intArg(times);
      if (n < 0) return fault(`count is negative: ${n}`);
      checkedLength(text.length * n);
      return text.repeat(n);
    },
  ],
  lines: [0, 0, (text) => text.split('\n')],
  formatted: [0, 9, (text, args) => format(text, args)],
  intern: [0, 0, (text) => text],
  chars: [0, 0, (text) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))],
});
const partOf = (v: unknown): string => (rankOf(v) > 0 ? String.fromCodePoint(Math.max(0, clampInt(numberOf(v)))) : textArg(v));
/** Java's trim(): everything up to the space. */
function trimmed(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && text.charCodeAt(from) <= 32) from++;
  while (to > from && text.charCodeAt(to - 1) <= 32) to--;
  return text.slice(from, to);
}

export const numberMethods: Methods = methodTable<unknown>({
  ...commonMethods,
  intValue: [0, 0, (v) => (rankOf(v) === 3 ? ofRank(Number(BigInt.asIntN(32, BigInt(Math.trunc(numberOf(v))))), 2) : clampInt(numberOf(v)))],
  longValue: [0, 0, (v) => ofRank(numberOf(v), 3)],
  doubleValue: [0, 0, (v) => dbl(numberOf(v))],
  floatValue: [0, 0, (v) => flt(numberOf(v))],
  shortValue: [0, 0, (v) => (clampInt(numberOf(v)) << 16) >> 16],
  byteValue: [0, 0, (v) => byteOf(clampInt(numberOf(v)))],
  isNaN: [0, 0, (v) => Number.isNaN(numberOf(v))],
  isInfinite: [0, 0, (v) => Math.abs(numberOf(v)) === Number.POSITIVE_INFINITY],
  compareTo: [
    1,
    1,
    (v, [other]) => {
      const difference = numberOf(v) - numberArg(other);
      return difference < 0 ? -1 : difference > 0 ? 1 : 0;
    },
  ],
});
export const booleanMethods: Methods = methodTable<boolean>({
  ...commonMethods,
  booleanValue: [0, 0, (v) => v],
  compareTo: [1, 1, (v, [other]) => Number(v) - Number(other)],
});
export const charMethods: Methods = methodTable<Chr>({
  ...commonMethods,
  charValue: [0, 0, (v) => v],
  compareTo: [1, 1, (v, [other]) => v.v.charCodeAt(0) - textArg(other).charCodeAt(0)],
});

export const stringStatics = {
  'String.format': [1, 10, (_: unknown, [pattern, ...values]: readonly unknown[]) => format(textArg(pattern), values)],
  'String.join': [
    1,
    10,
    (_: unknown, [separator, first, ...more]: readonly unknown[]) =>
      (more.length === 0 && typeof first === 'object' && first !== null && !(first instanceof Chr) ? itemsOf(first) : [first, ...more])
        .map((each) => textOf(each))
        .join(textArg(separator)),
  ],
  'String.valueOf': [
    1,
    1,
    (_: unknown, [v]: readonly unknown[]) => (v instanceof Arr && v.of === 'char' ? v.items.map((each) => textOf(each)).join('') : textOf(v)),
  ],
  'Character.toString': [1, 1, (_: unknown, [v]: readonly unknown[]) => textOf(v)],
  'Character.valueOf': [1, 1, (_: unknown, [v]: readonly unknown[]) => v],
  'Character.isDigit': [1, 1, (_: unknown, [v]: readonly unknown[]) => isOf(v, '0', '9')],
  'Character.isLetter': [1, 1, (_: unknown, [v]: readonly unknown[]) => textOf(v).toLowerCase() !== textOf(v).toUpperCase()],
  'Character.isLetterOrDigit': [
    1,
    1,
    (_: unknown, [v]: readonly unknown[]) => isOf(v, '0', '9') || textOf(v).toLowerCase() !== textOf(v).toUpperCase(),
  ],
  'Character.isUpperCase': [1, 1, (_: unknown, [v]: readonly unknown[]) => textOf(v) !== textOf(v).toLowerCase()],
  'Character.isLowerCase': [1, 1, (_: unknown, [v]: readonly unknown[]) => textOf(v) !== textOf(v).toUpperCase()],
  'Character.isWhitespace': [1, 1, (_: unknown, [v]: readonly unknown[]) => textOf(v).trim() === ''],
  'Character.toUpperCase': [1, 1, (_: unknown, [v]: readonly unknown[]) => new Chr(textOf(v).toUpperCase())],
  'Character.toLowerCase': [1, 1, (_: unknown, [v]: readonly unknown[]) => new Chr(textOf(v).toLowerCase())],
  'Character.getNumericValue': [1, 1, (_: unknown, [v]: readonly unknown[]) => (isOf(v, '0', '9') ? Number(textOf(v)) : -1)],
  'java.util.Objects.hash': [1, 10, (_: unknown, args: readonly unknown[]) => hashOf(args)],
  'java.util.regex.Pattern.matches': [2, 2, (_: unknown, [pattern, text]: readonly unknown[]) => matchesRegex(text, pattern)],
} as const;
const isOf = (v: unknown, from: string, to: string): boolean => textOf(v) >= from && textOf(v) <= to && textOf(v).length === 1;
