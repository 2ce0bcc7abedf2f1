import assert from 'node:assert/strict';
import test from 'node:test';
import type { EntityRef } from '#engine/message.ts';
import calculatedFields from '#rulechains/nodes/action/calculated-fields.ts';
import pushToCloud from '#rulechains/nodes/action/push-to-cloud.ts';
import pushToEdge from '#rulechains/nodes/action/push-to-edge.ts';
import saveToCustomTable from '#rulechains/nodes/action/save-to-custom-table.ts';
import { message } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

/** Nodes whose counterpart is not here. */

const PUSHED = [
  ...['POST_TELEMETRY_REQUEST', 'POST_ATTRIBUTES_REQUEST', 'ATTRIBUTES_UPDATED', 'ATTRIBUTES_DELETED', 'TIMESERIES_UPDATED'],
  ...['ALARM', 'ALARM_CREATED', 'ALARM_UPDATED', 'ALARM_SEVERITY_UPDATED', 'ALARM_ACK', 'ALARM_CLEAR'],
  ...['CONNECT_EVENT', 'DISCONNECT_EVENT', 'ACTIVITY_EVENT', 'INACTIVITY_EVENT', 'TO_SERVER_RPC_REQUEST'],
];
const failure = (error: string) => ({ to: 'Failure', error });
const edge: EntityRef = { entityType: 'EDGE', id: 'e' };
const NO_EDGES = failure('Edge events are not kept: edges do not connect to this server');

for (const [node, source] of [
  [pushToEdge, 'edge'],
  [pushToCloud, 'cloud'],
] as const) {
  for (const type of PUSHED)
    test(`${node.label}: ${type} has nowhere to go and ends`, async () => assert.deepEqual(await run(node, [message({ type })]), [[]]));
  for (const { name, type = 'WHATEVER', metadata = {} as Record<string, string>, to = [] } of [
    { name: 'what came from there does not go back', metadata: { source } },
    { name: 'whatever the case', metadata: { source: source.toUpperCase() } },
    { name: 'from elsewhere', metadata: { source: 'x' }, to: failure('Unsupported msg type WHATEVER') },
    { name: 'another type', to: failure('Unsupported msg type WHATEVER') },
    { name: 'entity events', type: 'ENTITY_CREATED', to: failure('Unsupported msg type ENTITY_CREATED') },
    { name: 'data that is no JSON', type: 'POST_TELEMETRY_REQUEST', to: [] },
  ])
    test(`${node.label}: ${name}`, async () => assert.deepEqual(await run(node, [message({ type, metadata, data: 'x' })]), [to]));
}

for (const { name, fields, edges = [], to = NO_EDGES } of [
  { name: 'on an edge: it says that there is none', fields: {}, edges: ['e'] },
  { name: 'of an edge', fields: { originator: edge } },
  {
    name: 'a request for an edge',
    fields: { type: 'TO_SERVER_RPC_REQUEST', originator: edge },
    to: failure('Unsupported msg type: TO_SERVER_RPC_REQUEST'),
  },
  {
    name: 'deleted attributes without a list',
    fields: { type: 'ATTRIBUTES_DELETED' },
    edges: ['e'],
    to: failure('Message body has no list of attributes!'),
  },
  { name: 'came from that edge', fields: { metadata: { source: 'edge' } }, edges: ['e'], to: [] },
])
  test(`push to edge: ${name}`, async () => assert.deepEqual(await run(pushToEdge, [message(fields)], { services: services({ edges }) }), [to]));

test('save to custom table: it can not start, whatever it is told', () =>
  assert.rejects(start(saveToCustomTable, { config: { tableName: 't', fieldsMapping: { a: 'b' } } }), {
    message: 'Unable to connect to Cassandra database',
  }));
test('save to custom table: version 0 has no time to live', () =>
  assert.deepEqual(saveToCustomTable.upgrades![0]!({ tableName: 't' }), { tableName: 't', defaultTtl: 0 }));

const attributes = 'POST_ATTRIBUTES_REQUEST';
for (const { name, type = 'POST_TELEMETRY_REQUEST', data, metadata = {} as Record<string, string>, to = 'Success' } of [
  { name: 'telemetry', data: { a: 1 } },
  { name: 'telemetry with times', data: [{ ts: 1, values: { a: 1 } }] },
  { name: 'nothing in it', data: {} },
  { name: 'nothing in the list', data: [] },
  { name: 'a text', data: '"x"', to: failure('Can\'t parse value: "x"') },
  { name: 'a null value', data: { a: null }, to: failure("Can't parse value: null") },
  { name: 'attributes', type: attributes, data: { a: 1 }, metadata: { scope: 'SHARED_SCOPE' } },
  { name: 'attributes without a scope', type: attributes, data: { a: 1 }, to: failure('Attribute scope is missing') },
  { name: 'attributes with an empty one', type: attributes, data: { a: 1 }, metadata: { scope: '' }, to: failure('Attribute scope is missing') },
  { name: 'attributes with a wrong one', type: attributes, data: { a: 1 }, metadata: { scope: 'X' }, to: failure('Invalid attribute scope: X') },
  { name: 'no attributes, no scope', type: attributes, data: {} },
  { name: 'an array of attributes', type: attributes, data: [], metadata: { scope: 'X' }, to: failure("Can't parse value: []") },
  { name: 'another type', type: 'X', data: { a: 1 }, to: failure('Unsupported msg type: X') },
] as { name: string; type?: string; data: unknown; metadata?: Record<string, string>; to?: unknown }[])
  test(`calculated fields: ${name}`, async () => assert.deepEqual(await run(calculatedFields, [message({ type, data, metadata })]), [to]));
