import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.flow.TbRuleChainOutputNode',
  version: 0,
  family: 'FLOW',
  label: 'output',
  summary: 'Goes back to the calling chain, by the relation that has the name of this node.',
  relations: [],
  ...NO_CONFIG,
  process: (_message, { node }) => ({ return: node.name }),
});
