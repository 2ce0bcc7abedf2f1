import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import ivm from 'isolated-vm';
import type { ScriptKind, ScriptLanguage } from '../script.ts';
import { MAX_RESULT_CHARS } from './outcome.ts';
import { type MakeRunner, type Runner, sandbox } from './sandbox.ts';

/** A script as a host knows it. */
export interface Definition {
  readonly id: number;
  readonly kind: ScriptKind;
  readonly language: ScriptLanguage;
  /** JavaScript: of TBEL what its compiler made. */
  readonly body: string;
  readonly argNames: readonly string[];
}

/** One call of a script: where its texts stand in the text of the segment. */
export interface Call {
  readonly script: Definition;
  /** The unit that it belongs to, and its place there. */
  readonly unit: number;
  readonly index: number;
  readonly at: number;
  readonly lengths: readonly number[];
}

export interface Segment {
  /** Results of the calls that ended, in order. */
  readonly results: string[];
  /** `done`: all of them. `timeout`: the call behind the last result ran out of time (or what all of them left behind, when none is missing). `dead`: the isolate is gone, and the results with it. */
  readonly end: 'done' | 'timeout' | 'dead';
  /** The call that ran when the segment ended. */
  readonly last: number;
  readonly cpuMs: number;
  readonly message: string;
}

export const MAX_SEGMENT_CALLS = 1000;
const INPUT_AT = 8;
const OUTPUT_AT = INPUT_AT + MAX_SEGMENT_CALLS * 6;
const INTS = OUTPUT_AT + MAX_SEGMENT_CALLS;
export const COMPILE_TIMEOUT_MS = 1000;

/**
 * A text of 1 KB or more that crosses between isolates lives outside of the heaps, and goes only with a full collection, which small heaps hardly ever do
 * by themselves: a busy host would grow by 60 MB for each isolate. So what goes in goes in smaller pieces, and for what comes out the host collects now and
 * then (5 ms for 8 MB: 0.1 µs a message).
 */
const PIECE_CHARS = 500;
const MAX_PIECES = 256;
const COLLECT_CHARS = 8 << 20;
let received = 0;

function pieces(text: string): string[] {
  if (text.length > PIECE_CHARS * MAX_PIECES) return [text];
  const cut: string[] = [];
  for (let at = 0; at < text.length; at += PIECE_CHARS) cut.push(text.slice(at, at + PIECE_CHARS));
  return cut;
}

/** The collector of the host's own heap. */
const collectGarbage: () => void = (() => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  // Contexts of scripts are made later and must not have it.
  setFlagsFromString('--no-expose-gc');
  return gc;
})();

/** Runs in the isolate's own first context, which no script can reach. The integers are shared with the host, so that it sees how far a segment came. */
function driver(memory: SharedArrayBuffer, inputAt: number, outputAt: number) {
  const ints = new Int32Array(memory);
  const runners: (Runner | undefined)[] = [];
  const arities: number[] = [];
  let out = '';
  const set = (slot: number, arity: number, runner?: Runner): void => {
    runners[slot] = runner;
    arities[slot] = arity;
  };
  const run = (calls: number, ...pieces: string[]): string => {
    out = '';
    const text = pieces.length === 1 ? pieces[0]! : pieces.join('');
    let p = inputAt;
    for (let k = 0; k < calls; k++) {
      ints[0] = k;
      const slot = ints[p++]!;
      const a = ints[p++]!;
      const b = a + ints[p++]!;
      const c = b + ints[p++]!;
      const arity = arities[slot]!;
      const d = arity > 2 ? c + ints[p++]! : c;
      const e = arity > 3 ? d + ints[p++]! : d;
      let result = 'KScript could not be called';
      try {
        const code = runners[slot]!(text.substring(a, b), text.substring(b, c), text.substring(c, d), text.substring(d, e));
        if (typeof code === 'string') result = code;
      } catch {
        // A script may spoil its own runner, never what comes back for others.
      }
      ints[outputAt + k] = result.length;
      out += result;
    }
    ints[0] = calls;
    return out;
  };
  return { set, run, take: () => out };
}

const SANDBOX = `const evaluate = function () { return eval(arguments[0]); };
return (function () { 'use strict'; return (${String(sandbox)}); })()($0, evaluate);`;

export const newIsolate = (memoryMb: number): ivm.Isolate => new ivm.Isolate({ memoryLimit: memoryMb });

/** One isolate: a memory limit shared by the contexts of up to `capacity` scripts, and the driver that calls them. */
export class Cell {
  readonly #isolate: ivm.Isolate;
  readonly #ints: Int32Array;
  readonly #set: ivm.Reference<(slot: number, arity: number, runner: unknown) => void>;
  readonly #run: ivm.Reference<(calls: number, ...pieces: string[]) => string>;
  readonly #take: ivm.Reference<() => string>;
  /** The runtime of TBEL, compiled once for all contexts. */
  #library: ivm.Script | null = null;
  readonly #slots = new Map<number, { slot: number; context: ivm.Context } | string>();
  #nextSlot = 0;
  /** Segments run so far: a cell that fails in its first one owes it to nobody else. */
  segments = 0;
  usedAt = 0;

  constructor(memoryMb: number) {
    this.#isolate = newIsolate(memoryMb);
    const memory = new SharedArrayBuffer(INTS * 4);
    this.#ints = new Int32Array(memory);
    const made = this.#isolate
      .createContextSync()
      .evalClosureSync(`'use strict'; return (${String(driver)})($0, $1, $2)`, [new ivm.ExternalCopy(memory).copyInto(), INPUT_AT, OUTPUT_AT], {
        result: { reference: true },
      }) as ivm.Reference<ReturnType<typeof driver>>;
    this.#set = made.getSync('set', { reference: true }) as never;
    this.#run = made.getSync('run', { reference: true }) as never;
    this.#take = made.getSync('take', { reference: true }) as never;
  }

  get size(): number {
    return this.#slots.size;
  }

  get scripts(): Iterable<number> {
    return this.#slots.keys();
  }

  /** Call of the segment that runs now. */
  get progress(): number {
    return this.#ints[0]!;
  }

  /** CPU time of the isolate so far. */
  get cpuMs(): number {
    return this.isDead ? 0 : Number(this.#isolate.cpuTime) / 1e6;
  }

  get isDead(): boolean {
    return this.#isolate.isDisposed;
  }

  /** @returns null, or a code of `outcome.ts` saying why the script can not be called. */
  define(script: Definition, library: string): string | null {
    const known = this.#slots.get(script.id);
    if (known !== undefined) return typeof known === 'string' ? known : null;
    let made: { slot: number; context: ivm.Context } | string;
    try {
      made = script.language === 'TBEL' ? this.#compileTbel(script, library) : this.#compile(script);
    } catch (cause) {
      if (this.isDead) return 'M';
      made = compileFault(cause);
    }
    this.#slots.set(script.id, made);
    return typeof made === 'string' ? made : null;
  }

  #compile(script: Definition): { slot: number; context: ivm.Context } {
    const context = this.#isolate.createContextSync();
    const body = this.#isolate.compileScriptSync(functionText(script), { filename: '<script>' });
    // A body that closes the function and opens another one would compile below; the constructor parses it by itself and refuses it. Asked before the sandbox puts its own in place.
    context.evalClosureSync('new Function($0, $1)', [script.argNames.join(','), script.body], { timeout: COMPILE_TIMEOUT_MS });
    const make = context.evalClosureSync(SANDBOX, [MAX_RESULT_CHARS], { result: { reference: true } }) as ivm.Reference<MakeRunner>;
    const callable = body.runSync(context, { reference: true, timeout: COMPILE_TIMEOUT_MS }) as unknown as ivm.Reference<() => unknown>;
    const runner = make.applySync(undefined, [script.kind, callable.derefInto() as never], {
      result: { reference: true },
    }) as unknown as ivm.Reference<Runner>;
    const slot = this.#give(script, runner);
    for (const handle of [make, callable]) handle.release();
    body.release();
    return { slot, context };
  }

  /** What the compiler made reaches its arguments and the runtime; the runtime is the language and itself. */
  #compileTbel(script: Definition, library: string): { slot: number; context: ivm.Context } {
    const context = this.#isolate.createContextSync();
    const body = this.#isolate.compileScriptSync(script.body, { filename: '<script>' });
    this.#library ??= this.#isolate.compileScriptSync(library, { filename: '<library>' });
    const make = this.#library.runSync(context, { reference: true, timeout: COMPILE_TIMEOUT_MS }) as unknown as ivm.Reference<() => unknown>;
    const program = body.runSync(context, { reference: true, timeout: COMPILE_TIMEOUT_MS }) as unknown as ivm.Reference<() => unknown>;
    const runner = make.applySync(undefined, [script.kind, program.derefInto() as never, MAX_RESULT_CHARS] as never, {
      result: { reference: true },
    }) as unknown as ivm.Reference<Runner>;
    const slot = this.#give(script, runner);
    for (const handle of [make, program]) handle.release();
    body.release();
    return { slot, context };
  }

  #give(script: Definition, runner: ivm.Reference<Runner>): number {
    const slot = this.#nextSlot++;
    this.#set.applySync(undefined, [slot, script.argNames.length, runner.derefInto()]);
    runner.release();
    return slot;
  }

  forget(id: number): void {
    const known = this.#slots.get(id);
    this.#slots.delete(id);
    if (known === undefined || typeof known === 'string' || this.isDead) return;
    this.#set.applySync(undefined, [known.slot, 0, undefined]);
    known.context.release();
  }

  /** @param calls at most MAX_SEGMENT_CALLS, of scripts that are defined here. @param inThread leaves the host's main thread free meanwhile; costs 50 µs a segment. */
  async run(calls: readonly Call[], text: string, timeoutMs: number, inThread: boolean): Promise<Segment> {
    const ints = this.#ints;
    let p = INPUT_AT;
    for (const { script, at, lengths } of calls) {
      ints[p++] = (this.#slots.get(script.id) as { slot: number }).slot;
      ints[p++] = at;
      for (const length of lengths) ints[p++] = length;
    }
    ints[0] = 0;
    this.segments++;
    const cpuBefore = this.cpuMs;
    let end: Segment['end'] = 'done';
    let out = '';
    let message = '';
    try {
      out = inThread
        ? await this.#run.apply(undefined, [calls.length, ...pieces(text)], { timeout: timeoutMs })
        : this.#run.applySync(undefined, [calls.length, ...pieces(text)], { timeout: timeoutMs });
    } catch (cause) {
      message = cause instanceof Error ? cause.message : String(cause);
      end = 'dead';
      if (!this.isDead) {
        try {
          out = this.#take.applySync(undefined, [], { timeout: COMPILE_TIMEOUT_MS });
          end = 'timeout';
        } catch {
          this.dispose();
        }
      }
    }
    const last = ints[0]!;
    received += out.length;
    if (received > COLLECT_CHARS) {
      received = 0;
      collectGarbage();
    }
    if (end === 'dead') return { results: [], end, last, cpuMs: 0, message };
    const results: string[] = [];
    let at = 0;
    for (let k = 0; k < last; k++) {
      const length = ints[OUTPUT_AT + k]!;
      results.push(out.slice(at, at + length));
      at += length;
    }
    return { results, end, last, cpuMs: this.cpuMs - cpuBefore, message };
  }

  heapMb(): number {
    return this.isDead ? 0 : this.#isolate.getHeapStatisticsSync().used_heap_size / 1048576;
  }

  dispose(): void {
    if (!this.isDead) this.#isolate.dispose();
  }
}

/** The body gets lines of its own, so that a comment at its end ends there and line numbers are one too high, whatever the names' length. */
export const functionText = ({ argNames, body }: Definition): string => `(function (${argNames.join(', ')}) {\n${body}\n})`;

/** `C line,column:message` from the engine's `Unexpected token ')' [<script>:3:1]`; the function's head is line 1. */
export function compileFault(cause: unknown): string {
  const text = cause instanceof Error ? (cause.name === 'Error' ? cause.message : `${cause.name}: ${cause.message}`) : String(cause);
  const [, message, line, column] = /^([\s\S]*) \[<script>:(\d+):(\d+)\]/.exec(text) ?? [];
  if (message === undefined || Number(line) < 2) return `C,:${message ?? text.replace(/ \[<isolated-vm>[\s\S]*$/, '')}`;
  return `C${Number(line) - 1},${column}:${message}`;
}
