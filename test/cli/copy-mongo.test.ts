import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openSecrets } from '#engine/secrets-aes.ts';
import { openSqliteInstallation } from '#engine/store/sqlite/transfer.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import { commit, doc, temporaryFolder } from '../support/backend.ts';
import { type Dump, dump, fill } from '../support/installation.ts';
import { freshDatabase, type MongoServer } from '../support/mongo.ts';
import { missingServer, sharedServers } from '../support/mongo-backend.ts';
import type { RedisServer } from '../support/redis.ts';

const ROOT = join(import.meta.dirname, '../..');
const KEY = 'ab'.repeat(32);
const now = Date.now();

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command, as people give it. */
function copy(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const { FIELDBRIDGE_KEY: _key, ...rest } = process.env;
  return new Promise((resolve) => {
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

describe('copy to Redis and MongoDB, and back', { skip: missingServer() }, () => {
  const folders: string[] = [];
  let mongo: MongoServer;
  let redis: RedisServer;
  let from: string;
  let there: Dump;

  const newFolder = (): string => {
    const folder = temporaryFolder();
    folders.push(folder);
    return folder;
  };
  async function dumpOf(folder: string): Promise<Dump> {
    const source = openSqliteInstallation({ folder, as: 'source' });
    try {
      return await dump(source, now);
    } finally {
      source.close();
    }
  }

  before(async () => {
    [mongo, redis] = await sharedServers();
    from = newFolder();
    const secrets = await openSecrets({ folder: from, key: KEY });
    const backend = await openSqliteBackend({ folder: from, lanes: 3 });
    await fill(backend, { now, history: 2100 });
    await commit(backend, (work) =>
      work.docs.push({ doc: doc({ tenantId: '13814000-1dd2-11b2-8080-808080808080', body: { password: secrets.seal('geheim') } }) }),
    );
    await backend.close();
    there = await dumpOf(from);
  });
  after(() => {
    for (const each of folders) rmSync(each, { recursive: true });
  });

  const killed = async (args: readonly string[], point: string): Promise<void> => {
    const { signal, stderr } = await copy(args, { FIELDBRIDGE_KEY: KEY, FIELDBRIDGE_KILL_AT: point });
    assert.equal(signal, 'SIGKILL', stderr);
  };
  const done = async (args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await copy(args, { FIELDBRIDGE_KEY: KEY });
    assert.equal(code, 0, stderr);
    return stdout;
  };

  test('killed on each way in the midst of a transaction and after one, and run again: the last folder holds what the first did', async () => {
    const url = freshDatabase(mongo);
    const to = ['--from', from, '--to', url, '--redis', redis.url];
    await killed(to, 'copy-before-commit:4');
    const killedAt = performance.now();
    await killed(to, 'copy-page:3');
    assert.ok(performance.now() - killedAt < 30_000, 'nobody waits until the server gives up the transaction of a killed client, which is a minute');
    const said = await done(to);
    assert.match(said, /^documents +25 +25\n/m);
    assert.match(said, /\nStart every process with the FIELDBRIDGE_KEY of now: the secrets are sealed with it\.\n$/);

    const back = newFolder();
    const home = ['--from', url, '--redis', redis.url, '--to', back];
    await killed(home, 'copy-before-commit:4');
    await killed(home, 'copy-verified:1');
    assert.match(await done(home), /\nStart it with the FIELDBRIDGE_KEY of now, which sealed the secrets; without it a new key is made in .*\n$/);
    assert.equal(existsSync(join(back, 'secrets.key')), false);
    assert.deepEqual(await dumpOf(back), there);

    const other = await copy(['--from', url, '--to', newFolder()], { FIELDBRIDGE_KEY: 'cd'.repeat(32) });
    assert.match(other.stderr, /^The secrets in .* were sealed with another key than FIELDBRIDGE_KEY\n$/);
    const none = await copy(['--from', url, '--to', newFolder()]);
    assert.match(none.stderr, /^Give the FIELDBRIDGE_KEY that .* is run with: its secrets can not be opened without it\n$/);
    assert.deepEqual([other.code, none.code], [1, 1]);
  });

  test('a server that is away: exit code 3, and no password', async () => {
    const ended = await copy(['--from', 'mongodb://me:geheim@127.0.0.1:1/x', '--to', newFolder()], { FIELDBRIDGE_KEY: KEY });
    assert.equal(ended.code, 3);
    assert.match(ended.stderr, /^Not connected to mongodb:\/\/me:\*\*\*@127\.0\.0\.1:1\/x.*\. Is it running, and is the address right\?\n$/);
    assert.doesNotMatch(ended.stderr, /geheim/);
  });
});
