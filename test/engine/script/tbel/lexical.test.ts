import { rows } from './run.ts';

/** Specs: tbel §2. */
rows('comments and names', [
  ['return 1 // one\n + 2; /* three\n; */', '3'],
  ['return 1 ## 2;', 'compile: unexpected token: # (line 1, column 11)'],
  ['var ä = 1; var $a = 2; var _b = 3; var A = 4; return [ä, $a, _b, A];', '[1,2,3,4]'],
  ['var a = 1; return A;', 'error: unresolvable property or identifier: A'],
  ['var\u0009x\r\n=\n1 ; return x ;', '1'],
]);

rows('strings', [
  [`"it's" + 'say "x"'`, '"it\'ssay \\"x\\""'],
  ['"a" instanceof String', 'true'],
  ['"a\nb"', '"a\\nb"'],
  ['"\\\\ \\n\\t\\r\\b\\f \\\' \\""', '"\\\\ \\n\\t\\r\\b\\f \' \\""'],
  ['"\\u00E9\\u20AC"', '"é€"'],
  ['"\\101\\60\\0\\377"', '"A0\\u0000ÿ"'],
  ['"\\400"', '" 0"'],
  ['"\\u00e9"', 'compile: illegal unicode escape sequence: 00e9 (line 1, column 9)'],
  ['"a\\/b"', 'compile: illegal escape sequence: / (line 1, column 10)'],
  ['"\\x41"', 'compile: illegal escape sequence: x (line 1, column 9)'],
  ['"\\q"', 'compile: illegal escape sequence: q (line 1, column 9)'],
  ['"abc', 'compile: unterminated string literal (line 1, column 8)'],
]);

rows('numbers', [
  ['[999999999 instanceof Integer, 1000000000 instanceof Long, 2147483647 instanceof Long]', '[true,true,true]'],
  ['[-99999999 instanceof Integer, -999999999 instanceof Long]', '[true,true]'],
  ['9223372036854775807', '9223372036854775807'],
  ['9223372036854775808', 'compile: badly formatted number: 9223372036854775808 (line 1, column 8)'],
  ['[0x7FFFFFFF instanceof Integer, 0xFFFFFFFF instanceof Long, 0xFFFFFFFF]', '[true,true,4294967295]'],
  ['[0x80000000, 0x80000000 instanceof Long]', '[-2147483648,true]'],
  ['[0xff, 0xFf]', '[255,255]'],
  ['[017, 0, 00]', '[15,0,0]'],
  ['08', 'compile: badly formatted number: 08 (line 1, column 8)'],
  ['0b101', 'compile: invalid number literal: 0b (line 1, column 8)'],
  ['1_000', 'compile: invalid number literal: 1_ (line 1, column 8)'],
  ['0X1F', 'compile: invalid number literal: 0X (line 1, column 8)'],
  ['0x', 'compile: invalid number literal: 0x (line 1, column 8)'],
  [
    '[5L instanceof Long, 5l instanceof Long, 5D instanceof Double, 5d instanceof Double, 5F instanceof Float, 5f instanceof Float]',
    '[true,true,true,true,true,true]',
  ],
  ['[5I, 5B]', '[5,5.0]'],
  ['[1.5, .5, 5., 1e3, 1.5e-3, 1e+3]', '[1.5,0.5,5.0,1000.0,0.0015,1000.0]'],
  ['(5).toString()', '"5"'],
  ['5.toString()', 'compile: invalid number literal: 5.t (line 1, column 8)'],
  ['[-5, - 5, 0 - 5]', '[-5,-5,-5]'],
  ['+5', 'error: a plus sign in front of a value is no operation'],
  ['-0x10', 'compile: badly formatted number: -0x10 (line 1, column 8)'],
]);

rows('words', [
  ['[true, false, null, nil, null == empty]', '[true,false,null,null,true]'],
  ...['undefined', 'NaN', 'Infinity', 'True'].map((name) => [name, `error: unresolvable property or identifier: ${name}`] as const),
  [
    'var class = 1; var type = 2; var data = 3; var list = 4; var map = 5; var length = 6; var size = 7; var value = 8; var ctx = 9; var e = 10; var proto = 11; var try = 12; var typeof = 13; return class + type + data + list + map + length + size + value + ctx + e + proto + try + typeof;',
    '91',
  ],
  // Fails only where it is executed.
  ['if (false) { missing(1); other; Nothing.at(2); } return 1;', '1'],
  ['missing(1);', 'error: unresolvable property or identifier: missing'],
]);

for (const word of 'if else switch case default function def stacklang var foreach while until for do return break and or instanceof is contains soundslike strsim convertable_to isdef new in with assert import import_static true false null nil empty String CharSequence Integer int Long long Boolean boolean Short short Character char Double double Float float Byte byte Math StrictMath Void Object Number Exception'.split(
  ' ',
))
  rows('reserved', [[`var ${word} = 1;`, `compile: reserved word: ${word} (line 1, column 5)`]]);

rows('what there is not', [
  ['try { a = 1; } catch (e) { }', "compile: Unterminated statement! (is a ';' missing?) (line 1, column 5)"],
  ['throw "x";', "compile: Unterminated statement! (is a ';' missing?) (line 1, column 7)"],
  ['return typeof x;', 'compile: unexpected token: x (line 1, column 15)'],
  ['delete m.a;', "compile: Unterminated statement! (is a ';' missing?) (line 1, column 8)"],
  ['return 1 !== 2;', 'compile: unexpected token: = (line 1, column 12)'],
  ['return 1 <> 2;', 'compile: unexpected token: > (line 1, column 11)'],
  ['return a ?? b;', 'compile: unexpected token: ? (line 1, column 11)'],
  ['return a?.b;', 'compile: unexpected token: . (line 1, column 10)'],
  ['return [1].map(x => x);', 'compile: unexpected token: > (line 1, column 19)'],
  ['return [1].map(x -> x);', 'compile: unexpected token: > (line 1, column 19)'],
  ['let x = 1;', "compile: unknown class or illegal statement: let (variables are declared with 'var') (line 1, column 1)"],
  ['const x = 1;', "compile: unknown class or illegal statement: const (variables are declared with 'var') (line 1, column 1)"],
  ['return `a`;', 'compile: unexpected character: ` (line 1, column 8)'],
  ['return [...a];', 'compile: unexpected token: . (line 1, column 9)'],
  ['return /a/;', 'compile: unexpected token: / (line 1, column 8)'],
  ['var {a} = b;', 'compile: unexpected token: { (expected a name) (line 1, column 5)'],
  ['var f = def (x) { return x; }; return f;', 'error: Unsupported value type: function'],
]);
