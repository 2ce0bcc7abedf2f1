import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { compileTbel } from '#engine/script/tbel/compiler.ts';
import { readJson, writeJson } from '#engine/script/tbel/runtime/json.ts';
import { type Make, runnerOf } from '#engine/script/tbel/runtime/program.ts';
import type { ScriptKind } from '#engine/script.ts';

const NAMES = {
  uplink: ['payload', 'metadata'],
  downlink: ['msg', 'metadata', 'msgType', 'integrationMetadata'],
  any: ['msg', 'metadata', 'msgType'],
};
/** As a host calls it, not isolated. */
function codeOf(kind: keyof typeof NAMES, body: string, ...[a, b = '{}', c = 'T', d = '{}']: readonly [string, string?, string?, string?]): string {
  const compiled = compileTbel(body, NAMES[kind]);
  assert.ok(compiled.ok);
  const make = new Function(`return ${compiled.code}`)() as Make;
  return runnerOf(kind satisfies ScriptKind, make, 300_000)(a, b, c, d).split('\n')[0]!;
}

/** Specs: tbel §1. What is there whole, and what is read of arguments that are used for their properties only, must be the same. */
for (const text of [
  '{"a":1,"b":2}',
  '{"a":1.0}',
  '{"a":1e0}',
  '{"a":1E2,"b":1}',
  '{"a":-0}',
  '{"a":-0.0}',
  '{"a":0}',
  '{"a":2147483647}',
  '{"a":2147483648}',
  '{"a":9007199254740993}',
  '{"a":9223372036854775808}',
  '{"a":20.3,"b":"12:00:00.000"}',
  '{"a":1.50}',
  '{"a":null}',
  '{"b":1}',
  '{"a":{"b":1.0,"10":1,"2":2}}',
  '{"a":[1,null,1.0]}',
  '{"a":"x","a":"y"}',
  '{"a":true}',
  '[1]',
  '"text"',
  '5',
  'null',
  '{',
  '',
]) {
  test(`tbel arguments: ${text}`, () => {
    const read = 'return [msg.a, msg.a instanceof Integer, msg.a instanceof Long, msg.a instanceof Double];';
    assert.equal(codeOf('any', read, text).slice(0, 40), codeOf('any', `var all = msg; ${read.replaceAll('msg', 'all')}`, text).slice(0, 40));
  });
}

for (const [name, kind, body, given, code] of [
  ['a payload is a list of signed bytes', 'uplink', 'return [payload, payload.size()];', ['\u0001ÿ'], 'J[[1,-1],2]'],
  ['only its size', 'uplink', 'return payload.length;', ['\u0001ÿ'], 'J2'],
  ['what nobody reads', 'uplink', 'return 1;', ['\u0001ÿ'], 'J1'],
  ['nulls leave maps and stay in lists', 'any', 'return msg;', ['{"a":null,"b":[null,{"c":null}]}'], 'J{"b":[null,{}]}'],
  ['keys stay in order', 'any', 'return msg;', ['{"b":1,"10":2,"2":3,"__proto__":4}'], 'J{"b":1,"10":2,"2":3,"__proto__":4}'],
  ['texts of metadata of a downlink', 'downlink', 'return [metadata.n + 1, metadata.n instanceof String];', ['{}', '{"n":85}'], 'J["851",true]'],
  ['kinds of integration metadata', 'downlink', 'return integrationMetadata.n + 1;', ['{}', '{}', 'T', '{"n":85}'], 'J86'],
  ['names that objects have', 'any', 'return [msg.constructor, msg.toString, msg.__proto__, msg.hasOwnProperty];', ['{}'], 'J[null,"{}",null,null]'],
  ['names that maps answer', 'any', 'return [msg.size, msg.keys, msg.empty];', ['{"a":1}'], 'J[1,["a"],false]'],
  ['what is written deep down is read again', 'any', 'msg.a.b = 2; return [msg.a.b, msg.a];', ['{"a":{"b":1}}'], 'J[2,{"b":2}]'],
  ['what a function reads', 'any', 'function f() { return msg.a + 1; } return f();', ['{"a":1}'], 'J2'],
  ['an argument that a function hides', 'any', 'function f(msg) { return msg.b; } return f({b: 7}) + msg.a;', ['{"a":1}'], 'J8'],
  ['an argument that is given away', 'any', 'msg = {a: 5}; return msg.a;', ['{"a":1}'], 'J5'],
  ['a safe step', 'any', 'return [msg.?x.y.z, msg.?a.b];', ['{"a":{"b":1}}'], 'J[null,1]'],
  ['a message that is no JSON, and is not read', 'any', 'return 1;', ['{'], /^E\d+:Expected property name/],
  ['an exact result', 'any', 'return [7.0, 7, 0.0 / 0.0, 1.0 / 0, "é\\n\\"", 1e10, 5L];', ['{}'], 'J[7.0,7,"NaN","Infinity","é\\n\\"",1.0E10,5]'],
] as const)
  test(`tbel arguments: ${name}`, () => {
    const found = codeOf(kind, body, ...(given as readonly [string]));
    if (typeof code === 'string') assert.equal(found, code);
    else assert.match(found, code);
  });

test('tbel arguments: JSON is read as the language reads it, and what is none is refused', () => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '{', ',', '-', '.', 'e', '0', '\\', '\n', '[', ']'))
    .map(([json, at, sign]) => {
      const place = at % (json.length + 1);
      return json.slice(0, place) + sign + json.slice(place + (at % 2));
    });
  fc.assert(
    fc.property(fc.oneof(fc.json(), broken, fc.json({ noUnicodeString: false }), fc.double().map(String)), (text) => {
      // Nulls leave maps; the sign of a zero is asked above.
      const plain = (json: string): unknown => JSON.parse(json, (_, value) => (value === null ? undefined : value === 0 ? 0 : value));
      let expected: unknown;
      try {
        expected = plain(text);
      } catch {
        assert.throws(() => readJson(text));
        return;
      }
      assert.deepEqual(plain(writeJson(readJson(text))), expected);
    }),
    { numRuns: 3000, seed: 20_240_817 },
  );
});
