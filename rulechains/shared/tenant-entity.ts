import { isUuid } from '#engine/id.ts';
import { ENTITY_TYPES, type EntityRef, type EntityType } from '#engine/message.ts';
import type { StartContext } from '#engine/node.ts';

/**
 * An entity that a configuration names, for `start`. @throws Error when it is not set, or not one of the tenant's.
 */
export async function tenantEntity(
  entityType: string | null,
  id: string | null,
  { node, entities }: Pick<StartContext<unknown>, 'node' | 'entities'>,
): Promise<EntityRef> {
  if (!entityType || !id) throw new Error('Entity should be specified!');
  if (!(ENTITY_TYPES as readonly string[]).includes(entityType)) throw new Error(`Unknown entity type: ${entityType}`);
  if (!isUuid(id)) throw new Error(`Invalid UUID string: ${id}`);
  const entity: EntityRef = { entityType: entityType as EntityType, id: id.toLowerCase() };
  const isOwn = entityType === 'TENANT' ? entity.id === node.tenantId : (await entities.find(entity)) !== null;
  if (!isOwn) throw new Error(`Entity with id: '${id}' specified in the configuration doesn't belong to the current tenant.`);
  return entity;
}
