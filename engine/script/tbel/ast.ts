import type { NumberKind } from './lexer.ts';

/** A part of the program's text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export type Literal =
  | { readonly type: 'number'; readonly digits: string; readonly kind: NumberKind }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'constant'; readonly value: true | false | null | 'empty' };

export type Step = Span & { readonly safe: boolean } & (
    | { readonly kind: 'property'; readonly name: string }
    | { readonly kind: 'index'; readonly index: Expression }
    | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  );

export interface CollectionEntry {
  readonly key: Expression | null;
  readonly value: Expression;
}

export type Expression = Span &
  (
    | Literal
    | { readonly type: 'name'; readonly name: string }
    /** A run of operands and operators of the levels 4 to 12, not yet grouped (§3.2). */
    | { readonly type: 'chain'; readonly operands: readonly Expression[]; readonly operators: readonly string[] }
    | { readonly type: 'logic'; readonly operator: '&&' | '||' | 'or'; readonly left: Expression; readonly right: Expression }
    /** `contains`, `instanceof`, `is`, `~=`, `#`, `soundslike`, `strsim`. */
    | { readonly type: 'word'; readonly operator: string; readonly left: Expression; readonly right: Expression }
    /** Without `otherwise`: the key of an entry that a ternary was cut in (§3.4). */
    | { readonly type: 'ternary'; readonly condition: Expression; readonly yes: Expression; readonly otherwise: Expression | null }
    | { readonly type: 'unary'; readonly operator: '!' | '-' | '+' | '~'; readonly operand: Expression }
    | { readonly type: 'count'; readonly operator: '++' | '--'; readonly isPrefix: boolean; readonly target: Expression }
    | { readonly type: 'cast'; readonly to: string; readonly operand: Expression }
    | { readonly type: 'group'; readonly inner: Expression }
    | { readonly type: 'projection'; readonly item: Expression; readonly list: Expression }
    | { readonly type: 'isdef'; readonly name: string }
    | { readonly type: 'list'; readonly items: readonly Expression[] }
    | { readonly type: 'map'; readonly entries: readonly CollectionEntry[] }
    | { readonly type: 'path'; readonly base: Expression; readonly steps: readonly Step[] }
    | { readonly type: 'call'; readonly name: string; readonly args: readonly Expression[] }
    | { readonly type: 'new'; readonly className: string; readonly args: readonly Expression[] }
    | { readonly type: 'newArray'; readonly of: string; readonly size: Expression | null; readonly items: readonly Expression[] }
    | { readonly type: 'assign'; readonly target: Expression; readonly operator: string; readonly value: Expression }
    /** Fails when it is reached. */
    | { readonly type: 'refused'; readonly why: string }
  );

export interface FunctionStatement extends Span {
  readonly type: 'function';
  readonly name: string;
  readonly params: readonly string[];
  readonly body: readonly Statement[];
}

export interface SwitchCase {
  /** Empty: `default`. */
  readonly values: readonly Expression[];
  readonly isDefault: boolean;
  readonly body: readonly Statement[];
}

export type Statement =
  | FunctionStatement
  | (Span &
      (
        | { readonly type: 'expression'; readonly value: Expression }
        /** `isTyped`: `int x = 1`, whose kind is never taken as known. */
        | { readonly type: 'var'; readonly name: string; readonly value: Expression | null; readonly isTyped: boolean }
        | { readonly type: 'block'; readonly body: readonly Statement[]; readonly isScope: boolean }
        | { readonly type: 'if'; readonly condition: Expression; readonly yes: Statement; readonly otherwise: Statement | null }
        | {
            readonly type: 'for';
            readonly init: Statement | null;
            readonly condition: Expression | null;
            readonly step: Expression | null;
            readonly body: Statement;
          }
        | { readonly type: 'foreach'; readonly name: string; readonly source: Expression; readonly body: Statement }
        | { readonly type: 'while'; readonly condition: Expression; readonly isUntil: boolean; readonly body: Statement }
        | { readonly type: 'do'; readonly condition: Expression; readonly isUntil: boolean; readonly body: Statement }
        | { readonly type: 'switch'; readonly key: Expression; readonly cases: readonly SwitchCase[] }
        | { readonly type: 'return'; readonly value: Expression | null }
        | { readonly type: 'break' }
        | { readonly type: 'continue' }
        | { readonly type: 'empty' }
      ));

/** A place where the original would behave differently from what the text seems to say, or refuse it. */
export interface Hint extends Span {
  readonly message: string;
}

export interface Program {
  readonly source: string;
  readonly body: readonly Statement[];
  readonly hints: readonly Hint[];
}
