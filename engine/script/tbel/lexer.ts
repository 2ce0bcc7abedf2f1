import { TbelSyntaxError } from './errors.ts';

/** Specs: tbel §2. */
export type NumberKind = 'I' | 'L' | 'D' | 'F' | 'BI';

export interface Token {
  readonly type: 'name' | 'number' | 'string' | 'sign' | 'end';
  /** The name, the sign, the string's value, or the number's digits as JavaScript reads them. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly kind?: NumberKind;
  /** Of a number written as 0x…: a minus before it is refused. */
  readonly isHex?: boolean;
}

/** Longest first. */
const SIGNS = [
  '>>>=',
  '<<<',
  '>>>',
  '<<=',
  '>>=',
  '===',
  '**',
  '++',
  '--',
  '+=',
  '-=',
  '*=',
  '/=',
  '%=',
  '&=',
  '|=',
  '^=',
  '==',
  '!=',
  '<=',
  '>=',
  '&&',
  '||',
  '<<',
  '>>',
  '~=',
  '.?',
  '(',
  ')',
  '{',
  '}',
  '[',
  ']',
  ';',
  ',',
  '.',
  '?',
  ':',
  '=',
  '<',
  '>',
  '+',
  '-',
  '*',
  '/',
  '%',
  '&',
  '|',
  '^',
  '!',
  '~',
  '#',
  '@',
  '$',
];
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\', n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', "'": "'", '"': '"' };
const LETTER = /[\p{ID_Start}$_]/u;
const PART = /[\p{ID_Continue}$_]/u;
const MAX_LONG = 2n ** 63n - 1n;
const MAX_HEX = 2n ** 64n - 1n;

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= '0' && char <= '9';
const isHexDigit = (char: string | undefined): boolean =>
  isDigit(char) || (char !== undefined && ((char >= 'a' && char <= 'f') || (char >= 'A' && char <= 'F')));
export const isNameStart = (char: string | undefined): boolean => char !== undefined && LETTER.test(char);
const isNamePart = (char: string | undefined): boolean => char !== undefined && PART.test(char);

/** @throws TbelSyntaxError */
export function tokens(source: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < source.length) {
    const char = source[at]!;
    if (char === ' ' || char === '\t' || char === '\n' || char === '\r' || char === '\f' || char === '\ufeff') at++;
    else if (char === '/' && source[at + 1] === '/') {
      const end = source.indexOf('\n', at);
      at = end < 0 ? source.length : end;
    } else if (char === '/' && source[at + 1] === '*') {
      const end = source.indexOf('*/', at + 2);
      if (end < 0) throw new TbelSyntaxError('unterminated comment', at);
      at = end + 2;
    } else {
      const token = isNameStart(char)
        ? name(source, at)
        : isDigit(char) || (char === '.' && isDigit(source[at + 1]))
          ? number(source, at)
          : char === '"' || char === "'"
            ? string(source, at)
            : sign(source, at);
      found.push(token);
      at = token.end;
    }
  }
  found.push({ type: 'end', text: '', start: source.length, end: source.length });
  return found;
}

function name(source: string, start: number): Token {
  let end = start + 1;
  while (isNamePart(source[end])) end++;
  return { type: 'name', text: source.slice(start, end), start, end };
}

function sign(source: string, start: number): Token {
  const text = SIGNS.find((each) => source.startsWith(each, start));
  if (text === undefined) throw new TbelSyntaxError(`unexpected character: ${source[start]}`, start);
  return { type: 'sign', text, start, end: start + text.length };
}

function string(source: string, start: number): Token {
  const quote = source[start];
  let text = '';
  let at = start + 1;
  for (;;) {
    const char = source[at];
    if (char === undefined) throw new TbelSyntaxError('unterminated string literal', start);
    if (char === quote) return { type: 'string', text, start, end: at + 1 };
    if (char !== '\\') {
      text += char;
      at++;
      continue;
    }
    const next = source[at + 1];
    const plain = next === undefined || !Object.hasOwn(ESCAPES, next) ? undefined : ESCAPES[next];
    if (plain !== undefined) {
      text += plain;
      at += 2;
    } else if (next === 'u') {
      const digits = source.slice(at + 2, at + 6);
      if (digits.length < 4 || [...digits].some((digit) => !isHexDigit(digit) || (digit >= 'a' && digit <= 'f')))
        throw new TbelSyntaxError(`illegal unicode escape sequence: ${digits}`, at);
      text += String.fromCharCode(Number.parseInt(digits, 16));
      at += 6;
    } else if (next !== undefined && next >= '0' && next <= '7') {
      let end = at + 2;
      const most = next <= '3' ? at + 4 : at + 3;
      while (end < most && source[end] !== undefined && source[end]! >= '0' && source[end]! <= '7') end++;
      text += String.fromCharCode(Number.parseInt(source.slice(at + 1, end), 8));
      at = end;
    } else throw new TbelSyntaxError(`illegal escape sequence: ${next ?? ''}`, at);
  }
}

function number(source: string, start: number): Token {
  if (source[start] === '0' && source[start + 1] === 'x') return hex(source, start);
  let end = start;
  while (isDigit(source[end])) end++;
  let isReal = false;
  if (source[end] === '.') {
    isReal = true;
    end++;
    while (isDigit(source[end])) end++;
  }
  if (source[end] === 'e' || source[end] === 'E') {
    const digits = source[end + 1] === '-' || source[end + 1] === '+' ? end + 2 : end + 1;
    if (isDigit(source[digits])) {
      isReal = true;
      end = digits;
      while (isDigit(source[end])) end++;
    }
  }
  const digits = source.slice(start, end);
  const suffix = source[end] ?? '';
  let kind: NumberKind | undefined;
  if (suffix === 'L' || suffix === 'l') kind = 'L';
  else if (suffix === 'D' || suffix === 'd' || suffix === 'B') kind = 'D';
  else if (suffix === 'F' || suffix === 'f') kind = 'F';
  else if (suffix === 'I') kind = 'BI';
  if (kind !== undefined) end++;
  if (isNamePart(source[end]) || (isReal && (kind === 'L' || kind === 'BI')))
    throw new TbelSyntaxError(`invalid number literal: ${source.slice(start, end + 1)}`, start);
  if (isReal || kind === 'D' || kind === 'F') return { type: 'number', text: digits, start, end, kind: kind ?? 'D' };
  let value = BigInt(digits);
  if (digits.length > 1 && digits[0] === '0') {
    if (digits.includes('8') || digits.includes('9')) throw new TbelSyntaxError(`badly formatted number: ${digits}`, start);
    value = BigInt(`0o${digits}`);
  }
  if (kind !== 'BI' && value > MAX_LONG) throw new TbelSyntaxError(`badly formatted number: ${digits}`, start);
  return { type: 'number', text: String(value), start, end, kind: kind ?? (digits.length <= 9 ? 'I' : 'L') };
}

function hex(source: string, start: number): Token {
  let end = start + 2;
  while (isHexDigit(source[end])) end++;
  const digits = source.slice(start, end);
  if (end === start + 2) throw new TbelSyntaxError(`invalid number literal: ${digits}`, start);
  let value = BigInt(digits);
  let kind: NumberKind = value <= 0x7fffffffn ? 'I' : 'L';
  if (source[end] === 'L' || source[end] === 'l') {
    kind = 'L';
    end++;
  }
  if (isNamePart(source[end])) throw new TbelSyntaxError(`invalid number literal: ${source.slice(start, end + 1)}`, start);
  if (value > MAX_HEX) throw new TbelSyntaxError(`badly formatted number: ${digits}`, start);
  // Java's Integer.decode would refuse it; the original gives the smallest int, widened.
  if (value === 0x80000000n) value = -0x80000000n;
  return { type: 'number', text: String(BigInt.asIntN(64, value)), start, end, kind, isHex: true };
}
