import { type Static, Type } from 'typebox';
import { isJsonObject, type Json, json } from '#engine/json.ts';
import { type Message, metadataTs } from '#engine/message.ts';
import { defineNode, type NodeContext, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Script, ScriptResult } from '#engine/script.ts';
import type { Alarm, NewAlarm, Severity } from '#engine/services.ts';
import { alarmKey, alarmOutcome, inRounds, runDetails } from '../../shared/alarms.ts';
import { nullable, texts } from '../../shared/fields.ts';
import { fillRequired } from '../../shared/required-pattern.ts';
import { DEFAULT_DETAILS, detailsChoice, detailsFields, scriptError, startScript } from '../../shared/script.ts';

const SEVERITIES: readonly string[] = ['CRITICAL', 'MAJOR', 'MINOR', 'WARNING', 'INDETERMINATE'] satisfies Severity[];

const CreateAlarm = Config({
  alarmType: nullable(Type.String(), { title: 'Alarm type', description: 'Pattern; an originator has one active alarm of a type.' }),
  ...detailsFields,
  severity: nullable(Type.String(), {
    title: 'Severity',
    description: 'CRITICAL, MAJOR, MINOR, WARNING or INDETERMINATE; a pattern when it is dynamic.',
    examples: SEVERITIES,
  }),
  dynamicSeverity: Type.Boolean({ title: 'Severity is a pattern', description: 'Filled from each message.' }),
  propagate: Type.Boolean({ title: 'Propagate to related', description: 'Related entities show the alarm too.' }),
  propagateToOwner: Type.Boolean({ title: 'Propagate to owner', description: 'The owner of the originator shows the alarm too.' }),
  propagateToTenant: Type.Boolean({ title: 'Propagate to tenant', description: 'The tenant shows the alarm too.' }),
  relationTypes: texts({ title: 'Relation types', description: 'Propagates along these; none: along all.' }),
  useMessageAlarmData: Type.Boolean({
    title: 'Alarm from the message',
    description: 'Type, severity, propagation and details are taken from the message data.',
  }),
  overwriteAlarmDetails: Type.Boolean({ title: 'Overwrite details', description: 'Runs the script also when the alarm comes from the message.' }),
});
type Context = NodeContext<Static<typeof CreateAlarm>, Script, 'alarms' | 'entities' | 'messages' | 'scripts'>;

/** What makes the alarm what it should be, apart from details and times. */
type Wanted = Pick<NewAlarm, 'type' | 'severity' | 'propagate' | 'propagateToOwner' | 'propagateToTenant' | 'propagateRelationTypes'> & {
  readonly details?: unknown;
};
interface Job {
  readonly key: string;
  readonly message: Message;
  readonly wanted: Wanted;
}

export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbCreateAlarmNode',
  version: 0,
  family: 'ACTION',
  label: 'create alarm',
  summary: 'Creates the alarm of the originator, or updates the one that is active.',
  relations: ['Created', 'Updated', 'False'],
  effect: true,
  config: CreateAlarm,
  defaults: {
    alarmType: 'General Alarm',
    ...DEFAULT_DETAILS,
    severity: 'CRITICAL',
    dynamicSeverity: false,
    propagate: false,
    propagateToOwner: false,
    propagateToTenant: false,
    relationTypes: [],
    useMessageAlarmData: false,
    overwriteAlarmDetails: false,
  },
  missing: { overwriteAlarmDetails: true },
  needs: ['alarms', 'entities', 'messages', 'scripts'],
  async start({ config, scripts }): Promise<Script> {
    const script = await startScript('details', detailsChoice(config), scripts);
    if (!config.dynamicSeverity && !SEVERITIES.includes(config.severity ?? '')) throw new Error(`Incorrect Alarm Severity value: ${config.severity}`);
    return script;
  },
  processBatch: (messages, context) =>
    inRounds(
      messages,
      (message): Job => {
        const wanted = context.config.useMessageAlarmData ? fromMessage(json(message)) : fromConfig(message, context.config);
        return { key: alarmKey(message, wanted.type), message, wanted };
      },
      (jobs) => runRound(jobs, context),
    ),
});

function fromConfig(message: Message, config: Context['config']): Wanted {
  const severity = config.dynamicSeverity ? fillRequired(config.severity, message) : config.severity!;
  if (!SEVERITIES.includes(severity)) throw new Error('Used incorrect pattern or Alarm Severity not included in message');
  return {
    type: fillRequired(config.alarmType, message),
    severity: severity as Severity,
    propagate: config.propagate,
    propagateToOwner: config.propagateToOwner,
    propagateToTenant: config.propagateToTenant,
    propagateRelationTypes: (config.relationTypes ?? []).filter((type) => type !== null),
  };
}

function fromMessage(data: Json): Wanted {
  if (!isJsonObject(data)) throw new Error('Message body is not an alarm!');
  const { type = null, severity = null, propagateRelationTypes } = data;
  const missing = [severity === null && 'severity must not be null', type === null && 'type must not be null'].filter(Boolean);
  if (missing.length > 0) throw new Error(`Validation error: ${missing.join(', ')}`);
  if (typeof type !== 'string' || typeof severity !== 'string' || !SEVERITIES.includes(severity))
    throw new Error(`Message body is not an alarm: ${JSON.stringify({ type, severity })}`);
  return {
    type,
    severity: severity as Severity,
    propagate: data['propagate'] === true,
    propagateToOwner: data['propagateToOwner'] === true,
    propagateToTenant: data['propagateToTenant'] === true,
    propagateRelationTypes: Array.isArray(propagateRelationTypes) ? propagateRelationTypes.map(String) : [],
  };
}

/** Every job is about another alarm, so that one call to the script host serves them all. */
async function runRound(jobs: readonly Job[], context: Context): Promise<(Outcome | Error)[]> {
  const { config, alarms, scripts, state } = context;
  const found = await Promise.all(jobs.map(async (job) => ({ ...job, alarm: await alarms.active(job.message.originator, job.wanted.type) })));
  const usesScript = !config.useMessageAlarmData || config.overwriteAlarmDetails;
  const results = usesScript ? await runDetails(state, found, scripts) : [];
  const outcomes: (Outcome | Error)[] = [];
  for (const [index, { message, wanted, alarm }] of found.entries()) {
    try {
      const details = usesScript ? scriptDetails(results[index]!) : messageDetails(message);
      outcomes.push(await save(message, wanted, alarm, details, context));
    } catch (cause) {
      outcomes.push(cause as Error);
    }
  }
  return outcomes;
}

function scriptDetails(result: ScriptResult): unknown {
  if (!result.ok) throw scriptError(result.fault);
  return result.json === undefined ? {} : JSON.parse(result.json);
}

const messageDetails = (message: Message): unknown => {
  const { details = {} } = JSON.parse(message.data);
  return details;
};

async function save(message: Message, wanted: Wanted, alarm: Alarm | null, details: unknown, context: Context): Promise<Outcome> {
  const { config, node, alarms, entities, messages } = context;
  if (alarm) {
    const updated = await alarms.update({ ...alarm, ...wanted, details, endTs: messages.now() });
    return alarmOutcome(message, updated, { action: 'ENTITY_UPDATED', to: 'Updated', flag: 'isExistingAlarm' }, node, context);
  }
  const ts = config.useMessageAlarmData ? messages.now() : metadataTs(message);
  const customerId = await entities.customerOf(message.originator);
  const created = await alarms.create({ ...wanted, originator: message.originator, customerId, details, startTs: ts, endTs: ts });
  return alarmOutcome(message, created, { action: 'ENTITY_CREATED', to: 'Created', flag: 'isNewAlarm' }, node, context);
}
