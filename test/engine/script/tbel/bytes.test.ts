import { rows } from './run.ts';

/** Specs: tbel §8.1 to §8.5. */
const LINE = [...Buffer.from('{"a":1.0,"b":null,"c":[null,2]}')];
rows('text and bytes', [
  ['[decodeToJson(payload), decodeToJson("[1, 1.0]")]', '[{"a":1.0,"c":[null,2]},[1,1.0]]', LINE],
  ['decodeToJson("5")', '5'],
  ['decodeToJson("{")', "error: Expected property name or '}' in JSON at position 1 (line 1 column 2)"],
  [
    '[bytesToString([72, -61, -87]), bytesToString([72, 233], "ISO-8859-1"), decodeToString(payload), bytesToString(["72", 105])]',
    '["Hé","Hé","Hi","Hi"]',
    [72, 105],
  ],
  ['bytesToString([300])', "error: The value '300' could not be correctly converted to a byte. Must be between -128 and 255"],
  ['bytesToString(["x"])', "error: The value 'x' could not be correctly converted to a byte. Must be between -128 and 255"],
  ['stringToBytes("Hi é")', '[72,105,32,-61,-87]'],
  ['stringToBytes(5)', "error: Invalid type parameter [Integer]. Expected 'String'"],
  ['[btoa("Hi"), atob("SGk="), btoa("é"), atob(btoa("é"))]', '["SGk=","Hi","w6k=","é"]'],
  ['var b = base64ToBytes("AQL/"); return [b, b.length, b.size(), isArray(b), isList(b)];', '[[1,2,-1],3,3,true,false]'],
  ['base64ToBytes("AQL/").add(1)', 'error: unable to resolve method: add(java.lang.Integer) [arglength=1]'],
  ['base64ToBytes("A*Q=")', 'error: Illegal base64 character 2a'],
  ['var b = base64ToBytesList("AQL/"); return [b, isList(b), b.slice(1)];', '[[1,2,-1],true,[2,-1]]'],
  ['[bytesToBase64(base64ToBytes("AQL/")), bytesToBase64([1, 2, 255])]', '["AQL/","AQL/"]'],
  ['[base64ToHex("AQID"), hexToBase64("010203")]', '["010203","AQID"]'],
  ['[hexToBytes("0x0AFF"), hexToBytes("0AFF"), isList(hexToBytes("0A")), isArray(hexToBytesArray("0A"))]', '[[10,-1],[10,-1],true,true]'],
  ['hexToBytes("0AF")', 'error: Hex string must be even-length.'],
  ['hexToBytes(" ")', 'error: Hex string must be not empty!'],
  ['hexToBytesArray("")', 'error: Hex string must be not empty!'],
  ['[bytesToHex([10, 11]), bytesToHex([0xFF]), bytesToHex(payload), bytesToHex(base64ToBytes("AQL/"))]', '["0A0B","FF","80","0102FF"]', [128]],
  [
    '[printUnsignedBytes(payload), printUnsignedBytes(payload)[0] instanceof Integer, bytesToExecutionArrayList(hexToBytesArray("FF"))]',
    '[[255],true,[-1]]',
    [255],
  ],
  ['[encodeURI("a b/é?x=1&y"), encodeURI("%"), decodeURI("a%20b%C3%A9"), decodeURI("a+b")]', '["a%20b/%C3%A9?x=1&y","%25","a bé","a+b"]'],
  ['encodeURI(";,/?:@&=+$#!\'()~*-_.")', '";,/?:@&=+$#!\'()~*-_."'],
  ['decodeURI("%Z")', 'error: URLDecoder: Illegal hex characters in escape (%) pattern'],
  ['[padStart("5", 3, "0"), padEnd("5", 3, "0"), padStart("1234", 3, "0")]', '["005","500","1234"]'],
  [
    '[isBinary("101"), isBinary("12"), isOctal("17"), isOctal("8"), isDecimal("-1.5e3"), isDecimal("x"), isHexadecimal("-0xaF"), isHexadecimal("xyz")]',
    '[2,-1,8,-1,10,-1,16,-1]',
  ],
  ['toFlatMap({a: {b: 1, c: [1, {d: 2}]}})', '{"a.b":1,"a.c.0":1,"a.c.1.d":2}'],
  ['toFlatMap({a: {b: 1, c: [1, {d: 2}]}}, false)', '{"b":1,"c.0":1,"d":2}'],
  ['[toFlatMap({a: {b: 1, c: 2}, b: 3}, ["b"]), toFlatMap({a: {b: 1, c: 2}}, ["b"], false)]', '[{"a.c":2},{"c":2}]'],
  ['raiseError("boom")', 'error: boom'],
  ['[isMap({}), isMap([]), isList([]), isArray(new int[1]), isSet(newSet()), isSet([])]', '[true,false,true,true,true,false]'],
  ['toSet([2, 1, 2])', '[2,1]'],
]);

rows('text to number', [
  [
    '[parseInt("12"), parseInt("0x1F"), parseInt("1F"), parseInt("ABCD"), parseInt("  7 "), parseInt(""), parseInt(" "), parseInt(null)]',
    '[12,31,31,43981,7,null,null,null]',
  ],
  [
    '[parseInt("77", 8), parseInt("Z", 36), parseInt("-0A", 16), parseInt("-12"), parseInt("11111111111111111111111111111111", 2), parseInt("101", 2)]',
    '[63,35,-10,-12,-1,5]',
  ],
  ['parseInt("12.5")', 'error: For input string: "12.5"'],
  ['parseInt("1e3")', 'error: For input string: "1e3"'],
  ['parseInt("abc")', 'error: The hexadecimal value: "abc" must be of even length, or if the decimal value must be a number!'],
  ['parseInt("zz")', 'error: Value: "zz" is not numeric or hexDecimal format!'],
  ['parseInt("99", 8)', 'error: Failed radix [8] for value: "99", must be [-1] !'],
  ['parseInt("12", 7)', 'error: Invalid radix: [7]'],
  ['parseInt("FFFFFFFF", 16)', 'error: For input string: "FFFFFFFF" under radix 16'],
  [
    '[parseLong("12345678901"), parseLong("FFFF", 16), parseLong(""), parseLong("1111111111111111111111111111111111111111111111111111111111111111", 2), parseLong("7") instanceof Long]',
    '[12345678901,65535,null,-1,true]',
  ],
  ['[parseFloat("3.14"), parseFloat("0x41200000"), parseFloat(""), parseFloat("3.14") instanceof Float]', '[3.14,10.0,null,true]'],
  ['parseFloat("1,5")', 'error: For input string: "1,5"'],
  ['[parseDouble("1729.1729"), parseDouble("0x409B04B10CB295EA"), parseDouble("5")]', '[1729.1729,1729.1729,5.0]'],
  ['parseDouble(null)', 'error: null pointer'],
  ['[parseHexToInt("FF"), parseHexToInt("0B00", false), parseBigEndianHexToInt("0B00"), parseLittleEndianHexToInt("0B00")]', '[255,11,2816,11]'],
  ['parseHexToInt("FFFFFFFF")', 'error: For input string: "FFFFFFFF" under radix 16'],
  ['parseHexToInt("FFF")', 'error: The hexadecimal value: "FFF" must be of even length, or if the decimal value must be a number!'],
  [
    '[parseHexToLong("0BB8"), parseHexToLong("B80B000000000000", false), parseBigEndianHexToLong("00000BB8"), parseLittleEndianHexToLong("B80B000000000000")]',
    '[3000,3000,3000,3000]',
  ],
  [
    '[parseHexToFloat("41EA62CC"), parseBigEndianHexToFloat("41EA62CC"), parseLittleEndianHexToFloat("CC62EA41"), parseHexToFloat("CC62EA41", false)]',
    '[29.29824,29.29824,29.29824,29.29824]',
  ],
  [
    '[parseHexToDouble("409B04B10CB295EA"), parseBigEndianHexToDouble("409B04B10CB295EA"), parseLittleEndianHexToDouble("EA95B20CB1049B40")]',
    '[1729.1729,1729.1729,1729.1729]',
  ],
  ['[parseHexIntLongToFloat("0x0A", true), parseHexIntLongToFloat("0A00", false)]', '[10.0,10.0]'],
]);

rows('bytes to number', [
  [
    '[parseBytesToInt([255, 254], 0, 2), parseBytesToInt([255, 254], 0, 2, false), parseBytesToInt([255, 255, 255, 255]), parseBytesToInt([1, 2, 3, 4])]',
    '[65534,65279,-1,16909060]',
  ],
  [
    '[parseBytesToInt(payload), parseBytesToInt(payload, 1), parseBytesToInt(payload, 1, 1), parseBytesToInt(base64ToBytes("AQI="), 0)]',
    '[66051,515,2,258]',
    [1, 2, 3],
  ],
  ['[parseBytesToInt([1, 2, 3, 4, 5]), parseBytesToInt([1, 2, 3, 4, 5], 3)]', '[16909060,1029]'],
  ['parseBytesToInt(payload, 9, 1)', 'error: Offset: 9 is out of bounds for array with length: 5!', [1, 2, 3, 4, 5]],
  ['parseBytesToInt(payload, 3, 4)', 'error: Offset: 3 and Length: 4 is out of bounds for array with length: 5!', [1, 2, 3, 4, 5]],
  ['parseBytesToInt(payload, 0, 5)', 'error: Length: 5 is too large. Maximum 4 bytes is allowed!', [1, 2, 3, 4, 5]],
  ['parseBytesToInt(["1"])', 'error: class java.lang.String cannot be cast to class java.lang.Number'],
  [
    '[parseBytesToLong([255, 255, 255, 255]), parseBytesToLong([255, 255, 255, 255, 255, 255, 255, 255]), parseBytesToLong([1, 0], 0, 2, false)]',
    '[4294967295,-1,1]',
  ],
  [
    '[parseBytesToFloat(hexToBytes("41EA62CC")), parseBytesToFloat(hexToBytes("CC62EA41"), 0, 4, false), parseBytesToFloat(hexToBytes("41EA62CC"), 0)]',
    '[29.29824,29.29824,29.29824]',
  ],
  ['parseBytesToFloat(hexToBytes("7FC00000"))', 'error: byte[] 0x7FC00000 is a Not-a-Number (NaN) value'],
  ['[parseBytesToDouble(hexToBytes("40EA62CC00000000")), parseBytesToDouble(hexToBytes("00000000CC62EA40"), 0, 8, false)]', '[54038.375,54038.375]'],
  ['parseBytesToDouble(hexToBytes("7FF8000000000000"))', 'error: byte[] 0x7FF8000000000000 is a Not-a-Number (NaN) value'],
  ['[parseBytesIntToFloat(hexToBytes("FFFF"), 0, 2, true), parseBytesIntToFloat(hexToBytes("0A"))]', '[65535.0,10.0]'],
  [
    '[parseBytesLongToDouble(hexToBytes("FFFFFFFFFFFFFFFF")), parseBytesLongToDouble(hexToBytes("0A00"), 0, 2, false)]',
    '[1.8446744073709552E19,10.0]',
  ],
  ['parseBytesToUnsignedInt([1])', 'error: unresolvable property or identifier: parseBytesToUnsignedInt'],
]);

rows('number to text, bits', [
  [
    '[intToHex(255), intToHex(-1), intToHex(-256), intToHex(300), intToHex(300, false), intToHex(300, true, true), intToHex(300, true, true, 2)]',
    '["FF","FFFF","FF00","012C","2C01","0x012C","0x2C"]',
  ],
  ['intToHex(300, true, true, 9)', 'error: begin -5, end 4, length 4'],
  ['[longToHex(5), longToHex(-1), longToHex(9223372036854775807), longToHex(300L, false)]', '["05","FFFF","7FFFFFFFFFFFFFFF","2C01"]'],
  [
    '[intLongToRadixString(58, 2), intLongToRadixString(-58, 2).length(), intLongToRadixString(8, 8), intLongToRadixString(255, 16), intLongToRadixString(-255, 16)]',
    '["00111010",64,"10","FF","FF01"]',
  ],
  [
    '[intLongToRadixString(199546, 36), intLongToRadixString(13158, 16, false, true), intLongToRadixString(12), intLongToRadixString(300, 2)]',
    '["49yy","0x6633","12","0000000100101100"]',
  ],
  [
    '[floatToHex(123456789.00f), floatToHex(123456789.00f, false), doubleToHex(1729.1729), doubleToHex(1729.1729, false)]',
    '["0x4CEB79A3","0xA379EB4C","0x409B04B10CB295EA","0xEA95B20CB1049B40"]',
  ],
  [
    '[toFixed(3.14159, 2), toFixed(1.005, 2), toFixed(2.345, 2), toFixed(-2.5, 0), toFixed(5, 2), toFixed(3.14159f, 2) instanceof Float, toFixed("2.345", 2)]',
    '[3.14,1.01,2.35,-3.0,5.0,true,2.35]',
  ],
  ['toFixed(0.0 / 0.0, 1)', 'error: NaN'],
  ['toFixed(payload[0], 1)', 'error: cannot convert type: java.lang.Byte to: java.lang.Integer', [1]],
  ['[toInt(2.5), toInt(-2.5), toInt("3.7"), toInt(2147483648.0), toInt(2.4)]', '[3,-3,4,-2147483648,2]'],
  ['[isNaN(0.0 / 0.0), isNaN(1.0)]', '[true,false]'],
  [
    '[parseByteToBinaryArray(5), parseByteToBinaryArray(5, 4), parseByteToBinaryArray(5, 4, false), parseByteToBinaryArray(0xFF)]',
    '[[0,0,0,0,0,1,0,1],[0,1,0,1],[1,0,1,0],[1,1,1,1,1,1,1,1]]',
  ],
  ['[parseBytesToBinaryArray([1, 2]), parseBytesToBinaryArray([1, 2], 4)]', '[[0,0,0,0,0,0,0,1,0,0,0,0,0,0,1,0],[0,0,1,0]]'],
  ['[parseLongToBinaryArray(5, 4), parseLongToBinaryArray(5L).length]', '[[0,1,0,1],64]'],
  [
    '[parseBinaryArrayToInt([1, 0, 1]), parseBinaryArrayToInt([1, 1, 1, 1], 1, 2), parseBinaryArrayToInt([1, 0, 0, 0, 0, 0, 0, 1]), parseBinaryArrayToInt(parseByteToBinaryArray(5))]',
    '[5,3,-127,5]',
  ],
]);

const HOLED = '[[[0, 0], [0, 9], [9, 9], [9, 0]], [[3, 3], [3, 6], [6, 6], [6, 3]]]';
const circle = (more: string): string => `isInsideCircle(50.0, 30.0, '{"latitude": 50.0, "longitude": 30.001, ${more}}')`;
rows('places', [
  ['[isInsidePolygon(1.0, 1.0, "[[0,0],[0,2],[2,2],[2,0]]"), isInsidePolygon(3, 1, "[[0,0],[0,2],[2,2],[2,0]]")]', '[true,false]'],
  [`[isInsidePolygon(1.0, 1.0, "${HOLED}"), isInsidePolygon(4.0, 4.0, "${HOLED}")]`, '[true,false]'],
  ['[isInsidePolygon(1.0, 1.0, "[[0, 0], [2, 2]]"), isInsidePolygon(3.0, 1.0, "[[0, 0], [2, 2]]")]', '[true,false]'],
  // 0.001° of longitude at 50° north are 71.5 m: 6,371,008.77 m × 0.001° in radians × cos 50°.
  [
    `[${['"radius": 71', '"radius": 72', '"radius": 0.072, "radiusUnit": "KILOMETER"', '"radius": 234, "radiusUnit": "FOOT"', '"radius": 235, "radiusUnit": "FOOT"', '"radius": 0.0445, "radiusUnit": "MILE"', '"radius": 0.038, "radiusUnit": "NAUTICAL_MILE"'].map(circle).join(', ')}]`,
    '[false,true,true,false,true,true,false]',
  ],
]);
