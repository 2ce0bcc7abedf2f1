import assert from 'node:assert/strict';
import test from 'node:test';
import copyKeys from '#rulechains/nodes/transformation/copy-keys.ts';
import deleteKeys from '#rulechains/nodes/transformation/delete-keys.ts';
import { message } from '#test/support/message.ts';
import { run, start } from '#test/support/services.ts';

const SIX = '{"nullKey":null,"stringKey":"value1","booleanKey":true,"doubleKey":42.0,"longKey":73,"jsonKey":{"a":[1,2]},"other":1}';
const failure = (outcome: unknown): unknown => (outcome as { to: string }).to;

for (const { name, node, config, data = '{}', metadata = {}, to } of [
  {
    name: 'copy: values become text',
    node: copyKeys,
    config: { keys: ['.*Key$'] },
    data: SIX,
    metadata: { z: '1' },
    to: {
      to: 'Success',
      metadata: { z: '1', nullKey: 'null', stringKey: 'value1', booleanKey: 'true', doubleKey: '42.0', longKey: '73', jsonKey: '{"a":[1,2]}' },
    },
  },
  {
    name: 'copy: numbers in Java’s form',
    node: copyKeys,
    config: { keys: ['.*'] },
    data: '{"b":1e5,"c":-0.0,"d":9007199254740993,"e":12345678901234567890,"f":0.10,"g":{"x":1.0},"h":"1.0","i":1e400}',
    to: {
      to: 'Success',
      metadata: {
        ...{ b: '100000.0', c: '-0.0', d: '9007199254740993', e: '12345678901234567890', f: '0.1', g: '{"x":1.0}', h: '1.0', i: 'Infinity' },
      },
    },
  },
  {
    name: 'copy: over what is there',
    node: copyKeys,
    config: { keys: ['a'] },
    data: '{"a":1}',
    metadata: { a: '0', b: '2' },
    to: { to: 'Success', metadata: { a: '1', b: '2' } },
  },
  {
    name: 'copy: what stands behind the data means nothing',
    node: copyKeys,
    config: { keys: ['a'] },
    data: '{"a":1} x',
    to: { to: 'Success', metadata: { a: '1' } },
  },
  { name: 'copy: the whole key', node: copyKeys, config: { keys: ['Key', 'other.'] }, data: SIX, to: 'Success' },
  { name: 'copy: no keys', node: copyKeys, config: { keys: [] }, data: SIX, to: 'Success' },
  {
    name: 'copy: from metadata as text, behind what is there',
    node: copyKeys,
    config: { copyFrom: 'METADATA', keys: ['k.*'] },
    data: '{ "k1":1.0, "a":1.0}',
    metadata: { k1: 'v', k2: '5', k3: 'true', k4: '', z: '1' },
    to: { to: 'Success', data: '{"k1":"v","a":1.0,"k2":"5","k3":"true","k4":""}' },
  },
  {
    name: 'copy: from metadata without a match keeps the text',
    node: copyKeys,
    config: { copyFrom: 'METADATA', keys: ['x'] },
    data: '{ "a":1e5}',
    metadata: { k: 'v' },
    to: 'Success',
  },
  {
    name: 'delete: by pattern',
    node: deleteKeys,
    config: { keys: ['(\\w*)Data(\\w*)', 'x'] },
    data: '{"Voltage":22.5,"TempDataValue":10.5,"x":1,"xx":2}',
    to: { to: 'Success', data: '{"Voltage":22.5,"xx":2}' },
  },
  {
    name: 'delete: numbers in Java’s form',
    node: deleteKeys,
    config: { keys: ['z'] },
    data: '{ "a" : 1.0 , "b":1e5, "z":1, "c":9007199254740993, "e":"\\u00e9\\/"}',
    to: { to: 'Success', data: '{"a":1.0,"b":100000.0,"c":9007199254740993,"e":"é/"}' },
  },
  { name: 'delete: only at the top', node: deleteKeys, config: { keys: ['a'] }, data: '{"b":{"a":1}}', to: 'Success' },
  { name: 'delete: without a match the text stays', node: deleteKeys, config: { keys: ['z'] }, data: '{ "a" : 1e5 }', to: 'Success' },
  { name: 'delete: everything', node: deleteKeys, config: { keys: ['.*'] }, data: '{"a":1,"__proto__":2}', to: { to: 'Success', data: '{}' } },
  {
    name: 'delete: from metadata, whatever the data',
    node: deleteKeys,
    config: { deleteFrom: 'METADATA', keys: ['a', 's.*'] },
    data: 'no json',
    metadata: { a: '1', ss_x: '2', b: '3' },
    to: { to: 'Success', metadata: { b: '3' } },
  },
])
  test(name, async () => assert.deepEqual(await run(node, [message({ data, metadata: metadata as Record<string, string> })], { config }), [to]));

for (const node of [copyKeys, deleteKeys]) {
  const name = node === copyKeys ? 'copy' : 'delete';
  const [part, title, oldKey] = node === copyKeys ? ['copyFrom', 'CopyFrom', 'fromMetadata'] : ['deleteFrom', 'DeleteFrom', 'dataToFetch'];
  for (const data of ['[]', '[{"a":1}]', '"text"', '42', 'null', 'true'])
    test(`${name}: data ${data} stays`, async () =>
      assert.deepEqual(await run(node, [message({ data })], { config: { keys: ['.*'] } }), ['Success']));
  for (const data of ['', 'text', '{"a":']) {
    test(`${name}: data ${JSON.stringify(data)} is a failure`, async () =>
      assert.deepEqual((await run(node, [message({ data })], { config: { keys: ['.*'] } })).map(failure), ['Failure']));
  }
  for (const { config, reason } of [
    { config: { [part!]: null }, reason: `${title} can't be null! Allowed values: [DATA, METADATA]` },
    { config: { [part!]: 'BOTH' }, reason: /^Can't convert value: / },
    { config: { keys: null }, reason: 'Keys are not set!' },
    { config: { keys: [null] }, reason: 'A key is null!' },
    { config: { keys: ['('] }, reason: /./ },
  ])
    test(`${name}: unusable with ${JSON.stringify(config)}`, () => assert.rejects(start(node, { config }), { message: reason }));

  for (const { from, old, upgraded } of [
    { from: 0, old: { fromMetadata: true, keys: ['a'] }, upgraded: { [part!]: 'METADATA', keys: ['a'] } },
    { from: 0, old: { fromMetadata: false, keys: [] }, upgraded: { [part!]: 'DATA', keys: [] } },
    { from: 0, old: { fromMetadata: 'true' }, upgraded: { [part!]: 'METADATA' } },
    { from: 1, old: { [part!]: null, keys: ['a'] }, upgraded: { [part!]: null, keys: ['a'] } },
    { from: 1, old: { [oldKey!]: 'METADATA', keys: ['a'] }, upgraded: { [part!]: 'METADATA', keys: ['a'] } },
    { from: 1, old: { [oldKey!]: 'METADATA', [part!]: 'DATA' }, upgraded: { [oldKey!]: 'METADATA', [part!]: 'DATA' } },
  ])
    test(`${name}: ${JSON.stringify(old)} of version ${from}`, () =>
      assert.deepEqual(
        node.upgrades!.slice(from).reduce<Record<string, unknown>>((config, step) => step(config), old),
        upgraded,
      ));
  for (const { from, old } of [
    { from: 0, old: { fromMetadata: 'METADATA' } },
    { from: 0, old: { fromMetadata: null } },
    { from: 0, old: { [part!]: 'METADATA', keys: ['a'] } },
    { from: 1, old: { keys: ['a'] } },
    { from: 1, old: { [oldKey!]: true } },
    { from: 1, old: { [oldKey!]: null } },
  ])
    test(`${name}: ${JSON.stringify(old)} of version ${from} can not be upgraded`, () => assert.throws(() => node.upgrades![from]!(old)));
}
