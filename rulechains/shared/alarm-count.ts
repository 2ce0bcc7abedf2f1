import { type Static, Type } from 'typebox';
import type { EntityRef } from '#engine/message.ts';
import { alarmStatus } from '#engine/services/alarms.ts';
import type { Alarm, Services } from '#engine/services.ts';
import { nullable, texts } from './fields.ts';

/** Counting alarms: the mappings of "alarms count" (specs: rule-nodes §3.8). Two sets of names are in use for the same. */

const key = (description: string) => nullable(Type.String(), { title: 'Target', description });

const mapping = Type.Object(
  {
    target: key('Telemetry key of the number.'),
    targetKey: Type.Optional(key('The same under its other name.')),
    status: texts({ title: 'Statuses', description: 'Of the alarms that count, for example ACTIVE_UNACK; none: all.' }),
    statusList: Type.Optional(texts({ title: 'Statuses', description: 'The same under its other name.' })),
    severity: texts({ title: 'Severities', description: 'Of the alarms that count; none: all.' }),
    severityList: Type.Optional(texts({ title: 'Severities', description: 'The same under its other name.' })),
    type: texts({ title: 'Types', description: 'Of the alarms that count; none: all.' }),
    typeList: Type.Optional(texts({ title: 'Types', description: 'The same under its other name.' })),
    interval: nullable(Type.Number(), { title: 'Interval', description: 'Alarms created within it count; 0 or none: whenever.', unit: 'ms' }),
    latestTsInterval: Type.Optional(nullable(Type.Number(), { title: 'Interval', description: 'The same under another name.', unit: 'ms' })),
  },
  { additionalProperties: true },
);
export const countMappings = (name: string) =>
  nullable(Type.Array(mapping), { title: 'Mappings', description: `What is counted, and under which key the number goes${name}.` });
type Mapping = Static<typeof mapping>;

export interface CountRule {
  readonly target: string;
  /** ms; 0: whenever. */
  readonly interval: number;
  counts(alarm: Alarm): boolean;
}

/** @throws Error for a mapping without a key. */
export function startCounts(mappings: readonly Mapping[] | null): CountRule[] {
  if (!mappings || mappings.length === 0) throw new Error('Alarms count mappings should be specified!');
  return mappings.map((each) => {
    // Lists of files may hold null.
    const target = each?.target ?? each?.targetKey;
    if (!target) throw new Error('Target telemetry of every mapping should be specified!');
    const [statuses, severities, types] = [
      words(each.status, each.statusList),
      words(each.severity, each.severityList),
      words(each.type, each.typeList),
    ];
    return {
      target,
      interval: Math.max(0, each.interval ?? each.latestTsInterval ?? 0),
      counts: (alarm) =>
        (statuses.length === 0 || statuses.some((status) => hasStatus(alarm, status))) &&
        (severities.length === 0 || severities.includes(alarm.severity)) &&
        (types.length === 0 || types.includes(alarm.type)),
    };
  });
}

type Words = readonly (string | null)[] | null | undefined;
const words = (one: Words, other: Words): string[] => (one ?? other ?? []).filter((word) => word !== null);

/** Also halves of a status: ACTIVE, CLEARED, ACK, UNACK. */
const hasStatus = (alarm: Alarm, wanted: string): boolean => {
  const status = alarmStatus(alarm);
  return status === wanted || status.split('_').includes(wanted) || wanted === 'ANY';
};

/** The numbers of one entity, in the order of the rules. */
export const countAll = (alarms: readonly Alarm[], rules: readonly CountRule[], now: number): number[] =>
  rules.map(({ interval, counts }) => alarms.filter((alarm) => (interval === 0 || alarm.createdTime >= now - interval) && counts(alarm)).length);

/** From when on alarms matter to any of the rules; undefined: from the beginning. */
export const countedFrom = (rules: readonly CountRule[], now: number): number | undefined =>
  rules.some(({ interval }) => interval === 0) ? undefined : now - Math.max(...rules.map(({ interval }) => interval));

export type Propagating = Pick<Alarm, 'originator' | 'propagate' | 'propagateToOwner' | 'propagateToTenant' | 'propagateRelationTypes'>;

/** Who shows an alarm besides its originator: along relations to it, its owner, the tenant. What was found out is kept for the next alarm. */
export function propagation(
  tenantId: string,
  { groups, relations }: Pick<Services, 'groups' | 'relations'>,
): (alarm: Propagating) => Promise<EntityRef[]> {
  const known = new Map<string, Promise<EntityRef[]>>();
  const once = (what: string, find: () => Promise<EntityRef[]>): Promise<EntityRef[]> => {
    const found = known.get(what) ?? find();
    known.set(what, found);
    return found;
  };
  return async ({ originator, propagate, propagateToOwner, propagateToTenant, propagateRelationTypes: types }) => {
    const found: EntityRef[] = [];
    const filters = types.map((relationType) => ({ relationType, entityTypes: [] }));
    const upwards = { direction: 'TO', maxLevel: 0, fetchLastLevelOnly: false, filters } as const;
    if (propagate) found.push(...(await once(`${originator.id} ${types.join()}`, () => relations.search(originator, upwards))));
    if (propagateToOwner)
      found.push(...(await once(originator.id, async () => [await groups.ownerOf(originator)].filter((owner) => owner !== null))));
    if (propagateToTenant) found.push({ entityType: 'TENANT', id: tenantId });
    return [...new Map(found.filter(({ id }) => id !== originator.id).map((each) => [each.id, each])).values()];
  };
}
