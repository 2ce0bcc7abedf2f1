import type { EntityRef } from '#engine/message.ts';
import type { RelationsQuery, Services } from '#engine/services.ts';
import type { Relation, Store } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';

type Query = Parameters<Services['relations']['find']>[0] & { typeGroup?: string };
type Find = (query: Query) => Promise<Relation[]>;

export function relationServices(tenantId: string, work: Work, store: Pick<Store, 'relations'>): Services['relations'] {
  const find: Find = async (query) => {
    const found = new Map((await store.relations(tenantId, query)).map((relation) => [keyOf(relation), relation]));
    for (const change of work.relations) {
      if (change.tenantId !== tenantId) continue;
      if ('remove' in change) found.delete(keyOf(change.remove));
      else if (isAsked(change.save, query)) found.set(keyOf(change.save), change.save);
    }
    return [...found.values()];
  };
  return {
    find,
    save: (relation) => void work.relations.push({ tenantId, save: relation }),
    remove: (relation) => void work.relations.push({ tenantId, remove: relation }),
    search: (root, query) => search(root, query, find),
  };
}

/** Relations that one search reads; what is behind them is not looked at. */
const MOST = 50_000;

/**
 * Over all relations of the group COMMON, level by level; the filters choose among what was found, they do not steer the way. What an entity is reached by counts,
 * so the root itself is found where a circle leads back to it. A relation behind which nothing was reached is one of the last level.
 */
async function search(root: EntityRef, query: RelationsQuery, find: Find): Promise<EntityRef[]> {
  const { direction, maxLevel, fetchLastLevelOnly } = query;
  const far = (relation: Relation): EntityRef => (direction === 'FROM' ? relation.to : relation.from);
  const next = (entity: EntityRef) => find({ ...(direction === 'FROM' ? { from: entity } : { to: entity }), typeGroup: 'COMMON' });
  const visited = new Set([root.id]);
  const found = new Map<string, EntityRef>();
  let level = await next(root);
  let read = level.length;
  for (let depth = 1; level.length > 0; depth++) {
    const isDeepest = maxLevel > 0 && depth >= maxLevel;
    const below: Relation[] = [];
    for (const relation of level) {
      const entity = far(relation);
      let isLast = true;
      if (!isDeepest && read < MOST && !visited.has(entity.id)) {
        visited.add(entity.id);
        const relations = await next(entity);
        isLast = relations.length === 0;
        read += relations.length;
        below.push(...relations);
      }
      if ((isLast || !fetchLastLevelOnly) && isWanted(relation, entity, query) && !found.has(entity.id)) found.set(entity.id, entity);
    }
    level = below;
  }
  return [...found.values()];
}

const isWanted = ({ type }: Relation, { entityType }: EntityRef, { filters }: RelationsQuery): boolean =>
  filters.length === 0 ||
  filters.some(
    ({ relationType, entityTypes }) =>
      (relationType === '' || relationType === type) && (entityTypes.length === 0 || entityTypes.includes(entityType)),
  );

const keyOf = ({ from, to, type, typeGroup }: Relation): string => JSON.stringify([from.id, to.id, type, typeGroup]);

const isAsked = ({ from, to, type, typeGroup }: Relation, query: Query): boolean =>
  (!query.from || query.from.id === from.id) &&
  (!query.to || query.to.id === to.id) &&
  (!query.type || query.type === type) &&
  (!query.typeGroup || query.typeGroup === typeGroup);
