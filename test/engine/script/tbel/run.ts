import { compileTbel } from '#engine/script/tbel/compiler.ts';
import { writeJson } from '#engine/script/tbel/runtime/json.ts';
import { type Make, operations } from '#engine/script/tbel/runtime/program.ts';
import { byteOf } from '#engine/script/tbel/runtime/values.ts';

/** The JSON text of what a program gives, or how it fails, with the payload and no metadata. Not isolated: for programs that end. */
export function outcomeOf(source: string, payload: readonly number[] = []): string {
  const compiled = compileTbel(source, ['payload', 'metadata']);
  if (!compiled.ok) return `compile: ${compiled.fault.message}`;
  const make = new Function(`return ${compiled.code}`)() as Make;
  try {
    return writeJson(make(operations)(payload.map(byteOf), new Map()));
  } catch (cause) {
    return `error: ${(cause as Error).message}`;
  }
}
