import { actionMessage, enqueueAction } from '../actions.ts';
import { VersionConflict } from '../errors.ts';
import { systemComment } from '../services/alarm-effects.ts';
import { alarmDoc, alarmInfo } from '../services/alarms.ts';
import type { Alarm } from '../services.ts';
import type { Collection, Doc } from '../store.ts';
import { Work } from '../work.ts';
import { writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { everyDocOf } from './lists.ts';

type Json = Record<string, unknown>;

/** How often a change is tried again when a rule node changed the alarm meanwhile. */
const TRIES = 5;

export const alarmOf = (doc: Doc): Alarm => doc.body as unknown as Alarm;

/** AlarmInfo: the alarm with the names of its originator and of the user it is assigned to. */
export async function infoJson({ backend }: ApiContext, alarm: Alarm): Promise<Json> {
  const { store } = backend;
  const origin = await store.doc(alarm.originator.entityType as Collection, alarm.tenantId, alarm.originator.id);
  const user = alarm.assigneeId === null ? null : await store.doc('USER', alarm.tenantId, alarm.assigneeId);
  const assignee = user && {
    id: { entityType: 'USER', id: user.id },
    firstName: user.body['firstName'] ?? null,
    lastName: user.body['lastName'] ?? null,
    email: user.name,
  };
  return alarmInfo(alarm, origin && { name: origin.name, label: origin.label ?? null }, assignee);
}

/** Alarm: the same without the names. */
export function alarmJson(alarm: Alarm): Json {
  const {
    originatorName: _name,
    originatorLabel: _label,
    originatorDisplayName: _display,
    assignee: _assignee,
    ...plain
  } = alarmInfo(alarm, null, null);
  return plain;
}

/** What the rule chain of the originator is told; `data` is the alarm as clients see it. */
export async function announce(
  work: Work,
  context: ApiContext,
  caller: Caller,
  type: string,
  alarm: Alarm,
  metadata: Record<string, string> = {},
): Promise<void> {
  const { tenantId, originator, customerId } = alarm;
  enqueueAction(
    work,
    actionMessage({ caller, tenantId, type, originator, customerId, data: await infoJson(context, alarm), metadata, now: context.now() }),
  );
}

export function userName({ firstName, lastName, email }: Caller): string {
  return [firstName, lastName].filter(Boolean).join(' ') || email;
}

export interface AlarmChange {
  readonly alarm: Alarm;
  /** Message to the rule chain. */
  readonly type: string;
  readonly comment: Json | null;
}

/** Changes a stored alarm on its latest state. @throws HttpError 404, 403, and what `change` throws */
export async function changeAlarm(context: ApiContext, caller: Caller, id: string, change: (alarm: Alarm) => AlarmChange): Promise<Alarm> {
  for (let tried = 1; ; tried++) {
    const doc = await writable(context, caller, { entityType: 'ALARM', id });
    const { alarm, type, comment } = change(alarmOf(doc));
    const work = new Work();
    work.docs.push({ doc: alarmDoc(alarm, doc.version), expects: doc.version });
    if (comment) systemComment(work, alarm, caller.userId, comment, context.now());
    await announce(work, context, caller, type, alarm);
    try {
      await context.backend.commit(work);
      return alarm;
    } catch (cause) {
      if (!(cause instanceof VersionConflict) || tried === TRIES) throw cause;
    }
  }
}

/** Alarms of a user who goes are nobody's. */
export async function unassignAlarms(work: Work, context: ApiContext, caller: Caller, user: Doc): Promise<void> {
  const name = [user.body['firstName'], user.body['lastName']].filter(Boolean).join(' ') || user.name;
  const now = context.now();
  for (const doc of await everyDocOf(context, 'ALARM', user.tenantId)) {
    if (doc.body['assigneeId'] !== user.id) continue;
    const alarm: Alarm = { ...alarmOf(doc), assigneeId: null, assignTs: now };
    work.docs.push({ doc: alarmDoc(alarm, doc.version) });
    const text = `Alarm was unassigned because user ${name} - was deleted`;
    systemComment(work, alarm, null, { text, subtype: 'UNASSIGNED_FROM_DELETED_USER', userName: name }, now);
    await announce(work, context, caller, 'ALARM_UNASSIGNED', alarm);
  }
}

/** With its history, and from the lists of those who show it. */
export async function removeAlarm(work: Work, context: ApiContext, { tenantId, id }: Doc): Promise<void> {
  work.docs.push({ remove: { collection: 'ALARM', tenantId, id } });
  work.purges.push({ tenantId, entity: { entityType: 'ALARM', id } });
  for (const comment of await everyDocOf(context, 'ALARM_COMMENT', tenantId, { ref: id }))
    work.docs.push({ remove: { collection: 'ALARM_COMMENT', tenantId, id: comment.id } });
}
