import { Type } from 'typebox';
import { keyProblem, parseSamples, type Sample } from '#engine/json.ts';
import { type Message, metadataTs } from '#engine/message.ts';
import { defineNode, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { type Gates, type Part, processingSettings, refuseProcessing, startGates } from '../../shared/processing.ts';

const PARTS = ['timeseries', 'latest', 'webSockets', 'calculatedFields'] as const satisfies readonly Part[];
const EVERY_MESSAGE = { type: 'ON_EVERY_MESSAGE' };

export default defineNode({
  type: 'org.thingsboard.rule.engine.telemetry.TbMsgTimeseriesNode',
  version: 1,
  family: 'ACTION',
  label: 'save time series',
  summary: 'Stores telemetry of the originator: history and latest values.',
  relations: ['Success'],
  effect: true,
  config: Config({
    processingSettings: processingSettings(PARTS),
    defaultTTL: Type.Integer({ title: 'Time to live', description: 'Unless metadata has TTL. 0: as the tenant profile says.', unit: 's' }),
    useServerTs: Type.Boolean({ title: 'Use server time', description: 'For values without a time of their own, in place of the message time.' }),
  }),
  defaults: { defaultTTL: 0, useServerTs: false, processingSettings: EVERY_MESSAGE },
  upgrades: [
    ({ skipLatestPersistence, ...config }) => ({
      ...config,
      processingSettings:
        skipLatestPersistence === true || skipLatestPersistence === 'true'
          ? { type: 'ADVANCED', timeseries: EVERY_MESSAGE, latest: { type: 'SKIP' }, webSockets: EVERY_MESSAGE, calculatedFields: EVERY_MESSAGE }
          : EVERY_MESSAGE,
    }),
  ],
  needs: ['telemetry', 'messages'],
  refuse: (config) => refuseProcessing(config, PARTS),
  start: ({ config }): Gates<(typeof PARTS)[number]> => startGates(config, PARTS),
  processBatch(messages, { config, state, telemetry, messages: { now } }) {
    return messages.map((message): Outcome | Error => {
      if (message.type !== 'POST_TELEMETRY_REQUEST') return new Error(`Unsupported msg type: ${message.type}`);
      try {
        const ts = config.useServerTs ? now() : metadataTs(message);
        const history = state.timeseries(message, ts);
        const latest = state.latest(message, ts);
        const isWatched = state.webSockets(message, ts);
        const isCalculated = state.calculatedFields(message, ts);
        // Nothing to do: the body is not even read.
        if (!history && !latest && !isWatched && !isCalculated) return NOT_STORED;
        const samples = parseSamples(message.data, ts);
        checkSamples(samples, message);
        const options = { ttlMs: ttlSeconds(message, config.defaultTTL) * 1000, history, latest };
        if (!history && !latest) return NOT_STORED;
        for (const sample of samples) telemetry.save(message.originator, sample.ts, sample.values, options);
        return 'Success';
      } catch (cause) {
        return cause as Error;
      }
    });
  },
});

const NOT_STORED: Outcome = { to: 'Success', effect: false };

function checkSamples(samples: readonly Sample[], message: Message): void {
  if (samples.length === 0) throw new Error(`Msg body is empty: ${message.data}`);
  for (const { values } of samples) {
    for (const [key] of values) {
      const problem = keyProblem(key);
      if (problem) throw new Error(problem);
    }
  }
}

function ttlSeconds(message: Message, defaultTtl: number): number {
  const text = message.metadata['TTL'];
  if (text === undefined || text === '') return defaultTtl;
  if (!/^[-+]?\d{1,18}$/.test(text)) throw new Error(`For input string: "${text}"`);
  return Number(text);
}
