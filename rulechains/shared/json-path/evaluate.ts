import { isJsonObject, type Json, type JsonObject, parseJson, printJson } from '#engine/json.ts';
import { FUNCTIONS, type Value } from './functions.ts';
import { InvalidPath, isDefinite, type Look, type Path, PathNotFound, type Step } from './path.ts';

/** `$..*..*` of a large document would never come to an end. */
const MOST_STEPS = 1_000_000;

/** What is looked up in one document. `left`: steps that it may still take. */
interface Lookup {
  readonly document: Json;
  left: number;
}

export const startLookup = (document: Json): Lookup => ({ document, left: MOST_STEPS });

/**
 * What the path leads to: the value of a definite path, an array of those of any other. Beyond an array's end is null.
 * @param from the element that `@` is. @param strict every property must be there.
 * @throws PathNotFound, InvalidPath
 */
export function evaluate(path: Path, lookup: Lookup, from: Json, strict = false): Json {
  const { steps } = path;
  const isSingle = steps.every((step, index) => isDefinite(step, index === steps.length - 1));
  const run = new Run(steps, lookup, strict);
  run.walk(0, path.root === '$' ? lookup.document : from);
  if (!isSingle) return run.results;
  if (run.results.length === 0) throw new PathNotFound(`No results for path: ${textOf(steps)}`);
  return run.results.at(-1)!;
}

const textOf = (steps: readonly Step[]): string =>
  `$${steps.map((step) => (step.kind === 'property' ? `[${step.names.map((name) => `'${name}'`).join(',')}]` : `[${step.kind}]`)).join('')}`;

class Run {
  readonly results: Json[] = [];
  private readonly steps: readonly Step[];
  private readonly lookup: Lookup;
  private readonly strict: boolean;
  /** Steps up to this one lead to one place. */
  private readonly definiteUpTo: number;

  constructor(steps: readonly Step[], lookup: Lookup, strict: boolean) {
    this.steps = steps;
    this.lookup = lookup;
    this.strict = strict;
    const first = steps.findIndex((step, index) => !isDefinite(step, index === steps.length - 1));
    this.definiteUpTo = first < 0 ? steps.length : first;
  }

  /** The steps from `at` on, from `model`. */
  walk(at: number, model: Json): void {
    if (--this.lookup.left < 0) throw new Error('Path leads to too many places');
    const step = this.steps[at];
    if (step === undefined) {
      this.results.push(model);
      return;
    }
    switch (step.kind) {
      case 'property':
        this.properties(at, step.names, model);
        break;
      case 'wildcard':
        this.wildcard(at, model);
        break;
      case 'scan':
        this.scan(at + 1, model);
        break;
      case 'index':
        if (this.isArray(at, model)) for (const index of step.indexes) this.walk(at + 1, model.at(index) ?? null);
        break;
      case 'slice':
        if (this.isArray(at, model)) for (const element of sliceOf(model, step)) this.walk(at + 1, element);
        break;
      case 'filter':
        this.filter(at, step, model);
        break;
      case 'function': {
        const result = this.call(step, model);
        this.results.push(result);
        // What comes behind a function works on its result, which stays a result too.
        if (!this.isLast(at)) this.walk(at + 1, result);
      }
    }
  }

  private isLast(at: number): boolean {
    return at === this.steps.length - 1;
  }

  private properties(at: number, names: readonly string[], model: Json): void {
    if (!isJsonObject(model)) {
      if (at > this.definiteUpTo) return;
      throw new PathNotFound(`Expected to find an object with property ['${names.join("','")}'] but found ${printJson(model).slice(0, 100)}`);
    }
    if (names.length === 1 || !this.isLast(at)) {
      for (const name of names) this.property(at, name, model, names.length === 1);
      return;
    }
    const merged: [string, Json][] = [];
    for (const name of names) {
      if (Object.hasOwn(model, name)) merged.push([name, model[name]!]);
      else if (this.strict) throw new PathNotFound(`Missing property in path ['${name}']`);
    }
    this.walk(at + 1, Object.fromEntries(merged));
  }

  private property(at: number, name: string, model: JsonObject, isOnly: boolean): void {
    if (Object.hasOwn(model, name)) this.walk(at + 1, model[name]!);
    else if (this.strict || (!this.isLast(at) && isOnly && at <= this.definiteUpTo)) throw new PathNotFound(`Missing property in path ['${name}']`);
  }

  private wildcard(at: number, model: Json): void {
    if (isJsonObject(model)) for (const key of Object.keys(model)) this.walk(at + 1, model[key]!);
    else if (Array.isArray(model)) {
      for (const element of model) {
        try {
          this.walk(at + 1, element);
        } catch (cause) {
          if (this.strict || !(cause instanceof PathNotFound)) throw cause;
        }
      }
    } else if (!this.isLast(at)) throw new PathNotFound(`Expected to find an object or array but found ${printJson(model).slice(0, 100)}`);
  }

  /** The step `at` from the model and everything below it. In arrays what comes behind it is looked for in the elements, as in the original. */
  private scan(at: number, model: Json): void {
    const step = this.steps[at];
    if (step === undefined) return;
    if (isJsonObject(model)) {
      if (this.isWanted(at, step, model)) this.walk(at, model);
      for (const key of Object.keys(model)) this.scan(at, model[key]!);
    } else if (Array.isArray(model)) {
      if (this.isWanted(at, step, model)) {
        if (this.isLast(at)) this.walk(at, model);
        else for (const element of model) this.walk(at + 1, element);
      }
      for (const element of model) this.scan(at, element);
    }
    if (--this.lookup.left < 0) throw new Error('Path leads to too many places');
  }

  private isWanted(at: number, step: Step, model: JsonObject | Json[]): boolean {
    switch (step.kind) {
      case 'property':
        if (Array.isArray(model)) return false;
        return this.strict || !isDefinite(step, this.isLast(at)) || step.names.every((name) => Object.hasOwn(model, name));
      case 'index':
      case 'slice':
        return Array.isArray(model);
      case 'wildcard':
        return true;
      case 'filter':
        return this.fits(step, model);
      default:
        return false;
    }
  }

  private isArray(at: number, model: Json): model is Json[] {
    if (Array.isArray(model)) return true;
    if (at > this.definiteUpTo) return false;
    throw new PathNotFound(`Filter can only be applied to arrays. Current context is: ${printJson(model).slice(0, 100)}`);
  }

  private filter(at: number, step: Step & { kind: 'filter' }, model: Json): void {
    if (isJsonObject(model)) {
      if (this.fits(step, model)) this.walk(at + 1, model);
    } else if (Array.isArray(model)) {
      for (const element of model) if (this.fits(step, element)) this.walk(at + 1, element);
    } else if (at <= this.definiteUpTo)
      throw new InvalidPath(`Filter can not be applied to primitives. Current context is: ${printJson(model).slice(0, 100)}`);
  }

  private fits({ test }: Step & { kind: 'filter' }, element: Json): boolean {
    if (--this.lookup.left < 0) throw new Error('Path leads to too many places');
    const look: Look = {
      find: (path) => evaluate(path, this.lookup, element),
      has: (path) => {
        try {
          evaluate(path, this.lookup, element, true);
          return true;
        } catch (cause) {
          if (cause instanceof PathNotFound) return false;
          throw cause;
        }
      },
    };
    try {
      return test(look);
    } catch (cause) {
      if (cause instanceof InvalidPath) return false;
      throw cause;
    }
  }

  private call({ name, args }: Step & { kind: 'function' }, model: Json): Json {
    const call = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (call === undefined) throw new InvalidPath(`Function with name: ${name} does not exist.`);
    const { document } = this.lookup;
    const values = args.map(
      (arg): Value => ('path' in arg ? { found: evaluate(arg.path, this.lookup, document) } : { literal: parseJson(arg.json) }),
    );
    return call(model, values, () => {
      const [first] = args;
      if (first === undefined || !('path' in first) || first.path.steps.at(-1)?.kind === 'function') return null;
      const below = { ...first.path, steps: [...first.path.steps, { kind: 'wildcard' } as const] };
      const found = evaluate(below, this.lookup, document);
      return Array.isArray(found) ? found.length : null;
    });
  }
}

function* sliceOf(array: readonly Json[], { from, to }: Step & { kind: 'slice' }): Iterable<Json> {
  if (from === null || to === null) {
    yield* from === null ? array.slice(0, to!) : array.slice(from);
    return;
  }
  // Between two indexes the original counts one by one, also those before the first element.
  for (let index = from; index < Math.min(array.length, to); index++) yield array.at(index) ?? null;
}
