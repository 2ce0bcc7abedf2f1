import { type Static, Type } from 'typebox';
import { isJsonObject, type Json, json } from '#engine/json.ts';
import { type EntityRef, type Message, metadataTs } from '#engine/message.ts';
import { defineNode, type NodeContext, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { aggregation } from '../../shared/aggregation.ts';
import { checkEntities, dueEvery, families, parentEntitiesQuery, telemetryOf } from '../../shared/entity-set.ts';
import { nullable } from '../../shared/fields.ts';
import { inOrder } from '../../shared/in-order.ts';
import { INTERVAL_TYPES, intervals, MINUTE_MS, periodMs, timeUnit } from '../../shared/periods.ts';
import {
  fill,
  nextCheck,
  POLICIES,
  type Reported,
  report,
  reportData,
  reportMetadata,
  type Settings,
  type Stream,
  take,
  toStream,
} from '../../shared/stream.ts';

const count = (title: string, description: string) => Type.Integer({ title, description });
const key = (title: string, description: string) => nullable(Type.String(), { title, description });

const AggregateStream = Config({
  mathFunction: aggregation,
  inputValueKey: key('Input key', 'Key in the data whose value is aggregated.'),
  outputValueKey: key('Output key', 'Key of the result.'),
  outMsgType: nullable(Type.String(), { title: 'Output message type', description: 'None: POST_TELEMETRY_REQUEST.' }),
  aggIntervalType: nullable(Type.Enum([...INTERVAL_TYPES]), {
    title: 'Interval',
    description: 'One of the calendar, or of a length of its own (CUSTOM, none).',
  }),
  timeZoneId: nullable(Type.String(), { title: 'Time zone', description: 'Of the calendar. None: UTC.', examples: ['Europe/Kyiv'] }),
  aggIntervalTimeUnit: timeUnit('Unit of the length'),
  aggIntervalValue: count('Length', 'Of an interval that is not of the calendar.'),
  intervalPersistencePolicy: nullable(Type.Enum([...POLICIES]), {
    title: 'When results are given',
    description: 'With each message, at each check where something changed, or at the first check after the end (none).',
  }),
  intervalCheckTimeUnit: timeUnit('Unit of the check'),
  intervalCheckValue: count('Check', 'Between two checks; a minute at least.'),
  intervalTtlTimeUnit: timeUnit('Unit of the wait for late values'),
  intervalTtlValue: count(
    'Wait for late values',
    'So long after its end an interval takes late values and gives its result again. 0: later ones are ignored.',
  ),
  statePersistencePolicy: nullable(Type.String(), {
    title: 'When the state is stored',
    description: 'Kept for files: what is aggregated so far is stored together with each message, so that no restart loses any of it.',
    advanced: true,
  }),
  statePersistenceTimeUnit: timeUnit('Unit of the state'),
  statePersistenceValue: count('State', 'Kept for files.'),
  autoCreateIntervals: Type.Boolean({ title: 'Results of silent entities', description: 'Entities from which nothing came give a result too.' }),
  parentEntitiesQuery,
  periodTimeUnit: timeUnit('Unit of the look-up'),
  periodValue: count('Look-up', 'How often these entities are looked for; a minute at least.'),
});
type Needs = 'memory' | 'kept' | 'messages' | 'groups' | 'relations' | 'entities';
type Context = NodeContext<Static<typeof AggregateStream>, Settings, Needs>;

/** Results carry the start of their interval as `ts`. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.analytics.incoming.TbSimpleAggMsgNode',
  version: 0,
  family: 'ANALYTICS',
  label: 'aggregate stream',
  summary: 'Aggregates a value of the incoming messages over intervals, for each originator.',
  relations: ['Success'],
  usesQueueName: true,
  anyKey: true,
  config: AggregateStream,
  defaults: {
    mathFunction: 'AVG',
    inputValueKey: 'temperature',
    outputValueKey: 'avgHourlyTemperature',
    outMsgType: 'POST_TELEMETRY_REQUEST',
    aggIntervalType: 'HOUR',
    timeZoneId: 'UTC',
    aggIntervalTimeUnit: 'HOURS',
    aggIntervalValue: 1,
    intervalPersistencePolicy: 'ON_EACH_CHECK_AFTER_INTERVAL_END',
    intervalCheckTimeUnit: 'MINUTES',
    intervalCheckValue: 1,
    intervalTtlTimeUnit: 'DAYS',
    intervalTtlValue: 0,
    statePersistencePolicy: 'ON_EACH_CHANGE',
    statePersistenceTimeUnit: 'MINUTES',
    statePersistenceValue: 1,
    autoCreateIntervals: false,
    parentEntitiesQuery: null,
    periodTimeUnit: 'MINUTES',
    periodValue: 5,
  },
  needs: ['memory', 'kept', 'messages', 'groups', 'relations', 'entities'],
  start({ config, node, every }): Settings {
    if (config.mathFunction === null) throw new Error('Aggregation function should be specified!');
    if (!config.inputValueKey || !config.outputValueKey) throw new Error('Input and output value keys should be specified!');
    const length = periodMs(config.aggIntervalTimeUnit, config.aggIntervalValue);
    if (config.autoCreateIntervals) {
      checkEntities(config.parentEntitiesQuery);
      dueEvery(periodMs(config.periodTimeUnit, config.periodValue), 'entities', node, every);
    }
    return {
      fn: config.mathFunction,
      policy: config.intervalPersistencePolicy ?? 'ON_EACH_CHECK_AFTER_INTERVAL_END',
      intervalOf: intervals(config.aggIntervalType, length, config.timeZoneId),
      checkMs: Math.max(MINUTE_MS, periodMs(config.intervalCheckTimeUnit, config.intervalCheckValue)),
      ttlMs: Math.max(0, periodMs(config.intervalTtlTimeUnit, config.intervalTtlValue)),
    };
  },
  async processBatch(messages, context) {
    const { config, state } = context;
    const streams = new Map<string, { readonly of: EntityRef; readonly stream: Stream }>();
    const outcomes = await inOrder(messages, async (message): Promise<Outcome> => {
      const value = valueIn(message, config.inputValueKey!);
      const name = nameOf(message.originator);
      const found = streams.get(name) ?? { of: message.originator, stream: await remembered(message.originator, context) };
      streams.set(name, found);
      const now = context.messages.now();
      const given = take(found.stream, metadataTs(message), value, now, state);
      return given ? { to: 'Success', message: resultOf(message.originator, given, context) } : [];
    });
    for (const { of, stream } of streams.values()) remember(of, stream, context);
    return outcomes;
  },
  async due(what, { originator }, context) {
    const { config, node, state, kept, messages, entities } = context;
    const now = messages.now();
    if (what === 'entities') {
      // One entity without children is meant itself.
      const query = checkEntities(config.parentEntitiesQuery);
      for (const { parent, children } of await families(query, context))
        for (const entity of query.type === 'single' ? [parent] : await children()) kept.remind(node, entity, 'fill', now);
      return [];
    }
    if (!(await entities.find(originator))) {
      context.memory.set(node.id, nameOf(originator), null);
      return [];
    }
    const stream = await remembered(originator, context);
    if (what === 'fill') fill(stream, now, state);
    // An earlier timer may have come in between; one that is still to come stays the next.
    else if (stream.due !== null && stream.due <= now) stream.due = null;
    const reports = report(stream, now, state);
    remember(originator, stream, context);
    return reports.map((each) => ({ to: 'Success', message: resultOf(originator, each, context) }));
  },
});

const nameOf = ({ entityType, id }: EntityRef): string => `${entityType} ${id}`;

const remembered = async (of: EntityRef, { node, memory, state }: Context): Promise<Stream> =>
  toStream(structuredClone(await memory.get(node.id, nameOf(of))), state.fn);

/** With the next check, unless an earlier one is on its way already. */
function remember(of: EntityRef, stream: Stream, { node, memory, kept, messages, state }: Context): void {
  const at = nextCheck(stream, messages.now(), state);
  if (at !== null && (stream.due === null || at < stream.due)) {
    stream.due = at;
    kept.remind(node, of, 'check', at);
  }
  memory.set(node.id, nameOf(of), stream);
}

function valueIn(message: Message, name: string): Json {
  const data = json(message);
  if (!isJsonObject(data)) throw new Error('Message body is not an object!');
  const value = Object.hasOwn(data, name) ? data[name]! : null;
  if (value === null) throw new Error(`Message data doesn't contain key: '${name}'!`);
  return value;
}

const resultOf = (of: EntityRef, given: Reported, { config, node, messages }: Context): Message =>
  telemetryOf(of, reportData(config.outputValueKey!, given), node, messages, { type: config.outMsgType ?? '', metadata: reportMetadata(given) });
