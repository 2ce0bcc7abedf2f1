import { Cursor, unescaped } from './cursor.ts';
import { parseFilter } from './filter.ts';
import { type Argument, InvalidPath, type Path, type Step } from './path.ts';

/** Deeper nesting of paths in filters and arguments than anybody writes. */
const MAX_DEPTH = 20;

/** @throws InvalidPath when it is no expression. What the original takes, however odd, is taken: `$.a[` and `5` too. */
export function parsePath(text: string, depth = 0): Path {
  if (depth > MAX_DEPTH) throw new InvalidPath('Path is nested too deep');
  const start = text[0] ?? '';
  const trimmed = (start === '$' || start === '@' ? text : `$.${text}`).replace(/^ +| +$/g, '');
  if (trimmed.endsWith('.')) throw new InvalidPath("Path must not end with a '.' or '..'");
  const cursor = new Cursor(trimmed);
  const root = cursor.char as Path['root'];
  const steps: Step[] = [];
  if (cursor.isTail) return { root, steps };
  cursor.at++;
  if (cursor.char !== '.' && cursor.char !== '[') cursor.fail("Expected '.' or '['");
  do readStep(cursor, steps, depth);
  while (!cursor.isTail);
  return { root, steps: aggregated(root, steps) };
}

/** `$..a.sum()` is `$.sum($..a)`: the function works on all that was found, not on each. */
function aggregated(root: Path['root'], steps: readonly Step[]): readonly Step[] {
  if (steps[0]?.kind !== 'scan' || steps.at(-1)!.kind !== 'function') return steps;
  const first = steps.findIndex(({ kind }) => kind === 'function');
  const [call, ...behind] = steps.slice(first) as [Step & { kind: 'function' }, ...Step[]];
  return [{ ...call, args: [{ path: { root, steps: steps.slice(0, first) } }] }, ...behind];
}

function readStep(cursor: Cursor, steps: Step[], depth: number): void {
  if (cursor.char === '.') {
    if (cursor.text[cursor.at + 1] === '.') {
      steps.push({ kind: 'scan' });
      cursor.at++;
    }
    cursor.at++;
    if (cursor.char === '.') cursor.fail("Unexpected '.'");
  }
  if (cursor.char === '[') steps.push(readBracket(cursor, depth));
  else if (cursor.char === '*') {
    cursor.at++;
    steps.push({ kind: 'wildcard' });
  } else steps.push(readName(cursor, depth));
}

function readBracket(cursor: Cursor, depth: number): Step {
  const first = cursor.text[cursor.significantAfter(cursor.at)] ?? '';
  if (first === "'" || first === '"') return readNames(cursor, first);
  if (/[\d:-]/.test(first)) return readIndexes(cursor);
  if (first === '*') return readWildcard(cursor);
  if (first === '?') return readFilter(cursor, depth);
  return cursor.fail("Expected ?, ', 0-9 or *");
}

/** `['a']`, `['a', 'b']` */
function readNames(cursor: Cursor, quote: string): Step {
  const names: string[] = [];
  let at = cursor.significantAfter(cursor.at);
  for (;;) {
    if (cursor.text[at] !== quote) cursor.fail('Empty property');
    const end = cursor.endOfQuoted(at);
    names.push(unescaped(cursor.text.slice(at + 1, end)));
    at = cursor.significantAfter(end);
    if (cursor.text[at] === ']') break;
    if (cursor.text[at] !== ',') cursor.fail('Property must be separated by comma or end with ]');
    at = cursor.significantAfter(at);
  }
  cursor.at = at + 1;
  return { kind: 'property', names };
}

/** `[1]`, `[1,2]`, `[-1]`, `[1:]`, `[:2]`, `[1:2]` */
function readIndexes(cursor: Cursor): Step {
  const end = cursor.text.indexOf(']', cursor.at);
  if (end < 0) cursor.fail('Expected ]');
  const expression = cursor.text.slice(cursor.at + 1, end).trim();
  const whole = (text: string): number => {
    const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(Math.abs(number) < 2 ** 31)) cursor.fail(`Not an index: ${text}`);
    return number;
  };
  cursor.at = end + 1;
  if (!expression.includes(':')) return { kind: 'index', indexes: expression.split(',').map((text) => whole(text.trim())) };
  const [from = '', to = ''] = expression.split(':');
  if (from === '' && to === '') cursor.fail(`Not a slice: ${expression}`);
  return { kind: 'slice', from: from === '' ? null : whole(from), to: to === '' ? null : whole(to) };
}

function readWildcard(cursor: Cursor): Step {
  const end = cursor.significantAfter(cursor.significantAfter(cursor.at));
  if (cursor.text[end] !== ']') cursor.fail("Expected wildcard token to end with ']'");
  cursor.at = end + 1;
  return { kind: 'wildcard' };
}

/** `[?(…)]` */
function readFilter(cursor: Cursor, depth: number): Step {
  const open = cursor.significantAfter(cursor.significantAfter(cursor.at));
  if (cursor.text[open] !== '(') cursor.fail("Expected '(' behind '?'");
  const close = cursor.closing(open, '(', ')', true);
  const end = cursor.significantAfter(close);
  if (cursor.text[end] !== ']') cursor.fail("Expected ']'");
  cursor.at = end + 1;
  return { kind: 'filter', test: parseFilter(cursor.text.slice(open, close + 1), (path) => parsePath(path, depth + 1)) };
}

/** `name` or `name(…)` */
function readName(cursor: Cursor, depth: number): Step {
  const start = cursor.at;
  while (!cursor.isOver && !/[.[( ]/.test(cursor.char)) cursor.at++;
  if (cursor.char === ' ') cursor.fail("Use bracket notion ['my prop'] if your property contains blank characters");
  const name = cursor.text.slice(start, cursor.at);
  if (cursor.char !== '(') {
    if (name === '') cursor.fail('Expected a property');
    return { kind: 'property', names: [name] };
  }
  const close = cursor.closing(cursor.at, '(', ')');
  const inner = cursor.text.slice(cursor.at + 1, close);
  // Without arguments the original stays on the bracket: what follows makes it part of a property, so that nothing can come behind a function.
  cursor.at = inner === '' ? close : close + 1;
  return { kind: 'function', name, args: argumentsIn(inner, depth) };
}

function argumentsIn(text: string, depth: number): Argument[] {
  const parts: string[] = [];
  const cursor = new Cursor(text);
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"' || char === "'") at = cursor.endOfQuoted(at);
    else if (char === '(') at = cursor.closing(at, '(', ')');
    else if (char === '[') at = cursor.closing(at, '[', ']');
    else if (char === '{') at = cursor.closing(at, '{', '}');
    else if (char === ',') {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)]
    .map((part) => part.trim())
    .filter((part) => /^[$@{"\d-]/.test(part))
    .map((part) => (part[0] === '$' || part[0] === '@' ? { path: parsePath(part, depth + 1) } : { json: part }));
}
