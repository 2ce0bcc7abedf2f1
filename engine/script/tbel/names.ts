import type { Expression, FunctionStatement, Statement } from './ast.ts';

/** Which names a piece of a program assigns, and which functions it calls with how many arguments. Bodies of functions are pieces of their own. */
export interface Names {
  /** Assigned in any way, loop variables included. */
  readonly assigned: Map<string, number>;
  /** Declared with `var` or a type, directly in the piece, in order of their places. */
  readonly declared: Map<string, number>;
  readonly functions: FunctionStatement[];
}

export function namesOf(body: readonly Statement[]): Names {
  const names: Names = { assigned: new Map(), declared: new Map(), functions: [] };
  for (const each of body) {
    if (each.type === 'var' && !names.declared.has(each.name)) names.declared.set(each.name, each.start);
    if (each.type === 'block' && !each.isScope) {
      for (const inner of each.body) if (inner.type === 'var' && !names.declared.has(inner.name)) names.declared.set(inner.name, inner.start);
    }
  }
  for (const each of body) inStatement(each, names);
  return names;
}

const add = ({ assigned }: Names, name: string): void => void assigned.set(name, (assigned.get(name) ?? 0) + 1);

function inStatement(s: Statement | null, names: Names): void {
  if (s === null) return;
  switch (s.type) {
    case 'function':
      names.functions.push(s);
      return;
    case 'expression':
      inExpression(s.value, names);
      return;
    case 'var':
      add(names, s.name);
      inExpression(s.value, names);
      return;
    case 'block':
      for (const each of s.body) inStatement(each, names);
      return;
    case 'if': {
      let at: Statement | null = s;
      for (; at?.type === 'if'; at = at.otherwise) {
        inExpression(at.condition, names);
        inStatement(at.yes, names);
      }
      inStatement(at, names);
      return;
    }
    case 'for':
      inStatement(s.init, names);
      inExpression(s.condition, names);
      inExpression(s.step, names);
      inStatement(s.body, names);
      return;
    case 'foreach':
      add(names, s.name);
      inExpression(s.source, names);
      inStatement(s.body, names);
      return;
    case 'while':
    case 'do':
      inExpression(s.condition, names);
      inStatement(s.body, names);
      return;
    case 'switch':
      inExpression(s.key, names);
      for (const each of s.cases) {
        for (const value of each.values) inExpression(value, names);
        for (const inner of each.body) inStatement(inner, names);
      }
      return;
    case 'return':
      inExpression(s.value, names);
      return;
  }
}

function inExpression(e: Expression | null, names: Names): void {
  if (e === null) return;
  switch (e.type) {
    case 'assign':
      if (e.target.type === 'name') add(names, e.target.name);
      else inExpression(e.target, names);
      inExpression(e.value, names);
      return;
    case 'count':
      if (e.target.type === 'name') add(names, e.target.name);
      inExpression(e.target, names);
      return;
    case 'chain':
      for (const each of e.operands) inExpression(each, names);
      return;
    case 'logic':
    case 'word':
      inExpression(e.left, names);
      inExpression(e.right, names);
      return;
    case 'ternary':
      inExpression(e.condition, names);
      inExpression(e.yes, names);
      inExpression(e.otherwise, names);
      return;
    case 'unary':
    case 'cast':
      inExpression(e.operand, names);
      return;
    case 'group':
      inExpression(e.inner, names);
      return;
    case 'projection':
      inExpression(e.item, names);
      inExpression(e.list, names);
      return;
    case 'list':
      for (const each of e.items) inExpression(each, names);
      return;
    case 'map':
      for (const { key, value } of e.entries) {
        inExpression(key, names);
        inExpression(value, names);
      }
      return;
    case 'path':
      inExpression(e.base, names);
      for (const step of e.steps) {
        if (step.kind === 'index') inExpression(step.index, names);
        else if (step.kind === 'call') for (const each of step.args) inExpression(each, names);
      }
      return;
    case 'call':
    case 'new':
      for (const each of e.args) inExpression(each, names);
      return;
    case 'newArray':
      inExpression(e.size, names);
      for (const each of e.items) inExpression(each, names);
  }
}
