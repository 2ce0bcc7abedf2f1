import { Type } from 'typebox';
import { ownerOf } from '../entities.ts';
import { valueText } from '../json.ts';
import { ATTRIBUTE_SCOPES, type AttributeScope, type EntityRef } from '../message.ts';
import type { Collection, Doc } from '../store.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';
import { AnyJson, Body, Maybe } from './schemas.ts';

/** Values that queries show, filter and sort by (specs: rest-api §2.20). */

export const Key = Body({
  type: Type.Enum(['ENTITY_FIELD', 'ATTRIBUTE', 'CLIENT_ATTRIBUTE', 'SHARED_ATTRIBUTE', 'SERVER_ATTRIBUTE', 'TIME_SERIES', 'ALARM_FIELD']),
  key: Type.String(),
});
export type Key = Type.Static<typeof Key>;

export const KeyFilter = Body({ key: Key, valueType: Maybe(Type.String()), predicate: AnyJson });
export type KeyFilter = Type.Static<typeof KeyFilter>;

export interface Shown {
  readonly ts: number;
  readonly value: string;
}

const NOTHING: Shown = { ts: 0, value: '' };
const SCOPE_OF: Readonly<Record<string, readonly AttributeScope[]>> = {
  ATTRIBUTE: ATTRIBUTE_SCOPES,
  CLIENT_ATTRIBUTE: ['CLIENT_SCOPE'],
  SHARED_ATTRIBUTE: ['SHARED_SCOPE'],
  SERVER_ATTRIBUTE: ['SERVER_SCOPE'],
};

/** One value of an entity as text; an absent one is `{ts:0,value:""}`. */
export async function shownValue(context: ApiContext, doc: Doc, { type, key }: Key): Promise<Shown> {
  const { store } = context.backend;
  const ref: EntityRef = { entityType: doc.collection as EntityRef['entityType'], id: doc.id };
  if (type === 'ENTITY_FIELD') return { ts: context.now(), value: await fieldOf(context, doc, key) };
  if (type === 'TIME_SERIES') {
    const point = (await store.latest(doc.tenantId, ref, [key])).get(key);
    return point ? { ts: point.ts, value: valueText(point.value) } : NOTHING;
  }
  const found = await Promise.all((SCOPE_OF[type] ?? []).map((scope) => store.attributes(doc.tenantId, ref, scope, [key])));
  const [newest] = found.flat().sort((a, b) => b.lastUpdateTs - a.lastUpdateTs);
  return newest ? { ts: newest.lastUpdateTs, value: valueText(newest.value) } : NOTHING;
}

/** `{TYPE:{key:{ts,value}}}` */
export async function latestOf(context: ApiContext, doc: Doc, keys: readonly Key[]): Promise<Record<string, Record<string, Shown>>> {
  const latest: Record<string, Record<string, Shown>> = {};
  for (const key of keys) {
    latest[key.type] ??= {};
    latest[key.type]![key.key] = await shownValue(context, doc, key);
  }
  return latest;
}

/** No others: bodies also hold what is nobody's to read. */
const BODY_FIELDS: ReadonlySet<string> = new Set('firstName lastName country state city address address2 zip phone additionalInfo'.split(' '));

async function fieldOf({ backend }: ApiContext, doc: Doc, key: string): Promise<string> {
  switch (key) {
    case 'createdTime':
      return String(doc.createdTime);
    case 'entityType':
      return doc.collection;
    case 'name':
    case 'title':
      return doc.name;
    case 'type':
      return doc.kind ?? '';
    case 'label':
      return doc.label ?? '';
    case 'displayName':
      return doc.label || doc.name;
    case 'ownerType':
      return ownerOf(doc).entityType;
    case 'ownerName': {
      const owner = ownerOf(doc);
      return (await backend.store.doc(owner.entityType as Collection, doc.tenantId, owner.id))?.name ?? '';
    }
    case 'email':
      return doc.collection === 'USER' ? doc.name : String(doc.body['email'] ?? '');
    default: {
      const value = BODY_FIELDS.has(key) ? (doc.body[key] ?? '') : '';
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    }
  }
}

interface Predicate {
  readonly type?: string;
  readonly operation?: string;
  readonly ignoreCase?: boolean;
  readonly value?: { readonly defaultValue?: unknown; readonly userValue?: unknown } | null;
  readonly predicates?: readonly Predicate[];
}

const TEXTS: Readonly<Record<string, (value: string, other: string) => boolean>> = {
  EQUAL: (value, other) => value === other,
  NOT_EQUAL: (value, other) => value !== other,
  STARTS_WITH: (value, other) => value.startsWith(other),
  ENDS_WITH: (value, other) => value.endsWith(other),
  CONTAINS: (value, other) => value.includes(other),
  NOT_CONTAINS: (value, other) => !value.includes(other),
  IN: (value, other) => parts(other).includes(value),
  NOT_IN: (value, other) => !parts(other).includes(value),
};
const NUMBERS: Readonly<Record<string, (value: number, other: number) => boolean>> = {
  EQUAL: (value, other) => value === other,
  NOT_EQUAL: (value, other) => value !== other,
  GREATER: (value, other) => value > other,
  LESS: (value, other) => value < other,
  GREATER_OR_EQUAL: (value, other) => value >= other,
  LESS_OR_EQUAL: (value, other) => value <= other,
};
const parts = (text: string): string[] => text.split(',').map((part) => part.trim());

/** Whether a value passes; an absent one passes no comparison of numbers and booleans. @throws HttpError 400 for a predicate that is none */
export function passes(value: string, predicate: Predicate | null): boolean {
  const { type, operation = '', predicates = [], ignoreCase = false } = predicate ?? {};
  if (type === 'COMPLEX') {
    if (operation === 'AND') return predicates.every((part) => passes(value, part));
    if (operation === 'OR') return predicates.some((part) => passes(value, part));
    throw badRequest(`Unknown operation of a COMPLEX predicate: ${operation}`);
  }
  const other = predicate?.value?.userValue ?? predicate?.value?.defaultValue ?? '';
  if (type === 'STRING' && Object.hasOwn(TEXTS, operation)) {
    const [left, right] = [value, String(other)].map((text) => (ignoreCase ? text.toLowerCase() : text));
    return TEXTS[operation]!(left!, right!);
  }
  if (type === 'NUMERIC' && Object.hasOwn(NUMBERS, operation)) return value !== '' && NUMBERS[operation]!(Number(value), Number(other));
  if (type === 'BOOLEAN' && (operation === 'EQUAL' || operation === 'NOT_EQUAL'))
    return value !== '' && (value === String(other)) === (operation === 'EQUAL');
  throw badRequest(`Unknown predicate: ${String(type)} ${operation}`);
}
