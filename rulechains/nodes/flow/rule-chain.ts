import { Type } from 'typebox';
import { isUuid } from '#engine/id.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';

/** What the called chain's output nodes are named is what leaves this node. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.flow.TbRuleChainInputNode',
  version: 1,
  family: 'FLOW',
  label: 'rule chain',
  summary: 'Sends the message through another rule chain.',
  relations: [],
  customRelations: true,
  config: Config({
    ruleChainId: nullable(Type.String(), { title: 'Rule chain', description: 'Id of the chain that is called.' }),
    forwardMsgToDefaultRuleChain: Type.Boolean({
      title: 'Default chain first',
      description: 'Calls the chain of the profile of the originator, where it has one.',
    }),
  }),
  defaults: { ruleChainId: null, forwardMsgToDefaultRuleChain: false },
  upgrades: [(config) => ({ ...config, forwardMsgToDefaultRuleChain: config['forwardMsgToDefaultRuleChain'] ?? false })],
  needs: ['chains'],
  refuse: ({ ruleChainId }) => (typeof ruleChainId === 'string' && !isUuid(ruleChainId) ? `Invalid UUID string: ${ruleChainId}` : null),
  start({ config: { ruleChainId }, chains }) {
    if (ruleChainId === null) throw new Error('Rule chain must be set!');
    if (!isUuid(ruleChainId)) throw new Error(`Failed to parse rule chain id: ${ruleChainId}`);
    if (!chains.exists(ruleChainId)) {
      throw new Error(`Entity with id: '${ruleChainId}' specified in the configuration doesn't belong to the current tenant.`);
    }
  },
  async process(message, { config, node, chains }) {
    const target = (config.forwardMsgToDefaultRuleChain ? await chains.defaultOf(message.originator) : null) ?? config.ruleChainId!;
    if (target === node.chainId) {
      throw new Error(
        `TbRuleChainInputNode in rule chain [${node.chainId}] is configured to forward messages back to the same rule chain it belongs to. ` +
          'This would cause an infinite loop. Please check the rule chain configuration.',
      );
    }
    return { call: target };
  },
});
