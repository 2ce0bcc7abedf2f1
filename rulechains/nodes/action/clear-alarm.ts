import { type Static, Type } from 'typebox';
import type { Message } from '#engine/message.ts';
import { defineNode, type NodeContext, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Script } from '#engine/script.ts';
import type { Alarm } from '#engine/services.ts';
import { alarmDetails, alarmKey, alarmOutcome, inRounds, runDetails } from '../../shared/alarms.ts';
import { nullable } from '../../shared/fields.ts';
import { fillRequired } from '../../shared/required-pattern.ts';
import { DEFAULT_DETAILS, detailsChoice, detailsFields, scriptError, startScript } from '../../shared/script.ts';

const ClearAlarm = Config({
  alarmType: nullable(Type.String(), { title: 'Alarm type', description: 'Pattern; not looked at when the originator is an alarm itself.' }),
  ...detailsFields,
});
type Context = NodeContext<Static<typeof ClearAlarm>, Script, 'alarms' | 'messages' | 'scripts'>;
interface Job {
  readonly key: string;
  readonly message: Message;
  readonly type: string;
}

/** Without an alarm to clear the message goes on as it is, by False. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbClearAlarmNode',
  version: 0,
  family: 'ACTION',
  label: 'clear alarm',
  summary: 'Clears the active alarm of the originator.',
  relations: ['Cleared', 'False'],
  effect: true,
  config: ClearAlarm,
  defaults: { alarmType: 'General Alarm', ...DEFAULT_DETAILS },
  needs: ['alarms', 'messages', 'scripts'],
  start: ({ config, scripts }): Promise<Script> => startScript('details', detailsChoice(config), scripts),
  processBatch: (messages, context) =>
    inRounds(
      messages,
      (message): Job => {
        const type = fillRequired(context.config.alarmType, message);
        return { key: alarmKey(message, type), message, type };
      },
      (jobs) => runRound(jobs, context),
    ),
});

async function runRound(jobs: readonly Job[], context: Context): Promise<(Outcome | Error)[]> {
  const { node, state, alarms, messages, scripts } = context;
  const found = await Promise.all(
    jobs.map(async ({ message, type }) => ({
      message,
      alarm: await (message.originator.entityType === 'ALARM' ? alarms.byId(message.originator.id) : alarms.active(message.originator, type)),
    })),
  );
  const active = found.filter((job): job is { message: Message; alarm: Alarm } => job.alarm !== null && !job.alarm.cleared);
  const results = await runDetails(state, active, scripts);
  const outcomes = new Map<Message, Outcome | Error>();
  for (const [index, { message, alarm }] of active.entries()) {
    const result = results[index]!;
    if (!result.ok) {
      outcomes.set(message, scriptError(result.fault));
      continue;
    }
    try {
      const { details, exactDetails } = result.json === undefined ? alarm : alarmDetails(result.json);
      const cleared = await alarms.clear({ ...alarm, exactDetails }, messages.now(), details);
      outcomes.set(message, await alarmOutcome(message, cleared, { action: 'ALARM_CLEAR', to: 'Cleared', flag: 'isClearedAlarm' }, node, context));
    } catch (cause) {
      outcomes.set(message, cause as Error);
    }
  }
  return found.map(({ message }) => outcomes.get(message) ?? { to: 'False', effect: false });
}
