import type { Value } from '#engine/json.ts';

/** A typed value as a column or a JSON element: what SQLite and JSON hold exactly; the type number beside it says how to read it back. */
export type Cell = number | string;

const TYPES = ['BOOLEAN', 'LONG', 'DOUBLE', 'STRING', 'JSON'] as const;
export const BOOLEAN = 0;
export const LONG = 1;
export const DOUBLE = 2;
export const STRING = 3;
export const JSON_TEXT = 4;

export const typeNumber = (value: Value): number => TYPES.indexOf(value.type);

/** LONG beyond 2^53 and DOUBLE that is no JSON number go as text. */
export function cellOf(value: Value): Cell {
  switch (value.type) {
    case 'BOOLEAN':
      return value.value ? 1 : 0;
    case 'LONG':
      if (typeof value.value === 'number') return value.value;
      return value.value >= Number.MIN_SAFE_INTEGER && value.value <= Number.MAX_SAFE_INTEGER ? Number(value.value) : value.value.toString();
    case 'DOUBLE':
      return Number.isFinite(value.value) ? value.value : String(value.value);
    default:
      return value.value;
  }
}

export function fromCell(type: number, cell: Cell): Value {
  switch (type) {
    case BOOLEAN:
      return { type: 'BOOLEAN', value: cell === 1 };
    case LONG:
      return { type: 'LONG', value: typeof cell === 'string' ? BigInt(cell) : cell };
    case DOUBLE:
      return { type: 'DOUBLE', value: Number(cell) };
    case STRING:
      return { type: 'STRING', value: String(cell) };
    default:
      return { type: 'JSON', value: String(cell) };
  }
}
