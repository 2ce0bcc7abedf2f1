import { dateText } from './date-text.ts';
import { textOf } from './text.ts';
import { Arr, Big, Byt, Chr, Dbl, dbl, Entry, Flt, fault, keyOf, Lng, lng, TbelDate, valueOfKey } from './values.ts';

/** JSON in and out (specs: tbel §1, §8.10): `1` is not `1.0`, integers of 64 bits are exact, keys stay in order, nulls leave maps. */

const MAX_JSON_DEPTH = 500;
/** Where the language's own parser would lose something: whole doubles, exponents, long integers, minus zero, keys that are numbers. */
const DELICATE = /\d\.0+(?!\d)|\d[eE]|(?<![.\d])\d{16}|-0|"\d+"\s*:|"__proto__"/;

export function readJson(text: string): unknown {
  if (DELICATE.test(text)) return new Reader(text).read();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return fault((cause as Error).message);
  }
  return imported(value, 0);
}

function imported(value: unknown, depth: number): unknown {
  if (typeof value === 'number') return value >= -2147483648 && value <= 2147483647 ? value : Number.isInteger(value) ? lng(BigInt(value)) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_JSON_DEPTH) return fault('JSON is nested too deeply');
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = imported(value[i], depth + 1);
    return value;
  }
  const map = new Map<unknown, unknown>();
  for (const key in value) {
    const each = (value as Record<string, unknown>)[key];
    if (each !== null) map.set(key.charCodeAt(0) === 0 ? keyOf(key) : key, typeof each === 'string' ? each : imported(each, depth + 1));
  }
  return map;
}

/** The exact way, for texts that need it. */
class Reader {
  readonly #text: string;
  #at = 0;
  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    const value = this.#value(0);
    this.#space();
    return this.#at < this.#text.length ? this.#wrong() : value;
  }

  #space(): void {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? '?')) this.#at++;
  }

  #wrong(): never {
    const found = this.#text[this.#at];
    return fault(found === undefined ? 'Unexpected end of JSON input' : `Unexpected character '${found}' in JSON at position ${this.#at}`);
  }

  #value(depth: number): unknown {
    if (depth > MAX_JSON_DEPTH) return fault('JSON is nested too deeply');
    this.#space();
    const char = this.#text[this.#at];
    if (char === '"') return this.#string();
    if (char === '{') return this.#object(depth);
    if (char === '[') return this.#array(depth);
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#number();
  }

  #string(): string {
    const from = this.#at++;
    for (let char = this.#text[this.#at]; char !== '"'; char = this.#text[this.#at]) {
      if (char === undefined) return this.#wrong();
      this.#at += char === '\\' ? 2 : 1;
    }
    this.#at++;
    try {
      return JSON.parse(this.#text.slice(from, this.#at)) as string;
    } catch {
      this.#at = from;
      return this.#wrong();
    }
  }

  #number(): unknown {
    const regex = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;
    regex.lastIndex = this.#at;
    const match = regex.exec(this.#text);
    if (match === null) return this.#wrong();
    this.#at += match[0].length;
    if (match[1] !== undefined || match[2] !== undefined) return dbl(Number(match[0]));
    const value = BigInt(match[0]);
    if (value >= -2147483648n && value <= 2147483647n) return Number(value);
    return value >= -(2n ** 63n) && value < 2n ** 63n ? lng(value) : new Big(value);
  }

  #array(depth: number): unknown[] {
    const list: unknown[] = [];
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === ']') {
      this.#at++;
      return list;
    }
    for (;;) {
      list.push(this.#value(depth + 1));
      this.#space();
      const char = this.#text[this.#at];
      if (char !== ',' && char !== ']') return this.#wrong();
      this.#at++;
      if (char === ']') return list;
    }
  }

  #object(depth: number): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>();
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === '}') {
      this.#at++;
      return map;
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') return this.#wrong();
      const key = this.#string();
      this.#space();
      if (this.#text[this.#at] !== ':') return this.#wrong();
      this.#at++;
      const value = this.#value(depth + 1);
      if (value === null) map.delete(keyOf(key));
      else map.set(keyOf(key), value);
      this.#space();
      const char = this.#text[this.#at];
      if (char !== ',' && char !== '}') return this.#wrong();
      this.#at++;
      if (char === '}') return map;
    }
  }
}

const real = (v: number, text: string): string => (Number.isFinite(v) ? text : `"${text}"`);

export function writeJson(v: unknown, depth = 0): string {
  if (typeof v === 'string') return JSON.stringify(v);
  if (typeof v === 'number') return Number.isInteger(v) ? String(v) : real(v, textOf(v));
  if (v === null || v === undefined) return 'null';
  if (typeof v === 'boolean') return v ? 'true' : 'false';
  if (depth > MAX_JSON_DEPTH) return fault('The value is nested too deeply, or contains itself');
  if (v instanceof Map) {
    let text = '';
    for (const [key, value] of v)
      text += `${text === '' ? '' : ','}${JSON.stringify(typeof key === 'string' && key.charCodeAt(0) !== 0 ? key : textOf(valueOfKey(key)))}:${writeJson(value, depth + 1)}`;
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
