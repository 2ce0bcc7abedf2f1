import { dateText } from './date-text.ts';
import { Arr, Big, Byt, Chr, Dbl, Entry, Flt, fault, Lng, TbelDate, valueOfKey } from './values.ts';

/** Numbers and other values as text, as Java writes them (specs: tbel §5.6). */

/** Shortest digits of a positive finite number and where its point stands: 0.d1d2… × 10^exponent. */
export function digitsOf(v: number): { digits: string; exponent: number } {
  const [mantissa, exp = '0'] = v.toExponential().split('e') as [string, string?];
  return { digits: mantissa.replace('.', ''), exponent: Number(exp) + 1 };
}

function javaText({ digits, exponent }: { digits: string; exponent: number }): string {
  if (exponent > -3 && exponent <= 7) {
    if (exponent <= 0) return `0.${'0'.repeat(-exponent)}${digits}`;
    const padded = digits.padEnd(exponent, '0');
    return `${padded.slice(0, exponent)}.${padded.slice(exponent) || '0'}`;
  }
  return `${digits[0]}.${digits.slice(1) || '0'}E${exponent - 1}`;
}

function special(v: number): string | null {
  if (Number.isNaN(v)) return 'NaN';
  if (v === 0) return Object.is(v, -0) ? '-0.0' : '0.0';
  return Number.isFinite(v) ? null : v > 0 ? 'Infinity' : '-Infinity';
}

export function doubleText(v: number): string {
  const size = v < 0 ? -v : v;
  // Where JavaScript writes the same digits the same way.
  if (size >= 0.001 && size < 10_000_000) return Number.isInteger(v) ? `${v}.0` : String(v);
  return special(v) ?? (v < 0 ? '-' : '') + javaText(digitsOf(size));
}

/** With the fewest digits that read back as the same float. */
export function floatText(v: number): string {
  const known = special(v);
  if (known !== null) return known;
  const size = Math.abs(v);
  let short = size;
  for (let precision = 1; precision <= 9; precision++) {
    short = Number(size.toPrecision(precision));
    if (Math.fround(short) === size) break;
  }
  return (v < 0 ? '-' : '') + javaText(digitsOf(short));
}

const MAX_TEXT_DEPTH = 100;

export function textOf(v: unknown, depth = 0): string {
  if (typeof v === 'string') return v;
  if (typeof v === 'number') return Number.isInteger(v) ? String(v) : doubleText(v);
  if (v === null || v === undefined) return 'null';
  if (typeof v === 'boolean') return v ? 'true' : 'false';
  if (v instanceof Dbl) return doubleText(v.v);
  if (v instanceof Lng || v instanceof Byt || v instanceof Big) return String(v.v);
  if (v instanceof Flt) return floatText(v.v);
  if (v instanceof Chr) return v.v;
  if (depth > MAX_TEXT_DEPTH) return fault('StackOverflowError');
  if (Array.isArray(v)) return `[${v.map((each) => textOf(each, depth + 1)).join(', ')}]`;
  if (v instanceof Arr) return `[${v.items.map((each) => textOf(each, depth + 1)).join(', ')}]`;
  if (v instanceof Map) return `{${[...v].map(([key, value]) => `${textOf(valueOfKey(key), depth + 1)}=${textOf(value, depth + 1)}`).join(', ')}}`;
  if (v instanceof Set) return `[${[...v].map((key) => textOf(valueOfKey(key), depth + 1)).join(', ')}]`;
  if (v instanceof Entry) return `${textOf(v.k, depth + 1)}=${textOf(v.v, depth + 1)}`;
  return v instanceof TbelDate ? dateText(v.ms) : 'object';
}

const isDigitAt = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
};

/** The number that a text holds as decimal digits with a point and an exponent; undefined: none. */
export function decimalOf(text: string): number | undefined {
  const trimmed = text.trim();
  let at = trimmed[0] === '-' || trimmed[0] === '+' ? 1 : 0;
  const from = at;
  while (isDigitAt(trimmed, at)) at++;
  let digits = at - from;
  if (trimmed[at] === '.') {
    at++;
    const fraction = at;
    while (isDigitAt(trimmed, at)) at++;
    digits += at - fraction;
  }
  if (digits === 0) return undefined;
  if (trimmed[at] === 'e' || trimmed[at] === 'E') {
    at++;
    if (trimmed[at] === '-' || trimmed[at] === '+') at++;
    const exponent = at;
    while (isDigitAt(trimmed, at)) at++;
    if (at === exponent) return undefined;
  }
  return at === trimmed.length ? Number(trimmed) : undefined;
}

/** Half-up on the decimal text of the value, as BigDecimal does it. @returns digits with exactly so many places. */
export function roundedText(v: number, places: number, isFloat = false): string {
  const size = Math.abs(v);
  if (size === 0) return places > 0 ? `0.${'0'.repeat(places)}` : '0';
  const { digits, exponent } = digitsOf(isFloat ? Number(floatText(size)) : size);
  const keep = exponent + places;
  let whole: bigint;
  if (keep < 0) whole = 0n;
  else if (keep >= digits.length) whole = BigInt(digits) * 10n ** BigInt(keep - digits.length);
  else whole = BigInt(digits.slice(0, keep) || '0') + (digits.charCodeAt(keep) >= 53 ? 1n : 0n);
  const text = String(whole).padStart(places + 1, '0');
  const shown = places > 0 ? `${text.slice(0, -places)}.${text.slice(-places)}` : text;
  return v < 0 ? `-${shown}` : shown;
}
