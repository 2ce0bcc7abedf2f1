import { actionMessage } from '#engine/actions.ts';
import { entityData, entityRef, nameKey, nameProblem, newGroup, ownerOf } from '#engine/entities.ts';
import { Rejected } from '#engine/errors.ts';
import { addMember, changeOwner, type GroupChange, groupKey, groupsNaming, isAll, ownedBy, removeMember } from '#engine/groups.ts';
import type { EntityRef, EntityType, Message } from '#engine/message.ts';
import type { NodeInfo } from '#engine/node.ts';
import { GROUP_TYPES } from '#engine/seed.ts';
import type { Services } from '#engine/services.ts';
import type { Collection, Doc, Store } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import type { PendingDocs } from './pending-docs.ts';

export interface GroupDeps {
  readonly store: Pick<Store, 'doc' | 'docByKey' | 'docs'>;
  readonly pending: PendingDocs;
  readonly relations: Pick<Services['relations'], 'find'>;
  readonly inventory: Pick<Services['inventory'], 'create'>;
  enqueue(message: Message): void;
  now(): number;
}

const PAGE = 10_000;
const isGroupType = (type: string): boolean => (GROUP_TYPES as readonly string[]).includes(type);

/**
 * Groups and owners for rule nodes. What is to be changed is read from the store and not from memory, and saved only if it is still that version: two lanes that
 * change one entity, or create one group, do not overwrite each other.
 */
export function groupServices(tenantId: string, work: Work, deps: GroupDeps): Services['groups'] {
  const { store, pending, enqueue, now } = deps;
  const read = async (collection: Collection, id: string): Promise<Doc | null> => {
    const own = pending.find(collection, tenantId, id);
    return own === undefined ? store.doc(collection, tenantId, id) : own;
  };
  const byKey = async (collection: Collection, key: string): Promise<Doc | null> =>
    pending.byKey(collection, key) ?? stillThere(await store.docByKey(collection, key));
  /** Unless this batch has removed or renamed it. */
  const stillThere = (doc: Doc | null): Doc | null => {
    if (!doc || doc.tenantId !== tenantId) return null;
    return pending.find(doc.collection, tenantId, doc.id) === undefined ? doc : null;
  };
  const entity = async ({ entityType, id }: EntityRef): Promise<Doc> => {
    const doc = isGroupType(entityType) ? await read(entityType as Collection, id) : null;
    if (!doc) throw new Rejected(`${entityType} with id [${id}] is not found`);
    return doc;
  };
  const group = (id: string): Promise<Doc | null> => read('ENTITY_GROUP', id);
  const relations: GroupChange['relations'] = (query) => deps.relations.find(query);
  const changeBy = (node: NodeInfo): GroupChange => ({
    ...{ work, caller: null, metadata: { ruleNodeId: node.id }, now: now(), tell: enqueue, relations, group },
  });
  const tellOfNew = (doc: Doc, node: NodeInfo): Doc => {
    const { customerId } = doc;
    const told = { caller: null, tenantId, type: 'ENTITY_CREATED', originator: entityRef(doc), data: entityData(doc), customerId, now: now() };
    enqueue(actionMessage({ ...told, metadata: { ruleNodeId: node.id } }));
    return doc;
  };

  return {
    async ownerOf({ entityType, id }) {
      if (entityType === 'TENANT') return id === tenantId ? { entityType, id } : null;
      const doc = isGroupType(entityType) || entityType === 'ENTITY_GROUP' ? await read(entityType as Collection, id) : null;
      return doc && (doc.collection === 'ENTITY_GROUP' ? (doc.body['ownerId'] as EntityRef) : ownerOf(doc));
    },
    find: group,
    async byName(owner, type, name) {
      const found = await byKey('ENTITY_GROUP', groupKey(owner, type, name));
      // Customers that uplinks made have no document of it, and everything that they own all the same.
      return found ?? (name === 'All' && isGroupType(type) ? newGroup(tenantId, { type, name, owner, all: true }, now()) : null);
    },
    create(owner, type, name) {
      const problem = name.trim() === '' ? 'Entity group name should be specified!' : nameProblem('Entity group', name);
      if (problem !== null) throw new Rejected(problem);
      const doc = newGroup(tenantId, { type, name, owner }, now());
      work.docs.push({ doc, expects: 0 });
      return doc;
    },
    async members(of) {
      const collection = of.kind as Collection;
      if (isAll(of)) return everythingOf(of, collection);
      const members = await deps.relations.find({ from: entityRef(of), type: 'Contains', typeGroup: 'FROM_ENTITY_GROUP' });
      return members.map(({ to }) => to);
    },
    containing: (ref) => groupsNaming({ relations, group }, ref),
    async add(to, ref, node) {
      await addMember(changeBy(node), to, await entity(ref));
    },
    async remove(from, ref, node) {
      await removeMember(changeBy(node), from, await entity(ref));
    },
    customer: (title) => byKey('CUSTOMER', nameKey(tenantId, title)),
    async createCustomer(title, parent, node) {
      const made = await deps.inventory.create('CUSTOMER', title);
      if (parent.entityType !== 'CUSTOMER') return tellOfNew(made, node);
      const { id } = parent;
      const doc = { ...made, customerId: id, version: made.version + 1, body: { ...made.body, parentCustomerId: { entityType: 'CUSTOMER', id } } };
      work.docs.push({ doc, expects: made.version });
      return tellOfNew(doc, node);
    },
    async changeOwner(ref, owner, node) {
      await changeOwner(changeBy(node), await entity(ref), owner);
    },
  };

  async function everythingOf(all: Doc, collection: Collection): Promise<EntityRef[]> {
    const found = new Map<string, EntityRef>();
    for (let page = 0; ; page++) {
      const { data, hasNext } = await store.docs(collection, tenantId, { ...ownedBy(all), page, pageSize: PAGE });
      for (const doc of data) found.set(doc.id, { entityType: collection as EntityType, id: doc.id });
      if (!hasNext) break;
    }
    for (const doc of pending.of(collection, tenantId)) {
      if (ownerOf(doc).id === all.ref) found.set(doc.id, entityRef(doc));
      else found.delete(doc.id);
    }
    return [...found.values()];
  }
}
