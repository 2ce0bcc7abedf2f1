import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkEvent, checkType, isFrom, pushScope } from '../../shared/push.ts';

/** Edges are known here as entities; none of them talks to this server, so an event for one has nowhere to wait. */
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
    throw new Error('Edge events are not kept: edges do not connect to this server');
  },
});
