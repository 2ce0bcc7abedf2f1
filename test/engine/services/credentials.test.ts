import assert from 'node:assert/strict';
import test from 'node:test';
import { newDevice, newDeviceCredentials } from '#engine/entities.ts';
import { credentialServices } from '#engine/services/credentials.ts';
import type { Store } from '#engine/store.ts';
import { TENANT } from '#test/support/message.ts';

const { device } = newDevice({ tenantId: TENANT, name: 'D', type: 't', profileId: 'p' }, 1_700_000_000_000);
const fields = { credentialsType: 'MQTT_BASIC', credentialsId: 'hash', credentialsValue: '{"clientId":"c"}' };

test('credentials: of the device, and none of one that has none', async () => {
  const docs: Store['docs'] = async (collection, tenantId, { ref }) => {
    assert.deepEqual([collection, tenantId], ['DEVICE_CREDENTIALS', TENANT]);
    const data = ref === device.id ? [newDeviceCredentials(device, fields, 1)] : [];
    return { data, totalPages: 1, totalElements: data.length, hasNext: false };
  };
  const { ofDevice } = credentialServices(TENANT, { docs });
  assert.deepEqual(await ofDevice(device.id), { type: 'MQTT_BASIC', id: 'hash', value: '{"clientId":"c"}' });
  assert.equal(await ofDevice('x'), null);
});
