import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/** Keeps the arrows of the folders true: who may import whom, and what is loaded only when it is needed. */

const ROOT = join(import.meta.dirname, '..');
const FILES = globSync('**/*.ts', { cwd: ROOT, exclude: (name) => ['node_modules', 'data', '.servers', '.bench', 'web'].includes(name) });

interface Import {
  readonly from: string;
  /** Path of a file of ours, `node:NAME`, or the package. */
  readonly to: string;
  readonly kind: 'type' | 'static' | 'dynamic';
}

const ALIAS = /^#(engine|actors|integrations|rulechains|test)\//;

function resolve(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return normalize(join(dirname(file), specifier));
  if (ALIAS.test(specifier)) return specifier.slice(1);
  if (isBuiltin(specifier)) return specifier.startsWith('node:') ? specifier : `node:${specifier}`;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const found: Import[] = [];
  for (const [, type, specifier] of text.matchAll(/^(?:import|export)\s+(type\s)?(?:[\w*{}\s,$]+?\sfrom\s+)?'([^']+)'/gm)) {
    found.push({ from: file, to: resolve(file, specifier!), kind: type ? 'type' : 'static' });
  }
  for (const [, specifier] of text.matchAll(/\b(?:import|require)\(\s*'([^']+)'\s*\)/g))
    found.push({ from: file, to: resolve(file, specifier!), kind: 'dynamic' });
  return found;
}

const IMPORTS = FILES.flatMap(importsOf);
const show = ({ from, to, kind }: Import) => `${from} → ${to}${kind === 'static' ? '' : ` (${kind})`}`;
const isOurs = (to: string) => /\.(ts|json|js|mjs)$/.test(to) && !to.startsWith('node:');
const inFolder = (path: string, folder: string) => path.startsWith(folder + '/');
const engineRoot = (path: string) => /^engine\/[^/]+\.ts$/.test(path);
/** Folders of the engine that are no backend and no border: steps of the message's way that are more than one file. */
const engineInner = (path: string) => engineRoot(path) || (inFolder(path, 'engine') && !/^engine\/(script|store|queue|api)\//.test(path));

/** From a group of files: which of ours and which packages they may reach. */
interface Arrow {
  readonly name: string;
  readonly of: (file: string) => boolean;
  readonly ours: (to: string, from: string) => boolean;
  readonly packages: readonly string[];
}

const ARROWS: readonly Arrow[] = [
  { name: 'engine reaches nothing beside it', of: engineInner, ours: (to) => engineInner(to) || to === 'package.json', packages: ['typebox'] },
  {
    name: 'engine/script reaches the engine',
    of: (f) => inFolder(f, 'engine/script'),
    ours: (to) => engineInner(to) || inFolder(to, 'engine/script'),
    packages: ['isolated-vm', 'typebox'],
  },
  {
    name: 'engine/store and engine/queue reach the engine',
    of: (f) => /^engine\/(store|queue)\//.test(f),
    ours: (to) => engineInner(to) || /^engine\/(store|queue)\//.test(to),
    packages: ['mongodb', 'bullmq', 'ioredis'],
  },
  {
    name: 'the embedded backend needs nothing installed',
    of: (f) => /^engine\/(store|queue)\/sqlite/.test(f),
    ours: (to) => engineInner(to) || /^engine\/(store|queue)\//.test(to),
    packages: [],
  },
  {
    name: 'engine/api reaches the engine',
    of: (f) => inFolder(f, 'engine/api'),
    ours: (to) => engineInner(to) || inFolder(to, 'engine/api') || to === 'package.json',
    packages: [
      'fastify',
      '@fastify/cors',
      '@fastify/jwt',
      '@fastify/swagger',
      '@fastify/swagger-ui',
      '@fastify/type-provider-typebox',
      'typebox',
      'prom-client',
      'pino',
    ],
  },
  {
    name: 'actors reach the engine',
    of: (f) => inFolder(f, 'actors'),
    ours: (to) => engineInner(to) || inFolder(to, 'actors'),
    packages: ['xstate'],
  },
  {
    name: 'an integration reaches the engine, its own folder and what its family shares',
    of: (f) => /^integrations\/[^/]+\//.test(f),
    ours: (to, from) => engineInner(to) || inFolder(to, 'integrations/shared') || dirname(to).startsWith(from.split('/').slice(0, 2).join('/')),
    packages: ['typebox'],
  },
  {
    name: 'a rule node reaches the engine and what nodes share',
    of: (f) => inFolder(f, 'rulechains/nodes'),
    ours: (to) => engineInner(to) || inFolder(to, 'rulechains/shared'),
    packages: ['typebox'],
  },
  {
    name: 'what nodes share reaches the engine',
    of: (f) => inFolder(f, 'rulechains/shared'),
    // Java's regular expressions are the same in TBEL and in the patterns of nodes.
    ours: (to) => engineInner(to) || inFolder(to, 'rulechains/shared') || to === 'engine/script/tbel/runtime/regex.ts',
    packages: ['typebox'],
  },
];

for (const { name, of, ours, packages } of ARROWS) {
  test(name, () => {
    const wrong = IMPORTS.filter(({ from, to, kind }) => {
      if (!of(from) || to.startsWith('node:')) return false;
      if (isOurs(to)) return !ours(to, from);
      // A type costs nothing at run time, and a library that is loaded when it is needed costs no start.
      return kind === 'static' && !packages.includes(to);
    });
    assert.deepEqual(wrong.map(show), []);
  });
}

test('nobody reaches test, bench or main.ts', () => {
  const outside = IMPORTS.filter(({ from, to }) => !/^(test|bench)\//.test(from) && (/^(test|bench)\//.test(to) || to === 'main.ts'));
  assert.deepEqual(outside.map(show), []);
});

test('no definition loads a protocol library at its top', () => {
  const definitions = IMPORTS.filter(
    ({ from, to, kind }) =>
      /^(integrations|rulechains)\//.test(from) && kind === 'static' && !isOurs(to) && !to.startsWith('node:') && to !== 'typebox',
  );
  assert.deepEqual(definitions.map(show), []);
});

test('no module of the script host reaches the network, a process, or a debugger', () => {
  // Node's permission model does not deny the network: what the host never loads, a script that escapes its isolate finds harder to reach.
  const forbidden = [
    'net',
    'http',
    'https',
    'http2',
    'tls',
    'dns',
    'dns/promises',
    'dgram',
    'child_process',
    'cluster',
    'worker_threads',
    'inspector',
  ].map((each) => `node:${each}`);
  const seen = new Set<string>();
  const queue = ['engine/script/host.ts'];
  const wrong: string[] = [];
  for (let file = queue.pop(); file; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const each of importsOf(file)) {
      if (each.kind === 'type') continue;
      if (isOurs(each.to)) queue.push(each.to);
      else if (forbidden.includes(each.to) || !(each.to.startsWith('node:') || ['isolated-vm', 'typebox'].includes(each.to))) wrong.push(show(each));
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen.size > 0);
});

test('the embedded start loads no driver of Redis or MongoDB', () => {
  const drivers = ['mongodb', 'bullmq', 'ioredis'];
  const seen = new Set<string>();
  const queue = ['main.ts'];
  const wrong: string[] = [];
  for (let file = queue.pop(); file; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const each of importsOf(file)) {
      if (each.kind !== 'static') continue;
      if (isOurs(each.to)) queue.push(each.to);
      else if (drivers.includes(each.to)) wrong.push(show(each));
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen.size > 100);
});

test('no test is left alone with `only`', () => {
  const left = FILES.filter(
    (file) =>
      inFolder(file, 'test') &&
      file !== 'test/imports.test.ts' &&
      /\b(?:test|it|describe|suite)\.only\(|\bonly:\s*true/.test(readFileSync(join(ROOT, file), 'utf8')),
  );
  assert.deepEqual(left, []);
});

test('no file is two things: 400 lines, and a little more where it must be', (t) => {
  const long = FILES.map((file) => ({ file, lines: readFileSync(join(ROOT, file), 'utf8').split('\n').length })).filter(({ lines }) => lines > 400);
  for (const { file, lines } of long) t.diagnostic(`${file} has ${lines} lines`);
  assert.deepEqual(
    long.filter(({ lines }) => lines > 450).map(({ file, lines }) => `${file}: ${lines}`),
    [],
  );
});
