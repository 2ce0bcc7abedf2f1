import { sliceRange } from './lists.ts';
import { boolArg, commonMethods, type Methods, methodTable, sortValues } from './methods.ts';
import { textOf } from './text.ts';
import { cannotCast, type Entry, entriesOf, fault, isReadOnly, keyOf, putEntry, sameValue, valueOfKey } from './values.ts';

type Pairs = Map<unknown, unknown>;

const changeable = (map: Pairs): Pairs => (isReadOnly(map) ? fault('Map is unmodifiable') : map);
const valueAt = (map: Pairs, key: unknown): unknown => map.get(keyOf(key)) ?? null;

function refill(map: Pairs, pairs: Iterable<[unknown, unknown]>): null {
  const all = [...pairs];
  changeable(map).clear();
  for (const [key, value] of all) map.set(key, value);
  return null;
}
const byKey = (map: Pairs, ascending: unknown): [unknown, unknown][] => sortValues([...map], ([key]) => valueOfKey(key), boolArg(ascending, true));
const byValue = (map: Pairs, ascending: unknown): [unknown, unknown][] => sortValues([...map], ([, value]) => value, boolArg(ascending, true));
const backwards = (map: Pairs): [unknown, unknown][] => [...map].reverse();

/** Value to key; what several keys have becomes a list of them. */
function inverted(map: Pairs): [unknown, unknown][] {
  const found = new Map<unknown, unknown[]>();
  for (const [key, value] of map) {
    const keys = found.get(keyOf(value));
    if (keys === undefined) found.set(keyOf(value), [valueOfKey(key)]);
    else keys.push(valueOfKey(key));
  }
  return [...found].map(([key, keys]) => [key, keys.length === 1 ? keys[0] : keys]);
}

export const mapMethods: Methods = methodTable<Pairs>({
  ...commonMethods,
  get: [1, 1, (map, [key]) => valueAt(map, key)],
  getOrDefault: [2, 2, (map, [key, otherwise]) => (map.has(keyOf(key)) ? valueAt(map, key) : otherwise)],
  containsKey: [1, 1, (map, [key]) => map.has(keyOf(key))],
  containsValue: [1, 1, (map, [value]) => [...map.values()].some((each) => sameValue(each, value))],
  size: [0, 0, (map) => map.size],
  isEmpty: [0, 0, (map) => map.size === 0],
  put: [
    2,
    2,
    (map, [key, value]) => {
      const old = valueAt(map, key);
      putEntry(map, key, value);
      return old;
    },
  ],
  putIfAbsent: [
    2,
    2,
    (map, [key, value]) => {
      const old = valueAt(map, key);
      if (old === null) changeable(map).set(keyOf(key), value);
      return old;
    },
  ],
  replace: [
    2,
    3,
    (map, args) => {
      const key = keyOf(args[0]);
      const old = map.get(key) ?? null;
      const isThere = map.has(key) && (args.length === 2 || sameValue(old, args[1]));
      if (isThere) putEntry(changeable(map), args[0], args.at(-1));
      return args.length === 2 ? old : isThere;
    },
  ],
  putAll: [
    1,
    1,
    (map, [other]) => {
      changeable(map);
      if (other === null || other === undefined) return fault('null pointer');
      if (!(other instanceof Map)) return cannotCast(other, 'java.util.Map');
      for (const [key, value] of [...other]) map.set(key, value);
      return null;
    },
  ],
  remove: [
    1,
    2,
    (map, args) => {
      const old = valueAt(map, args[0]);
      if (args.length === 2 && !sameValue(old, args[1])) return false;
      changeable(map).delete(keyOf(args[0]));
      return args.length === 2 ? true : old;
    },
  ],
  clear: [
    0,
    0,
    (map) => {
      changeable(map).clear();
      return null;
    },
  ],
  keys: [0, 0, (map) => [...map.keys()].map(valueOfKey)],
  keySet: [0, 0, (map) => new Set(map.keys())],
  values: [0, 0, (map) => [...map.values()]],
  entrySet: [0, 0, (map) => new Set(entriesOf(map))],
  sortByKey: [0, 1, (map, [ascending]) => refill(map, byKey(map, ascending))],
  sortByValue: [0, 1, (map, [ascending]) => refill(map, byValue(map, ascending))],
  reverse: [0, 0, (map) => refill(map, backwards(map))],
  invert: [0, 0, (map) => refill(map, inverted(map))],
  toSorted: [0, 1, (map, [ascending]) => new Map(byKey(map, ascending))],
  toSortedByKey: [0, 1, (map, [ascending]) => new Map(byKey(map, ascending))],
  toSortedByValue: [0, 1, (map, [ascending]) => new Map(byValue(map, ascending))],
  toReversed: [0, 0, (map) => new Map(backwards(map))],
  toInverted: [0, 0, (map) => new Map(inverted(map))],
  slice: [0, 2, (map, args) => new Map([...map].slice(...sliceRange(map.size, args)))],
  clone: [0, 0, (map) => new Map(map)],
  toUnmodifiable: [0, 0, (map) => Object.assign(new Map(map), { isReadOnly: true })],
  memorySize: [0, 0, (map) => textOf(map).length],
});

/** Names under which a map without such a key answers as if it were called; those that change it are left out. */
const CHANGING = new Set(['clear', 'reverse', 'invert', 'sortByKey', 'sortByValue']);
export const ANSWERS: ReadonlySet<string> = new Set([
  'empty',
  ...[...mapMethods].filter(([name, { min }]) => min === 0 && !CHANGING.has(name)).map(([name]) => name),
]);

export const entryMethods: Methods = methodTable<Entry>({
  ...commonMethods,
  getKey: [0, 0, (entry) => entry.k],
  getValue: [0, 0, (entry) => entry.v],
  setValue: [
    1,
    1,
    (entry, [value]) => {
      const old = entry.v;
      entry.v = value;
      return old;
    },
  ],
});
