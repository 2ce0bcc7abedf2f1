import { newCustomer, newGroup, ownerOf } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { TENANT } from './message.ts';

/** Groups of a test's world: members by the group's id. Owners come from the documents of the world. */
export interface Groups {
  readonly groups?: readonly Doc[];
  readonly members?: Readonly<Record<string, readonly EntityRef[]>>;
}

export const tenantRef: EntityRef = { entityType: 'TENANT', id: TENANT };
export const group = (name: string, owner: EntityRef = tenantRef, type = 'DEVICE'): Doc => ({
  ...newGroup(TENANT, { type, name, owner, all: name === 'All' }, 1),
  id: `group ${owner.entityType} ${name}`,
});

/** The groups service of nodes as a plain object. Changes are told to `did`, and seen by what comes after. */
export function groupsOf({ groups = [], members = {} }: Groups, docs: Readonly<Record<string, Doc>>, did: unknown[][]): Services['groups'] {
  const known = [...groups];
  const inside = new Map(known.map(({ id }) => [id, [...(members[id] ?? [])]]));
  const owners = new Map<string, EntityRef>();
  const customers = Object.values(docs).filter(({ collection }) => collection === 'CUSTOMER');
  const ownerOfEntity = async (entity: EntityRef): Promise<EntityRef | null> => {
    if (entity.entityType === 'TENANT') return entity;
    const doc = docs[entity.id] ?? customers.find(({ id }) => id === entity.id);
    return owners.get(entity.id) ?? (doc ? ownerOf(doc) : null);
  };
  return {
    ownerOf: ownerOfEntity,
    find: async (id) => known.find((each) => each.id === id) ?? null,
    byName: async (owner, type, name) => known.find((each) => each.ref === owner.id && each.kind === type && each.name === name) ?? null,
    create(owner, type, name) {
      const made = group(name, owner, type);
      did.push(['create group', type, name, owner.id]);
      known.push(made);
      inside.set(made.id, []);
      return made;
    },
    members: async ({ id }) => inside.get(id) ?? [],
    containing: async (entity) => known.filter(({ id }) => inside.get(id)?.some((member) => member.id === entity.id)),
    async add(to, entity) {
      did.push(['add', to.name, entity.id]);
      inside.get(to.id)!.push(entity);
    },
    async remove(from, entity) {
      did.push(['remove', from.name, entity.id]);
      inside.set(
        from.id,
        inside.get(from.id)!.filter(({ id }) => id !== entity.id),
      );
    },
    customer: async (title) => customers.find(({ name }) => name === title) ?? null,
    async createCustomer(title, parent) {
      did.push(['create customer', title, parent.id]);
      const made = { ...newCustomer(TENANT, title, 1), id: `customer ${title}` };
      customers.push(made);
      return made;
    },
    async changeOwner(entity, owner) {
      did.push(['change owner', entity.id, owner.id]);
      owners.set(entity.id, owner);
    },
  };
}
