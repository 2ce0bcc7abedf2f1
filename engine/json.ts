import { AppError } from './errors.ts';
import type { Message } from './message.ts';

/**
 * JSON without loss (traps T1, T2): `1` is LONG, `1.0` is DOUBLE, 64-bit integers stay exact, and what is printed again has Java's number forms
 * (specs: rule-nodes §2.5, §7 rows 5 and 14). Also the typed values that telemetry and attributes are made of.
 */

/** Text that is no JSON, or not of the shape that is needed: the sender's fault, foreseen. */
export class InvalidJson extends AppError {
  constructor(message: string, cause?: unknown) {
    super('invalid-json', 'never', message, { cause });
  }
}

/** A number of which JS alone would lose something: `42.0`, `1e5`, `-0.0`, beyond range, more than 16 decimals. */
export class Double {
  readonly value: number;
  /** As it was written; absent when a node made it. */
  readonly text: string | undefined;
  constructor(value: number, text?: string) {
    this.value = value;
    this.text = text;
  }
}

/**
 * A parsed JSON value. A plain `number` is either a whole number that JS holds exactly (LONG) or one with a fraction (DOUBLE);
 * what JS alone would change is a `Double` (whole value written as double: `42.0`, `1e5`; `-0.0`; beyond range) or a `bigint`.
 */
export type Json = null | boolean | string | number | bigint | Double | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** A typed value as it is stored (specs: rule-nodes §2.5). JSON values are kept as text. */
export type Value =
  | { readonly type: 'BOOLEAN'; readonly value: boolean }
  | { readonly type: 'LONG'; readonly value: number | bigint }
  | { readonly type: 'DOUBLE'; readonly value: number }
  | { readonly type: 'STRING'; readonly value: string }
  | { readonly type: 'JSON'; readonly value: string };

export type KeyValue = readonly [key: string, value: Value];

export interface Sample {
  readonly ts: number;
  readonly values: readonly KeyValue[];
}

/** As Jackson refuses it; deeper texts would also exhaust the stack of whoever walks them. */
const MAX_DEPTH = 1000;
/** Longer numbers are not spelled out: `1e999999999` would be a gigabyte of zeros. */
const MAX_DIGITS = 10_000;

/** Some number in here may be changed by `JSON.parse`; matches too much (inside strings), never too little. */
const NEEDS_CARE = /\d[eE]|\.0+(?!\d)|\d{16}|-0(?![.\d])/;

type Reviver = (this: unknown, key: string, value: Json, context: { source: string }) => Json;
const exactNumbers: Reviver = (_key, value, context) => (typeof value === 'number' ? exactNumber(value, context.source) : value);

function exactNumber(value: number, text: string): Json {
  if (!/[.eE]/.test(text)) return Number.isSafeInteger(value) ? value + 0 : BigInt(text);
  return Number.isInteger(value) || !Number.isFinite(value) || decimals(text) > 16 ? new Double(value, text) : value;
}

/** @throws InvalidJson when the text is not JSON or nested too deep. */
export function parseJson(text: string): Json {
  if (text.length > 2 * MAX_DEPTH && isTooDeep(text)) throw new InvalidJson(`Document nesting depth exceeds the maximum allowed (${MAX_DEPTH})`);
  try {
    // The second argument's third parameter (source text) is newer than TypeScript's library.
    return NEEDS_CARE.test(text) ? JSON.parse(text, exactNumbers as (key: string, value: Json) => Json) : JSON.parse(text);
  } catch (cause) {
    throw new InvalidJson((cause as Error).message, cause);
  }
}

function isTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > MAX_DEPTH) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return false;
}

const PARSED = new WeakMap<Message, Json>();

/** The message's data, parsed once. Not to be changed: make a copy. @throws InvalidJson when it is no JSON (also when empty). */
export function json(message: Message): Json {
  let parsed = PARSED.get(message);
  if (parsed === undefined) {
    parsed = parseJson(message.data);
    PARSED.set(message, parsed);
  }
  return parsed;
}

const FIRST = new WeakMap<Message, Json>();

/**
 * The first JSON value of the data, parsed once; what stands behind it means nothing. So read those nodes whose original reads data with Jackson; Gson's
 * want the whole to be JSON, as `json` does. Not to be changed. @throws InvalidJson
 */
export function firstJson(message: Message): Json {
  const known = FIRST.get(message);
  if (known !== undefined) return known;
  try {
    return json(message);
  } catch (cause) {
    const end = endOfFirst(message.data);
    if (end === null || end === message.data.length) throw cause;
    const first = parseJson(message.data.slice(0, end));
    FIRST.set(message, first);
    return first;
  }
}

const WORD_OR_NUMBER = /(?:true|false|null)(?![\w$])|-?[\d.eE+-]+(?=[ \t\n\r])/y;

/** Where the first value of a text ends, if it is one: behind a number must be a blank, behind a word no letter. null: nowhere. */
function endOfFirst(text: string): number | null {
  const start = Math.max(text.search(/[^ \t\n\r]/), 0);
  WORD_OR_NUMBER.lastIndex = start;
  if (WORD_OR_NUMBER.test(text)) return WORD_OR_NUMBER.lastIndex;
  let depth = 0;
  let inString = false;
  for (let i = start; i < text.length; i++) {
    const char = text[i]!;
    if (inString && char === '\\') i++;
    else if (char === '"') inString = !inString;
    else if (inString) continue;
    else if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    else if (depth === 0) return null;
    if (depth <= 0 && !inString) return i + 1;
  }
  return null;
}

export const isJsonObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Double);

const PLAIN_TEXT = /^[^"\\\u0000-\u001f\ud800-\udfff]*$/;
const quoted = (text: string): string => (PLAIN_TEXT.test(text) ? `"${text}"` : JSON.stringify(text));

/** Compact, numbers in Java's form: `100000.0`, `1.0E-7`; what is not finite becomes a string. */
export function printJson(value: Json): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      return Number.isSafeInteger(value) ? String(value) : printDouble(value);
    case 'boolean':
    case 'bigint':
      return String(value);
  }
  if (value === null) return 'null';
  if (value instanceof Double) return printDouble(value.value);
  if (Array.isArray(value)) return `[${value.map(printJson).join(',')}]`;
  let text = '';
  for (const key of Object.keys(value)) text += `${text ? ',' : ''}${quoted(key)}:${printJson(value[key]!)}`;
  return `{${text}}`;
}

const printDouble = (value: number): string => (Number.isFinite(value) ? javaDouble(value) : `"${value}"`);

/** `Double.toString` of Java: `5.0`, `1.0E21`, `1.23456789125E8`. */
export function javaDouble(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e7) return Number.isInteger(value) ? `${value}.0` : String(value);
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  if (!Number.isFinite(value)) return String(value);
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}E${exponent.replace('+', '')}`;
}

/** What a pattern or a metadata value shows of it: strings raw, everything else as JSON text. */
export const plainText = (value: Json): string =>
  typeof value === 'string' ? value : value instanceof Double ? javaDouble(value.value) : printJson(value);

const TRUE: Value = Object.freeze({ type: 'BOOLEAN', value: true });
const FALSE: Value = Object.freeze({ type: 'BOOLEAN', value: false });
/** Only digits with an optional minus and dot are cast; `1e3`, `+5`, ` 12`, `12.` stay text. */
const NUMERAL = /^-?(?:\d+|\d*\.\d+)$/;
const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

/**
 * The typed value of a JSON value; null for JSON null.
 * @param castStrings strings that are numerals become numbers (`"12"` → LONG), as ThingsBoard does by default.
 */
export function toValue(value: Json, castStrings = true): Value | null {
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) ? { type: 'LONG', value } : { type: 'DOUBLE', value };
    case 'string':
      return castStrings && NUMERAL.test(value) ? fromNumeral(value) : { type: 'STRING', value };
    case 'boolean':
      return value ? TRUE : FALSE;
    case 'bigint':
      return fromInteger(value);
  }
  if (value === null) return null;
  if (value instanceof Double) return value.text === undefined ? { type: 'DOUBLE', value: value.value } : fromNumeral(value.text);
  return { type: 'JSON', value: printJson(value) };
}

function fromInteger(value: bigint): Value {
  if (value < LONG_MIN || value > LONG_MAX) return { type: 'STRING', value: String(value) };
  const number = Number(value);
  return { type: 'LONG', value: Number.isSafeInteger(number) ? number : value };
}

/** Whole values are LONG unless written with a dot and no exponent; more than 16 decimals or 64 bit are kept as text, written out. */
function fromNumeral(text: string): Value {
  const hasDot = text.includes('.');
  const hasExponent = /[eE]/.test(text);
  if (!hasDot && !hasExponent) {
    const number = Number(text);
    return Number.isSafeInteger(number) ? { type: 'LONG', value: number + 0 } : fromInteger(BigInt(text));
  }
  const scale = decimals(text);
  if (hasExponent) {
    const plain = plainDecimal(text);
    if (/^-?\d+(?:\.0*)?$/.test(plain)) return fromInteger(BigInt(plain.split('.', 1)[0]!));
    return scale <= 16 ? { type: 'DOUBLE', value: Number(text) } : { type: 'STRING', value: plain };
  }
  return scale <= 16 ? { type: 'DOUBLE', value: Number(text) + 0 } : { type: 'STRING', value: plainDecimal(text) };
}

/** Digits behind the dot once the exponent is resolved. */
function decimals(text: string): number {
  const [mantissa = '', exponent = '0'] = text.split(/[eE]/);
  const dot = mantissa.indexOf('.');
  return (dot < 0 ? 0 : mantissa.length - dot - 1) - Number(exponent);
}

/** The number without exponent, every digit kept: `1.50e1` → `15.0`. @throws InvalidJson when that would be absurdly long. */
function plainDecimal(text: string): string {
  const [mantissa = '', exponentText = '0'] = text.split(/[eE]/);
  const exponent = Number(exponentText);
  const sign = mantissa.startsWith('-') ? '-' : '';
  const [whole = '', fraction = ''] = (sign ? mantissa.slice(1) : mantissa).split('.');
  if (Math.abs(exponent) + whole.length + fraction.length > MAX_DIGITS) throw new InvalidJson(`Number has unsupported scale: ${text.slice(0, 40)}`);
  const digits = whole + fraction;
  const dot = whole.length + exponent;
  if (dot >= digits.length) return sign + (digits.padEnd(dot, '0').replace(/^0+(?=\d)/, '') || '0');
  const padded = dot <= 0 ? '0'.repeat(1 - dot) + digits : digits;
  const at = dot <= 0 ? 1 : dot;
  return `${sign}${padded.slice(0, at).replace(/^0+(?=\d)/, '')}.${padded.slice(at)}`;
}

/** The stored value as JSON, its type kept. @throws InvalidJson when a value of type JSON holds none. */
export function fromValue(value: Value): Json {
  if (value.type === 'JSON') return parseJson(value.value);
  return value.type === 'DOUBLE' && Number.isInteger(value.value) ? new Double(value.value) : value.value;
}

/** JSON text of a typed value, native types. */
export function valueJson(value: Value): string {
  switch (value.type) {
    case 'STRING':
      return quoted(value.value);
    case 'DOUBLE':
      return printDouble(value.value);
    default:
      return String(value.value);
  }
}

/** The string form of REST and metadata: `25`, `1.0E20`, the text itself. */
export const valueText = (value: Value): string => (value.type === 'DOUBLE' ? javaDouble(value.value) : String(value.value));

/** Equal in type and value; JSON as text. */
export const sameValue = (a: Value, b: Value): boolean =>
  a.type === b.type && (a.value === b.value || (a.type === 'LONG' && b.type === 'LONG' && BigInt(a.value) === BigInt(b.value)));

const HTML = /<[a-z!/][^>]*>/i;

/** Why a telemetry or attribute key may not be stored, or null. */
export function keyProblem(key: string): string | null {
  if (key === '' || key.trim() === '') return "Key can't be null or empty";
  if (key.length > 255) return 'Validation error: key length must be equal or less than 255';
  return key.includes('<') && HTML.test(key) ? 'Validation error: key is malformed' : null;
}

export interface BodyOptions {
  /** null values: an error (rule nodes, REST), or left out (device transports). Default `refuse`. */
  readonly nulls?: 'refuse' | 'drop';
  readonly castStrings?: boolean;
}

const NO_OPTIONS: BodyOptions = {};
const unparsable = (value: Json): Error => new InvalidJson(`Can't parse value: ${printJson(value)}`);

function valuesOf(object: JsonObject, { nulls = 'refuse', castStrings = true }: BodyOptions): KeyValue[] {
  const values: KeyValue[] = [];
  for (const key of Object.keys(object)) {
    const value = toValue(object[key]!, castStrings);
    if (value !== null) values.push([key, value]);
    else if (nulls === 'refuse') throw unparsable(null);
  }
  return values;
}

/**
 * A telemetry body (specs: rule-nodes §2.5): flat object, `{ts, values}`, or an array of both. One sample per distinct ts, in order of appearance; values without
 * a ts of their own take `defaultTs`. Samples without values are left out.
 * @throws InvalidJson
 */
export function parseSamples(text: string, defaultTs: number, options: BodyOptions = NO_OPTIONS): Sample[] {
  const body = parseJson(text);
  if (isJsonObject(body)) {
    const sample = toSample(body, defaultTs, options);
    return sample.values.length > 0 ? [sample] : [];
  }
  if (!Array.isArray(body)) throw unparsable(body);
  const byTs = new Map<number, KeyValue[]>();
  for (const element of body) {
    if (!isJsonObject(element)) throw unparsable(element);
    const { ts, values } = toSample(element, defaultTs, options);
    if (values.length > 0) byTs.set(ts, [...(byTs.get(ts) ?? []), ...values]);
  }
  return Array.from(byTs, ([ts, values]) => ({ ts, values }));
}

function toSample(object: JsonObject, defaultTs: number, options: BodyOptions): Sample {
  if (!Object.hasOwn(object, 'ts') || !Object.hasOwn(object, 'values')) return { ts: defaultTs, values: valuesOf(object, options) };
  const values = object['values']!;
  if (!isJsonObject(values)) throw new InvalidJson(`Not a JSON Object: ${printJson(values)}`);
  return { ts: toTs(object['ts']!), values: valuesOf(values, options) };
}

/** Text is accepted, a fraction is cut off. */
function toTs(value: Json): number {
  if (typeof value === 'number') return Math.trunc(value);
  if (value instanceof Double && Number.isFinite(value.value)) return Math.trunc(value.value);
  if (typeof value === 'string' && /^[-+]?\d{1,16}$/.test(value)) return Number(value);
  throw new InvalidJson(`Can't parse value: ${printJson(value)}`);
}

/** An attributes body: a flat object. @throws InvalidJson */
export function parseAttributes(text: string, options: BodyOptions = NO_OPTIONS): KeyValue[] {
  const body = parseJson(text);
  if (!isJsonObject(body)) throw unparsable(body);
  return valuesOf(body, options);
}
