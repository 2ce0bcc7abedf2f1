import { Type } from 'typebox';
import type { Message } from '#engine/message.ts';
import { defineNode, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { fillRequired } from '../../shared/required-pattern.ts';

/** Deprecated in the original. What it holds is durable: a message that waits comes out after a restart too, at its time. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.delay.TbMsgDelayNode',
  version: 0,
  family: 'ACTION',
  label: 'delay (deprecated)',
  summary: 'Deprecated: holds each message for some time.',
  relations: ['Success'],
  config: Config({
    periodInSeconds: Type.Integer({ title: 'Period', description: 'How long each message is held.', unit: 's' }),
    maxPendingMsgs: Type.Integer({ title: 'Most messages', description: 'Of all originators together; the next one leaves by Failure.' }),
    periodInSecondsPattern: nullable(Type.String(), { title: 'Pattern of the period', description: 'Gives the seconds, whole.' }),
    useMetadataPeriodInSecondsPatterns: Type.Boolean({ title: 'Period by pattern', description: 'Takes the pattern in place of the period.' }),
  }),
  defaults: { periodInSeconds: 60, maxPendingMsgs: 1000, periodInSecondsPattern: null, useMetadataPeriodInSecondsPatterns: false },
  needs: ['kept', 'messages'],
  /** `lost`: places that messages with a bad period hold on to until the next start, as in the original. */
  start: () => ({ lost: 0 }),
  async processBatch(messages, { config, node, state, kept, messages: { now } }): Promise<(Outcome | Error)[]> {
    let pending = await kept.count(node.id);
    return messages.map((message) => {
      if (pending + state.lost >= config.maxPendingMsgs) return new Error('Max limit of pending messages reached!');
      try {
        kept.remind(node, message.originator, message.id, now() + 1000 * periodOf(message, config));
      } catch (cause) {
        state.lost++;
        return cause as Error;
      }
      pending++;
      return { keep: message.id };
    });
  },
  async due(key, _timer, { node, kept }) {
    const held = await kept.list(node.id, key);
    kept.release(node.id, key, held);
    return held.map((message) => ({ to: 'Success', message }));
  },
});

interface Period {
  readonly periodInSeconds: number;
  readonly periodInSecondsPattern: string | null;
  readonly useMetadataPeriodInSecondsPatterns: boolean;
}

/** In seconds. @throws Error when the pattern gives no whole number. */
function periodOf(message: Message, { periodInSeconds, periodInSecondsPattern: pattern, useMetadataPeriodInSecondsPatterns }: Period): number {
  if (!useMetadataPeriodInSecondsPatterns) return periodInSeconds;
  const text = fillRequired(pattern, message);
  if (!/^-?(?:\d+|\d*\.\d+)$/.test(text)) throw new Error(`Can't parse period in seconds from metadata using pattern: ${pattern}`);
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || text.includes('.') || Math.abs(seconds) > 2 ** 31 - 1) throw new Error(`For input string: "${text}"`);
  return seconds;
}
