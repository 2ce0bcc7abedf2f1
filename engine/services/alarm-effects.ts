import { newDoc } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Alarm, Services } from '#engine/services.ts';
import type { Relation, Store } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import type { AlarmAbsence } from './alarm-absence.ts';

/** What belongs to every change of an alarm, whoever makes it: who else shows it, and the line of its history. */

/** From who shows an alarm besides its originator, to the alarm. */
const SHOWN = Object.freeze({ type: 'ANY', typeGroup: 'ALARM' });

type Flags = Pick<Alarm, 'propagate' | 'propagateToOwner' | 'propagateToTenant' | 'propagateRelationTypes'>;
const flagsOf = ({ propagate, propagateToOwner, propagateToTenant, propagateRelationTypes }: Flags): string =>
  JSON.stringify([propagate, propagateToOwner, propagateToTenant, propagate ? propagateRelationTypes : []]);
const NOT_SHOWN = flagsOf({ propagate: false, propagateToOwner: false, propagateToTenant: false, propagateRelationTypes: [] });

const refOf = ({ id }: Alarm): EntityRef => ({ entityType: 'ALARM', id });

/**
 * Puts into the work who shows the alarm: along relations to its originator at this moment, its owner, the tenant. Later relations do not change it, as in the
 * original, until its flags are changed.
 * @param before as it was; null: it is new
 */
export async function spread(
  work: Work,
  alarm: Alarm,
  before: Alarm | null,
  relations: Pick<Services['relations'], 'find' | 'search'>,
): Promise<void> {
  if (flagsOf(alarm) === (before ? flagsOf(before) : NOT_SHOWN)) return;
  const { tenantId } = alarm;
  const shown = await shownTo(alarm, relations.search);
  const wanted = new Set(shown.map(({ id }) => id));
  const old: readonly Relation[] = before ? await relations.find({ to: refOf(alarm), typeGroup: SHOWN.typeGroup }) : [];
  for (const relation of old) if (!wanted.has(relation.from.id)) work.relations.push({ tenantId, remove: relation });
  for (const from of shown) work.relations.push({ tenantId, save: { from, to: refOf(alarm), ...SHOWN } });
}

async function shownTo(alarm: Alarm, search: Services['relations']['search']): Promise<EntityRef[]> {
  const { originator, tenantId, customerId, propagate, propagateToOwner, propagateToTenant, propagateRelationTypes } = alarm;
  const found: EntityRef[] = [];
  const filters = propagateRelationTypes.map((relationType) => ({ relationType, entityTypes: [] }));
  if (propagate) found.push(...(await search(originator, { direction: 'TO', maxLevel: 0, fetchLastLevelOnly: false, filters })));
  if (propagateToOwner) found.push(customerId ? { entityType: 'CUSTOMER', id: customerId } : { entityType: 'TENANT', id: tenantId });
  if (propagateToTenant) found.push({ entityType: 'TENANT', id: tenantId });
  return [...new Map(found.filter(({ id }) => id !== originator.id).map((entity) => [entity.id, entity])).values()];
}

/** Ids of the alarms that others propagate to this entity. */
export async function shownBy(store: Pick<Store, 'relations'>, tenantId: string, entity: EntityRef): Promise<string[]> {
  const relations = await store.relations(tenantId, { from: entity, typeGroup: SHOWN.typeGroup });
  return relations.map(({ to }) => to.id);
}

interface EffectDeps {
  readonly relations: Pick<Services['relations'], 'find' | 'search'>;
  readonly noAlarms: AlarmAbsence | undefined;
  now(): number;
}

/** The alarms of a batch with what belongs to them. */
export function withAlarmEffects(
  alarms: Omit<Services['alarms'], 'hasNone'>,
  tenantId: string,
  work: Work,
  { relations, noAlarms, now }: EffectDeps,
): Services['alarms'] {
  const known = new Map<string, Alarm>();
  /** Of these the batch has changed alarms: what is stored does not tell. */
  const touched = new Set<string>();
  const keyOf = (originator: EntityRef, type: string): string => `${originator.id} ${type}`;
  const seen = <A extends Alarm | null>(alarm: A): A => {
    if (alarm) known.set(alarm.id, alarm);
    return alarm;
  };
  const wrote = (alarm: Alarm): Alarm => {
    touched.add(keyOf(alarm.originator, alarm.type));
    return seen(alarm);
  };
  return {
    ...alarms,
    hasNone(originator, type) {
      const key = keyOf(originator, type);
      return noAlarms !== undefined && !touched.has(key) && noAlarms.has(tenantId, key);
    },
    async active(originator, type) {
      const moment = noAlarms?.moment(tenantId);
      const alarm = seen(await alarms.active(originator, type));
      const key = keyOf(originator, type);
      if (!alarm && moment !== undefined && !touched.has(key)) noAlarms!.note(tenantId, key, moment);
      return alarm;
    },
    byId: async (id) => seen(await alarms.byId(id)),
    async create(fields) {
      const alarm = wrote(await alarms.create(fields));
      await spread(work, alarm, null, relations);
      return alarm;
    },
    async update(changed) {
      const before = known.get(changed.id) ?? (await alarms.byId(changed.id));
      const alarm = wrote(await alarms.update(changed));
      if (before) {
        await spread(work, alarm, before, relations);
        tellSeverity(work, before, alarm, null, now());
      }
      return alarm;
    },
    clear: async (alarm, clearTs, details) => wrote(await alarms.clear(alarm, clearTs, details)),
  };
}

/** A line of the alarm's history that the platform itself writes. @param userId who caused it */
export function systemComment(work: Work, alarm: Alarm, userId: string | null, comment: Record<string, unknown>, now: number): void {
  const body = { userId, comment };
  work.docs.push({
    doc: newDoc({ collection: 'ALARM_COMMENT', tenantId: alarm.tenantId, name: alarm.type, kind: 'SYSTEM', ref: alarm.id, body }, now),
  });
}

export function tellSeverity(work: Work, { severity: oldSeverity }: Alarm, alarm: Alarm, userId: string | null, now: number): void {
  const { severity: newSeverity } = alarm;
  if (oldSeverity === newSeverity) return;
  const text = `Alarm severity was updated from ${oldSeverity} to ${newSeverity}`;
  systemComment(work, alarm, userId, { text, subtype: 'SEVERITY_CHANGED', oldSeverity, newSeverity }, now);
}
