import { digitsOf, roundedText, textOf } from './text.ts';
import { Byt, Chr, classOf, Flt, fault, Lng, numberOf, rankOf } from './values.ts';

/** Java's String.format (specs: tbel §8.6). */
const MAX_WIDTH = 10_000;

export function format(pattern: string, values: readonly unknown[]): string {
  let text = '';
  let next = 0;
  for (let at = 0; at < pattern.length; ) {
    const percent = pattern.indexOf('%', at);
    if (percent < 0) return text + pattern.slice(at);
    text += pattern.slice(at, percent);
    at = percent + 1;
    let number = digitsAt(pattern, at);
    let index: number | null = null;
    if (number !== '' && pattern[at + number.length] === '$') {
      index = Number(number) - 1;
      at += number.length + 1;
    }
    let flags = '';
    while ('-#+ 0,('.includes(pattern[at] ?? '?')) flags += pattern[at++];
    number = digitsAt(pattern, at);
    at += number.length;
    let precision = -1;
    if (pattern[at] === '.') {
      const places = digitsAt(pattern, at + 1);
      at += places.length + 1;
      precision = Number(places);
    }
    const conversion = pattern[at++];
    if (conversion === undefined) return fault(`Conversion = '%'`);
    const width = Number(number || 0);
    if (width > MAX_WIDTH || precision > MAX_WIDTH) return fault(`Max string length overflow (${Math.max(width, precision)} > ${MAX_WIDTH})!`);
    if (conversion === 'n' || conversion === '%') {
      text += conversion === 'n' ? '\n' : padded('%', width, flags);
      continue;
    }
    const value = values[index ?? next++];
    if ((index ?? next - 1) >= values.length) return fault(`Format specifier '%${conversion}'`);
    text += padded(converted(conversion, value, flags, precision, width), width, flags);
  }
  return text;
}

function digitsAt(text: string, from: number): string {
  let at = from;
  while (text[at] !== undefined && text[at]! >= '0' && text[at]! <= '9') at++;
  // A zero in front is a flag.
  return text[from] === '0' && text[at] !== '$' ? (from > 0 && text[from - 1] === '.' ? text.slice(from, at) : '') : text.slice(from, at);
}

const padded = (text: string, width: number, flags: string): string => (flags.includes('-') ? text.padEnd(width) : text.padStart(width));
const mismatch = (conversion: string, v: unknown): never => fault(`${conversion} != ${classOf(v)}`);

function converted(conversion: string, v: unknown, flags: string, precision: number, width: number): string {
  const upper = conversion !== conversion.toLowerCase();
  const made = lower(conversion.toLowerCase(), v, flags, precision, width);
  return upper ? made.toUpperCase() : made;
}

function lower(conversion: string, v: unknown, flags: string, precision: number, width: number): string {
  switch (conversion) {
    case 's':
      return cut(textOf(v), precision);
    case 'b':
      return cut(typeof v === 'boolean' ? String(v) : String(v !== null && v !== undefined), precision);
    case 'c':
      if (v === null) return 'null';
      return v instanceof Chr ? v.v : rankOf(v) === 2 || v instanceof Byt ? String.fromCodePoint(Math.max(0, numberOf(v))) : mismatch('c', v);
  }
  if (v === null || v === undefined) return 'null';
  const rank = rankOf(v);
  if (conversion === 'd' || conversion === 'x' || conversion === 'o') {
    if (rank === 0 || rank > 4) return mismatch(conversion, v);
    const value = BigInt(rank >= 3 ? (v as Lng).v : numberOf(v));
    if (conversion === 'd') return signed(grouped(String(value < 0n ? -value : value), flags), value < 0n, flags, width);
    const bits = BigInt.asUintN(v instanceof Byt ? 8 : v instanceof Lng ? 64 : 32, value);
    const digits = (flags.includes('#') ? (conversion === 'x' ? '0x' : '0') : '') + bits.toString(conversion === 'x' ? 16 : 8);
    return flags.includes('0') ? digits.padStart(width, '0') : digits;
  }
  if (conversion !== 'f' && conversion !== 'e' && conversion !== 'g') return fault(`Conversion = '${conversion}'`);
  if (rank < 5) return mismatch(conversion, v);
  const value = numberOf(v);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? (flags.includes('+') ? '+Infinity' : 'Infinity') : '-Infinity';
  const places = precision < 0 ? 6 : precision;
  const size = Math.abs(value);
  const isNegative = value < 0 || Object.is(value, -0);
  if (conversion === 'f' || (conversion === 'g' && size >= 1e-4 && size < 10 ** (places || 1))) {
    const shown = conversion === 'f' ? places : Math.max(0, (places || 1) - (size === 0 ? 1 : digitsOf(size).exponent));
    const [whole, fraction] = roundedText(size, shown, v instanceof Flt).split('.') as [string, string?];
    return signed(grouped(whole, flags) + (fraction === undefined ? '' : `.${fraction}`), isNegative, flags, width);
  }
  const [mantissa, exponent] = exponential(size, conversion === 'g' ? Math.max(0, (places || 1) - 1) : places, v instanceof Flt);
  const shownExponent = `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  return signed(mantissa + shownExponent, isNegative, flags, width);
}

function exponential(size: number, places: number, isFloat: boolean): [string, number] {
  if (size === 0) return [roundedText(0, places), 0];
  const { digits, exponent } = digitsOf(size);
  const mantissa = Number(`${digits[0]}.${digits.slice(1) || '0'}`);
  const text = roundedText(mantissa, places, isFloat);
  return text.startsWith('10') ? [roundedText(1, places), exponent] : [text, exponent - 1];
}

const cut = (text: string, precision: number): string => (precision < 0 ? text : text.slice(0, precision));

function grouped(digits: string, flags: string): string {
  if (!flags.includes(',')) return digits;
  let text = '';
  for (let i = 0; i < digits.length; i++) text += (i > 0 && (digits.length - i) % 3 === 0 ? ',' : '') + digits[i];
  return text;
}

function signed(digits: string, isNegative: boolean, flags: string, width: number): string {
  const inBrackets = isNegative && flags.includes('(');
  const sign = inBrackets ? '(' : isNegative ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const end = inBrackets ? ')' : '';
  return sign + (flags.includes('0') ? digits.padStart(width - sign.length - end.length, '0') : digits) + end;
}
