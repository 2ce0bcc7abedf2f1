import { enqueueAction } from '../actions.ts';
import { entityRef, MEMBERSHIP, ownerOf } from '../entities.ts';
import { Rejected } from '../errors.ts';
import { addMember, type GroupChange, groupsNaming, isAll, ownedBy } from '../groups.ts';
import type { EntityRef } from '../message.ts';
import type { Collection, Doc, Page } from '../store.ts';
import type { Work } from '../work.ts';
import { readable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { listDocs } from './lists.ts';
import { idList, pageLink } from './paging.ts';

/** Groups and who is in them, as REST shows and changes them (specs: rest-api §2.7). */

/** Groups that name an entity as a member. */
export async function groupsOf({ backend: { store } }: ApiContext, tenantId: string, entity: EntityRef): Promise<{ id: EntityRef; name: string }[]> {
  const groups = await groupsNaming(
    { relations: (query) => store.relations(tenantId, query), group: (id) => store.doc('ENTITY_GROUP', tenantId, id) },
    entity,
  );
  return groups.map((group) => ({ id: entityRef(group), name: group.name }));
}

/** A page of the members. */
export async function listMembers(context: ApiContext, group: Doc, query: unknown): Promise<Page<Doc>> {
  const collection = group.kind as Collection;
  if (isAll(group)) return listDocs(context, collection, group.tenantId, query, ownedBy(group));
  const members = await context.backend.store.relations(group.tenantId, { from: entityRef(group), ...MEMBERSHIP });
  return context.backend.store.docs(collection, group.tenantId, { ...pageLink(query), ids: members.map(({ to }) => to.id) });
}

export async function isMember(context: ApiContext, group: Doc, doc: Doc): Promise<boolean> {
  if (doc.collection !== group.kind) return false;
  if (isAll(group)) return ownerOf(doc).id === group.ref;
  const found = await context.backend.store.relations(group.tenantId, { from: entityRef(group), to: entityRef(doc), ...MEMBERSHIP });
  return found.length > 0;
}

/** A change of groups and owners by a user, into this work. */
export const changeBy = ({ backend: { store }, now }: ApiContext, caller: Caller, tenantId: string, work: Work): GroupChange => ({
  work,
  caller,
  now: now(),
  tell: (message) => enqueueAction(work, message),
  relations: (query) => store.relations(tenantId, query),
  group: (id) => store.doc('ENTITY_GROUP', tenantId, id),
});

/** Puts an entity that is being saved into the groups that the query names. @throws HttpError 400 for a group of another type */
export async function joinGroups(context: ApiContext, caller: Caller, query: unknown, doc: Doc, work: Work): Promise<void> {
  const change = changeBy(context, caller, doc.tenantId, work);
  for (const id of new Set([...idList(query, 'entityGroupId'), ...idList(query, 'entityGroupIds')])) {
    const group = await readable(context, caller, { entityType: 'ENTITY_GROUP', id });
    // In the group All it is anyway.
    if (!isAll(group) || group.kind !== doc.collection) await refused(addMember(change, group, doc));
  }
}

/** What can not be is the caller's fault. @throws HttpError 400 */
export const refused = <T>(changing: Promise<T>): Promise<T> =>
  changing.catch((cause: unknown) => {
    throw cause instanceof Rejected ? badRequest(cause.message) : cause;
  });
