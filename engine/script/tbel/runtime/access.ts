import { eq } from './compare.ts';
import { dateMethods, newDate } from './dates.ts';
import { everythingOf, Fields, isExact } from './json.ts';
import { arrayMethods, itemsOf, listMethods, setMethods } from './lists.ts';
import { ANSWERS, entryMethods, mapMethods } from './maps.ts';
import { callMethod, intArg, type Methods, numberArg, textArg, unresolvedMethod } from './methods.ts';
import { statics, zeroOf } from './statics.ts';
import { booleanMethods, charMethods, numberMethods, stringMethods } from './strings.ts';
import { textOf } from './text.ts';
import {
  Arr,
  Byt,
  byteOf,
  Chr,
  cannotCast,
  dbl,
  fault,
  flt,
  isInt,
  isNumber,
  isReadOnly,
  keyOf,
  kindOf,
  lng,
  putEntry,
  Rnd,
  TbelDate,
} from './values.ts';

/** Properties, elements, calls and what else a program does with a value (specs: tbel §6). */

/** Stands for the text of the expression, which only the compiler knows. */
export const HERE = '\u0002';
export const nullPointer = (): never => fault(`null pointer: ${HERE}`);

const METHODS: Readonly<Partial<Record<string, Methods>>> = {
  I: numberMethods,
  L: numberMethods,
  BI: numberMethods,
  D: numberMethods,
  F: numberMethods,
  B: numberMethods,
  C: charMethods,
  S: stringMethods,
  Z: booleanMethods,
  list: listMethods,
  map: mapMethods,
  set: setMethods,
  array: arrayMethods,
  date: dateMethods,
  entry: entryMethods,
};

export function call(self: unknown, name: string, args: readonly unknown[]): unknown {
  if (self === null || self === undefined) return nullPointer();
  if (args.length > 10) return fault(`Maximum method arguments count overflow (${args.length} > 10)!`);
  if (self instanceof Rnd) return random(name, args);
  return callMethod(METHODS[kindOf(self)]!, self, name, args);
}
function random(name: string, args: readonly unknown[]): unknown {
  const [bound] = args;
  if (name === 'nextInt')
    return bound === undefined ? Math.floor(Math.random() * 4294967296) - 2147483648 : Math.floor(Math.random() * intArg(bound));
  if (name === 'nextDouble' || name === 'nextFloat') return name === 'nextFloat' ? flt(Math.random()) : dbl(Math.random());
  if (name === 'nextBoolean') return Math.random() < 0.5;
  if (name === 'nextLong') return lng(BigInt(Math.floor(Math.random() * 2 ** 53)));
  return unresolvedMethod(name, args);
}

const unresolvable = (name: string): never => fault(`unresolvable property or identifier: ${name}`);

export function get(self: unknown, name: string): unknown {
  if (self instanceof Map) {
    const value = self.get(name);
    if (value !== undefined) return value;
    if (self.has(name)) return value ?? null;
    return ANSWERS.has(name) ? callMethod(mapMethods, self, name === 'empty' ? 'isEmpty' : name, []) : null;
  }
  if (self === null || self === undefined) return nullPointer();
  if (Array.isArray(self) && (name === 'size' || name === 'length')) return self.length;
  if (name === 'class' || self instanceof Rnd) return unresolvable(name);
  const table = METHODS[kindOf(self)]!;
  if (name === 'empty') return callMethod(table, self, 'isEmpty', []);
  const getter = `get${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const method = table.get(name)?.min === 0 ? name : table.get(getter)?.min === 0 ? getter : null;
  return method === null ? unresolvable(name) : callMethod(table, self, method, []);
}

/** Of an argument that is used for nothing but its properties; the compiler leaves names that objects of the language have to `get`. */
export function field(self: unknown, name: string): unknown {
  if (!(self instanceof Fields)) return get(self, name);
  const value = self.plain?.[name];
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && isExact(self, value)) return value;
  return get(everythingOf(self), name);
}

export function at(self: unknown, index: unknown): unknown {
  if (self instanceof Map) return self.get(keyOf(index)) ?? null;
  if (Array.isArray(self)) {
    if (!isInt(index)) return index === null ? nullPointer() : cannotCast(index, 'java.lang.Integer');
    return index >= 0 && index < self.length ? self[index] : fault('array index out of bounds.');
  }
  if (self === null || self === undefined) return nullPointer();
  if (!isInt(index)) return cannotCast(index, 'java.lang.Integer');
  const items = self instanceof Arr ? self.items : typeof self === 'string' ? self : fault(`illegal use of []: unknown type: ${textOf(self)}`);
  const item = items[index];
  if (item === undefined) return fault(`Index ${index} out of bounds for length ${items.length}`);
  return typeof items === 'string' ? new Chr(item as string) : item;
}

export function put<T>(self: unknown, name: string, value: T): T {
  if (self instanceof Map) putEntry(self, name, value);
  else if (self === null || self === undefined) fault(`could not access property: ${name}; parent is null: ${HERE}`);
  else if (self instanceof TbelDate && name === 'time') self.ms = Math.trunc(numberArg(value));
  else unresolvable(name);
  return value;
}
export function putAt<T>(self: unknown, index: unknown, value: T): T {
  if (self instanceof Map) {
    putEntry(self, index, value);
    return value;
  }
  if (self === null || self === undefined) return nullPointer();
  const items = Array.isArray(self) ? self : self instanceof Arr ? self.items : fault(`cannot bind to collection property: ${textOf(self)}`);
  if (!isInt(index)) return cannotCast(index, 'java.lang.Integer');
  if (isReadOnly(self as object)) return fault('List is unmodifiable');
  if (index < 0 || index >= items.length) return fault(`Index ${index} out of bounds for length ${items.length}`);
  items[index] = self instanceof Arr ? elementOf(self.of, value) : value;
  return value;
}
function elementOf(of: string, v: unknown): unknown {
  switch (of) {
    case 'byte':
      return v instanceof Byt ? v : byteOf(intArg(v));
    case 'long':
      return lng(BigInt(Math.trunc(numberArg(v))));
    case 'float':
      return flt(numberArg(v));
    case 'double':
      return dbl(numberArg(v));
    case 'boolean':
      return typeof v === 'boolean' ? v : fault(`cannot convert: ${textOf(v)}`);
    case 'char':
      return v instanceof Chr ? v : new Chr(textArg(v).charAt(0));
    default:
      return intArg(v);
  }
}

export function bool(v: unknown): boolean {
  if (typeof v === 'boolean') return v;
  return v === null || v === undefined ? nullPointer() : cannotCast(v, 'java.lang.Boolean');
}
export const missing = (name: string): never => unresolvable(name);
export const stop = (message: string): never => fault(message);

/** Java's iterator of a list: at its end when it has gone as far as the list is long now, whatever happened before; else a change is an error. */
class ListIterator implements IterableIterator<unknown> {
  readonly #list: readonly unknown[];
  readonly #size: number;
  /** The same for every step: a foreach takes the value out at once. */
  readonly #step: { value: unknown; done: boolean } = { value: undefined, done: false };
  #at = 0;
  constructor(list: readonly unknown[]) {
    this.#list = list;
    this.#size = list.length;
  }
  [Symbol.iterator](): this {
    return this;
  }
  next(): IteratorResult<unknown> {
    const size = this.#list.length;
    if (this.#at === size) this.#step.done = true;
    else if (size !== this.#size) fault('ConcurrentModificationException');
    else this.#step.value = this.#list[this.#at++];
    return this.#step;
  }
}

/** What a foreach goes over. */
export const each = (source: unknown): Iterable<unknown> => (Array.isArray(source) ? new ListIterator(source) : eachOf(source));
function* eachOf(source: unknown): Generator<unknown> {
  if (typeof source === 'string') for (let i = 0; i < source.length; i++) yield new Chr(source[i]!);
  else if (isInt(source)) for (let i = 1; i <= source; i++) yield i;
  else if (source === null || source === undefined) nullPointer();
  else yield* itemsOf(source);
}
export const isEmptyValue = (v: unknown): boolean =>
  v === null ||
  v === undefined ||
  v === false ||
  (typeof v === 'string' && v.trim() === '') ||
  (Array.isArray(v) && v.length === 0) ||
  (isNumber(v) && eq(v, 0));
/** `x or y`: zero and false are values. */
export const isBlank = (v: unknown): boolean =>
  v === null || v === undefined || (typeof v === 'string' && v.trim() === '') || (Array.isArray(v) && v.length === 0);

export function contains(a: unknown, b: unknown): boolean {
  if (a === null || a === undefined) return false;
  if (a instanceof Map) return a.has(keyOf(b));
  if (Array.isArray(a)) return callMethod(listMethods, a, 'contains', [b]) as boolean;
  if (a instanceof Set) return a.has(keyOf(b));
  return textOf(a).includes(textOf(b));
}

export function pairs(...entries: unknown[]): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  for (let i = 0; i < entries.length; i += 2) putEntry(map, entries[i], entries[i + 1]);
  return map;
}
export function newArray(of: string, size: unknown, items: readonly unknown[]): Arr {
  if (size === null)
    return new Arr(
      of,
      items.map((item) => elementOf(of, item)),
    );
  const length = intArg(size);
  if (length < 0) return fault(`${length}`);
  return length > 524288 ? fault(`Max array length overflow (${length} > 524288)!`) : new Arr(of, new Array(length).fill(zeroOf(of)));
}
export function create(className: string, args: readonly unknown[]): unknown {
  switch (className) {
    case 'Date':
      return newDate(args);
    case 'String':
      return args.length === 0 ? '' : textOf(args[0]);
    case 'Random':
    case 'java.util.Random':
      return new Rnd();
    case 'Integer':
    case 'Long':
    case 'Double':
    case 'Float':
    case 'Boolean':
      return statics.get(`${className}.valueOf`)!.run(null as never, args);
    case 'java.util.ArrayList':
    case 'java.util.HashMap':
      return fault(`Unsupported value type: class ${className}`);
    default:
      return fault(`could not resolve class: ${className}`);
  }
}
