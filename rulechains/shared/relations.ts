import type { RelationsQuery } from '#engine/services.ts';

/** As `relationsQuery()` of the fields gives it: Java's fields may be null. */
export interface ConfiguredQuery {
  readonly direction: string | null;
  readonly maxLevel: number;
  readonly fetchLastLevelOnly: boolean;
  readonly filters:
    | readonly { readonly relationType: string | null; readonly entityTypes: readonly (string | null)[] | null; readonly negate: boolean }[]
    | null;
}

export const toRelationsQuery = (query: ConfiguredQuery): RelationsQuery => ({
  direction: query.direction === 'TO' ? 'TO' : 'FROM',
  maxLevel: query.maxLevel,
  fetchLastLevelOnly: query.fetchLastLevelOnly,
  filters: (query.filters ?? []).map(({ relationType, entityTypes, negate }) => ({
    relationType: relationType ?? '',
    entityTypes: (entityTypes ?? []).filter((type) => type !== null),
    negate,
  })),
});
