import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openScriptEngine } from '#engine/script/pool.ts';
import type { ScriptArgs } from '#engine/script.ts';
import { outcomeOf } from './run.ts';

const engine = openScriptEngine({ hosts: 1 });
after(() => engine.close());
const ARGS: ScriptArgs = ['{"t":1,"__proto__":{"x":1},"constructor":"c","l":[1]}', '{"k":"v"}', 'T'];

/** JSON, or the reason of the fault and its message without the place. */
async function outcome(body: string): Promise<string> {
  const [result] = await engine.run({ kind: 'any', language: 'TBEL', body }, [ARGS]);
  if (result!.ok) return String(result!.json);
  return `${result!.fault.reason}: ${result!.fault.message.replace(/ \(line \d+, column \d+\)$/, '')}`;
}
const unknown = (name: string): string => `thrown: unresolvable property or identifier: ${name}`;
const noMethod = (name: string, args = ''): string =>
  `thrown: unable to resolve method: ${name}(${args}) [arglength=${args === '' ? 0 : args.split(',').length}]`;

// ---- names of the host and of the language are names of nothing ----

// Not isolated, so that every name of the host would be there to be found.
for (const name of [
  ...['globalThis', 'global', 'window', 'process', 'require', 'module', 'Function', 'eval', 'Reflect', 'Proxy', 'Symbol', 'Promise', 'WebAssembly'],
  ...['console', 'Error', 'Map', 'Set', 'Array', 'BigInt', 'undefined', 'arguments', 'this', 'self', 'constructor', '__proto__', 'prototype'],
  // What the generated code calls its own things.
  ...['operations', 'get', 'put', 'call', 'callStatic', 'g$msg', 'l1$msg', 'f0$f', 't0', 'k0', 'e0', 'b0', 'uses', 'run', 'lng'],
])
  test(`tbel hostile: the name ${name}`, () => {
    const none = `error: unresolvable property or identifier: ${name}`;
    for (const asked of [name, `${name}("1")`, `${name}.x`]) assert.equal(outcomeOf(`return ${asked};`), none);
    assert.equal(outcomeOf(`var ${name} = 5; function f(${name}) { return ${name} + 1; } return [${name}, f(1)];`), '[5,2]');
  });

// ---- no value leads anywhere ----

for (const value of [
  '"text"',
  '5',
  '1.5',
  '5L',
  '1.5f',
  'true',
  '"c"[0]',
  '[1]',
  '{a: 1}',
  'toSet([1])',
  'new int[1]',
  'new Date(0)',
  'payloadEntry()',
  'new Random()',
]) {
  const program = (asked: string): string => `function payloadEntry() { foreach (e : {a: 1}) { return e; } } var v = (${value}); return ${asked};`;
  test(`tbel hostile: what ${value} has`, async () => {
    const isMap = value === '{a: 1}';
    for (const name of ['constructor', '__proto__', 'prototype', 'caller', 'callee', '__defineGetter__', '__lookupGetter__', 'isPrototypeOf']) {
      const found = await outcome(program(`v.${name}`));
      assert.equal(found, isMap ? 'null' : unknown(name));
      assert.match(await outcome(program(`v.${name}("return 1")`)), /^thrown: unable to resolve method: /);
      if (!isMap) assert.match(await outcome(program(`v["${name}"]`)), /^thrown: /);
    }
    for (const method of ['getClass', 'valueOf', 'apply', 'bind', 'toSource', 'hasOwnProperty', 'constructor'])
      if (!(method === 'valueOf' && value === 'new Date(0)')) assert.equal(await outcome(program(`v.${method}()`)), noMethod(method));
  });
}

for (const { name, body, gives } of [
  {
    name: 'keys of maps are keys',
    body: 'var m = {}; m.__proto__ = {y: 1}; m.constructor = 2; m["toString"] = 3; m.valueOf = 4; return [m, m.y, {}.__proto__, {}.constructor, "" + {valueOf: 1, toString: 2}];',
    gives: '[{"__proto__":{"y":1},"constructor":2,"toString":3,"valueOf":4},null,null,null,"{valueOf=1, toString=2}"]',
  },
  {
    name: 'keys of arguments are keys',
    body: 'return [msg.__proto__, msg.constructor, msg.x, msg.hasOwnProperty, msg.valueOf];',
    gives: '[{"x":1},"c",null,null,null]',
  },
  { name: 'fields of arguments', body: 'return [msg.t, msg.isPrototypeOf, msg.__defineSetter__, msg.toLocaleString];', gives: '[1,null,null,null]' },
  { name: 'keys that are maps with names of methods', body: 'var m = {}; m[{toString: 1}] = 2; return m;', gives: '{"{toString=1}":2}' },
  {
    name: 'numbers that are maps',
    body: 'return [{valueOf: 5} * 2, {valueOf: 5} - 1, -1 + {toString: "x"}];',
    gives: '[null,null,"-1{toString=x}"]',
  },
  {
    name: 'an index that is a map',
    body: 'var l = [1, 2]; return l[{valueOf: 1}];',
    gives: 'thrown: class org.mvel2.execution.ExecutionHashMap cannot be cast to class java.lang.Integer',
  },
  {
    name: 'an index that is a name',
    body: 'var l = [1, 2]; return l["length"];',
    gives: 'thrown: class java.lang.String cannot be cast to class java.lang.Integer',
  },
  {
    name: 'an element that is a property',
    body: 'var l = [1, 2]; l["constructor"] = 1;',
    gives: 'thrown: class java.lang.String cannot be cast to class java.lang.Integer',
  },
  { name: 'a property of a list', body: 'var l = [1]; l.constructor = 1; return l;', gives: unknown('constructor') },
  { name: 'a property of a text', body: 'var s = "x"; s.length = 9; return s;', gives: unknown('length') },
  { name: 'the read-only mark', body: 'var l = [1].toUnmodifiable(); l.isReadOnly = false;', gives: unknown('isReadOnly') },
  { name: 'a class is no value', body: 'var c = String; return c.fromCharCode(65);', gives: 'thrown: null pointer: c' },
  { name: 'methods of classes of the language', body: 'return String.fromCharCode(65);', gives: noMethod('fromCharCode', 'java.lang.Integer') },
  { name: 'what the language does with Math', body: 'return Math.constructor("return 1");', gives: noMethod('constructor', 'java.lang.String') },
  { name: 'what the language does with JSON', body: 'return JSON.rawJSON("1");', gives: noMethod('rawJSON', 'java.lang.String') },
  { name: 'a property of a class', body: 'return Date.prototype;', gives: unknown('Date') },
  { name: 'a reviver', body: 'return JSON.parse("1", "x");', gives: noMethod('parse', 'java.lang.String, java.lang.String') },
  { name: 'a replacement with patterns of the language', body: 'return "abc".replace("b", "$&$`$\'");', gives: '"a$&$`$\'c"' },
  { name: 'a group that is not there', body: 'return "abc".replaceAll("b", "$&");', gives: 'thrown: Illegal group reference' },
  { name: 'a date that is none', body: 'var d = new Date(9223372036854775807L); return d.getTime() > 0;', gives: 'true' },
  {
    name: 'a zone that is none',
    body: 'return new Date(0).toLocaleString("en-US", "../../etc/passwd");',
    gives: 'thrown: Invalid time zone specified: ../../etc/passwd',
  },
  { name: 'a language that is none', body: 'return new Date(0).toLocaleString("x", "UTC");', gives: 'thrown: Incorrect locale information provided' },
  { name: 'a class to create', body: 'return new Function("return 1");', gives: 'thrown: could not resolve class: Function' },
  {
    name: 'a class to create, of the host',
    body: 'return new java.lang.ProcessBuilder("id");',
    gives: 'thrown: could not resolve class: java.lang.ProcessBuilder',
  },
  { name: 'escapes in a name', body: 'return \\u0065val;', gives: 'compile: unexpected character: \\' },
  { name: 'an end of the generated text', body: 'return "\\u2028\\u0022); }; throw 1; //";', gives: '"\u2028\\"); }; throw 1; //"' },
  { name: 'the private characters of the compiler', body: 'return "\ue0000\ue001" + "\u0001\u0002";', gives: '"\ue0000\ue001\\u0001\\u0002"' },
  { name: 'the private characters of the compiler as a name', body: 'return \ue000;', gives: 'compile: unexpected character: \ue000' },
  {
    name: 'private characters in a message',
    body: 'raiseError("\u0001\u0002");',
    gives: 'thrown: raiseError("\u0001\u0002"): \u0001\u0002',
  },
])
  test(`tbel hostile: ${name}`, async () => assert.equal(await outcome(body), gives));

// ---- limits: as for JavaScript, and those of the sheet that have a message (§7.2) ----

const LIMIT = /^(?:timeout|memory|killed): /;
for (const { name, body, gives } of [
  { name: 'a loop without an end', body: 'while (true) {}', gives: /^timeout: / },
  { name: 'a loop over a number', body: 'foreach (i : 999999999) { }', gives: /^timeout: / },
  { name: 'a loop that counts nothing', body: 'for (;;);', gives: /^timeout: / },
  { name: 'recursion without an end', body: 'function f(a) { return f(a); } return f(1);', gives: /^thrown: StackOverflowError$|^timeout: / },
  { name: 'recursion that doubles', body: 'function f(n) { return n == 0 ? 0 : f(n - 1) + f(n - 1); } return f(60);', gives: /^timeout: / },
  { name: 'a text that grows', body: 'var s = "x"; while (true) { s = s + s + 1; }', gives: /^thrown: RangeError: Invalid string length$|^memory: / },
  { name: 'a list that grows', body: 'var l = []; while (true) { l.add("x" + l.size()); }', gives: LIMIT },
  { name: 'a list that doubles', body: 'var l = [1]; while (true) { l.addAll(l); }', gives: LIMIT },
  { name: 'a list that is added to itself', body: 'var l = [1]; while (true) { l = l + l; }', gives: /^(?:timeout|memory|killed|thrown): / },
  { name: 'a map that grows', body: 'var m = {}; var i = 0; while (true) { m[i++] = i; }', gives: /^(?:timeout|memory|killed|thrown): / },
  { name: 'a pattern that goes back and back', body: 'return "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!".matches("(a+)+b");', gives: /^timeout: / },
  {
    name: 'a text that is a lot of texts',
    body: 'return "x".repeat(5000000);',
    gives: /^thrown: Max string length overflow \(5000000 > 4194304\)!$/,
  },
  {
    name: 'a text that is two long ones',
    body: 'return "x".repeat(4194304).concat("x");',
    gives: /^thrown: Max string length overflow \(4194305 > 4194304\)!$/,
  },
  {
    name: 'a text that is filled up',
    body: 'return padStart("x", 5000000, "0");',
    gives: /^thrown: padStart\("x", 5000000, "0"\): Max string length overflow \(5000000 > 4194304\)!$/,
  },
  { name: 'a long array', body: 'return new int[5000000];', gives: /^thrown: Max array length overflow \(5000000 > 524288\)!$/ },
  { name: 'an array of less than nothing', body: 'return new int[-1];', gives: /^thrown: -1$/ },
  {
    name: 'a long replacement',
    body: 'return "x".replace("x", "y".repeat(100000));',
    gives: /^thrown: Max replacement length overflow \(100000 > 83886\)!$/,
  },
  { name: 'a wide format', body: 'return String.format("%99999999d", 1);', gives: /^thrown: Max string length overflow/ },
  {
    name: 'a result that is too long',
    body: 'return "x".repeat(400000);',
    gives: /^too-large: Script result of 400002 characters is over the limit of 300000$/,
  },
  {
    name: 'a list that contains itself',
    body: 'var l = []; l.add(l); return l;',
    gives: /^thrown: The value is nested too deeply, or contains itself$/,
  },
  { name: 'a map that contains itself, as a text', body: 'var m = {}; m.m = m; return "" + m;', gives: /^thrown: StackOverflowError$/ },
  {
    name: 'a list that contains itself, compared',
    body: 'var a = []; a.add(a); var b = []; b.add(b); return a == b;',
    gives: /^thrown: StackOverflowError$/,
  },
  {
    name: 'a map that contains itself, made flat',
    body: 'var m = {}; m.m = m; return toFlatMap(m);',
    gives: /^thrown: toFlatMap\(m\): The value is nested too deeply$/,
  },
  { name: 'a hash of what contains itself', body: 'var l = []; l.add(l); return l.hashCode();', gives: /^thrown: StackOverflowError$/ },
  { name: 'a deep text', body: `return decodeToJson("${'['.repeat(20000)}");`, gives: /^thrown: .*JSON is nested too deeply$/s },
  {
    name: 'a long text of an argument',
    body: `return 1; /*${'x'.repeat(50000)}*/`,
    gives: /^too-large: Script of 50014 characters is over the limit of 50000$/,
  },
])
  test(`tbel limit: ${name}`, async () => assert.match(await outcome(body), gives));

test('tbel limit: who overran a limit is run again, and a neighbour is not touched', async () => {
  const [bad, good] = await Promise.all([outcome('while (true) {}'), outcome('return msg.t + 1;')]);
  assert.match(bad, /^timeout: /);
  assert.equal(good, '2');
});
