import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ProcessInfo } from '#engine/cluster.ts';
import { clientOf } from '../support/client.ts';
import { freshDatabase } from '../support/mongo.ts';
import { missingServer, sharedServers } from '../support/mongo-backend.ts';
import { freePort, temporaryFolder } from '../support/servers.ts';
import { eventually, within } from '../support/wait.ts';

const COMMAND = join(import.meta.dirname, '../../bin/cluster.mjs');

interface Started {
  readonly child: ChildProcess;
  output(): string;
  /** Exit code or signal. */
  ended(): Promise<number | string>;
}

function run(args: readonly string[], env: Record<string, string | undefined>): Started {
  const child = spawn(process.execPath, [COMMAND, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const closed = once(child, 'close').then(([code, signal]) => (signal ?? code) as number | string);
  return { child, output: () => output, ended: () => closed };
}

const folder = temporaryFolder('start-cluster');
after(() => rmSync(folder, { recursive: true, force: true }));

describe('npm run start:cluster says what is wrong and ends', () => {
  for (const { name, args = [], env = {}, says } of [
    {
      name: 'no server',
      env: { REDIS_URL: 'redis://127.0.0.1:1' },
      says: /api-1 +\| .*REDIS_URL: redis:\/\/127\.0\.0\.1:1 can not be used.*start the server/,
    },
    { name: 'a wrong setting', env: { LANES: '0' }, says: /api-1 +\| .*LANES: "0" is not allowed; give a whole number from 1 to 256/ },
    { name: 'a count that is none', args: ['--rules', 'two'], says: /--rules: "two" is not allowed; give a whole number from 0 to 64/ },
    { name: 'no api process', args: ['--api', '0'], says: /--api: "0" is not allowed; give a whole number from 1 to 64/ },
    { name: 'an unknown option', args: ['--worker', '2'], says: /Unknown option '--worker'[\s\S]*npm run start:cluster/ },
  ]) {
    test(name, async () => {
      const { ended, output } = run(args, { FIELDBRIDGE_DATA: folder, HTTP_PORT: '0', ...env });
      assert.equal(await within(ended(), 'the end', 20_000), 1);
      assert.match(output(), says);
      assert.equal(output().match(/does not start/g)?.length, 1);
    });
  }
});

describe('npm run start:cluster', { skip: missingServer() }, () => {
  let started: Started;
  let client: ReturnType<typeof clientOf>;
  const list = async (): Promise<ProcessInfo[]> => client.call('GET', '/api/system/processes');
  const shape = (all: readonly ProcessInfo[]) => all.map(({ roles, lanes }) => `${roles} ${lanes.length}`).sort();
  const SETTLED = ['api 0', 'integrations 0', 'rules 2', 'rules 2'];
  const settled = async () => {
    let found: ProcessInfo[] = [];
    await eventually(
      async () => {
        found = await list();
        return String(shape(found)) === String(SETTLED);
      },
      'four processes share the work',
      30_000,
    );
    return found;
  };

  before(async () => {
    const [mongo, redis] = await sharedServers();
    const port = await freePort();
    client = clientOf(`http://127.0.0.1:${port}`);
    started = run([], {
      ...{ MONGODB_URL: freshDatabase(mongo), REDIS_URL: redis.url, LANES: '4' },
      ...{ FIELDBRIDGE_DATA: join(folder, 'data'), HTTP_PORT: String(port) },
    });
    await eventually(() => /All 4 processes are ready/.test(started.output()), 'all are ready', 40_000);
    client.token = await client.login();
  });
  after(async () => {
    started?.child.kill('SIGTERM');
    await started?.ended();
  });

  test('one api, one integrations and two rules processes share one key, which was made with mode 600', async () => {
    await settled();
    assert.equal(statSync(join(folder, 'data/secrets.key')).mode & 0o777, 0o600);
  });

  test('a process that dies is started again and gets its share', async () => {
    const victim = (await settled()).find(({ roles }) => roles[0] === 'rules')!;
    process.kill(victim.pid, 'SIGKILL');
    await eventually(() => /rules-\d +\| has ended \(SIGKILL\)/.test(started.output()), 'it says so');
    await eventually(async () => (await list()).every(({ pid }) => pid !== victim.pid), 'it is given up', 15_000);
    await settled();
  });

  test('Ctrl-C ends all of them', async () => {
    const pids = (await list()).map(({ pid }) => pid);
    started.child.kill('SIGINT');
    // npm passes it on once more.
    started.child.kill('SIGINT');
    assert.equal(await within(started.ended(), 'the end', 25_000), 0);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.doesNotMatch(started.output(), /is killed/);
  });
});
