import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { compileExpression } from '#rulechains/shared/math-expression.ts';

const run = (text: string, values: Record<string, number> = {}) => compileExpression(text, Object.keys(values))(new Map(Object.entries(values)));

for (const { text, values, is } of [
  { text: '(x - 32) / 1.8', values: { x: 68 }, is: 20 },
  { text: 'x^2 + x%3', values: { x: 7.5 }, is: 57.75 },
  { text: '2a+3b', values: { a: 2, b: 2 }, is: 10 },
  { text: '2+3*4^2/2-1', is: 25 },
  { text: '2^3^2', is: 512 },
  { text: '-2^2', is: -4 },
  { text: '2^-1', is: 0.5 },
  { text: '(-2)^2', is: 4 },
  { text: '2--3', is: 5 },
  { text: '2*-3', is: -6 },
  { text: '--3', is: 3 },
  { text: '+3', is: 3 },
  { text: '10%4%3', is: 2 },
  { text: '8/4/2', is: 1 },
  { text: '-7%3', is: -1 },
  { text: '3(x+1)2', values: { x: 1 }, is: 12 },
  { text: '(1+1)(2+2)', is: 8 },
  { text: '[1+{2*(3)}]', is: 7 },
  { text: 'xy', values: { x: 3, y: 4 }, is: 12 },
  { text: 'xy', values: { x: 3, y: 4, xy: 5 }, is: 5 },
  { text: 'x2', values: { x: 3 }, is: 6 },
  { text: 'x_1 + x_1', values: { x_1: 4 }, is: 8 },
  { text: '2pi', is: 2 * Math.PI },
  { text: 'pi*e*x', values: { x: 2 }, is: Math.PI * Math.E * 2 },
  { text: 'e', values: { e: 5 }, is: 5 },
  { text: '1.5e2 + 1E-1', is: 150.1 },
  { text: '2e', is: 2 * Math.E },
  { text: '2exp(0)', is: 2 },
  { text: '.5 + 5.', is: 5.5 },
  { text: ' sin 0 ', is: 0 },
  { text: 'abs x + 1', values: { x: -3 }, is: 2 },
  { text: '2sqrt(16)', is: 8 },
  { text: 'sqrt(16)x', values: { x: 3 }, is: 12 },
  { text: 'abs(-x) + cbrt(27) + floor(x) + ceil(x) + sqrt(16)', values: { x: 2.5 }, is: 14.5 },
  { text: 'pow(2, 10) + logab(2, 8)', is: 1027 },
  { text: 'ln(e) + log(e) + lg(1000) + log10(100) + log2(8)', is: 10 },
  { text: 'log1p(0) + expm1(0) + exp(0) + signum(-7)', is: 0 },
  { text: 'sin(0) + cos(0) + tan(0) + asin(0) + acos(1) + atan(0) + sinh(0) + cosh(0) + tanh(0)', is: 2 },
  { text: 'cot(pi/4)', is: 1 / Math.tan(Math.PI / 4) },
  { text: 'pow(1, -2)', is: 1 },
  { text: '1e308*10', is: Number.POSITIVE_INFINITY },
  { text: 'sqrt(-1)', is: Number.NaN },
] as { text: string; values?: Record<string, number>; is: number }[])
  test(`expression: ${text} ${JSON.stringify(values ?? {})}`, () => assert.equal(run(text, values), is));

for (const { text, values = {}, error } of [
  { text: 'x/0', values: { x: 1 }, error: 'Division by zero!' },
  { text: '1%0', error: 'Division by zero!' },
  { text: 'cot(0)', error: 'Division by zero in cotangent!' },
  { text: 'y+1', error: "Unknown function or variable 'y' at pos 0 in expression 'y+1'" },
  { text: 'csc(1)', error: "Unknown function or variable 'csc' at pos 0 in expression 'csc(1)'" },
  { text: '1 2', error: "Unable to parse char '2' (Code:50) at [2]" },
  { text: '1 ? 2', error: "Unable to parse char '?' (Code:63) at [2]" },
  { text: '1.2.3', error: 'For input string: "1.2.3"' },
  { text: '2e+', error: 'For input string: "2e+"' },
  { text: '(1', error: 'Mismatched parentheses detected. Please check the expression' },
  { text: '1)', error: 'Mismatched parentheses detected. Please check the expression' },
  { text: '1,2', error: "Misplaced function separator ',' or mismatched parentheses" },
  { text: '*3', error: "Invalid number of operands available for '*' operator" },
  { text: 'abs -3', error: "Invalid number of operands available for '-' operator" },
  { text: '3+', error: "Invalid number of operands available for '+' operator" },
  { text: 'pow(1)', error: "Invalid number of arguments available for 'pow' function" },
  {
    text: 'sin(1,2)',
    error: 'Invalid number of items on the output queue. Might be caused by an invalid number of arguments for a function.',
  },
  {
    text: '()',
    error: 'Invalid number of items on the output queue. Might be caused by an invalid number of arguments for a function.',
  },
  { text: 'sin', values: { sin: 1 }, error: 'A variable can not have the same name as a function [sin]' },
] as { text: string; values?: Record<string, number>; error: string }[])
  test(`expression: ${text} is refused`, () => assert.throws(() => run(text, values), { message: error }));

test('expression: whatever the text is, it gives a number or an Error, at once', () => {
  const letters = fc.string({
    unit: fc.constantFrom(...'0123456789.eEx+-*/%^()[]{}, _π', 'sin', 'pow', 'logab', 'x', 'constructor', '😀'),
    maxLength: 60,
  });
  fc.assert(
    fc.property(letters, (text) => {
      try {
        assert.equal(typeof run(text, { x: 3 }), 'number');
      } catch (cause) {
        assert.equal((cause as Error).constructor, Error);
      }
    }),
    { numRuns: 3000 },
  );
});
