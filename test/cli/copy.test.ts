import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openSecrets } from '#engine/secrets-aes.ts';
import { openSqliteInstallation } from '#engine/store/sqlite/transfer.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import { KINDS } from '#engine/transfer.ts';
import { commit, doc, temporaryFolder } from '../support/backend.ts';
import { type Dump, dump, fill } from '../support/installation.ts';

const ROOT = join(import.meta.dirname, '../..');
const KEY = 'ab'.repeat(32);
const now = Date.now();
const folders: string[] = [];
/** With a key file, and a secret that was sealed with it. */
let from: string;

const newFolder = (): string => {
  const folder = temporaryFolder();
  folders.push(folder);
  return folder;
};

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command, as people give it. */
function copy(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const { FIELDBRIDGE_KEY: _key, ...rest } = process.env;
    const child = execFile(
      process.execPath,
      ['bin/fieldbridge.mjs', 'copy', ...args],
      { cwd: ROOT, env: { ...rest, ...env } },
      (_cause, stdout, stderr) => {
        resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
      },
    );
  });
}

async function dumpOf(folder: string): Promise<Dump> {
  const source = openSqliteInstallation({ folder, as: 'source' });
  try {
    return await dump(source, now);
  } finally {
    source.close();
  }
}

before(async () => {
  from = newFolder();
  const secrets = await openSecrets({ folder: from });
  const backend = await openSqliteBackend({ folder: from });
  await fill(backend, { now, history: 2500 });
  await commit(backend, (work) =>
    work.docs.push({ doc: doc({ tenantId: '13814000-1dd2-11b2-8080-808080808080', body: { password: secrets.seal('geheim') } }) }),
  );
  await backend.close();
});
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

test('a folder with its key: the counts of both sides, progress beside them, and what is to be done about the key', async () => {
  const to = newFolder();
  const { code, stdout, stderr } = await copy(['--from', from, '--to', to]);
  assert.equal(code, 0, stderr);
  const there = await dumpOf(to);
  assert.deepEqual(there, await dumpOf(from));
  const lines = stdout.split('\n');
  assert.deepEqual(lines.slice(0, 2), [
    '                          source        target',
    `documents         ${String(there.doc.length).padStart(14)}${String(there.doc.length).padStart(14)}`,
  ]);
  assert.deepEqual(lines.slice(1 + KINDS.length), [`Copied ${from} to ${to}.`, `The key of the secrets is in ${join(to, 'secrets.key')}.`, '']);
  assert.match(stderr, /^documents {9}25 of 25, 100 %, [\d,]+ rows\/s\n/);
  assert.match(stderr, /^history rows {6}2,514 of 2,514, 100 %, [\d,]+ rows\/s\ncounting both sides\n$/m);
  assert.equal(readFileSync(join(to, 'secrets.key'), 'utf8'), readFileSync(join(from, 'secrets.key'), 'utf8'));
  assert.equal(statSync(join(to, 'secrets.key')).mode & 0o777, 0o600);
});

test('killed at some page, a second run goes on and ends as one run would', async () => {
  const to = newFolder();
  const killed = await copy(['--from', from, '--to', to], { FIELDBRIDGE_KILL_AT: 'copy-page:9' });
  assert.equal(killed.signal ?? killed.code, 'SIGKILL');
  const { code, stdout, stderr } = await copy(['--from', from, '--to', to, '--json']);
  assert.equal(code, 0, stderr);
  assert.deepEqual(await dumpOf(to), await dumpOf(from));
  const { copied } = JSON.parse(stdout) as { copied: { kind: string; source: number; target: number }[] };
  assert.deepEqual(
    copied.filter(({ source, target }) => source !== target),
    [],
  );
  assert.equal(copied.length, KINDS.length);
});

for (const { name, args, env = {}, code, says } of [
  { name: 'no target', args: ['--from', 'a'], code: 2, says: /^copy needs --from and --to\n/ },
  { name: 'a word too many', args: ['x', '--from', 'a', '--to', 'b'], code: 2, says: /^"x" is one word too many\n/ },
  { name: 'no Redis beside MongoDB', args: ['--from', 'a', '--to', 'mongodb://h/n'], code: 2, says: /^--redis is needed beside --to mongodb/ },
  { name: 'another kind of server', args: ['--from', 'redis://h', '--to', 'b'], code: 2, says: /^--from is a data folder or a mongodb:\/\/ URL/ },
  { name: 'the same place', args: ['--from', './a', '--to', 'a'], code: 2, says: /^--from and --to are the same place\n/ },
  { name: 'no such folder', args: ['--from', 'no/such', '--to', 'b'], code: 1, says: /^There is no installation in no\/such \(no fieldbridge\.db\)/ },
] as { name: string; args: string[]; env?: Record<string, string>; code: number; says: RegExp }[]) {
  test(`refused: ${name}`, async () => {
    const ended = await copy(args, env);
    assert.equal(ended.stdout, '');
    assert.match(ended.stderr, says);
    assert.equal(ended.code, code);
    assert.deepEqual([existsSync(join(ROOT, 'a')), existsSync(join(ROOT, 'b')), existsSync(join(ROOT, 'no'))], [false, false, false]);
  });
}

for (const { name, prepare, says } of [
  {
    name: 'a key that is not the one that sealed the secrets',
    prepare: async () => ({ source: from, target: newFolder(), env: { FIELDBRIDGE_KEY: KEY } }),
    says: /^The secrets in .* were sealed with another key than FIELDBRIDGE_KEY\n$/,
  },
  {
    name: 'no key',
    prepare: async () => {
      const source = newFolder();
      await (await openSqliteBackend({ folder: source })).close();
      return { source, target: newFolder(), env: {} };
    },
    says: /has no secrets\.key: give the FIELDBRIDGE_KEY that it is run with\n$/,
  },
  {
    name: 'another key in the target',
    prepare: async () => {
      const target = newFolder();
      writeFileSync(join(target, 'secrets.key'), KEY);
      return { source: from, target, env: {} };
    },
    says: /secrets\.key is there already and is another key than .*: move it away\n$/,
  },
  {
    name: 'a target that is not empty',
    prepare: async () => {
      const target = newFolder();
      const backend = await openSqliteBackend({ folder: target });
      await commit(backend, (work) => work.docs.push({ doc: doc({ tenantId: '13814000-1dd2-11b2-8080-808080808080' }) }));
      await backend.close();
      return { source: from, target, env: {} };
    },
    says: /is not empty \(1 documents\)\. A copy needs a target of its own: give another, or empty this one\n$/,
  },
] as { name: string; prepare: () => Promise<{ source: string; target: string; env: Record<string, string> }>; says: RegExp }[]) {
  test(`refused: ${name}`, async () => {
    const { source, target, env } = await prepare();
    const ended = await copy(['--from', source, '--to', target], env);
    assert.match(ended.stderr, says);
    assert.deepEqual([ended.code, ended.stdout], [1, '']);
  });
}

test('refused: a source that is running', async () => {
  const backend = await openSqliteBackend({ folder: from });
  const ended = await copy(['--from', from, '--to', newFolder()]);
  await backend.close();
  assert.match(ended.stderr, /is in use by another running Fieldbridge; stop that one/);
  assert.equal(ended.code, 1);
});
