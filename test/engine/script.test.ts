import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openScriptEngine } from '#engine/script/pool.ts';
import type { Script, ScriptArgs, ScriptKind } from '#engine/script.ts';

const engine = openScriptEngine({ hosts: 1 });
after(() => engine.close());

const js = (kind: ScriptKind, body: string): Script => ({ kind, language: 'JS', body });
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const UPLINK: ScriptArgs = [bytes('{"t":1}'), '{"topic":"x"}'];
const NODE: ScriptArgs = ['{"t":1}', '{"k":"v"}', 'POST_TELEMETRY_REQUEST'];
const DOWNLINK: ScriptArgs = ['{"t":1}', '{"k":"v"}', 'T', '{"i":"n"}'];

async function json(script: Script, args: ScriptArgs): Promise<unknown> {
  const [result] = await engine.run(script, [args]);
  return result!.ok ? (result!.json === undefined ? undefined : JSON.parse(result!.json)) : result!.fault;
}

for (const { name, script, args = UPLINK, gives } of [
  {
    name: 'the payload is a plain array of bytes 0..255, the metadata an object',
    script: js('uplink', 'return [Array.isArray(payload), payload.map(function (b) { return b.toString(16); }).join(""), metadata, payload.length];'),
    args: [new Uint8Array([0, 127, 128, 255]), '{"a":"b"}'] as ScriptArgs,
    gives: [true, '07f80ff', { a: 'b' }, 4],
  },
  {
    name: 'bytes, not JSON: the script reads it',
    script: js('uplink', 'return JSON.parse(String.fromCharCode.apply(String, payload));'),
    gives: { t: 1 },
  },
  { name: 'an empty payload', script: js('uplink', 'return payload;'), args: [new Uint8Array(), '{}'] as ScriptArgs, gives: [] },
  {
    name: 'functions behind the return, const and function over a helper',
    script: js('uplink', 'const atob = 5; return [atob, btoa(), x];\nfunction btoa() { return 6; }\nvar x;'),
    gives: [5, 6, null],
  },
  {
    name: 'an encoder sees message, metadata, type, integration metadata',
    script: js('downlink', 'return [msg, metadata, msgType, integrationMetadata];'),
    args: DOWNLINK,
    gives: [{ t: 1 }, { k: 'v' }, 'T', { i: 'n' }],
  },
  {
    name: 'a generator has names of its own',
    script: js('generator', 'return { msg: prevMsg, metadata: prevMetadata, msgType: prevMsgType };'),
    args: NODE,
    gives: { msg: { t: 1 }, metadata: { k: 'v' }, msgType: 'POST_TELEMETRY_REQUEST' },
  },
  {
    name: 'names that the user chose',
    script: { ...js('any', 'return [a, b, c];'), argNames: ['a', 'b', 'c'] },
    args: NODE,
    gives: [{ t: 1 }, { k: 'v' }, 'POST_TELEMETRY_REQUEST'],
  },
  {
    name: 'text beyond Latin-1 and lone surrogates',
    script: js('any', 'return [msg, msgType.length];'),
    args: ['"\\u0000é€😀"', '{}', '\ud800😀'] as ScriptArgs,
    gives: ['\u0000é€😀', 3],
  },
  { name: 'nothing returned', script: js('uplink', 'var x = 1;'), gives: undefined },
  { name: 'a comment at the end', script: js('uplink', 'return 1; // done'), gives: 1 },
  {
    name: 'the global object: the language, the console, the helpers',
    script: js('uplink', 'return Object.getOwnPropertyNames(globalThis).filter(function (n) { return /^[a-z]/.test(n); }).sort().join(" ");'),
    gives:
      'atob base64ToBytes btoa bytesToBase64 bytesToHex console decodeToJson decodeToString decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval globalThis hexToBytes isFinite isNaN parseBytesToFloat parseBytesToInt parseFloat parseInt toFixed toFlatMap undefined unescape',
  },
  {
    name: 'no way out',
    script: js(
      'uplink',
      'return [typeof require, typeof process, typeof global, typeof fetch, typeof WebAssembly, typeof Atomics, typeof SharedArrayBuffer, typeof gc, typeof setTimeout, Function("return typeof process")(), typeof new Function("a", "return a"), (function () {}).constructor("a", "b", "return a + b")(1, 2), (function () {}) instanceof Function].join();',
    ),
    gives: 'undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefined,function,3,true',
  },
  {
    name: 'base64 and text',
    script: js(
      'uplink',
      'return [atob("AP8="), btoa("\\u0000ÿ"), base64ToBytes("AQI"), bytesToBase64([1, 2, 255]), decodeToString([72, 195, 164, 226, 130, 172, 240, 159, 152, 128, 255]), decodeToJson(payload)];',
    ),
    gives: ['\u0000ÿ', 'AP8=', [1, 2], 'AQL/', 'Hä€😀\ufffd', { t: 1 }],
  },
  {
    name: 'text longer than a run',
    script: js(
      'uplink',
      'var b = []; for (var i = 0; i < 20000; i++) b.push(97 + i % 26); b.splice(9000, 0, 195, 164); b.push(-61, -92, 300); var t = decodeToString(b); return [t.length, t.slice(8190, 8194), t.slice(8999, 9002), t.slice(-3), decodeToString([]), decodeToString(b.slice(0, 8192)).length];',
    ),
    gives: [20003, 'abcd', 'däe', 'fä,', '', 8192],
  },
  {
    name: 'a large JSON payload in the time of one call',
    script: js('uplink', 'return decodeToJson(payload).length;'),
    args: [Buffer.from(JSON.stringify(new Array(150_000).fill('sixteen letters.'))), '{}'] as ScriptArgs,
    gives: 150_000,
  },
  {
    name: 'hex and numbers',
    script: js(
      'uplink',
      'return [hexToBytes("0x0aFF"), bytesToHex([10, 255]), parseBytesToInt([255, 254], 0, 2), parseBytesToInt([255, 254], 0, 2, false), parseBytesToInt([255, 255, 255, 255]), parseBytesToInt([1, 2, 3, 4]), parseBytesToFloat(hexToBytes("41EA62CC")).toFixed(4), parseBytesToFloat([0, 0, 128, 191], 0, 4, false)];',
    ),
    gives: [[10, 255], '0AFF', 65534, 65279, -1, 16909060, '29.2982', -1],
  },
  {
    name: 'rounding',
    script: js('uplink', 'return [toFixed(3.14159, 2), toFixed(1.005, 2), toFixed(2.345, 2), toFixed(-2.5, 0), toFixed(5, 2)];'),
    gives: [3.14, 1.01, 2.35, -3, 5],
  },
  {
    name: 'flat maps',
    script: js(
      'uplink',
      'var m = { a: { b: 1, c: [1, { d: 2 }] }, e: 3 }; return [toFlatMap(m), toFlatMap(m, ["e", "b"]), toFlatMap(m, [], false)];',
    ),
    gives: [
      { 'a.b': 1, 'a.c.0': 1, 'a.c.1.d': 2, e: 3 },
      { 'a.c.0': 1, 'a.c.1.d': 2 },
      { b: 1, 'c.0': 1, d: 2, e: 3 },
    ],
  },
  { name: 'filter true', script: js('filter', 'return msg.t === 1;'), args: NODE, gives: true },
  { name: 'switch with one label', script: js('switch', "return 'one';"), args: NODE, gives: 'one' },
  { name: 'switch without a label', script: js('switch', 'return [];'), args: NODE, gives: [] },
  {
    name: 'words in strings, comments and regular expressions',
    script: js(
      'filter',
      "// await nothing\nvar s = 'async Promise', r = /async'/; /* setTimeout */ return s.length > 0 && `await`.length / 2 / 1 > 0;",
    ),
    args: NODE,
    gives: true,
  },
]) {
  test(`script: ${name}`, async () => assert.deepEqual(await json(script, args), gives));
}

const shape = (message: string) => ({ reason: 'shape', message });
for (const { name, script, args = NODE, fault } of [
  { name: 'filter: a number', script: js('filter', 'return 1;'), fault: shape('Wrong result type: NUMBER') },
  { name: 'filter: a string', script: js('filter', 'return "yes";'), fault: shape('Wrong result type: STRING') },
  { name: 'filter: null', script: js('filter', 'return null;'), fault: shape('Wrong result type: NULL') },
  { name: 'filter: nothing', script: js('filter', 'var a;'), fault: shape('Wrong result type: UNDEFINED') },
  { name: 'switch: a flag', script: js('switch', 'return true;'), fault: shape('Wrong result type: BOOLEAN') },
  { name: 'switch: an element that is no text', script: js('switch', "return ['one', 5];"), fault: shape('Wrong result type: NUMBER') },
  { name: 'switch: a null element', script: js('switch', "return ['one', null];"), fault: shape('Wrong result type: NULL') },
  { name: 'log: an object', script: js('log', 'return {};'), fault: shape('Wrong result type: OBJECT') },
  { name: 'transform: a flag', script: js('transform', 'return true;'), fault: shape('Wrong result type: BOOLEAN') },
  { name: 'generator: a list', script: js('generator', 'return [];'), fault: shape('Wrong result type: ARRAY') },
  {
    name: 'uplink: a function',
    script: js('uplink', 'return function () {};'),
    args: UPLINK,
    fault: shape('Converter must return an object or an array of objects'),
  },
  {
    name: 'downlink: a symbol',
    script: js('downlink', 'return Symbol();'),
    args: DOWNLINK,
    fault: shape('Downlink converter must return an object or an array'),
  },
  {
    name: 'a promise',
    script: js('uplink', 'return (async () => ({}))();'),
    args: UPLINK,
    fault: shape('Script returned a promise: asynchronous scripts are not supported'),
  },
  {
    name: 'an error, with its place',
    script: js('any', '\n  throw new Error("bad thing");'),
    fault: { reason: 'thrown', message: 'bad thing (line 2, column 9)', position: { line: 2, column: 9 } },
  },
  {
    name: 'an error of the engine, in a function',
    script: js('any', 'return f();\nfunction f() {\n  return msg.a.b;\n}'),
    fault: {
      reason: 'thrown',
      message: "TypeError: Cannot read properties of undefined (reading 'b') (line 3, column 16)",
      position: { line: 3, column: 16 },
    },
  },
  { name: 'a text thrown', script: js('any', "throw 'x';"), fault: { reason: 'thrown', message: 'x' } },
  { name: 'an empty text thrown', script: js('any', "throw '';"), fault: { reason: 'thrown', message: 'Script threw an empty text' } },
  { name: 'an object thrown', script: js('any', 'throw { code: 5 };'), fault: { reason: 'thrown', message: '{"code":5}' } },
  { name: 'nothing thrown', script: js('any', 'throw undefined;'), fault: { reason: 'thrown', message: 'undefined' } },
  {
    name: 'a value thrown that throws when it is read',
    script: js('any', 'throw new Proxy({}, { get: function () { throw 1; }, getPrototypeOf: function () { throw 2; } });'),
    fault: { reason: 'thrown', message: 'Script threw a value that can not be read' },
  },
  {
    name: 'data that is no JSON',
    script: js('any', 'return 1;'),
    args: ['x', '{}', 'T'] as ScriptArgs,
    fault: { reason: 'thrown', message: 'SyntaxError: Unexpected token \'x\', "x" is not valid JSON' },
  },
  {
    name: 'empty data',
    script: js('any', 'return 1;'),
    args: ['', '{}', 'T'] as ScriptArgs,
    fault: { reason: 'thrown', message: 'SyntaxError: Unexpected end of JSON input' },
  },
  {
    name: 'a syntax error, with its place',
    script: js('any', 'var a = 1;\nreturn ((;'),
    fault: { reason: 'compile', message: "SyntaxError: Unexpected token ';' (line 2, column 10)", position: { line: 2, column: 10 } },
  },
  {
    name: 'a body that closes the function',
    script: js('any', '}); (function () {'),
    fault: { reason: 'compile', message: 'SyntaxError: Single function literal required' },
  },
  { name: 'a blank script', script: js('filter', ' \n'), fault: { reason: 'compile', message: 'JS script is blank!' } },
  ...['async', 'await', 'Promise', 'setTimeout'].map((word) => ({
    name: `the word ${word}`,
    script: js('filter', `return ${word};`),
    fault: { reason: 'compile', message: `Script must not contain '${word}' keyword.` },
  })),
  {
    name: 'a body over the limit',
    script: js('any', `return 1;${' '.repeat(50_000)}`),
    fault: { reason: 'too-large', message: 'Script of 50009 characters is over the limit of 50000' },
  },
  {
    name: 'a result over the limit',
    script: js('any', 'return "x".repeat(300000);'),
    fault: { reason: 'too-large', message: 'Script result of 300002 characters is over the limit of 300000' },
  },
  {
    name: 'blank TBEL',
    script: { kind: 'uplink', language: 'TBEL', body: '' } as Script,
    args: UPLINK,
    fault: { reason: 'compile', message: 'TBEL script is blank!' },
  },
  {
    name: 'argument names that are none',
    script: { ...js('any', 'return 1;'), argNames: ['a', 'b) {', 'c'] },
    fault: { reason: 'compile', message: 'Invalid argument name: b) {' },
  },
]) {
  test(`script refused: ${name}`, async () => assert.deepEqual(await json(script, args), fault));
}

for (const body of ['}); (function () {', 'return 1; }, function () {', 'return ((;']) {
  test(`check refuses what run refuses, before anybody has run it: ${body}`, async () => {
    const script = js('filter', `${body} // checked first`);
    const fault = await engine.check(script);
    assert.equal(fault?.reason, 'compile');
    const [result] = await engine.run(script, [['{}', '{}', 'T']]);
    assert.deepEqual(result, { ok: false, fault });
  });
}

test('check tells without running, and run tells the same', async () => {
  assert.equal(await engine.check(js('any', 'while (true) {}')), null);
  const bad = js('transform', 'return {');
  const fault = await engine.check(bad);
  assert.equal(fault?.reason, 'compile');
  assert.deepEqual(await engine.run(bad, [NODE]), [{ ok: false, fault }]);
  assert.equal(await engine.check({ kind: 'filter', language: 'TBEL', body: 'return true;' }), null);
});

for (const [body, outcome] of [
  ['return [{msg: {i: 1}}, {:}];', { ok: true, json: '[{"msg":{"i":1}},{}]' }],
  ['return [];', { ok: true, json: '[]' }],
  ['return [{:}, 5];', 'Integer'],
  ["return ['a', 5];", 'String'],
  ['return [null];', 'null'],
  ['return [[1]];', 'ArrayList'],
  ['return 5;', 'Integer'],
] as const)
  test(`a TBEL transformation gives maps: ${body}`, async () =>
    assert.deepEqual(await engine.run({ kind: 'transform', language: 'TBEL', body }, [NODE]), [
      typeof outcome === 'string' ? { ok: false, fault: { reason: 'shape', message: `Wrong result type: ${outcome}` } } : outcome,
    ]));

test('what a script prints comes back with its result, bounded', async () => {
  const [some, many] = await engine.run(
    js('any', 'console.log("a", { b: 1 }, 5); console.warn(undefined); for (var i = 0; i < msg; i++) console.info("x".repeat(5000)); throw 1;'),
    [
      ['0', '{}', 'T'],
      ['100', '{}', 'T'],
    ],
  );
  assert.deepEqual(some, { ok: false, fault: { reason: 'thrown', message: '1' }, logs: ['a {"b":1} 5', 'undefined'] });
  assert.ok(many!.logs!.length < 20 && many!.logs!.every((line) => line.length <= 1000));
});

test('results come in the order of the calls, whatever the size of the batch', async () => {
  const calls = Array.from({ length: 1500 }, (_, index): ScriptArgs => [JSON.stringify({ index }), '{}', 'T']);
  const results = await engine.run(js('any', 'return msg.index;'), calls);
  assert.deepEqual(
    results,
    calls.map((_, index) => ({ ok: true, json: String(index) })),
  );
});

test('a payload of 10 MB', async () => {
  const payload = new Uint8Array(10 * 1024 * 1024).fill(200);
  assert.deepEqual(await engine.run(js('uplink', 'return [payload.length, payload[payload.length - 1]];'), [[payload, '{}'], UPLINK]), [
    { ok: true, json: '[10485760,200]' },
    { ok: true, json: '[7,125]' },
  ]);
});

test('JSON nested 10,000 levels deep goes in, and what can not come out is an error', async () => {
  const deep = '['.repeat(10_000) + ']'.repeat(10_000);
  const [read] = await engine.run(js('any', 'return 1;'), [[deep, '{}', 'T']]);
  assert.deepEqual(read, { ok: true, json: '1' });
  const [cyclic] = await engine.run(js('any', 'var a = {}; a.a = a; return a;'), [NODE]);
  assert.equal(cyclic!.ok, false);
});

test('no script host module knows the network or starts processes', () => {
  const folder = join(import.meta.dirname, '../../engine/script');
  // What hostSource() puts together is what a host runs; the rest of the folder belongs to the parent.
  const files = [
    .../'([a-z-]+\.ts)'/g[Symbol.matchAll](/const FILES = \[(.*?)\]/s.exec(readFileSync(join(folder, 'host-source.ts'), 'utf8'))![1]!),
  ].map(([, file]) => file!);
  assert.ok(files.includes('host.ts') && files.every((file) => globSync(join(folder, file)).length === 1));
  const imports = files
    .flatMap((file) =>
      [...readFileSync(join(folder, file), 'utf8').matchAll(/(?:from |import\(|import |require\()'([^']+)'/g)].map(([, name]) => name!),
    )
    .filter((name) => !name.startsWith('.'));
  assert.deepEqual([...new Set(imports)].sort(), ['isolated-vm', 'node:fs', 'node:v8', 'node:vm']);
});
