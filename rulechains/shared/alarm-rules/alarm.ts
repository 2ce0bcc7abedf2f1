import { SEVERITIES } from '#engine/alarm-rules/rules.ts';
import { valueText } from '#engine/json.ts';
import { createMessage, type EntityRef, type Metadata } from '#engine/message.ts';
import type { Emission, NodeInfo } from '#engine/node.ts';
import type { Alarm, Services, Severity } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { keyName, type Values } from './condition.ts';
import type { Rule, RuledAlarm } from './profile.ts';

/** Raising and clearing the alarms of a device, and telling of it. */

/** Of the message that made the rule true, or of the last one when it was the clock. */
export interface Occasion {
  readonly metadata: Metadata;
  readonly queueName: string | null;
  readonly customerId: string | null;
}

export interface AlarmContext {
  readonly node: NodeInfo;
  readonly device: Doc;
  readonly alarms: Services['alarms'];
  readonly messages: Services['messages'];
}

/** An alarm that is there gets the severity of the rule, never a lower one: then nothing happens. @param ts of the values that made it true */
export async function raise(
  { alarm: { alarmType, ...flags } }: RuledAlarm,
  { rule, name }: Rule & { readonly name: Severity },
  ts: number,
  values: Values,
  context: AlarmContext,
): Promise<{ to: string; flags: Metadata; alarm: Alarm } | null> {
  const { alarms, messages, device } = context;
  const now = messages.now();
  const originator = originatorOf(device);
  const active = await alarms.active(originator, alarmType);
  const details = detailsOf(rule, values, active);
  if (active) {
    const rank = SEVERITIES.indexOf(name) - SEVERITIES.indexOf(active.severity);
    if (rank > 0) return null;
    const alarm = await alarms.update({ ...active, severity: name, details, endTs: now });
    if (rank === 0) return { to: 'Alarm Updated', flags: { isExistingAlarm: 'true' }, alarm };
    return { to: 'Alarm Severity Updated', flags: { isExistingAlarm: 'true', isSeverityUpdated: 'true' }, alarm };
  }
  const startTs = ts <= 0 || ts > now ? now : ts;
  const alarm = await alarms.create({
    type: alarmType,
    originator,
    customerId: device.customerId ?? null,
    severity: name,
    startTs,
    endTs: startTs,
    details,
    propagate: flags.propagate,
    propagateToOwner: flags.propagateToOwner,
    propagateToTenant: flags.propagateToTenant,
    propagateRelationTypes: flags.propagateRelationTypes ?? [],
  });
  return { to: 'Alarm Created', flags: { isNewAlarm: 'true' }, alarm };
}

export async function clear(active: Alarm, { rule }: Rule, values: Values, { alarms, messages }: AlarmContext) {
  const alarm = await alarms.clear(active, messages.now(), detailsOf(rule, values, active));
  return { to: 'Alarm Cleared', flags: { isClearedAlarm: 'true' } as Metadata, alarm };
}

export const originatorOf = ({ id }: Doc): EntityRef => ({ entityType: 'DEVICE', id });

/** The rule's text with the values of its condition; without one the details stay. */
function detailsOf({ alarmDetails, dashboardId, condition }: Rule['rule'], values: Values, active: Alarm | null): unknown {
  if (!alarmDetails && !dashboardId) return active?.details ?? {};
  const details: Record<string, string> = {};
  if (alarmDetails) {
    let text = alarmDetails;
    for (const { key } of condition.condition) {
      const value = key.type === 'CONSTANT' ? null : values.of(keyName(key));
      if (value) text = text.replaceAll(`\${${key.key}}`, () => valueText(value));
    }
    details['data'] = text;
  }
  if (dashboardId) details['dashboardId'] = dashboardId.id;
  return details;
}

/** The alarm on its way behind the node: a new message. @param count what the rule had to count, as metadata */
export async function alarmMessage(
  { to, flags, alarm }: { readonly to: string; readonly flags: Metadata; readonly alarm: Alarm },
  count: Metadata,
  { metadata, queueName, customerId }: Occasion,
  { node, device, alarms, messages }: AlarmContext,
): Promise<Emission> {
  const message = createMessage(
    {
      tenantId: node.tenantId,
      type: 'ALARM',
      originator: originatorOf(device),
      customerId,
      queueName,
      metadata: { ...metadata, ...flags, ...count },
      data: await alarms.toJson(alarm),
    },
    messages.newId,
    messages.now(),
  );
  return { to, message, effect: true };
}
