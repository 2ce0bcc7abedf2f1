import type { FastifyInstance } from 'fastify';
import { readable } from './access.ts';
import type { ApiContext } from './context.ts';
import { IdParams, typed } from './schemas.ts';

const config = { who: 'T' } as const;
const tags = ['Ledger'];

/** What became of everything that was taken in (design promise 1): one ledger per integration, one of the tenant for what no uplink caused. */
export default async function ledgers(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  app.get(
    '/api/integration/:id/ledger',
    { config, schema: { tags, summary: 'Ledger of an integration', params: IdParams } },
    async ({ caller, params }) => {
      const { tenantId, id } = await readable(context, caller, { entityType: 'INTEGRATION', id: params.id });
      return store.ledger(tenantId, id);
    },
  );
  app.get('/api/ledger', { config, schema: { tags, summary: 'Ledger of the tenant' } }, ({ caller }) =>
    store.ledger(caller.tenantId, caller.tenantId),
  );
}
