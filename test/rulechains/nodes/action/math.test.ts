import assert from 'node:assert/strict';
import test from 'node:test';
import type { Value } from '#engine/json.ts';
import math from '#rulechains/nodes/action/math.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { NOW, run, services, start, type World } from '#test/support/services.ts';

const argument = (name: string, type = 'MESSAGE_BODY', key: string | null = name, more = {}) => ({
  name,
  type,
  key,
  attributeScope: null,
  defaultValue: null,
  ...more,
});
const result = (more = {}) => ({
  type: 'MESSAGE_BODY',
  key: 'r',
  resultValuePrecision: 6,
  addToBody: false,
  addToMetadata: false,
  attributeScope: null,
  ...more,
});
const one = (operation: string, more = {}) => ({ operation, arguments: [argument('a')], customFunction: null, result: result(more) });
const two = (operation: string, more = {}) => ({ operation, arguments: [argument('a'), argument('b')], customFunction: null, result: result(more) });
const custom = (customFunction: string, names: string[], more = {}) => ({
  operation: 'CUSTOM',
  arguments: names.map((name) => argument(name)),
  customFunction,
  result: result(more),
});

for (const [operation, cases] of Object.entries({
  SIN: [
    [1, '0.841471'],
    [0, '0.0'],
  ],
  SINH: [[-2.5, '-6.050204']],
  COS: [[0, '1.0']],
  COSH: [[3, '10.067662']],
  TAN: [[1, '1.557408']],
  TANH: [[30, '1.0']],
  ACOS: [[1, '0.0']],
  ASIN: [[-0.5, '-0.523599']],
  ATAN: [[1000, '1.569796']],
  EXP: [[1, '2.718282']],
  EXPM1: [[1e-7, '0.0']],
  SQRT: [[5, '2.236068']],
  CBRT: [[-8, '-2.0']],
  GET_EXP: [
    [8.5, '3'],
    [0, '-1023'],
    [0.5, '-1'],
  ],
  LOG: [[100, '4.60517']],
  LOG10: [[1000, '3.0']],
  LOG1P: [[0, '0.0']],
  CEIL: [
    [1.2, '2'],
    [-1.2, '-1'],
    [1e300, '9223372036854775807'],
  ],
  FLOOR: [
    [-1e-7, '-1'],
    [5, '5'],
  ],
  ABS: [[-5, '5.0']],
  SIGNUM: [
    [-0.1, '-1.0'],
    [0, '0.0'],
  ],
  RAD: [[180, '3.141593']],
  DEG: [[1, '57.29578']],
} as Record<string, [number, string][]>))
  test(`math: ${operation}`, async () => {
    const outcomes = await run(
      math,
      cases.map(([a]) => message({ data: { a } })),
      { exact: one(operation) },
    );
    assert.deepEqual(
      outcomes,
      cases.map(([a, r]) => ({
        to: 'Success',
        effect: false,
        data: `${JSON.stringify({ a }).slice(0, -1).replace('1e+300', '1.0E300').replace('1e-7', '1.0E-7')},"r":${r}}`,
      })),
    );
  });

for (const [operation, a, b, r] of [
  ['ADD', 2, 2, '4.0'],
  ['SUB', 0.3, 0.1, '0.2'],
  ['MULT', 3, 4.5, '13.5'],
  ['DIV', 1, 3, '0.333333'],
  ['ATAN2', 1, 1, '0.785398'],
  ['HYPOT', -5, 12, '13.0'],
  ['FLOOR_DIV', -7, 2, '-4.0'],
  ['FLOOR_DIV', 7.9, 2.9, '3.0'],
  ['FLOOR_MOD', -7, 3, '2.0'],
  ['FLOOR_MOD', 7.9, 3.9, '1.0'],
  ['FLOOR_MOD', 7, -3, '-2.0'],
  ['MIN', -1.5, 3, '-1.5'],
  ['MAX', -1.5, 3, '3.0'],
  ['POW', 2, -1, '0.5'],
  ['POW', 0, 0, '1.0'],
] as const)
  test(`math: ${operation} ${a} ${b}`, async () => {
    const [outcome] = await run(math, [message({ data: { a, b } })], { exact: two(operation) });
    assert.deepEqual(outcome, { to: 'Success', effect: false, data: `${JSON.stringify({ a, b }).slice(0, -1)},"r":${r}}` });
  });

/** Where the result goes, and how it is rounded (rule-nodes §6 rows 20 and 21, §7 row 18). */
for (const { name, config, data = { a: 5 }, metadata = {}, to, did = [] } of [
  {
    name: 'to metadata, as text',
    config: one('SQRT', { type: 'MESSAGE_METADATA', resultValuePrecision: 3 }),
    to: { effect: false, metadata: { r: '2.236' } },
  },
  {
    name: 'a whole double in metadata',
    config: one('ABS', { type: 'MESSAGE_METADATA', resultValuePrecision: 2 }),
    to: { effect: false, metadata: { r: '5.0' } },
  },
  {
    name: 'to an attribute, rounded, under the key as it is configured',
    config: one('SQRT', { type: 'ATTRIBUTE', key: 'root_${k}', resultValuePrecision: 3 }),
    metadata: { k: 'v' },
    to: { effect: true },
    did: [['save attributes', DEVICE, 'SERVER_SCOPE', { 'root_${k}': { type: 'DOUBLE', value: 2.236 } }, NOW]],
  },
  {
    name: 'to a shared attribute, which the device hears of; an integer',
    config: one('SQRT', { type: 'ATTRIBUTE', resultValuePrecision: 0, attributeScope: 'SHARED_SCOPE' }),
    to: { effect: true },
    did: [
      ['save attributes', DEVICE, 'SHARED_SCOPE', { r: { type: 'LONG', value: 2 } }, NOW],
      ['notify', DEVICE, ['r']],
    ],
  },
  {
    name: 'to a time series, not rounded, and to data and metadata, rounded, under the filled key',
    config: one('SQRT', { type: 'TIME_SERIES', key: 'x_${k}', resultValuePrecision: 3, addToBody: true, addToMetadata: true }),
    metadata: { k: 'v' },
    to: { effect: true, data: '{"a":5,"x_v":2.236}', metadata: { k: 'v', x_v: '2.236' } },
    did: [['save telemetry', DEVICE, NOW, { 'x_${k}': { type: 'DOUBLE', value: Math.sqrt(5) } }, undefined]],
  },
  {
    name: 'a time series is a double whatever the precision',
    config: two('ADD', { type: 'TIME_SERIES', resultValuePrecision: 0, addToMetadata: true }),
    data: { a: 2, b: 2.7 },
    to: { effect: true, metadata: { r: '4' } },
    did: [['save telemetry', DEVICE, NOW, { r: { type: 'DOUBLE', value: 4.7 } }, undefined]],
  },
  {
    name: 'precision 0 cuts off',
    config: two('ADD', { resultValuePrecision: 0 }),
    data: { a: 2, b: 2.9 },
    to: { effect: false, data: '{"a":2,"b":2.9,"r":4}' },
  },
  {
    name: 'precision 0 of what is negative',
    config: two('DIV', { resultValuePrecision: 0 }),
    data: { a: -5, b: 2 },
    to: { effect: false, data: '{"a":-5,"b":2,"r":-2}' },
  },
  {
    name: 'a negative precision rounds to hundreds',
    config: one('ABS', { resultValuePrecision: -2 }),
    data: { a: 1250 },
    to: { effect: false, data: '{"a":1250,"r":1300.0}' },
  },
  {
    name: 'a precision that is missing is 0',
    config: { ...one('ABS'), result: { type: 'MESSAGE_BODY', key: 'r' } },
    data: { a: -2.7 },
    to: { effect: false, data: '{"a":-2.7,"r":2}' },
  },
  {
    name: 'beyond 64 bits an integer is held there',
    config: two('MULT', { resultValuePrecision: 0 }),
    data: '{"a":1e200,"b":-1e200}',
    to: { effect: false, data: '{"a":1.0E200,"b":-1.0E200,"r":-9223372036854775808}' },
  },
  {
    name: 'no number becomes 0 as an integer',
    config: one('SQRT', { resultValuePrecision: 0 }),
    data: { a: -1 },
    to: { effect: false, data: '{"a":-1,"r":0}' },
  },
  {
    name: 'what was under the key is replaced',
    config: one('ABS', { key: 'a' }),
    data: { a: -1, b: [1.0] },
    to: { effect: false, data: '{"a":1.0,"b":[1]}' },
  },
  {
    name: 'expression: keys are patterns',
    config: {
      operation: 'CUSTOM',
      customFunction: '2a+3b',
      arguments: [argument('a', 'MESSAGE_BODY', '${key2}'), argument('b', 'MESSAGE_BODY', '$[key3]')],
      result: result({ key: '${key1}', resultValuePrecision: 2 }),
    },
    data: { key3: 'argumentB', argumentA: 2, argumentB: 2 },
    metadata: { key1: 'firstMsgResult', key2: 'argumentA' },
    to: { effect: false, data: '{"key3":"argumentB","argumentA":2,"argumentB":2,"firstMsgResult":10.0}' },
  },
  { name: 'expression without arguments', config: custom('pi', [], { resultValuePrecision: 2 }), to: { effect: false, data: '{"a":5,"r":3.14}' } },
  {
    name: 'data may be anything when nothing looks at it',
    config: { ...one('ABS', { type: 'MESSAGE_METADATA' }), arguments: [argument('a', 'MESSAGE_METADATA')] },
    data: [],
    metadata: { a: '-5' },
    to: { effect: false, metadata: { a: '-5', r: '5.0' } },
  },
  { name: 'not a number', config: one('ASIN'), data: { a: 2 }, to: 'The result is NaN!' },
  { name: 'infinite', config: two('DIV'), data: { a: -1, b: 0 }, to: 'The result is -Infinity!' },
  { name: 'what is no number is not stored', config: one('LOG', { type: 'TIME_SERIES' }), data: { a: 0 }, to: 'The result is -Infinity!' },
  { name: 'integer division by zero', config: two('FLOOR_DIV'), data: { a: 7, b: 0.5 }, to: '/ by zero' },
  { name: 'rest of a division by zero', config: two('FLOOR_MOD'), data: { a: 7, b: 0 }, to: '/ by zero' },
  { name: 'division by zero in an expression', config: custom('a/0', ['a']), to: 'Division by zero!' },
  { name: 'an expression that is none', config: custom('a+', ['a']), to: "Invalid number of operands available for '+' operator" },
  { name: 'an unknown name in an expression', config: custom('zz', ['a']), to: "Unknown function or variable 'zz' at pos 0 in expression 'zz'" },
  { name: 'a constant as result', config: one('ABS', { type: 'CONSTANT' }), to: 'Result type is not supported: CONSTANT!' },
  { name: 'no result type', config: one('ABS', { type: null }), to: 'Result type is not supported: null!' },
  { name: 'an unknown scope', config: one('ABS', { type: 'ATTRIBUTE', attributeScope: 'MY_SCOPE' }), to: 'Unknown attribute scope: MY_SCOPE' },
  { name: 'a key that can not be stored', config: one('ABS', { type: 'ATTRIBUTE', key: '' }), to: "Key can't be null or empty" },
  { name: 'data is an array', config: one('ABS'), data: [1], to: 'Message body is not a JSON object!' },
  {
    name: 'data is a scalar, and the result goes there',
    config: { ...one('ABS'), arguments: [argument('a', 'CONSTANT', '1')] },
    data: '"x"',
    to: 'Message body is not a JSON object!',
  },
  {
    name: 'also to data, when nothing else is there: stored, and a failure',
    config: { ...one('ABS', { type: 'TIME_SERIES', addToBody: true }), arguments: [argument('a', 'CONSTANT', '1')] },
    data: '[]',
    to: { to: 'Failure', error: 'No value present', effect: true },
    did: [['save telemetry', DEVICE, NOW, { r: { type: 'DOUBLE', value: 1 } }, undefined]],
  },
  { name: 'no key', config: one('ABS', { key: null }), to: 'Failed to process pattern!' },
  { name: 'no key of an argument', config: { ...one('ABS'), arguments: [argument('a', 'MESSAGE_BODY', null)] }, to: 'Failed to process pattern!' },
  { name: 'an empty key of an attribute', config: { ...one('ABS'), arguments: [argument('a', 'ATTRIBUTE', '')] }, to: 'Incorrect attribute key ' },
] as { name: string; config: Record<string, unknown>; data?: unknown; metadata?: Record<string, string>; to: unknown; did?: unknown[][] }[])
  test(`math: ${name}`, async () => {
    const given = services();
    const outcomes = await run(math, [message({ data, metadata })], { exact: config, services: given });
    assert.deepEqual(outcomes, [typeof to === 'string' ? { to: 'Failure', error: to } : { to: 'Success', ...(to as object) }]);
    assert.deepEqual(given.did, did);
  });

for (const data of ['', 'no json', '{"a":'])
  test(`math: data that is no JSON fails: ${JSON.stringify(data)}`, async () => {
    const [body, metadata] = [one('ABS'), { ...one('ABS', { type: 'MESSAGE_METADATA' }), arguments: [argument('a', 'MESSAGE_METADATA')] }];
    const [first] = await run(math, [message({ data })], { exact: body });
    assert.equal((first as { to: string }).to, 'Failure');
    assert.deepEqual(await run(math, [message({ data, metadata: { a: '1' } })], { exact: metadata }), [
      { to: 'Failure', error: 'Failed to process pattern!' },
    ]);
  });

const STRING = (value: string): Value => ({ type: 'STRING', value });
const world: World = {
  attributes: {
    [`${DEVICE} SERVER_SCOPE`]: [
      ['kd', { type: 'DOUBLE', value: 2.5 }],
      ['kl', { type: 'LONG', value: 9007199254740993n }],
      ['ks', STRING('7')],
      ['kb', { type: 'BOOLEAN', value: true }],
      ['kj', { type: 'JSON', value: '{"a":1}' }],
      ['kt', STRING('abc')],
    ],
    [`${DEVICE} SHARED_SCOPE`]: [['kd', { type: 'LONG', value: 20 }]],
  },
  latest: { [DEVICE]: { t: { ts: 1, value: { type: 'LONG', value: 5 } }, tb: { ts: 1, value: { type: 'BOOLEAN', value: false } } } },
};

/** Where the input comes from. A value is the result of ABS to metadata; a text the error. */
for (const { name, from, data = {}, metadata = {}, to } of [
  { name: 'data: an integer', from: argument('a'), data: { a: -3 }, to: '3.0' },
  { name: 'data: text', from: argument('a'), data: { a: ' 1.5 ' }, to: '1.5' },
  { name: 'data: beyond doubles', from: argument('a'), data: '{"a":9007199254740993}', to: '9.007199254740992E15' },
  { name: 'data: missing', from: argument('a'), to: "Message body has no 'a'!" },
  { name: 'data: null', from: argument('a'), data: { a: null }, to: "Message body has null 'a'!" },
  { name: 'data: blank', from: argument('a'), data: { a: ' ' }, to: "Message value is empty for 'a'!" },
  { name: 'data: a word', from: argument('a'), data: { a: 'abc' }, to: "Can't convert value 'abc' to double!" },
  { name: 'data: a flag', from: argument('a'), data: { a: true }, to: "Can't convert value 'true' to double!" },
  { name: 'data: an object', from: argument('a'), data: { a: { b: 1 } }, to: "Can't convert value '{\"b\":1}' to double!" },
  { name: 'data: missing, with a default', from: argument('a', 'MESSAGE_BODY', 'a', { defaultValue: -4 }), to: '4.0' },
  { name: 'data: null, with a default', from: argument('a', 'MESSAGE_BODY', 'a', { defaultValue: 0 }), data: { a: null }, to: '0.0' },
  { name: 'data: blank, with a default', from: argument('a', 'MESSAGE_BODY', 'a', { defaultValue: 1.5 }), data: { a: '' }, to: '1.5' },
  {
    name: 'data: a word, with a default',
    from: argument('a', 'MESSAGE_BODY', 'a', { defaultValue: 1 }),
    data: { a: 'x' },
    to: "Can't convert value 'x' to double!",
  },
  { name: 'metadata', from: argument('a', 'MESSAGE_METADATA'), metadata: { a: '-1.5' }, to: '1.5' },
  { name: 'metadata: missing', from: argument('a', 'MESSAGE_METADATA'), to: "Message metadata has no 'a'!" },
  { name: 'metadata: empty', from: argument('a', 'MESSAGE_METADATA'), metadata: { a: '' }, to: "Message metadata has no 'a'!" },
  { name: 'metadata: empty, with a default', from: argument('a', 'MESSAGE_METADATA', 'a', { defaultValue: 2 }), metadata: { a: '' }, to: '2.0' },
  { name: 'metadata: a blank is no number', from: argument('a', 'MESSAGE_METADATA'), metadata: { a: ' ' }, to: "Can't convert value ' ' to double!" },
  { name: 'constant', from: argument('a', 'CONSTANT', '-2.5'), to: '2.5' },
  { name: 'constant: no pattern', from: argument('a', 'CONSTANT', '${n}'), metadata: { n: '1' }, to: "Can't convert value '${n}' to double!" },
  { name: 'attribute: double', from: argument('a', 'ATTRIBUTE', '${n}'), metadata: { n: 'kd' }, to: '2.5' },
  { name: 'attribute: 64-bit integer', from: argument('a', 'ATTRIBUTE', 'kl'), to: '9.007199254740992E15' },
  { name: 'attribute: text', from: argument('a', 'ATTRIBUTE', 'ks'), to: '7.0' },
  { name: 'attribute: of another scope', from: argument('a', 'ATTRIBUTE', 'kd', { attributeScope: 'SHARED_SCOPE' }), to: '20.0' },
  { name: 'attribute: a flag', from: argument('a', 'ATTRIBUTE', 'kb'), to: "Can't convert value 'true' to double!" },
  { name: 'attribute: JSON', from: argument('a', 'ATTRIBUTE', 'kj'), to: "Can't convert value '{\"a\":1}' to double!" },
  { name: 'attribute: a word', from: argument('a', 'ATTRIBUTE', 'kt', { defaultValue: 1 }), to: "Can't convert value 'abc' to double!" },
  {
    name: 'attribute: none',
    from: argument('a', 'ATTRIBUTE', 'nope'),
    to: `Attribute: nope with scope: SERVER_SCOPE not found for entity: ${DEVICE}`,
  },
  { name: 'attribute: none, with a default', from: argument('a', 'ATTRIBUTE', 'nope', { defaultValue: -3 }), to: '3.0' },
  { name: 'time series', from: argument('a', 'TIME_SERIES', 't'), to: '5.0' },
  { name: 'time series: a flag', from: argument('a', 'TIME_SERIES', 'tb'), to: "Can't convert value 'false' to double!" },
  { name: 'time series: none', from: argument('a', 'TIME_SERIES', 'nope'), to: `Time-series: nope not found for entity: ${DEVICE}` },
  { name: 'no place at all', from: argument('a', null as unknown as string), to: 'Argument type is not supported: null!' },
] as { name: string; from: unknown; data?: unknown; metadata?: Record<string, string>; to: string }[])
  test(`math: input from ${name}`, async () => {
    const exact = { ...one('ABS', { type: 'MESSAGE_METADATA' }), arguments: [from] };
    const outcomes = await run(math, [message({ data, metadata })], { exact, services: services(world) });
    assert.deepEqual(outcomes, [
      /\d$/.test(to) && !to.includes(' ') ? { to: 'Success', effect: false, metadata: { ...metadata, r: to } } : { to: 'Failure', error: to },
    ]);
  });

test('math: a message sees what the one before it stored, of its originator', async () => {
  const stored = new Map<string, Value>();
  const given = services();
  given.attributes.find = async ({ id }, _scope, keys) => {
    await new Promise(setImmediate);
    return keys!.filter((key) => stored.has(id + key)).map((key) => ({ key, value: stored.get(id + key)!, lastUpdateTs: 1 }));
  };
  given.attributes.save = ({ id }, _scope, values) => {
    for (const [key, value] of values) stored.set(id + key, value);
  };
  const exact = {
    ...two('ADD', { type: 'ATTRIBUTE', key: 'total', resultValuePrecision: 0, addToMetadata: true }),
    arguments: [argument('a'), argument('b', 'ATTRIBUTE', 'total', { defaultValue: 0 })],
  };
  const other = { entityType: 'ASSET', id: 'cccccccc-0000-1000-8000-000000000001' } as const;
  const all = [
    message({ data: { a: 1 } }),
    message({ data: { a: 10 }, originator: other }),
    message({ data: { a: 2 } }),
    message({ data: { a: 'x' } }),
    message({ data: { a: 4 } }),
  ];
  const totals = (await run(math, all, { exact, services: given })) as { metadata?: { total: string }; error?: string }[];
  assert.deepEqual(
    totals.map(({ metadata, error }) => metadata?.total ?? error),
    ['1', '10', '3', "Can't convert value 'x' to double!", '7'],
  );
});

test('math: a service that throws fails its message alone', async () => {
  const given = services(world);
  given.telemetry.latest = async () => {
    throw new Error('away');
  };
  const exact = { ...one('ABS', { type: 'MESSAGE_METADATA' }), arguments: [argument('a', 'TIME_SERIES', 't')] };
  assert.deepEqual(await run(math, [message()], { exact, services: given }), [{ to: 'Failure', error: 'away' }]);
});

for (const { config, reason } of [
  { config: one('ADD'), reason: 'Args count: 1 does not match operation: ADD' },
  { config: two('SIN'), reason: 'Args count: 2 does not match operation: SIN' },
  {
    config: custom(
      '1',
      Array.from({ length: 17 }, (_, i) => `a${i}`),
    ),
    reason: 'Args count: 17 does not match operation: CUSTOM',
  },
  { config: custom('', ['a']), reason: 'Custom function is blank!' },
  { config: { ...custom('', ['a']), customFunction: null }, reason: 'Custom function is blank!' },
  { config: custom('1+'.repeat(128) + '1', []), reason: 'Custom function is too complex (length > 256)!' },
  { config: { ...one('SIN'), arguments: null }, reason: 'Operation, arguments and result should be specified!' },
  { config: { ...one('SIN'), operation: null }, reason: 'Operation, arguments and result should be specified!' },
  { config: { ...one('SIN'), result: null }, reason: 'Operation, arguments and result should be specified!' },
  { config: one('DIVIDE'), reason: `Can't convert value: ${JSON.stringify(one('DIVIDE'))}` },
  { config: one('SIN', { zz: 1 }), reason: `Can't convert value: ${JSON.stringify(one('SIN', { zz: 1 }))}` },
])
  test(`math: unusable: ${reason.slice(0, 60)}`, () => assert.rejects(start(math, { exact: config }), { message: reason }));

test('math: the longest expression and sixteen arguments', async () => {
  const names = Array.from({ length: 16 }, (_, i) => `a${String.fromCharCode(97 + i)}`);
  await start(math, { exact: custom(names.join('+'), names) });
  await start(math, { exact: custom('1+'.repeat(127) + '10', []) });
});
