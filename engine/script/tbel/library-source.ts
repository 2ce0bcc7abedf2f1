import { readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { join } from 'node:path';

/** In the order in which they need each other while they are loaded. Their top-level names must differ: they end up in one text. */
const FILES = [
  'values',
  'date-text',
  'text',
  'arithmetic',
  'compare',
  'methods',
  'json',
  'date-parse',
  'dates',
  'bytes',
  'format',
  'regex',
  'number-texts',
  'lists',
  'maps',
  'strings',
  'statics',
  'geo',
  'library',
  'access',
  'words',
  'program',
];
const IMPORT = /^import [^;]*? from '[^']*';$/gm;

let text: string | null = null;

/** The runtime of TBEL as one expression: `runnerOf` of `runtime/program.ts`. It is run in the context of each script, and never in ours. */
export function librarySource(): string {
  text ??= `(function () { 'use strict';\n${FILES.map((file) => read(`${file}.ts`)).join('\n')}\nreturn runnerOf; })()`;
  return text;
}

function read(file: string): string {
  const source = readFileSync(join(import.meta.dirname, 'runtime', file), 'utf8');
  return quietly(() => nodeModule.stripTypeScriptTypes(source))
    .replaceAll(IMPORT, '')
    .replaceAll(/^export /gm, '');
}

/** `stripTypeScriptTypes` announces itself as experimental; that is no news for whoever runs this program. */
function quietly<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}
