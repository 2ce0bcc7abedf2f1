import { readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { join } from 'node:path';

/** In the order in which they need each other. Their top-level names must differ: they end up in one module. */
const FILES = ['frame.ts', 'outcome.ts', 'sandbox.ts', 'cell.ts', 'checker.ts', 'host.ts'];
const OWN_IMPORT = /^import [^;]*? from '\.[^']*';$/gm;

let text: string | null = null;

/**
 * The host's modules as one JavaScript module, for `--eval`. Node would run the `.ts` files as they are, but the compiler that takes the types out costs
 * every host 20 MB and its start 45 ms; here it is loaded already.
 */
export function hostSource(): string {
  text ??= quietly(() => FILES.map((file) => nodeModule.stripTypeScriptTypes(readFileSync(join(import.meta.dirname, file), 'utf8'))).join('\n'))
    .replaceAll(OWN_IMPORT, '')
    .replaceAll(/^export /gm, '');
  return text;
}

/** `stripTypeScriptTypes` announces itself as experimental on its first call; that is no news for whoever runs this program. */
function quietly<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}
