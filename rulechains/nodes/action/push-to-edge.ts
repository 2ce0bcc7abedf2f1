import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkEvent, checkType, isFrom, NO_EDGES, pushScope } from '../../shared/push.ts';

/** Acknowledges what concerns no edge. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.edge.TbMsgPushToEdgeNode',
  version: 0,
  family: 'ACTION',
  label: 'push to edge',
  summary: 'Pushes to the edges that the originator is on. This server has no edges that fetch: where there is one, it fails.',
  relations: ['Success'],
  chainTypes: ['CORE'],
  config: Config({ scope: pushScope }),
  defaults: { scope: 'SERVER_SCOPE' },
  needs: ['edges'],
  async process(message, { edges }) {
    if (isFrom(message, 'edge')) return [];
    checkType(message);
    const related = await edges.of(message.originator);
    if (related.length === 0) return [];
    checkEvent(message);
    throw new Error(NO_EDGES);
  },
});
