import type { KeyValue } from '#engine/json.ts';
import type { EntityType } from '#engine/message.ts';
import type { Point } from '#engine/store.ts';
import { type Cell, fromCell, typeNumber } from '../values.ts';

/** Telemetry as it is stored: values by key, a key spelled so that it can stand in a path. */
export type Values = Record<string, readonly [type: number, cell: Cell]>;

/** `history`: one document an entity and moment. */
export interface StoredSample {
  /** `ENTITY/TS`, in the order of time. */
  readonly _id: string;
  readonly tenantId: string;
  /** Absent: a device. */
  readonly entityType?: EntityType;
  readonly ts: number;
  /** Absent: kept for ever. */
  readonly expiresAt?: Date;
  readonly v: Values;
}

/** A latest value. Compared field by field, the greater is the one that counts: the newer `ts`, of equal ones the later write. */
export interface LatestCell {
  readonly ts: number;
  readonly n: number;
  readonly t: number;
  readonly c: Cell;
}

/** `latest`: one document an entity. */
export interface StoredLatest {
  readonly _id: string;
  readonly tenantId: string;
  /** Absent: a device. */
  readonly entityType?: EntityType;
  readonly v: Record<string, LatestCell>;
  /** The entity was deleted and its history is being removed. */
  readonly purged?: true;
}

/** 2^53: what a ts may have on either side of 0. */
const SPAN = Number.MAX_SAFE_INTEGER + 1;
const DIGITS = 16;

/** As text in the order of time, also before 1970. */
const tsText = (ts: number): string => (ts >= 0 ? `p${String(ts).padStart(DIGITS, '0')}` : `n${String(SPAN + ts).padStart(DIGITS, '0')}`);
/** A moment of an entity; `ts` is cut to what a ts can be. */
export const sampleId = (entityId: string, ts: number): string =>
  `${entityId}/${tsText(Math.max(-Number.MAX_SAFE_INTEGER, Math.min(ts, Number.MAX_SAFE_INTEGER)))}`;

const UNSAFE = /[%.$\0]/g;

/** `.`, `$`, NUL and nothing at all mean something in a path, `__proto__` in an object. */
export function encodeKey(key: string): string {
  if (key === '') return '%';
  if (key === '__proto__') return '%5f%5fproto__';
  return key.replace(UNSAFE, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

export function decodeKey(key: string): string {
  if (key === '%') return '';
  return key.includes('%') ? key.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) : key;
}

export const pointOf = (ts: number, type: number, cell: Cell): Point => ({ ts, value: fromCell(type, cell) });

/** The longer life counts for all of them; absent is for ever. */
export const laterEnd = (a: Date | undefined, b: Date | undefined): Date | undefined => (a && b ? (a > b ? a : b) : undefined);

export const typeOf = ([, value]: KeyValue): number => typeNumber(value);
