import type { KeyValue } from '#engine/json.ts';
import type { Point } from '#engine/store.ts';
import { type Cell, fromCell, typeNumber } from '../values.ts';
import type { Numbers } from './numbers.ts';

/**
 * Telemetry as it is stored. A key and its type are one number (`key * 8 + type`), so that a row names both without text.
 * A history row is `[code, cell, …]`; a row of latest values is `[code, ts, cell, …]`.
 */
export type Cells = Map<number, { code: number; cell: Cell }>;
export type LatestCells = Map<number, { code: number; ts: number; cell: Cell }>;

export const keyOf = (code: number): number => Math.floor(code / 8);
export const typeOf = (code: number): number => code % 8;
export const codeOf = (numbers: Numbers, [key, value]: KeyValue): number => numbers.key(key) * 8 + typeNumber(value);

const cellText = (cell: Cell): string => (typeof cell === 'number' ? String(cell) : JSON.stringify(cell));

export function parseCells(text: string): Cells {
  const flat = JSON.parse(text) as Cell[];
  const cells: Cells = new Map();
  for (let i = 0; i < flat.length; i += 2) cells.set(keyOf(flat[i] as number), { code: flat[i] as number, cell: flat[i + 1]! });
  return cells;
}

export function formatCells(cells: Cells): string {
  return `[${[...cells.values()].map(({ code, cell }) => `${code},${cellText(cell)}`).join(',')}]`;
}

export function parseLatest(text: string | undefined): LatestCells {
  const cells: LatestCells = new Map();
  if (text === undefined) return cells;
  const flat = JSON.parse(text) as Cell[];
  for (let i = 0; i < flat.length; i += 3)
    cells.set(keyOf(flat[i] as number), { code: flat[i] as number, ts: flat[i + 1] as number, cell: flat[i + 2]! });
  return cells;
}

export function formatLatest(cells: LatestCells): string {
  return `[${[...cells.values()].map(({ code, ts, cell }) => `${code},${ts},${cellText(cell)}`).join(',')}]`;
}

export const pointOf = (ts: number, code: number, cell: Cell): Point => ({ ts, value: fromCell(typeOf(code), cell) });
