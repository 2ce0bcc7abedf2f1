import type { EntityRef } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import type { Store } from '#engine/store.ts';

const ON_EVERY_EDGE: ReadonlySet<string> = new Set(['TENANT', 'DEVICE_PROFILE', 'ASSET_PROFILE']);

/** An edge is told of what was put on it (a relation of the group EDGE), of its customer, and of what all edges share. */
export function edgeServices(
  tenantId: string,
  store: Pick<Store, 'relations' | 'docs'>,
  entities: Pick<Services['entities'], 'customerOf'>,
): Services['edges'] {
  const ids = async (where: { customerId?: string }): Promise<string[]> => (await store.docs('EDGE', tenantId, where)).data.map(({ id }) => id);
  return {
    async of(entity: EntityRef) {
      const { entityType, id } = entity;
      if (entityType === 'EDGE') return [id];
      if (ON_EVERY_EDGE.has(entityType)) return ids({});
      if (entityType === 'CUSTOMER') return ids({ customerId: id });
      if (entityType === 'USER') {
        const customerId = await entities.customerOf(entity);
        return ids(customerId ? { customerId } : {});
      }
      const relations = await store.relations(tenantId, { to: entity, typeGroup: 'EDGE' });
      return relations.filter(({ from }) => from.entityType === 'EDGE').map(({ from }) => from.id);
    },
  };
}
