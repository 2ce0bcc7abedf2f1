import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const LEAST = 24;

/** Runs a TypeScript file of this package under the Node that npm brought, when the one that runs us is older. */
export async function runUnderNode24(file) {
  const path = join(root, file);
  if (Number(process.versions.node.split('.')[0]) >= LEAST) {
    process.argv[1] = path;
    await import(path);
    return;
  }
  const node = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
  if (!existsSync(node)) {
    process.stderr.write(
      `Fieldbridge needs Node ${LEAST}; this is ${process.version}, and npm has no Node ${LEAST} package for ${process.platform}-${process.arch}.\n` +
        `Run "npm install" here first; if that was done, install Node ${LEAST} or newer.\n`,
    );
    process.exit(1);
  }
  const child = spawn(node, [...process.execArgv, path, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}
