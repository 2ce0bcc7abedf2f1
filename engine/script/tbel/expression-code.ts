import type { Expression, Span, Step } from './ast.ts';
import { chainCode, operationCode } from './chain.ts';
import { TbelSyntaxError } from './errors.ts';
import { SIMPLE_CLASSES } from './expressions.ts';
import { callKind, type Made, methodKind, staticKind } from './kinds.ts';
import { complement, negate } from './runtime/arithmetic.ts';
import { library } from './runtime/library.ts';
import { constants, statics } from './runtime/statics.ts';
import { Big, dbl, flt, lng } from './runtime/values.ts';
import { isClass } from './runtime/words.ts';
import { quoted, type Unit } from './unit.ts';

/** Expressions as JavaScript. A program's words reach it as quoted texts and prefixed names only. */

const FORBIDDEN = new Set(
  'System Runtime Class ClassLoader Thread Compiler ThreadLocal SecurityManager Array StringBuffer StringBuilder Module'.split(' '),
);
const CLASS_HEADS = new Set(
  [...statics.keys(), ...constants.keys()]
    .map((name) => name.slice(0, name.lastIndexOf('.')))
    .concat(['Calendar', 'Random', 'Object', 'Number', 'Void', 'Exception']),
);

const unknown = (code: string): Made => ({ code, kind: null });
export const made = (u: Unit, e: Expression): Made => {
  switch (e.type) {
    case 'number':
      return number(u, e.digits, e.kind);
    case 'string':
      return u.literal(e.value);
    case 'constant':
      return e.value === 'empty' ? unknown('null') : u.literal(e.value);
    case 'name':
      return name(u, e.name, e);
    case 'chain': {
      const full = comparedWithEmpty(e);
      if (full !== null) return { code: `${e.operators[0] === '!=' ? '!' : ''}isEmptyValue(${code(u, full)})`, kind: 'Z' };
      return chainCode(
        e.operands.map((each) => made(u, each)),
        e.operators,
        u.chainWriter(e, e.operands),
      );
    }
    case 'logic':
      if (e.operator === 'or') {
        const temp = u.temp();
        return unknown(`(isBlank(${temp} = ${code(u, e.left)}) ? ${code(u, e.right)} : ${temp})`);
      }
      return { code: `(${condition(u, e.left)} ${e.operator} ${condition(u, e.right)})`, kind: 'Z' };
    case 'word':
      return word(u, e);
    case 'ternary': {
      const yes = made(u, e.yes);
      const otherwise = e.otherwise === null ? unknown('null') : made(u, e.otherwise);
      return { code: `(${condition(u, e.condition)} ? ${yes.code} : ${otherwise.code})`, kind: otherwise.kind };
    }
    case 'unary':
      return unary(u, e);
    case 'count':
      return counted(u, e);
    case 'cast':
      return unknown(u.mark(`cast(${quoted(e.to)}, ${code(u, e.operand)})`, e));
    case 'group':
      return made(u, e.inner);
    case 'projection': {
      const outer = u.projection;
      const list = code(u, e.list);
      const item = `p${u.serial()}`;
      u.projection = item;
      const each = code(u, e.item);
      u.projection = outer;
      return unknown(`${u.mark(`itemsOf(${list})`, e)}.map((${item}) => ${each})`);
    }
    case 'isdef':
      return { code: u.exists(e.name), kind: 'Z' };
    case 'list':
      return { code: `[${e.items.map((each) => code(u, each)).join(', ')}]`, kind: 'list' };
    case 'map':
      return {
        code: `pairs(${e.entries.map(({ key, value }) => `${key === null ? 'null' : code(u, key)}, ${code(u, value)}`).join(', ')})`,
        kind: 'map',
      };
    case 'path':
      return path(u, e);
    case 'call':
      return call(u, e);
    case 'new':
      return unknown(u.mark(`create(${quoted(e.className)}, [${args(u, e.args)}])`, e));
    case 'newArray':
      return { code: u.mark(`newArray(${quoted(e.of)}, ${e.size === null ? 'null' : code(u, e.size)}, [${args(u, e.items)}])`, e), kind: 'array' };
    case 'assign':
      return assignment(u, e);
    case 'refused':
      return unknown(u.mark(`stop(${quoted(e.why)})`, e));
  }
};

/** What stands on the other side of `== empty`. */
function comparedWithEmpty({ operands, operators }: Expression & { type: 'chain' }): Expression | null {
  if (operators.length !== 1 || !['==', '===', '!='].includes(operators[0]!)) return null;
  const isEmpty = (each: Expression): boolean => each.type === 'constant' && each.value === 'empty';
  return operands.some(isEmpty) ? (operands.find((each) => !isEmpty(each)) ?? null) : null;
}

export const code = (u: Unit, e: Expression): string => made(u, e).code;
const args = (u: Unit, list: readonly Expression[]): string => list.map((each) => code(u, each)).join(', ');

/** A kind that is known and no Boolean is an error before anything runs. */
export function condition(u: Unit, e: Expression): string {
  const { code: text, kind } = made(u, e);
  if (kind === 'Z') return text;
  if (kind !== null && kind !== 'N') {
    const names: Record<string, string> = {
      I: 'Integer',
      int: 'Integer',
      L: 'Long',
      F: 'Float',
      D: 'Double',
      S: 'String',
      B: 'Byte',
      C: 'Character',
    };
    throw new TbelSyntaxError(
      `was expecting type: java.lang.Boolean; but found type: ${names[kind] === undefined ? kind : `java.lang.${names[kind]}`}`,
      e.start,
    );
  }
  return u.mark(`bool(${text})`, e);
}

function number(u: Unit, digits: string, kind: string): Made {
  switch (kind) {
    case 'I':
      return u.literal(Number(digits));
    case 'L':
      return u.literal(lng(BigInt(digits)));
    case 'BI':
      return u.literal(new Big(BigInt(digits)));
    default:
      return u.literal(realLiteral(Number(digits), kind));
  }
}
const realLiteral = (value: number, kind: string): unknown => (kind === 'F' ? flt(value) : dbl(value));

function name(u: Unit, text: string, span: Span): Made {
  if (u.projection !== null && (text === '$' || !u.isVariable(text)))
    return unknown(text === '$' ? u.projection : u.mark(`get(${u.projection}, ${quoted(text)})`, span));
  // The name of a class is no value: `(int) -1.5` is a subtraction.
  if (SIMPLE_CLASSES.has(text) && !u.isVariable(text)) return unknown('null');
  return { code: u.read(text, span), kind: u.kindOf(text), isLoose: u.isLoose(text) };
}

function unary(u: Unit, e: Expression & { type: 'unary' }): Made {
  if (e.operator === '!') return { code: `!${condition(u, e.operand)}`, kind: 'Z' };
  if (e.operator === '+') return unknown(u.mark(`stop("a plus sign in front of a value is no operation")`, e));
  const operand = made(u, e.operand);
  const isNegation = e.operator === '-';
  if (operand.literal !== undefined && operand.kind !== 'S' && operand.kind !== 'N' && operand.kind !== 'Z') {
    // The sign counts as one of the nine characters of an Integer.
    if (isNegation && e.operand.type === 'number' && e.operand.kind === 'I' && e.operand.end - e.operand.start > 8)
      return u.literal(lng(BigInt(-Number(e.operand.digits))));
    // `~ 2.5` fails when it is run, as for any other value.
    if (isNegation || operand.kind === 'I' || operand.kind === 'L')
      return u.literal(isNegation ? negate(operand.literal.value) : complement(operand.literal.value));
  }
  return { code: u.mark(`${isNegation ? 'negate' : 'complement'}(${operand.code})`, e), kind: isNegation ? operand.kind : 'I' };
}

function word(u: Unit, e: Expression & { type: 'word' }): Made {
  const left = code(u, e.left);
  switch (e.operator) {
    case 'is':
    case 'instanceof': {
      const className = dotted(e.right);
      if (className === null || !isClass(className)) return unknown(u.mark(`missing(${quoted(className ?? 'class')})`, e.right));
      return { code: `isA(${left}, ${quoted(className)})`, kind: 'Z' };
    }
    case 'contains':
      return { code: `contains(${left}, ${code(u, e.right)})`, kind: 'Z' };
    case '~=':
      return { code: u.mark(`matchesRegex(${left}, ${code(u, e.right)})`, e), kind: 'Z' };
    case '#':
      return { code: `(textOf(${left}) + textOf(${code(u, e.right)}))`, kind: 'S' };
    case 'soundslike':
      return { code: `soundsLike(${left}, ${code(u, e.right)})`, kind: 'Z' };
    case 'strsim':
      return { code: `similarity(${left}, ${code(u, e.right)})`, kind: 'F' };
    default:
      return { code: `isA(${left}, "Object")`, kind: 'Z' };
  }
}

function dotted(e: Expression): string | null {
  if (e.type === 'name') return e.name;
  if (e.type !== 'path' || e.base.type !== 'name') return null;
  let text = e.base.name;
  for (const step of e.steps) {
    if (step.kind !== 'property') return null;
    text += `.${step.name}`;
  }
  return text;
}

function counted(u: Unit, e: Expression & { type: 'count' }): Made {
  const by = e.operator === '++' ? 1 : -1;
  if (e.target.type === 'name') {
    const read = u.read(e.target.name, e.target);
    u.kindOf(e.target.name);
    const target = u.target(e.target.name);
    if (e.isPrefix) return unknown(`(${target} = ${u.mark(`count(${read}, ${by})`, e)})`);
    const temp = u.temp();
    return unknown(`(${temp} = ${read}, ${target} = ${u.mark(`count(${temp}, ${by})`, e)}, ${temp})`);
  }
  if (e.target.type !== 'path' || e.target.steps.at(-1)!.kind === 'call') throw new TbelSyntaxError(`'${e.operator}' needs a variable`, e.start);
  return written(u, e.target, (old) => u.mark(`count(${old}, ${by})`, e));
}

function call(u: Unit, e: Expression & { type: 'call' }): Made {
  const list = e.args.map((each) => made(u, each));
  const given = list.map((each) => each.code).join(', ');
  if (library.has(e.name)) {
    if (list.length > 10) return unknown(u.mark(`stop("Maximum method arguments count overflow (${list.length} > 10)!")`, e));
    return { code: u.mark(`callLibrary(${quoted(e.name)}, [${given}])`, e), kind: callKind(e.name, list) };
  }
  const found = u.functionName(e.name);
  if (found === null) {
    if (u.projection !== null) return unknown(u.mark(`call(${u.projection}, ${quoted(e.name)}, [${given}])`, e));
    return unknown(u.mark(`missing(${quoted(e.name)})`, e));
  }
  if (list.length > found.params.length)
    return unknown(u.mark(`stop(${quoted(`bad number of arguments in function call: ${list.length} (expected: ${found.params.length})`)})`, e));
  return unknown(u.mark(`${found.code}(${given})`, e));
}

/** A class and what is asked of it, when the path begins with one. @returns how many steps that took. */
function ofClass(u: Unit, e: Expression & { type: 'path' }): { value: Made; taken: number } | null {
  if (e.base.type !== 'name' || u.isVariable(e.base.name) || u.projection !== null) return null;
  let text = e.base.name;
  if (FORBIDDEN.has(text)) return { value: unknown(u.mark(`missing(${quoted(text)})`, e.base)), taken: 0 };
  for (const [i, step] of e.steps.entries()) {
    if (step.kind === 'index') return null;
    const full = `${text}.${step.name}`;
    if (step.kind === 'call') {
      if (!CLASS_HEADS.has(text)) return text.startsWith('java.') ? { value: unknown(u.mark('missing("java")', e.base)), taken: i + 1 } : null;
      const list = step.args.map((each) => made(u, each));
      if (list.length > 10)
        return { value: unknown(u.mark(`stop("Maximum method arguments count overflow (${list.length} > 10)!")`, step)), taken: i + 1 };
      return {
        value: { code: u.mark(`callStatic(${quoted(full)}, [${list.map((each) => each.code).join(', ')}])`, step), kind: callKind(full, list) },
        taken: i + 1,
      };
    }
    if (constants.has(full)) {
      const kind = staticKind(constants.get(full));
      return { value: { code: `constant(${quoted(full)})`, kind: kind === 'I' ? 'int' : kind }, taken: i + 1 };
    }
    text = full;
  }
  return null;
}

function path(u: Unit, e: Expression & { type: 'path' }): Made {
  const known = ofClass(u, e);
  return known === null ? steps(u, made(u, e.base), e.steps, e.base) : steps(u, known.value, e.steps.slice(known.taken), e.base);
}

/** Behind `.?` everything that follows depends on the value that it found. */
function steps(u: Unit, base: Made, list: readonly Step[], parent: Expression): Made {
  const readsField = parent.type === 'name' && u.hasFieldsOnly(parent.name);
  let text = base.code;
  let kind = base.kind;
  const guards: string[] = [];
  let before: Span = parent;
  let reader = readsField ? 'field' : 'get';
  for (const step of list) {
    if (step.kind === 'call') {
      text = u.mark(
        `call(${text}, ${quoted(step.name)}, [${args(u, step.args)}])`,
        before === step ? step : { start: before.start, end: before.end },
      );
      kind = methodKind(kind, step.name);
    } else {
      text =
        step.kind === 'index' ? u.mark(`at(${text}, ${code(u, step.index)})`, before) : u.mark(`${reader}(${text}, ${quoted(step.name)})`, before);
      kind = null;
      reader = 'get';
    }
    if (step.safe) {
      const temp = u.temp();
      guards.push(`(${temp} = ${text}) === null ? null : `);
      text = temp;
      kind = null;
    }
    before = step;
  }
  return guards.length === 0 ? { code: text, kind } : unknown(`(${guards.join('')}${text})`);
}

function assignment(u: Unit, e: Expression & { type: 'assign' }): Made {
  const operator = e.operator.slice(0, -1);
  const { target } = e;
  if (target.type === 'name') {
    if (operator !== '') {
      const read = u.read(target.name, target);
      u.kindOf(target.name);
      const value = operationCode(operator, read, code(u, e.value), { mark: (text) => u.mark(text, e) });
      return unknown(`(${u.target(target.name)} = ${value})`);
    }
    const value = made(u, e.value);
    u.learn(target.name, value.kind);
    return { code: `(${u.target(target.name)} = ${value.code})`, kind: value.kind };
  }
  if (target.type !== 'path') throw new TbelSyntaxError('nothing can be assigned to this', target.start);
  if (operator !== '') return written(u, target, (old) => operationCode(operator, old, code(u, e.value), { mark: (text) => u.mark(text, e) }));
  const last = target.steps.at(-1)!;
  const self = steps(u, made(u, target.base), target.steps.slice(0, -1), target.base);
  const parent = target.steps.at(-2) ?? target.base;
  const value = made(u, e.value);
  if (last.kind === 'index') return { code: u.mark(`putAt(${self.code}, ${code(u, last.index)}, ${value.code})`, parent), kind: value.kind };
  return { code: u.mark(`put(${self.code}, ${quoted(last.kind === 'property' ? last.name : '')}, ${value.code})`, parent), kind: value.kind };
}

/** A property or an element that becomes what `change` makes of it. */
function written(u: Unit, target: Expression & { type: 'path' }, change: (old: string) => string): Made {
  const last = target.steps.at(-1)!;
  const parent = target.steps.at(-2) ?? target.base;
  const self = u.temp();
  const holder = steps(u, made(u, target.base), target.steps.slice(0, -1), target.base).code;
  if (last.kind === 'index') {
    const key = u.temp();
    return unknown(
      `(${self} = ${holder}, ${key} = ${code(u, last.index)}, ${u.mark(`putAt(${self}, ${key}, ${change(u.mark(`at(${self}, ${key})`, parent))})`, parent)})`,
    );
  }
  const key = quoted(last.kind === 'property' ? last.name : '');
  return unknown(`(${self} = ${holder}, ${u.mark(`put(${self}, ${key}, ${change(u.mark(`get(${self}, ${key})`, parent))})`, parent)})`);
}
