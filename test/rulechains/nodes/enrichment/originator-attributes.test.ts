import assert from 'node:assert/strict';
import test from 'node:test';
import type { Value } from '#engine/json.ts';
import originatorAttributes from '#rulechains/nodes/enrichment/originator-attributes.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { run, services, start, type World } from '#test/support/services.ts';

const LONG = (value: number | bigint): Value => ({ type: 'LONG', value });
const world: World = {
  attributes: {
    [`${DEVICE} SERVER_SCOPE`]: [
      ['limit', { type: 'DOUBLE', value: 42.5 }],
      ['obj', { type: 'JSON', value: '{"a":[1,2.0]}' }],
      ['flag', { type: 'BOOLEAN', value: true }],
      ['txt', { type: 'STRING', value: 's "q"' }],
      ['big', LONG(9007199254740993n)],
      ['whole', { type: 'DOUBLE', value: 42 }],
    ],
    [`${DEVICE} SHARED_SCOPE`]: [['shr', { type: 'STRING', value: 'shared' }]],
    [`${DEVICE} CLIENT_SCOPE`]: [['fw', LONG(2)]],
  },
  latest: { [DEVICE]: { temperature: { ts: 7, value: { type: 'DOUBLE', value: 22.5 } }, js: { ts: 8, value: { type: 'JSON', value: '{"x":1}' } } } },
};
const none = { clientAttributeNames: [], sharedAttributeNames: [], serverAttributeNames: [], latestTsKeyNames: [] };

for (const { name, config, data = { a: 1 }, metadata = {}, to } of [
  {
    name: 'to data, typed; what was there is replaced',
    config: {
      fetchTo: 'DATA',
      clientAttributeNames: ['fw'],
      sharedAttributeNames: ['shr'],
      serverAttributeNames: ['limit', 'obj', 'flag', 'txt', 'big', 'whole'],
      latestTsKeyNames: ['temperature'],
    },
    data: { a: 1, ss_limit: 'old' },
    to: {
      to: 'Success',
      data: '{"a":1,"ss_limit":42.5,"cs_fw":2,"shared_shr":"shared","ss_obj":{"a":[1,2.0]},"ss_flag":true,"ss_txt":"s \\"q\\"","ss_big":9007199254740993,"ss_whole":42.0,"temperature":22.5}',
    },
  },
  {
    name: 'to metadata, as text',
    config: { serverAttributeNames: ['limit', 'obj', 'flag', 'big', 'whole'], latestTsKeyNames: ['temperature'] },
    metadata: { k: 'v' },
    to: {
      to: 'Success',
      metadata: {
        k: 'v',
        ss_limit: '42.5',
        ss_obj: '{"a":[1,2.0]}',
        ss_flag: 'true',
        ss_big: '9007199254740993',
        ss_whole: '42.0',
        temperature: '22.5',
      },
    },
  },
  {
    name: 'telemetry with its time',
    config: { fetchTo: 'DATA', latestTsKeyNames: ['temperature', 'js'], getLatestValueWithTs: true },
    to: { to: 'Success', data: '{"a":1,"temperature":{"ts":7,"value":22.5},"js":{"ts":8,"value":{"x":1}}}' },
  },
  {
    name: 'telemetry with its time in metadata',
    config: { latestTsKeyNames: ['js'], getLatestValueWithTs: true },
    to: { to: 'Success', metadata: { js: '{"ts":8,"value":{"x":1}}' } },
  },
  {
    name: 'something absent fails, with what was found',
    config: { clientAttributeNames: ['ca'], serverAttributeNames: ['limit', 'nope', 'neither'], latestTsKeyNames: ['nots'] },
    to: {
      to: 'Failure',
      error:
        'The following attribute/telemetry keys is not present in the DB: \n\t[CLIENT_SCOPE]:[ca]\n\t[SERVER_SCOPE]:[nope, neither]\n\t[LATEST_TS]:[nots]\n',
      metadata: { ss_limit: '42.5' },
    },
  },
  {
    name: 'something absent, quiet',
    config: { serverAttributeNames: ['limit', 'nope'], tellFailureIfAbsent: false },
    to: { to: 'Success', metadata: { ss_limit: '42.5' } },
  },
  {
    name: 'names are patterns',
    config: { serverAttributeNames: ['${k}'], latestTsKeyNames: ['$[n]'] },
    data: { n: 'temperature' },
    metadata: { k: 'limit' },
    to: { to: 'Success', metadata: { k: 'limit', ss_limit: '42.5', temperature: '22.5' } },
  },
  {
    name: 'a name keeps its blanks',
    config: { serverAttributeNames: [' limit '] },
    to: { to: 'Failure', error: 'The following attribute/telemetry keys is not present in the DB: \n\t[SERVER_SCOPE]:[ limit ]\n', metadata: {} },
  },
  { name: 'an empty name', config: { serverAttributeNames: ['${k}'] }, metadata: { k: '' }, to: { to: 'Failure', error: 'Incorrect attribute key' } },
  {
    name: 'a blank name is one',
    config: { serverAttributeNames: [' '] },
    to: { to: 'Failure', error: 'The following attribute/telemetry keys is not present in the DB: \n\t[SERVER_SCOPE]:[ ]\n', metadata: {} },
  },
  { name: 'a name that is null', config: { serverAttributeNames: ['limit', null] }, to: { to: 'Failure', error: 'Failed to process pattern!' } },
  {
    name: 'names twice',
    config: {
      clientAttributeNames: ['x', 'x'],
      serverAttributeNames: ['limit', 'limit'],
      latestTsKeyNames: ['temperature', 'temperature', 'y', 'y'],
    },
    to: {
      to: 'Failure',
      error:
        'The following attribute/telemetry keys is not present in the DB: \n\t[CLIENT_SCOPE]:[x, x]\n\t[SERVER_SCOPE]:[]\n\t[LATEST_TS]:[y, y]\n',
      metadata: { ss_limit: '42.5', temperature: '22.5' },
    },
  },
  {
    name: 'data that is no object',
    config: { fetchTo: 'DATA', serverAttributeNames: ['limit'] },
    data: [],
    to: { to: 'Failure', error: 'Message body is not an object!' },
  },
])
  test(`originator attributes: ${name}`, async () => {
    const outcomes = await run(originatorAttributes, [message({ data, metadata: metadata as Record<string, string> })], {
      config: { ...none, ...config },
      services: services(world),
    });
    assert.deepEqual(outcomes, [to]);
  });

test('originator attributes: lists that are missing are empty', async () => {
  const outcomes = await run(originatorAttributes, [message()], {
    exact: { fetchTo: 'METADATA', serverAttributeNames: ['limit'] },
    services: services(world),
  });
  assert.deepEqual(outcomes, [{ to: 'Success', metadata: { ss_limit: '42.5' } }]);
});

test('originator attributes: without a place for the values the node is unusable', () =>
  assert.rejects(start(originatorAttributes, { config: { fetchTo: null } }), {
    message: "FetchTo option can't be null! Allowed values: [DATA, METADATA]",
  }));
