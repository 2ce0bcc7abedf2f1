import { FUNCTIONS } from './math-functions.ts';
import { parseDouble } from './numbers.ts';

/**
 * Expressions of the math function node: numbers, variables, `+ - * / % ^`, brackets of any kind, functions, and multiplication that is not written (`2a`, `3(x+1)`,
 * `ab` where a and b are variables). `^` binds to the right and stronger than a sign; a function without brackets takes all that follows.
 */
export type Expression = (values: ReadonlyMap<string, number>) => number;

interface Operator {
  readonly symbol: string;
  readonly operands: 1 | 2;
  readonly precedence: number;
  readonly left: boolean;
  readonly apply: (x: number, y: number) => number;
}
const binary = (symbol: string, precedence: number, apply: Operator['apply'], left = true): Operator => ({
  symbol,
  operands: 2,
  precedence,
  left,
  apply,
});
const unary = (symbol: string, apply: (x: number) => number): Operator => ({ symbol, operands: 1, precedence: 3, left: false, apply });

const TIMES = binary('*', 2, (x, y) => x * y);
const BINARY: Record<string, Operator> = {
  '+': binary('+', 1, (x, y) => x + y),
  '-': binary('-', 1, (x, y) => x - y),
  '*': TIMES,
  '/': binary('/', 2, (x, y) => x / divisor(y)),
  '%': binary('%', 2, (x, y) => x % divisor(y)),
  '^': binary('^', 4, (x, y) => x ** y, false),
};
const SIGNS: Record<string, Operator> = { '-': unary('-', (x) => -x), '+': unary('+', (x) => x) };

function divisor(y: number): number {
  if (y === 0) throw new Error('Division by zero!');
  return y;
}

const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['pi', Math.PI],
  ['π', Math.PI],
  ['e', Math.E],
  ['φ', 1.61803398874],
]);

type Token =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'operator'; readonly operator: Operator }
  | { readonly kind: 'open' | 'close' | 'comma' };
type Step = Extract<Token, { kind: 'number' | 'variable' | 'function' | 'operator' }>;

/** @param variables may hide constants, never functions. @throws Error saying what is wrong with the text. */
export function compileExpression(text: string, variables: readonly string[]): Expression {
  const clash = variables.find((name) => FUNCTIONS.has(name));
  if (clash !== undefined) throw new Error(`A variable can not have the same name as a function [${clash}]`);
  const steps = postfix(tokens(text.trim(), new Set([...variables, ...CONSTANTS.keys()])));
  return (values) => evaluate(steps, values);
}

/** What stands before decides: a sign or an operator, and whether a multiplication is left out. */
const endsOperand = (token: Token | undefined): boolean => token?.kind === 'number' || token?.kind === 'variable' || token?.kind === 'close';

function tokens(text: string, variables: ReadonlySet<string>): Token[] {
  const found: Token[] = [];
  const operand = (token: Token): void => {
    if (endsOperand(found.at(-1))) found.push({ kind: 'operator', operator: TIMES });
    found.push(token);
  };
  for (let at = 0; at < text.length; ) {
    const char = text[at]!;
    if (/\s/.test(char)) at++;
    else if (/[\d.]/.test(char)) {
      if (found.at(-1)?.kind === 'number') throw unparsable(char, at);
      const numeral = numeralAt(text, at);
      const value = parseDouble(numeral);
      if (value === null) throw new Error(`For input string: "${numeral}"`);
      operand({ kind: 'number', value });
      at += numeral.length;
    } else if (/[\p{L}_]/u.test(char)) {
      const token = nameAt(text, at, variables);
      operand(token);
      at += token.name.length;
    } else {
      if ('([{'.includes(char)) operand({ kind: 'open' });
      else if (')]}'.includes(char)) found.push({ kind: 'close' });
      else if (char === ',') found.push({ kind: 'comma' });
      else if (Object.hasOwn(BINARY, char)) found.push({ kind: 'operator', operator: operatorAfter(found.at(-1), char) });
      else throw unparsable(char, at);
      at++;
    }
  }
  return found;
}

const unparsable = (char: string, at: number): Error => new Error(`Unable to parse char '${char}' (Code:${char.charCodeAt(0)}) at [${at}]`);

/** An `e` belongs to the number unless it is its end: `2e3`, but `2exp(1)` and `2e`. */
function numeralAt(text: string, at: number): string {
  const [numeral] = /^[\d.](?:[\d.eE]|(?<=[eE])[+-])*/.exec(text.slice(at))!;
  return /[eE]$/.test(numeral) ? numeral.slice(0, -1) : numeral;
}

/** The longest beginning that is a variable or a function. */
function nameAt(text: string, at: number, variables: ReadonlySet<string>): Extract<Token, { kind: 'variable' | 'function' }> {
  const [word] = /^[\p{L}\p{Nd}_.]+/u.exec(text.slice(at))!;
  for (let length = word.length; length > 0; length--) {
    const name = word.slice(0, length);
    if (variables.has(name)) return { kind: 'variable', name };
    if (FUNCTIONS.has(name)) return { kind: 'function', name };
  }
  throw new Error(`Unknown function or variable '${word}' at pos ${at} in expression '${text}'`);
}

/** At the start, behind a bracket, a comma or an operator it is a sign. */
function operatorAfter(before: Token | undefined, char: string): Operator {
  const isSign = before === undefined || before.kind === 'open' || before.kind === 'comma' || before.kind === 'operator';
  return (isSign && SIGNS[char]) || BINARY[char]!;
}

function postfix(all: readonly Token[]): Step[] {
  const output: Step[] = [];
  const stack: Token[] = [];
  const top = (): Token | undefined => stack.at(-1);
  const unwind = (): void => {
    while (stack.length > 0 && top()!.kind !== 'open') output.push(stack.pop() as Step);
  };
  for (const token of all) {
    switch (token.kind) {
      case 'number':
      case 'variable':
        output.push(token);
        break;
      case 'comma':
        unwind();
        if (stack.length === 0) throw new Error("Misplaced function separator ',' or mismatched parentheses");
        break;
      case 'operator':
        while (top()?.kind === 'operator' && goesFirst((top() as { operator: Operator }).operator, token.operator)) output.push(stack.pop() as Step);
        stack.push(token);
        break;
      case 'close':
        unwind();
        if (stack.pop() === undefined) throw new Error('Mismatched parentheses detected. Please check the expression');
        if (top()?.kind === 'function') output.push(stack.pop() as Step);
        break;
      default:
        stack.push(token);
    }
  }
  unwind();
  if (stack.length > 0) throw new Error('Mismatched parentheses detected. Please check the expression');
  return output;
}

/** Is the operator that waits done before the new one is put over it? */
function goesFirst(waiting: Operator, next: Operator): boolean {
  if (next.operands === 1 && waiting.operands === 2) return false;
  return next.left ? next.precedence <= waiting.precedence : next.precedence < waiting.precedence;
}

function evaluate(steps: readonly Step[], values: ReadonlyMap<string, number>): number {
  const stack: number[] = [];
  for (const step of steps) {
    if (step.kind === 'number') stack.push(step.value);
    else if (step.kind === 'variable') stack.push(values.get(step.name) ?? CONSTANTS.get(step.name)!);
    else if (step.kind === 'operator') {
      const { symbol, operands, apply } = step.operator;
      if (stack.length < operands) throw new Error(`Invalid number of operands available for '${symbol}' operator`);
      const [x, y] = stack.splice(-operands);
      stack.push(apply(x!, y!));
    } else {
      const { arity, apply } = FUNCTIONS.get(step.name)!;
      if (stack.length < arity) throw new Error(`Invalid number of arguments available for '${step.name}' function`);
      stack.push(apply(...stack.splice(-arity)));
    }
  }
  if (stack.length !== 1)
    throw new Error('Invalid number of items on the output queue. Might be caused by an invalid number of arguments for a function.');
  return stack[0]!;
}
