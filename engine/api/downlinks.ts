import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Downlink } from '../store.ts';
import { readable } from './access.ts';
import type { ApiContext } from './context.ts';
import { notFound } from './errors.ts';
import { PAGE_QUERY, pageLink } from './paging.ts';
import { IdParams, typed } from './schemas.ts';

const tags = ['Downlinks'];

/** The life of a downlink: QUEUED, CONVERTED, SENT, DELIVERED, or REPLACED, EXPIRED, FAILED, each with its time and reason. */
export default async function downlinks(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;

  for (const { path, entityType } of [
    { path: '/api/device/:id/downlinks', entityType: 'DEVICE' },
    { path: '/api/asset/:id/downlinks', entityType: 'ASSET' },
  ] as const) {
    const schema = {
      tags,
      summary: `Downlinks of ${entityType === 'DEVICE' ? 'a device' : 'an asset'}, newest first`,
      params: IdParams,
      querystring: Type.Object(PAGE_QUERY),
    };
    app.get(path, { schema }, async ({ caller, params, query }) => {
      const { page, pageSize } = pageLink(query);
      const { tenantId, id } = await readable(context, caller, { entityType, id: params.id });
      const found = await store.downlinks(tenantId, id, page, pageSize);
      return { ...found, data: found.data.map(downlinkJson) };
    });
  }

  app.get('/api/downlink/:id', { schema: { tags, summary: 'A downlink', params: IdParams } }, async ({ caller, params }) => {
    const downlink = await store.downlink(caller.tenantId, params.id);
    if (!downlink) throw notFound(`Downlink with id [${params.id}] is not found`);
    if (caller.authority === 'CUSTOMER_USER') await readable(context, caller, downlink.entity);
    return downlinkJson(downlink);
  });
}

/** A device's id is the plain one, as the shape has it; an asset stands under its own name. */
function downlinkJson({ id, createdTime, entity, integrationId, state, history }: Downlink): Record<string, unknown> {
  const target = entity.entityType === 'DEVICE' ? { deviceId: entity.id } : { assetId: entity.id };
  return { id, createdTime, ...target, integrationId, state, reason: history.at(-1)?.reason ?? null, history };
}
