import { parseJson, printJson } from '#engine/json.ts';
import { type Message, withChanges } from '#engine/message.ts';
import type { NodeInfo, Outcome } from '#engine/node.ts';
import type { Script, ScriptResult } from '#engine/script.ts';
import type { Alarm, Services } from '#engine/services.ts';
import { enqueueNodeAction } from './action-message.ts';
import { scriptArgs } from './script.ts';

/** What create and clear alarm share. */

export const alarmKey = (message: Message, type: string): string => `${message.originator.entityType} ${message.originator.id} ${type}`;

/**
 * Works on messages about alarms so that those about one alarm come one after the other, each seeing what the one before did, and still crosses to the script
 * host once for all that do not depend on one another: in rounds, each with the next message of every alarm.
 * @param toJob `key` names the alarm. An error is the outcome of its message alone.
 * @param round gives its jobs' outcomes in order.
 */
export async function inRounds<T extends { readonly key: string }>(
  messages: readonly Message[],
  toJob: (message: Message) => T,
  round: (jobs: readonly T[]) => Promise<(Outcome | Error)[]>,
): Promise<(Outcome | Error)[]> {
  const outcomes: (Outcome | Error)[] = [];
  let left: { readonly job: T; readonly place: number }[] = [];
  for (const [place, message] of messages.entries()) {
    try {
      left.push({ job: toJob(message), place });
    } catch (cause) {
      outcomes[place] = cause as Error;
    }
  }
  while (left.length > 0) {
    const keys = new Set<string>();
    const now = left.filter(({ job }) => !keys.has(job.key) && keys.add(job.key));
    const results = await round(now.map(({ job }) => job));
    for (const [index, { place }] of now.entries()) outcomes[place] = results[index]!;
    left = left.filter((entry) => !now.includes(entry));
  }
  return outcomes;
}

export type AlarmDetails = Pick<Alarm, 'details' | 'exactDetails'>;

/** Of JSON text. Numbers that JS alone would change (`1.0`, 64-bit) are kept beside it as they are. */
export function alarmDetails(text: string): AlarmDetails {
  const details: unknown = JSON.parse(text);
  const exact = printJson(parseJson(text));
  return exact === JSON.stringify(details) ? { details } : { details, exactDetails: exact };
}

/** The script's arguments; on an alarm that exists its present details are in the metadata. */
export const detailsArgs = (message: Message, alarm: Alarm | null): ReturnType<typeof scriptArgs> =>
  scriptArgs(alarm ? withChanges(message, { metadata: { ...message.metadata, prevAlarmDetails: detailsText(alarm) } }) : message);

const detailsText = ({ details, exactDetails }: Alarm): string => exactDetails ?? JSON.stringify(details ?? null);

export const runDetails = async (
  script: Script,
  jobs: readonly { readonly message: Message; readonly alarm: Alarm | null }[],
  scripts: Services['scripts'],
): Promise<ScriptResult[]> =>
  jobs.length === 0
    ? []
    : scripts.run(
        script,
        jobs.map(({ message, alarm }) => detailsArgs(message, alarm)),
      );

/** Enqueues the action message and gives the alarm as a message behind the node. */
export async function alarmOutcome(
  message: Message,
  alarm: Alarm,
  { action, to, flag }: { action: string; to: string; flag: string },
  node: NodeInfo,
  { alarms, messages }: Pick<Services, 'alarms' | 'messages'>,
): Promise<Outcome> {
  const data = await alarms.toJson(alarm);
  enqueueNodeAction({ type: action, originator: alarm.originator, data }, node, messages);
  return { to, message: withChanges(message, { type: 'ALARM', data, metadata: { ...message.metadata, [flag]: 'true' } }) };
}
