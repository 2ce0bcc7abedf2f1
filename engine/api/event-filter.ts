import type { EventQuery } from '../store.ts';
import { badRequest } from './errors.ts';

/**
 * Keys that a filter of each type may have, and the key of the event's body that they look into (specs: rest-api §2.18).
 * `errorStr`, `isError` and `server` are those of every type.
 */
const FILTERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // `entityName`: what ThingsBoard's UI calls the entity's type here.
  DEBUG_RULE_NODE: {
    msgDirectionType: 'type',
    entityId: 'entityId',
    entityType: 'entityType',
    entityName: 'entityType',
    msgId: 'msgId',
    msgType: 'msgType',
    relationType: 'relationType',
    dataSearch: 'data',
    metadataSearch: 'metadata',
  },
  DEBUG_RULE_CHAIN: { message: 'message' },
  DEBUG_CONVERTER: { type: 'type', in: 'in', out: 'out', metadata: 'metadata' },
  DEBUG_INTEGRATION: { type: 'type', message: 'message', statusIntegration: 'status' },
  LC_EVENT: { event: 'event' },
  STATS: {},
  ERROR: { method: 'method' },
  RAW_DATA: { uuid: 'uuid', messageType: 'messageType', message: 'message' },
  DEBUG_CALCULATED_FIELD: {
    calculatedFieldId: 'calculatedFieldId',
    entityId: 'entityId',
    entityType: 'entityType',
    msgId: 'msgId',
    msgType: 'msgType',
    arguments: 'arguments',
    result: 'result',
  },
};
const COMMON = { server: 'server', errorStr: 'error' };
const RANGES = {
  messagesProcessed: ['minMessagesProcessed', 'maxMessagesProcessed'],
  errorsOccurred: ['minErrorsOccurred', 'maxErrorsOccurred'],
} as const;

/** The type as it is stored; case does not matter. @throws HttpError 400 */
export function eventType(text: string): string {
  const type = text.toUpperCase();
  if (!Object.hasOwn(FILTERS, type)) throw badRequest(`Event type: '${text}' is not supported!`);
  return type;
}

/** EventFilter of a request. Unknown keys are ignored. @throws HttpError 400 without a known `eventType` */
export function eventFilter(filter: Record<string, unknown>): EventQuery {
  if (typeof filter['eventType'] !== 'string') throw badRequest('Validation error: eventType must not be null');
  const type = eventType(filter['eventType']);
  const contains: Record<string, string> = {};
  for (const [key, bodyKey] of Object.entries({ ...COMMON, ...FILTERS[type] })) {
    const value = filter[key];
    if (value !== undefined && value !== null && value !== '') contains[bodyKey] = String(value);
  }
  if (type === 'LC_EVENT' && typeof filter['status'] === 'string' && filter['status'] !== '') {
    contains['success'] = String(filter['status'].toLowerCase() === 'success');
  }
  const ranges: Record<string, readonly [number | null, number | null]> = {};
  if (type === 'STATS') {
    for (const [key, [min, max]] of Object.entries(RANGES)) {
      if (filter[min] !== undefined || filter[max] !== undefined) ranges[key] = [bound(filter, min), bound(filter, max)];
    }
  }
  return {
    type,
    ...(Object.keys(contains).length > 0 ? { contains } : {}),
    ...(Object.keys(ranges).length > 0 ? { ranges } : {}),
    ...(String(filter['isError']) === 'true' ? { isError: true } : {}),
  };
}

function bound(filter: Record<string, unknown>, key: string): number | null {
  const value = filter[key] ?? null;
  if (value === null || value === '') return null;
  const number = Number(value);
  if (!Number.isFinite(number)) throw badRequest(`Validation error: ${key} is not a number`);
  return number;
}
