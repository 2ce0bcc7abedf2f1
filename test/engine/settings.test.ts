import assert from 'node:assert/strict';
import test from 'node:test';
import { ConfigError } from '#engine/errors.ts';
import { readSettings } from '#engine/settings.ts';

const SERVERS = { MONGODB_URL: 'mongodb://db/fieldbridge', REDIS_URL: 'redis://cache:6379' };

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
  {
    name: 'MongoDB alone, with its password',
    env: { MONGODB_URL: 'mongodb://app:gehe@im@db/fieldbridge?tlsCertificateKeyFilePassword=auch' },
    says: /^MONGODB_URL: "mongodb:\/\/app:\(hidden\)@db\/fieldbridge\?tlsCertificateKeyFilePassword=\(hidden\)" stands alone; give REDIS_URL too, or neither/,
  },
  {
    name: 'Redis alone',
    env: { REDIS_URL: 'redis://:geheim@cache:6379' },
    says: /^REDIS_URL: "redis:\/\/:\(hidden\)@cache:6379" stands alone; give MONGODB_URL too/,
  },
  {
    name: 'another kind of URL',
    env: { ...SERVERS, REDIS_URL: 'http://u:geheim@cache' },
    says: /^REDIS_URL: "http:\/\/u:\(hidden\)@cache" is not allowed; give redis:\/\/ or rediss:\/\//,
  },
  { name: 'what is no URL at all is not shown', env: { ...SERVERS, MONGODB_URL: 'app:geheim@db' }, says: /^MONGODB_URL: \(hidden\) is not allowed/ },
  {
    name: 'an allow list with what is no host',
    env: { ALLOWED_HOSTS: 'a.local,10.0.0.0/99' },
    says: /^ALLOWED_HOSTS: "10\.0\.0\.0\/99" is not a network; give names, addresses and networks like 10\.20\.0\.0\/16, separated by commas$/,
  },
  { name: 'an unknown role', env: { ...SERVERS, ROLES: 'api, rule' }, says: /^ROLES: "rule" is not allowed; give some of api, integrations, rules$/ },
  { name: 'no role at all', env: { ...SERVERS, ROLES: ',' }, says: /^ROLES: "," is not allowed/ },
  {
    name: 'a part of the roles without servers',
    env: { ROLES: 'api' },
    says: /^ROLES: "api" leaves work to other processes.*give MONGODB_URL and REDIS_URL, or no ROLES$/,
  },
  { name: 'a demo without its roles', env: { ...SERVERS, ROLES: 'rules', DEMO: 'true' }, says: /^DEMO: true is not allowed with ROLES=rules/ },
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

for (const { name, env, want } of [
  { name: 'embedded: everything, with the demo', env: {}, want: { servers: false, roles: 'api,integrations,rules', httpPort: 8080, demo: true } },
  {
    name: 'embedded, all roles by name',
    env: { ROLES: 'rules,api,integrations' },
    want: { servers: false, roles: 'rules,api,integrations', httpPort: 8080, demo: true },
  },
  {
    name: 'on servers: everything, without the demo',
    env: SERVERS,
    want: { servers: true, roles: 'api,integrations,rules', httpPort: 8080, demo: false },
  },
  {
    name: 'on servers with the demo',
    env: { ...SERVERS, ROLES: 'api,integrations', DEMO: 'true' },
    want: { servers: true, roles: 'api,integrations', httpPort: 8080, demo: true },
  },
  {
    name: 'without the role api nothing listens',
    env: { ...SERVERS, ROLES: 'rules' },
    want: { servers: true, roles: 'rules', httpPort: null, demo: false },
  },
  {
    name: 'unless a port is given; then its address needs no passwords, since nobody logs in there',
    env: { ...SERVERS, ROLES: 'rules', HTTP_PORT: '9000', HTTP_HOST: '0.0.0.0' },
    want: { servers: true, roles: 'rules', httpPort: 9000, demo: false },
  },
]) {
  test(`settings: ${name}`, () => {
    const { servers, roles, httpPort, demo } = readSettings(env);
    assert.deepEqual({ servers: servers !== null, roles: [...roles].join(','), httpPort, demo }, want);
  });
}
