import assert from 'node:assert/strict';
import test from 'node:test';
import { compileTbel } from '#engine/script/tbel/compiler.ts';
import { writeJson } from '#engine/script/tbel/runtime/json.ts';
import { type Make, operations } from '#engine/script/tbel/runtime/program.ts';
import { byteOf } from '#engine/script/tbel/runtime/values.ts';

/** The JSON text of what a program gives, or how it fails, with the payload and no metadata. Not isolated: for programs that end. */
export function outcomeOf(source: string, payload: readonly number[] = []): string {
  const compiled = compileTbel(source, ['payload', 'metadata']);
  if (!compiled.ok) {
    const { message, line, column } = compiled.fault;
    return `compile: ${message}${line === undefined ? '' : ` (line ${line}, column ${column})`}`;
  }
  const make = new Function(`return ${compiled.code}`)() as Make;
  try {
    return writeJson(make(operations).run(payload.map(byteOf), new Map()));
  } catch (cause) {
    return `error: ${(cause as Error).message}`;
  }
}

/** One test a row: a program (anything with a `;` or `return`) or an expression, what it gives, and the payload. */
export type Row = readonly [source: string, gives: string, payload?: readonly number[]];
export function rows(section: string, table: readonly Row[]): void {
  for (const [source, gives, payload] of table) {
    const program = /;|\breturn\b|\bfunction\b/.test(source) ? source : `return ${source};`;
    test(`tbel ${section}: ${source.replaceAll('\n', '⏎')}`, () => assert.equal(outcomeOf(program, payload), gives));
  }
}
