import { Type } from 'typebox';
import type { EntityRef } from '../message.ts';
import type { Relation } from '../store.ts';
import { readable, refOf } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { Body, Maybe, Uuid } from './schemas.ts';

export const RELATION_GROUPS = ['COMMON', 'DASHBOARD', 'FROM_ENTITY_GROUP', 'RULE_CHAIN', 'RULE_NODE', 'EDGE', 'EDGE_AUTO_ASSIGN_RULE_CHAIN'];

export const SearchParameters = Body({
  rootId: Uuid,
  rootType: Type.String(),
  direction: Type.Enum(['FROM', 'TO']),
  relationTypeGroup: Maybe(Type.Enum(RELATION_GROUPS)),
  maxLevel: Type.Optional(Type.Integer({ description: '0 or less: unlimited.' })),
  fetchLastLevelOnly: Type.Optional(Type.Boolean()),
});
export type SearchParameters = Type.Static<typeof SearchParameters>;

export interface RelationFilter {
  readonly relationType?: string | null;
  readonly entityTypes?: readonly string[] | null;
}

/** A walk ends somewhere, whatever it is let loose on. */
const MOST = 50_000;

/**
 * Relations reached from a root, level by level. Filters choose among what was reached, they do not steer the walk (recorded: cases/rest relations).
 * `last`: nothing was reached behind it.
 */
export async function searchRelations(
  context: ApiContext,
  caller: Caller,
  { rootId, rootType, direction, relationTypeGroup, maxLevel = 0, fetchLastLevelOnly = false }: SearchParameters,
  filters: readonly RelationFilter[],
): Promise<{ relation: Relation; last: boolean }[]> {
  const root = refOf(rootType, rootId);
  await readable(context, caller, root);
  const typeGroup = relationTypeGroup ?? 'COMMON';
  const limit = maxLevel > 0 ? maxLevel : Number.POSITIVE_INFINITY;
  const far = (relation: Relation) => (direction === 'FROM' ? relation.to : relation.from);
  const next = (ref: EntityRef) =>
    context.backend.store.relations(caller.tenantId, direction === 'FROM' ? { from: ref, typeGroup } : { to: ref, typeGroup });

  const found: { relation: Relation; last: boolean }[] = [];
  const visited = new Set([root.id]);
  let level = (await next(root)).map((relation) => ({ relation, last: true }));
  for (let depth = 1; level.length > 0 && found.length < MOST; depth++) {
    found.push(...level);
    if (depth >= limit) break;
    const below: typeof level = [];
    for (const step of level) {
      const ref = far(step.relation);
      if (visited.has(ref.id)) continue;
      visited.add(ref.id);
      const relations = await next(ref);
      if (relations.length > 0) step.last = false;
      for (const relation of relations) below.push({ relation, last: true });
    }
    level = below;
  }
  return found.filter(({ relation, last }) => (last || !fetchLastLevelOnly) && matches(relation, far(relation), filters));
}

const matches = (relation: Relation, end: EntityRef, filters: readonly RelationFilter[]): boolean =>
  filters.length === 0 ||
  filters.some(
    ({ relationType, entityTypes }) =>
      (!relationType || relationType === relation.type) && (!entityTypes?.length || entityTypes.includes(end.entityType)),
  );
