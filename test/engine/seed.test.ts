import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashPassword, passwordMatches } from '#engine/passwords.ts';
import { SYSADMIN, seed, TENANT_ADMIN } from '#engine/seed.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import rootChain from '../../rulechains/chains/root.json' with { type: 'json' };

test('seeding is done once; a later start changes nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fieldbridge-seed-'));
  const backend = await openSqliteBackend({ folder });
  t.after(async () => {
    await backend.close();
    await rm(folder, { recursive: true, force: true });
  });
  const options = { tenantPassword: 'one', sysadminPassword: 'two', rootChain, now: Date.now() };
  assert.deepEqual(await seed(backend, options), { fresh: true });
  const counts = async () => {
    const found: Record<string, number> = {};
    for (const collection of [
      'TENANT',
      'TENANT_PROFILE',
      'USER',
      'USER_CREDENTIALS',
      'QUEUE',
      'DEVICE_PROFILE',
      'ASSET_PROFILE',
      'RULE_CHAIN',
      'RULE_CHAIN_METADATA',
      'ENTITY_GROUP',
    ] as const) {
      found[collection] = 0;
      for await (const _ of backend.store.everyDoc(collection)) found[collection]++;
    }
    return found;
  };
  const first = await counts();
  assert.deepEqual(first, {
    TENANT: 1,
    TENANT_PROFILE: 1,
    USER: 2,
    USER_CREDENTIALS: 2,
    QUEUE: 3,
    DEVICE_PROFILE: 1,
    ASSET_PROFILE: 1,
    RULE_CHAIN: 1,
    RULE_CHAIN_METADATA: 1,
    ENTITY_GROUP: 7,
  });
  assert.deepEqual(await seed(backend, { ...options, tenantPassword: 'three' }), { fresh: false });
  assert.deepEqual(await counts(), first);
  for (const [email, password] of [
    [TENANT_ADMIN, 'one'],
    [SYSADMIN, 'two'],
  ] as const) {
    const user = await backend.store.docByKey('USER', email);
    const credentials = await backend.store.docByKey('USER_CREDENTIALS', user!.id);
    assert.ok(await passwordMatches(password, credentials!.body['password'] as string), email);
  }
});

for (const { name, password, matches } of [
  { name: 'itself', password: 'Ärger 1', matches: true },
  { name: 'the same in another normal form', password: 'A\u0308rger 1', matches: true },
  { name: 'another', password: 'ärger 1', matches: false },
  { name: 'nothing', password: '', matches: false },
]) {
  test(`a password hash matches: ${name}`, async () => assert.equal(await passwordMatches(password, await hashPassword('Ärger 1')), matches));
}
test('two hashes of one password differ; no hash matches nothing', async () => {
  const [one, two] = [await hashPassword('x'), await hashPassword('x')];
  assert.notEqual(one, two);
  assert.ok(!one.includes('x$x'));
  assert.equal(await passwordMatches('', null), false);
});

test('demo passwords give way to those that a later start was given; passwords of their own stay', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fieldbridge-seed-'));
  const backend = await openSqliteBackend({ folder });
  t.after(async () => {
    await backend.close();
    await rm(folder, { recursive: true, force: true });
  });
  const now = Date.now();
  const works = async (email: string, password: string) => {
    const user = await backend.store.docByKey('USER', email);
    const credentials = await backend.store.docByKey('USER_CREDENTIALS', user!.id);
    return passwordMatches(password, credentials!.body['password'] as string);
  };
  await seed(backend, { tenantPassword: 'tenant', sysadminPassword: 'my own', rootChain, now });
  await seed(backend, { tenantPassword: 'tenant', sysadminPassword: 'sysadmin', rootChain, now });
  assert.deepEqual([await works(TENANT_ADMIN, 'tenant'), await works(SYSADMIN, 'my own')], [true, true]);
  await seed(backend, { tenantPassword: 'given later', sysadminPassword: 'given later', rootChain, now });
  assert.deepEqual(
    [await works(TENANT_ADMIN, 'tenant'), await works(TENANT_ADMIN, 'given later'), await works(SYSADMIN, 'my own')],
    [false, true, true],
  );
});
