import { usesOf } from './arguments.ts';
import type { Hint, Program, Span, Statement } from './ast.ts';
import { chainCode } from './chain.ts';
import { code, condition, made } from './expression-code.ts';
import { namesOf } from './names.ts';
import { Unit, unmarked } from './unit.ts';

/** Statements as JavaScript, and the whole program. */

export interface Generated {
  /** An expression: a function of the operations of `runtime/program.ts` that gives the program as a function of its arguments. */
  readonly code: string;
  /** In pairs, by place in the code: the place and the index of the span. */
  readonly positions: readonly number[];
  readonly spans: readonly Span[];
  /** In order of their places. */
  readonly hints: readonly Hint[];
}

const OPERATIONS =
  'add, asInt, asLong, at, big, bitAnd, bitOr, bitXor, bool, call, callLibrary, callStatic, cast, clampedOp, complement, constant, contains, count, create, dbl, div, each, eq, field, flt, ge, get, gt, ' +
  'intAdd, intDiv, intMul, intSub, isA, isBlank, isEmptyValue, itemsOf, le, lng, lt, matchesRegex, missing, mod, mul, negate, newArray, pairs, pow, put, putAt, shiftLeft, shiftRight, shiftRightZero, ' +
  'similarity, soundsLike, stop, sub, textOf';
/** Everything in front of the code stands on a line of its own, so that a column is a place. */
const HEAD = `(function (operations) { 'use strict'; const { ${OPERATIONS} } = operations;\n`;

export function generate({ body, hints, source }: Program, args: readonly string[]): Generated {
  const uses = usesOf(body, args);
  const u = new Unit(source, args, namesOf(body), uses);
  const main = statements(u, body, true, []);
  const functions = [...u.functions.values()].map((each) => u.function(each, () => statements(u, each.body, true, []))).join('');
  const constants = u.constants.map((each, i) => `const k${i} = ${each};`).join('');
  const text = `${constants}return { uses: "${args.map((name) => uses.get(name)).join('')}", run: function (${u.argNames()}) {${u.declarations()}${main}${functions}} };\n})`;
  const { code: clean, positions } = unmarked(text);
  return { code: HEAD + clean, positions, spans: u.places, hints: [...hints, ...u.hints].sort((a, b) => a.start - b.start) };
}

/** Where `break` and `continue` lead to. */
interface Exit {
  readonly label: string;
  readonly isLoop: boolean;
}

/** @param isTail the last one gives the value of the function. */
function statements(u: Unit, list: readonly Statement[], isTail: boolean, exits: readonly Exit[]): string {
  let text = '';
  let last = list.length - 1;
  while (last >= 0 && list[last]!.type === 'empty') last--;
  for (const [i, each] of list.entries()) {
    if (each.type === 'function' && u.scope !== null) {
      if (u.scope.functions.get(each.name) === each) text += u.function(each, () => statements(u, each.body, true, []));
    } else text += statement(u, each, isTail && i === last, exits);
  }
  return isTail ? `${text}return null;` : text;
}

function statement(u: Unit, s: Statement, isTail: boolean, exits: readonly Exit[]): string {
  switch (s.type) {
    case 'empty':
    case 'function':
      return '';
    case 'expression':
      return isTail ? `return ${code(u, s.value)};` : s.value.type === 'count' ? counted(u, s.value) : `${code(u, s.value)};`;
    case 'var':
      return declaration(u, s, isTail);
    case 'block':
      return s.isScope ? scoped(u, false, () => statements(u, s.body, isTail, exits)) : `{${statements(u, s.body, isTail, exits)}}`;
    case 'if':
      return ifs(u, s, isTail, exits);
    case 'for': {
      const label = `b${u.serial()}`;
      return scoped(u, true, () => {
        const init = s.init === null ? '' : statement(u, s.init, false, []);
        const test = s.condition === null ? '' : condition(u, s.condition);
        const inner = statement(u, s.body, false, [...exits, { label, isLoop: true }]);
        return `${init}${label}: for (; ${test}; ${s.step === null ? '' : code(u, s.step)}) {${inner}}`;
      });
    }
    case 'foreach':
      return foreach(u, s, exits);
    case 'while': {
      const label = `b${u.serial()}`;
      return scoped(u, true, () => {
        const test = `${s.isUntil ? '!' : ''}${condition(u, s.condition)}`;
        return `${label}: while (${test}) {${statement(u, s.body, false, [...exits, { label, isLoop: true }])}}`;
      });
    }
    case 'do': {
      const label = `b${u.serial()}`;
      return scoped(u, true, () => {
        const inner = statement(u, s.body, false, [...exits, { label, isLoop: true }]);
        return `${label}: do {${inner}} while (${s.isUntil ? '!' : ''}${condition(u, s.condition)});`;
      });
    }
    case 'switch':
      return switched(u, s, isTail, exits);
    case 'return':
      return `return ${s.value === null ? 'null' : code(u, s.value)};`;
    case 'break':
      return exits.length === 0 ? 'return null;' : `break ${exits.at(-1)!.label};`;
    case 'continue': {
      const loop = exits.findLast(({ isLoop }) => isLoop);
      return loop === undefined ? `${u.mark('missing("continue")', s)};` : `continue ${loop.label};`;
    }
  }
}

/** As a statement its old value is not needed. */
function counted(u: Unit, e: Parameters<typeof made>[1] & { type: 'count' }): string {
  return `${code(u, { ...e, isPrefix: true })};`;
}

function declaration(u: Unit, s: Statement & { type: 'var' }, isTail: boolean): string {
  if (s.value === null) {
    // In a function such a variable exists only when something has been assigned to it.
    const isRepeated = u.cleanups.length > 0;
    if (isRepeated) u.hint(`'var ${s.name};' in a loop fails the second time on the original engine: give it a value`, s);
    if (u.scope !== null) return isTail ? 'return null;' : isRepeated ? `${u.target(s.name)} = undefined;` : '';
    u.learn(s.name, null);
    return `${u.target(s.name)} = null;`;
  }
  const value = made(u, s.value);
  u.learn(s.name, s.isTyped ? null : value.kind);
  return `${isTail ? 'return ' : ''}${u.target(s.name)} = ${value.code};`;
}

/** Names that are first assigned inside vanish behind it; in a function only loops are scopes. */
function scoped(u: Unit, isLoop: boolean, write: () => string): string {
  if (u.scope !== null && !isLoop) return `{${write()}}`;
  const names = new Set<string>();
  const cleanup = new Set<string>();
  u.known.push(names);
  if (isLoop) u.cleanups.push(cleanup);
  const text = write();
  const gone = [...new Set([...names, ...cleanup])].map((name) => `${u.target(name)} = undefined;`).join('');
  if (isLoop) u.cleanups.pop();
  u.known.pop();
  // A `break` passes the end of the scopes inside of its loop.
  const outer = u.cleanups.at(-1);
  if (outer !== undefined) for (const name of [...names, ...cleanup]) if (!u.known.some((each) => each.has(name))) outer.add(name);
  return `{${text}${text.endsWith('return null;') ? '' : gone}}`;
}

function ifs(u: Unit, s: Statement & { type: 'if' }, isTail: boolean, exits: readonly Exit[]): string {
  let text = '';
  let at: Statement | null = s;
  for (; at?.type === 'if'; at = at.otherwise) {
    const { condition: test, yes } = at;
    text += `if (${condition(u, test)}) ${scoped(u, false, () => branch(u, yes, isTail, exits))} else `;
  }
  if (at === null) text += isTail ? '{return null;}' : '{}';
  else {
    const last = at;
    text += scoped(u, false, () => branch(u, last, isTail, exits));
  }
  return text;
}
const branch = (u: Unit, s: Statement, isTail: boolean, exits: readonly Exit[]): string =>
  s.type === 'block' ? statements(u, s.body, isTail, exits) : statements(u, [s], isTail, exits);

function foreach(u: Unit, s: Statement & { type: 'foreach' }, exits: readonly Exit[]): string {
  const label = `b${u.serial()}`;
  const item = `e${u.serial()}`;
  const source = u.mark(`each(${code(u, s.source)})`, s.source);
  u.learn(s.name, null);
  return scoped(u, true, () => {
    const isNew = !u.known.some((names) => names.has(s.name));
    const target = u.target(s.name);
    const inner = statement(u, s.body, false, [...exits, { label, isLoop: true }]);
    // A variable of the same name outside is hidden and comes back.
    const own = u.temp();
    return `${own} = ${isNew ? 'undefined' : target};${label}: for (const ${item} of ${source}) {${target} = ${item};${inner}}${target} = ${own};`;
  });
}

function switched(u: Unit, s: Statement & { type: 'switch' }, isTail: boolean, exits: readonly Exit[]): string {
  const label = `b${u.serial()}`;
  const key = u.temp();
  const inside = [...exits, { label, isLoop: false }];
  let text = `${key} = ${code(u, s.key)};${label}: {`;
  let otherwise = isTail ? 'return null;' : '';
  const branches: string[] = [];
  for (const { values, isDefault, body } of s.cases) {
    const tests = values.map((each) => chainCode([{ code: key, kind: null }, made(u, each)], ['=='], u.chainWriter(each, [])).code);
    const flat = body.length === 1 && body[0]!.type === 'block' ? body[0]!.body : body;
    const inner = scoped(u, false, () => statements(u, flat, false, inside));
    if (isDefault) otherwise = inner;
    if (tests.length > 0 && !isDefault) branches.push(`if (${tests.join(' || ')}) ${inner} else `);
  }
  text += `${branches.join('')}{${otherwise}}}`;
  return isTail ? `${text}return null;` : text;
}
