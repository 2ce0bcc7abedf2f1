import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileTbel } from '#engine/script/tbel/compiler.ts';

// ---- no program hangs or crashes the compiler, and what it makes reaches its arguments and the runtime only ----

const WORDS =
  'var x y f payload msg if else for foreach while do until switch case default function def return break continue new int Math Integer or and in is contains instanceof isdef null true "s" \'t\' 1 2.5 0xFF 7L .? . , ; : ? ( ) [ ] { } + - * / % ** & | ^ << >>> == != < >= && || ! ~ = += ++ -- $ # ~= eval globalThis process constructor __proto__ \\ ` \u2028 ä'.split(
    ' ',
  );
/** Strings away, generated code is made of our own names: `g$x`, `l1$x`, `f0$x`, temps, constants, operations and the language's words. */
const OWN =
  /^(?:[gf]\d*\$\w[\w$]*|[gf]\d*\$\$[\w$]*|l\d+\$[\w$]*|[tkbep]\d+|\d[\w.]*|function|operations|use|strict|const|let|return|if|else|for|of|while|do|break|continue|undefined|null|true|false|map|NaN|Infinity|[a-z]\w*)$/;
const OPERATIONS = new Set(
  'add asInt asLong at big bitAnd bitOr bitXor bool call callLibrary callStatic cast clampedOp complement constant contains count create dbl div each eq field flt ge get gt intAdd intDiv intMul intSub isA isBlank isEmptyValue itemsOf le lng lt matchesRegex missing mod mul negate newArray pairs pow put putAt shiftLeft shiftRight shiftRightZero similarity soundsLike stop sub textOf function operations const let return if else for of while do break continue undefined null true false map n uses run'.split(
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

/** Compiles within a bound of time, and to no more code than the text deserves. */
function bounded(program: string): void {
  const begin = performance.now();
  const compiled = compileTbel(program, ['payload', 'metadata']);
  assert.ok(performance.now() - begin < 3000, program.slice(0, 100));
  if (!compiled.ok) return;
  assert.ok(compiled.code.length < 5000 + program.length * 60, `${compiled.code.length} from ${program.length}: ${program.slice(0, 100)}`);
  assert.deepEqual(foreignWords(compiled.code), [], program.slice(0, 200));
  new Function(`return ${compiled.code}`);
}

const MAX = 50_000;
test('tbel: 50,000 characters of anything compile or fail in a moment', () => {
  for (const piece of [
    ...[
      'a+',
      'a&&',
      'a or ',
      '!',
      '~',
      '(',
      '[',
      '{',
      '{a:',
      'if(a){}else ',
      'if(a)',
      'x.y',
      '.?a',
      'a[',
      'a?b:',
      'a?',
      'f(',
      '1 ** ',
      'var x = f() ',
    ],
    ...[
      'case 1: ',
      '- ',
      'a = ',
      'a += ',
      '++',
      '"',
      '"\\',
      '/*',
      '//',
      '\\u',
      'a#',
      'a~="b"+',
      'a contains ',
      'new ',
      'new int[',
      '(int)',
      '9',
      '0x',
      '0xF',
    ],
    ...[
      '1e',
      '.',
      '1.',
      ';',
      ',',
      ':',
      '{}',
      '[]',
      '()',
      'function f(a){',
      'function f(){return 1;}',
      'foreach(a:b){',
      'for(;;){',
      'while(a){',
      'do{',
    ],
    ...[
      'switch(a){case 1:',
      'switch(a){default:',
      'return ',
      'break;',
      'continue;',
      'x=1;',
      'var q;',
      'var a=1,',
      'int a;',
      'a.b.c+=d[e].f;',
      'l[i++]+=1;',
    ],
    ...['(a in ', '($ in [', 'ä', '\ud83d\ude00', '\ud83d', '\u0000', '\ue000', 'def f(x) ', 'a==empty ', 'isdef ', 'payload[0]&0xFF|', 'm.k=null\n'],
  ]) {
    bounded(piece.repeat(MAX / piece.length));
    bounded(`return ${piece.repeat(100)}`);
  }
});

test('tbel: what is nested is closed again, at any depth', () => {
  for (const [open, close] of [
    ['(', ')'],
    ['[', ']'],
    ['{a: ', '}'],
    ['{', '}'],
    ['f(', ')'],
    ['a[', ']'],
    ['(a in ', ')'],
    ['(c ? a : ', ')'],
    ['[c ? a : ', ']'],
    ['-(', ')'],
    ['!(', ')'],
    ['new int[', ']'],
    ['if (a) {', '}'],
    ['foreach (a : b) {', '}'],
    ['for (var i = 0; i < 2; i++) { var x = i;', '}'],
    ['while (a) { b = 1;', '}'],
    ['do {', '} while (a);'],
    ['switch (a) { case 1: b = 2;', '}'],
    ['function f(a) { var b = a;', '}'],
    ['function f(a) { return a;', '} f(1);'],
  ] as const)
    for (const depth of [5, 19, 60, 140, 1000, 3000]) {
      bounded(`return ${open.repeat(depth)}1${close.repeat(depth)};`);
      bounded(`${open.repeat(depth)}x = 1;${close.repeat(depth)}`);
    }
});

const REAL = [
  'var r = {}; foreach (e : decodeToJson(payload).entrySet()) { if (e.value != null && !r.containsKey(e.key)) { r[e.key] = toFixed(e.value * 9 / 5 + 32, 2); } } return {telemetry: {ts: metadata.ts, values: r}};',
  'function f(m, i) { var l = m.?a.b[i++]; m.x += (l & 0xFF) << 8 | l >> 1; switch (l) { case 0x01: case 2: m.s = "a\\u00E9" + i; break; default: return null; } return {k: l ? "y" : "n", "z": [1, 2.5, 3L, -4]}; } return f({}, 0);',
  'var i = 0; while (i < payload.size()) { var t = payload[i++]; do { i = i + 1; } while (i % 2 == 0 || t ~= "x"); until (i > 3) { i++; } } return (toUpperCase() in ["a", "b"]) + new Date(2024, 1, 2).getTime();',
];
const SIGNS = [
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  ';',
  ',',
  ':',
  '?',
  '.',
  '"',
  "'",
  '\\',
  '/*',
  '//',
  '=',
  '+',
  '-',
  '&&',
  'return',
  'function',
  'var',
  'if',
  'else',
  'case',
  'in',
  'new',
  '0x',
  '1e',
  ' ',
];
test('tbel: real programs with something missing, too much or in another place', () =>
  fc.assert(
    fc.property(
      fc.constantFrom(...REAL),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 12 }), fc.constantFrom('', ...SIGNS)), { minLength: 1, maxLength: 4 }),
      (program, changes) => {
        let text = program;
        for (const [place, cut, sign] of changes) {
          const at = place % (text.length + 1);
          text = text.slice(0, at) + sign + text.slice(at + cut);
        }
        bounded(text);
      },
    ),
    { numRuns: 4000, seed: 424_242 },
  ));
