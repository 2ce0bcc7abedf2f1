import { type Static, Type } from 'typebox';
import { errorText, isPassing } from '#engine/errors.ts';
import { printJson } from '#engine/json.ts';
import type { EntityRef, Message } from '#engine/message.ts';
import { defineNode, type Emission, type NodeContext } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkEntities, dueEvery, families, parentEntitiesQuery, telemetryOf } from '../../shared/entity-set.ts';
import { nullable } from '../../shared/fields.ts';
import { aggMappings, aggregateLatest, type Rule, startRules } from '../../shared/latest.ts';
import { periodMs, timeUnit } from '../../shared/periods.ts';

/** Of one originator no two aggregations are closer than this. */
const LEAST_PAUSE_SEC = 10;

const AggregateLatest = Config({
  aggMappings,
  direction: nullable(Type.Enum(['FROM', 'TO']), {
    title: 'Direction',
    description: 'Of the relations between the originator and those that count. None: from it.',
  }),
  relationType: nullable(Type.String(), { title: 'Relation type', description: 'Relations that are followed, one step.', examples: ['Contains'] }),
  deduplicationInSec: Type.Integer({ title: 'Pause', description: 'Between two aggregations of one originator, 10 at least.', unit: 's' }),
  outMsgType: nullable(Type.String(), { title: 'Output message type', description: 'None: POST_TELEMETRY_REQUEST.' }),
  parentEntitiesQuery,
  periodTimeUnit: timeUnit('Unit of the period'),
  periodValue: Type.Integer({ title: 'Period', description: 'Of the older, timer driven form: when entities are given. A minute at least.' }),
});
type Needs = 'attributes' | 'telemetry' | 'scripts' | 'groups' | 'relations' | 'memory' | 'kept' | 'messages';
type Context = NodeContext<Static<typeof AggregateLatest>, readonly Rule[], Needs>;

/**
 * Two forms, by the configuration. With entities: by a timer, for each of them, a message for each mapping. Without: for the originator of each message over what
 * is related to it, one message for all mappings; what comes within the pause is answered by one aggregation at its end.
 */
export default defineNode({
  type: 'org.thingsboard.rule.engine.analytics.latest.telemetry.TbAggLatestTelemetryNode',
  aliases: [
    'org.thingsboard.rule.engine.analytics.latest.telemetry.TbAggLatestTelemetryNodeV2',
    'org.thingsboard.rule.engine.analytics.latest.telemetry.TbAggLatestTelemetryV2Node',
  ],
  version: 0,
  family: 'ANALYTICS',
  label: 'aggregate latest',
  summary: 'Aggregates latest telemetry or attributes of related entities into telemetry of the one they belong to.',
  relations: ['Success'],
  usesQueueName: true,
  anyKey: true,
  config: AggregateLatest,
  defaults: {
    aggMappings: [
      { source: 'temperature', sourceScope: 'LATEST_TELEMETRY', defaultValue: 0, target: 'latestAvgTemperature', aggFunction: 'AVG', filter: null },
    ],
    direction: 'FROM',
    relationType: 'Contains',
    deduplicationInSec: LEAST_PAUSE_SEC,
    outMsgType: 'POST_TELEMETRY_REQUEST',
    parentEntitiesQuery: null,
    periodTimeUnit: 'MINUTES',
    periodValue: 5,
  },
  needs: ['attributes', 'telemetry', 'scripts', 'groups', 'relations', 'memory', 'kept', 'messages'],
  async start({ config, node, scripts, every }): Promise<readonly Rule[]> {
    const rules = await startRules(config.aggMappings, scripts);
    if (config.parentEntitiesQuery) {
      checkEntities(config.parentEntitiesQuery);
      dueEvery(periodMs(config.periodTimeUnit, config.periodValue), 'entities', node, every);
    } else if (!config.relationType) throw new Error('Relation type should be specified!');
    return rules;
  },
  async process({ originator }, context) {
    const { config, node, memory, kept, messages } = context;
    if (config.parentEntitiesQuery) return [];
    const now = messages.now();
    const pauseMs = Math.max(LEAST_PAUSE_SEC, config.deduplicationInSec) * 1000;
    const { last, due } = ((await memory.get(node.id, nameOf(originator))) ?? { last: null, due: null }) as {
      last: number | null;
      due: number | null;
    };
    if (due !== null && due > now) return [];
    if (last === null || last + pauseMs <= now) {
      memory.set(node.id, nameOf(originator), { last: now, due: null });
      return related(originator, context);
    }
    memory.set(node.id, nameOf(originator), { last, due: last + pauseMs });
    kept.remind(node, originator, 'pause', last + pauseMs);
    return [];
  },
  async due(what, { originator }, context) {
    const { config, node, memory, messages } = context;
    if (what === 'entities') return scheduled(context);
    if (config.parentEntitiesQuery) return [];
    memory.set(node.id, nameOf(originator), { last: messages.now(), due: null });
    return related(originator, context);
  },
});

const nameOf = ({ entityType, id }: EntityRef): string => `${entityType} ${id}`;

const said = (of: EntityRef, data: string, { config, node, messages }: Context): Message =>
  telemetryOf(of, data, node, messages, { type: config.outMsgType ?? '' });

/** One message with all results. */
async function related(of: EntityRef, context: Context): Promise<Emission[]> {
  const { config, state, relations } = context;
  const to = config.direction === 'TO';
  const found = await relations.find({ ...(to ? { to: of } : { from: of }), type: config.relationType!, typeGroup: 'COMMON' });
  const results = await aggregateLatest(
    found.map((relation) => (to ? relation.from : relation.to)),
    state,
    context,
  );
  const failed = results.find((each) => each instanceof Error);
  if (failed) return [{ to: 'Failure', message: said(of, '{}', context), error: failed.message }];
  const data = Object.fromEntries(state.map(({ mapping }, index) => [mapping.target!, results[index] as Exclude<(typeof results)[number], Error>]));
  return [{ to: 'Success', message: said(of, printJson(data), context) }];
}

/** A message for each entity and mapping; what fails for one does not keep the others from theirs. */
async function scheduled(context: Context): Promise<Emission[]> {
  const { config, node, state } = context;
  const emissions: Emission[] = [];
  const failed = (of: EntityRef, cause: unknown): void => {
    if (isPassing(cause)) throw cause;
    emissions.push({ to: 'Failure', message: said(of, '{}', context), error: errorText(cause) });
  };
  try {
    for (const { parent, children } of await families(checkEntities(config.parentEntitiesQuery), context)) {
      const results = await children()
        .then((entities) => aggregateLatest(entities, state, context))
        .catch((cause: unknown) => void failed(parent, cause));
      for (const [index, each] of (results ?? []).entries()) {
        if (each instanceof Error) failed(parent, each);
        else emissions.push({ to: 'Success', message: said(parent, printJson({ [state[index]!.mapping.target!]: each }), context) });
      }
    }
  } catch (cause) {
    failed({ entityType: 'RULE_NODE', id: node.id }, cause);
  }
  return emissions;
}
