import type { Json } from '#engine/json.ts';
import type { WholeMatch } from '../java-pattern.ts';

/** The parts of a JSON path in Jayway's dialect, as its parser gives them. */

export interface Path {
  /** `$`: the document; `@`: the element that a filter looks at. */
  readonly root: '$' | '@';
  readonly steps: readonly Step[];
}

export type Step =
  | { readonly kind: 'property'; readonly names: readonly string[] }
  | { readonly kind: 'wildcard' }
  | { readonly kind: 'scan' }
  | { readonly kind: 'index'; readonly indexes: readonly number[] }
  | { readonly kind: 'slice'; readonly from: number | null; readonly to: number | null }
  | { readonly kind: 'filter'; readonly test: Test }
  | { readonly kind: 'function'; readonly name: string; readonly args: readonly Argument[] };

/** A path is looked up in the document. */
export type Argument = { readonly path: Path } | { readonly json: string };

/** Does the element fit? `find` looks a path up in it. */
export type Test = (look: Look) => boolean;

export interface Look {
  /** What the path leads to in the element or the document. @throws PathNotFound */
  find(path: Path): Json;
  /** Does the path lead anywhere? Every property on the way must be there. */
  has(path: Path): boolean;
}

/** What stands on a side of an operator. `undefined`: a path that leads nowhere. */
export type Operand = Json | undefined | Pattern;

export class Pattern {
  readonly matches: WholeMatch;
  constructor(matches: WholeMatch) {
    this.matches = matches;
  }
}

/** The expression is none. */
export class InvalidPath extends Error {}

/** The document has no such place. */
export class PathNotFound extends InvalidPath {}

/** Does the step lead to one place at most? @param isLast several properties at the end are one object. */
export const isDefinite = (step: Step, isLast: boolean): boolean => {
  switch (step.kind) {
    case 'property':
      return isLast || step.names.length === 1;
    case 'index':
      return step.indexes.length === 1;
    case 'function':
      return true;
    default:
      return false;
  }
};
