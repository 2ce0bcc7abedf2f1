import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { ConfigError } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { openSqliteInstallation, type SqliteInstallation } from '#engine/store/sqlite/transfer.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import { KINDS, transfer } from '#engine/transfer.ts';
import { temporaryFolder } from '../support/backend.ts';
import { type Dump, dump, fill } from '../support/installation.ts';

/** What moving means, whatever backends it is between: shown on two folders. `transfer-mongo.test.ts` goes there and back. */

const now = Date.now();
const folders: string[] = [];
let from: string;
let there: Dump;

const newFolder = (): string => {
  const folder = temporaryFolder();
  folders.push(folder);
  return folder;
};

const open = (folder: string, as: 'source' | 'target', onPoint?: (name: string) => void) =>
  openSqliteInstallation({ folder, as, ...(onPoint ? { onPoint } : {}) });

async function filledFolder(history = 0): Promise<string> {
  const folder = newFolder();
  const backend = await openSqliteBackend({ folder, lanes: 5 });
  await fill(backend, { now, history });
  await backend.close();
  return folder;
}

/** One run over two folders, that ends like a killed process at the nth time of a point. */
async function run(source: SqliteInstallation, target: SqliteInstallation, onPoint: (name: string) => void = () => {}) {
  return transfer({ source, target, newId, now: Date.now, onPoint });
}

async function copyFolder(source: string, target: string) {
  const opened = [open(source, 'source'), open(target, 'target')] as const;
  try {
    return await run(...opened);
  } finally {
    for (const each of opened) each.close();
  }
}

async function dumpOf(folder: string): Promise<Dump> {
  const source = open(folder, 'source');
  try {
    return await dump(source, now);
  } finally {
    source.close();
  }
}

before(async () => {
  from = await filledFolder(4500);
  there = await dumpOf(from);
});
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

test('something of every kind is read, and nothing that is over', () => {
  assert.deepEqual(
    KINDS.filter((kind) => there[kind].length === 0),
    [],
  );
  const texts = JSON.stringify(there);
  assert.deepEqual(
    ['over', 'only latest', 'joined', 'for days', '"kept":true'].filter((word) => texts.includes(word)),
    ['only latest', 'joined', 'for days', '"kept":true'],
  );
});

test('a copy holds the same, record by record, and can be run', async () => {
  const to = newFolder();
  const tallies = await copyFolder(from, to);
  assert.deepEqual(
    tallies.map(({ kind, source, target }) => [kind, source, target]),
    KINDS.map((kind) => [kind, there[kind].length, there[kind].length]),
  );
  assert.deepEqual(await dumpOf(to), there);
  const backend = await openSqliteBackend({ folder: to });
  assert.equal(backend.queue.lanes, 5);
  assert.deepEqual(backend.queue.depth().held, 2);
  await backend.close();
});

for (const [point, nth] of [
  ['copy-begun', 1],
  ['copy-before-commit', 2],
  ['copy-before-commit', 7],
  ['copy-page', 1],
  ['copy-page', 7],
  ['copy-verified', 1],
] as const) {
  test(`ended at ${point} (${nth}), it goes on where it was`, async () => {
    const to = newFolder();
    let left = nth;
    let pages = 0;
    const end = (name: string) => {
      if (name === 'copy-page') pages++;
      if (name === point && --left === 0) throw new Error('ended');
    };
    const opened = [open(from, 'source'), open(to, 'target', end)] as const;
    await assert.rejects(run(...opened, end), /ended/);
    for (const each of opened) each.close();
    await assert.rejects(openSqliteBackend({ folder: to }), ConfigError);
    const again = [open(from, 'source'), open(to, 'target')] as const;
    const before = pages;
    await run(...again, (name) => {
      if (name === 'copy-page') pages++;
    });
    for (const each of again) each.close();
    assert.deepEqual(await dumpOf(to), there);
    // Every page once: one for each kind, and three of 2000 rows of history instead of one.
    assert.equal(pages, KINDS.length + 2, `${before} before`);
  });
}

test('a target that is not empty is refused, and says what is in it', async () => {
  const to = newFolder();
  const backend = await openSqliteBackend({ folder: to });
  await fill(backend, { now });
  await backend.close();
  await assert.rejects(copyFolder(from, to), (cause: Error) => {
    assert.ok(cause instanceof ConfigError);
    assert.match(cause.message, /is not empty \(24 documents\)/);
    return true;
  });
});

test('a finished copy is refused as a target, with where it came from', async () => {
  const to = newFolder();
  await copyFolder(from, to);
  await assert.rejects(copyFolder(from, to), /is not empty \(24 documents, copied from .* at 20/);
});

async function begun(): Promise<string> {
  const to = newFolder();
  const opened = [open(from, 'source'), open(to, 'target')] as const;
  let pages = 0;
  const ended = run(...opened, (name) => {
    if (name === 'copy-page' && ++pages === 3) throw new Error('ended');
  });
  await assert.rejects(ended, /ended/);
  for (const each of opened) each.close();
  return to;
}

test('another source is refused while a copy is not finished', async () => {
  const to = await begun();
  await assert.rejects(copyFolder(await filledFolder(), to), /holds a copy of .* that was not finished, not one of/);
  await copyFolder(from, to);
  assert.deepEqual(await dumpOf(to), there);
});

test('a source that was started meanwhile is refused', async () => {
  const own = await filledFolder();
  const to = newFolder();
  const opened = [open(own, 'source'), open(to, 'target')] as const;
  const ended = run(...opened, (name) => {
    if (name === 'copy-page') throw new Error('ended');
  });
  await assert.rejects(ended, /ended/);
  for (const each of opened) each.close();
  await (await openSqliteBackend({ folder: own })).close();
  await assert.rejects(copyFolder(own, to), /has been started since/);
});

test('an unfinished copy is no source', async () => {
  const to = await begun();
  assert.throws(() => open(to, 'source'), /was not finished: run the same fieldbridge copy again/);
});

test('a folder without an installation is no source, and a folder in use neither', async () => {
  assert.throws(() => open(newFolder(), 'source'), /There is no installation in/);
  const own = newFolder();
  const backend = await openSqliteBackend({ folder: own });
  assert.throws(() => open(own, 'source'), /is in use by another running Fieldbridge/);
  await backend.close();
});
