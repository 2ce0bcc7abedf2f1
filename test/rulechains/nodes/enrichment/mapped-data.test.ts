import assert from 'node:assert/strict';
import test from 'node:test';
import { newAsset, newDoc } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { AnyNode } from '#engine/node.ts';
import type { Doc } from '#engine/store.ts';
import customerAttributes from '#rulechains/nodes/enrichment/customer-attributes.ts';
import relatedEntityData from '#rulechains/nodes/enrichment/related-entity-data.ts';
import tenantAttributes from '#rulechains/nodes/enrichment/tenant-attributes.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const CUSTOMER = 'cccccccc-0000-1000-8000-000000000001';
const hall = newAsset(
  { tenantId: TENANT, name: 'Hall', type: 'hall', profileId: 'p', additionalInfo: { description: 'north', floor: '' } },
  1_700_000_000_000,
);
const board = newDoc({ collection: 'DASHBOARD', tenantId: TENANT, name: 'Board', body: {} }, 1_700_000_000_000);
const user = newDoc({ collection: 'USER', tenantId: TENANT, name: 'u@example.org', body: {} }, 1_700_000_000_000);
const asset = { entityType: 'ASSET', id: hall.id } as const;
const device = { entityType: 'DEVICE', id: DEVICE } as const;

const world = (related: EntityRef[] = [asset, device]) =>
  services({
    docs: { [hall.id]: hall, [board.id]: board, [user.id]: user, [DEVICE]: { ...hall, id: DEVICE, collection: 'DEVICE' } as Doc },
    customers: { [DEVICE]: CUSTOMER },
    attributes: Object.fromEntries(
      [CUSTOMER, TENANT, hall.id].map((id) => [
        `${id} SERVER_SCOPE`,
        [
          ['limit', { type: 'DOUBLE', value: 30 }],
          ['obj', { type: 'JSON', value: '{"b":[1.0]}' }],
          ['big', { type: 'LONG', value: 9007199254740993n }],
        ],
      ]),
    ),
    latest: Object.fromEntries(
      [CUSTOMER, TENANT, hall.id].map((id) => [
        id,
        { t: { ts: 7, value: { type: 'LONG', value: 5 } }, js: { ts: 8, value: { type: 'JSON', value: '{"x":1}' } } },
      ]),
    ),
    related: async () => related,
  });

const SAME = 'what all three do';
for (const node of [customerAttributes, tenantAttributes, relatedEntityData] as AnyNode[])
  for (const { name, config, data = { a: 1 }, metadata = {}, to } of [
    {
      name: 'server attributes to metadata, as text',
      config: { dataMapping: { limit: 'threshold', obj: 'o', big: 'b', nope: 'n' } },
      to: { to: 'Success', metadata: { threshold: '30.0', o: '{"b":[1.0]}', b: '9007199254740993' } },
    },
    {
      name: 'server attributes to data, typed; what is missing is left out',
      config: { fetchTo: 'DATA', dataMapping: { limit: 'a', obj: 'o', nope: 'n' } },
      to: { to: 'Success', data: '{"a":30.0,"o":{"b":[1.0]}}' },
    },
    {
      name: 'latest telemetry to metadata; what is missing stays as it was',
      config: { dataToFetch: 'LATEST_TELEMETRY', dataMapping: { t: 'tt', js: 'j', zz: 'z' } },
      metadata: { z: 'old' },
      to: { to: 'Success', metadata: { z: 'old', tt: '5', j: '{"x":1}' } },
    },
    {
      name: 'latest telemetry to data; what is missing is null',
      config: { fetchTo: 'DATA', dataToFetch: 'LATEST_TELEMETRY', dataMapping: { zz: 'z', t: 'tt', js: 'j' } },
      to: { to: 'Success', data: '{"a":1,"z":null,"tt":5,"j":{"x":1}}' },
    },
    {
      name: 'both sides are patterns',
      config: { dataMapping: { '${src}': 'x_${dst}', '$[s2]': '$[d2]' } },
      data: { s2: 'big', d2: 'b' },
      metadata: { src: 'limit', dst: 'l' },
      to: { to: 'Success', metadata: { src: 'limit', dst: 'l', x_l: '30.0', b: '9007199254740993' } },
    },
    {
      name: 'a blank attribute is one',
      config: { dataMapping: { ' ': 'x', limit: 'l' } },
      to: { to: 'Success', metadata: { l: '30.0' } },
    },
    {
      name: 'a target that is null',
      config: { dataMapping: { limit: null } },
      to: { to: 'Failure', error: 'Failed to process pattern!' },
    },
    {
      name: 'an empty attribute',
      config: { dataMapping: { '${k}': 'x' } },
      metadata: { k: '' },
      to: { to: 'Failure', error: 'Incorrect attribute key' },
    },
    {
      name: 'data that is no object',
      config: { fetchTo: 'DATA', dataMapping: { limit: 'l' } },
      data: [],
      to: { to: 'Failure', error: 'Message body is not an object!' },
    },
    { name: 'data that is no JSON', config: { dataMapping: { limit: 'l' } }, data: 'x', to: { to: 'Failure', error: 'Failed to process pattern!' } },
  ] as { name: string; config: Record<string, unknown>; data?: unknown; metadata?: Record<string, string>; to: unknown }[])
    test(`${node.label}: ${SAME}: ${name}`, async () => {
      assert.deepEqual(await run(node, [message({ data, metadata })], { config, services: world() }), [to]);
    });

for (const { name, originator, to } of [
  { name: 'a customer is its own', originator: { entityType: 'CUSTOMER', id: CUSTOMER }, to: { to: 'Success', metadata: { limit: '30.0' } } },
  { name: 'nobody owns it', originator: asset, to: { to: 'Failure', error: 'Originator is not assigned to any customer' } },
  { name: 'it is gone', originator: { entityType: 'DEVICE', id: 'x' }, to: { to: 'Failure', error: 'Originator not found' } },
] as { name: string; originator: EntityRef; to: unknown }[])
  test(`customer attributes: ${name}`, async () => {
    const config = { dataMapping: { limit: 'limit' } };
    assert.deepEqual(await run(customerAttributes, [message({ originator })], { config, services: world() }), [to]);
  });

for (const { name, related, config, to } of [
  {
    name: 'fields, as text; what is null, empty or no field is left out',
    config: {
      dataMapping: { name: 'nm', label: 'lb', 'additionalInfo.floor': 'f', id: 'i', 'additionalInfo.description': 'd', zzz: 'z', createdTime: 'c' },
    },
    to: { to: 'Success', metadata: { nm: 'Hall', i: hall.id, d: 'north', c: '1700000000000' } },
  },
  {
    name: 'a field whose target is null',
    config: { dataMapping: { name: null } },
    to: { to: 'Failure', error: 'Failed to process pattern!' },
  },
  {
    name: 'fields to data; the source is no pattern, the key is',
    config: { fetchTo: 'DATA', dataMapping: { type: 'x_$[a]', '${k}': 'y' } },
    to: { to: 'Success', data: '{"a":1,"x_1":"hall"}' },
  },
  {
    name: 'a user',
    related: [{ entityType: 'USER', id: user.id }],
    config: { dataMapping: { email: 'e' } },
    to: { to: 'Success', metadata: { k: 'name', e: 'u@example.org' } },
  },
  {
    name: 'fields of what has none',
    related: [{ entityType: 'DASHBOARD', id: board.id }],
    config: { dataMapping: { name: 'nm' } },
    to: { to: 'Failure', error: 'Unexpected originator EntityType: DASHBOARD' },
  },
  {
    name: 'fields of what is gone',
    related: [{ entityType: 'ASSET', id: 'x' }],
    config: { dataMapping: { name: 'nm' } },
    to: { to: 'Failure', error: 'Entity not found!' },
  },
  {
    name: 'nothing related',
    related: [],
    config: {},
    to: { to: 'Failure', error: 'Failed to find related entity to message originator using relation query specified in the configuration!' },
  },
  { name: 'no query', config: { relationsQuery: null }, to: { to: 'Failure', error: 'Relations query should be specified!' } },
  {
    name: 'no direction',
    config: { relationsQuery: { direction: null, maxLevel: 1, filters: [] } },
    to: { to: 'Failure', error: 'Unknown direction' },
  },
] as { name: string; related?: EntityRef[]; config: Record<string, unknown>; to: { to: string; error?: string; data?: string; metadata?: object } }[])
  test(`related entity data: ${name}`, async () => {
    const [outcome] = await run(relatedEntityData, [message({ data: { a: 1 }, metadata: { k: 'name' } })], {
      config: { dataToFetch: 'FIELDS', ...config },
      services: world(related),
    });
    assert.deepEqual(outcome, to.metadata ? { ...to, metadata: { k: 'name', ...to.metadata } } : to);
  });

test('related entity data: what the search is asked', async () => {
  const asked: unknown[] = [];
  const given = services({
    related: async (root, query) => {
      asked.push([root, query]);
      return [asset];
    },
  });
  const filters = [
    { relationType: null, entityTypes: null },
    { relationType: 'Manages', entityTypes: ['ASSET'], negate: true },
  ];
  await run(relatedEntityData, [message()], { config: { relationsQuery: { direction: 'TO', filters } }, services: given });
  assert.deepEqual(asked, [
    [
      device,
      {
        direction: 'TO',
        maxLevel: 0,
        fetchLastLevelOnly: false,
        filters: [
          { relationType: '', entityTypes: [], negate: false },
          { relationType: 'Manages', entityTypes: ['ASSET'], negate: true },
        ],
      },
    ],
  ]);
});

const ONLY_TWO = 'Only ATTRIBUTES and LATEST_TELEMETRY values supported!';
for (const { node, config, reason } of [
  { node: customerAttributes, config: { dataMapping: {} }, reason: 'At least one mapping entry should be specified!' },
  { node: tenantAttributes, config: { dataMapping: null }, reason: 'At least one mapping entry should be specified!' },
  { node: customerAttributes, config: { dataToFetch: 'FIELDS' }, reason: `DataToFetch property has invalid value: FIELDS. ${ONLY_TWO}` },
  { node: tenantAttributes, config: { dataToFetch: null }, reason: `DataToFetch property has invalid value: null. ${ONLY_TWO}` },
  {
    node: relatedEntityData,
    config: { dataToFetch: null },
    reason: 'DataToFetch property cannot be null! Supported values are: [ATTRIBUTES, LATEST_TELEMETRY, FIELDS]',
  },
  { node: relatedEntityData, config: { fetchTo: null }, reason: "FetchTo option can't be null! Allowed values: [DATA, METADATA]" },
] as { node: AnyNode; config: Record<string, unknown>; reason: string }[])
  test(`${node.label}: unusable with ${JSON.stringify(config)}`, () => assert.rejects(start(node, { config }), { message: reason }));

test('related entity data: an entity type that there is not makes it unusable', () =>
  assert.rejects(
    start(relatedEntityData, {
      config: { relationsQuery: { direction: 'FROM', maxLevel: 1, filters: [{ relationType: 'x', entityTypes: ['ROCKET'] }] } },
    }),
    /^Error: Can't convert value: /,
  ));
