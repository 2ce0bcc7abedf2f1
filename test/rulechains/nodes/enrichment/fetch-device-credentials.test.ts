import assert from 'node:assert/strict';
import test from 'node:test';
import fetchDeviceCredentials from '#rulechains/nodes/enrichment/fetch-device-credentials.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const BASIC = '{"clientId":"c","userName":"u","password":"p"}';
const LWM2M = '{"client":{"endpoint":"e","securityConfigClientMode":"NO_SEC"},"bootstrap":null}';

for (const { type, id = 'id', value = null, text, json } of [
  { type: 'ACCESS_TOKEN', id: 'secret', text: 'secret', json: '"secret"' },
  { type: 'X509_CERTIFICATE', id: 'hash', value: 'MIIB\nabc', text: 'MIIB\nabc', json: '"MIIB\\nabc"' },
  { type: 'MQTT_BASIC', value: BASIC, text: BASIC, json: BASIC },
  { type: 'LWM2M_CREDENTIALS', value: LWM2M, text: LWM2M, json: LWM2M },
])
  test(`fetch device credentials: ${type}`, async () => {
    const given = services({ credentials: { [DEVICE]: { type, id, value } } });
    assert.deepEqual(await run(fetchDeviceCredentials, [message()], { services: given }), [
      { to: 'Success', metadata: { credentialsType: type, credentials: text } },
    ]);
    assert.deepEqual(await run(fetchDeviceCredentials, [message({ data: { a: 1 } })], { config: { fetchTo: 'DATA' }, services: given }), [
      { to: 'Success', data: `{"a":1,"credentialsType":"${type}","credentials":${json}}` },
    ]);
  });

for (const { name, config, originator, data, error } of [
  { name: 'an asset', originator: { entityType: 'ASSET', id: DEVICE } as const, error: 'Unsupported originator type: ASSET!' },
  { name: 'a device that is gone', originator: { entityType: 'DEVICE', id: 'x' } as const, error: 'Failed to get Device Credentials for device: x!' },
  { name: 'data that is no object', config: { fetchTo: 'DATA' }, data: [], error: 'Message body is not an object!' },
])
  test(`fetch device credentials: ${name}`, async () => {
    const outcomes = await run(fetchDeviceCredentials, [message({ data: data ?? {}, ...(originator ? { originator } : {}) })], { config });
    assert.deepEqual(outcomes, [{ to: 'Failure', error }]);
  });

test('fetch device credentials: without a place for the values the node is unusable', () =>
  assert.rejects(start(fetchDeviceCredentials, { config: { fetchTo: null } }), {
    message: "FetchTo option can't be null! Allowed values: [DATA, METADATA]",
  }));
