import assert from 'node:assert/strict';
import test from 'node:test';
import type { Value } from '#engine/json.ts';
import deleteAttributes from '#rulechains/nodes/action/delete-attributes.ts';
import saveAttributes from '#rulechains/nodes/action/save-attributes.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { NODE, NOW, run, services, start } from '#test/support/services.ts';

const LONG = (value: number): Value => ({ type: 'LONG', value });
const STRING = (value: string): Value => ({ type: 'STRING', value });
const QUIET = { to: 'Success', effect: false };
const type = 'POST_ATTRIBUTES_REQUEST';
const stored = {
  attributes: {
    [`${DEVICE} SERVER_SCOPE`]: [
      ['address', STRING('P')],
      ['valid', { type: 'BOOLEAN', value: true }],
      ['counter', LONG(100)],
      ['temp', { type: 'DOUBLE', value: -18.35 }],
      ['json', { type: 'JSON', value: '{"w":1}' }],
      ['one', LONG(1)],
    ],
  } satisfies Record<string, [string, Value][]>,
};
const saved = (scope: string, values: Record<string, Value>) => ['save attributes', DEVICE, scope, values, NOW];

for (const { name, config, data, metadata = {}, to = 'Success', did = [], kind = type } of [
  {
    name: 'writes what changed in type or value',
    config: { sendAttributesUpdatedNotification: true },
    data: '{"address":"P","valid":"false","counter":101,"temp":-18.35,"json":"{\\"w\\":1}","newKey":1,"one":1.0}',
    did: [
      saved('SERVER_SCOPE', {
        valid: STRING('false'),
        counter: LONG(101),
        json: STRING('{"w":1}'),
        newKey: LONG(1),
        one: { type: 'DOUBLE', value: 1 },
      }),
      [
        'enqueue',
        {
          type: 'ATTRIBUTES_UPDATED',
          originator: DEVICE,
          data: { valid: 'false', counter: 101, json: '{"w":1}', newKey: 1, one: 1 },
          metadata: { scope: 'SERVER_SCOPE', ruleNodeId: NODE.id },
        },
      ],
    ],
  },
  { name: 'no change, nothing happens', config: { sendAttributesUpdatedNotification: true }, data: { address: 'P', one: '1' }, to: QUIET },
  {
    name: 'everything, where that is wanted',
    config: { updateAttributesOnlyOnValueChange: false },
    data: { address: 'P' },
    did: [saved('SERVER_SCOPE', { address: STRING('P') })],
  },
  { name: 'the scope of the metadata wins', data: { a: 1 }, metadata: { scope: 'CLIENT_SCOPE' }, did: [saved('CLIENT_SCOPE', { a: LONG(1) })] },
  { name: 'an empty one does not', data: { a: 1 }, metadata: { scope: '' }, did: [saved('SERVER_SCOPE', { a: LONG(1) })] },
  { name: 'a wrong one fails', data: { a: 1 }, metadata: { scope: 'WRONG' }, to: { to: 'Failure', error: 'Unknown attribute scope: WRONG' } },
  { name: 'none fails', config: { scope: null }, data: { a: 1 }, to: { to: 'Failure', error: 'Attribute scope is not set!' } },
  {
    name: 'client attributes send no message',
    config: { scope: 'CLIENT_SCOPE', sendAttributesUpdatedNotification: true },
    data: { a: 1 },
    did: [saved('CLIENT_SCOPE', { a: LONG(1) })],
  },
  { name: 'an empty object', data: {}, to: QUIET },
  { name: 'an array fails', data: [{ a: 1 }], to: { to: 'Failure', error: 'Can\'t parse value: [{"a":1}]' } },
  { name: 'a null fails', data: { a: 1, n: null }, to: { to: 'Failure', error: "Can't parse value: null" } },
  { name: 'an empty key can not be looked for', data: { '': 1 }, to: { to: 'Failure', error: 'Incorrect attribute key ' } },
  {
    name: 'nor written',
    config: { updateAttributesOnlyOnValueChange: false },
    data: { '': 1 },
    to: { to: 'Failure', error: "Key can't be null or empty" },
  },
  { name: 'a blank one is not written', data: { '  ': 1 }, to: { to: 'Failure', error: "Key can't be null or empty" } },
  {
    name: 'a long one is not written',
    data: { ['k'.repeat(256)]: 1 },
    to: { to: 'Failure', error: 'Validation error: key length must be equal or less than 255' },
  },
  { name: 'one with HTML is not written', data: { '<b>x</b>': 1 }, to: { to: 'Failure', error: 'Validation error: key is malformed' } },
  {
    name: 'ts and values are keys',
    data: { ts: 5, values: { a: 1 } },
    did: [saved('SERVER_SCOPE', { ts: LONG(5), values: { type: 'JSON', value: '{"a":1}' } })],
  },
  { name: 'another type', data: { a: 1 }, kind: 'ATTRIBUTES_UPDATED', to: { to: 'Failure', error: 'Unsupported msg type: ATTRIBUTES_UPDATED' } },
  { name: 'live only', config: { processingSettings: { type: 'WEBSOCKETS_ONLY' } }, data: { a: 1 }, to: QUIET },
  {
    name: 'nothing to do still reads the body',
    config: {
      processingSettings: { type: 'ADVANCED', attributes: { type: 'SKIP' }, webSockets: { type: 'SKIP' }, calculatedFields: { type: 'SKIP' } },
    },
    data: '"x"',
    to: { to: 'Failure', error: 'Can\'t parse value: "x"' },
  },
])
  test(`save attributes: ${name}`, async () => {
    const given = services(stored);
    const outcomes = await run(saveAttributes, [message({ data, type: kind, metadata: metadata as Record<string, string> })], {
      config,
      services: given,
    });
    assert.deepEqual([outcomes, given.did], [[to], did]);
  });

test('save attributes: a body that can not be read, or is empty, uses up no interval', async () => {
  const given = services();
  const processingSettings = { type: 'DEDUPLICATE', deduplicationIntervalSecs: 60 };
  const metadata = { ts: '1700000000000' };
  const sent = ['x', {}, { a: 1 }, { a: 2 }].map((data, at) => message({ id: `m${at}`, type, data: JSON.stringify(data), metadata }));
  const outcomes = await run(saveAttributes, sent, { config: { processingSettings, updateAttributesOnlyOnValueChange: false }, services: given });
  assert.deepEqual(outcomes, [{ to: 'Failure', error: 'Can\'t parse value: "x"' }, QUIET, 'Success', QUIET]);
  assert.deepEqual(given.did, [saved('SERVER_SCOPE', { a: LONG(1) })]);
});

test('save attributes: what is not saved is not told to the device', async () => {
  const given = services();
  const config = { scope: 'SHARED_SCOPE', notifyDevice: true, processingSettings: { type: 'WEBSOCKETS_ONLY' } };
  assert.deepEqual([await run(saveAttributes, [message({ type, data: { a: 1 } })], { config, services: given }), given.did], [[QUIET], []]);
});

for (const { notifyDevice, metadata, scope = 'SHARED_SCOPE', entityType = 'DEVICE', isTold } of [
  { notifyDevice: false, metadata: {}, isTold: true },
  { notifyDevice: false, metadata: { notifyDevice: '' }, isTold: true },
  { notifyDevice: false, metadata: { notifyDevice: 'null' }, isTold: false },
  { notifyDevice: false, metadata: { notifyDevice: 'true' }, isTold: true },
  { notifyDevice: false, metadata: { notifyDevice: 'false' }, isTold: false },
  { notifyDevice: true, metadata: { notifyDevice: 'false' }, isTold: true },
  { notifyDevice: true, metadata: {}, scope: 'SERVER_SCOPE', isTold: false },
  { notifyDevice: true, metadata: {}, entityType: 'ASSET', isTold: false },
] as { notifyDevice: boolean; metadata: Record<string, string>; scope?: string; entityType?: 'DEVICE'; isTold: boolean }[]) {
  test(`save attributes: device told with ${JSON.stringify({ notifyDevice, metadata, scope, entityType })}: ${isTold}`, async () => {
    const given = services();
    await run(saveAttributes, [message({ type, data: { a: 1 }, metadata, originator: { entityType, id: DEVICE } })], {
      config: { scope, notifyDevice },
      services: given,
    });
    assert.deepEqual(given.did.slice(1), isTold ? [['notify', DEVICE, ['a']]] : []);
  });
}

test('save attributes: a scope that is none does not keep the node from starting', () =>
  assert.doesNotReject(start(saveAttributes, { config: { scope: 'FOO_SCOPE' } })));

for (const { name, config, data = {}, metadata = {}, to = 'Success', did = [] } of [
  {
    name: 'patterns, once each, without blanks',
    config: { keys: ['${k}', '$[m]', ' ', '', '${k}'] },
    data: { m: 'b' },
    metadata: { k: 'a' },
    did: [['remove attributes', DEVICE, 'SERVER_SCOPE', ['a', 'b']]],
  },
  { name: 'no keys', config: { keys: ['', '  '] }, data: [], to: QUIET },
  { name: 'null keys', config: { keys: null }, to: { to: 'Failure', error: 'Keys to delete are not set!' } },
  {
    name: 'the scope of the metadata',
    config: { keys: ['a'] },
    metadata: { scope: 'SHARED_SCOPE' },
    did: [['remove attributes', DEVICE, 'SHARED_SCOPE', ['a']]],
  },
  { name: 'a wrong scope', config: { keys: ['a'] }, metadata: { scope: 'BAD' }, to: { to: 'Failure', error: 'Unknown attribute scope: BAD' } },
  {
    name: 'metadata asks to tell the device',
    config: { scope: 'SHARED_SCOPE', keys: ['a'] },
    metadata: { notifyDevice: 'true' },
    did: [
      ['remove attributes', DEVICE, 'SHARED_SCOPE', ['a']],
      ['notify', DEVICE, ['a']],
    ],
  },
  {
    name: 'tells the device and the chain of all keys that were asked for',
    config: { scope: 'SHARED_SCOPE', keys: ['a', 'absent'], notifyDevice: true, sendAttributesDeletedNotification: true },
    did: [
      ['remove attributes', DEVICE, 'SHARED_SCOPE', ['a', 'absent']],
      ['notify', DEVICE, ['a', 'absent']],
      [
        'enqueue',
        {
          type: 'ATTRIBUTES_DELETED',
          originator: DEVICE,
          data: { attributes: ['a', 'absent'] },
          metadata: { scope: 'SHARED_SCOPE', ruleNodeId: NODE.id },
        },
      ],
    ],
  },
])
  test(`delete attributes: ${name}`, async () => {
    const given = services(stored);
    const outcomes = await run(deleteAttributes, [message({ data, metadata: metadata as Record<string, string> })], { config, services: given });
    assert.deepEqual([outcomes, given.did], [[to], did]);
  });
