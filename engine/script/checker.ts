import type ivm from 'isolated-vm';
import { COMPILE_TIMEOUT_MS, compileFault, type Definition, functionText, newIsolate } from './cell.ts';

/**
 * Parses scripts without making them callable: an isolate and a context for all of them, because nothing of them is run. A tenth of what a context of its own
 * costs, which counts when a thousand chains are loaded.
 */
export class Checker {
  readonly #memoryMb: number;
  #isolate: ivm.Isolate | null = null;
  #context: ivm.Context | null = null;

  constructor(memoryMb: number) {
    this.#memoryMb = memoryMb;
  }

  /** @returns null, or the code of `outcome.ts` that defining it would give. */
  check(script: Definition): string | null {
    const isolate = this.#alive();
    try {
      const text = script.language === 'TBEL' ? script.body : functionText(script);
      isolate.compileScriptSync(text, { filename: '<script>' }).release();
      if (script.language === 'JS') {
        this.#context!.evalClosureSync('new Function($0, $1)', [script.argNames.join(','), script.body], { timeout: COMPILE_TIMEOUT_MS });
      }
      return null;
    } catch (cause) {
      return isolate.isDisposed ? 'M' : compileFault(cause);
    }
  }

  #alive(): ivm.Isolate {
    if (this.#isolate === null || this.#isolate.isDisposed) {
      this.#isolate = newIsolate(this.#memoryMb);
      this.#context = this.#isolate.createContextSync();
    }
    return this.#isolate;
  }
}
