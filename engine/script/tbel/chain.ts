import { LEVELS } from './expressions.ts';
import { arithmeticKind, type Made, type StaticKind } from './kinds.ts';
import { add, bits, div, mod, mul, pow, sub } from './runtime/arithmetic.ts';
import { eq, ge, gt, le, lt } from './runtime/compare.ts';

/** How a run of operands and operators is grouped: not by textbook (specs: tbel §3.2, §5.2). */

type Mode = 'int' | 'clamped' | 'dynamic';
interface Node {
  readonly operator: string;
  left: Made | Node;
  right: Made | Node;
  readonly mode: Mode;
  readonly kind: StaticKind;
}

const ARITHMETIC = new Set(['+', '-', '*', '/', '%', '**']);
const INTEGER = new Set(['+', '-', '*', '/']);
const BITS = new Set(['&', '|', '^', '<<', '>>', '>>>', '<<<']);
const isNode = (e: Made | Node): e is Node => 'operator' in e;
const isInt = (kind: StaticKind): boolean => kind === 'I' || kind === 'int';

export interface ChainWriter {
  /** What stands in the program for an operand. */
  text(operand: number): string;
  /** Told when the chain is not grouped as its operators let expect. */
  unusual(grouping: string): void;
  literal(value: unknown): Made;
  /** @throws TbelSyntaxError */
  refuse(message: string): never;
  /** The operation, at its place in the text. */
  mark(code: string): string;
}

export function chainCode(operands: readonly Made[], operators: readonly string[], writer: ChainWriter): Made {
  let first = operands[0]!;
  let at = 0;
  // Two literals in front are one, unless a tighter operator waits for the second of them.
  for (; at < operators.length && first.literal !== undefined && operands[at + 1]!.literal !== undefined; at++) {
    const operator = operators[at]!;
    const next = operators[at + 1];
    if (ARITHMETIC.has(operator) && next !== undefined && LEVELS[next]! > LEVELS[operator]!) break;
    if (BITS.has(operator) && [first, operands[at + 1]!].some(({ kind }) => kind === 'D' || kind === 'F' || kind === 'S'))
      writer.refuse('bitwise operation on a non-fixed-point number.');
    const value = folded(operator, first.literal.value, operands[at + 1]!.literal!.value);
    if (value === undefined) break;
    first = writer.literal(value);
  }
  if (operators.length > 1) tellGrouping(operands.length, operators, at, writer);
  if (at === operators.length) return first;
  const tree = grouped(first, operands.slice(at + 1), operators.slice(at));
  return { code: codeOf(tree, writer), kind: tree.kind };
}

interface Leaf extends Made {
  readonly shape: string;
}
const leaf = (shape: string): Leaf => ({ code: '', kind: null, shape });
const shapeOf = (e: Made | Node): string =>
  isNode(e) ? `(${shapeOf(e.left)} ${e.operator} ${shapeOf(e.right)})` : ((e as Partial<Leaf>).shape ?? '');

/** @param folded how many operators in front were applied to literals. */
function tellGrouping(count: number, operators: readonly string[], folded: number, writer: ChainWriter): void {
  const leaves = Array.from({ length: count }, (_, i) => leaf(`\0${i}\0`));
  let first = leaves[0]!;
  for (let i = 0; i < folded; i++) first = leaf(`(${first.shape} ${operators[i]} ${leaves[i + 1]!.shape})`);
  const actual = folded === operators.length ? first.shape : shapeOf(grouped(first, leaves.slice(folded + 1), operators.slice(folded)));
  if (actual === byLevels(leaves, operators)) return;
  writer.unusual(actual.slice(1, -1).replaceAll(/\0(\d+)\0/g, (_, i) => writer.text(Number(i))));
}

/** As every textbook has it: the tighter operator first, equal ones from the left. */
function byLevels(leaves: readonly Leaf[], operators: readonly string[]): string {
  const shapes: string[] = [leaves[0]!.shape];
  const waiting: string[] = [];
  const join = (): void => {
    const right = shapes.pop()!;
    shapes.push(`(${shapes.pop()!} ${waiting.pop()!} ${right})`);
  };
  for (const [i, operator] of operators.entries()) {
    while (waiting.length > 0 && LEVELS[waiting.at(-1)!]! >= LEVELS[operator]!) join();
    waiting.push(operator);
    shapes.push(leaves[i + 1]!.shape);
  }
  while (waiting.length > 0) join();
  return shapes[0]!;
}

function grouped(first: Made, rest: readonly Made[], operators: readonly string[]): Node {
  let before = operators[0]!;
  let tree = node(before, first, rest[0]!);
  for (let i = 1; i < operators.length; i++) {
    const operator = operators[i]!;
    const operand = rest[i]!;
    const level = LEVELS[operator]!;
    const own = isNode(tree) && tree.mode === 'int' && tree.operator === '/' ? '*' : tree.operator;
    if (level > LEVELS[before]!) {
      let parent = tree;
      while (isNode(parent.right)) parent = parent.right;
      parent.right = node(operator, parent.right, operand);
    } else if (operator !== own && level === LEVELS[before] && LEVELS[tree.operator] === level) tree = node(operator, tree, operand);
    else if (operator !== own && level === LEVELS[before]) tree.right = plain(operator, tree.right, operand);
    else if (LEVELS[tree.operator]! >= level) tree = plain(operator, tree, operand);
    else tree.right = plain(operator, tree.right, operand);
    before = operator;
  }
  return tree;
}

function kindOfResult(operator: string, left: StaticKind, right: StaticKind): StaticKind {
  const level = LEVELS[operator]!;
  if (level === 7 || level === 8) return 'Z';
  return ARITHMETIC.has(operator) ? arithmeticKind(operator, left, right) : 'I';
}

function node(operator: string, left: Made | Node, right: Made): Node {
  const areLiterals = !isNode(left) && left.literal !== undefined && right.literal !== undefined;
  let mode: Mode = 'dynamic';
  if (INTEGER.has(operator) && !areLiterals && isInt(left.kind) && isInt(right.kind))
    mode = left.kind === 'int' || right.kind === 'int' ? 'clamped' : 'int';
  return { operator, left, right, mode, kind: mode === 'dynamic' ? kindOfResult(operator, left.kind, right.kind) : 'I' };
}

const plain = (operator: string, left: Made | Node, right: Made): Node => ({
  operator,
  left,
  right,
  mode: 'dynamic',
  kind: kindOfResult(operator, left.kind, right.kind),
});

function folded(operator: string, a: unknown, b: unknown): unknown {
  const run = OPERATIONS[operator];
  if (run === undefined) return undefined;
  try {
    return run(a, b);
  } catch {
    return undefined;
  }
}
const bit =
  (operator: string) =>
  (a: unknown, b: unknown): unknown =>
    bits(operator, a, b);
const OPERATIONS: Readonly<Record<string, (a: unknown, b: unknown) => unknown>> = {
  '+': add,
  '-': sub,
  '*': mul,
  '/': div,
  '%': mod,
  '**': pow,
  '<': lt,
  '>': gt,
  '<=': le,
  '>=': ge,
  '==': eq,
  '===': eq,
  '!=': (a, b) => !eq(a, b),
  '&': bit('&'),
  '|': bit('|'),
  '^': bit('^'),
  '<<': bit('<<'),
  '>>': bit('>>'),
  '>>>': bit('>>>'),
  '<<<': bit('<<'),
};
const NAMES: Readonly<Record<string, string>> = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
  '%': 'mod',
  '**': 'pow',
  '<': 'lt',
  '>': 'gt',
  '<=': 'le',
  '>=': 'ge',
  '==': 'eq',
  '===': 'eq',
  '&': 'bitAnd',
  '|': 'bitOr',
  '^': 'bitXor',
  '<<': 'shiftLeft',
  '<<<': 'shiftLeft',
  '>>': 'shiftRight',
  '>>>': 'shiftRightZero',
};
const INT_NAMES: Readonly<Record<string, string>> = { '+': 'intAdd', '-': 'intSub', '*': 'intMul', '/': 'intDiv' };

export function operationCode(operator: string, left: string, right: string, writer: Pick<ChainWriter, 'mark'>): string {
  if (operator === '!=') return `!${writer.mark(`eq(${left}, ${right})`)}`;
  return writer.mark(`${NAMES[operator]}(${left}, ${right})`);
}

function codeOf(e: Made | Node, writer: ChainWriter): string {
  if (!isNode(e)) return e.code;
  const { operator, left, right, mode } = e;
  if (mode === 'int') return writer.mark(`${INT_NAMES[operator]}(${codeOf(left, writer)}, ${codeOf(right, writer)})`);
  if (mode === 'clamped') return writer.mark(`clampedOp(${JSON.stringify(operator)}, ${codeOf(left, writer)}, ${codeOf(right, writer)})`);
  const isArithmetic = ARITHMETIC.has(operator);
  const operand = (side: Made | Node): string => (isArithmetic && !isNode(side) ? known(side) : codeOf(side, writer));
  return operationCode(operator, operand(left), operand(right), writer);
}

/** What is known of a variable replaces what it holds. */
function known({ code, kind, isLoose }: Made): string {
  if (isLoose !== true) return code;
  return kind === 'I' ? `asInt(${code})` : kind === 'L' ? `asLong(${code})` : code;
}
