import type { Expression, Program, Span, Statement, SwitchCase } from './ast.ts';
import { Cursor } from './cursor.ts';
import { TbelSyntaxError } from './errors.ts';
import { expression, RESERVED, SIMPLE_CLASSES } from './expressions.ts';
import { library } from './runtime/library.ts';

const REGISTERED = new Set(['JSON', 'Date', 'Random', 'Calendar']);
const LITERALS = new Set(['true', 'false', 'null', 'nil', 'empty']);

/** @throws TbelSyntaxError */
export function parse(source: string): Program {
  const c = new Cursor(source);
  const body: Statement[] = [];
  while (c.now.type !== 'end') body.push(statement(c, true));
  tellUncalled(c, body);
  return { source, body, hints: c.hints };
}

/** Functions that nothing can call. */
function tellUncalled(c: Cursor, body: readonly Statement[]): void {
  const known = new Set<string>();
  for (const each of body) {
    if (each.type !== 'function') continue;
    const { name, start } = each;
    const span = { start, end: start };
    if (library.has(name)) c.hint(`the function '${name}' is never called: the library has one of this name`, span);
    else if (known.has(name)) c.hint(`the function '${name}' is never called: there is one of this name before it`, span);
    known.add(name);
  }
}

/** A name that is given to something. */
function ownName(c: Cursor): string {
  const { text, start } = c.name();
  if (RESERVED.has(text) || SIMPLE_CLASSES.has(text)) throw new TbelSyntaxError(`reserved word: ${text}`, start);
  return text;
}

function statement(c: Cursor, isTop: boolean): Statement {
  return c.deeper(() => {
    const { type, text, start } = c.now;
    if (type === 'sign' && text === ';') {
      c.take();
      return { type: 'empty', start, end: start + 1 };
    }
    if (type === 'sign' && text === '{' && !isInlineMap(c)) return block(c, isTop);
    if (type === 'name') {
      switch (text) {
        case 'if':
          return ifStatement(c);
        case 'for':
          return c.isSign('(', 1) ? forStatement(c) : simple(c, isTop);
        case 'foreach':
          return forStatement(c);
        case 'while':
        case 'until': {
          c.take();
          const condition = parenthesised(c);
          const body = statement(c, false);
          return { type: 'while', condition, isUntil: text === 'until', body, start, end: body.end };
        }
        case 'do':
          return doStatement(c);
        case 'switch':
          return switchStatement(c);
        case 'return': {
          c.take();
          const isBare = c.isSign(';') || c.isSign('}') || c.now.type === 'end';
          const value = isBare ? null : expression(c);
          ends(c, isTop, 'return', start);
          return { type: 'return', value, start, end: c.before.end };
        }
        case 'break':
          c.take();
          c.takeSign(';');
          return { type: 'break', start, end: c.before.end };
        case 'continue':
          if (c.isSign(';', 1) || c.isSign('}', 1)) {
            c.take();
            c.hint("'continue' is a plain name on the original engine and fails when it is reached", { start, end: c.before.end });
            c.takeSign(';');
            return { type: 'continue', start, end: c.before.end };
          }
          break;
        case 'function':
        case 'def':
          if (c.peek(1).type === 'name') return functionStatement(c);
          break;
        case 'import':
        case 'import_static':
          throw new TbelSyntaxError('Import is forbidden!', start);
      }
    }
    return simple(c, isTop);
  });
}

/** `{` at the beginning of a statement: a map where a key and a colon follow, or nothing at the program's end. */
function isInlineMap(c: Cursor): boolean {
  const after = c.peek(1);
  if (c.isSign('}', 1)) return c.peek(2).type === 'end' || c.isSign(';', 2) || c.isSign('.', 2);
  return (after.type === 'name' || after.type === 'string' || after.type === 'number') && (c.isSign(':', 2) || c.isSign(',', 2));
}

function block(c: Cursor, isScope: boolean): Statement {
  const { start } = c.expect('{');
  const body: Statement[] = [];
  while (!c.isSign('}')) body.push(statement(c, false));
  c.take();
  return { type: 'block', body, isScope, start, end: c.before.end };
}

function parenthesised(c: Cursor): Expression {
  c.expect('(');
  const inner = expression(c);
  c.expect(')');
  return inner;
}

/** A row of `else if` is read in a loop: programs have hundreds of them. */
function ifStatement(c: Cursor): Statement {
  const branches: { condition: Expression; yes: Statement; start: number }[] = [];
  let otherwise: Statement | null = null;
  for (;;) {
    const { start } = c.take();
    branches.push({ start, condition: parenthesised(c), yes: statement(c, false) });
    if (!c.takeWord('else')) break;
    if (c.isWord('if')) continue;
    otherwise = statement(c, false);
    break;
  }
  const { end } = c.before;
  for (const branch of branches.reverse()) otherwise = { type: 'if', ...branch, otherwise, end };
  return otherwise!;
}

function forStatement(c: Cursor): Statement {
  const { start, text } = c.take();
  const open = c.at;
  c.expect('(');
  const colon = ['name', 'end'].includes(c.now.type) ? iteratorColon(c) : -1;
  if (colon >= 0) {
    if (c.takeWord('var')) c.hint("'var' in front of the variable of an iteration is refused by the original engine", c.before);
    while (c.at < colon - 1) c.take();
    const name = ownName(c);
    c.expect(':');
    const source = expression(c);
    c.expect(')');
    const body = statement(c, false);
    return { type: 'foreach', name, source, body, start, end: body.end };
  }
  if (text === 'foreach') throw new TbelSyntaxError('expected foreach (name : list)', c.all[open]!.start);
  const init = c.isSign(';') ? null : simplePart(c);
  c.expect(';');
  const condition = c.isSign(';') ? null : expression(c);
  c.expect(';');
  const step = c.isSign(')') ? null : expression(c);
  c.expect(')');
  if (init === null && condition === null && step === null) c.hint("'for (;;)' is refused by the original engine", { start, end: c.before.end });
  const body = statement(c, false);
  return { type: 'for', init, condition, step, body, start, end: body.end };
}

/** The place of the colon in `(x : xs)`, `(Type x : xs)`. */
function iteratorColon(c: Cursor): number {
  let ahead = 1;
  while (c.isSign('.', ahead) && c.peek(ahead + 1).type === 'name') ahead += 2;
  if (c.peek(ahead).type === 'name' && !RESERVED.has(c.peek(ahead).text)) ahead++;
  return c.isSign(':', ahead) ? c.at + ahead : -1;
}

function doStatement(c: Cursor): Statement {
  const { start } = c.take();
  const body = statement(c, false);
  const isUntil = c.isWord('until');
  if (!isUntil && !c.isWord('while')) throw c.unexpected("expected 'while' or 'until'");
  c.take();
  const condition = parenthesised(c);
  c.takeSign(';');
  return { type: 'do', condition, isUntil, body, start, end: c.before.end };
}

function switchStatement(c: Cursor): Statement {
  const { start } = c.take();
  const key = parenthesised(c);
  if (key.type !== 'name') c.hint('the original engine takes a plain name as the key of a switch', key);
  c.expect('{');
  const cases: SwitchCase[] = [];
  while (!c.takeSign('}')) {
    const values: Expression[] = [];
    let isDefault = false;
    const first = c.now;
    for (;;) {
      if (c.takeWord('default')) isDefault = true;
      else if (c.takeWord('case')) {
        const value = expression(c);
        values.push(value);
      } else break;
      c.expect(':');
    }
    if (values.length === 0 && !isDefault) throw c.unexpected("expected 'case' or 'default'");
    const body: Statement[] = [];
    while (!c.isSign('}') && !c.isWord('case') && !c.isWord('default')) body.push(statement(c, false));
    if (!c.isSign('}') && !leaves(body.at(-1))) c.hint("a case that ends in neither 'break' nor 'return' is refused by the original engine", first);
    tellCase(c, first, values, isDefault, body);
    cases.push({ values, isDefault, body });
  }
  return { type: 'switch', key, cases, start, end: c.before.end };
}

function tellCase(c: Cursor, first: Span, values: readonly Expression[], isDefault: boolean, body: readonly Statement[]): void {
  if (isDefault && !c.isSign('}')) c.hint("'default' is the last group of a switch on the original engine", first);
  if (body[0]?.type === 'block' && c.source[body[0].start] === '{')
    c.hint('braces around the statements of a case are refused by the original engine', body[0]);
  if (isDefault && body.at(-1)?.type === 'break')
    c.hint("'break' in 'default' ends the whole function with null on the original engine", body.at(-1)!);
  for (const value of values)
    if (!['number', 'string', 'constant'].includes(value.type) && !(value.type === 'unary' && value.operand.type === 'number'))
      c.hint('the original engine takes literals only as the values of a case', value);
}

function leaves(last: Statement | undefined): boolean {
  if (last?.type === 'block') return leaves(last.body.at(-1));
  return last?.type === 'break' || last?.type === 'return' || last?.type === 'continue';
}

function functionStatement(c: Cursor): Statement {
  const { start } = c.take();
  const name = ownName(c);
  c.expect('(');
  const params: string[] = [];
  if (!c.isSign(')')) {
    do {
      const typed = c.peek(1).type === 'name';
      if (typed) c.take();
      params.push(ownName(c));
    } while (c.takeSign(','));
  }
  c.expect(')');
  const at = c.now;
  if (!c.isSign('{')) throw c.unexpected("expected '{'");
  const body = block(c, false);
  if (body.type !== 'block') throw new TbelSyntaxError('expected the body of a function', at.start);
  return { type: 'function', name, params, body: body.body, start, end: body.end };
}

/** A declaration, an assignment or an expression, with what ends it. */
function simple(c: Cursor, isTop: boolean): Statement {
  const { start } = c.now;
  const made = simplePart(c);
  const isVar = made.type === 'var' || made.type === 'block';
  const isAssignment = made.type === 'expression' && made.value.type === 'assign';
  const isProperty = made.type === 'expression' && made.value.type === 'assign' && made.value.target.type === 'path';
  if (isVar || isAssignment) ends(c, isTop, isTop && !isProperty ? 'strict' : 'skip', start);
  else ends(c, isTop, 'strict', start);
  return made;
}

function simplePart(c: Cursor): Statement {
  const { start } = c.now;
  if (c.takeWord('var')) return declarations(c, start, false);
  const words = typeWords(c);
  if (words > 0) {
    if (words === 1 && !SIMPLE_CLASSES.has(c.now.text) && !REGISTERED.has(c.now.text))
      throw new TbelSyntaxError(`unknown class or illegal statement: ${c.now.text} (variables are declared with 'var')`, start);
    for (let i = 0; i < words; i++) c.take();
    return declarations(c, start, true);
  }
  const value = expression(c);
  return { type: 'expression', value, start, end: c.before.end };
}

function declarations(c: Cursor, start: number, isTyped: boolean): Statement {
  const made: Statement[] = [];
  do {
    const at = c.now.start;
    const name = ownName(c);
    const value = c.takeSign('=') ? expression(c) : null;
    made.push({ type: 'var', name, value, isTyped, start: at, end: c.before.end });
  } while (c.takeSign(','));
  if (made.length > 1 && made.some((each) => each.type === 'var' && each.value !== null))
    c.hint('several variables with values in one declaration are refused by the original engine', { start, end: c.before.end });
  return made.length === 1 ? made[0]! : { type: 'block', body: made, isScope: false, start, end: c.before.end };
}

/** How many tokens of `int`, `java.util.List`, `byte[]` stand before the name of a typed declaration; 0: it is none. */
function typeWords(c: Cursor): number {
  if (c.now.type !== 'name' || RESERVED.has(c.now.text)) return 0;
  let ahead = 1;
  while (c.isSign('.', ahead) && c.peek(ahead + 1).type === 'name') ahead += 2;
  while (c.isSign('[', ahead) && c.isSign(']', ahead + 1)) ahead += 2;
  const { type, text } = c.peek(ahead);
  if (type !== 'name' || RESERVED.has(text)) return 0;
  return c.isSign('=', ahead + 1) || c.isSign(';', ahead + 1) ? ahead : 0;
}

/** What ends a statement, and what the original does where that is missing (§4.3). */
function ends(c: Cursor, isTop: boolean, rule: 'strict' | 'skip' | 'return', start: number): void {
  if (c.takeSign(';') || c.isSign('}') || c.now.type === 'end') return;
  const before = c.before;
  const now = c.now;
  if (rule === 'return') throw new TbelSyntaxError(`unexpected token: ${now.text}`, now.start);
  if (before.type === 'number' || before.type === 'string' || (before.type === 'name' && LITERALS.has(before.text))) {
    throw new TbelSyntaxError(`unexpected token: ${now.text} (is a ';' missing?)`, now.start);
  }
  // An expression statement that ends in a block, as a map, needs none.
  if (rule === 'strict') throw new TbelSyntaxError("Unterminated statement! (is a ';' missing?)", isTop ? now.start : before.end);
  const from = now.start;
  while (c.peek(0).type !== 'end' && !c.isSign('}') && !c.isSign(';')) c.at = Math.max(c.partner[c.at]!, c.at) + 1;
  c.takeSign(';');
  c.hint("a ';' is missing: what follows up to the next one is never executed, as on the original engine", {
    start: Math.max(start, from),
    end: c.before.end,
  });
}
