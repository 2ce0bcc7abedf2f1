import type { CollectionEntry, Expression, Step } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { TbelSyntaxError } from './errors.ts';

/** Operators of a chain and how tight they bind (specs: tbel §3.1). */
export const LEVELS: Readonly<Record<string, number>> = {
  '**': 12,
  '*': 11,
  '/': 11,
  '%': 11,
  '+': 10,
  '-': 10,
  '<<': 9,
  '>>': 9,
  '>>>': 9,
  '<<<': 9,
  '<': 8,
  '>': 8,
  '<=': 8,
  '>=': 8,
  '==': 7,
  '===': 7,
  '!=': 7,
  '&': 6,
  '^': 5,
  '|': 4,
};
const WORDS = new Set(['contains', 'instanceof', 'is', 'soundslike', 'strsim', 'convertable_to']);
const ASSIGNMENTS = new Set(['=', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '<<=', '>>=', '>>>=']);
const CASTS = new Set('int long double float byte short char boolean String Integer Long Double Float Byte Short Character Boolean'.split(' '));
const PRIMITIVES = new Set('byte short int long float double boolean char'.split(' '));
/** Classes that are known without the name of a package; nothing can be named so either. */
export const SIMPLE_CLASSES = new Set(
  'String CharSequence Integer int Long long Boolean boolean Short short Character char Double double Float float Byte byte Math StrictMath Void Object Number Exception'.split(
    ' ',
  ),
);
/** Words that nothing can be named (§2). */
export const RESERVED = new Set(
  (
    'if else switch case default function def stacklang var foreach while until for do return break and or instanceof is contains soundslike strsim ' +
    'convertable_to isdef new in with assert import import_static true false null nil empty'
  ).split(' '),
);

/** An expression, assignments included. */
export function expression(c: Cursor): Expression {
  return c.deeper(() => {
    const left = ternary(c);
    const { type, text, start } = c.now;
    if (type !== 'sign' || !ASSIGNMENTS.has(text)) return left;
    if (left.type !== 'name' && !(left.type === 'path' && left.steps.at(-1)!.kind !== 'call'))
      throw new TbelSyntaxError('the left side of an assignment must be a variable, a property or an element', start);
    c.take();
    const value = expression(c);
    if (left.type === 'path' && text !== '=' && !left.steps.some(({ kind }) => kind === 'property'))
      c.hint(`'${text}' on an element without a dotted path fails on the original engine`, { start: left.start, end: value.end });
    return { type: 'assign', target: left, operator: text, value, start: left.start, end: value.end };
  });
}

function ternary(c: Cursor): Expression {
  const condition = either(c);
  if (!c.takeSign('?')) return condition;
  if (c.isSign(':')) return withoutMeaning(c, condition);
  const yes = expression(c);
  // The key of an entry that was cut at its last colon ends here.
  if (c.now.type === 'end') return { type: 'ternary', condition, yes, otherwise: null, start: condition.start, end: yes.end };
  c.expect(':');
  const otherwise = expression(c);
  return { type: 'ternary', condition, yes, otherwise, start: condition.start, end: otherwise.end };
}

/** `x ?: y` is read by the original and fails when it is reached. */
function withoutMeaning(c: Cursor, condition: Expression): Expression {
  c.take();
  const { end } = expression(c);
  const { start } = condition;
  c.hint("'?:' fails when it is reached, as on the original engine: write `x or y`", { start, end });
  return { type: 'refused', why: "'?:' is not supported", start, end };
}

function either(c: Cursor): Expression {
  let left = both(c);
  for (;;) {
    const operator = c.isSign('||') ? '||' : c.isWord('or') ? 'or' : null;
    if (operator === null) return left;
    c.take();
    const right = both(c);
    left = { type: 'logic', operator, left, right, start: left.start, end: right.end };
  }
}

function both(c: Cursor): Expression {
  let left = words(c);
  while (c.takeSign('&&') || c.takeWord('and')) {
    const right = words(c);
    left = { type: 'logic', operator: '&&', left, right, start: left.start, end: right.end };
  }
  return left;
}

function words(c: Cursor): Expression {
  let left = chain(c, unary(c));
  for (;;) {
    const { type, text } = c.now;
    if (!(type === 'name' ? WORDS.has(text) : type === 'sign' && (text === '~=' || text === '#'))) return left;
    c.take();
    const right = unary(c);
    const nearest = left.type === 'chain' ? left.operands.at(-1)! : left;
    // `~=` takes only its neighbour, and so do the others when that is a literal.
    if (left.type === 'chain' && (text === '~=' || nearest.type === 'number' || nearest.type === 'string')) {
      c.hint(`'${text}' takes only what stands next to it here: parentheses make that clear`, { start: left.start, end: right.end });
      const word: Expression = { type: 'word', operator: text, left: nearest, right, start: nearest.start, end: right.end };
      left = chain(c, word, left.operands.slice(0, -1), left.operators);
    } else left = chain(c, { type: 'word', operator: text, left, right, start: left.start, end: right.end });
  }
}

/** @param before what stands in front of `first`, with its operators. */
function chain(c: Cursor, first: Expression, before: readonly Expression[] = [], joined: readonly string[] = []): Expression {
  const operands = [...before, first];
  const operators = [...joined];
  while (c.now.type === 'sign' && Object.hasOwn(LEVELS, c.now.text)) {
    operators.push(c.take().text);
    operands.push(unary(c));
  }
  if (operators.length === 0) return first;
  const counted = operands.find((each, i) => each.type === 'count' && !each.isPrefix && i < operands.length - 1);
  if (counted !== undefined) c.hint("an expression ends at '++' and '--' on the original engine: what follows is refused", counted);
  return { type: 'chain', operands, operators, start: operands[0]!.start, end: operands.at(-1)!.end };
}

function unary(c: Cursor): Expression {
  const { type, text, start } = c.now;
  if (type === 'sign') {
    if (text === '!' || text === '-' || text === '+' || text === '~') {
      c.take();
      const operand = c.deeper(() => unary(c));
      if (text === '-' && operand.type === 'number' && c.before.isHex === true)
        throw new TbelSyntaxError(`badly formatted number: -${c.source.slice(operand.start, operand.end)}`, start);
      if (text === '~' && operand.type !== 'number' && operand.type !== 'group')
        throw new TbelSyntaxError("'~' stands only before a number or a parenthesis", start);
      return { type: 'unary', operator: text, operand, start, end: operand.end };
    }
    if (text === '++' || text === '--') {
      c.take();
      const target = unary(c);
      if (target.type !== 'name') c.hint(`'${text}' on anything but a variable fails on the original engine`, { start, end: target.end });
      return { type: 'count', operator: text, isPrefix: true, target, start, end: target.end };
    }
    if (text === '(' && isCast(c)) {
      c.take();
      const to = c.take().text;
      c.take();
      const operand = c.deeper(() => unary(c));
      return { type: 'cast', to, operand, start, end: operand.end };
    }
  }
  if (type === 'name' && text === 'isdef') {
    c.take();
    const { text: name, end } = c.name();
    return { type: 'isdef', name, start, end };
  }
  const operand = postfix(c, primary(c));
  if (!c.isSign('++') && !c.isSign('--')) return operand;
  const { text: operator, end } = c.take();
  if (operand.type !== 'name') c.hint(`'${operator}' on anything but a variable fails on the original engine`, { start, end });
  return { type: 'count', operator: operator as '++' | '--', isPrefix: false, target: operand, start, end };
}

function isCast(c: Cursor): boolean {
  if (c.peek(1).type !== 'name' || !CASTS.has(c.peek(1).text) || !c.isSign(')', 2)) return false;
  const { type, text } = c.peek(3);
  return (
    type === 'string' ||
    type === 'number' ||
    (type === 'sign' && text === '(') ||
    (type === 'name' && (!RESERVED.has(text) || text === 'null' || text === 'new'))
  );
}

export function args(c: Cursor): Expression[] {
  c.expect('(');
  const list: Expression[] = [];
  if (c.takeSign(')')) return list;
  do list.push(expression(c));
  while (c.takeSign(','));
  c.expect(')');
  return list;
}

function postfix(c: Cursor, base: Expression): Expression {
  const steps: Step[] = [];
  for (;;) {
    const { start } = base;
    if (c.isSign('.') || c.isSign('.?')) {
      const safe = c.take().text === '.?';
      const { text: name } = c.name();
      if (c.isSign('(')) {
        const list = args(c);
        steps.push({ kind: 'call', name, args: list, safe, start, end: c.before.end });
      } else steps.push({ kind: 'property', name, safe, start, end: c.before.end });
    } else if (c.isSign('[')) {
      c.take();
      const index = expression(c);
      c.expect(']');
      steps.push({ kind: 'index', index, safe: false, start, end: c.before.end });
    } else break;
    if (steps.length > 1000) throw new TbelSyntaxError('the path is too long', start);
  }
  return steps.length === 0 ? base : { type: 'path', base, steps, start: base.start, end: c.before.end };
}

function primary(c: Cursor): Expression {
  const token = c.now;
  const { type, text, start, end } = token;
  if (type === 'number') {
    c.take();
    if (token.isHex === true && /l$/i.test(c.source.slice(start, end)))
      c.hint('a suffix of a hexadecimal number fails in an expression on the original engine', token);
    return { type: 'number', digits: text, kind: token.kind!, start, end };
  }
  if (type === 'string') {
    c.take();
    return { type: 'string', value: text, start, end };
  }
  if (type === 'sign') {
    if (text === '(') return parenthesis(c);
    if (text === '[' || text === '{') return collection(c);
  }
  if (type !== 'name') throw c.unexpected();
  switch (text) {
    case 'true':
    case 'false':
      c.take();
      return { type: 'constant', value: text === 'true', start, end };
    case 'null':
    case 'nil':
      c.take();
      return { type: 'constant', value: null, start, end };
    case 'empty':
      if (c.isSign('(', 1)) break;
      c.take();
      return { type: 'constant', value: 'empty', start, end };
    case 'new':
      return creation(c);
    case 'function':
    case 'def':
      return functionValue(c);
  }
  if (RESERVED.has(text)) throw c.unexpected();
  c.take();
  if (text !== 'Math' && c.isSign(')') && c.isSign('-', 1) && CASTS.has(text))
    c.hint('a cast of what begins with a minus gives null, as on the original engine: put parentheses around it', { start, end: c.now.end });
  if (!c.isSign('(')) return { type: 'name', name: text, start, end };
  const list = args(c);
  if (text === 'stringToBytes' && list[0]?.type === 'string')
    c.hint('stringToBytes of a literal fails on the original engine: give it a variable', token);
  return { type: 'call', name: text, args: list, start, end: c.before.end };
}

function parenthesis(c: Cursor): Expression {
  const { start } = c.take();
  const inner = expression(c);
  if (c.takeWord('in')) {
    const list = expression(c);
    c.expect(')');
    return { type: 'projection', item: inner, list, start, end: c.before.end };
  }
  c.expect(')');
  return { type: 'group', inner, start, end: c.before.end };
}

/** Functions are no values; what they would do is never asked. */
function functionValue(c: Cursor): Expression {
  const { start } = c.take();
  if (c.now.type === 'name') c.take();
  for (const opener of ['(', '{']) {
    if (!c.isSign(opener)) throw c.unexpected();
    c.at = c.partner[c.at]! + 1;
  }
  return { type: 'refused', why: 'Unsupported value type: function', start, end: c.before.end };
}

function creation(c: Cursor): Expression {
  const { start } = c.take();
  let className = c.name().text;
  while (c.isSign('.') && c.peek(1).type === 'name') {
    c.take();
    className += `.${c.name().text}`;
  }
  if (c.isSign('[')) {
    if (!PRIMITIVES.has(className)) throw new TbelSyntaxError(`unknown array type: ${className}`, start);
    c.take();
    const size = c.isSign(']') ? null : expression(c);
    c.expect(']');
    const items: Expression[] = [];
    if (size === null) {
      const list = collection(c);
      if (list.type === 'list') items.push(...list.items);
      else if (list.type === 'map' && list.entries.length > 0) throw new TbelSyntaxError('an array has no keys', list.start);
      c.hint('an array with its elements is refused by the original engine', { start, end: c.before.end });
    }
    return { type: 'newArray', of: className, size, items, start, end: c.before.end };
  }
  const list = c.isSign('(') ? args(c) : [];
  return { type: 'new', className, args: list, start, end: c.before.end };
}

/** A list or a map (§3.4): its text is first cut at commas, each element then at its last colon. */
export function collection(c: Cursor): Expression {
  return c.deeper(() => {
    const { start } = c.now;
    const open = c.at;
    const close = c.partner[open]!;
    if (close < 0 || close >= c.limit) throw c.unexpected();
    const isBrace = c.now.text === '{';
    c.take();
    if (c.isSign(':') && c.at + 1 === close) {
      c.at = close + 1;
      return { type: 'map', entries: [], start, end: c.before.end };
    }
    const entries: CollectionEntry[] = [];
    let isMap = isBrace && c.at === close;
    while (c.at < close) {
      const from = c.at;
      const colons: number[] = [];
      let to = from;
      for (; to < close && !(c.all[to]!.type === 'sign' && c.all[to]!.text === ','); to++) {
        if (c.all[to]!.type !== 'sign') continue;
        if (c.all[to]!.text === ':') colons.push(to);
        else if (c.partner[to]! > to) to = c.partner[to]!;
      }
      if (to === from) throw c.unexpected();
      const last = colons.at(-1);
      if (last === undefined) entries.push({ key: null, value: element(c, to) });
      else {
        isMap = true;
        const key = entryKey(c, colons.length > 1 ? colons.at(-2)! + 1 : from, last);
        c.at = last + 1;
        entries.push({ key, value: element(c, to) });
      }
      c.at = to;
      if (to < close) c.take();
    }
    c.at = close + 1;
    const end = c.before.end;
    if (!isMap) return { type: 'list', items: entries.map(({ value }) => value), start, end };
    const bare = entries.find(({ key }) => key === null);
    if (bare !== undefined) throw new TbelSyntaxError('a map has a key for each value', bare.value.start);
    return { type: 'map', entries, start, end };
  });
}

/** What the original makes of elements that end in an index or begin with a collection (§3.4). */
function element(c: Cursor, to: number): Expression {
  const from = c.at;
  const span = { start: c.all[from]!.start, end: c.all[Math.max(from, to - 1)]!.end };
  const isSign = (at: number, text: string): boolean => c.all[at]?.type === 'sign' && c.all[at]!.text === text;
  const open = isSign(to - 1, ']') ? c.partner[to - 1]! : -1;
  if (open > from && (isSign(open - 1, ')') || c.all[open - 1]!.type === 'string')) {
    c.hint('an element that ends in an index is that index alone, as on the original engine: put parentheses around it', span);
    c.part(open, () => expression(c));
    c.at = open;
  } else if ((isSign(from, '[') || isSign(from, '{')) && c.partner[from]! < to - 1)
    c.hint('the original engine refuses an element that begins with a collection and goes on: put parentheses around it', span);
  return c.part(to, () => expression(c));
}

/** A word is its own text, whatever it names; a literal keeps its kind; the rest of a ternary is evaluated. */
function entryKey(c: Cursor, from: number, to: number): Expression {
  if (from >= to) throw new TbelSyntaxError('unexpected token: :', c.all[to]!.start);
  const span = { start: c.all[from]!.start, end: c.all[to - 1]!.end };
  for (let at = from; at < to; at++) {
    if (c.all[at]!.type === 'sign' && c.all[at]!.text === '?') {
      c.at = from;
      const key = c.part(to, () => expression(c));
      c.hint('a ternary as a value needs parentheses: without them its last colon separates key and value', span);
      return key;
    }
  }
  const first = c.all[from]!;
  const isOne = to === from + 1 || (to === from + 2 && first.text === '-' && c.all[to - 1]!.type === 'number');
  if (isOne && first.type !== 'name') {
    c.at = from;
    return c.part(to, () => unary(c));
  }
  if (isOne && (first.text === 'true' || first.text === 'false')) return { type: 'constant', value: first.text === 'true', ...span };
  return { type: 'string', value: c.source.slice(span.start, span.end), ...span };
}
