import { kindOf } from './runtime/values.ts';

/** What the original's compiler knows of an expression (specs: tbel §5.2): `int` is the primitive one. */
export type StaticKind = 'I' | 'int' | 'L' | 'F' | 'D' | 'B' | 'C' | 'S' | 'Z' | 'N' | 'list' | 'map' | 'array' | null;

export interface Made {
  readonly code: string;
  readonly kind: StaticKind;
  /** Of a literal: its value, known now. */
  readonly literal?: { readonly value: unknown };
  /** A variable that may hold another kind than the one that is known of it. */
  readonly isLoose?: boolean;
}

const ORDER: readonly StaticKind[] = ['B', 'I', 'L', 'F', 'D'];

export function staticKind(value: unknown): StaticKind {
  const kind = kindOf(value);
  return kind === 'BI' || kind === 'set' || kind === 'date' || kind === 'entry' || kind === 'other' ? null : kind;
}

export function arithmeticKind(operator: string, left: StaticKind, right: StaticKind): StaticKind {
  if (operator === '+' && (left === 'S' || right === 'S')) return 'S';
  const a = ORDER.indexOf(left === 'int' ? 'I' : left);
  const b = ORDER.indexOf(right === 'int' ? 'I' : right);
  return a < 0 || b < 0 ? null : ORDER[Math.max(a, b)]!;
}

/** Of a library function or a static method, as far as the original resolves it. */
export function callKind(name: string, args: readonly Made[]): StaticKind {
  const first = args[0]?.kind ?? null;
  switch (name) {
    case 'toInt':
      return 'int';
    case 'Integer.parseInt':
      return 'int';
    case 'parseHexToInt':
      return args.length === 1 ? 'int' : 'I';
    case 'parseInt':
    case 'Integer.valueOf':
      return 'I';
    case 'Math.max':
    case 'Math.min':
    case 'Math.abs':
      return args.some(({ kind }) => kind === 'I' || kind === 'int') ? 'int' : null;
    case 'parseBytesToInt':
      return first === 'list' || first === 'array' ? 'int' : null;
    case 'hexToBytes':
    case 'base64ToBytesList':
    case 'stringToBytes':
      return 'list';
    case 'base64ToBytes':
    case 'hexToBytesArray':
      return 'array';
    default:
      return null;
  }
}

export function methodKind(self: StaticKind, name: string): StaticKind {
  if ((name === 'size' || name === 'indexOf') && (self === 'list' || self === 'map')) return 'int';
  return (name === 'length' || name === 'indexOf') && self === 'S' ? 'int' : null;
}
