import type { Program } from './ast.ts';
import { ANSWERS } from './runtime/maps.ts';

/**
 * What a program does with an argument: everything (`a`), nothing (`n`), or it reads properties of it by their names and nothing else (`f`), so that the
 * rest of it need not become values.
 */
export type ArgumentUse = 'a' | 'f' | 'n';

/** Names that every object of JavaScript has, and those that a map answers without having them. */
const SPECIAL = new Set([...Object.getOwnPropertyNames(Object.prototype), ...ANSWERS]);

interface Node {
  readonly type?: string;
  readonly name?: string;
  readonly base?: Node;
  readonly target?: Node;
  readonly params?: readonly string[];
  readonly steps?: readonly { readonly kind: string; readonly name?: string }[];
}

/** Without recursion: a program has thousands of branches behind each other. */
export function usesOf(body: Program['body'], args: readonly string[]): Map<string, ArgumentUse> {
  const uses = new Map<string, ArgumentUse>(args.map((name) => [name, 'n']));
  const left: unknown[] = [body];
  const all = (name: string | undefined): void => {
    if (name !== undefined && uses.has(name)) uses.set(name, 'a');
  };
  while (left.length > 0) {
    const node = left.pop() as Node | readonly unknown[] | null;
    if (typeof node !== 'object' || node === null) continue;
    if (Array.isArray(node)) {
      for (const each of node) left.push(each);
      continue;
    }
    const { type, name, base, target, params, steps } = node as Node;
    for (const param of params ?? []) all(param);
    if (type === 'name' || type === 'var' || type === 'foreach') all(name);
    // What is written to the argument itself; deeper down it is written to what was read from it.
    if (target?.type === 'path' && target.steps!.length === 1) all(target.base!.name);
    const first = steps?.[0];
    const isField = type === 'path' && base!.type === 'name' && first!.kind === 'property' && !SPECIAL.has(first!.name!);
    if (isField && uses.get(base!.name!) === 'n') uses.set(base!.name!, 'f');
    for (const [key, each] of Object.entries(node)) if (!(isField && key === 'base')) left.push(each);
  }
  return uses;
}
