import { entityJson } from '../entities.ts';
import { type EntityRef, NULL_ID } from '../message.ts';
import type { Collection, Doc, DocQuery, Page } from '../store.ts';
import type { ApiContext, Caller } from './context.ts';
import { MAX_PAGE_SIZE, type PageLink, pageLink, pageOf, pageOfAll } from './paging.ts';

/** Lists of entities, as every resource gives them. */

/** A page of a tenant's documents, as the query asks. */
export async function listDocs(
  context: ApiContext,
  collection: Collection,
  tenantId: string,
  query: unknown,
  where: DocQuery = {},
): Promise<Page<Doc>> {
  return context.backend.store.docs(collection, tenantId, { ...pageLink(query), ...where });
}

/** All of them, for filters that the store does not know. */
export async function everyDocOf(context: ApiContext, collection: Collection, tenantId: string, where: DocQuery = {}): Promise<Doc[]> {
  const all: Doc[] = [];
  for (let page = 0; ; page++) {
    const { data, hasNext } = await context.backend.store.docs(collection, tenantId, { ...where, page, pageSize: MAX_PAGE_SIZE });
    all.push(...data);
    if (!hasNext) return all;
  }
}

/** Those of a list of ids that the caller may read, in the list's order; foreign and unknown ones are left out. */
export async function listByIds(context: ApiContext, caller: Caller, collection: Collection, ids: readonly string[]): Promise<Doc[]> {
  if (ids.length === 0) return [];
  const where = caller.authority === 'CUSTOMER_USER' ? { customerId: caller.customerId } : {};
  const { data } = await context.backend.store.docs(collection, caller.tenantId, { ids, ...where });
  const byId = new Map(data.map((doc) => [doc.id, doc]));
  return ids.map((id) => byId.get(id)).filter((doc) => doc !== undefined);
}

/** Sorted and paged in memory, for lists over several tenants. */
export function pageInMemory(docs: readonly Doc[], link: PageLink): Page<Doc> {
  const words = link.textSearch?.toLowerCase();
  const key = (doc: Doc): string | number => {
    const { sortBy = 'createdTime' } = link;
    const value = (doc as unknown as Record<string, unknown>)[sortBy] ?? doc.body[sortBy] ?? '';
    return typeof value === 'number' ? value : String(value);
  };
  const found = docs.filter((doc) => words === undefined || doc.name.toLowerCase().includes(words));
  found.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.id < b.id ? -1 : 1));
  if (link.order === 'DESC') found.reverse();
  return pageOfAll(found, link);
}

export const jsonPage = (page: Page<Doc>) => pageOf(page, entityJson);

/** Titles of customers, read once for a page. */
export async function customersOf(context: ApiContext, tenantId: string, docs: readonly Doc[]): Promise<Map<string, Doc>> {
  const wanted = [...new Set(docs.map((doc) => doc.customerId).filter((id) => id !== null && id !== undefined))];
  if (wanted.length === 0) return new Map();
  const { data } = await context.backend.store.docs('CUSTOMER', tenantId, { ids: wanted });
  return new Map(data.map((customer) => [customer.id, customer]));
}

/** `customerId` of a request: null for the tenant's own. */
export function customerOfBody(body: { readonly customerId?: { readonly id: string } | null }): string | null {
  const id = body.customerId?.id ?? null;
  return id === NULL_ID ? null : id;
}

export const refOrNull = (id: { readonly id: string } | null | undefined, entityType: EntityRef['entityType']): EntityRef | null =>
  id ? { entityType, id: id.id } : null;
