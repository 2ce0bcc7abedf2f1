import { entityLabel } from '../entities.ts';
import { ENTITY_TYPES, type EntityRef, type EntityType, NULL_ID } from '../message.ts';
import type { Collection, Doc } from '../store.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, forbidden, notFound } from './errors.ts';
import { uuid } from './paging.ts';

/** Who may see and change what (specs: rest-api §1.5, §8 "Foreign tenant"). */

/** Entity types that are documents of their own. */
const KEPT: ReadonlySet<string> = new Set([
  'TENANT',
  'TENANT_PROFILE',
  'CUSTOMER',
  'USER',
  'DEVICE',
  'ASSET',
  'DEVICE_PROFILE',
  'ASSET_PROFILE',
  'ENTITY_GROUP',
  'ENTITY_VIEW',
  'DASHBOARD',
  'EDGE',
  'RULE_CHAIN',
  'CONVERTER',
  'INTEGRATION',
  'ALARM',
  'QUEUE',
  'RPC',
  'API_KEY',
  'ADMIN_SETTINGS',
  'AI_MODEL',
] satisfies Collection[]);

/** Of a foreign tenant's device not even its existence is told. */
const HIDDEN: ReadonlySet<string> = new Set(['DEVICE']);
const SYSTEM: ReadonlySet<string> = new Set(['TENANT', 'TENANT_PROFILE', 'USER', 'QUEUE']);
const CUSTOMER_READS: ReadonlySet<string> = new Set(['DEVICE_PROFILE', 'ASSET_PROFILE']);
const CUSTOMER_WRITES: ReadonlySet<string> = new Set(['DEVICE', 'ASSET', 'ENTITY_VIEW', 'EDGE', 'ALARM', 'RPC', 'USER', 'ENTITY_GROUP']);

/** From the parts of a path. @throws HttpError 400 for an unknown type or what is no UUID. */
export function refOf(entityType: string, id: string): EntityRef {
  if (!(ENTITY_TYPES as readonly string[]).includes(entityType)) throw badRequest(`Invalid entity type: ${entityType}`);
  return { entityType: entityType as EntityType, id: uuid(id) };
}

export const missing = (ref: EntityRef) => notFound(`${entityLabel(ref.entityType)} with id [${ref.id}] is not found`);

/** The document, when the caller may read it. @throws HttpError 404 unknown (or a foreign device), 403 not the caller's. */
export async function readable(context: ApiContext, caller: Caller, ref: EntityRef): Promise<Doc> {
  if (!KEPT.has(ref.entityType)) throw missing(ref);
  if (ref.entityType === 'TENANT') return tenantOf(context, caller, ref);
  if (caller.authority === 'SYS_ADMIN' && !SYSTEM.has(ref.entityType)) throw forbidden();
  const { store } = context.backend;
  const collection = ref.entityType as Collection;
  const doc = await store.doc(collection, caller.tenantId, ref.id);
  if (doc) {
    if (caller.authority === 'CUSTOMER_USER' && !customerReads(caller, doc)) throw forbidden();
    return doc;
  }
  const owner = await store.ownerOf(collection, ref.id);
  if (owner === null) throw missing(ref);
  if (caller.authority === 'SYS_ADMIN' || (owner === NULL_ID && collection === 'QUEUE')) {
    const foreign = await store.doc(collection, owner, ref.id);
    if (foreign) return foreign;
  }
  throw HIDDEN.has(ref.entityType) ? missing(ref) : forbidden();
}

/** The same for a change. */
export async function writable(context: ApiContext, caller: Caller, ref: EntityRef): Promise<Doc> {
  const doc = await readable(context, caller, ref);
  if (caller.authority === 'CUSTOMER_USER' && !CUSTOMER_WRITES.has(ref.entityType)) throw forbidden();
  if (caller.authority === 'TENANT_ADMIN' && doc.collection !== 'TENANT' && doc.tenantId !== caller.tenantId) throw forbidden();
  return doc;
}

async function tenantOf(context: ApiContext, caller: Caller, ref: EntityRef): Promise<Doc> {
  const own = caller.authority === 'TENANT_ADMIN' && caller.tenantId === ref.id;
  if (caller.authority !== 'SYS_ADMIN' && !own) throw forbidden();
  const tenant = await context.backend.store.doc('TENANT', ref.id, ref.id);
  if (!tenant) throw missing(ref);
  return tenant;
}

function customerReads(caller: Caller, doc: Doc): boolean {
  if (CUSTOMER_READS.has(doc.collection)) return true;
  if (doc.collection === 'CUSTOMER') return doc.id === caller.customerId;
  if (doc.collection === 'DASHBOARD') {
    const assigned = doc.body['assignedCustomers'];
    return Array.isArray(assigned) && assigned.some((customer) => customer?.customerId?.id === caller.customerId);
  }
  return doc.customerId === caller.customerId;
}
