import type { EntityRef } from '#engine/message.ts';
import type { RelationsQuery, Services } from '#engine/services.ts';

/** As `relationsQuery()` of the fields gives it: Java's fields may be null. */
export interface ConfiguredQuery {
  readonly direction: string | null;
  readonly maxLevel: number;
  readonly fetchLastLevelOnly: boolean;
  readonly filters:
    | readonly { readonly relationType: string | null; readonly entityTypes: readonly (string | null)[] | null; readonly negate: boolean }[]
    | null;
}

/** @throws Error where the configuration does not say which way to go. */
export const toRelationsQuery = (query: ConfiguredQuery): RelationsQuery => ({
  direction: directionOf(query),
  maxLevel: query.maxLevel,
  fetchLastLevelOnly: query.fetchLastLevelOnly,
  filters: (query.filters ?? []).map(toFilter),
});

type Filter = NonNullable<ConfiguredQuery['filters']>[number];

/** Lists of files may hold null. */
function toFilter(filter: Filter | null): RelationsQuery['filters'][number] {
  if (filter === null) throw new Error('Relation filter should be specified!');
  const { relationType, entityTypes, negate } = filter;
  return { relationType: relationType ?? '', entityTypes: (entityTypes ?? []).filter((type) => type !== null), negate };
}

function directionOf({ direction }: { readonly direction: string | null }): 'FROM' | 'TO' {
  if (direction !== 'FROM' && direction !== 'TO') throw new Error('Unknown direction');
  return direction;
}

/** As "related device attributes" configures it. */
export interface DeviceQuery {
  readonly direction: string | null;
  readonly maxLevel: number;
  readonly fetchLastLevelOnly: boolean;
  /** null: Contains; empty: every type. */
  readonly relationType: string | null;
  /** Names of profiles. */
  readonly deviceTypes: readonly (string | null)[] | null;
}

/** The first device of one of the types that the search finds. */
export async function relatedDevice(
  root: EntityRef,
  query: DeviceQuery | null,
  { relations, entities }: Pick<Services, 'relations' | 'entities'>,
): Promise<EntityRef | null> {
  if (query === null) throw new Error('Device relations query should be specified!');
  const { direction, maxLevel, fetchLastLevelOnly, relationType, deviceTypes } = query;
  if (deviceTypes === null) throw new Error('Device types should be specified!');
  const filters = [{ relationType: relationType ?? 'Contains', entityTypes: ['DEVICE'] }];
  const found = await relations.search(root, { direction: directionOf({ direction }), maxLevel, fetchLastLevelOnly, filters });
  for (const device of found) if (deviceTypes.includes((await entities.summary(device))?.type ?? null)) return device;
  return null;
}
