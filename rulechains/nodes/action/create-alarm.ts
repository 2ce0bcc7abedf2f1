import { type Static, Type } from 'typebox';
import { type Message, metadataTs } from '#engine/message.ts';
import { defineNode, type NodeContext, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Script, ScriptResult } from '#engine/script.ts';
import type { Alarm, NewAlarm, Severity } from '#engine/services.ts';
import { type AlarmBody, alarmBody, SEVERITIES } from '../../shared/alarm-body.ts';
import { type AlarmDetails, alarmDetails, alarmKey, alarmOutcome, inRounds, runDetails } from '../../shared/alarms.ts';
import { nullable, texts } from '../../shared/fields.ts';
import { fillRequired } from '../../shared/required-pattern.ts';
import { DEFAULT_DETAILS, detailsChoice, detailsFields, scriptError, startScript } from '../../shared/script.ts';

const MAX_TYPE_LENGTH = 255;

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

interface Job {
  readonly key: string;
  readonly message: Message;
  readonly type: string | null;
  /** null: the configuration says what the alarm is like. */
  readonly body: AlarmBody | null;
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
        const body = context.config.useMessageAlarmData ? alarmBody(message) : null;
        const type = body ? body.type : fillRequired(context.config.alarmType, message);
        return { key: alarmKey(message, type ?? ''), message, type, body };
      },
      (jobs) => runRound(jobs, context),
    ),
});

/** Every job is about another alarm, so that one call to the script host serves them all. */
async function runRound(jobs: readonly Job[], context: Context): Promise<(Outcome | Error)[]> {
  const { config, alarms, scripts, state } = context;
  const found = await Promise.all(
    jobs.map(async (job) => ({ ...job, alarm: job.type === null ? null : await alarms.active(job.message.originator, job.type) })),
  );
  const usesScript = !config.useMessageAlarmData || config.overwriteAlarmDetails;
  const results = usesScript ? await runDetails(state, found, scripts) : [];
  const outcomes: (Outcome | Error)[] = [];
  for (const [index, { alarm, ...job }] of found.entries()) {
    try {
      const details = usesScript ? scriptDetails(results[index]!) : job.body!.details;
      outcomes.push(await save(job, alarm, alarmDetails(details ?? '{}'), context));
    } catch (cause) {
      outcomes.push(cause as Error);
    }
  }
  return outcomes;
}

function scriptDetails(result: ScriptResult): string | null {
  if (!result.ok) throw scriptError(result.fault);
  return result.json ?? null;
}

/** What the alarm should be like, apart from details and times: asked when the script has had its say, as the original does. */
function likeness(
  { message, body }: Job,
  config: Context['config'],
): Omit<NewAlarm, 'type' | 'originator' | 'customerId' | 'details' | 'startTs' | 'endTs'> {
  if (body) {
    const { severity, propagate, propagateToOwner, propagateToTenant, propagateRelationTypes } = body;
    const missing = [severity === null && 'severity must not be null', body.type === null && 'type must not be null'].filter(Boolean);
    if (missing.length > 0) throw new Error(`Validation error: ${missing.join(', ')}`);
    return { severity: severity!, propagate, propagateToOwner, propagateToTenant, propagateRelationTypes };
  }
  const severity = config.dynamicSeverity ? fillRequired(config.severity, message) : config.severity!;
  if (!SEVERITIES.includes(severity)) throw new Error('Used incorrect pattern or Alarm Severity not included in message');
  const { propagate, propagateToOwner, propagateToTenant, relationTypes } = config;
  const propagateRelationTypes = (relationTypes ?? []).filter((type) => type !== null);
  return { severity: severity as Severity, propagate, propagateToOwner, propagateToTenant, propagateRelationTypes };
}

async function save(job: Job, alarm: Alarm | null, details: AlarmDetails, context: Context): Promise<Outcome> {
  const { node, alarms, entities, messages } = context;
  const { message, body } = job;
  const like = likeness(job, context.config);
  const now = messages.now();
  if (alarm) {
    checkTimes(alarm.startTs, now);
    const updated = await alarms.update({ ...alarm, ...like, ...details, endTs: now });
    return alarmOutcome(message, updated, { action: 'ENTITY_UPDATED', to: 'Updated', flag: 'isExistingAlarm' }, node, context);
  }
  const type = job.type!;
  if (type.length > MAX_TYPE_LENGTH) throw new Error(`Validation error: type length must be equal or less than ${MAX_TYPE_LENGTH}`);
  const given = body ?? { startTs: metadataTs(message), endTs: metadataTs(message), customerId: null, originator: null };
  checkTimes(given.startTs, given.endTs);
  const startTs = given.startTs || now;
  const originator = given.originator ?? message.originator;
  const customerId = await entities.customerOf(originator);
  if (given.customerId !== null && given.customerId !== customerId) {
    throw new Error(
      `Can't assign alarm to customer. Originator ${customerId === null ? 'is not assigned to customer' : 'belongs to different customer'}!`,
    );
  }
  const created = await alarms.create({ type, ...like, originator, customerId, ...details, startTs, endTs: given.endTs || startTs });
  return alarmOutcome(message, created, { action: 'ENTITY_CREATED', to: 'Created', flag: 'isNewAlarm' }, node, context);
}

function checkTimes(startTs: number, endTs: number): void {
  if (endTs > 0 && startTs > endTs) throw new Error("Alarm start ts can't be greater then alarm end ts!");
}
