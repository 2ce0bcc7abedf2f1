import { rows } from './run.ts';

/** Specs: tbel §6, §7.1. */
rows('maps', [
  ['var m = {a: 1, b: 2}; return [m.a, m.x, m.size, m.empty, m.keys, m.values, m.length];', '[1,null,2,false,["a","b"],[1,2],null]'],
  ['var m = {size: 9}; return [m.size, m.size()];', '[9,1]'],
  [
    'var m = {}; m[1] = "I"; m["1"] = "S"; m[1L] = "L"; m[payload[0]] = "B"; m[1.0] = "D"; return [m.size(), m[1], m["1"], m[1L], m[payload[0]], m[1.0], m[1f]];',
    '[5,"I","S","L","B","D",null]',
    [1],
  ],
  ['var m = {}; m[null] = 1; m[true] = 2; m[1.0] = 3; m["a"[0]] = 4; m[[1]] = 5; return m;', '{"null":1,"true":2,"1.0":3,"a":4,"[1]":5}'],
  ['var m = {}; return m[word];', 'error: unresolvable property or identifier: word'],
  ['var m = {}; m.a.b = 1;', 'error: could not access property: b; parent is null: \u0002'],
  ['var m = {"10": 1, "2": 2, "b": 3}; return m;', '{"10":1,"2":2,"b":3}'],
]);

rows('lists', [
  ['var l = [1, 2]; return [l.length, l.size, l.empty, l.isEmpty];', '[2,2,false,false]'],
  ['var l = [1, 2]; l.length = 1;', 'error: unresolvable property or identifier: length'],
  ['var l = [1]; return l["0"];', 'error: class java.lang.String cannot be cast to class java.lang.Integer'],
  ['var l = [1]; return l[0.0];', 'error: class java.lang.Double cannot be cast to class java.lang.Integer'],
  ['var l = [1]; return l[0L];', 'error: class java.lang.Long cannot be cast to class java.lang.Integer'],
  ['var l = [1]; return l[1];', 'error: array index out of bounds.'],
  ['var l = [1]; return l[-1];', 'error: array index out of bounds.'],
  ['var l = [1]; l[0] = 2; return l;', '[2]'],
  ['var l = [1]; l[1] = 2;', 'error: Index 1 out of bounds for length 1'],
]);

rows('other values', [
  ['["abc".length, ("abc"[0]), "abc".isEmpty, "".empty]', '[3,"a",false,true]'],
  ['"abc"[3]', 'error: Index 3 out of bounds for length 3'],
  ['var a = new int[2]; return [a.length, a[1]];', '[2,0]'],
  ['var a = new int[2]; return a[2];', 'error: Index 2 out of bounds for length 2'],
  ['var r = []; foreach (e : {a: 1}) { r.add([e.key, e.value, e.getKey(), e.getValue()]); } return r;', '[["a",1,"a",1]]'],
  ['var d = new Date("2024-03-05T01:02:03Z"); return [d.time, d.fullYear, d.UTCMonth];', '[1709600523000,2024,3]'],
  [
    '[(5).toString(), (5).doubleValue(), (7.9).intValue(), (7).longValue(), (7).floatValue(), (200).byteValue(), (70000).shortValue()]',
    '["5",5.0,7,7,7.0,-56,4464]',
  ],
  [
    '[(5).equals(5), (5).equals(5L), (5).hashCode(), (5).compareTo(6), true.equals(true), true.hashCode(), "a".equals("a"), "ab".hashCode()]',
    '[true,false,5,-1,true,1231,true,3105]',
  ],
]);

rows('arguments of methods', [
  ['[Math.round("2.6"), parseInt(12), "abc".substring("1"), [1, 2].get("1")]', '[3,12,"bc",2]'],
  ['[Math.max(1.5, 1), Math.min(77, 42.5), Math.max(1.5, 2.5), Math.max(1, 2), Math.max(1L, 2), Math.min(1f, 2f)]', '[1,42,2.5,2,2,1.0]'],
  ['Math.abs(payload[0])', 'error: cannot convert type: java.lang.Byte to: java.lang.Integer', [1]],
  ['Integer.toHexString(payload[0])', 'error: cannot convert type: java.lang.Byte to: java.lang.Integer', [1]],
  ['[toFixed(77, 1), toFixed(77, 1) instanceof Float, toFixed(77.0, 1) instanceof Double]', '[77.0,true,true]'],
  ['var l = ["a", 1, 2]; l.remove(0); l.remove("x"); l.remove("1"); return l;', '[1,2]'],
  ['var l = [1, 2]; return l.foo(1);', 'error: unable to resolve method: foo(java.lang.Integer) [arglength=1]'],
  ['var l = [1, 2]; return l.map("x", 1.0, null);', 'error: unable to resolve method: map(java.lang.String, java.lang.Double, null) [arglength=3]'],
  ['String.format("%s", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)', 'error: Maximum method arguments count overflow (11 > 10)!'],
  ['var l = []; l.toSpliced(0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);', 'error: Maximum method arguments count overflow (11 > 10)!'],
  ['parseInt(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)', 'error: Maximum method arguments count overflow (11 > 10)!'],
]);

rows('names that can be reached', [
  ['java.util.Arrays.copyOfRange(hexToBytesArray("010203"), 1, 3)', '[2,3]'],
  ['java.util.Arrays.copyOfRange(hexToBytesArray("010203"), 1, 5)', '[2,3,0,0]'],
  [
    '[java.util.regex.Pattern.matches("a+", "aa"), java.util.Collections.max([1, 3, 2]), java.util.UUID.randomUUID().toString().length()]',
    '[true,3,36]',
  ],
  ['[new String("a"), new Integer(5), new java.util.Random().nextInt(1)]', '["a",5,0]'],
  ['var l = new java.util.ArrayList();', 'error: Unsupported value type: class java.util.ArrayList'],
  ['var l = new java.util.HashMap();', 'error: Unsupported value type: class java.util.HashMap'],
  ...[
    'System',
    'Runtime',
    'Class',
    'ClassLoader',
    'Thread',
    'Compiler',
    'ThreadLocal',
    'SecurityManager',
    'Array',
    'StringBuffer',
    'StringBuilder',
    'Module',
  ].map((name) => [`${name}.getProperty("x")`, `error: unresolvable property or identifier: ${name}`] as const),
  ...['java.lang.System.exit(0)', 'java.io.File.x()', 'java.time.Instant.now()', 'java.util.concurrent.Executors.newCachedThreadPool()'].map(
    (call) => [call, 'error: unresolvable property or identifier: java'] as const,
  ),
  ['"".getClass()', 'error: unable to resolve method: getClass() [arglength=0]'],
  ['"".class', 'error: unresolvable property or identifier: class'],
  ['import java.util.ArrayList; return 1;', 'compile: Import is forbidden! (line 1, column 1)'],
]);
