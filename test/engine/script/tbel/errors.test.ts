import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openScriptEngine } from '#engine/script/pool.ts';
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
