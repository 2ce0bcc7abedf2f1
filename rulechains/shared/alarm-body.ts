import { isUuid } from '#engine/id.ts';
import { Double, firstJson, isJsonObject, type Json, plainText, printJson } from '#engine/json.ts';
import { ENTITY_TYPES, type EntityRef, type EntityType, type Message } from '#engine/message.ts';
import type { Severity } from '#engine/services.ts';

/** An alarm that the data of a message describes, read as Java's mapping does: what it can turn into the type that it needs, it takes; unknown keys mean nothing. */

/** Most severe first. */
export const SEVERITIES: readonly string[] = ['CRITICAL', 'MAJOR', 'MINOR', 'WARNING', 'INDETERMINATE'] satisfies Severity[];

export interface AlarmBody {
  readonly type: string | null;
  readonly severity: Severity | null;
  /** null: that of the message. */
  readonly originator: EntityRef | null;
  readonly customerId: string | null;
  /** Unix ms; 0: not said. */
  readonly startTs: number;
  readonly endTs: number;
  readonly propagate: boolean;
  readonly propagateToOwner: boolean;
  readonly propagateToTenant: boolean;
  readonly propagateRelationTypes: readonly string[];
  /** JSON text; null: not said. */
  readonly details: string | null;
}

class NoAlarm extends Error {}

/** @throws Error when it is no alarm. */
export function alarmBody(message: Message): AlarmBody {
  try {
    const data = firstJson(message);
    if (!isJsonObject(data)) throw new NoAlarm();
    const { originator = null, customerId = null, details } = data;
    return {
      type: toText(data['type']),
      severity: toSeverity(data['severity']),
      originator: originator === null ? null : toRef(originator),
      customerId: customerId === null ? null : toId(customerId),
      startTs: toTime(data['startTs']),
      endTs: toTime(data['endTs']),
      propagate: toFlag(data['propagate']),
      propagateToOwner: toFlag(data['propagateToOwner']),
      propagateToTenant: toFlag(data['propagateToTenant']),
      propagateRelationTypes: toTexts(data['propagateRelationTypes']),
      details: details === undefined ? null : printJson(details),
    };
  } catch (cause) {
    if (!(cause instanceof NoAlarm)) throw cause;
    throw new Error(`The given string value cannot be transformed to Json object: ${message.data}`);
  }
}

type Given = Json | undefined;

const isScalar = (value: Json): boolean => typeof value !== 'object' || value instanceof Double;

function toText(value: Given): string | null {
  if (value === undefined || value === null) return null;
  if (!isScalar(value)) throw new NoAlarm();
  return plainText(value);
}

/** By its name or its place. */
function toSeverity(value: Given): Severity | null {
  if (value === undefined || value === null) return null;
  const name = typeof value === 'number' ? SEVERITIES[value] : value;
  if (typeof name !== 'string' || !SEVERITIES.includes(name)) throw new NoAlarm();
  return name as Severity;
}

function toTime(value: Given): number {
  if (value === undefined || value === null || value === '') return 0;
  const number = value instanceof Double ? value.value : typeof value === 'string' && /^\s*-?\d{1,16}\s*$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) throw new NoAlarm();
  return Math.trunc(number);
}

function toFlag(value: Given): boolean {
  if (value === undefined || value === null || value === '') return false;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isInteger(value)) return value !== 0;
  if (typeof value !== 'string' || !/^(?:true|True|TRUE|false|False|FALSE)$/.test(value)) throw new NoAlarm();
  return value.toLowerCase() === 'true';
}

function toTexts(value: Given): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new NoAlarm();
  return value.flatMap((one) => toText(one) ?? []);
}

function toId(value: Json): string {
  const id = isJsonObject(value) ? value['id'] : null;
  if (typeof id !== 'string' || !isUuid(id)) throw new NoAlarm();
  return id.toLowerCase();
}

function toRef(value: Json): EntityRef {
  const entityType = isJsonObject(value) ? value['entityType'] : null;
  if (!(ENTITY_TYPES as readonly Given[]).includes(entityType ?? undefined)) throw new NoAlarm();
  return { entityType: entityType as EntityType, id: toId(value) };
}
