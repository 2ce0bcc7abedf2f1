import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Type } from 'typebox';
import { ConfigError } from '#engine/errors.ts';
import { Config } from '#engine/schema.ts';
import { openSecrets } from '#engine/secrets-aes.ts';

const folder = mkdtempSync(join(tmpdir(), 'fieldbridge-secrets-'));
after(() => rmSync(folder, { recursive: true }));
const KEY = '00'.repeat(32);

const secret = Type.Optional(Type.Union([Type.String({ secret: true }), Type.Null()]));
const schema = Config(
  {
    host: Type.String(),
    credentials: Type.Union([
      Type.Object({ type: Type.Literal('anonymous') }),
      Type.Object({ type: Type.Literal('basic'), username: Type.String(), password: secret }),
      Type.Object({ type: Type.Literal('key'), privateKey: secret, password: secret }),
    ]),
    peers: Type.Optional(Type.Array(Type.Object({ name: Type.String(), token: Type.String({ secret: true }) }))),
  },
  { unknownKeys: 'keep' },
);
const config = {
  host: 'b',
  more: 'kept',
  credentials: { type: 'basic', username: 'plant', password: 'geheim' },
  peers: [{ name: 'a', token: 't1' }],
};

test('secrets: the key file is made once, for its owner alone', async () => {
  const first = await openSecrets({ folder });
  const second = await openSecrets({ folder });
  assert.equal(second.open(first.seal('geheim')), 'geheim');
  assert.equal(statSync(join(folder, 'secrets.key')).mode & 0o777, 0o600);
});

test('secrets: a shared key is never made, but taken from where it is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fieldbridge-secrets-'));
  await assert.rejects(openSecrets({ folder, shared: true }), /^ConfigError: FIELDBRIDGE_KEY: must be given because .* share one key: 64 hex digits/);
  assert.deepEqual(readdirSync(folder), []);
  const made = await openSecrets({ folder });
  const same = await openSecrets({ folder, shared: true });
  assert.equal(same.open(made.seal('x')), 'x');
  rmSync(folder, { recursive: true });
});

test('secrets: sealed texts do not show what they hold, nor that they are equal', async () => {
  const { seal } = await openSecrets({ folder, key: KEY });
  const [a, b] = [seal('geheim'), seal('geheim')];
  assert.notEqual(a, b);
  assert.ok(!a.includes('geheim'));
});

test('secrets: another key, a changed byte, or plain text do not open', async () => {
  const one = await openSecrets({ folder, key: KEY });
  const other = await openSecrets({ folder, key: '11'.repeat(32) });
  const sealed = one.seal('geheim');
  const bytes = Buffer.from(sealed.slice('sealed:1:'.length), 'base64');
  bytes[bytes.length - 1]! ^= 1;
  for (const [secrets, text] of [
    [other, sealed],
    [one, `sealed:1:${bytes.toString('base64')}`],
    [one, 'geheim'],
  ] as const) {
    assert.throws(() => secrets.open(text), ConfigError);
  }
});

test('secrets: a configuration goes into the store sealed, out of it open, to the API without', async () => {
  const secrets = await openSecrets({ folder, key: KEY });
  const sealed = secrets.sealConfig(schema, config);
  assert.ok(!/geheim|t1/.test(JSON.stringify(sealed)));
  assert.deepEqual(secrets.openConfig(schema, sealed), config);
  assert.deepEqual(secrets.redactConfig(schema, sealed), {
    host: 'b',
    more: 'kept',
    credentials: { type: 'basic', username: 'plant' },
    peers: [{ name: 'a' }],
  });
});

for (const { name, edit, credentials } of [
  { name: 'absent', edit: { type: 'basic', username: 'new' }, credentials: { type: 'basic', username: 'new', password: 'geheim' } },
  { name: 'null', edit: { type: 'basic', username: 'new', password: null }, credentials: { type: 'basic', username: 'new', password: 'geheim' } },
  { name: 'given', edit: { type: 'basic', username: 'new', password: 'neu' }, credentials: { type: 'basic', username: 'new', password: 'neu' } },
  { name: 'of another kind of credentials', edit: { type: 'anonymous' }, credentials: { type: 'anonymous' } },
]) {
  test(`secrets: an edit whose secret is ${name}`, async () => {
    const secrets = await openSecrets({ folder, key: KEY });
    const stored = secrets.sealConfig(schema, config);
    const opened = secrets.openConfig(schema, secrets.sealConfig(schema, { host: 'b', credentials: edit }, stored));
    assert.deepEqual(opened, { host: 'b', credentials });
  });
}
