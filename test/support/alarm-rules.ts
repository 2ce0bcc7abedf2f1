import type { Message } from '#engine/message.ts';
import type { Emission, Outcome } from '#engine/node.ts';
import type { Alarm } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import deviceProfile from '#rulechains/nodes/action/device-profile.ts';
import { DEVICE, message, TENANT } from './message.ts';
import { NOW, services, start, type World } from './services.ts';

/** Alarm rules as clients send them, and a device that has them. */

export const PROFILE = 'cccccccc-0000-1000-8000-000000000001';
export const CUSTOMER = 'cccccccc-0000-1000-8000-000000000002';

export const number = (operation: string, defaultValue: number | null, more: object = {}, key: object = {}) => ({
  key: { type: 'TIME_SERIES', key: 'temperature', ...key },
  valueType: 'NUMERIC',
  predicate: { type: 'NUMERIC', operation, value: { defaultValue, ...more } },
});
export const rule = (filters: readonly object[], spec: object = { type: 'SIMPLE' }, more: object = {}) => ({
  condition: { condition: filters, spec },
  ...more,
});
export const above = (limit: number, spec?: object, more?: object) => rule([number('GREATER', limit)], spec, more);
export const below = (limit: number, spec?: object, more?: object) => rule([number('LESS', limit)], spec, more);
export const minutes = (defaultValue: number, more: object = {}) => ({ type: 'DURATION', unit: 'MINUTES', predicate: { defaultValue, ...more } });
export const times = (defaultValue: number, more: object = {}) => ({ type: 'REPEATING', predicate: { defaultValue, ...more } });
export const dynamic = (sourceAttribute: string, sourceType = 'CURRENT_DEVICE', inherit = false) => ({
  dynamicValue: { sourceType, sourceAttribute, inherit },
});
export const high = (fields: object) => [{ id: 'high', alarmType: 'High', ...fields }];

const doc = (fields: Pick<Doc, 'collection' | 'id' | 'name' | 'body'> & Partial<Doc>): Doc => ({
  ...{ tenantId: TENANT, createdTime: 1, version: 1 },
  ...fields,
});
export const profileDoc = (alarms: unknown, fields: Partial<Doc> = {}): Doc =>
  doc({ collection: 'DEVICE_PROFILE', id: PROFILE, name: 'thermometer', body: { profileData: { alarms } }, ...fields });
export const deviceDoc = (profileId = PROFILE): Doc =>
  doc({
    ...{ collection: 'DEVICE', id: DEVICE, name: 'TH-1', kind: 'thermometer', label: 'Cold room', customerId: CUSTOMER },
    body: { deviceProfileId: { entityType: 'DEVICE_PROFILE', id: profileId } },
  });

export const temperature = (value: unknown, ts = NOW): Message => message({ data: { temperature: value }, metadata: { ts: String(ts) } });
export const attributes = (data: object, fields: Partial<Message> = {}): Message =>
  message({ type: 'ATTRIBUTES_UPDATED', metadata: { scope: 'SERVER_SCOPE' }, ...fields, data });

/** The node with a device; what it remembers, its alarms and the clock go on from one call to the next. */
/** @param gone ids of documents that are not there */
export function openDevice(
  alarms: unknown,
  { gone = [], ...world }: World & { gone?: readonly string[] } = {},
  config: Record<string, unknown> = {},
) {
  const docs: Record<string, Doc> = { [DEVICE]: deviceDoc(), [PROFILE]: profileDoc(alarms), ...world.docs };
  for (const id of gone) delete docs[id];
  const clock = { at: NOW };
  /** By the last timer. */
  const emitted: Emission[] = [];
  const given = services(world);
  const timed = {
    ...given,
    messages: { ...given.messages, now: () => clock.at },
    entities: { ...given.entities, find: async ({ id }: { id: string }) => docs[id] ?? null },
  };
  const context = async () => (await start(deviceProfile, { services: timed, config })) as never;
  return {
    ...{ did: given.did, clock, docs, services: timed, emitted },
    /** Of each message: where it and its alarms went. */
    send: async (...messages: readonly Message[]) => (await deviceProfile.processBatch!(messages, await context())).map(shown),
    /** The timer that was set last is due. */
    due: async (after: number) => {
      clock.at = NOW + after;
      const [, , key] = given.did.findLast(([what]) => what === 'remind') ?? [];
      const emissions = await deviceProfile.due!(String(key), message(), await context());
      emitted.splice(0, emitted.length, ...emissions);
      return emissions.map(label);
    },
    /** When they are due, ms from the start. */
    timers: () => given.did.filter(([what]) => what === 'remind').map(([, , , at]) => Number(at) - NOW),
    /** What was done to alarms, and their severity. */
    alarms: () => given.did.filter(([what]) => String(what).endsWith('alarm')).map(([what, alarm]) => [what, (alarm as Alarm).severity]),
    written: (what: 'create alarm' | 'update alarm') => given.did.filter(([did]) => did === what).map(([, alarm]) => alarm as Alarm),
  };
}

const COUNTED = ['alarmConditionRepeats', 'alarmConditionDuration'];

/** The relation, and what the rule had to count. */
function label({ to, message: sent }: Emission): unknown {
  const counts = COUNTED.flatMap((key) => sent?.metadata[key] ?? []);
  return counts.length === 0 ? to : `${String(to)} ${counts.join()}`;
}

function shown(outcome: Outcome | Error): unknown {
  if (outcome instanceof Error) return outcome.message;
  return Array.isArray(outcome) ? outcome.map(label) : outcome;
}
