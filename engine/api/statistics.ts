import type { FastifyInstance } from 'fastify';
import { failuresOf, figuresOf } from '../capture/statistics.ts';
import type { KeptSummary } from '../store.ts';
import type { ChainMetadata } from '../walk/chain.ts';
import { readable } from './access.ts';
import type { ApiContext } from './context.ts';
import { IdParams, typed } from './schemas.ts';

const config = { who: 'T' } as const;
const tags = ['Statistics'];

/** What rule nodes and integrations do: how many messages, how fast, how long each takes, why some fail, what waits. Of all processes, since their start. */
export default async function statistics(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { backend, observation } = context;

  app.get(
    '/api/ruleChain/:id/statistics',
    { config, schema: { tags, summary: 'Count, rate, times, failures and backlog of each node of a rule chain', params: IdParams } },
    async ({ caller, params }) => {
      const { tenantId, id } = await readable(context, caller, { entityType: 'RULE_CHAIN', id: params.id });
      const metadata = await backend.store.doc('RULE_CHAIN_METADATA', tenantId, id);
      const graph = (metadata?.body ?? { nodes: [] }) as unknown as Pick<ChainMetadata, 'nodes'>;
      const states = (await observation.chain(tenantId, id)).flat();
      const nodes = await Promise.all(
        graph.nodes.map(async (node) => {
          const nodeId = node.id!.id;
          const own = states.filter((state) => state.id === nodeId);
          return {
            ...{ id: nodeId, name: node.name, type: node.type },
            ...figuresOf(own),
            ...failuresOf(own),
            backlog: backlogJson(await backend.store.keptSummary(tenantId, nodeId)),
            targets: context.outbox.targets(tenantId, nodeId),
          };
        }),
      );
      return { ruleChainId: id, nodes };
    },
  );

  app.get(
    '/api/integration/:id/statistics',
    { config, schema: { tags, summary: 'Times of converter and acceptance, and failures of an integration', params: IdParams } },
    async ({ caller, params }) => {
      const { tenantId, id } = await readable(context, caller, { entityType: 'INTEGRATION', id: params.id });
      const states = await observation.integration(tenantId, id);
      return {
        integrationId: id,
        accept: figuresOf(states.map(({ accept }) => accept)),
        converter: figuresOf(states.map(({ converter }) => converter)),
        ...failuresOf(states),
      };
    },
  );
}

const backlogJson = ({ count, oldestAt, lastReason }: KeptSummary): Record<string, unknown> => ({ count, oldestTs: oldestAt, lastError: lastReason });
