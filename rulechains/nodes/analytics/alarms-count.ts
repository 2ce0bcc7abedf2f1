import { type Static, Type } from 'typebox';
import { errorText, isPassing } from '#engine/errors.ts';
import { isJsonObject, type Json, json } from '#engine/json.ts';
import type { EntityRef, Message } from '#engine/message.ts';
import { defineNode, type Emission, type NodeContext } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Alarm } from '#engine/services.ts';
import { type CountRule, countAll, countedFrom, countMappings, type Propagating, propagation, startCounts } from '../../shared/alarm-count.ts';
import { checkEntities, dueEvery, families, parentEntitiesQuery, telemetryOf } from '../../shared/entity-set.ts';
import { nullable } from '../../shared/fields.ts';
import { periodMs, timeUnit } from '../../shared/periods.ts';

const AlarmsCount = Config({
  alarmsCountMappings: countMappings(''),
  alarmCountMappings: countMappings('; the same under its other name'),
  countAlarmsForPropagationEntities: Type.Boolean({
    title: 'Also for those that alarms propagate to',
    description: 'They get their own numbers, of all alarms that they show.',
  }),
  outMsgType: nullable(Type.String(), { title: 'Output message type', description: 'None: POST_TELEMETRY_REQUEST.' }),
  parentEntitiesQuery,
  countAlarmsForChildEntities: Type.Boolean({
    title: 'With children',
    description: 'Timer driven: the alarms of the children of an entity count too.',
  }),
  periodTimeUnit: timeUnit('Unit of the period'),
  periodValue: Type.Integer({ title: 'Period', description: 'Timer driven: when entities are given. A minute at least.' }),
});
type Needs = 'alarms' | 'groups' | 'relations' | 'messages';
type Context = NodeContext<Static<typeof AlarmsCount>, readonly CountRule[], Needs>;

/** Two forms, by the configuration: with entities by a timer, without them for the originator of the alarm that each message is about. A message for each number. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.analytics.latest.alarm.TbAlarmsCountNode',
  aliases: [
    'org.thingsboard.rule.engine.analytics.latest.alarm.TbAlarmsCountNodeV2',
    'org.thingsboard.rule.engine.analytics.latest.alarm.TbAlarmsCountV2Node',
    'org.thingsboard.rule.engine.analytics.incoming.TbAlarmsCountNode',
    'org.thingsboard.rule.engine.analytics.alarm.TbAlarmsCountNode',
  ],
  version: 0,
  family: 'ANALYTICS',
  label: 'alarms count',
  summary: 'Counts alarms by status, severity and type into telemetry of the entities that have them.',
  relations: ['Success'],
  usesQueueName: true,
  anyKey: true,
  config: AlarmsCount,
  defaults: {
    alarmsCountMappings: [{ target: 'alarmsCount', status: ['ACTIVE_UNACK', 'ACTIVE_ACK'], severity: [], type: [], interval: 0 }],
    alarmCountMappings: null,
    countAlarmsForPropagationEntities: true,
    outMsgType: 'POST_TELEMETRY_REQUEST',
    parentEntitiesQuery: null,
    countAlarmsForChildEntities: false,
    periodTimeUnit: 'MINUTES',
    periodValue: 5,
  },
  needs: ['alarms', 'groups', 'relations', 'messages'],
  start({ config, node, every }): readonly CountRule[] {
    const rules = startCounts(config.alarmsCountMappings ?? config.alarmCountMappings);
    if (config.parentEntitiesQuery) {
      checkEntities(config.parentEntitiesQuery);
      dueEvery(periodMs(config.periodTimeUnit, config.periodValue), 'entities', node, every);
    }
    return rules;
  },
  async process(message, context) {
    const about = context.config.parentEntitiesQuery ? null : alarmOf(message);
    if (!about) return [];
    const { alarms, messages, state, config, node } = context;
    const createdFrom = countedFrom(state, messages.now());
    if (!config.countAlarmsForPropagationEntities)
      return numbers(about.originator, await alarms.list({ originator: about.originator, createdFrom }), context);
    const shownBy = propagation(node.tenantId, context);
    const all = await alarms.list({ createdFrom });
    // A deleted alarm is not among them, and where it was shown has a new number all the same.
    const stored = (about.id && all.find(({ id }) => id === about.id)) || about;
    const emissions = numbers(
      about.originator,
      all.filter(({ originator }) => originator.id === about.originator.id),
      context,
    );
    for (const entity of await shownBy(stored)) {
      const shown = await Promise.all(
        all.map(async (alarm) => alarm.originator.id === entity.id || (await shownBy(alarm)).some(({ id }) => id === entity.id)),
      );
      emissions.push(
        ...numbers(
          entity,
          all.filter((_, index) => shown[index]),
          context,
        ),
      );
    }
    return emissions;
  },
  async due(_, __, context) {
    const { config, alarms, messages, node, state } = context;
    const emissions: Emission[] = [];
    const createdFrom = countedFrom(state, messages.now());
    const failed = (of: EntityRef, cause: unknown): void => {
      if (isPassing(cause)) throw cause;
      emissions.push({ to: 'Failure', message: said(of, '{}', context), error: errorText(cause) });
    };
    try {
      for (const { parent, children } of await families(checkEntities(config.parentEntitiesQuery), context)) {
        try {
          const inside = config.countAlarmsForChildEntities || parent.entityType === 'ENTITY_GROUP' ? await children() : [];
          const of = new Map([parent, ...inside].map((entity) => [entity.id, entity]));
          const lists = await Promise.all([...of.values()].map((originator) => alarms.list({ originator, createdFrom })));
          emissions.push(...numbers(parent, lists.flat(), context));
        } catch (cause) {
          failed(parent, cause);
        }
      }
    } catch (cause) {
      failed({ entityType: 'RULE_NODE', id: node.id }, cause);
    }
    return emissions;
  },
});

type About = Propagating & { readonly id: string | null };

/** The alarm that the message is about, by its data; null: it is about something else. */
function alarmOf(message: Message): About | null {
  const data = json(message);
  if (!isJsonObject(data) || !isJsonObject(data['originator']) || typeof data['severity'] !== 'string') return null;
  const { entityType, id } = data['originator'];
  if (typeof entityType !== 'string' || typeof id !== 'string') return null;
  const types = data['propagateRelationTypes'];
  return {
    id: idIn(data['id']),
    originator: { entityType: entityType as EntityRef['entityType'], id },
    propagate: data['propagate'] === true,
    propagateToOwner: data['propagateToOwner'] === true,
    propagateToTenant: data['propagateToTenant'] === true,
    propagateRelationTypes: Array.isArray(types) ? types.map(String) : [],
  };
}

const idIn = (id: Json | undefined): string | null => (isJsonObject(id) && typeof id['id'] === 'string' ? id['id'] : null);

const said = (of: EntityRef, data: string, { config, node, messages }: Context): Message =>
  telemetryOf(of, data, node, messages, { type: config.outMsgType ?? '' });

const numbers = (of: EntityRef, alarms: readonly Alarm[], context: Context): Emission[] =>
  countAll(alarms, context.state, context.messages.now()).map((count, index) => ({
    to: 'Success',
    message: said(of, JSON.stringify({ [context.state[index]!.target]: count }), context),
  }));
