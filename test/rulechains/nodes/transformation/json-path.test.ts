import assert from 'node:assert/strict';
import test from 'node:test';
import jsonPath from '#rulechains/nodes/transformation/json-path.ts';
import { message } from '#test/support/message.ts';
import { run, start } from '#test/support/services.ts';

for (const { path, data, to } of [
  { path: '$', data: '{ "a" : 1.0 }', to: 'Success' },
  { path: '$', data: 'no json', to: 'Success' },
  { path: '$', data: '', to: 'Success' },
  { path: '$.attributes.length()', data: '{"attributes":[{},{},{},{}]}', to: { to: 'Success', data: '4' } },
  { path: '$.A[?(@.voltage > 200)]', data: '{"A":[{"voltage":220.0},{"voltage":110}]}', to: { to: 'Success', data: '[{"voltage":220.0}]' } },
  { path: '$.s', data: '{"s":"text"}', to: { to: 'Success', data: '"text"' } },
  { path: '$.a', data: '{"a":{"x":1e5,"z":9007199254740993}}', to: { to: 'Success', data: '{"x":100000.0,"z":9007199254740993}' } },
  { path: '$[1]', data: '[1]', to: { to: 'Success', data: 'null' } },
  { path: '$.nope', data: '{"a":1}', to: { to: 'Failure', error: "No results for path: $['nope']" } },
])
  test(`json path node: ${path} of ${data}`, async () =>
    assert.deepEqual(await run(jsonPath, [message({ data })], { config: { jsonPath: path } }), [to]));

for (const data of ['', 'text', '{', 'null', '42', '[]'])
  test(`json path node: $.a of ${JSON.stringify(data)} is a failure`, async () =>
    assert.equal(((await run(jsonPath, [message({ data })], { config: { jsonPath: '$.a' } }))[0] as { to: string }).to, 'Failure'));

for (const path of [null, '', ' ', '$.a b'])
  test(`json path node: unusable with ${JSON.stringify(path)}`, () => assert.rejects(start(jsonPath, { config: { jsonPath: path } })));

test('json path node: a number is a path', async () =>
  assert.deepEqual(await run(jsonPath, [message({ data: { 5: 'x' } })], { exact: { jsonPath: 5 } }), [{ to: 'Success', data: '"x"' }]));
