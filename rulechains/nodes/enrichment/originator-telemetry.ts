import { type Static, Type } from 'typebox';
import { fromValue, printJson, valueText } from '#engine/json.ts';
import { type Message, withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import type { Point } from '#engine/store.ts';
import { nullable, texts } from '../../shared/fields.ts';
import { fillRequired } from '../../shared/required-pattern.ts';

const UNITS: Record<string, number> = {
  NANOSECONDS: 1e-6,
  MICROSECONDS: 1e-3,
  MILLISECONDS: 1,
  SECONDS: 1000,
  MINUTES: 60_000,
  HOURS: 3_600_000,
  DAYS: 86_400_000,
};
const unit = (title: string) =>
  nullable(Type.String(), { title, description: 'SECONDS, MINUTES, HOURS, DAYS, …', examples: ['SECONDS', 'MINUTES', 'HOURS', 'DAYS'] });

const OriginatorTelemetry = Config({
  latestTsKeyNames: texts({ title: 'Telemetry keys', description: 'Patterns; the values are added to metadata under the key itself.' }),
  fetchMode: nullable(Type.Enum(['FIRST', 'LAST', 'ALL']), { title: 'Which values', description: 'The oldest, the newest, or all of the interval.' }),
  orderBy: nullable(Type.Enum(['ASC', 'DESC']), { title: 'Order', description: 'Of ALL: oldest or newest first.' }),
  aggregation: nullable(Type.Enum(['NONE', 'MIN', 'MAX', 'AVG', 'SUM', 'COUNT']), {
    title: 'Aggregation',
    description: 'Of ALL: one value for the whole interval.',
  }),
  limit: Type.Integer({ title: 'Limit', description: 'Most values of ALL, 2 to 1000.' }),
  useMetadataIntervalPatterns: Type.Boolean({ title: 'Interval from the message', description: 'Start and end are patterns that give Unix ms.' }),
  startInterval: Type.Integer({ title: 'Start', description: 'So long before now.' }),
  startIntervalTimeUnit: unit('Unit of the start'),
  endInterval: Type.Integer({ title: 'End', description: 'So long before now.' }),
  endIntervalTimeUnit: unit('Unit of the end'),
  startIntervalPattern: nullable(Type.String(), { title: 'Start pattern', description: 'Inclusive.', examples: ['${startTs}', '$[startTs]'] }),
  endIntervalPattern: nullable(Type.String(), { title: 'End pattern', description: 'Exclusive.', examples: ['${endTs}', '$[endTs]'] }),
});
type OriginatorTelemetry = Static<typeof OriginatorTelemetry>;

export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetTelemetryNode',
  version: 2,
  family: 'ENRICHMENT',
  label: 'originator telemetry',
  summary: 'Adds telemetry of the originator, from an interval of time, to the metadata.',
  relations: ['Success'],
  config: OriginatorTelemetry,
  defaults: {
    latestTsKeyNames: [],
    fetchMode: 'FIRST',
    startInterval: 2,
    startIntervalTimeUnit: 'MINUTES',
    endInterval: 1,
    endIntervalTimeUnit: 'MINUTES',
    useMetadataIntervalPatterns: false,
    startIntervalPattern: '',
    endIntervalPattern: '',
    orderBy: 'ASC',
    aggregation: 'NONE',
    limit: 1000,
  },
  upgrades: [
    (config) => {
      if ((config['fetchMode'] ?? null) === null) return config;
      if (config['fetchMode'] === 'ALL') return withChoices(config, (value) => !value);
      const isFirst = config['fetchMode'] === 'FIRST';
      return { ...config, fetchMode: isFirst ? 'FIRST' : 'LAST', orderBy: isFirst ? 'ASC' : 'DESC', aggregation: 'NONE' };
    },
    (config) => ({
      ...(config['fetchMode'] === 'ALL' ? withChoices(config, (value) => (value ?? null) === null) : config),
      limit: config['limit'] ?? 1000,
    }),
  ],
  needs: ['telemetry', 'messages'],
  start({ config }) {
    if (!config.latestTsKeyNames?.length) throw new Error('Telemetry should be specified!');
    if (config.fetchMode === null) throw new Error('FetchMode should be specified!');
    if (config.fetchMode !== 'ALL') return;
    if (config.limit < 2 || config.limit > 1000) throw new Error('Limit should be in a range from 2 to 1000.');
    if (config.orderBy === null) throw new Error('OrderBy should be specified!');
    if (config.aggregation === null) throw new Error('Aggregation should be specified!');
  },
  async process(message, { config, telemetry, messages }) {
    const [startTs, endTs] = interval(message, config, messages.now());
    if (startTs > endTs) throw new Error('Interval start should be less than Interval end');
    const keys = config.latestTsKeyNames!.map((pattern) => fillRequired(pattern, message));
    if (keys.some((key) => key.trim() === '')) throw new Error("Incorrect ReadTsKvQuery. Key can't be empty");
    const all = config.fetchMode === 'ALL';
    const found = await telemetry.history(message.originator, {
      keys: [...new Set(keys)],
      startTs,
      endTs,
      aggregation: all ? config.aggregation! : 'NONE',
      limit: all ? config.limit : 1,
      order: all ? config.orderBy! : config.fetchMode === 'FIRST' ? 'ASC' : 'DESC',
    });
    const metadata: Record<string, string> = { ...message.metadata };
    for (const [key, points] of found) {
      if (points.length === 0) continue;
      // A key that is asked for twice is told twice, as in the original.
      metadata[key] = all ? printed(keys.flatMap((asked) => (asked === key ? points : []))) : JSON.stringify(valueText(points[0]!.value));
    }
    return { to: 'Success', message: withChanges(message, { metadata }) };
  },
});

/** What ALL needs and older files do not have. @param isOpen says whether a value has to be chosen. */
const withChoices = ({ orderBy, aggregation, ...config }: Record<string, unknown>, isOpen: (value: unknown) => boolean): Record<string, unknown> => ({
  ...config,
  orderBy: isOpen(orderBy) ? 'ASC' : orderBy,
  aggregation: isOpen(aggregation) ? 'NONE' : aggregation,
});

const printed = (points: readonly Point[]): string => printJson(points.map(({ ts, value }) => ({ ts, value: fromValue(value) })));

function interval(message: Message, config: OriginatorTelemetry, now: number): [startTs: number, endTs: number] {
  if (config.useMetadataIntervalPatterns) return [moment(message, config.startIntervalPattern), moment(message, config.endIntervalPattern)];
  return [
    now - Math.trunc(config.startInterval * msOf(config.startIntervalTimeUnit)),
    now - Math.trunc(config.endInterval * msOf(config.endIntervalTimeUnit)),
  ];
}

function msOf(name: string | null): number {
  if (name === null) throw new Error('Name is null');
  if (!Object.hasOwn(UNITS, name)) throw new Error(`No enum constant java.util.concurrent.TimeUnit.${name}`);
  return UNITS[name]!;
}

/** Unix ms that the message holds. A pattern that stays as it is, a literal number too, counts as not found (rule-nodes §7 row 12). */
function moment(message: Message, pattern: string | null): number {
  const text = fillPattern(pattern ?? '', message);
  const name = `Message value: '${(pattern ?? '').replace(/[$[{}\]]/g, '')}'`;
  if (text === (pattern ?? '')) throw new Error(`${name} is undefined`);
  if (!/^-?(?:\d+(?:\.\d+)?|\.\d+)$/.test(text)) throw new Error(`${name} has invalid format`);
  const ts = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(ts)) throw new Error(`For input string: "${text}"`);
  return ts;
}
