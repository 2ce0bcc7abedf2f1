import { MEMBERSHIP, ownerOf } from '../entities.ts';
import { isAll } from '../groups.ts';
import type { EntityRef } from '../message.ts';
import type { Collection, Doc } from '../store.ts';
import { readable, refOf } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, HttpError } from './errors.ts';
import { everyDocOf, listByIds } from './lists.ts';
import { uuid } from './paging.ts';
import { type RelationFilter, searchRelations } from './relation-search.ts';

/** Entity filters of queries (specs: rest-api §2.20): which entities a query is about. */

export type Filter = Readonly<Record<string, unknown>>;

type Select = (context: ApiContext, caller: Caller, filter: Filter) => Promise<Doc[]>;

/** What lists of entities may be about. */
const LISTED: ReadonlySet<string> = new Set<Collection>([
  ...(['DEVICE', 'ASSET', 'ENTITY_VIEW', 'CUSTOMER', 'USER', 'DASHBOARD', 'TENANT', 'RULE_CHAIN'] as const),
  ...(['DEVICE_PROFILE', 'ASSET_PROFILE', 'CONVERTER', 'INTEGRATION', 'ENTITY_GROUP'] as const),
]);

const SELECT: Readonly<Record<string, Select>> = {
  singleEntity: async (context, caller, filter) => {
    const found = await readOrNull(context, caller, entity(filter, 'singleEntity'));
    return found ? [found] : [];
  },
  entityList: async (context, caller, filter) => {
    const ids = list(filter, 'entityList').map((id) => uuid(String(id)));
    return listByIds(context, caller, listed(filter, 'entityType'), ids);
  },
  entityName: async (context, caller, filter) =>
    (await all(context, caller, listed(filter, 'entityType'))).filter(startsWith(text(filter, 'entityNameFilter'))),
  entityType: async (context, caller, filter) => all(context, caller, listed(filter, 'entityType')),
  deviceType: ofType('DEVICE', 'device'),
  assetType: ofType('ASSET', 'asset'),
  entityViewType: ofType('ENTITY_VIEW', 'entityView'),
  entityGroup: async (context, caller, filter) => {
    const group = await readable(context, caller, { entityType: 'ENTITY_GROUP', id: uuid(text(filter, 'entityGroup')) });
    const members = await all(context, caller, group.kind as Collection);
    if (isAll(group)) return members.filter((doc) => ownerOf(doc).id === group.ref);
    const inside = await context.backend.store.relations(group.tenantId, { from: { entityType: 'ENTITY_GROUP', id: group.id }, ...MEMBERSHIP });
    const ids = new Set(inside.map(({ to }) => to.id));
    return members.filter(({ id }) => ids.has(id));
  },
  relationsQuery: async (context, caller, filter) => {
    const root = entity(filter, 'rootEntity');
    const direction = filter['direction'] ?? 'FROM';
    if (direction !== 'FROM' && direction !== 'TO') throw badRequest(`Invalid direction: ${String(direction)}`);
    const search = {
      rootId: root.id,
      rootType: root.entityType,
      direction,
      maxLevel: Number(filter['maxLevel'] ?? 1) || 0,
      fetchLastLevelOnly: filter['fetchLastLevelOnly'] === true,
    } as const;
    const reached = await searchRelations(context, caller, search, list(filter, 'filters') as RelationFilter[]);
    const refs = new Map(reached.map(({ relation }) => (direction === 'FROM' ? relation.to : relation.from)).map((ref) => [ref.id, ref]));
    const docs = await Promise.all([...refs.values()].map((ref) => readOrNull(context, caller, ref)));
    return docs.filter((doc) => doc !== null);
  },
};

/** The entities of a filter that the caller may read. @throws HttpError 400 for a filter that is none, or of a type that is not served */
export async function select(context: ApiContext, caller: Caller, filter: unknown): Promise<Doc[]> {
  if (typeof filter !== 'object' || filter === null) throw badRequest('Validation error: entityFilter must not be null');
  const type = String((filter as Filter)['type']);
  if (!Object.hasOwn(SELECT, type)) throw badRequest(`Unknown entity filter '${type}'. Only '${Object.keys(SELECT).join("', '")}' are allowed.`);
  return SELECT[type]!(context, caller, filter as Filter);
}

/** What the caller may not read is left out, as if it were not there. */
async function readOrNull(context: ApiContext, caller: Caller, ref: EntityRef): Promise<Doc | null> {
  try {
    return await readable(context, caller, ref);
  } catch (cause) {
    if (cause instanceof HttpError && (cause.status === 404 || cause.status === 403)) return null;
    throw cause;
  }
}

async function all(context: ApiContext, caller: Caller, collection: Collection): Promise<Doc[]> {
  const own = caller.authority === 'CUSTOMER_USER';
  if (collection === 'TENANT') {
    const tenant = own ? null : await readOrNull(context, caller, { entityType: 'TENANT', id: caller.tenantId });
    return tenant ? [tenant] : [];
  }
  if (own && collection === 'CUSTOMER') return listByIds(context, { ...caller, authority: 'TENANT_ADMIN' }, 'CUSTOMER', [caller.customerId!]);
  return everyDocOf(context, collection, caller.tenantId, own ? { customerId: caller.customerId } : {});
}

/** Types in a list, or one in the older form; none: any. */
function ofType(collection: Collection, path: string): Select {
  return async (context, caller, filter) => {
    const types = [...list(filter, `${path}Types`), filter[`${path}Type`] ?? []].flat().filter((type) => type !== '');
    const docs = (await all(context, caller, collection)).filter(startsWith(text(filter, `${path}NameFilter`)));
    return types.length === 0 ? docs : docs.filter(({ kind }) => types.includes(kind));
  };
}

/** `%` stands for anything, as in the lists. */
function startsWith(start: string): (doc: Doc) => boolean {
  const parts = start.toLowerCase().split('%');
  return ({ name }) => {
    const lower = name.toLowerCase();
    if (!lower.startsWith(parts[0]!)) return false;
    let at = parts[0]!.length;
    for (const part of parts.slice(1)) {
      at = lower.indexOf(part, at);
      if (at < 0) return false;
      at += part.length;
    }
    return true;
  };
}

const text = (filter: Filter, key: string): string => String(filter[key] ?? '');

function list(filter: Filter, key: string): unknown[] {
  const value = filter[key] ?? [];
  if (!Array.isArray(value)) throw badRequest(`Validation error: ${key} is not a list`);
  return value;
}

function listed(filter: Filter, key: string): Collection {
  const type = text(filter, key);
  if (!LISTED.has(type)) throw badRequest(`Invalid entity type: ${type}`);
  return type as Collection;
}

function entity(filter: Filter, key: string): EntityRef {
  const ref = filter[key] as { entityType?: unknown; id?: unknown } | null | undefined;
  if (typeof ref?.entityType !== 'string' || typeof ref.id !== 'string') throw badRequest('Missing entityType or id!');
  return refOf(ref.entityType, ref.id);
}
