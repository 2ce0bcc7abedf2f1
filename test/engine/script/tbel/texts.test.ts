import { rows } from './run.ts';

/** Specs: tbel §8.6, §8.9, §8.10. */
rows('String', [
  [
    'var s = "Hello"; return [s.length(), s.charAt(1), s.substring(2), s.substring(1, 3), s.indexOf("l"), s.indexOf("l", 3), s.lastIndexOf("l"), s.indexOf("x")];',
    '[5,"e","llo","el",2,3,3,-1]',
  ],
  [
    'var s = "Hello"; return [s.contains("ell"), s.startsWith("He"), s.endsWith("lo"), s.equals("Hello"), s.equalsIgnoreCase("HELLO"), s.compareTo("Help"), s.isEmpty()];',
    '[true,true,true,true,true,-4,false]',
  ],
  [
    '[" a ".trim(), "aB".toUpperCase(), "aB".toLowerCase(), "a".concat("b"), "a.b.c".replace(".", "-"), "a1b22".replaceAll("[0-9]+", "#"), "a1b22".replaceFirst("[0-9]+", "#")]',
    '["a","AB","ab","ab","a-b-c","a#b#","a#b22"]',
  ],
  [
    '["2024-05".replaceAll("(\\\\d+)-(\\\\d+)", "$2/$1"), "a.b".replaceAll("\\\\.", "\\\\$"), "abc".matches("a.*"), "abc".matches("b")]',
    '["05/2024","a$b",true,false]',
  ],
  [
    '["a,b,,".split(","), "a.b".split("."), "a1b2c".split("\\\\d"), "a,b,c".split(",", 2), "".split(","), ",a".split(",")]',
    '[["a","b"],[],["a","b","c"],["a","b,c"],[""],["","a"]]',
  ],
  ['["ab".toCharArray(), "é".getBytes(), "ab".repeat(2), "ab".hashCode(), "ab".toString()]', '[["a","b"],[-61,-87],"abab",3105,"ab"]'],
  ['"abc".substring(5)', 'error: begin 5, end 3, length 3'],
  ['"abc".charAt(3)', 'error: Index 3 out of bounds for length 3'],
  ['"abc".size()', 'error: unable to resolve method: size() [arglength=0]'],
  [
    '["aaa".replaceAll("a*?", "x").length() > 0, "AbC".replaceAll("(?i)b", "-"), "a\\\\b".replaceAll("\\\\Q\\\\\\\\E", "/"), "x1".matches("\\\\p{Alpha}\\\\p{Digit}")]',
    '[true,"A-C","a/b",true]',
  ],
  ['"aab".replaceAll("(", "x")', 'error: Invalid regular expression: /(/g: Unterminated group near index 0'],
]);

rows('String.format', [
  ['String.format("%s%s%s%s%s%s%s%s%s%s", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)', 'error: Maximum method arguments count overflow (11 > 10)!'],
  [
    '[String.format("%s|%d|%x|%X", "a", 5, 255, 255), String.format("%02x|%05d|%-5s|%5.2f", 7, 42, "ab", 1.5), String.format("%,d|%b|%c|%%", 1234567, true, "c"[0])]',
    '["a|5|ff|FF","07|00042|ab   | 1.50","1,234,567|true|c|%"]',
  ],
  [
    '[String.format("%x", payload[0]), String.format("%.1f", 2.25), String.format("%.2f", 1.005), String.format("%e", 12345.678), String.format("%s %s", null, [1, 2.0])]',
    '["ff","2.3","1.01","1.234568e+04","null [1, 2.0]"]',
    [255],
  ],
  ['String.format("%05d %-5s| %,d %08.2f %e", 42, "ab", 1234567, -3.14159, 12345.678)', '"00042 ab   | 1,234,567 -0003.14 1.234568e+04"'],
  ['String.format("%d", 1.5)', 'error: d != java.lang.Double'],
  ['String.format("%f", 1)', 'error: f != java.lang.Integer'],
  ['String.format("%s %s", 1)', "error: Format specifier '%s'"],
  ['[String.join("-", ["a", "b"]), String.join("-", "a", "b"), String.valueOf(1.0), String.valueOf(null)]', '["a-b","a-b","1.0","null"]'],
]);

rows('Math and wrappers', [
  [
    '[Math.abs(-5), Math.abs(-5.5), Math.abs(-5L), Math.ceil(1.2), Math.floor(-1.2), Math.round(2.5), Math.round(-2.5), Math.round(2.4f)]',
    '[5,5.5,5,2.0,-2.0,3,-2,2]',
  ],
  [
    '[Math.round(2.5) instanceof Long, Math.round(2.5f) instanceof Integer, Math.sqrt(9), Math.pow(2, 3), Math.log10(1000), Math.exp(0), Math.sin(0)]',
    '[true,true,3.0,8.0,3.0,1.0,0.0]',
  ],
  ['[Math.PI, Math.E, Math.random() < 1]', '[3.141592653589793,2.718281828459045,true]'],
  ['Math.max(1, 2, 3)', 'error: unable to resolve method: max(java.lang.Integer, java.lang.Integer, java.lang.Integer) [arglength=3]'],
  [
    '[Integer.parseInt("12"), Integer.parseInt("FF", 16), Integer.parseInt("-5"), Integer.valueOf("7"), Integer.toString(255, 16), Integer.toString(5), Integer.toHexString(-1), Integer.toHexString(255), Integer.toBinaryString(5)]',
    '[12,255,-5,7,"ff","5","ffffffff","ff","101"]',
  ],
  [
    '[Integer.MAX_VALUE, Integer.MIN_VALUE, Long.MAX_VALUE, Long.parseLong("123456789012"), Long.toHexString(255L), Long.valueOf("5") instanceof Long]',
    '[2147483647,-2147483648,9223372036854775807,123456789012,"ff",true]',
  ],
  [
    '[Double.parseDouble("1.5"), Double.valueOf("2"), Double.toString(3.0), Float.parseFloat("1.1"), Boolean.parseBoolean("TRUE"), Boolean.parseBoolean("yes"), Boolean.parseBoolean(null)]',
    '[1.5,2.0,"3.0",1.1,true,false,false]',
  ],
  ['[Character.toString("a"[0]), Character.isDigit("5"[0]), Character.isDigit("x"[0]), Integer.MAX_VALUE + 1]', '["a",true,false,2147483647]'],
  ['Integer.parseInt("abc")', 'error: For input string: "abc"'],
  ['Integer.parseInt("2147483648")', 'error: For input string: "2147483648"'],
  ['Integer.parseInt(null)', 'error: Cannot parse null string: null'],
]);

rows('JSON', [
  ['JSON.stringify({a: 1.0, b: null, c: [null, 5L, "x", true]})', '"{\\"a\\":1.0,\\"c\\":[null,5,\\"x\\",true]}"'],
  ['[JSON.stringify(null), JSON.stringify("a"), JSON.stringify(7.0), JSON.stringify(payload)]', '["null","\\"a\\"","7.0","[-1]"]', [255]],
  [
    'JSON.parse(\'{"a": 1, "b": 1.0, "c": null, "d": 12345678901, "e": 1e2, "f": [null], "10": 1, "2": 2}\')',
    '{"a":1,"b":1.0,"d":12345678901,"e":100.0,"f":[null],"10":1,"2":2}',
  ],
  ['JSON.parse("nonsense")', 'error: Unexpected token \'o\', "nonsense" is not valid JSON'],
  ['JSON.parse("")', 'error: No content to map due to end-of-input'],
  ['JSON.parse(null)', 'null'],
  [
    'var o = JSON.parse(\'{"i": 2147483647, "l": 2147483648, "b": 9223372036854775808}\'); return [o.i instanceof Integer, o.l instanceof Long, o.b];',
    '[true,true,9223372036854775808]',
  ],
]);
