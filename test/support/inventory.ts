import { isAssigned, newAsset, newCustomer, newDevice, withCustomer, withoutCustomer } from '#engine/entities.ts';
import { Rejected } from '#engine/errors.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import type { Doc, Relation } from '#engine/store.ts';
import { TENANT } from './message.ts';
import type { World } from './services.ts';

type Fakes = Pick<Services, 'inventory' | 'views' | 'edges' | 'deviceState' | 'relations'>;

const isOf = (relation: Relation, query: Parameters<Services['relations']['find']>[0]): boolean =>
  (!query.from || query.from.id === relation.from.id) &&
  (!query.to || query.to.id === relation.to.id) &&
  (!query.type || query.type === relation.type) &&
  (!query.typeGroup || query.typeGroup === relation.typeGroup);

/** Entities and relations that nodes change, in `docs` and in memory. */
export function inventory(world: World, docs: Record<string, Doc>, did: unknown[][], now: number): Fakes {
  const relations = [...(world.relations ?? [])];
  const place = ({ from, to, type }: Relation): [string, string, string] => [from.id, type, to.id];
  const known = ({ id, entityType }: EntityRef): Doc => {
    if (!docs[id]) throw new Rejected(`${entityType} with id [${id}] is not found`);
    return docs[id];
  };
  const put = (doc: Doc): Doc => {
    docs[doc.id] = doc;
    return doc;
  };
  return {
    inventory: {
      async create(type, name, profile = '') {
        if (name === '') throw new Rejected(`${type} without a name`);
        did.push(['create', type, name, profile]);
        const fields = { tenantId: TENANT, name, type: profile || 'default', profileId: profile };
        if (type === 'CUSTOMER') return put(newCustomer(TENANT, name, now));
        return put(type === 'DEVICE' ? newDevice(fields, now).device : newAsset(fields, now));
      },
      async assign(entity, customer) {
        const doc = known(entity);
        if (doc.collection === 'DASHBOARD' ? isAssigned(doc, customer.id) : doc.customerId === customer.id) return false;
        did.push(['assign', entity.id, customer.name]);
        put(doc.collection === 'DASHBOARD' ? withCustomer(doc, customer) : { ...doc, customerId: customer.id });
        return true;
      },
      async unassign(entity, customerId) {
        const doc = known(entity);
        if (doc.collection === 'DASHBOARD' ? !isAssigned(doc, customerId ?? '') : !doc.customerId) return false;
        did.push(['unassign', entity.id, customerId]);
        put(doc.collection === 'DASHBOARD' ? withoutCustomer(doc, customerId!) : { ...doc, customerId: null });
        return true;
      },
    },
    views: { of: async ({ id }) => Object.values(docs).filter((doc) => (doc.body['entityId'] as EntityRef | undefined)?.id === id) },
    edges: { of: async ({ entityType, id }) => (entityType === 'EDGE' ? [id] : (world.edges ?? [])) },
    deviceState: {
      report: world.report ?? (async (...report) => void did.push(['device state', ...report])),
    },
    relations: {
      find: async (query) => relations.filter((relation) => isOf(relation, query)),
      search: world.related ?? (async () => []),
      save(relation) {
        did.push(['save relation', ...place(relation)]);
        relations.push(relation);
      },
      remove(relation) {
        did.push(['remove relation', ...place(relation)]);
        relations.splice(
          relations.findIndex((own) => isOf(own, relation)),
          1,
        );
      },
    },
  };
}
