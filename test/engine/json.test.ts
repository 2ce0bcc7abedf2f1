import assert from 'node:assert/strict';
import test from 'node:test';
import {
  Double,
  firstJson,
  InvalidJson,
  type Json,
  javaDouble,
  keyProblem,
  parseAttributes,
  parseJson,
  parseSamples,
  printJson,
  sameValue,
  toValue,
  type Value,
  valueJson,
  valueText,
} from '#engine/json.ts';
import { message } from '#test/support/message.ts';

const LONG = (value: number | bigint): Value => ({ type: 'LONG', value });
const DOUBLE = (value: number): Value => ({ type: 'DOUBLE', value });
const STRING = (value: string): Value => ({ type: 'STRING', value });

for (const [text, printed = text] of [
  ['{"a":1,"b":1.5,"c":true,"d":null,"e":"x","f":[1,{}]}'],
  ['{ "a" : 1.10 , "b":"\\u00e9\\/" }', '{"a":1.1,"b":"é/"}'],
  ['[42.0,1e5,1e-7,1E-10,123456789.125]', '[42.0,100000.0,1.0E-7,1.0E-10,1.23456789125E8]'],
  ['[9007199254740993,12345678901234567890,-9007199254740993]'],
  ['[-0.0,-0,0]', '[-0.0,0,0]'],
  ['[1e400,-1e400]', '["Infinity","-Infinity"]'],
  ['{"a":1,"a":2.0}', '{"a":2.0}'],
  ['0.1234567890123456789', '0.12345678901234568'],
  ['{"__proto__":1.0,"b":{"__proto__":{"c":1}}}'],
  ['"say \\"hi\\"\\n"'],
] as [string, string?][]) {
  test(`json: ${text} is printed as ${printed}`, () => assert.equal(printJson(parseJson(text)), printed));
}

for (const text of ['', '{', '{"a":01}', "{'a':1}", '[1,]', 'NaN', '{"a":1} x'])
  test(`json: refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseJson(text), { name: 'InvalidJson', retry: 'never' }));

test('json: a text nested deeper than 1000 levels is refused, whatever its strings hold', () => {
  assert.throws(() => parseJson('['.repeat(1001) + ']'.repeat(1001)), /nesting depth/);
  assert.doesNotThrow(() => parseJson('['.repeat(1000) + ']'.repeat(1000)));
  assert.doesNotThrow(() => parseJson(JSON.stringify('\\"[['.repeat(2000))));
});

for (const [data, value] of [
  ['{"a":1} x', { a: 1 }],
  [' {"a":{"b":["}",2]}}}', { a: { b: ['}', 2] } }],
  ['[1][2]', [1]],
  ['"a\\"b"c', 'a"b'],
  ['1 2', 1],
  ['-1.5e0\n,', -1.5],
  ['null,', null],
  ['true false', true],
  ['{"a":1.0}', { a: new Double(1, '1.0') }],
] as [string, Json][]) {
  test(`json: the first value of ${data}`, () => assert.deepEqual(firstJson(message({ data })), value));
}
for (const data of ['', ' ', 'x', '1x', '1,2', 'nullx', '{"a":1', '{"a":1]} x', '"a', '}', '{"a":x} 1', ',1']) {
  test(`json: no first value in ${JSON.stringify(data)}`, () => assert.throws(() => firstJson(message({ data })), InvalidJson));
}

for (const [value, text] of [
  [5, '5.0'],
  [1e7, '1.0E7'],
  [0.001, '0.001'],
  [0.00012, '1.2E-4'],
  [1e21, '1.0E21'],
  [-1.5, '-1.5'],
  [0, '0.0'],
  [-0, '-0.0'],
  [Number.NaN, 'NaN'],
] as const) {
  test(`json: Java prints ${text}`, () => assert.equal(javaDouble(value), text));
}

for (const [text, value] of [
  ['1', LONG(1)],
  ['-0', LONG(0)],
  ['9007199254740993', LONG(9007199254740993n)],
  ['9223372036854775808', STRING('9223372036854775808')],
  ['1.0', DOUBLE(1)],
  ['-0.0', DOUBLE(0)],
  ['1e3', LONG(1000)],
  ['1.5e1', LONG(15)],
  ['3.0e0', LONG(3)],
  ['5e-1', DOUBLE(0.5)],
  ['100000000000000000000.5', DOUBLE(1e20)],
  ['0.1234567890123456', DOUBLE(0.1234567890123456)],
  ['0.12345678901234567', STRING('0.12345678901234567')],
  ['1.0e-20', STRING('0.000000000000000000010')],
  ['1e20', STRING('100000000000000000000')],
  ['"12"', LONG(12)],
  ['"007"', LONG(7)],
  ['"1.0"', DOUBLE(1)],
  ['"-0.50"', DOUBLE(-0.5)],
  ['".5"', DOUBLE(0.5)],
  ['"9007199254740993"', LONG(9007199254740993n)],
  ['"12345678901234567890"', STRING('12345678901234567890')],
  ['"1e3"', STRING('1e3')],
  ['"+5"', STRING('+5')],
  ['" 12"', STRING(' 12')],
  ['"12."', STRING('12.')],
  ['"0x1F"', STRING('0x1F')],
  ['""', STRING('')],
  ['"-"', STRING('-')],
  ['"true"', STRING('true')],
  ['true', { type: 'BOOLEAN', value: true }],
  ['{"x": [1, 2.50]}', { type: 'JSON', value: '{"x":[1,2.5]}' }],
  ['null', null],
] as [string, Value | null][]) {
  test(`json: ${text} is stored as ${value?.type} ${value?.value}`, () => assert.deepEqual(toValue(parseJson(text)), value));
}

test('json: a double that a node made stays one', () => assert.deepEqual(toValue(new Double(42)), DOUBLE(42)));
test('json: without casting a numeral in a string stays text', () => assert.deepEqual(toValue('12', false), STRING('12')));
test('json: an exponent that would be a gigabyte of zeros is an error', () =>
  assert.throws(() => toValue(parseJson('1e999999999')), /unsupported scale/));

for (const [value, asJson, asText] of [
  [LONG(9007199254740993n), '9007199254740993', '9007199254740993'],
  [DOUBLE(1), '1.0', '1.0'],
  [DOUBLE(1e20), '1.0E20', '1.0E20'],
  [STRING('a"b'), '"a\\"b"', 'a"b'],
  [{ type: 'BOOLEAN', value: false }, 'false', 'false'],
  [{ type: 'JSON', value: '{"a":1}' }, '{"a":1}', '{"a":1}'],
] as [Value, string, string][]) {
  test(`json: ${value.type} ${asText} as JSON and as text`, () => assert.deepEqual([valueJson(value), valueText(value)], [asJson, asText]));
}

test('json: 1 and 1.0 are different values, a LONG is the same however it is held', () => {
  assert.equal(sameValue(LONG(1), DOUBLE(1)), false);
  assert.equal(sameValue(LONG(5), LONG(5n)), true);
  assert.equal(sameValue(STRING('a'), STRING('a')), true);
});

for (const { name, body, samples } of [
  { name: 'a flat object takes the given time', body: '{"t":1}', samples: [{ ts: 7, values: [['t', LONG(1)]] }] },
  { name: 'ts and values', body: '{"ts":5,"values":{"t":1}}', samples: [{ ts: 5, values: [['t', LONG(1)]] }] },
  {
    name: 'ts as text, and cut off',
    body: '[{"ts":"5","values":{"t":1}},{"ts":6.9,"values":{"t":2}}]',
    samples: [
      { ts: 5, values: [['t', LONG(1)]] },
      { ts: 6, values: [['t', LONG(2)]] },
    ],
  },
  { name: 'values without ts is a key', body: '{"values":{"t":1}}', samples: [{ ts: 7, values: [['values', { type: 'JSON', value: '{"t":1}' }]] }] },
  {
    name: 'ts without values is a key',
    body: '{"ts":5,"t":1}',
    samples: [
      {
        ts: 7,
        values: [
          ['ts', LONG(5)],
          ['t', LONG(1)],
        ],
      },
    ],
  },
  {
    name: 'one sample a time, in order',
    body: '[{"a":1},{"ts":5,"values":{"a":2}},{"a":3}]',
    samples: [
      {
        ts: 7,
        values: [
          ['a', LONG(1)],
          ['a', LONG(3)],
        ],
      },
      { ts: 5, values: [['a', LONG(2)]] },
    ],
  },
  { name: 'nothing in it', body: '[{},{"ts":1,"values":{}}]', samples: [] },
])
  test(`telemetry: ${name}`, () => assert.deepEqual(parseSamples(body, 7), samples));

for (const [body, message] of [
  ['{"t":1,"n":null}', "Can't parse value: null"],
  ['5', "Can't parse value: 5"],
  ['[[1.0]]', "Can't parse value: [1.0]"],
  ['{"ts":5,"values":[1]}', 'Not a JSON Object: [1]'],
  ['{"ts":"soon","values":{"a":1}}', 'Can\'t parse value: "soon"'],
])
  test(`telemetry: ${body} is refused`, () => assert.throws(() => parseSamples(body!, 7), { name: 'InvalidJson', message: message! }));

test('telemetry: a transport drops nulls', () =>
  assert.deepEqual(parseSamples('{"t":1,"n":null}', 7, { nulls: 'drop' }), [{ ts: 7, values: [['t', LONG(1)]] }]));
test('attributes: a flat object only', () => {
  assert.deepEqual(parseAttributes('{"a":"x","b":1.0}'), [
    ['a', STRING('x')],
    ['b', DOUBLE(1)],
  ]);
  assert.throws(() => parseAttributes('[{"a":1}]'), { message: 'Can\'t parse value: [{"a":1}]' });
});
test('keys: neither blank, nor longer than 255, nor HTML', () => {
  assert.deepEqual(['', ' ', '<b>x', 'k'.repeat(256), 'k'.repeat(255), ' sp ', '${x}', 'a < b'].map(keyProblem), [
    "Key can't be null or empty",
    "Key can't be null or empty",
    'Validation error: key is malformed',
    'Validation error: key length must be equal or less than 255',
    null,
    null,
    null,
    null,
  ]);
});
