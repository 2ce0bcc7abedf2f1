/**
 * The code that surrounds a user's script inside its own context. It is handed over as text (`String(sandbox)`), so it may use nothing from outside of its
 * own braces. It takes what it needs from the built-ins before any script runs: a script that redefines `JSON` or `Array.prototype` changes what it sees
 * itself, never how it is called or read.
 */

/** One call: as many texts as the kind has arguments, and a code of `outcome.ts` back. Only strings cross between contexts: no object of another one to get hold of. */
export type Runner = (a: string, b: string, c: string, d: string) => string;
export type MakeRunner = (kind: string, body: (...args: unknown[]) => unknown) => Runner;

/** @param evaluate calls `eval` directly, with nothing in sight of the text. */
export function sandbox(maxResultChars: number, evaluate: (text: string) => unknown): MakeRunner {
  const uncurry = Function.prototype.bind.bind(Function.prototype.call) as (method: unknown) => (...args: unknown[]) => never;
  const charCodeAt: (text: string, at: number) => number = uncurry(String.prototype.charCodeAt);
  const slice: (text: string, from: number, to?: number) => string = uncurry(String.prototype.slice);
  const isPromise: (value: unknown) => boolean = uncurry(Object.prototype.isPrototypeOf).bind(null, Promise.prototype as never);
  const { parse, stringify } = JSON;
  const { fromCharCode } = String;
  const fromCharCodes: (codes: ArrayLike<number>) => string = Function.prototype.apply.bind(fromCharCode as never, null) as never;
  const asText = String;
  const { min } = Math;
  const newArray = Array;
  const anError = Error;
  const isNumber = Number.isFinite;
  const world = globalThis as unknown as Record<string, unknown>;

  // Atomics.wait would block the thread without using time; neither it nor WebAssembly has a use in a script.
  for (const name of ['WebAssembly', 'SharedArrayBuffer', 'Atomics']) delete world[name];

  // The engine refuses the Function constructor where the outermost caller stands in another context, as the driver does; a direct eval it does not refuse.
  const realFunction = Function;
  // Not an arrow: scripts write `new Function(…)` as well.
  function makeFunction(...parts: unknown[]): unknown {
    let names = '';
    for (let i = 0; i < parts.length - 1; i++) names += (i > 0 ? ',' : '') + asText(parts[i]);
    return evaluate('(function anonymous(' + names + '\n) {\n' + (parts.length > 0 ? asText(parts[parts.length - 1]) : '') + '\n})');
  }
  Object.defineProperty(makeFunction, 'name', { value: 'Function' });
  Object.defineProperty(makeFunction, 'prototype', { value: realFunction.prototype, writable: false });
  Object.defineProperty(realFunction.prototype, 'constructor', { value: makeFunction, writable: true, configurable: true, enumerable: false });
  Object.defineProperty(world, 'Function', { value: makeFunction, writable: true, configurable: true, enumerable: false });

  const MAX_LOG_CHARS = 10_000;
  let logs = '';
  const log = (...parts: unknown[]): void => {
    let line = '';
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i];
      let text: unknown;
      try {
        text = typeof part === 'object' && part !== null ? stringify(part) : asText(part);
      } catch {
        text = '[unprintable]';
      }
      line += (i > 0 ? ' ' : '') + (typeof text === 'string' ? text : '[unprintable]');
      if (line.length > MAX_LOG_CHARS) break;
    }
    line = slice(line, 0, 1000);
    if (logs.length + line.length < MAX_LOG_CHARS) logs += line.length + ':' + line;
  };
  world['console'] = { log, info: log, warn: log, error: log, debug: log, trace: log };

  // ---- helpers (specs: integrations §2.1): properties of the global object, so that a body may redefine them by const or function ----

  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const HEX = '0123456789ABCDEF';
  const digits: number[] = [];
  for (let i = 0; i < 128; i++) digits[i] = -1;
  for (let i = 0; i < 64; i++) digits[ALPHABET.charCodeAt(i)] = i;
  digits[45] = 62; // base64url: '-' and '_'
  digits[95] = 63;

  function base64ToBytes(base64: unknown): number[] {
    const text = asText(base64);
    const bytes: number[] = [];
    let bits = 0;
    let held = 0;
    let size = 0;
    for (let i = 0; i < text.length; i++) {
      const code = charCodeAt(text, i);
      if (code === 61 || code === 10 || code === 13 || code === 32 || code === 9) continue;
      const digit = code < 128 ? digits[code]! : -1;
      if (digit < 0) throw new anError('Illegal base64 character at position ' + i);
      bits = ((bits << 6) | digit) & 0xffffff;
      held += 6;
      if (held >= 8) {
        held -= 8;
        bytes[size++] = (bits >> held) & 255;
      }
    }
    return bytes;
  }
  function bytesToBase64(bytes: ArrayLike<number>): string {
    let text = '';
    for (let i = 0; i < bytes.length; i += 3) {
      const more = bytes.length - i;
      const bits = ((bytes[i]! & 255) << 16) | ((more > 1 ? bytes[i + 1]! & 255 : 0) << 8) | (more > 2 ? bytes[i + 2]! & 255 : 0);
      text +=
        ALPHABET[bits >> 18]! + ALPHABET[(bits >> 12) & 63] + (more > 1 ? ALPHABET[(bits >> 6) & 63] : '=') + (more > 2 ? ALPHABET[bits & 63] : '=');
    }
    return text;
  }
  function atob(base64: unknown): string {
    const bytes = base64ToBytes(base64);
    let text = '';
    for (let i = 0; i < bytes.length; i++) text += fromCharCode(bytes[i]!);
    return text;
  }
  function btoa(binary: unknown): string {
    const text = asText(binary);
    const bytes: number[] = [];
    for (let i = 0; i < text.length; i++) {
      const code = charCodeAt(text, i);
      if (code > 255) throw new anError('Character at position ' + i + ' is not a byte');
      bytes[i] = code;
    }
    return bytesToBase64(bytes);
  }
  const MAX_RUN = 8192;
  /** UTF-8; what is none becomes U+FFFD, as in the encoding standard. */
  function decodeToString(bytes: ArrayLike<number>): string {
    let text = '';
    const size = bytes.length;
    for (let i = 0; i < size; ) {
      // ASCII goes in runs: one by one, ten megabytes would take longer than a script may.
      let end = i;
      for (const most = min(size, i + MAX_RUN); end < most && bytes[end]! >= 0 && bytes[end]! < 0x80; ) end++;
      if (i === 0 && end === size) return fromCharCodes(bytes);
      if (end - i < 16) for (; i < end; i++) text += fromCharCode(bytes[i]!);
      else {
        const run = new newArray<number>(end - i);
        for (let k = 0; i < end; ) run[k++] = bytes[i++]!;
        text += fromCharCodes(run);
      }
      if (i === size) break;
      const lead = bytes[i]! & 255;
      if (lead === bytes[i] && lead < 0x80) continue; // The run was as long as one may be.
      i++;
      if (lead < 0x80) {
        text += fromCharCode(lead);
        continue;
      }
      let left = lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : 0;
      let code = left === 0 ? 0xfffd : lead & (0x3f >> left);
      let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      for (; left > 0; left--) {
        const next = i < bytes.length ? bytes[i]! & 255 : -1;
        if (next < low || next > high) {
          code = 0xfffd;
          break;
        }
        code = (code << 6) | (next & 0x3f);
        low = 0x80;
        high = 0xbf;
        i++;
      }
      text += code > 0xffff ? fromCharCode(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff)) : fromCharCode(code);
    }
    return text;
  }
  function hexToBytes(hex: unknown): number[] {
    let text = asText(hex);
    if (text.length > 1 && text[0] === '0' && (text[1] === 'x' || text[1] === 'X')) text = slice(text, 2);
    if (text === '') throw new anError('Hex string must be not empty!');
    if (text.length % 2 !== 0) throw new anError('Hex string must be even-length.');
    const bytes: number[] = [];
    for (let i = 0; i < text.length; i++) {
      const code = charCodeAt(text, i);
      const digit = code > 47 && code < 58 ? code - 48 : code > 64 && code < 71 ? code - 55 : code > 96 && code < 103 ? code - 87 : -1;
      if (digit < 0) throw new anError('Illegal hex character at position ' + i);
      if (i % 2 === 0) bytes[i >> 1] = digit << 4;
      else bytes[i >> 1] = bytes[i >> 1]! | digit;
    }
    return bytes;
  }
  function bytesToHex(bytes: ArrayLike<number>): string {
    let text = '';
    for (let i = 0; i < bytes.length; i++) text += HEX[(bytes[i]! >> 4) & 15]! + HEX[bytes[i]! & 15];
    return text;
  }
  function inBounds(bytes: ArrayLike<number>, offset: number, length: number, max: number): void {
    if (offset < 0 || offset >= bytes.length)
      throw new anError('Offset: ' + offset + ' is out of bounds for array with length: ' + bytes.length + '!');
    if (length < 1 || length > max) throw new anError('Length: ' + length + ' must be between 1 and ' + max + '!');
    if (offset + length > bytes.length) {
      throw new anError(
        'Default length is always ' +
          max +
          ' bytes. Offset: ' +
          offset +
          ' and Length: ' +
          length +
          ' is out of bounds for array with length: ' +
          bytes.length +
          '!',
      );
    }
  }
  /** Signed at 4 bytes only. */
  function parseBytesToInt(bytes: ArrayLike<number>, offset = 0, length = min(4, bytes.length - offset), bigEndian = true): number {
    inBounds(bytes, offset, length, 4);
    let value = 0;
    for (let i = 0; i < length; i++) value = (value << 8) | (bytes[bigEndian ? offset + i : offset + length - 1 - i]! & 255);
    return value;
  }
  function parseBytesToFloat(bytes: ArrayLike<number>, offset = 0, length = min(4, bytes.length - offset), bigEndian = true): number {
    const bits = parseBytesToInt(bytes, offset, length, bigEndian);
    const exponent = (bits >> 23) & 255;
    const fraction = bits & 0x7fffff;
    const sign = bits < 0 ? -1 : 1;
    if (exponent === 255) {
      if (fraction !== 0) throw new anError('byte[] 0x' + bytesToHex([bits >> 24, bits >> 16, bits >> 8, bits]) + ' is a Not-a-Number (NaN) value');
      return sign * (1 / 0);
    }
    return exponent === 0 ? sign * fraction * 2 ** -149 : sign * (fraction + 0x800000) * 2 ** (exponent - 150);
  }
  /** Half-up on the decimal text of the value: `toFixed(1.005, 2)` is 1.01. */
  function toFixed(value: unknown, precision: unknown): number {
    const number = +(value as number);
    const places = +(precision as number);
    if (!isNumber(number) || !(places >= 0 && places <= 20))
      throw new anError('Can not round ' + asText(value) + ' to ' + asText(precision) + ' places');
    const text = asText(number < 0 ? -number : number);
    for (let i = 0; i < text.length; i++) if (text[i] === 'e') return number;
    const rounded = +(asText(roundHalfUp(+(text + 'e' + places))) + 'e-' + places);
    return number < 0 ? -rounded : rounded;
  }
  function roundHalfUp(value: number): number {
    const rest = value % 1;
    return rest >= 0.5 ? value - rest + 1 : value - rest;
  }
  function toFlatMap(source: unknown, exclude?: unknown, withPath: unknown = true): Record<string, unknown> {
    const excluded: unknown[] = newArray.isArray(exclude) ? exclude : [];
    const path = typeof exclude === 'boolean' ? exclude : withPath !== false;
    const flat: Record<string, unknown> = {};
    const walk = (value: unknown, key: string, last: string): void => {
      if (typeof value !== 'object' || value === null) {
        flat[path ? key : last] = value;
        return;
      }
      const isList = newArray.isArray(value);
      for (const name in value) {
        let skip = false;
        for (let i = 0; i < excluded.length; i++) skip = skip || excluded[i] === name;
        if (skip) continue;
        walk((value as Record<string, unknown>)[name], key === '' ? name : key + '.' + name, isList && last !== '' ? last + '.' + name : name);
      }
    };
    walk(source, '', '');
    return flat;
  }
  const decodeToJson = (bytes: ArrayLike<number>): unknown => parse(decodeToString(bytes));
  const helpers: Record<string, unknown> = {
    atob,
    btoa,
    decodeToString,
    decodeToJson,
    base64ToBytes,
    bytesToBase64,
    hexToBytes,
    bytesToHex,
    parseBytesToInt,
    parseBytesToFloat,
    toFixed,
    toFlatMap,
  };
  for (const name in helpers) Object.defineProperty(world, name, { value: helpers[name], writable: true, configurable: true, enumerable: false });

  // ---- one call ----

  function describe(thrown: unknown): string {
    let message = 'Script threw a value that can not be read';
    let stack = '';
    try {
      if ((typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function') {
        const { name, message: text, stack: trace } = thrown as Error;
        if (thrown instanceof anError || (typeof text === 'string' && typeof trace === 'string')) {
          const said = typeof text === 'string' ? text : '';
          const kind = typeof name === 'string' && name !== '' ? name : 'Error';
          message = kind === 'Error' ? said || kind : kind + (said === '' ? '' : ': ' + said);
          if (typeof trace === 'string') stack = slice(trace, 0, 4000);
        } else {
          const json: unknown = stringify(thrown);
          if (typeof json === 'string') message = json;
        }
      } else {
        message = asText(thrown);
      }
    } catch {
      // Its getters throw as well: the text above is all that can be said.
    }
    message = slice(message, 0, 2000);
    return 'E' + message.length + ':' + message + stack;
  }

  function read(result: unknown): string {
    if (typeof result === 'function' || typeof result === 'symbol') return 'Y' + typeof result;
    if (isPromise(result)) return 'P';
    const json: unknown = stringify(result);
    if (typeof json !== 'string') return 'U';
    return json.length > maxResultChars ? 'B' + json.length : 'J' + json;
  }

  function toArray(text: string): number[] {
    const size = text.length;
    const bytes = new newArray<number>(size);
    for (let i = 0; i < size; i++) bytes[i] = charCodeAt(text, i);
    return bytes;
  }

  return (kind, body) => {
    const call: (a: string, b: string, c: string, d: string) => unknown =
      kind === 'uplink'
        ? (payload, metadata) => body(toArray(payload), parse(metadata))
        : kind === 'downlink'
          ? (msg, metadata, msgType, integrationMetadata) => body(parse(msg), parse(metadata), msgType, parse(integrationMetadata))
          : (msg, metadata, msgType) => body(parse(msg), parse(metadata), msgType);
    return (a, b, c, d) => {
      logs = '';
      let code: string;
      try {
        code = read(call(a, b, c, d));
      } catch (thrown) {
        code = describe(thrown);
      }
      return logs === '' ? code : 'L' + logs.length + ':' + logs + code;
    };
  };
}
