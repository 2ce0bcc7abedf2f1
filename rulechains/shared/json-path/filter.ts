import { type Json, parseJson } from '#engine/json.ts';
import { wholeMatch } from '../java-pattern.ts';
import { Cursor, unescaped } from './cursor.ts';
import { compare, OPERATORS, type Operator } from './operators.ts';
import { InvalidPath, type Look, type Operand, type Path, PathNotFound, Pattern, type Test } from './path.ts';

/** A path, or a literal. */
type Value = { readonly path: Path } | { readonly literal: Json | Pattern };

/**
 * `(@.a > 1 && !@.b)`: or, and, not, brackets, comparisons, and paths that must be there.
 * @param toPath parses a path in it. @throws InvalidPath
 */
export function parseFilter(text: string, toPath: (text: string) => Path): Test {
  const cursor = new Cursor(text);
  const test = readOr(cursor, toPath);
  if (!cursor.skipBlanks().isOver) cursor.fail('Expected the end of the filter');
  return test;
}

type ToPath = (text: string) => Path;

function readOr(cursor: Cursor, toPath: ToPath): Test {
  const tests = [readAnd(cursor, toPath)];
  while (takes(cursor, '||')) tests.push(readAnd(cursor, toPath));
  return tests.length === 1 ? tests[0]! : (look) => tests.some((test) => test(look));
}

function readAnd(cursor: Cursor, toPath: ToPath): Test {
  const tests = [readOperand(cursor, toPath)];
  while (takes(cursor, '&&')) tests.push(readOperand(cursor, toPath));
  return tests.length === 1 ? tests[0]! : (look) => tests.every((test) => test(look));
}

function takes(cursor: Cursor, sign: string): boolean {
  cursor.skipBlanks();
  if (!cursor.text.startsWith(sign, cursor.at)) return false;
  cursor.at += sign.length;
  return true;
}

function readOperand(cursor: Cursor, toPath: ToPath): Test {
  if (takes(cursor, '!')) {
    const test = readOperand(cursor, toPath);
    return (look) => !test(look);
  }
  if (takes(cursor, '(')) {
    const test = readOr(cursor, toPath);
    if (!takes(cursor, ')')) cursor.fail('Expected )');
    return test;
  }
  return readComparison(cursor, toPath);
}

function readComparison(cursor: Cursor, toPath: ToPath): Test {
  const left = readValue(cursor, toPath);
  const operator = readOperator(cursor);
  if (operator === null) {
    if (!('path' in left)) return cursor.fail('Expected an operator');
    return (look) => look.has(left.path);
  }
  const right = readValue(cursor, toPath);
  return (look) => compare(operandOf(left, look), operator, operandOf(right, look));
}

/** null: none is there; the path before it must lead somewhere. */
function readOperator(cursor: Cursor): Operator | null {
  const sign = /^(?:[<>=~!]+|[^ )&|]+)/.exec(cursor.skipBlanks().text.slice(cursor.at))?.[0];
  if (sign === undefined) return null;
  const operator = OPERATORS.find((known) => known === sign.toLowerCase());
  if (operator === undefined) return cursor.fail(`Filter operator ${sign} is not supported`);
  cursor.at += sign.length;
  return operator;
}

function operandOf(value: Value, look: Look): Operand {
  if ('literal' in value) return value.literal;
  try {
    return look.find(value.path);
  } catch (cause) {
    if (cause instanceof PathNotFound) return undefined;
    throw cause;
  }
}

function readValue(cursor: Cursor, toPath: ToPath): Value {
  const start = cursor.skipBlanks().at;
  const take = (end: number): string => {
    cursor.at = end;
    return cursor.text.slice(start, end);
  };
  switch (cursor.char) {
    case '$':
    case '@':
      return { path: toPath(take(endOfPath(cursor))) };
    case "'":
    case '"':
      return { literal: unescaped(take(cursor.endOfQuoted(start) + 1).slice(1, -1)) };
    case '[':
      return { literal: literalJson(take(cursor.closing(start, '[', ']') + 1)) };
    case '{':
      return { literal: literalJson(take(cursor.closing(start, '{', '}') + 1)) };
    case '/':
      return { literal: readPattern(take(cursor.endOfQuoted(start) + 1), cursor) };
  }
  const word = /^(?:true|false|null|-?[\d.]+(?:[eE][+-]?\d+)?)/.exec(cursor.text.slice(start))?.[0];
  if (word === undefined) return cursor.fail('Expected a value');
  return { literal: literalJson(take(start + word.length)) };
}

function readPattern(quoted: string, cursor: Cursor): Pattern {
  const flags = /^[a-zA-Z]*/.exec(cursor.text.slice(cursor.at))![0];
  cursor.at += flags.length;
  try {
    return new Pattern(wholeMatch(quoted.slice(1, -1), [...new Set(flags)].filter((flag) => 'ims'.includes(flag)).join('')));
  } catch (cause) {
    throw new InvalidPath(`Not a pattern: ${quoted}`, { cause });
  }
}

/** Lists and objects may have 'single' quotes. */
function literalJson(text: string): Json {
  const doubled = text.replace(/"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'/g, (all, single?: string) =>
    single === undefined ? all : JSON.stringify(unescaped(single)),
  );
  try {
    return parseJson(doubled);
  } catch (cause) {
    throw new InvalidPath(`Not a value: ${text}`, { cause });
  }
}

/** A path ends at a blank, an operator, or a bracket that is not its own: `@.a.length()` has one. */
function endOfPath(cursor: Cursor): number {
  let at = cursor.at + 1;
  while (at < cursor.text.length) {
    const char = cursor.text[at]!;
    if (char === '[') at = cursor.closing(at, '[', ']');
    else if (char === '(' && cursor.text[cursor.significantAfter(at)] === ')') at = cursor.significantAfter(at);
    else if (/[ <>=~!)]/.test(char)) break;
    at++;
  }
  return at;
}
