import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson } from '../entities.ts';
import { NULL_ID } from '../message.ts';
import { readable } from './access.ts';
import type { ApiContext } from './context.ts';
import { notFound } from './errors.ts';
import { doubles } from './json-doubles.ts';
import { jsonPage, listDocs } from './lists.ts';
import { PAGE_QUERY, pageLink, pageOfAll } from './paging.ts';
import { IdParams, typed } from './schemas.ts';

/** The queues that nodes and profiles may name (specs: rest-api §2.3). They are the system's; every lane of ours keeps what each of them promises. */
export default async function queues(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const tags = ['Queue'];
  const ST = { who: 'ST' as const };
  doubles(app, ['failurePercentage']);
  const ServiceType = Type.Enum(['TB_CORE', 'TB_RULE_ENGINE', 'TB_TRANSPORT', 'JS_EXECUTOR', 'TB_INTEGRATION_EXECUTOR', 'EDQS', 'TASK_PROCESSOR']);

  app.get(
    '/api/queues',
    { config: ST, schema: { tags, querystring: Type.Object({ ...PAGE_QUERY, serviceType: ServiceType }) } },
    async ({ query }) => {
      const none = query.serviceType === 'TB_RULE_ENGINE' ? {} : { ids: [] };
      return jsonPage(await listDocs(context, 'QUEUE', NULL_ID, query, none));
    },
  );
  app.get('/api/queues/:id', { config: ST, schema: { tags, params: IdParams } }, async ({ params, caller }) =>
    entityJson(await readable(context, caller, { entityType: 'QUEUE', id: params.id })),
  );
  app.get('/api/queues/name/:name', { config: ST, schema: { tags, params: Type.Object({ name: Type.String() }) } }, async ({ params }) => {
    const queue = await context.backend.store.docByKey('QUEUE', `${NULL_ID}/${params.name}`);
    if (!queue) throw notFound();
    return entityJson(queue);
  });
  app.get('/api/queueStats', { schema: { tags, querystring: Type.Object(PAGE_QUERY) } }, async ({ query }) => pageOfAll([], pageLink(query)));
  app.get('/api/queueStats/list', { schema: { tags } }, async () => []);
}
