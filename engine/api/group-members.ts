import { entityRef, MEMBERSHIP, ownerOf } from '../entities.ts';
import type { EntityRef } from '../message.ts';
import type { Collection, Doc, Page } from '../store.ts';
import type { Work } from '../work.ts';
import { readable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { listDocs } from './lists.ts';
import { idList, pageLink } from './paging.ts';

/** Groups and who is in them (specs: rest-api §2.7). Members are relations from the group; of the reserved group `All` everything that its owner has is one. */

export const isAll = (group: Doc): boolean => group.body['groupAll'] === true;

/** Groups that name an entity as a member; of `All` groups nobody needs telling. */
export async function groupsOf(context: ApiContext, tenantId: string, entity: EntityRef): Promise<{ id: EntityRef; name: string }[]> {
  const { store } = context.backend;
  const relations = await store.relations(tenantId, { to: entity, ...MEMBERSHIP });
  const groups = await Promise.all(relations.map(({ from }) => store.doc('ENTITY_GROUP', tenantId, from.id)));
  return groups.filter((group) => group !== null).map((group) => ({ id: entityRef(group), name: group.name }));
}

/** A page of the members. */
export async function listMembers(context: ApiContext, group: Doc, query: unknown): Promise<Page<Doc>> {
  const collection = group.kind as Collection;
  const { ownerId } = group.body as { ownerId: EntityRef };
  if (isAll(group)) {
    const customerId = ownerId.entityType === 'CUSTOMER' ? ownerId.id : null;
    // Customers are nobody's customer: they all are the tenant's.
    return listDocs(context, collection, group.tenantId, query, collection === 'CUSTOMER' ? {} : { customerId });
  }
  const members = await context.backend.store.relations(group.tenantId, { from: entityRef(group), ...MEMBERSHIP });
  return context.backend.store.docs(collection, group.tenantId, { ...pageLink(query), ids: members.map(({ to }) => to.id) });
}

export async function isMember(context: ApiContext, group: Doc, doc: Doc): Promise<boolean> {
  if (doc.collection !== group.kind) return false;
  if (isAll(group)) return ownerOf(doc).id === group.ref;
  const found = await context.backend.store.relations(group.tenantId, { from: entityRef(group), to: entityRef(doc), ...MEMBERSHIP });
  return found.length > 0;
}

/** Puts an entity that is being saved into the groups that the query names. @throws HttpError 400 for a group of another type */
export async function joinGroups(context: ApiContext, caller: Caller, query: unknown, doc: Doc, work: Work): Promise<void> {
  for (const id of [...idList(query, 'entityGroupId'), ...idList(query, 'entityGroupIds')]) {
    const group = await readable(context, caller, { entityType: 'ENTITY_GROUP', id });
    if (group.kind !== doc.collection) throw badRequest(`A ${doc.collection} can not be in a group of type ${group.kind}`);
    if (!isAll(group)) work.relations.push({ tenantId: doc.tenantId, save: { from: entityRef(group), to: entityRef(doc), ...MEMBERSHIP } });
  }
}
