import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.flow.TbCheckpointNode',
  version: 1,
  family: 'FLOW',
  label: 'checkpoint',
  summary: 'Puts the message into a queue again and goes on from there.',
  relations: ['Success'],
  usesQueueName: true,
  ...NO_CONFIG,
  upgrades: [({ queueName: _moved, ...config }) => config],
  process: (_message, { node }) => ({ requeue: node.queueName }),
});
