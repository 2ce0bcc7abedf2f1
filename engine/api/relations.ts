import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { actionMessage, enqueueAction } from '../actions.ts';
import type { EntityRef } from '../message.ts';
import type { Collection, Relation } from '../store.ts';
import { Work } from '../work.ts';
import { readable, refOf, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { RELATION_GROUPS, SearchParameters, searchRelations } from './relation-search.ts';
import { AnyId, AnyJson, Body, Maybe, typed } from './schemas.ts';

/** Relations (specs: rest-api §2.8). */

const RelationBody = Body({
  from: AnyId,
  to: AnyId,
  type: Type.Optional(Type.String()),
  typeGroup: Maybe(Type.Enum(RELATION_GROUPS)),
  additionalInfo: Type.Optional(AnyJson),
});
type RelationBody = Type.Static<typeof RelationBody>;

const Group = Type.Optional(Type.Enum(RELATION_GROUPS));
const OneQuery = Type.Object({
  fromId: Type.String(),
  fromType: Type.String(),
  relationType: Type.String(),
  toId: Type.String(),
  toType: Type.String(),
  relationTypeGroup: Group,
});
const ManyQuery = Type.Object({ ...Type.Partial(OneQuery).properties });
const SearchBody = Body({
  parameters: Maybe(SearchParameters),
  filters: Maybe(
    Type.Array(Body({ relationType: Maybe(Type.String()), entityTypes: Maybe(Type.Array(Type.String())), negate: Type.Optional(Type.Boolean()) })),
  ),
});
type SearchBody = Type.Static<typeof SearchBody>;

const relationJson = ({ from, to, type, typeGroup, version, additionalInfo }: Relation) => ({
  from,
  to,
  type,
  typeGroup,
  version: version ?? 1,
  additionalInfo: additionalInfo ?? null,
});

export default async function relations(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const tags = ['Relation'];

  const find = async (caller: Caller, where: { from?: EntityRef; to?: EntityRef; type?: string; typeGroup?: string }) => {
    const known = where.from ?? where.to;
    if (known) await readable(context, caller, known);
    const found = await store.relations(caller.tenantId, { ...where, typeGroup: where.typeGroup ?? 'COMMON' });
    return found.map(relationJson);
  };
  const one = async (caller: Caller, query: Type.Static<typeof OneQuery>): Promise<Relation> => {
    const from = refOf(query.fromType, query.fromId);
    const to = refOf(query.toType, query.toId);
    await readable(context, caller, from);
    await readable(context, caller, to);
    const typeGroup = query.relationTypeGroup ?? 'COMMON';
    const [relation] = await store.relations(caller.tenantId, { from, to, type: query.relationType, typeGroup });
    if (!relation) throw notFound();
    return relation;
  };
  const withNames = async (caller: Caller, found: ReturnType<typeof relationJson>[], side: 'from' | 'to' | 'both') =>
    Promise.all(
      found.map(async (relation) => ({
        ...relation,
        fromName: side === 'to' ? null : await nameOf(context, caller, relation.from),
        toName: side === 'from' ? null : await nameOf(context, caller, relation.to),
      })),
    );
  const byQuery = (query: Type.Static<typeof ManyQuery>) => {
    const from = query.fromId && query.fromType ? refOf(query.fromType, query.fromId) : undefined;
    const to = query.toId && query.toType ? refOf(query.toType, query.toId) : undefined;
    if ((from === undefined) === (to === undefined)) throw badRequest('Give either fromId and fromType or toId and toType');
    return { from, to, type: query.relationType, typeGroup: query.relationTypeGroup };
  };
  const search = async (caller: Caller, { parameters, filters }: SearchBody) => {
    if (!parameters) throw notFound();
    return (await searchRelations(context, caller, parameters, filters ?? [])).map(({ relation }) => relationJson(relation));
  };

  app.post('/api/relation', { schema: { tags, body: RelationBody } }, async ({ body, caller }, reply) => {
    await saveRelation(context, caller, body);
    return reply.send();
  });
  app.post('/api/v2/relation', { schema: { tags, body: RelationBody } }, async ({ body, caller }) =>
    relationJson(await saveRelation(context, caller, body)),
  );
  app.delete('/api/relation', { schema: { tags, querystring: OneQuery } }, async ({ query, caller }, reply) => {
    await removeRelation(context, caller, await one(caller, query));
    return reply.send();
  });
  app.delete('/api/v2/relation', { schema: { tags, querystring: OneQuery } }, async ({ query, caller }) => {
    const relation = await one(caller, query);
    await removeRelation(context, caller, relation);
    return relationJson(relation);
  });
  app.get('/api/relation', { schema: { tags, querystring: OneQuery } }, async ({ query, caller }) => relationJson(await one(caller, query)));

  app.get('/api/relations', { schema: { tags, querystring: ManyQuery } }, async ({ query, caller }) => find(caller, byQuery(query)));
  app.get('/api/relations/info', { schema: { tags, querystring: ManyQuery } }, async ({ query, caller }) => {
    const where = byQuery(query);
    return withNames(caller, await find(caller, where), where.from ? 'to' : 'from');
  });
  for (const side of ['from', 'to'] as const) {
    const Path = Type.Object({ type: Type.String(), id: Type.String(), relationType: Type.Optional(Type.String()) });
    const Query = Type.Object({ relationTypeGroup: Group });
    for (const url of [`/api/relations/${side}/:type/:id`, `/api/relations/${side}/:type/:id/:relationType`]) {
      app.get(url, { schema: { tags, params: Path, querystring: Query } }, async ({ params, query, caller }) =>
        find(caller, { [side]: refOf(params.type, params.id), type: params.relationType, typeGroup: query.relationTypeGroup }),
      );
    }
    app.get(`/api/relations/info/${side}/:type/:id`, { schema: { tags, params: Path, querystring: Query } }, async ({ params, query, caller }) => {
      const found = await find(caller, { [side]: refOf(params.type, params.id), typeGroup: query.relationTypeGroup });
      return withNames(caller, found, side === 'from' ? 'to' : 'from');
    });
  }
  app.post('/api/relations', { schema: { tags, summary: 'Search', body: SearchBody } }, async ({ body, caller }) => search(caller, body));
  app.post('/api/relations/info', { schema: { tags, summary: 'Search, with names', body: SearchBody } }, async ({ body, caller }) => {
    const side = body.parameters?.direction === 'TO' ? 'from' : 'to';
    return withNames(caller, await search(caller, body), side);
  });
  app.delete(
    '/api/relations',
    {
      schema: {
        tags,
        summary: 'All common relations of an entity',
        querystring: Type.Object({ entityId: Type.String(), entityType: Type.String() }),
      },
    },
    async ({ query, caller }, reply) => {
      const ref = refOf(query.entityType, query.entityId);
      await writable(context, caller, ref);
      const both = [
        ...(await store.relations(caller.tenantId, { from: ref, typeGroup: 'COMMON' })),
        ...(await store.relations(caller.tenantId, { to: ref, typeGroup: 'COMMON' })),
      ];
      const work = new Work();
      for (const relation of both) work.relations.push({ tenantId: caller.tenantId, remove: relation });
      enqueueAction(
        work,
        actionMessage({
          caller,
          tenantId: caller.tenantId,
          type: 'RELATIONS_DELETED',
          originator: ref,
          data: both.map(relationJson),
          now: context.now(),
        }),
      );
      await context.backend.commit(work);
      return reply.send();
    },
  );
}

/** `withNames` names the other end only: the asker knows its own. */
async function nameOf(context: ApiContext, caller: Caller, ref: EntityRef): Promise<string | null> {
  const tenantId = ref.entityType === 'TENANT' ? ref.id : caller.tenantId;
  return (await context.backend.store.doc(ref.entityType as Collection, tenantId, ref.id))?.name ?? null;
}

async function saveRelation(context: ApiContext, caller: Caller, body: RelationBody): Promise<Relation> {
  if (!body.type) throw badRequest('Validation error: type must not be blank');
  if (body.type.length > 255) throw badRequest('Validation error: type length must be equal or less than 255');
  const relation: Relation = {
    from: refOf(body.from.entityType, body.from.id),
    to: refOf(body.to.entityType, body.to.id),
    type: body.type,
    typeGroup: body.typeGroup ?? 'COMMON',
    additionalInfo: body.additionalInfo ?? null,
  };
  await writable(context, caller, relation.from);
  await writable(context, caller, relation.to);
  const work = new Work();
  work.relations.push({ tenantId: caller.tenantId, save: relation });
  tellBothEnds(context, caller, work, 'RELATION_ADD_OR_UPDATE', relation);
  await context.backend.commit(work);
  const { from, to, type, typeGroup } = relation;
  const [saved] = await context.backend.store.relations(caller.tenantId, { from, to, type, typeGroup });
  return saved ?? relation;
}

async function removeRelation(context: ApiContext, caller: Caller, relation: Relation): Promise<void> {
  await writable(context, caller, relation.from);
  await writable(context, caller, relation.to);
  const work = new Work();
  work.relations.push({ tenantId: caller.tenantId, remove: relation });
  tellBothEnds(context, caller, work, 'RELATION_DELETED', relation);
  await context.backend.commit(work);
}

function tellBothEnds(context: ApiContext, caller: Caller, work: Work, type: string, relation: Relation): void {
  const ends = relation.from.id === relation.to.id ? [relation.from] : [relation.from, relation.to];
  for (const originator of ends) {
    enqueueAction(work, actionMessage({ caller, tenantId: caller.tenantId, type, originator, data: relationJson(relation), now: context.now() }));
  }
}
