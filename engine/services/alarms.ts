import type { EntityRef } from '#engine/message.ts';
import type { Alarm, NewAlarm, Services } from '#engine/services.ts';
import type { Doc, Store } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';

export const alarmStatus = ({ cleared, acknowledged }: Pick<Alarm, 'cleared' | 'acknowledged'>): string =>
  `${cleared ? 'CLEARED' : 'ACTIVE'}_${acknowledged ? 'ACK' : 'UNACK'}`;

/** How an alarm is stored: found by its originator, type and status. */
export const alarmDoc = (alarm: Alarm, version = 1): Doc => ({
  collection: 'ALARM',
  id: alarm.id,
  tenantId: alarm.tenantId,
  createdTime: alarm.createdTime,
  version,
  name: alarm.type,
  kind: alarm.type,
  ref: alarm.originator.id,
  state: alarmStatus(alarm),
  customerId: alarm.customerId,
  body: { ...withOwnDetails(alarm) },
});

/** Whoever changed the details did not think of their exact text. */
function withOwnDetails({ exactDetails, ...alarm }: Alarm): Alarm {
  const isTheirs = exactDetails !== undefined && JSON.stringify(JSON.parse(exactDetails)) === JSON.stringify(alarm.details);
  return isTheirs ? { ...alarm, exactDetails } : alarm;
}

const alarmIn = (doc: Doc): Alarm => doc.body as unknown as Alarm;

/** Alarms that the batch wrote so far, by id, the latest state of each. */
export class PendingAlarms {
  private readonly work: Work;
  private readonly byId = new Map<string, Doc>();
  private seen = 0;

  constructor(work: Work) {
    this.work = work;
  }

  forget(): void {
    this.byId.clear();
    this.seen = 0;
  }

  all(): ReadonlyMap<string, Doc> {
    for (; this.seen < this.work.docs.length; this.seen++) {
      const change = this.work.docs[this.seen]!;
      if ('doc' in change && change.doc.collection === 'ALARM') this.byId.set(change.doc.id, change.doc);
    }
    return this.byId;
  }
}

interface AlarmDeps {
  readonly store: Pick<Store, 'doc' | 'docs'>;
  readonly entities: Pick<Services['entities'], 'summary'>;
  /** Name of a user that alarms are assigned to. */
  readonly assignee: (userId: string) => Promise<unknown>;
  newId(): string;
  now(): number;
}

export function alarmServices(tenantId: string, work: Work, pending: PendingAlarms, deps: AlarmDeps): Omit<Services['alarms'], 'hasNone'> {
  const save = (alarm: Alarm): Alarm => {
    const doc = alarmDoc(alarm);
    work.docs.push({ doc });
    return alarmIn(doc);
  };
  return {
    async active(originator, type) {
      const states = ['ACTIVE_UNACK', 'ACTIVE_ACK'];
      // More than one is possible, and the batch may have cleared the latest of them.
      const stored = await deps.store.docs('ALARM', tenantId, { kind: type, ref: originator.id, states, order: 'DESC', pageSize: 100 });
      const own = pending.all();
      const open = stored.data.filter(({ id }) => !own.has(id));
      for (const doc of own.values())
        if (doc.tenantId === tenantId && doc.ref === originator.id && doc.kind === type && !alarmIn(doc).cleared) open.push(doc);
      const latest = open.reduce<Doc | null>((last, doc) => (last === null || doc.createdTime >= last.createdTime ? doc : last), null);
      return latest && alarmIn(latest);
    },
    async byId(id) {
      const own = pending.all().get(id);
      const doc = own?.tenantId === tenantId ? own : await deps.store.doc('ALARM', tenantId, id);
      return doc && alarmIn(doc);
    },
    async list({ originator, createdFrom }) {
      const own = pending.all();
      const isAsked = (doc: Doc): boolean =>
        doc.tenantId === tenantId && (!originator || doc.ref === originator.id) && (createdFrom === undefined || doc.createdTime >= createdFrom);
      const found: Doc[] = [];
      for (let page = 0; ; page++) {
        const { data, hasNext } = await deps.store.docs('ALARM', tenantId, { ref: originator?.id, startTime: createdFrom, page });
        for (const doc of data) if (!own.has(doc.id)) found.push(doc);
        if (!hasNext) break;
      }
      for (const doc of own.values()) if (isAsked(doc)) found.push(doc);
      return found.map(alarmIn);
    },
    async create(alarm: NewAlarm) {
      const rest = { acknowledged: false, cleared: false, assigneeId: null, ackTs: 0, clearTs: 0, assignTs: 0 };
      return save({ id: deps.newId(), tenantId, createdTime: deps.now(), ...rest, ...alarm });
    },
    update: async (alarm) => save(alarm),
    clear: async (alarm, clearTs, details) => save({ ...alarm, cleared: true, clearTs, details }),
    async toJson(alarm) {
      const origin = await deps.entities.summary(alarm.originator);
      const assignee = alarm.assigneeId ? await deps.assignee(alarm.assigneeId) : null;
      return JSON.stringify(alarmInfo(alarm, origin, assignee));
    },
  };
}

/** The value of JSON text, its numbers such that they are printed as they were. What it needs is newer than TypeScript's library. */
function withNumbers(text: string): unknown {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  const keep = (_key: string, value: unknown, { source }: { source: string }) => (typeof value === 'number' ? rawJSON(source) : value);
  return JSON.parse(text, keep as (key: string, value: unknown) => unknown);
}

/** The alarm with the names of those it speaks of, as messages and REST carry it (rule-nodes §2.4, §7 row 16). */
export function alarmInfo(
  alarm: Alarm,
  origin: { readonly name: string; readonly label: string | null } | null,
  assignee: unknown,
): Record<string, unknown> {
  const ref = (entityType: EntityRef['entityType'], id: string | null) => (id === null ? null : { entityType, id });
  // Recorded: an alarm has no name that others could show, and an originator without one counts as gone.
  const name = (alarm.originator.entityType === 'ALARM' ? null : origin?.name) ?? 'Deleted';
  const label = origin?.label || name;
  return {
    id: ref('ALARM', alarm.id),
    createdTime: alarm.createdTime,
    tenantId: ref('TENANT', alarm.tenantId),
    customerId: ref('CUSTOMER', alarm.customerId),
    type: alarm.type,
    originator: alarm.originator,
    severity: alarm.severity,
    acknowledged: alarm.acknowledged,
    cleared: alarm.cleared,
    assigneeId: ref('USER', alarm.assigneeId),
    startTs: alarm.startTs,
    endTs: alarm.endTs,
    ackTs: alarm.ackTs,
    clearTs: alarm.clearTs,
    assignTs: alarm.assignTs,
    details: alarm.exactDetails === undefined ? alarm.details : withNumbers(alarm.exactDetails),
    propagate: alarm.propagate,
    propagateToOwner: alarm.propagateToOwner,
    propagateToTenant: alarm.propagateToTenant,
    propagateRelationTypes: alarm.propagateRelationTypes,
    originatorName: name,
    originatorLabel: label,
    originatorDisplayName: label,
    assignee,
    name: alarm.type,
    status: alarmStatus(alarm),
  };
}
