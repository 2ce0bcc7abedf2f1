import type { PortabilityHint } from '../../script.ts';
import type { Place } from './errors.ts';
import { placeOf, TbelSyntaxError } from './errors.ts';
import { type Generated, generate } from './generator.ts';
import { parse } from './parser.ts';

export interface Fault extends Partial<Place> {
  readonly message: string;
}

export type Compiled =
  | {
      readonly ok: true;
      /** For `runnerOf` of `runtime/program.ts`. */
      readonly code: string;
      /** Where the original engine behaves differently from what the text seems to say, or refuses it. */
      readonly hints: readonly PortabilityHint[];
      /** What a fault is and where, from what the runtime said and the column in the code where it happened. */
      locate(message: string, column: number | null): Fault;
    }
  | { readonly ok: false; readonly fault: Fault };

/** A TBEL program as JavaScript (specs: tbel). It is bounded by the length of the text, never throws, and runs nothing of the program. */
export function compileTbel(source: string, args: readonly string[]): Compiled {
  try {
    const program = parse(source);
    const made = generate(program, args);
    const hints = made.hints.map(({ message, start }) => ({ message, ...placeOf(source, start) }));
    return { ok: true, code: made.code, hints, locate: (message, column) => locate(source, made, message, column) };
  } catch (cause) {
    if (cause instanceof TbelSyntaxError) return { ok: false, fault: { message: cause.message, ...placeOf(source, cause.at) } };
    if (cause instanceof RangeError) return { ok: false, fault: { message: 'the program is nested too deeply' } };
    throw cause;
  }
}

function locate(source: string, { positions, spans }: Generated, message: string, column: number | null): Fault {
  let found = -1;
  if (column !== null) {
    let low = 0;
    let high = positions.length / 2 - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (positions[middle * 2]! <= column) {
        found = positions[middle * 2 + 1]!;
        low = middle + 1;
      } else high = middle - 1;
    }
  }
  const span = spans[found];
  if (span === undefined) return { message: message.replaceAll('\u0001', '').replaceAll('\u0002', '') };
  const text = source.slice(span.start, Math.min(span.end, span.start + 200));
  const place = placeOf(source, span.start);
  if (message.startsWith('\u0001')) return { message: `${text}: ${message.slice(1)}`, ...place };
  return { message: message.endsWith('\u0002') ? message.slice(0, -1) + text : message, ...place };
}
