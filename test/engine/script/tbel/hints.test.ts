import assert from 'node:assert/strict';
import test from 'node:test';
import { compileTbel } from '#engine/script/tbel/compiler.ts';

/** What the user of a program is warned of (specs: tbel §13), as line:column and the message, or a part of it. */
for (const [source, ...hints] of [
  ['function f(m) { m.a = f(m)\n m.b = 1; }', "2:2 a ';' is missing: what follows up to the next one is never executed"],
  ['for (;;) { break; }', "1:1 'for (;;)' is refused"],
  ['foreach (x : [1]) {\n  continue; }', "2:3 'continue' is a plain name"],
  ['for (var x : [1]) { }', "1:6 'var' in front of the variable of an iteration"],
  ['var a = 1, b = 2;', '1:1 several variables with values'],
  ['for (i : 2) { var q; }', "1:19 'var q;' in a loop fails the second time"],
  ['var l = [1]; l[0] += 1;', "1:14 '+=' on an element without a dotted path"],
  ['var m = {}; m.a++;', "1:13 '++' on anything but a variable"],
  ['var m = {a: 1}; return [--m.a];', "1:25 '--' on anything but a variable"],
  ['var i = 1; return i++ + 1;', "1:19 an expression ends at '++'"],
  ['var c = true; return {a: c ? 1 : 2};', '1:26 a ternary as a value needs parentheses'],
  ['function f() { return [1]; } return {a: f()[0]};', '1:41 an element that ends in an index is that index alone'],
  ['return [{a: 1}.a];', '1:9 the original engine refuses an element that begins with a collection'],
  ['return new byte[]{1};', '1:8 an array with its elements is refused'],
  ['var x = 1; switch (x & 3) { case 1: x = 2; break; }', '1:20 the original engine takes a plain name as the key'],
  ['var x = 1; switch (x) { case 1: x = 2; case 2: x = 3; break; }', "1:25 a case that ends in neither 'break' nor 'return'"],
  ['var x = 1; switch (x) { case 1: { x = 2; break; } }', '1:33 braces around the statements of a case'],
  ['var x = 1; switch (x) { default: return 1; case 1: return 2; }', "1:25 'default' is the last group"],
  ['var x = 1; switch (x) { case 1: return 1; default: break; }', "1:52 'break' in 'default' ends the whole function"],
  ['var x = 1; switch (x) { case x: return 1; }', '1:30 the original engine takes literals only'],
  ['function toInt(x) { return x; } return toInt(1.5);', "1:1 the function 'toInt' is never called: the library has one"],
  ['function f() { return 1; } function f() { return 2; } return f();', "1:28 the function 'f' is never called: there is one of this name before it"],
  ['return 1 ?: 2;', "1:8 '?:' fails when it is reached"],
  ['return (int) -7.9;', '1:9 a cast of what begins with a minus gives null'],
  ['function f(x) { return x + 1 contains 6; } return f(5);', "1:24 'contains' takes only what stands next to it"],
  ['function f(a, b) { return a > 5 + b * 2 * 3; } return f(30, 4);', '1:27 this is computed as a > ((5 + (b * 2)) * 3)'],
  ['return 1 << 2 + 3;', '1:8 this is computed as (1 << 2) + 3'],
  ['return stringToBytes("a");', '1:8 stringToBytes of a literal fails'],
  ['return (0xFFL & 1);', '1:9 a suffix of a hexadecimal number fails'],
  ['function f(a, b) { return [a - b * 2 - 1, a << 8 | b & 0xFF, a > 5 + b * 2, a == 1 && b == 2 || a < b]; } return f(1, 2);'],
  [
    'var x = 5; switch (x) { case 1: case -2: return 1; case "a": break; default: return 0; } for (var i = 0; i < 3; i++) { x = x + i; } return {a: (x > 1 ? 1 : 2), l: [x, [1], {b: 2}]};',
  ],
] as [string, ...string[]][])
  test(`tbel hint: ${source.replaceAll('\n', '⏎')}`, () => {
    const compiled = compileTbel(source, ['payload']);
    const found = compiled.ok ? compiled.hints.map(({ line, column, message }) => `${line}:${column} ${message}`) : [compiled.fault.message];
    assert.deepEqual(
      found.map((hint, i) => (hints[i] !== undefined && hint.startsWith(hints[i]) ? hints[i] : hint)),
      hints,
    );
  });
