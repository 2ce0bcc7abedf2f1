import { boolArg, commonMethods, intArg, type Methods, methodTable, sortValues, textArg } from './methods.ts';
import { textOf } from './text.ts';
import { Arr, cannotCast, Entry, entriesOf, fault, isInt, isNumber, isReadOnly, keyOf, sameValue, valueOfKey } from './values.ts';

type List = unknown[];

export function itemsOf(v: unknown): readonly unknown[] {
  if (Array.isArray(v)) return v;
  if (v instanceof Arr) return v.items;
  if (v instanceof Set) return [...v].map(valueOfKey);
  if (v instanceof Map) return entriesOf(v);
  return v === null || v === undefined ? fault('null pointer') : cannotCast(v, 'java.util.Collection');
}
export const writable = (list: List): List => (isReadOnly(list) ? fault('List is unmodifiable') : list);
export function checkedIndex(list: readonly unknown[], i: number): number {
  return i >= 0 && i < list.length ? i : fault(`Index ${i} out of bounds for length ${list.length}`);
}

/** Negative ones count from the end. */
export function sliceRange(size: number, [a, b]: readonly unknown[]): [number, number] {
  const edge = (v: unknown, otherwise: number): number => {
    if (v === undefined || v === null) return otherwise;
    const i = intArg(v);
    return i < 0 ? Math.max(0, size + i) : Math.min(i, size);
  };
  const from = edge(a, 0);
  const to = edge(b, size);
  return from > to ? fault(`fromIndex(${from}) > toIndex(${to})`) : [from, to];
}

function splice(list: List, [a, n, ...more]: readonly unknown[]): List {
  const start = intArg(a);
  const from = start < 0 ? Math.max(0, list.length + start) : Math.min(start, list.length);
  return n === undefined ? list.splice(from) : list.splice(from, Math.max(0, intArg(n)), ...more);
}

/** Text forms, every `, ` becomes `,`, brackets go (§8.7). */
function join(list: List, separator: string): string {
  const parts = list.map((each) => (each === null ? fault('null pointer') : textOf(each)));
  return parts.map((part) => part.replaceAll(', ', ',').replaceAll('[', '').replaceAll(']', '')).join(separator);
}

const indexFrom = (list: List, value: unknown, from: number): number => {
  for (let i = Math.max(0, from); i < list.length; i++) if (sameValue(list[i], value)) return i;
  return -1;
};

function removeFrom(list: List, value: unknown): unknown {
  writable(list);
  if (isInt(value)) return list.splice(checkedIndex(list, value), 1)[0];
  const at = indexFrom(list, value, 0);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}

export const listMethods: Methods = methodTable<List>({
  ...commonMethods,
  add: [
    1,
    2,
    (list, args) => {
      writable(list);
      if (args.length === 1) return list.push(args[0]) > 0;
      const at = intArg(args[0]);
      if (at < 0 || at > list.length) return fault(`Index: ${at}, Size: ${list.length}`);
      list.splice(at, 0, args[1]);
      return null;
    },
  ],
  push: [1, 1, (list, [item]) => writable(list).push(item) > 0],
  addAll: [
    1,
    2,
    (list, args) => {
      const more = [...itemsOf(args.at(-1))];
      writable(list);
      const at = args.length === 2 ? intArg(args[0]) : list.length;
      if (at < 0 || at > list.length) return fault(`Index: ${at}, Size: ${list.length}`);
      const rest = list.splice(at);
      for (const item of more) list.push(item);
      for (const item of rest) list.push(item);
      return more.length > 0;
    },
  ],
  get: [1, 1, (list, [i]) => list[checkedIndex(list, intArg(i))]],
  set: [
    2,
    2,
    (list, [i, item]) => {
      const at = checkedIndex(writable(list), intArg(i));
      const old = list[at];
      list[at] = item;
      return old;
    },
  ],
  remove: [1, 1, (list, [value]) => removeFrom(list, value)],
  removeAll: [1, 1, (list, [other]) => keepWhere(list, (item) => !itemsOf(other).some((each) => sameValue(each, item)))],
  retainAll: [1, 1, (list, [other]) => keepWhere(list, (item) => itemsOf(other).some((each) => sameValue(each, item)))],
  pop: [0, 0, (list) => writable(list).pop() ?? null],
  shift: [0, 0, (list) => writable(list).splice(checkedIndex(list, 0), 1)[0]],
  unshift: [
    1,
    1,
    (list, [item]) => {
      writable(list).unshift(item);
      return null;
    },
  ],
  size: [0, 0, (list) => list.length],
  length: [0, 0, (list) => list.length],
  isEmpty: [0, 0, (list) => list.length === 0],
  clear: [
    0,
    0,
    (list) => {
      writable(list).length = 0;
      return null;
    },
  ],
  contains: [1, 1, (list, [value]) => indexFrom(list, value, 0) >= 0],
  containsAll: [1, 1, (list, [other]) => itemsOf(other).every((each) => indexFrom(list, each, 0) >= 0)],
  indexOf: [1, 2, (list, [value, from]) => indexFrom(list, value, from === undefined ? 0 : intArg(from))],
  lastIndexOf: [
    1,
    1,
    (list, [value]) => {
      for (let i = list.length - 1; i >= 0; i--) if (sameValue(list[i], value)) return i;
      return -1;
    },
  ],
  slice: [0, 2, (list, args) => list.slice(...sliceRange(list.length, args))],
  subList: [
    2,
    2,
    (list, [a, b]) => {
      const from = intArg(a);
      const to = intArg(b);
      if (from < 0) return fault(`fromIndex = ${from}`);
      if (to > list.length) return fault(`toIndex = ${to}`);
      return from > to ? fault(`fromIndex(${from}) > toIndex(${to})`) : list.slice(from, to);
    },
  ],
  splice: [1, 10, (list, args) => splice(writable(list), args)],
  toSpliced: [
    1,
    10,
    (list, args) => {
      const copy = [...list];
      splice(copy, args);
      return copy;
    },
  ],
  with: [
    2,
    2,
    // Inserts, whatever the name says: as the original.
    (list, [i, item]) => {
      const copy = [...list];
      copy.splice(intArg(i), 0, item);
      return copy;
    },
  ],
  concat: [1, 1, (list, [other]) => [...list, ...itemsOf(other)]],
  reverse: [
    0,
    0,
    (list) => {
      writable(list).reverse();
      return null;
    },
  ],
  toReversed: [0, 0, (list) => [...list].reverse()],
  sort: [
    0,
    1,
    (list, [ascending]) => {
      const sorted = sortValues(writable(list), (item) => item, boolArg(ascending, true));
      for (const [i, item] of sorted.entries()) list[i] = item;
      return null;
    },
  ],
  toSorted: [0, 1, (list, [ascending]) => sortValues([...list], (item) => item, boolArg(ascending, true))],
  join: [0, 1, (list, [separator]) => join(list, separator === undefined ? ',' : textArg(separator))],
  fill: [1, 3, (list, [item, a, b]) => writable(list).fill(item, ...sliceRange(list.length, [a, b]))],
  clone: [0, 0, (list) => [...list]],
  toArray: [0, 0, (list) => [...list]],
  toUnmodifiable: [0, 0, (list) => Object.assign([...list], { isReadOnly: true })],
  memorySize: [0, 0, (list) => list.length * 8],
  validateClazzInArrayIsOnlyNumber: [0, 0, (list) => list.every(isNumber)],
});

function keepWhere(list: List, keeps: (item: unknown) => boolean): boolean {
  const kept = writable(list).filter(keeps);
  const changed = kept.length < list.length;
  list.length = 0;
  for (const item of kept) list.push(item);
  return changed;
}

export const arrayMethods: Methods = methodTable<Arr>({
  ...commonMethods,
  equals: [1, 1, (array, [other]) => array === other],
  size: [0, 0, (array) => array.items.length],
  length: [0, 0, (array) => array.items.length],
  isEmpty: [0, 0, (array) => array.items.length === 0],
  clone: [0, 0, (array) => new Arr(array.of, [...array.items])],
});

type Keys = Set<unknown>;
const keysOnly = (set: Keys): Keys => (isReadOnly(set) ? fault('Set is unmodifiable') : set);
function addKey(set: Keys, value: unknown): boolean {
  const size = keysOnly(set).size;
  return set.add(keyOf(value)).size > size;
}
const sortedKeys = (set: Keys, ascending: unknown): Keys => new Set(sortValues([...set], valueOfKey, boolArg(ascending, true)));

export const setMethods: Methods = methodTable<Keys>({
  ...commonMethods,
  add: [1, 1, (set, [value]) => addKey(set, value)],
  addAll: [1, 1, (set, [other]) => itemsOf(other).reduce<boolean>((changed, each) => addKey(set, each) || changed, false)],
  remove: [1, 1, (set, [value]) => keysOnly(set).delete(keyOf(value))],
  contains: [1, 1, (set, [value]) => (value instanceof Entry ? itemsOf(set).some((each) => sameValue(each, value)) : set.has(keyOf(value)))],
  containsAll: [1, 1, (set, [other]) => itemsOf(other).every((each) => set.has(keyOf(each)))],
  size: [0, 0, (set) => set.size],
  isEmpty: [0, 0, (set) => set.size === 0],
  clear: [
    0,
    0,
    (set) => {
      keysOnly(set).clear();
      return null;
    },
  ],
  clone: [0, 0, (set) => new Set(set)],
  sort: [
    0,
    1,
    (set, [ascending]) => {
      const sorted = sortedKeys(keysOnly(set), ascending);
      set.clear();
      for (const key of sorted) set.add(key);
      return null;
    },
  ],
  toSorted: [0, 1, (set, [ascending]) => sortedKeys(set, ascending)],
  toList: [0, 0, (set) => [...set].map(valueOfKey)],
  toArray: [0, 0, (set) => [...set].map(valueOfKey)],
  toUnmodifiable: [0, 0, (set) => Object.assign(new Set(set), { isReadOnly: true })],
});
