import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePattern, fillPattern } from '#engine/pattern.ts';
import { message } from '#test/support/message.ts';

// What a REST push adds; the order in which metadata is gone through depends on it.
const REST = { serviceId: 's', requestUUID: 'r', expirationTime: '1' };

for (const { name, pattern, data = '{}', metadata = {}, text } of [
  {
    name: 'array steps stay literal',
    pattern: 'ABC ${key} $[key1.key2[0].key3]',
    data: '{"key1":{"key2":[{"key3":1}]}}',
    metadata: { key: 'metadata_value' },
    text: 'ABC metadata_value $[key1.key2[0].key3]',
  },
  { name: 'all of both, empty', pattern: 'META ${*} DATA $[*]', text: 'META {} DATA {}' },
  { name: 'all of an array, printed compact', pattern: 'DATA $[*]', data: '[1, "two", true, 2.50]', text: 'DATA [1,"two",true,2.5]' },
  {
    name: 'scalars by their JSON text',
    pattern: '$[i] $[f] $[b] $[n] $[s] $[o] $[l]',
    data: '{"i":1.0,"f":1e5,"b":true,"n":null,"s":"q\\"x","o":{"a":1},"l":[1]}',
    text: '1.0 100000.0 true null q"x $[o] $[l]',
  },
  { name: 'nested path', pattern: '$[a.b.c]', data: '{"a":{"b":{"c":"deep"}}}', text: 'deep' },
  { name: 'unknown stays', pattern: '${nope} $[nope] $[a.nope] $[]', data: '{"a":1}', text: '${nope} $[nope] $[a.nope] $[]' },
  {
    name: 'inherited names are no keys',
    pattern: '${constructor} $[toString] $[a.__proto__]',
    data: '{"a":{}}',
    text: '${constructor} $[toString] $[a.__proto__]',
  },
  { name: 'metadata brings in data', pattern: '${k}', data: '{"a":5}', metadata: { ...REST, k: '$[a] ${x}', x: 'y' }, text: '5 ${x}' },
  {
    name: 'braces around and within',
    pattern: '{${k}} [$[a]] $${k} $$[a] ${${k}}',
    data: '{"a":1}',
    metadata: { ...REST, k: 'v', v: 'w' },
    text: '{v} [1] $v $1 w',
  },
  {
    name: 'dollars in values are plain',
    pattern: '${k} $[a]',
    data: '{"a":"$1 \\\\ $0"}',
    metadata: { k: '$& $1 ${k}' },
    text: '$& $1 ${k} $1 \\ $0',
  },
  { name: 'empty values', pattern: '[${e}] [$[e]]', data: '{"e":""}', metadata: { e: '' }, text: '[] []' },
  { name: 'data that is no object', pattern: '$[a] ${k}', data: '"a"', metadata: { k: 'v' }, text: '$[a] v' },
] as { name: string; pattern: string; data?: string; metadata?: Record<string, string>; text: string }[])
  test(`pattern: ${name}`, () => assert.equal(fillPattern(pattern, message({ data, metadata })), text));

for (const data of ['', 'no json'])
  test(`pattern: data ${JSON.stringify(data)} is an error even when the pattern does not look`, () => {
    assert.throws(() => compilePattern('literal')(message({ data })), { message: 'Failed to process pattern!' });
  });
