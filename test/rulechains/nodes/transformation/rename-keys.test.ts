import assert from 'node:assert/strict';
import test from 'node:test';
import renameKeys from '#rulechains/nodes/transformation/rename-keys.ts';
import { message } from '#test/support/message.ts';
import { run, start } from '#test/support/services.ts';

for (const { name, config, data = '{}', metadata = {}, to } of [
  { name: 'onto a key that is there', config: { renameKeysMapping: { a: 'b' } }, data: '{"a":1,"b":2}', to: { to: 'Success', data: '{"b":1}' } },
  { name: 'one after the other', config: { renameKeysMapping: { a: 'b', b: 'a' } }, data: '{"a":1,"b":2}', to: { to: 'Success', data: '{"a":1}' } },
  { name: 'onto itself: gone', config: { renameKeysMapping: { a: 'a' } }, data: '{"a":1,"c":2}', to: { to: 'Success', data: '{"c":2}' } },
  {
    name: 'literally',
    config: { renameKeysMapping: { 'a.b': 'ä ö', '${k}': 'q' } },
    data: '{"a.b":1,"${k}":2,"a":{"b":3}}',
    metadata: { k: 'a' },
    to: { to: 'Success', data: '{"a":{"b":3},"ä ö":1,"q":2}' },
  },
  {
    name: 'numbers in Java’s form',
    config: { renameKeysMapping: { a: 'b' } },
    data: '{"z": 1, "a": 1.0, "big":12345678901234567890, "e":1e3, "n":-0.0, "d":1.10, "x":1e400, "s":1E-10}',
    to: { to: 'Success', data: '{"z":1,"big":12345678901234567890,"e":1000.0,"n":-0.0,"d":1.1,"x":"Infinity","s":1.0E-10,"b":1.0}' },
  },
  {
    name: 'no new name, of a key that is there',
    config: { renameKeysMapping: { a: 'b', c: null } },
    data: '{"a":1,"c":2}',
    to: { to: 'Failure', error: "The new name of 'c' is not set!" },
  },
  { name: 'no new name, of a key that is not there', config: { renameKeysMapping: { c: null } }, data: '{"a":1}', to: 'Success' },
  {
    name: 'no new name in metadata',
    config: { renameIn: 'METADATA', renameKeysMapping: { a: null } },
    metadata: { a: '1' },
    to: { to: 'Failure', error: "The new name of 'a' is not set!" },
  },
  { name: 'nothing to rename keeps the text', config: { renameKeysMapping: { a: 'b' } }, data: '{ "z": 1.0 }', to: 'Success' },
  { name: 'an array stays', config: { renameKeysMapping: { a: 'b' } }, data: '[ 1.0 ]', to: 'Success' },
  {
    name: 'in metadata, whatever the data',
    config: { renameIn: 'METADATA', renameKeysMapping: { a: 'b', x: 'y' } },
    data: '',
    metadata: { a: '1', c: '2' },
    to: { to: 'Success', metadata: { c: '2', b: '1' } },
  },
  {
    name: 'in metadata onto itself',
    config: { renameIn: 'METADATA', renameKeysMapping: { a: 'a' } },
    metadata: { a: '1', c: '2' },
    to: { to: 'Success', metadata: { c: '2' } },
  },
])
  test(`rename keys: ${name}`, async () =>
    assert.deepEqual(await run(renameKeys, [message({ data, metadata: metadata as Record<string, string> })], { config }), [to]));

for (const { config, reason } of [
  { config: { renameKeysMapping: {} }, reason: 'At least one mapping entry should be specified!' },
  { config: { renameIn: null }, reason: "RenameIn can't be null! Allowed values: [DATA, METADATA]" },
  { config: { renameIn: 'BOTH' }, reason: 'Can\'t convert value: {"renameIn":"BOTH","renameKeysMapping":{"temperatureCelsius":"temperature"}}' },
])
  test(`rename keys: unusable with ${JSON.stringify(config)}`, () => assert.rejects(start(renameKeys, { config }), { message: reason }));
