import type { EntityRef } from '#engine/message.ts';
import type { RelationsQuery, Services } from '#engine/services.ts';
import type { Relation, Store } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';

type Query = Parameters<Services['relations']['find']>[0];

export function relationServices(tenantId: string, work: Work, store: Pick<Store, 'relations'>): Services['relations'] {
  const find = async (query: Query & { typeGroup?: string }): Promise<Relation[]> => {
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

/** Over all relations of the group COMMON level by level; the filters choose which of what was found is given. */
async function search(
  root: EntityRef,
  query: RelationsQuery,
  find: (query: Query & { typeGroup?: string }) => Promise<Relation[]>,
): Promise<EntityRef[]> {
  const forward = query.direction === 'FROM';
  const seen = new Set([root.id]);
  const found = new Map<string, EntityRef>();
  let level = [root];
  for (let depth = 1; level.length > 0 && (query.maxLevel <= 0 || depth <= query.maxLevel); depth++) {
    const next: EntityRef[] = [];
    for (const entity of level) {
      for (const relation of await find(forward ? { from: entity, typeGroup: 'COMMON' } : { to: entity, typeGroup: 'COMMON' })) {
        const other = forward ? relation.to : relation.from;
        const isLast = !query.fetchLastLevelOnly || depth === query.maxLevel || (await isLeaf(other, forward, find));
        if (isLast && isWanted(relation, other, query)) found.set(other.id, other);
        if (seen.has(other.id)) continue;
        seen.add(other.id);
        next.push(other);
      }
    }
    level = next;
  }
  return [...found.values()];
}

const isLeaf = async (entity: EntityRef, forward: boolean, find: (query: Query & { typeGroup?: string }) => Promise<Relation[]>): Promise<boolean> =>
  (await find(forward ? { from: entity, typeGroup: 'COMMON' } : { to: entity, typeGroup: 'COMMON' })).length === 0;

const isWanted = (relation: Relation, other: EntityRef, { filters }: RelationsQuery): boolean =>
  filters.length === 0 ||
  filters.some(
    ({ relationType, entityTypes, negate }) =>
      (relation.type === relationType) !== (negate ?? false) && (entityTypes.length === 0 || entityTypes.includes(other.entityType)),
  );

const keyOf = ({ from, to, type, typeGroup }: Relation): string => JSON.stringify([from.id, to.id, type, typeGroup]);

const isAsked = ({ from, to, type, typeGroup }: Relation, query: Query & { typeGroup?: string }): boolean =>
  (!query.from || query.from.id === from.id) &&
  (!query.to || query.to.id === to.id) &&
  (!query.type || query.type === type) &&
  (!query.typeGroup || query.typeGroup === typeGroup);
