import assert from 'node:assert/strict';
import test from 'node:test';
import { ConfigError } from '#engine/errors.ts';
import { readSettings } from '#engine/settings.ts';

test('nothing given: loopback, the demo logins', () => {
  const settings = readSettings({});
  assert.deepEqual([settings.httpHost, settings.httpPort, settings.demo, settings.tenantPassword], ['127.0.0.1', 8080, true, 'tenant']);
});

for (const { name, env, says } of [
  { name: 'a port that is no number', env: { HTTP_PORT: 'eighty' }, says: /HTTP_PORT: "eighty" is not allowed; give a whole number from 0 to 65535/ },
  { name: 'a port out of range', env: { MQTT_PORT: '70000' }, says: /MQTT_PORT: "70000" is not allowed/ },
  { name: 'a flag that is neither', env: { DEMO: 'yes' }, says: /DEMO: "yes" is not allowed; give true or false/ },
  { name: 'an unknown log level', env: { LOG_LEVEL: 'loud' }, says: /LOG_LEVEL: "loud" is not allowed; give one of trace, debug/ },
  { name: 'a short key is not shown', env: { FIELDBRIDGE_KEY: 'abc' }, says: /FIELDBRIDGE_KEY: \(hidden\) is not allowed/ },
  {
    name: 'open to others without passwords',
    env: { HTTP_HOST: '0.0.0.0' },
    says: /FIELDBRIDGE_TENANT_PASSWORD: must be given because HTTP_HOST=0\.0\.0\.0/,
  },
  {
    name: 'open to others with one password',
    env: { HTTP_HOST: '0.0.0.0', FIELDBRIDGE_TENANT_PASSWORD: 'secret1' },
    says: /FIELDBRIDGE_SYSADMIN_PASSWORD: must be given/,
  },
]) {
  test(`refused: ${name}`, () =>
    assert.throws(
      () => readSettings(env),
      (error) => error instanceof ConfigError && says.test(error.message),
    ));
}

test('open to others with both passwords', () => {
  const settings = readSettings({ HTTP_HOST: '0.0.0.0', FIELDBRIDGE_TENANT_PASSWORD: 'secret1', FIELDBRIDGE_SYSADMIN_PASSWORD: 'secret2' });
  assert.deepEqual([settings.httpHost, settings.tenantPassword, settings.sysadminPassword], ['0.0.0.0', 'secret1', 'secret2']);
});
