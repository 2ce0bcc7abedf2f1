import assert from 'node:assert/strict';
import test from 'node:test';
import { newDevice } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import relatedDeviceAttributes from '#rulechains/nodes/enrichment/related-device-attributes.ts';
import { message, TENANT } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const device = (name: string, type: string) => newDevice({ tenantId: TENANT, name, type, profileId: 'p' }, 1_700_000_000_000).device;
const pump = device('P1', 'pump');
const valve = device('V1', 'valve');
const ref = ({ id }: { id: string }): EntityRef => ({ entityType: 'DEVICE', id });
const NONE = 'Failed to find related device to message originator using relation query specified in the configuration!';

const world = (found: EntityRef[] = [ref(pump), ref(valve)]) => {
  const asked: unknown[] = [];
  const given = services({
    docs: { [pump.id]: pump, [valve.id]: valve },
    attributes: {
      [`${valve.id} SERVER_SCOPE`]: [['limit', { type: 'DOUBLE', value: 42.5 }]],
      [`${pump.id} SERVER_SCOPE`]: [['limit', { type: 'LONG', value: 1 }]],
    },
    latest: { [valve.id]: { t: { ts: 7, value: { type: 'LONG', value: 20 } } } },
    related: async (root, query) => {
      asked.push([root.id, query]);
      return found;
    },
  });
  return { ...given, asked };
};
const query = { direction: 'FROM', maxLevel: 1, relationType: 'Contains', deviceTypes: ['valve'], fetchLastLevelOnly: false };

for (const { name, config = {}, data = { a: 1 }, found, to } of [
  {
    name: 'the first device of one of the types',
    config: { serverAttributeNames: ['limit'], latestTsKeyNames: ['t'], deviceRelationsQuery: query },
    to: { to: 'Success', metadata: { ss_limit: '42.5', t: '20' } },
  },
  {
    name: 'to data',
    config: { fetchTo: 'DATA', serverAttributeNames: ['limit'], deviceRelationsQuery: { ...query, deviceTypes: ['valve', 'pump'] } },
    to: { to: 'Success', data: '{"a":1,"ss_limit":1}' },
  },
  {
    name: 'something absent fails, with what was found',
    config: { serverAttributeNames: ['limit', 'nope'], deviceRelationsQuery: query },
    to: {
      to: 'Failure',
      error: 'The following attribute/telemetry keys is not present in the DB: \n\t[SERVER_SCOPE]:[nope]\n',
      metadata: { ss_limit: '42.5' },
    },
  },
  {
    name: 'a empty attribute',
    config: { serverAttributeNames: [''], deviceRelationsQuery: query },
    to: { to: 'Failure', error: 'Incorrect attribute key' },
  },
  { name: 'a blank telemetry key', config: { latestTsKeyNames: [''], deviceRelationsQuery: query }, to: { to: 'Failure', error: 'Incorrect key' } },
  { name: 'no device of the type', config: { deviceRelationsQuery: { ...query, deviceTypes: ['other'] } }, to: { to: 'Failure', error: NONE } },
  { name: 'no types', config: { deviceRelationsQuery: { ...query, deviceTypes: [] } }, to: { to: 'Failure', error: NONE } },
  { name: 'nothing related', config: { deviceRelationsQuery: query }, found: [], to: { to: 'Failure', error: NONE } },
  {
    name: 'a device that is gone',
    config: { deviceRelationsQuery: query },
    found: [{ entityType: 'DEVICE', id: 'x' }] as EntityRef[],
    to: { to: 'Failure', error: NONE },
  },
  {
    name: 'types are null',
    config: { deviceRelationsQuery: { ...query, deviceTypes: null } },
    to: { to: 'Failure', error: 'Device types should be specified!' },
  },
  { name: 'no query', config: { deviceRelationsQuery: null }, to: { to: 'Failure', error: 'Device relations query should be specified!' } },
  { name: 'no direction', config: { deviceRelationsQuery: { ...query, direction: null } }, to: { to: 'Failure', error: 'Unknown direction' } },
  {
    name: 'data that is no object',
    config: { fetchTo: 'DATA', deviceRelationsQuery: query },
    data: [],
    to: { to: 'Failure', error: 'Message body is not an object!' },
  },
])
  test(`related device attributes: ${name}`, async () => {
    const outcomes = await run(relatedDeviceAttributes, [message({ data })], { config, services: world(found) });
    assert.deepEqual(outcomes, [to]);
  });

test('related device attributes: what the search is asked', async () => {
  const given = world();
  for (const relationType of ['Manages', '', null]) {
    const deviceRelationsQuery = { ...query, direction: 'TO', maxLevel: 0, relationType, fetchLastLevelOnly: true };
    await run(relatedDeviceAttributes, [message()], { config: { deviceRelationsQuery }, services: given });
  }
  const asked = (relationType: string) => [
    message().originator.id,
    { direction: 'TO', maxLevel: 0, fetchLastLevelOnly: true, filters: [{ relationType, entityTypes: ['DEVICE'] }] },
  ];
  assert.deepEqual(given.asked, [asked('Manages'), asked(''), asked('Contains')]);
});

test('related device attributes: without a place for the values the node is unusable', () =>
  assert.rejects(start(relatedDeviceAttributes, { config: { fetchTo: null } }), {
    message: "FetchTo option can't be null! Allowed values: [DATA, METADATA]",
  }));
