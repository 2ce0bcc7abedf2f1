import assert from 'node:assert/strict';
import test from 'node:test';
import type { EntityRef } from '#engine/message.ts';
import type { AnyNode } from '#engine/node.ts';
import type { Doc } from '#engine/store.ts';
import assetProfileSwitch from '#rulechains/nodes/filter/asset-profile-switch.ts';
import deviceProfileSwitch from '#rulechains/nodes/filter/device-profile-switch.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { run, services } from '#test/support/services.ts';

const ASSET = '9a4f394c-42b6-11ec-8d3d-0242ac130003';
const PROFILE = '7a4f394c-42b6-11ec-8d3d-0242ac130003';
const doc = (collection: Doc['collection'], id: string, name: string, body = {}): Record<string, Doc> => ({
  [id]: { collection, id, tenantId: TENANT, createdTime: 1, version: 1, name, body },
});
const docs = {
  ...doc('DEVICE', DEVICE, 'Thermometer 1', { deviceProfileId: { entityType: 'DEVICE_PROFILE', id: PROFILE } }),
  ...doc('ASSET', ASSET, 'House', { assetProfileId: { entityType: 'ASSET_PROFILE', id: PROFILE } }),
  ...doc('DEVICE_PROFILE', PROFILE, 'Höhe 2 (alt)'),
};

for (const { name, node, originator, world = { docs }, to } of [
  { name: 'of the device', node: deviceProfileSwitch, originator: { entityType: 'DEVICE', id: DEVICE }, to: 'Höhe 2 (alt)' },
  { name: 'of the asset', node: assetProfileSwitch, originator: { entityType: 'ASSET', id: ASSET }, to: 'Höhe 2 (alt)' },
  {
    name: 'an asset is no device',
    node: deviceProfileSwitch,
    originator: { entityType: 'ASSET', id: ASSET },
    to: { to: 'Failure', error: 'Unsupported originator type: Asset! Only Device type is allowed.' },
  },
  {
    name: 'an entity view is no asset',
    node: assetProfileSwitch,
    originator: { entityType: 'ENTITY_VIEW', id: ASSET },
    to: { to: 'Failure', error: 'Unsupported originator type: Entity View! Only Asset type is allowed.' },
  },
  {
    name: 'a device that was deleted',
    node: deviceProfileSwitch,
    originator: { entityType: 'DEVICE', id: DEVICE },
    world: {},
    to: { to: 'Failure', error: `Device profile for entity id: ${DEVICE} wasn't found!` },
  },
  {
    name: 'a profile that is gone',
    node: assetProfileSwitch,
    originator: { entityType: 'ASSET', id: ASSET },
    world: { docs: doc('ASSET', ASSET, 'House', { assetProfileId: { id: PROFILE } }) },
    to: { to: 'Failure', error: `Asset profile for entity id: ${ASSET} wasn't found!` },
  },
] as { name: string; node: AnyNode; originator: EntityRef; world?: { docs?: Record<string, Doc> }; to: unknown }[])
  test(`profile switch: ${name}`, async () =>
    assert.deepEqual(await run(node, [message({ originator, data: 'no json' })], { services: services(world) }), [to]));
