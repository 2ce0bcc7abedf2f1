import type { ArgumentUse } from './arguments.ts';
import type { FunctionStatement, Hint, Span } from './ast.ts';
import type { ChainWriter } from './chain.ts';
import { TbelSyntaxError } from './errors.ts';
import { type Made, type StaticKind, staticKind } from './kinds.ts';
import { type Names, namesOf } from './names.ts';
import { Big, Dbl, Flt, Lng } from './runtime/values.ts';

/** Private characters around the number of a place; nothing else of a program reaches the generated text unescaped. */
const MARK = '\ue000';
const MARK_END = '\ue001';

export interface FunctionScope {
  readonly parent: FunctionScope | null;
  readonly depth: number;
  readonly params: readonly string[];
  readonly locals: ReadonlySet<string>;
  readonly functions: ReadonlyMap<string, FunctionStatement>;
}

export const quoted = (text: string): string =>
  JSON.stringify(text).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Only letters and digits, so that no name of a program is a name of JavaScript. */
const safe = (name: string): string =>
  [...name].map((char) => (/[A-Za-z0-9_]/.test(char) ? char : `$${char.codePointAt(0)!.toString(16)}$`)).join('');

/** What is known while a program is written: its variables, functions, places and constants. */
export class Unit {
  readonly source: string;
  readonly args: readonly string[];
  readonly globals: Names;
  readonly functions: ReadonlyMap<string, FunctionStatement>;
  readonly places: Span[] = [];
  readonly hints: Hint[] = [];
  readonly constants: string[] = [];
  /** The statically known kinds of the top level's variables; null: unknown for good. */
  readonly kinds = new Map<string, StaticKind>();
  /** Names that exist here, by scope from the outermost one. */
  known: Set<string>[] = [];
  /** What the loops around have to forget when they end. */
  cleanups: Set<string>[] = [];
  scope: FunctionScope | null = null;
  temps: string[] = [];
  projection: string | null = null;
  #serial = 0;
  readonly #reassigned: ReadonlySet<string>;
  readonly #uses: ReadonlyMap<string, ArgumentUse>;

  constructor(source: string, args: readonly string[], globals: Names, uses: ReadonlyMap<string, ArgumentUse> = new Map()) {
    this.#uses = uses;
    this.source = source;
    this.args = args;
    this.globals = globals;
    this.functions = firstOf(globals.functions);
    this.known = [new Set(args)];
    const all = new Map(globals.assigned);
    const visit = (statements: readonly FunctionStatement[]): void => {
      for (const { body } of statements) {
        const names = namesOf(body);
        for (const [name, times] of names.assigned) all.set(name, (all.get(name) ?? 0) + times);
        visit(names.functions);
      }
    };
    visit(globals.functions);
    this.#reassigned = new Set([...all].filter(([, times]) => times > 1).map(([name]) => name));
  }

  serial(): number {
    return this.#serial++;
  }

  temp(): string {
    const name = `t${this.serial()}`;
    this.temps.push(name);
    return name;
  }

  mark(code: string, span: Span): string {
    this.places.push(span);
    return `${MARK}${this.places.length - 1}${MARK_END}${code}`;
  }

  hint(message: string, { start, end }: Span): void {
    // What stands in a part that is written twice is told once.
    if (!this.hints.some((hint) => hint.start === start && hint.message === message)) this.hints.push({ message, start, end });
  }

  chainWriter(span: Span, operands: readonly Span[]): ChainWriter {
    return {
      literal: (value) => this.literal(value),
      mark: (code) => this.mark(code, span),
      text: (i) => this.source.slice(operands[i]!.start, operands[i]!.end).slice(0, 40),
      unusual: (grouping) => this.hint(`this is computed as ${grouping}, as on the original engine: parentheses make it clear`, span),
      refuse: (message) => {
        throw new TbelSyntaxError(message, span.start);
      },
    };
  }

  literal(value: unknown): Made {
    return { code: this.#literalCode(value), kind: staticKind(value), literal: { value } };
  }

  #literalCode(value: unknown): string {
    if (value === null || typeof value === 'boolean') return String(value);
    if (typeof value === 'string') return quoted(value);
    if (typeof value === 'number') return value < 0 ? `(${value})` : String(value);
    const made =
      value instanceof Dbl
        ? `dbl(${Object.is(value.v, -0) ? '-0' : value.v})`
        : value instanceof Lng
          ? `lng(${value.v}n)`
          : value instanceof Flt
            ? `flt(${value.v})`
            : value instanceof Big
              ? `big(${value.v}n)`
              : null;
    if (made === null) throw new Error('There is no such literal');
    const at = this.constants.indexOf(made);
    return `k${at < 0 ? this.constants.push(made) - 1 : at}`;
  }

  // ---- variables ----

  isGlobal = (name: string): boolean => this.globals.assigned.has(name) || this.args.includes(name);

  /** The JavaScript variables that a name can mean here, the nearest first. */
  #candidates(name: string): string[] {
    const found: string[] = [];
    for (let scope = this.scope; scope !== null; scope = scope.parent) if (scope.locals.has(name)) found.push(`l${scope.depth}$${safe(name)}`);
    if (this.isGlobal(name)) found.push(`g$${safe(name)}`);
    return found;
  }

  isVariable(name: string): boolean {
    return this.#candidates(name).length > 0;
  }

  read(name: string, span: Span): string {
    const candidates = this.#candidates(name);
    const isSure = this.scope === null && this.args.includes(name);
    if (isSure) return candidates[0]!;
    return `(${candidates.map((each) => `${each} !== undefined ? ${each} : `).join('')}${this.mark(`missing(${quoted(name)})`, span)})`;
  }

  exists(name: string): string {
    return `(${
      this.#candidates(name)
        .map((each) => `${each} !== undefined`)
        .join(' || ') || 'false'
    })`;
  }

  /** The variable that an assignment writes; it exists from here on. */
  target(name: string): string {
    if (!this.known.some((names) => names.has(name))) this.known.at(-1)!.add(name);
    return this.scope?.locals.has(name) ? `l${this.scope.depth}$${safe(name)}` : (this.#candidates(name)[0] ?? `g$${safe(name)}`);
  }

  declarations(): string {
    const names = [...this.globals.assigned.keys()].filter((name) => !this.args.includes(name)).map((name) => `g$${safe(name)}`);
    return [...names, ...this.temps].map((name) => `let ${name};`).join('');
  }

  argNames(): string {
    return this.args.map((name) => `g$${safe(name)}`).join(', ');
  }

  functionName(name: string): { code: string; params: readonly string[] } | null {
    for (let scope = this.scope; scope !== null; scope = scope.parent) {
      const found = scope.functions.get(name);
      if (found !== undefined) return { code: `f${scope.depth}$${safe(name)}`, params: found.params };
    }
    const found = this.functions.get(name);
    return found === undefined ? null : { code: `f0$${safe(name)}`, params: found.params };
  }

  /** @returns the function with its variables declared and `write()`'s code as its body. */
  function({ name, params, body, start }: FunctionStatement, write: () => string): string {
    const parent = this.scope;
    const depth = (parent?.depth ?? 0) + 1;
    if (depth > 20) throw new TbelSyntaxError('functions are nested too deeply', start);
    const names = namesOf(body);
    const writesGlobal = (each: string): boolean => parent === null && (this.globals.declared.get(each) ?? Number.POSITIVE_INFINITY) < start;
    const locals = new Set([...params, ...[...names.assigned.keys()].filter((each) => !writesGlobal(each) || params.includes(each))]);
    const outer = { known: this.known, cleanups: this.cleanups, temps: this.temps };
    this.scope = { parent, depth, params, locals, functions: firstOf(names.functions) };
    this.known = [new Set(params)];
    this.cleanups = [];
    this.temps = [];
    const code = write();
    const own = [...[...locals].filter((each) => !params.includes(each)).map((each) => `l${depth}$${safe(each)}`), ...this.temps];
    const given = params.map((each, i) => `l${depth}$${safe(each)}${params.indexOf(each) < i ? `$${i}` : ''}`);
    this.scope = parent;
    Object.assign(this, outer);
    return `function f${depth - 1}$${safe(name)}(${given.join(', ')}) {${own.map((each) => `let ${each};`).join('')}${code}}`;
  }

  // ---- kinds ----

  learn(name: string, kind: StaticKind): void {
    if (this.scope === null && !this.kinds.has(name)) this.kinds.set(name, this.args.includes(name) ? null : kind);
  }

  kindOf(name: string): StaticKind {
    if (this.scope !== null) return null;
    this.learn(name, null);
    return this.kinds.get(name) ?? null;
  }

  /** An argument that is there by its properties only. */
  hasFieldsOnly = (name: string): boolean => this.#uses.get(name) === 'f';

  isLoose = (name: string): boolean => this.#reassigned.has(name);
}

function firstOf(functions: readonly FunctionStatement[]): Map<string, FunctionStatement> {
  const first = new Map<string, FunctionStatement>();
  for (const each of functions) if (!first.has(each.name)) first.set(each.name, each);
  return first;
}

/** Takes the marks out. @returns the text, and in pairs: where an operation stands in it, and which place that is. */
export function unmarked(code: string): { code: string; positions: number[] } {
  const pieces = code.split(MARK);
  let text = pieces[0]!;
  const positions: number[] = [];
  for (const piece of pieces.slice(1)) {
    const end = piece.indexOf(MARK_END);
    positions.push(text.length, Number(piece.slice(0, end)));
    text += piece.slice(end + 1);
  }
  return { code: text, positions };
}
