import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkType, isFrom, pushScope } from '../../shared/push.ts';

/** Works on an edge only, and this server is none: as in the original there, what it would push ends here. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.edge.TbMsgPushToCloudNode',
  version: 0,
  family: 'ACTION',
  label: 'push to cloud',
  summary: 'Pushes from an edge to its cloud. This server is no edge: messages are acknowledged and go nowhere.',
  relations: ['Success'],
  chainTypes: ['EDGE'],
  config: Config({ scope: pushScope }),
  defaults: { scope: 'SERVER_SCOPE' },
  process(message) {
    if (!isFrom(message, 'cloud')) checkType(message);
    return [];
  },
});
