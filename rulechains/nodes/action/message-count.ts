import { Type } from 'typebox';
import { createMessage } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';

/** An interval of nothing would fill the queue with counts. */
const SHORTEST_MS = 1000;

/** Every message ends here; the count goes on, also when it is 0, and begins anew. Each process counts what it works on. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbMsgCountNode',
  version: 0,
  family: 'ACTION',
  label: 'message count',
  summary: 'Counts messages and gives their number as telemetry of the tenant.',
  relations: ['Success'],
  config: Config({
    interval: Type.Integer({ title: 'Interval', description: 'Between two counts.', unit: 's' }),
    telemetryPrefix: nullable(Type.String(), { title: 'Telemetry key', description: 'The name of the server is added to it.' }),
  }),
  defaults: { interval: 1, telemetryPrefix: 'messageCount' },
  start({ config: { interval, telemetryPrefix }, node, every }): { count: number } {
    const state = { count: 0 };
    let lastAt: number | null = null;
    const everyMs = Math.max(SHORTEST_MS, interval * 1000);
    every(everyMs, async ({ messages: { newId, now } }) => {
      const at = now();
      const message = createMessage(
        {
          tenantId: node.tenantId,
          type: 'POST_TELEMETRY_REQUEST',
          originator: { entityType: 'TENANT', id: node.tenantId },
          data: JSON.stringify({ [`${telemetryPrefix}_${node.serviceId}`]: state.count }),
          metadata: { delta: String(lastAt === null ? everyMs : at - lastAt) },
        },
        newId,
        at,
      );
      lastAt = at;
      state.count = 0;
      return [{ to: 'Success', message }];
    });
    return state;
  },
  process(_message, { state }) {
    state.count++;
    return [];
  },
});
