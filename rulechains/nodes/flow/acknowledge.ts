import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.flow.TbAckNode',
  version: 0,
  family: 'FLOW',
  label: 'acknowledge',
  summary: 'Acknowledges the message and goes on: a later failure does not bring it back.',
  relations: ['Success'],
  ...NO_CONFIG,
  process: () => ({ to: 'Success', acknowledge: true }),
});
