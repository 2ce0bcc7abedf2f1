import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openScriptEngine } from '#engine/script/pool.ts';
import { compileTbel } from '#engine/script/tbel/compiler.ts';
import type { Script, ScriptArgs } from '#engine/script.ts';

const engine = openScriptEngine({ hosts: 1 });
after(() => engine.close());

const tbel = (body: string): Script => ({ kind: 'any', language: 'TBEL', body });
const ARGS: ScriptArgs = ['{"t":1.0,"big":12345678901234567}', '{"k":"v"}', 'T'];
const result = async (body: string): Promise<unknown> => {
  const [outcome] = await engine.run(tbel(body), [ARGS]);
  return outcome!.ok ? outcome!.json : outcome!.fault;
};

test('tbel in an isolate: kinds of numbers and the arguments come through', async () =>
  assert.equal(await result('return [msg, metadata, msgType, 7 / 7];'), '[{"t":1.0,"big":12345678901234567},{"k":"v"},"T",1.0]'));

for (const { name, body, message, line, column } of [
  { name: 'a library call says which', body: 'var a = 1;\nreturn raiseError("boom");', message: 'raiseError("boom"): boom', line: 2, column: 8 },
  { name: 'a null in a path', body: 'return\n  msg.a.b;', message: 'null pointer: msg.a', line: 2, column: 3 },
  {
    name: 'an unknown name, when it is read',
    body: 'if (false) { x; }\nreturn y;',
    message: 'unresolvable property or identifier: y',
    line: 2,
    column: 8,
  },
  { name: 'a parent that is not there', body: 'msg.a.b = 1;', message: 'could not access property: b; parent is null: msg.a', line: 1, column: 1 },
])
  test(`tbel fault: ${name}`, async () =>
    assert.deepEqual(await result(body), { reason: 'thrown', message: `${message} (line ${line}, column ${column})`, position: { line, column } }));

for (const { name, body, message } of [
  { name: 'an escape', body: 'return "\\q";', message: /^illegal escape sequence: q \(line 1, column 9\)$/ },
  { name: 'a statement without its end', body: 'var a = f() var b = 2;', message: /^Unterminated statement!/ },
  { name: 'a literal before the missing semicolon', body: 'function f() { a = 1 b = 2; }', message: /^unexpected token: b/ },
  {
    name: 'a condition that is none',
    body: 'if (5) { return 1; }',
    message: /^was expecting type: java.lang.Boolean; but found type: java.lang.Integer/,
  },
  { name: 'import', body: 'import java.io.File;', message: /^Import is forbidden!/ },
  { name: 'brackets', body: 'return [1, {a: 2];', message: /^unexpected token: \]/ },
  { name: 'nesting', body: `return ${'['.repeat(5000)}${']'.repeat(5000)};`, message: /^the program is nested too deeply/ },
])
  test(`tbel refused: ${name}`, async () => assert.match((await engine.check(tbel(body)))!.message, message));

for (const { name, body, reason } of [
  { name: 'an endless loop', body: 'while (true) {}', reason: 'timeout' },
  { name: 'recursion without an end', body: 'function f(a) { return f(a); } return f(1);', reason: /thrown|timeout/ },
  { name: 'a text that grows', body: 'var s = "x"; while (true) { s = s + s + 1; }', reason: 'thrown' },
  { name: 'a repeated text', body: 'return "x".repeat(50000000);', reason: 'thrown' },
  { name: 'a list that contains itself', body: 'var l = []; l.add(l); return l;', reason: 'thrown' },
  { name: 'names of the host', body: 'return constructor;', reason: 'thrown' },
  { name: 'the constructor of a text', body: 'return "".constructor;', reason: 'thrown' },
  { name: 'a class', body: 'return "".getClass();', reason: 'thrown' },
])
  test(`tbel hostile: ${name}`, async () => assert.match(((await result(body)) as { reason: string }).reason, new RegExp(reason)));

test('tbel: keys named like properties of the language are keys', async () =>
  assert.equal(
    await result('var m = {}; m.__proto__ = 1; m.constructor = 2; m["toString"] = 3; return [m, {}.__proto__, {}.constructor];'),
    '[{"__proto__":1,"constructor":2,"toString":3},null,null]',
  ));

for (const { name, kind, body, gives } of [
  { name: 'a log line of anything', kind: 'log', body: 'return {a: 1.0};', gives: { ok: true, json: '"{\\"a\\":1.0}"' } },
  {
    name: 'a filter that gives a number',
    kind: 'filter',
    body: 'return 1;',
    gives: { ok: false, fault: { reason: 'shape', message: 'Wrong result type: Integer' } },
  },
  {
    name: 'a switch with a double',
    kind: 'switch',
    body: 'return ["a", 1.5];',
    gives: { ok: false, fault: { reason: 'shape', message: 'Wrong result type: Double' } },
  },
] as const)
  test(`tbel result: ${name}`, async () => assert.deepEqual(await engine.run({ kind, language: 'TBEL', body }, [ARGS]), [gives]));

// ---- no program hangs or crashes the compiler, and what it makes reaches its arguments and the runtime only ----

const WORDS =
  'var x y f payload msg if else for foreach while do until switch case default function def return break continue new int Math Integer or and in is contains instanceof isdef null true "s" \'t\' 1 2.5 0xFF 7L .? . , ; : ? ( ) [ ] { } + - * / % ** & | ^ << >>> == != < >= && || ! ~ = += ++ -- $ # ~= eval globalThis process constructor __proto__ \\ ` \u2028 ä'.split(
    ' ',
  );
/** Strings away, generated code is made of our own names: `g$x`, `l1$x`, `f0$x`, temps, constants, operations and the language's words. */
const OWN =
  /^(?:[gf]\d*\$\w[\w$]*|[gf]\d*\$\$[\w$]*|l\d+\$[\w$]*|[tkbep]\d+|\d[\w.]*|function|operations|use|strict|const|let|return|if|else|for|of|while|do|break|continue|undefined|null|true|false|map|NaN|Infinity|[a-z]\w*)$/;
const OPERATIONS = new Set(
  'add asInt asLong at big bits bool call callLibrary callStatic cast clampedOp complement constant contains count create dbl div each eq field flt ge get gt intAdd intDiv intMul intSub isA isBlank isEmptyValue itemsOf le lng lt matchesRegex missing mod mul negate newArray pairs pow put putAt similarity soundsLike stop sub textOf function operations const let return if else for of while do break continue undefined null true false map n uses run'.split(
    ' ',
  ),
);

function foreignWords(code: string): string[] {
  const bare = code.replaceAll(/"(?:\\.|[^"\\])*"|'use strict'/g, '""');
  return (bare.match(/[A-Za-z_$][\w$]*/g) ?? []).filter((word) => !(OPERATIONS.has(word) || (/[$\d]/.test(word) && OWN.test(word))));
}

test('tbel: whatever a program is, the compiler ends, and its code names nothing of the host', () => {
  const programs = fc.oneof(
    fc.array(fc.constantFrom(...WORDS), { maxLength: 60 }).map((words) => words.join(' ')),
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc
      .tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS), fc.constantFrom(...WORDS))
      .map(([a, b, c]) => `function f(x) { var y = ${a} ${b}; return {k: x ? ${c} : y}; } return f(payload) ${b} ${c};`),
  );
  let compiledCount = 0;
  fc.assert(
    fc.property(programs, (program) => {
      const begin = performance.now();
      const compiled = compileTbel(program, ['payload']);
      assert.ok(performance.now() - begin < 2000);
      if (!compiled.ok) return;
      compiledCount++;
      new Function(`return ${compiled.code}`);
      assert.deepEqual(foreignWords(compiled.code), [], compiled.code);
    }),
    // Found once by chance; and the same programs every time.
    { numRuns: 4000, seed: 1_429_469_751, examples: [['~ 2.5'], ['return ~ 2.5;']] },
  );
  assert.ok(compiledCount > 50);
});

test('tbel: 50,000 characters of anything compile or fail in a moment', () => {
  for (const piece of [
    'a+',
    'a&&',
    '!',
    '(',
    '[',
    '{a:',
    'if(a){}else ',
    'x.y',
    'a?b:',
    'f(',
    '1 ** ',
    'var x = f() ',
    'case 1: ',
    '- ',
    'a = ',
    '"',
    '/*',
  ]) {
    const begin = performance.now();
    compileTbel(piece.repeat(50_000 / piece.length), []);
    assert.ok(performance.now() - begin < 3000, piece);
  }
});
