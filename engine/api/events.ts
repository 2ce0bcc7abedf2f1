import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { entityLabel } from '../entities.ts';
import { type EntityRef, NULL_ID } from '../message.ts';
import type { EventQuery, EventRow, Page } from '../store.ts';
import { Work } from '../work.ts';
import { readable, refOf, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { forbidden, notFound } from './errors.ts';
import { eventFilter, eventType } from './event-filter.ts';
import { PAGE_QUERY, pageLink, TIME_QUERY, uuid } from './paging.ts';
import { requiredObject } from './required.ts';
import { ruleNodes } from './rule-nodes.ts';
import { AnyJson, typed } from './schemas.ts';
import { wholeNumber } from './telemetry-target.ts';

const Query = Type.Object({ tenantId: Type.String({ description: 'UUID of the tenant.' }), ...PAGE_QUERY, ...TIME_QUERY });
const OfType = Type.Object({ entityType: Type.String(), entityId: Type.String(), eventType: Type.String() });
const OfEntity = Type.Omit(OfType, ['eventType']);
const tags = ['Events'];
const config = { who: 'STC' } as const;
/** Events of a filtered clear that are looked at in one step. */
const CLEAR_STEP = 1000;

/** Debug, lifecycle and statistics events of entities (specs: rest-api §2.18). */
export default async function events(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const path = '/api/events/:entityType/:entityId';

  app.get(
    `${path}/:eventType`,
    { config, schema: { tags, summary: 'Events of one type', params: OfType, querystring: Query } },
    ({ caller, params, query }) => list(caller, params, { type: eventType(params.eventType) }, query),
  );
  app.get(path, { config, schema: { tags, summary: 'Lifecycle events', params: OfEntity, querystring: Query } }, ({ caller, params, query }) =>
    list(caller, params, { type: 'LC_EVENT' }, query),
  );
  app.post(
    path,
    { config, schema: { tags, summary: 'Events by a filter', params: OfEntity, querystring: Query, body: AnyJson } },
    ({ caller, params, query, body }) => list(caller, params, eventFilter(requiredObject(body)), query),
  );

  app.post(
    `${path}/clear`,
    { config, schema: { tags, summary: 'Removes events by a filter', params: OfEntity, querystring: Type.Object(TIME_QUERY), body: AnyJson } },
    async ({ caller, params, query, body }, reply) => {
      const filter = eventFilter(requiredObject(body));
      const { entity, tenantId } = await owned(caller, params, 'write');
      const range = { startTime: wholeNumber(query, 'startTime'), endTime: wholeNumber(query, 'endTime') };
      const work = new Work();
      if (filter.contains || filter.ranges || filter.isError) {
        const ids = await matching(tenantId, entity, { ...filter, ...range });
        if (ids.length > 0) work.eventRemovals.push({ tenantId, entity, type: filter.type, ids, ...range });
      } else work.eventRemovals.push({ tenantId, entity, type: filter.type, ...range });
      if (!work.isEmpty) await context.backend.commit(work);
      return reply.code(200).send();
    },
  );

  async function list(caller: Caller, params: Static<typeof OfEntity>, filter: EventQuery, query: Static<typeof Query>): Promise<Page<unknown>> {
    const { page, pageSize, order, startTime, endTime } = pageLink(query, ['id', 'ts']);
    const asked = uuid(query.tenantId);
    const { entity, tenantId } = await owned(caller, params, 'read');
    if (asked !== tenantId) return { data: [], totalPages: 0, totalElements: 0, hasNext: false };
    const found = await store.events(tenantId, entity, { ...filter, page, pageSize, order, startTime, endTime });
    return { ...found, data: found.data.map(eventJson) };
  }

  async function matching(tenantId: string, entity: EntityRef, filter: EventQuery): Promise<string[]> {
    const ids: string[] = [];
    for (let page = 0; ; page++) {
      const { data, hasNext } = await store.events(tenantId, entity, { ...filter, page, pageSize: CLEAR_STEP, order: 'ASC' });
      for (const { id } of data) ids.push(id);
      if (!hasNext) return ids;
    }
  }

  /** Whose events they are. Rule nodes belong to their chain's tenant. @throws HttpError 404, 403 */
  async function owned(
    caller: Caller,
    { entityType, entityId }: Static<typeof OfEntity>,
    access: 'read' | 'write',
  ): Promise<{ entity: EntityRef; tenantId: string }> {
    const entity = refOf(entityType, entityId);
    if (entity.entityType !== 'RULE_NODE') {
      const doc = await (access === 'write' ? writable : readable)(context, caller, entity);
      return { entity, tenantId: doc.tenantId };
    }
    const found = await ruleNodes(context.backend).find(entity.id);
    if (!found) throw notFound(`${entityLabel('RULE_NODE')} with id [${entity.id}] is not found`);
    if (found.tenantId !== caller.tenantId || caller.authority !== 'TENANT_ADMIN') throw forbidden();
    return { entity, tenantId: found.tenantId };
  }

  app.get<{ Params: { id: string } }>(
    '/api/ruleNode/:id/debugIn',
    { config: { who: 'T' }, schema: { tags: ['Rule nodes'], summary: 'What came into a rule node last' } },
    async ({ caller, params }, reply) => {
      const { entity, tenantId } = await owned(caller, { entityType: 'RULE_NODE', entityId: params.id }, 'read');
      const { data } = await store.events(tenantId, entity, { type: 'DEBUG_RULE_NODE', contains: { type: 'IN' }, pageSize: 1, order: 'DESC' });
      return reply.type('application/json').send(JSON.stringify(data[0]?.body ?? null));
    },
  );
}

function eventJson({ id, tenantId, entity, type, createdTime, body }: EventRow): Record<string, unknown> {
  return { id: { id }, createdTime, tenantId: { entityType: 'TENANT', id: tenantId || NULL_ID }, type, uid: id, entityId: entity, body };
}
