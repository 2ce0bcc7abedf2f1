import assert from 'node:assert/strict';
import test from 'node:test';
import checkFields from '#rulechains/nodes/filter/check-fields.ts';
import { message } from '#test/support/message.ts';
import { run } from '#test/support/services.ts';

const both = { messageNames: ['a', 'b'], metadataNames: ['m'] };
for (const { name, config, data = {}, metadata = {}, to } of [
  { name: 'all there, a null too', config: both, data: { a: null, b: 0 }, metadata: { m: '' }, to: 'True' },
  { name: 'one missing in the data', config: both, data: { a: 1 }, metadata: { m: 'x' }, to: 'False' },
  { name: 'one missing in the metadata', config: both, data: { a: 1, b: 2 }, to: 'False' },
  { name: 'any, from the data', config: { ...both, checkAllKeys: false }, data: { b: null }, to: 'True' },
  { name: 'any, from the metadata', config: { ...both, checkAllKeys: false }, metadata: { m: 'x' }, to: 'True' },
  { name: 'any, none', config: { ...both, checkAllKeys: false }, data: { c: 1 }, to: 'False' },
  { name: 'nothing to check, all', config: {}, data: 'not even JSON', to: 'True' },
  { name: 'nothing to check, any', config: { checkAllKeys: false }, data: 'not even JSON', to: 'False' },
  { name: 'no dotted paths', config: { messageNames: ['a.b'] }, data: { a: { b: 1 } }, to: 'False' },
  { name: 'no patterns', config: { messageNames: ['${k}'] }, data: { a: 1 }, metadata: { k: 'a' }, to: 'False' },
  { name: 'inherited names are not there', config: { messageNames: ['toString'] }, to: 'False' },
  { name: 'an empty array is an empty object', config: { messageNames: ['a'] }, data: [], to: 'False' },
  { name: 'a scalar has no keys', config: { messageNames: ['a'] }, data: '"text"', to: { to: 'Failure', error: 'Message body is not an object!' } },
  {
    name: 'pairs are an object',
    config: { messageNames: ['a', 'b'] },
    data: [
      ['a', 1],
      ['b', null],
    ],
    to: 'True',
  },
  {
    name: 'pairs without the key',
    config: { messageNames: ['c'] },
    data: [
      ['a', 1],
      [1, 'c'],
    ],
    to: 'False',
  },
  {
    name: 'an array of others is none',
    config: { messageNames: ['a'] },
    data: [['a', 1], ['b']],
    to: { to: 'Failure', error: 'Message body is not an object!' },
  },
  {
    name: 'a pair twice',
    config: { messageNames: ['a'] },
    data: [
      ['a', 1],
      ['a', 2],
    ],
    to: { to: 'Failure', error: 'Message body has a key twice!' },
  },
  { name: 'more behind the data', config: { messageNames: ['a'] }, data: '{"a":1} x', to: { to: 'Failure', error: /./ } },
  { name: 'a name that is null is not in the data', config: { messageNames: ['a', null], checkAllKeys: false }, data: { null: 1 }, to: 'False' },
  { name: 'and fails in the metadata', config: { metadataNames: [null] }, to: { to: 'Failure', error: 'A key to check is null!' } },
  {
    name: 'any: data that has one, metadata is not looked at',
    config: { ...both, metadataNames: [null], checkAllKeys: false },
    data: { a: 1 },
    to: 'True',
  },
  { name: 'all: data that lacks one, metadata is not looked at', config: { ...both, metadataNames: null }, data: { a: 1 }, to: 'False' },
  {
    name: 'all: metadata is looked at',
    config: { messageNames: ['a'], metadataNames: null },
    data: { a: 1 },
    to: { to: 'Failure', error: 'Keys to check are not set!' },
  },
  { name: 'null lists', config: { messageNames: null }, to: { to: 'Failure', error: 'Keys to check are not set!' } },
  { name: 'a flag in text', config: { ...both, messageNames: ['a'], checkAllKeys: 'true' }, data: { a: 1 }, to: 'False' },
])
  test(`check fields: ${name}`, async () => {
    const [outcome] = await run(checkFields, [message({ data, metadata: metadata as Record<string, string> })], { config });
    if (typeof to === 'object' && to.error instanceof RegExp) assert.match((outcome as { error: string }).error, to.error);
    else assert.deepEqual(outcome, to);
  });

test('check fields: a missing flag reads as any', async () => {
  assert.deepEqual(await run(checkFields, [message({ data: { a: 1 } })], { exact: both }), ['True']);
});
