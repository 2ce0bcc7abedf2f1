import { Type } from 'typebox';
import { createMessage, type Message, withChanges } from '#engine/message.ts';
import { defineNode, type Emission, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { closedPacks, mergedData, representative } from '../../shared/packs.ts';

/** What waits is durable and in no memory: a restart loses nothing, and 100,000 originators that wait cost nothing but room on disk. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.deduplication.TbMsgDeduplicationNode',
  version: 1,
  family: 'TRANSFORMATION',
  label: 'deduplication',
  summary: 'Makes one message of those that an originator sends within an interval.',
  relations: ['Success'],
  usesQueueName: true,
  config: Config({
    interval: Type.Integer({ title: 'Interval', description: 'Begins with the earliest message, by the time of the messages.', unit: 's' }),
    strategy: nullable(Type.Enum(['FIRST', 'LAST', 'ALL']), {
      title: 'Strategy',
      description: 'FIRST and LAST: the earliest and the latest message, of equal ones the first to come. ALL: a new message with an array of all.',
    }),
    outMsgType: nullable(Type.String(), { title: 'Message type', description: 'Of the new message of ALL.', examples: ['POST_TELEMETRY_REQUEST'] }),
    maxPendingMsgs: Type.Integer({ title: 'Most messages', description: 'Of one originator; the next one leaves by Failure.' }),
    maxRetries: Type.Integer({
      title: 'Retries',
      description: 'Has no meaning here: the message goes out in the same step in which the others end.',
    }),
  }),
  defaults: { interval: 60, strategy: 'FIRST', outMsgType: null, maxPendingMsgs: 100, maxRetries: 3 },
  upgrades: [({ queueName: _moved, ...config }) => config],
  needs: ['kept', 'messages'],
  async processBatch(messages, { config, node, kept, messages: { now } }): Promise<(Outcome | Error)[]> {
    const originators = new Map(messages.map(({ originator }) => [originator.id, originator]));
    const pending = new Map(await Promise.all([...originators.keys()].map(async (id) => [id, await kept.count(node.id, id)] as const)));
    const outcomes = messages.map(({ originator: { id } }) => {
      const count = pending.get(id)!;
      if (count >= config.maxPendingMsgs) return new Error(`[${node.id}] Max limit of pending messages reached for deduplication id: [${id}]`);
      // Whatever waits has a timer: the first one sets it, and what is left when it is due sets the next.
      if (count === 0) kept.remind(node, originators.get(id)!, id, now() + config.interval * 1000 + 1);
      pending.set(id, count + 1);
      return { keep: id };
    });
    return outcomes;
  },
  async due(key, { originator }, { config, node, kept, messages: { now, newId } }): Promise<Emission[]> {
    const at = now();
    const { packs, left } = closedPacks(await kept.list(node.id, key), config.interval * 1000, at);
    if (left.length > 0) kept.remind(node, originator, key, at + config.interval * 1000 + 1);
    return packs.map((pack) => {
      kept.release(node.id, key, pack);
      const result = config.strategy === 'ALL' ? merged(pack, config.outMsgType, at, newId) : representative(pack, config.strategy === 'FIRST');
      return { to: 'Success', message: withChanges(result, { queueName: node.queueName ?? result.queueName }) };
    });
  },
});

/** A new message on the way of the first. */
function merged(pack: readonly Message[], outMsgType: string | null, now: number, newId: () => string): Message {
  const { tenantId, originator, stack, executions, owner } = pack[0]!;
  const metadata = { ts: String(now) };
  return createMessage({ tenantId, originator, stack, executions, owner, type: outMsgType ?? 'NA', data: mergedData(pack), metadata }, newId, now);
}
