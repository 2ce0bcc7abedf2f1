import { newId } from '../id.ts';
import type { EntityRef } from '../message.ts';
import { spread, tellSeverity } from '../services/alarm-effects.ts';
import { alarmDoc } from '../services/alarms.ts';
import { relationServices } from '../services/relations.ts';
import type { Alarm, Severity } from '../services.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, refOf, writable } from './access.ts';
import { alarmOf, announce } from './alarm-docs.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { idOf } from './required.ts';
import { checkName } from './save.ts';

type Json = Record<string, unknown>;

/** Most severe first. */
export const SEVERITIES: readonly Severity[] = ['CRITICAL', 'MAJOR', 'MINOR', 'WARNING', 'INDETERMINATE'];

/** Creates an alarm, or updates the one that is meant: by id, else the active one of the same originator and type (specs: rest-api §2.17). */
export async function saveAlarm(context: ApiContext, caller: Caller, fields: Json): Promise<Alarm> {
  const id = idOf(fields, 'id', 'ALARM');
  const origin = await originatorOf(context, caller, fields);
  const type = required(fields, 'type');
  checkName('Alarm', type, 'type');
  const severity = required(fields, 'severity') as Severity;
  if (!SEVERITIES.includes(severity)) throw badRequest(`Validation error: severity should be one of ${SEVERITIES.join(', ')}`);
  const stored = id === null ? await activeAlarm(context, origin, type) : await writable(context, caller, { entityType: 'ALARM', id });

  const now = context.now();
  const old = stored && alarmOf(stored);
  const startTs = time(fields, 'startTs') || old?.startTs || time(fields, 'endTs') || now;
  const endTs = time(fields, 'endTs') || (old ? Math.max(now, startTs) : startTs);
  if (startTs > endTs) throw badRequest("Alarm start ts can't be greater then alarm end ts!");
  const own = {
    type,
    severity,
    startTs,
    endTs,
    details: fields['details'] ?? old?.details ?? {},
    propagate: fields['propagate'] === true,
    propagateToOwner: fields['propagateToOwner'] === true,
    propagateToTenant: fields['propagateToTenant'] === true,
    propagateRelationTypes: texts(fields, 'propagateRelationTypes'),
  };
  const alarm: Alarm = old ? { ...old, ...own } : { ...born(caller, fields, origin, now), ...own };
  const work = new Work();
  work.docs.push(stored ? { doc: alarmDoc(alarm, stored.version), expects: stored.version } : { doc: alarmDoc(alarm), expects: 0 });
  const changed = old !== null && old.severity !== severity;
  if (old) tellSeverity(work, old, alarm, caller.userId, now);
  await spread(work, alarm, old, relationServices(alarm.tenantId, work, context.backend.store));
  await announce(work, context, caller, !old ? 'ALARM_CREATED' : changed ? 'ALARM_SEVERITY_UPDATED' : 'ALARM_UPDATED', alarm);
  await context.backend.commit(work);
  return alarm;
}

function born(
  caller: Caller,
  fields: Json,
  origin: Doc,
  now: number,
): Omit<Alarm, 'type' | 'severity' | 'startTs' | 'endTs' | 'details' | `propagate${string}`> {
  const acknowledged = fields['acknowledged'] === true;
  const cleared = fields['cleared'] === true;
  const assigneeId = idOf(fields, 'assigneeId', 'USER');
  return {
    id: newId(now),
    tenantId: caller.tenantId,
    createdTime: now,
    customerId: origin.customerId ?? null,
    originator: { entityType: origin.collection as EntityRef['entityType'], id: origin.id },
    acknowledged,
    cleared,
    assigneeId,
    ackTs: acknowledged ? time(fields, 'ackTs') || now : 0,
    clearTs: cleared ? time(fields, 'clearTs') || now : 0,
    assignTs: assigneeId === null ? 0 : now,
  };
}

async function originatorOf(context: ApiContext, caller: Caller, fields: Json): Promise<Doc> {
  const originator = fields['originator'] as { entityType?: unknown; id?: unknown } | null | undefined;
  if (!originator) throw notFound();
  if (typeof originator.entityType !== 'string' || typeof originator.id !== 'string') throw badRequest('Missing entityType or id!');
  return readable(context, caller, refOf(originator.entityType, originator.id));
}

async function activeAlarm({ backend }: ApiContext, origin: Doc, type: string): Promise<Doc | null> {
  const states = ['ACTIVE_UNACK', 'ACTIVE_ACK'];
  const { data } = await backend.store.docs('ALARM', origin.tenantId, { ref: origin.id, kind: type, states, order: 'DESC', pageSize: 1 });
  return data[0] ?? null;
}

function required(fields: Json, key: string): string {
  const value = fields[key] ?? null;
  if (value === null) throw badRequest(`Validation error: ${key} must not be null`);
  if (typeof value !== 'string') throw badRequest(`Validation error: ${key} is not a text`);
  return value;
}

/** 0: not given. */
function time(fields: Json, key: string): number {
  const value = fields[key] ?? 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw badRequest(`Validation error: ${key} is not a time`);
  return value;
}

function texts(fields: Json, key: string): string[] {
  const value = fields[key] ?? [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw badRequest(`Validation error: ${key} is not a list of texts`);
  return value;
}
