/**
 * `npm test [-- FILTER…]`: the whole suite under node:test, but for the long runs of test/faults/run.ts. FILTER: parts of file names.
 * Ends with node's own summary.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { missingServers } from './support/servers.ts';

const root = join(import.meta.dirname, '..');
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(`The suite runs on Node 24, which npm brings along; this is ${process.version}. Run it as: npm install && npm test`);
  process.exit(2);
}

const absent = missingServers();
for (const name of absent) console.error(`not run: what needs ${name}. install it with: test/servers install ${name}`);
if (absent.length > 0 && process.env['CI'] === 'true') {
  console.error('Under CI=true a missing server is an error.');
  process.exit(1);
}

const filters = process.argv.slice(2).filter((each) => !each.startsWith('--'));
const options = process.argv.slice(2).filter((each) => each.startsWith('--'));
const files = globSync('test/**/*.test.ts', { cwd: root })
  .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`No test file matches ${filters.join(' ')}.`);
  process.exit(2);
}

const concurrency = Math.min(4, availableParallelism());
// A file that hangs is ended and named, long before anybody would wait for it.
const flags = ['--test', `--test-concurrency=${concurrency}`, '--test-timeout=240000', '--test-reporter=spec', ...options];
const child = spawn(process.execPath, [...flags, ...files], { cwd: root, stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  if (absent.length > 0) console.error(`not run: what needs ${absent.join(', ')} (see above)`);
  process.exitCode = signal ? 1 : (code ?? 1);
});
