import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConverterError } from '#engine/errors.ts';
import { downlinkOutput, type UplinkEntity, updateOnlyKeys, uplinkOutput } from '#engine/uplink/convert.ts';

const NOW = 1767225600000;
const device = (fields: Partial<UplinkEntity> = {}): UplinkEntity => ({
  kind: 'DEVICE',
  name: 'd',
  type: 't',
  label: null,
  customer: null,
  group: null,
  attributes: null,
  telemetry: [],
  updateOnlyKeys: null,
  ...fields,
});
const at = (ts: number, values: string) => ({ ts, valuesJson: values });
const D = '"deviceName":"d","deviceType":"t"';

for (const { name, json, entities, exact = false } of [
  { name: 'nothing', json: undefined, entities: [] },
  { name: 'null', json: 'null', entities: [] },
  { name: 'an empty object', json: '{}', entities: [] },
  { name: 'an empty array', json: '[]', entities: [] },
  { name: 'a device without data', json: `{${D}}`, entities: [device()] },
  {
    name: 'flat telemetry gets the time of arrival',
    json: `{${D},"telemetry":{"a":1,"b":"x"}}`,
    entities: [device({ telemetry: [at(NOW, '{"a":1,"b":"x"}')] })],
  },
  { name: 'telemetry with its time', json: `{${D},"telemetry":{"ts":5,"values":{"a":1}}}`, entities: [device({ telemetry: [at(5, '{"a":1}')] })] },
  {
    name: 'a list of both',
    json: `{${D},"telemetry":[{"a":1},{"ts":"7","values":{"a":2}},{}]}`,
    entities: [device({ telemetry: [at(NOW, '{"a":1}'), at(7, '{"a":2}')] })],
  },
  {
    name: 'nulls are left out, and a map of nulls is none',
    json: `{${D},"attributes":{"a":null},"telemetry":[{"a":null,"b":false},{"ts":5,"values":{"c":null}}]}`,
    entities: [device({ telemetry: [at(NOW, '{"b":false}')] })],
  },
  {
    name: 'no attributes, no telemetry',
    json: `{${D},"attributes":null,"telemetry":[],"customerName":"","groupName":null,"deviceLabel":" "}`,
    entities: [device()],
  },
  {
    name: 'all that is for creation',
    json: `{${D},"deviceLabel":"l","customerName":"c","groupName":5,"attributes":{"a":{"b":[1]}}}`,
    entities: [device({ label: 'l', customer: 'c', group: '5', attributes: '{"a":{"b":[1]}}' })],
  },
  {
    name: 'an asset and a device whose name is a number',
    json: '[{"assetName":"r","assetType":"room","assetLabel":"R","deviceLabel":"D"},{"deviceName":42,"deviceType":7}]',
    entities: [device({ kind: 'ASSET', name: 'r', type: 'room', label: 'R' }), device({ name: '42', type: '7' })],
  },
  { name: 'the other pair is there but null', json: `{${D},"assetName":null}`, entities: [device()] },
  {
    name: 'times as dates: with zone, without, a day',
    json: `{${D},"telemetry":[{"ts":"2026-01-01T01:00:00.5+01:00","values":{"a":1}},{"ts":"2026-01-01T00:00:00","values":{"a":1}},{"ts":"2026-01-01","values":{"a":1}},{"ts":1767225600000.9,"values":{"a":1}}]}`,
    entities: [device({ telemetry: [at(NOW + 500, '{"a":1}'), at(NOW, '{"a":1}'), at(NOW, '{"a":1}'), at(NOW, '{"a":1}')] })],
  },
  {
    name: 'a map with only one of ts and values is a flat one',
    json: `{${D},"telemetry":{"values":{"a":1}}}`,
    entities: [device({ telemetry: [at(NOW, '{"values":{"a":1}}')] })],
  },
  {
    name: '__proto__ is a key like any other',
    json: `{${D},"attributes":{"__proto__":{"a":1}}}`,
    entities: [device({ attributes: '{"__proto__":{"a":1}}' })],
  },
  {
    name: 'keys of 255 characters',
    json: `{${D},"attributes":{"${'k'.repeat(255)}":1}}`,
    entities: [device({ attributes: `{"${'k'.repeat(255)}":1}` })],
  },
  {
    name: 'keys that are stored when they change, by either name',
    json: `[{${D},"contentAwareAttributeKeys":["a"]},{${D},"updateOnlyKeys":[]}]`,
    entities: [device({ updateOnlyKeys: ['a'] }), device({ updateOnlyKeys: [] })],
  },
  {
    name: 'numbers that JavaScript can not hold stay as they are written',
    exact: true,
    json: `{${D},"attributes":{"a":1.0,"b":9007199254740993},"telemetry":{"ts":${NOW}.0,"values":{"c":2.50}}}`,
    entities: [device({ attributes: '{"a":1.0,"b":9007199254740993}', telemetry: [at(NOW, '{"c":2.5}')] })],
  },
]) {
  test(`uplink: ${name}`, () => assert.deepEqual(uplinkOutput(json, NOW, { exact }), entities));
}

for (const { json, message, path = '' } of [
  { json: '5', message: 'Converter must return an object or an array of objects' },
  { json: '"x"', message: 'Converter must return an object or an array of objects' },
  { json: 'true', message: 'Converter must return an object or an array of objects' },
  { json: `[{${D}},5]`, message: "Can't parse value: 5", path: '[1]' },
  { json: '[[]]', message: "Can't parse value: []", path: '[0]' },
  { json: '[null]', message: "Can't parse value: null", path: '[0]' },
  { json: `["${'x'.repeat(2000)}"]`, message: `Can't parse value: "${'x'.repeat(999)}…`, path: '[0]' },
  { json: `${'['.repeat(20_000)}${']'.repeat(20_000)}`, message: "Can't parse value: it is nested too deeply", path: '' },
  { json: `{${D},"attributes":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`, message: "Can't parse value: it is nested too deeply", path: '' },
  { json: '{"deviceType":"t"}', message: "Either 'deviceName' or 'assetName' must be specified" },
  { json: '{"deviceName":" ","deviceType":"t"}', message: "Either 'deviceName' or 'assetName' must be specified" },
  { json: '{"deviceName":{},"deviceType":"t"}', message: "Either 'deviceName' or 'assetName' must be specified" },
  { json: `[{${D}},{}]`, message: "Either 'deviceName' or 'assetName' must be specified", path: '[1]' },
  { json: '{"deviceName":"d"}', message: "'deviceType' must be specified", path: 'deviceType' },
  { json: '{"deviceName":"d","deviceType":""}', message: "'deviceType' must be specified", path: 'deviceType' },
  { json: '{"assetName":"a","deviceType":"t"}', message: "'assetType' must be specified", path: 'assetType' },
  { json: `{${D},"assetName":"a","assetType":"t"}`, message: "Only one of 'deviceName' and 'assetName' may be specified" },
  { json: `{${D},"telemetry":5}`, message: "Can't parse value: 5", path: 'telemetry' },
  { json: `{${D},"telemetry":[{"a":1},"x"]}`, message: 'Can\'t parse value: "x"', path: 'telemetry[1]' },
  { json: `{${D},"telemetry":{"ts":5,"values":[1]}}`, message: "Can't parse value: [1]", path: 'telemetry.values' },
  { json: `{${D},"attributes":[1]}`, message: "Can't parse value: [1]", path: 'attributes' },
  { json: `[{${D},"telemetry":[{"ts":"soon","values":{"a":1}}]}]`, message: 'Invalid timestamp: soon', path: '[0].telemetry[0].ts' },
  { json: `{${D},"telemetry":{"ts":0,"values":{}}}`, message: 'Invalid timestamp: 0', path: 'telemetry.ts' },
  { json: `{${D},"telemetry":{"ts":-5,"values":{}}}`, message: 'Invalid timestamp: -5', path: 'telemetry.ts' },
  { json: `{${D},"telemetry":{"ts":null,"values":{}}}`, message: 'Invalid timestamp: null', path: 'telemetry.ts' },
  { json: `{${D},"telemetry":{"ts":1e300,"values":{}}}`, message: 'Invalid timestamp: 1e+300', path: 'telemetry.ts' },
  { json: `{${D},"telemetry":{"":1}}`, message: 'Invalid key: ', path: 'telemetry' },
  { json: `{${D},"attributes":{"${'k'.repeat(256)}":1}}`, message: `Invalid key: ${'k'.repeat(256)}`, path: 'attributes' },
  { json: `{${D},"customerName":{}}`, message: "Can't parse value: {}", path: 'customerName' },
  { json: `{${D},"updateOnlyKeys":"a"}`, message: 'Can\'t parse value: "a"', path: 'updateOnlyKeys' },
]) {
  test(`uplink refused: ${json.slice(0, 90)}`, () => assert.throws(() => uplinkOutput(json, NOW), new ConverterError(message, { path })));
}

test('keys of a configuration', () => {
  assert.deepEqual(updateOnlyKeys(undefined), null);
  assert.deepEqual(updateOnlyKeys(['a', 'b']), ['a', 'b']);
  assert.throws(() => updateOnlyKeys([1]), ConverterError);
});

const text = (data: string) => new Uint8Array(Buffer.from(data));
for (const { name, json, downlinks } of [
  { name: 'nothing', json: undefined, downlinks: [] },
  { name: 'null', json: 'null', downlinks: [] },
  { name: 'an empty array', json: '[]', downlinks: [] },
  { name: 'an empty object', json: '{}', downlinks: [] },
  { name: 'text', json: '{"contentType":"TEXT","data":"ä"}', downlinks: [{ contentType: 'TEXT', data: text('ä'), metadata: {} }] },
  {
    name: 'metadata as text',
    json: '{"contentType":"JSON","data":"{}","metadata":{"topic":"a","port":5,"ack":true,"none":null}}',
    downlinks: [{ contentType: 'JSON', data: text('{}'), metadata: { topic: 'a', port: '5', ack: 'true' } }],
  },
  {
    name: 'an object as JSON data',
    json: '{"contentType":"JSON","data":{"a":[1]}}',
    downlinks: [{ contentType: 'JSON', data: text('{"a":[1]}'), metadata: {} }],
  },
  {
    name: 'a list, with bytes',
    json: '[{"contentType":"BINARY","data":"AQD/"},{"contentType":"BINARY","data":"AQ=="},{"contentType":"BINARY","data":""}]',
    downlinks: [new Uint8Array([1, 0, 255]), new Uint8Array([1]), new Uint8Array()].map((data) => ({ contentType: 'BINARY', data, metadata: {} })),
  },
]) {
  test(`downlink: ${name}`, () => {
    assert.deepEqual(
      downlinkOutput(json).map((downlink) => ({ ...downlink, data: new Uint8Array(downlink.data) })),
      downlinks,
    );
  });
}

for (const { json, message, path } of [
  { json: '5', message: 'Downlink converter must return an object or an array', path: '' },
  { json: '["x"]', message: 'Downlink converter must return an object or an array', path: '[0]' },
  { json: '{"data":"x"}', message: "'contentType' is missing or not one of JSON, TEXT, BINARY", path: 'contentType' },
  {
    json: '[{"contentType":"TEXT","data":"x"},{"contentType":"XML","data":"x"}]',
    message: "'contentType' is missing or not one of JSON, TEXT, BINARY",
    path: '[1].contentType',
  },
  { json: '{"contentType":"TEXT"}', message: "'data' is missing or not a string", path: 'data' },
  { json: '{"contentType":"TEXT","data":{}}', message: "'data' is missing or not a string", path: 'data' },
  { json: '{"contentType":"JSON","data":5}', message: "'data' is missing or not a string", path: 'data' },
  { json: '{"contentType":"BINARY","data":"%%"}', message: "'data' is not valid base64", path: 'data' },
  { json: '{"contentType":"BINARY","data":"A"}', message: "'data' is not valid base64", path: 'data' },
  { json: '{"contentType":"TEXT","data":"","metadata":[1]}', message: "Can't parse value: [1]", path: 'metadata' },
]) {
  test(`downlink refused: ${json}`, () => assert.throws(() => downlinkOutput(json), new ConverterError(message, { path })));
}
