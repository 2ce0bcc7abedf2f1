import { dateText } from './date-text.ts';
import { textOf } from './text.ts';
import { Arr, Big, Byt, Chr, Dbl, dbl, Entry, Flt, fault, keyOf, Lng, lng, TbelDate, valueOfKey } from './values.ts';

/** JSON in and out (specs: tbel §1, §8.10): `1` is not `1.0`, integers of 64 bits are exact, keys stay in order, nulls leave maps. */

const MAX_JSON_DEPTH = 500;
/** A whole number that is written as a Double may be there. */
const HAS_WHOLE_DOUBLE = /\.0|\d[eE]/;

export function readJson(text: string): unknown {
  jsonText = text;
  jsonAt = 0;
  const value = readValue(0);
  return skipSpace() === END ? value : wrongJson();
}
/** By the language's own parser, which is the fastest and loses what a number looked like. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return fault((cause as Error).message);
  }
}
export function checkJson(text: string): null {
  parsedJson(text);
  return null;
}

/** An object of which some properties are asked for: only they become values. */
export class Fields {
  readonly text: string;
  readonly plain: Readonly<Record<string, unknown>> | null;
  whole: unknown = undefined;
  hasWholeDouble: boolean | null = null;
  constructor(text: string, plain: Readonly<Record<string, unknown>> | null) {
    this.text = text;
    this.plain = plain;
  }
}
export function readFields(text: string): Fields {
  const value = parsedJson(text);
  return new Fields(text, typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null);
}
export function everythingOf(fields: Fields): unknown {
  if (fields.whole === undefined) fields.whole = readJson(fields.text);
  return fields.whole;
}
/** Whether the number is the Integer or the Double that its text says. */
export function isExact(fields: Fields, v: number): boolean {
  if (v % 1 !== 0) return true;
  if (v > 2147483647 || v < -2147483648 || v === 0) return false;
  fields.hasWholeDouble ??= HAS_WHOLE_DOUBLE.test(fields.text);
  return !fields.hasWholeDouble;
}

// ---- the reader: one at a time, and it calls nothing that reads ----

let jsonText = '';
let jsonAt = 0;
const END = -1;
const POWERS_OF_TEN = Array.from({ length: 16 }, (_, i) => 10 ** i);

/** @returns the code of the next character that means something. */
function skipSpace(): number {
  for (; jsonAt < jsonText.length; jsonAt++) {
    const code = jsonText.charCodeAt(jsonAt);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return code;
  }
  return END;
}

/** In the words of the language's own parser. */
function wrongJson(): never {
  parsedJson(jsonText);
  return fault(`Unexpected character in JSON at position ${jsonAt}`);
}

function readValue(depth: number): unknown {
  const code = skipSpace();
  switch (code) {
    case 34:
      return readText();
    case 123:
      return readMap(depth + 1);
    case 91:
      return readList(depth + 1);
    case 116:
      return readWord('true', true);
    case 102:
      return readWord('false', false);
    case 110:
      return readWord('null', null);
    default:
      return readNumber();
  }
}

function readWord<T>(word: string, value: T): T {
  if (!jsonText.startsWith(word, jsonAt)) return wrongJson();
  jsonAt += word.length;
  return value;
}

function readText(): string {
  const from = jsonAt;
  for (let at = from + 1; at < jsonText.length; at++) {
    const code = jsonText.charCodeAt(at);
    if (code === 34) {
      jsonAt = at + 1;
      return jsonText.slice(from + 1, at);
    }
    if (code === 92) return readEscapedText(from, at);
    if (code < 32) return wrongJson();
  }
  return wrongJson();
}
function readEscapedText(from: number, first: number): string {
  let at = first;
  for (let code = 92; code !== 34; code = jsonText.charCodeAt(at)) {
    if (at >= jsonText.length) return wrongJson();
    at += code === 92 ? 2 : 1;
  }
  jsonAt = at + 1;
  return parsedJson(jsonText.slice(from, jsonAt)) as string;
}

function readNumber(): unknown {
  const from = jsonAt;
  let at = from;
  const isNegative = jsonText.charCodeAt(at) === 45;
  if (isNegative) at++;
  const first = at;
  let value = 0;
  for (let code = jsonText.charCodeAt(at); code >= 48 && code <= 57; code = jsonText.charCodeAt(++at)) value = value * 10 + code - 48;
  const digits = at - first;
  if (digits === 0 || (digits > 1 && jsonText.charCodeAt(first) === 48)) return wrongJson();
  let next = jsonText.charCodeAt(at);
  let places = 0;
  if (next === 46) {
    at++;
    const fraction = at;
    for (next = jsonText.charCodeAt(at); next >= 48 && next <= 57; next = jsonText.charCodeAt(++at)) value = value * 10 + next - 48;
    places = at - fraction;
    if (places === 0) return wrongJson();
  }
  if (next === 101 || next === 69) return readExponent(from, at + 1);
  jsonAt = at;
  // Both sides of the division are exact, so that it gives the double that is nearest to the text.
  if (places > 0)
    return dbl(
      digits + places > 15 ? Number(jsonText.slice(from, at)) : isNegative ? -value / POWERS_OF_TEN[places]! : value / POWERS_OF_TEN[places]!,
    );
  if (digits < 10) return isNegative ? 0 - value : value;
  const whole = BigInt(jsonText.slice(from, at));
  if (whole >= -2147483648n && whole <= 2147483647n) return Number(whole);
  return whole >= -(2n ** 63n) && whole < 2n ** 63n ? lng(whole) : new Big(whole);
}
function readExponent(from: number, exponent: number): unknown {
  let at = exponent;
  const sign = jsonText.charCodeAt(at);
  if (sign === 43 || sign === 45) at++;
  const digits = at;
  for (let code = jsonText.charCodeAt(at); code >= 48 && code <= 57; code = jsonText.charCodeAt(at)) at++;
  if (at === digits) return wrongJson();
  jsonAt = at;
  return dbl(Number(jsonText.slice(from, at)));
}

function readList(depth: number): unknown[] {
  if (depth > MAX_JSON_DEPTH) return fault('JSON is nested too deeply');
  const list: unknown[] = [];
  jsonAt++;
  if (skipSpace() === 93) {
    jsonAt++;
    return list;
  }
  for (;;) {
    list.push(readValue(depth));
    const code = skipSpace();
    if (code !== 44 && code !== 93) return wrongJson();
    jsonAt++;
    if (code === 93) return list;
  }
}

function readMap(depth: number): Map<unknown, unknown> {
  if (depth > MAX_JSON_DEPTH) return fault('JSON is nested too deeply');
  const map = new Map<unknown, unknown>();
  jsonAt++;
  if (skipSpace() === 125) {
    jsonAt++;
    return map;
  }
  for (;;) {
    if (skipSpace() !== 34) return wrongJson();
    const key = keyOf(readText());
    if (skipSpace() !== 58) return wrongJson();
    jsonAt++;
    const value = readValue(depth);
    if (value === null) map.delete(key);
    else map.set(key, value);
    const code = skipSpace();
    if (code !== 44 && code !== 125) return wrongJson();
    jsonAt++;
    if (code === 125) return map;
  }
}

const UNSAFE = /["\\\u0000-\u001f\ud800-\udfff]/;
const quotedText = (text: string): string => (UNSAFE.test(text) ? JSON.stringify(text) : `"${text}"`);

const knownKeys = new Map<unknown, string>();
/** With its colon: keys are the same in every message. */
function keyText(key: unknown): string {
  const known = knownKeys.get(key);
  if (known !== undefined) return known;
  const text = `${quotedText(typeof key === 'string' && key.charCodeAt(0) !== 0 ? key : textOf(valueOfKey(key)))}:`;
  if (typeof key === 'string' && key.length < 100 && knownKeys.size < 1000) knownKeys.set(key, text);
  return text;
}

const real = (v: number, text: string): string => (Number.isFinite(v) ? text : `"${text}"`);

export function writeJson(v: unknown, depth = 0): string {
  if (typeof v === 'string') return quotedText(v);
  if (typeof v === 'number') return Number.isInteger(v) ? String(v) : real(v, textOf(v));
  if (v === null || v === undefined) return 'null';
  if (typeof v === 'boolean') return v ? 'true' : 'false';
  if (depth > MAX_JSON_DEPTH) return fault('The value is nested too deeply, or contains itself');
  if (v instanceof Map) {
    let text = '';
    for (const [key, value] of v) text += (text === '' ? '' : ',') + keyText(key) + writeJson(value, depth + 1);
    return `{${text}}`;
  }
  if (Array.isArray(v) || v instanceof Arr || v instanceof Set) {
    const items = v instanceof Arr ? v.items : v instanceof Set ? [...v].map(valueOfKey) : v;
    let text = '';
    for (let i = 0; i < items.length; i++) text += (i === 0 ? '' : ',') + writeJson(items[i], depth + 1);
    return `[${text}]`;
  }
  if (v instanceof Dbl || v instanceof Flt) return real(v.v, textOf(v));
  if (v instanceof Lng || v instanceof Byt || v instanceof Big) return String(v.v);
  if (v instanceof Chr) return JSON.stringify(v.v);
  if (v instanceof Entry) return `{${JSON.stringify(textOf(v.k))}:${writeJson(v.v, depth + 1)}}`;
  return v instanceof TbelDate ? JSON.stringify(dateText(v.ms)) : fault('Unsupported value type');
}
