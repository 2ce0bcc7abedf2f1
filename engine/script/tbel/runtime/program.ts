import { at, bool, call, contains, create, each, field, get, isBlank, isEmptyValue, missing, newArray, pairs, put, putAt, stop } from './access.ts';
import {
  add,
  asInt,
  asLong,
  bitAnd,
  bitOr,
  bitXor,
  clampedOp,
  complement,
  count,
  div,
  intAdd,
  intDiv,
  intMul,
  intSub,
  mod,
  mul,
  negate,
  pow,
  shiftLeft,
  shiftRight,
  shiftRightZero,
  sub,
} from './arithmetic.ts';
import { cast, eq, ge, gt, le, lt } from './compare.ts';
import { checkJson, readFields, readJson, writeJson } from './json.ts';
import { callLibrary } from './library.ts';
import { itemsOf } from './lists.ts';
import { callStatic, constants } from './statics.ts';
import { matchesRegex } from './strings.ts';
import { textOf } from './text.ts';
import { Big, byteOf, dbl, flt, lng, TbelError } from './values.ts';
import { isA, similarity, soundsLike } from './words.ts';

/** Everything that generated code can reach. */
export const operations = Object.freeze({
  add,
  asInt,
  asLong,
  at,
  bitAnd,
  bitOr,
  bitXor,
  bool,
  call,
  callLibrary,
  callStatic,
  cast,
  clampedOp,
  complement,
  contains,
  count,
  create,
  dbl,
  div,
  each,
  eq,
  field,
  flt,
  ge,
  get,
  gt,
  intAdd,
  intDiv,
  intMul,
  intSub,
  isA,
  isBlank,
  isEmptyValue,
  itemsOf,
  le,
  lng,
  lt,
  matchesRegex,
  missing,
  mod,
  mul,
  negate,
  newArray,
  pairs,
  pow,
  put,
  putAt,
  shiftLeft,
  shiftRight,
  shiftRightZero,
  similarity,
  soundsLike,
  stop,
  sub,
  textOf,
  big: (v: bigint) => new Big(v),
  constant: (name: string) => constants.get(name),
});
export type Operations = typeof operations;
/** `uses`: what the program does with each argument, a letter of `arguments.ts` each. */
export type Make = (operations: Operations) => { readonly uses: string; readonly run: (...args: unknown[]) => unknown };

/** Stands in front of a message that the text of the library call belongs before. */
const IN_LIBRARY = '\u0001';
const asTexts = (v: unknown): unknown => {
  if (v instanceof Map) for (const [key, value] of v) v.set(key, textOf(value));
  return v;
};

const READERS: Readonly<Record<string, (json: string) => unknown>> = { a: readJson, f: readFields, n: () => null };

function bytesOf(payload: string): unknown[] {
  const bytes: unknown[] = new Array(payload.length);
  for (let i = 0; i < payload.length; i++) bytes[i] = byteOf(payload.charCodeAt(i));
  return bytes;
}

/** One call of a program: texts in, a code of `outcome.ts` out, as the sandbox of JavaScript does it. */
export function runnerOf(kind: string, make: Make, maxResultChars: number): (a: string, b: string, c: string, d: string) => string {
  const { uses, run } = make(operations);
  const [first, second, , fourth] = [...uses].map((use) => READERS[use]!);
  // Metadata is our own JSON: nobody asks whether it is some when nobody reads it. A message may be none.
  const ofMessage = uses[0] === 'n' ? checkJson : first!;
  const start: (a: string, b: string, c: string, d: string) => unknown =
    kind === 'uplink'
      ? (payload, metadata) => run(uses[0] === 'n' ? null : bytesOf(payload), second!(metadata))
      : kind === 'downlink'
        ? (msg, metadata, msgType, integration) => run(ofMessage(msg), asTexts(readJson(metadata)), msgType, fourth!(integration))
        : (msg, metadata, msgType) => run(ofMessage(msg), second!(metadata), msgType);
  return (a, b, c, d) => {
    try {
      const json = writeJson(start(a, b, c, d));
      return json.length > maxResultChars ? 'B' + json.length : 'J' + json;
    } catch (cause) {
      const error = cause as Error;
      const isOurs = cause instanceof TbelError;
      const message =
        `${isOurs && cause.inLibrary ? IN_LIBRARY : ''}${isOurs ? error.message : cause instanceof RangeError && /stack/i.test(error.message) ? 'StackOverflowError' : `${error.name}: ${error.message}`}`.slice(
          0,
          2000,
        );
      return `E${message.length}:${message}${String(error.stack).slice(0, 4000)}`;
    }
  };
}
