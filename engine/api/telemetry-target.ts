import { entityLabel } from '../entities.ts';
import { ATTRIBUTE_SCOPES, type AttributeScope, type EntityRef } from '../message.ts';
import type { Collection } from '../store.ts';
import { readable, refOf, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, forbidden, HttpError, notFound } from './errors.ts';

/** What telemetry, attribute, RPC and rule-engine routes share: the entity they are about, their keys and scopes. */

export interface Target {
  readonly ref: EntityRef;
  readonly tenantId: string;
  readonly name: string;
  readonly type: string;
  /** null: the tenant's own. */
  readonly customerId: string | null;
}

/**
 * The entity of a path. A foreign one is as unknown as one that does not exist (specs: rest-api §8); nobody but the system writes to the tenant itself.
 * @throws HttpError 400 bad type or id, 404, 403
 */
export async function target(context: ApiContext, caller: Caller, entityType: string, id: string, access: 'read' | 'write'): Promise<Target> {
  const ref = refOf(entityType, id);
  const unknown = () => notFound(`${entityLabel(ref.entityType)} with requested id wasn't found!`);
  if (ref.entityType === 'TENANT') {
    if (ref.id !== caller.tenantId) throw unknown();
    if (access === 'write') throw forbidden();
  }
  try {
    const doc = await (access === 'write' ? writable : readable)(context, caller, ref);
    return { ref, tenantId: doc.tenantId, name: doc.name, type: doc.kind ?? '', customerId: doc.customerId ?? null };
  } catch (cause) {
    if (!(cause instanceof HttpError)) throw cause;
    if (cause.status === 404) throw unknown();
    if (cause.status === 403 && (await context.backend.store.ownerOf(ref.entityType as Collection, ref.id)) !== caller.tenantId) throw unknown();
    throw cause;
  }
}

type Query = Readonly<Record<string, unknown>>;

/** `key` may be repeated and wins, for keys that hold commas; `keys` is a comma list. Empty: none named. */
export function keyList(query: unknown): string[] {
  const { key, keys } = query as Query;
  const single = [key ?? []]
    .flat()
    .map(String)
    .filter((text) => text !== '');
  if (single.length > 0) return [...new Set(single)];
  const listed = [keys ?? []].flat().flatMap((text) => String(text).split(','));
  return [...new Set(listed.filter((text) => text !== ''))];
}

export function scopeOf(text: string): AttributeScope {
  if (!(ATTRIBUTE_SCOPES as readonly string[]).includes(text)) throw badRequest(`Invalid scope: ${text}`);
  return text as AttributeScope;
}

export const isTrue = (value: unknown): boolean => String(value).toLowerCase() === 'true';

/** A whole number of the query; blank is absent. @throws HttpError 400 */
export function wholeNumber(query: unknown, key: string): number | undefined {
  const value = [(query as Query)[key] ?? ''].flat()[0];
  if (value === '') return undefined;
  const number = /^-?\d{1,16}$/.test(String(value)) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw badRequest(`Parameter '${key}' is not a whole number: ${String(value)}`);
  return number;
}

/** One of a list of words; absent and blank take the default. @throws HttpError 400 */
export function oneOf<T extends string>(query: unknown, key: string, allowed: readonly T[], standard: T): T {
  const value = [(query as Query)[key] ?? ''].flat()[0];
  if (value === '') return standard;
  if (!(allowed as readonly unknown[]).includes(value)) throw badRequest(`Parameter '${key}' is none of ${allowed.join(', ')}: ${String(value)}`);
  return value as T;
}

/** Why a key may not be written by REST, or null. Blank and markup are refused here alone (recorded); devices and nodes may send them. */
export function restKeyProblem(key: string): string | null {
  if (key.trim() === '') return 'Key cannot be blank';
  if (key.length > 255) return 'Validation error: key length must be equal or less than 255';
  return /<[a-z!/][^>]*>?/i.test(key) ? 'Validation error: key is malformed' : null;
}
