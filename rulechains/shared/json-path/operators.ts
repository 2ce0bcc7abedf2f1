import { Double, isJsonObject, type Json, plainText, printJson } from '#engine/json.ts';
import { InvalidPath, type Operand, Pattern } from './path.ts';

export const OPERATORS = [
  ...(['===', '!==', '==', '!=', '<=', '>=', '<', '>', '=~'] as const),
  ...(['in', 'nin', 'contains', 'all', 'size', 'empty', 'subsetof', 'anyof', 'noneof'] as const),
] as const;
export type Operator = (typeof OPERATORS)[number];

type Kind = 'undefined' | 'null' | 'boolean' | 'number' | 'string' | 'json' | 'pattern';

function kindOf(value: Operand): Kind {
  if (value === undefined) return 'undefined';
  if (value === null) return 'null';
  if (value instanceof Pattern) return 'pattern';
  if (typeof value === 'string' || typeof value === 'boolean') return typeof value as Kind;
  return Array.isArray(value) || isJsonObject(value) ? 'json' : 'number';
}

/** @throws InvalidPath where the operator can not be used on these: the element does not fit then. */
export function compare(left: Operand, operator: Operator, right: Operand): boolean {
  switch (operator) {
    case '==':
      return isEqual(left, right);
    case '!=':
      return !isEqual(left, right);
    case '===':
      return kindOf(left) === kindOf(right) && isEqual(left, right);
    case '!==':
      return !(kindOf(left) === kindOf(right) && isEqual(left, right));
    case '<':
    case '<=':
    case '>':
    case '>=':
      return isInOrder(left, operator, right);
    case '=~':
      return isMatch(left, right);
    case 'in':
      return listOf(right).some((element) => isEqual(left, element));
    case 'nin':
      return !listOf(right).some((element) => isEqual(left, element));
    case 'contains':
      if (typeof left === 'string' && typeof right === 'string') return left.includes(right);
      return Array.isArray(left) && left.some((element) => isEqual(right, element));
    case 'all':
      return Array.isArray(left) && listOf(right).every((wanted) => left.some((element) => isEqual(wanted, element)));
    case 'size':
      return kindOf(right) === 'number' && sizeOf(left) === Math.trunc(Number(numeric(right as number)));
    case 'empty':
      if (typeof right !== 'boolean') throw new InvalidPath('Expected boolean node');
      return (typeof left === 'string' || kindOf(left) === 'json') && (sizeOf(left) === 0) === right;
    case 'subsetof':
      return listOf(left).every((element) => listOf(right).some((other) => isEqual(element, other)));
    case 'anyof':
      return listOf(left).some((element) => listOf(right).some((other) => isEqual(element, other)));
    case 'noneof':
      return !listOf(left).some((element) => listOf(right).some((other) => isEqual(element, other)));
  }
}

type Numeric = number | bigint | Double;
const numeric = (value: Numeric): number | bigint => (value instanceof Double ? value.value : value);

/** Not symmetric, as in the original: a number takes a text as the number that it spells, a text takes a number as it is printed. */
function isEqual(left: Operand, right: Operand): boolean {
  const kinds = `${kindOf(left)} ${kindOf(right)}`;
  switch (kinds) {
    case 'number number':
      // biome-ignore lint/suspicious/noDoubleEquals: exact between number and bigint
      return numeric(left as Numeric) == numeric(right as Numeric);
    case 'number string':
      // biome-ignore lint/suspicious/noDoubleEquals: exact between number and bigint
      return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(right as string) && numeric(left as Numeric) == Number(right);
    case 'string number':
      return left === plainText(right as Json);
    case 'json json':
      return sorted(left as Json) === sorted(right as Json);
    default:
      return left !== undefined && left === right;
  }
}

/** Text that is equal for equal values: the order of keys does not count. */
function sorted(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`;
  if (!isJsonObject(value)) return printJson(value);
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${sorted(value[key]!)}`)
    .join(',')}}`;
}

function isInOrder(left: Operand, operator: '<' | '<=' | '>' | '>=', right: Operand): boolean {
  const kinds = new Set([kindOf(left), kindOf(right)]);
  if ([...kinds].some((kind) => kind !== 'number' && kind !== 'string')) return false;
  const asText = kinds.has('string');
  const of = (value: Operand): string | number | bigint => (asText ? plainText(value as Json) : numeric(value as Numeric));
  const [a, b] = [of(left), of(right)];
  switch (operator) {
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
}

function isMatch(left: Operand, right: Operand): boolean {
  const [pattern, value] = left instanceof Pattern ? [left, right] : [right, left];
  if (!(pattern instanceof Pattern) || value instanceof Pattern) return false;
  const isText = (element: Json | undefined): boolean => {
    const kind = kindOf(element);
    return pattern.matches(kind === 'string' || kind === 'number' || kind === 'boolean' ? plainText(element as Json) : '');
  };
  return Array.isArray(value) ? value.some(isText) : isText(value);
}

/** @throws InvalidPath when it is no list; nothing is in what is no list of the document. */
function listOf(value: Operand): readonly Json[] {
  if (Array.isArray(value)) return value;
  if (kindOf(value) === 'json') return [];
  throw new InvalidPath('Expected value list node');
}

function sizeOf(value: Operand): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  return kindOf(value) === 'json' ? Object.keys(value as object).length : -1;
}
