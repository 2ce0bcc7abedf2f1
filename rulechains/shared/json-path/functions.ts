import { Double, isJsonObject, type Json } from '#engine/json.ts';

/** An argument: what its path led to (`found`), or what was written there (`literal`). */
export type Value = { readonly found: Json } | { readonly literal: Json };

/** @param children how many are below what the only argument, a path, leads to. */
type PathFunction = (model: Json, args: readonly Value[], children: () => number | null) => Json;

/**
 * Functions at the end of a path. Numbers and texts are taken from arrays only: behind `[*].v` each gets one value, which is none (rule-nodes §7 row 7).
 * @throws Error when there is nothing to work on.
 */
export const FUNCTIONS: Readonly<Record<string, PathFunction>> = {
  sum: (model, args) => real(numbers(model, args).reduce((sum, value) => sum + value, 0)),
  avg: (model, args) => {
    const values = numbers(model, args);
    return real(values.reduce((sum, value) => sum + value, 0) / values.length);
  },
  min: (model, args) => real(numbers(model, args).reduce((least, value) => Math.min(least, value))),
  max: (model, args) => real(numbers(model, args).reduce((most, value) => Math.max(most, value))),
  stddev: (model, args) => {
    const values = numbers(model, args);
    const sum = values.reduce((total, value) => total + value, 0);
    const squares = values.reduce((total, value) => total + value * value, 0);
    return real(Math.sqrt(squares / values.length - (sum * sum) / values.length / values.length));
  },
  concat: (model, args) => [...texts(model), ...args.flatMap(textsOfArgument)].join(''),
  length,
  size: length,
  keys: (model) => (isJsonObject(model) ? Object.keys(model) : null),
  append: (model, args) => (Array.isArray(model) ? [...model, ...args.map((arg) => ('found' in arg ? arg.found : arg.literal))] : model),
  first: (model) => element(model, 0),
  last: (model) => element(model, -1),
  index: (model, args) => {
    const [index] = args.flatMap((arg) => ('found' in arg ? numbersIn(arg.found) : []));
    if (index === undefined) throw new Error('Index 0 out of bounds for length 0');
    return element(model, Math.trunc(index));
  },
};

function length(model: Json, args: readonly Value[], children: () => number | null): Json {
  const count = args.length > 0 ? children() : null;
  if (count !== null) return count;
  if (Array.isArray(model)) return model.length;
  return isJsonObject(model) ? Object.keys(model).length : null;
}

/** A result that Java holds as a double: `6.0`. */
const real = (value: number): Json => (Number.isInteger(value) || !Number.isFinite(value) ? new Double(value) : value);

const NOTHING = 'Aggregation function attempted to calculate value using empty array';

function numbers(model: Json, args: readonly Value[]): number[] {
  const values = [...(Array.isArray(model) ? numbersIn(model) : []), ...args.flatMap((arg) => ('found' in arg ? numbersIn(arg.found) : []))];
  if (values.length === 0) throw new Error(NOTHING);
  return values;
}

const numbersIn = (value: Json): number[] =>
  (Array.isArray(value) ? value : [value]).flatMap((one) =>
    typeof one === 'number' || typeof one === 'bigint' ? [Number(one)] : one instanceof Double ? [one.value] : [],
  );

const texts = (value: Json): string[] => (Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []);

/** A literal keeps its quotes, as in the original. */
function textsOfArgument(arg: Value): string[] {
  if ('literal' in arg) return [JSON.stringify(arg.literal)];
  return Array.isArray(arg.found) ? texts(arg.found) : typeof arg.found === 'string' ? [arg.found] : [];
}

function element(model: Json, index: number): Json {
  if (!Array.isArray(model)) throw new Error(NOTHING);
  const found = model.at(index);
  if (found === undefined) throw new Error(`Target index:${index} larger than object count:${model.length}`);
  return found;
}
