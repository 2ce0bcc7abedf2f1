import type { Value } from '#engine/json.ts';
import type { EntityRef, EntityType } from '#engine/message.ts';
import { type Cell, cellOf, fromCell, typeNumber } from '../values.ts';

/**
 * A typed value. What BSON tells apart by itself is stored as it is: text, boolean, LONG up to 2^53 as a whole number, DOUBLE with a fraction. The rest (LONG beyond,
 * DOUBLE without fraction, JSON) says its type.
 */
export type StoredValue = number | string | boolean | readonly [type: number, cell: Cell];

/** Telemetry as it is stored: values by key, a key spelled so that it can stand in a path (`encodeKey`). */
export type Values = Record<string, StoredValue>;

type Kind = {
  /** Absent: a device, whose nearly all telemetry is. */
  readonly entityType?: EntityType;
};

/** `history`: one document an entity and moment. */
export interface StoredSample extends Kind {
  /** `ENTITY/TS`, in the order of time. */
  readonly _id: string;
  readonly tenantId: string;
  readonly ts: number;
  /** Absent: kept for ever. */
  readonly expiresAt?: Date;
  readonly v: Values;
}

/** A latest value. Compared element by element, the greater is the one that counts: the newer ts, of equal ones the later write. */
export type LatestCell = readonly [ts: number, n: number, value: StoredValue];

/** `latest`: one document an entity. */
export interface StoredLatest extends Kind {
  /** `TENANT/ENTITY`: so a filter by it names the tenant, and nothing else has to be looked up for an upsert. */
  readonly _id: string;
  readonly tenantId: string;
  readonly v: Record<string, LatestCell>;
}

const DEVICE: Kind = {};
export const kindOf = ({ entityType }: EntityRef): Kind => (entityType === 'DEVICE' ? DEVICE : { entityType });

export function storedValue(value: Value): StoredValue {
  switch (value.type) {
    case 'STRING':
    case 'BOOLEAN':
      return value.value;
    case 'DOUBLE':
      return Number.isInteger(value.value) ? [typeNumber(value), value.value] : value.value;
    case 'LONG': {
      const cell = cellOf(value);
      return typeof cell === 'number' ? cell : [typeNumber(value), cell];
    }
    default:
      return [typeNumber(value), value.value];
  }
}

export function toValue(stored: StoredValue): Value {
  switch (typeof stored) {
    case 'number':
      return Number.isInteger(stored) ? { type: 'LONG', value: stored } : { type: 'DOUBLE', value: stored };
    case 'string':
      return { type: 'STRING', value: stored };
    case 'boolean':
      return { type: 'BOOLEAN', value: stored };
    default:
      return fromCell(stored[0], stored[1]);
  }
}

/** 2^53: what a ts may have on either side of 0. */
const SPAN = Number.MAX_SAFE_INTEGER + 1;
const DIGITS = 16;

/** As text in the order of time, also before 1970. */
const tsText = (ts: number): string => (ts >= 0 ? `p${String(ts).padStart(DIGITS, '0')}` : `n${String(SPAN + ts).padStart(DIGITS, '0')}`);
/** A moment of an entity; `ts` is cut to what a ts can be. */
export const sampleId = (entityId: string, ts: number): string =>
  `${entityId}/${tsText(Math.max(-Number.MAX_SAFE_INTEGER, Math.min(ts, Number.MAX_SAFE_INTEGER)))}`;
/** Behind every moment of an entity: `0` is what follows `/`. */
export const samplesEnd = (entityId: string): string => `${entityId}0`;

export const entityOfSample = (id: string): string => id.slice(0, id.indexOf('/'));

export const latestId = (tenantId: string, entityId: string): string => `${tenantId}/${entityId}`;
export const entityOfLatest = (id: string): string => id.slice(id.indexOf('/') + 1);

/** What an object has of itself: keys may be named as what every object inherits. */
export const own = <T>(values: Readonly<Record<string, T>>, key: string): T | undefined => (Object.hasOwn(values, key) ? values[key] : undefined);

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

/** The last moment that a date can be. */
const LAST = 8.64e15;

/** Absent is for ever. */
export const endOf = (expiresAt: number | null): Date | undefined => (expiresAt === null ? undefined : new Date(Math.min(expiresAt, LAST)));

/** The longer life counts for all of them. */
export const laterEnd = (a: Date | undefined, b: Date | undefined): Date | undefined => (a && b ? (a > b ? a : b) : undefined);
