import { rows } from './run.ts';

/** Specs: tbel §4. */
rows('statements', [
  [';;; return 1;', '1'],
  ['var x; var a, b; return [x, a, b];', '[null,null,null]'],
  ['int x = 1.5; String s = 5; java.util.List l = [1]; return [x, s, l];', '[1.5,5,[1]]'],
  ['var a = 7; a /= 2; return a;', '3.5'],
  ['var a = 3; a *= 2 + 1; return a;', '9'],
  ['var a = 5; a += 2; a -= 1; a *= 4; a %= 13; return a;', '11'],
  ['var a = 13; a &= 7; a |= 8; a ^= 1; a <<= 3; a >>= 1; a >>>= 1; return a;', '24'],
  ['var m = {a: 1, l: [1]}; m.a += 2; m.l[0] += 1; m.s = "x"; m.s += 1; return m;', '{"a":3,"l":[2],"s":"x1"}'],
  ['if (1 > 2) return "a"; else if (2 > 1) return "b"; else return "c";', '"b"'],
  ['var s = ""; for (var i = 0; i < 3; i++) s += i; return s;', '"012"'],
  ['for (i = 0; i < 3; i++) { } return isdef i;', 'false'],
  ['var i = 0; for (; i < 3;) { i = i + 1; } return i;', '3'],
  ['var s = ""; for (x : [1, "a", null]) s += x; foreach (int y : [2]) { s += y; } return s;', '"1anull2"'],
  ['var n = 0; while (n < 5) n++; until (n == 7) { n++; } return n;', '7'],
  ['var n = 0; do { n++; } while (n < 3); do n++; until (n >= 6); return n;', '6'],
  ['var n = 0; while (true) { n++; if (n == 4) break; } return n;', '4'],
  ['for (var i = 0; i < 9; i++) { foreach (x : [1, 2, 3]) { if (x == 2) break; if (i == 3) return [i, x]; } }', '[3,1]'],
  ['return;', 'null'],
  ['def f(a) { return a; }; return f(1);', '1'],
]);

rows('foreach', [
  ['var r = []; foreach (x : toSet([3, 1, 3])) { r.add(x); } return r;', '[3,1]'],
  ['var r = []; foreach (x : hexToBytesArray("01FF")) { r.add(x); } return r;', '[1,-1]'],
  ['var r = []; foreach (e : {a: 1, b: 2}) { r.add(e.key + e.value); } return r;', '["a1","b2"]'],
  ['var r = []; foreach (e : {a: 1}.entrySet()) { r.add(e.getKey() + e.getValue()); } return r;', '["a1"]'],
  ['var r = []; foreach (c : "ab") { r.add(c); } return r;', '["a","b"]'],
  ['var r = []; foreach (i : 3) { r.add(i); } return r;', '[1,2,3]'],
  ['foreach (x : null) { }; return 1;', 'error: null pointer: \u0002'],
  ['var l = [1, 2, 3]; foreach (x : l) { l.add(x); }', 'error: ConcurrentModificationException'],
  ['var l = [1]; foreach (x : l) { l.add(x); }', 'error: ConcurrentModificationException'],
  ['var l = [1, 2, 3]; foreach (x : l) { if (x == 1) l.remove(0); }', 'error: ConcurrentModificationException'],
  // Java's iterator ends when it has gone as far as the list is long.
  ['var l = [1, 2, 3]; var n = 0; foreach (x : l) { n++; if (x == 2) { l.remove(0); } } return [n, l];', '[2,[2,3]]'],
  ['var m = {a: 1, b: 2}; foreach (e : m.entrySet()) { m.remove(e.key); m.put("x" + e.key, e.value); } return m;', '{"xa":1,"xb":2}'],
  ['var m = {a: 1, b: 2}; foreach (k : m.keys()) { m.remove(k); } foreach (v : m.values()) { m.clear(); } return m;', '{}'],
  ['var m = {a: 1}; foreach (e : m.entrySet()) { e.setValue(5); } return m;', '{"a":1}'],
  ['var i = 9; foreach (i : [1, 2]) { } return i;', '9'],
  ['var h = 9; for (var h = 0; h < 3; h++) { } return h;', '3'],
]);

const NAMED =
  'function f(x) { var r = "-"; switch (x) { case 1: case 2: r = "12"; break; case 0x10: r = "hex"; break; case "a": return "A"; default: r = "d"; } return r; }';
rows('switch', [
  [`${NAMED} return [f(1), f(2), f(2.0), f("1"), f(16), f("a"), f(7)];`, '["12","12","12","12","hex","A","d"]'],
  ['var r = "-"; var x = 5; switch (x) { case 1: r = "1"; break; } return r;', '"-"'],
  ['var x = 1; switch (x) { case 1: return "one"; default: return "d"; }', '"one"'],
  // More than the original takes.
  ['var x = 2; var r = 0; switch (x & 3) { case 2: { r = 2; break; } default: { r = 9; } } return r;', '2'],
  ['var x = 1; var r = 0; switch (x) { case 1: r = r + 1; case 2: r = r + 10; } return r;', '1'],
]);

rows('semicolons', [
  ['function f(m) { m.a = g() m.b = 2; m.c = 3; return m; } function g() { return 1; } return f({});', '{"a":1,"c":3}'],
  ['function f() { var a = g() if (true) { a = 2; } else { a = 3; } return a; } function g() { return 1; } return f();', '1'],
  ['function f(b) { var a = b\n a = 2; return a; } return f(1);', '1'],
  ['function f(b) { var a = b[0]\n a = 2; return a; } return f([1]);', '1'],
  ['function f() { var a = {}\n a = 2; return a; } return f();', '{}'],
  ['var m = {}; m.a = g()\n m.b = 1; m.c = 2; return m; function g() { return 0; }', '{"a":0,"c":2}'],
  ['function f() { var a = 1 return a; }', "compile: unexpected token: return (is a ';' missing?) (line 1, column 26)"],
  ['function f() { var a = "x" return a; }', "compile: unexpected token: return (is a ';' missing?) (line 1, column 28)"],
  ['function f() { var a = null return a; }', "compile: unexpected token: return (is a ';' missing?) (line 1, column 29)"],
  ['var a = f() return a;', "compile: Unterminated statement! (is a ';' missing?) (line 1, column 13)"],
  ['function f() { g() return 1; }', "compile: Unterminated statement! (is a ';' missing?) (line 1, column 19)"],
  ['if (true) { return 1 }', '1'],
  ['function f() { return 1 } return f()', '1'],
]);

rows('functions', [
  ['return [a(3), b(2)]; function a(n) { return n == 0 ? 0 : b(n - 1) + 1; } function b(n) { return n == 0 ? 0 : a(n - 1) + 1; }', '[3,2]'],
  ['function f() { return 1; } function f() { return 2; } return f();', '1'],
  ['function toInt(x) { return "mine"; } return toInt(2.5);', '3'],
  ['function f(a) { return a; } return f(1, 2);', 'error: bad number of arguments in function call: 2 (expected: 1)'],
  ['function f(a, b) { return a; } return f(1);', '1'],
  ['function f(a, b) { return b; } return f(1);', 'error: unresolvable property or identifier: b'],
  ['function f(m, n) { m.x = 1; n = 5; } var m = {}; var n = 1; f(m, n); return [m, n];', '[{"x":1},1]'],
  ['function f() { 1; 2; } function g() { } function h() { if (false) { 1; } } return [f(), g(), h()];', '[2,null,null]'],
  ['function f(n) { function g(k) { return k + n; } return g(1); } return f(2);', '3'],
  ['function f(a, b, c, d, e, g, h, i, j, k, l) { return l; } return f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);', '11'],
  ['function fib(n) { if (n < 2) { return n; } return fib(n - 1) + fib(n - 2); } return fib(12);', '144'],
]);

rows('scope', [
  ['x = 1; return x;', '1'],
  ['if (true) { y = 1; } return isdef y;', 'false'],
  ['for (var i = 0; i < 2; i++) { var z = i; } return [isdef i, isdef z];', '[false,false]'],
  ['var x = 1; if (true) { x = 2; } return x;', '2'],
  ['var x = 1; if (true) { var x = 2; } return x;', '2'],
  ['function f() { if (true) { var q = 1; } return q; } return f();', '1'],
  ['function f() { foreach (i : [1]) { var q = i; } return q; } return f();', 'error: unresolvable property or identifier: q'],
  ['function f() { return later; } var later = 5; return f();', '5'],
  ['function f() { return later; } f(); var later = 5;', 'error: unresolvable property or identifier: later'],
  ['var n = 1; function f() { n = 5; return n; } f(); return n;', '5'],
  ['function f() { n = 5; return n; } var n = 1; f(); return n;', '1'],
  ['n = 1; function f() { n = 5; return n; } f(); return n;', '1'],
  ['var n = 1; function f(n) { n = 5; return n; } f(2); return n;', '1'],
  ['function f(n) { var k = n; if (n > 0) { f(n - 1); } return k; } return f(3);', '3'],
  ['return nothing;', 'error: unresolvable property or identifier: nothing'],
  ['var x; return x;', 'null'],
  ['function f() { var y; return y; } return f();', 'error: unresolvable property or identifier: y'],
  ['function f() { var y; y = 1; return y; } return f();', '1'],
  // Refused by the original, which a hint says.
  ['var r = []; for (var i = 0; i < 2; i++) { var q; r.add(q); q = i; } return r;', '[null,null]'],
  [
    'function f() { var r = 0; for (var i = 0; i < 2; i++) { var q; if (i == 0) { q = 1; } r += q; } return r; } return f();',
    'error: unresolvable property or identifier: q',
  ],
  ['payload = 5; var metadata = 6; return [payload, metadata];', '[5,6]'],
]);

rows('value', [
  ['1 + 1;', '2'],
  ['x = 5;', '5'],
  ['var x = 5;', '5'],
  ['if (true) { 7; } else { 8; }', '7'],
  ['if (false) { 7; }', 'null'],
  ['foreach (x : [1]) { x; }', 'null'],
]);
