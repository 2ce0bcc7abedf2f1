import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, entityRef, newGroup } from '../entities.ts';
import { addMember, groupKey, isAll, removeMember } from '../groups.ts';
import type { EntityRef } from '../message.ts';
import { GROUP_TYPES } from '../seed.ts';
import type { Collection, Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, refOf, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, forbidden, notFound } from './errors.ts';
import { changeBy, groupsOf, isMember, listMembers, refused } from './group-members.ts';
import { everyDocOf, jsonPage, listByIds, listDocs } from './lists.ts';
import { idList, PAGE_QUERY, pageOf } from './paging.ts';
import { checkName, commit, removeDoc, save } from './save.ts';
import { AnyId, AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed, Uuid } from './schemas.ts';

/** Entity groups (specs: rest-api §2.7). */

const GroupBody = Body({
  id: Maybe(IdOf('ENTITY_GROUP')),
  type: Maybe(Type.Enum([...GROUP_TYPES])),
  name: Maybe(Type.String()),
  ownerId: Maybe(AnyId),
  additionalInfo: Type.Optional(AnyJson),
  configuration: Type.Optional(AnyJson),
  version: Maybe(Type.Integer()),
});
type GroupBody = Type.Static<typeof GroupBody>;

const OptionalPage = Type.Partial(Type.Object(PAGE_QUERY));
const ref = (id: string) => ({ entityType: 'ENTITY_GROUP' as const, id });
const short = (group: Doc) => ({ id: entityRef(group), name: group.name });

export default async function groups(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const tags = ['Entity group'];
  const byId = { tags, params: IdParams };

  app.post('/api/entityGroup', { schema: { tags, summary: 'Create or update a group', body: GroupBody } }, async ({ body, caller }) =>
    entityJson(await saveGroup(context, caller, body)),
  );
  app.get('/api/entityGroup/:id', { schema: byId }, async ({ params, caller }) => entityJson(await readable(context, caller, ref(params.id))));
  app.get('/api/entityGroupInfo/:id', { schema: byId }, async ({ params, caller }) => short(await readable(context, caller, ref(params.id))));
  app.delete('/api/entityGroup/:id', { schema: byId }, async ({ params, caller }, reply) => {
    const group = await writable(context, caller, ref(params.id));
    if (isAll(group)) throw badRequest('The group All can not be deleted');
    const work = new Work();
    removeDoc(work, group);
    work.purges.push({ tenantId: group.tenantId, entity: entityRef(group) });
    await commit(context, work, 'ENTITY_GROUP');
    return reply.send();
  });

  const byIds = async (caller: Caller, query: unknown) => listByIds(context, caller, 'ENTITY_GROUP', idList(query, 'entityGroupIds'));
  for (const url of ['/api/entityGroups', '/api/entityGroups/list']) {
    app.get(url, { schema: { tags, querystring: Type.Object({ entityGroupIds: IdList }) } }, async ({ query, caller }) =>
      (await byIds(caller, query)).map(entityJson),
    );
  }
  app.get('/api/entityGroupInfos', { schema: { tags, querystring: Type.Object({ entityGroupIds: IdList }) } }, async ({ query, caller }) =>
    (await byIds(caller, query)).map(short),
  );

  /** With paging a page, without it a plain list: clients use both. */
  const list = async (
    caller: Caller,
    owner: EntityRef,
    type: string,
    query: { pageSize?: unknown; page?: unknown },
    map: (group: Doc) => unknown,
  ) => {
    await mayOwn(context, caller, owner);
    const where = { kind: groupType(type), ref: owner.id };
    if (query.pageSize !== undefined && query.page !== undefined)
      return pageOf(await listDocs(context, 'ENTITY_GROUP', caller.tenantId, query, where), map);
    return (await everyDocOf(context, 'ENTITY_GROUP', caller.tenantId, where)).map(map);
  };
  const ByType = Type.Object({ groupType: Type.String() });
  for (const tail of ['', '/all']) {
    app.get(
      `/api/entityGroups/:groupType${tail}`,
      { schema: { tags, params: ByType, querystring: OptionalPage } },
      async ({ params, query, caller }) => list(caller, ownerOfCaller(caller), params.groupType, query, entityJson),
    );
    app.get(
      `/api/entityGroups/:ownerType/:ownerId/:groupType${tail}`,
      { schema: { tags, params: OfOwner, querystring: OptionalPage } },
      async ({ params, query, caller }) => list(caller, refOf(params.ownerType, params.ownerId), params.groupType, query, entityJson),
    );
  }
  app.get('/api/entityGroupInfos/:groupType', { schema: { tags, params: ByType, querystring: OptionalPage } }, async ({ params, query, caller }) =>
    list(caller, ownerOfCaller(caller), params.groupType, query, short),
  );
  app.get(
    '/api/entityGroupInfos/:ownerType/:ownerId/:groupType',
    { schema: { tags, params: OfOwner, querystring: OptionalPage } },
    async ({ params, query, caller }) => list(caller, refOf(params.ownerType, params.ownerId), params.groupType, query, short),
  );
  // The second segment of this one is an entity's id, not a group type of an owner.
  app.get(
    '/api/entityGroups/:groupType/:entityId',
    { schema: { tags, params: Type.Object({ groupType: Type.String(), entityId: Uuid }) } },
    async ({ params, caller }) => {
      const doc = await readable(context, caller, refOf(params.groupType, params.entityId));
      return (await groupsOf(context, doc.tenantId, entityRef(doc))).map(({ id }) => id);
    },
  );

  const named = async (caller: Caller, ownerType: string, ownerId: string, type: string, name: string) => {
    const owner = refOf(ownerType, ownerId);
    await mayOwn(context, caller, owner);
    const group = await context.backend.store.docByKey('ENTITY_GROUP', groupKey(owner, groupType(type), name));
    if (!group) throw notFound();
    return entityJson(group);
  };
  app.get(
    '/api/entityGroup/:ownerType/:ownerId/:groupType/:groupName',
    { schema: { tags, params: Type.Object({ ...OfOwner.properties, groupName: Type.String() }) } },
    async ({ params, caller }) => named(caller, params.ownerType, params.ownerId, params.groupType, params.groupName),
  );
  app.get('/api/entityGroup/all/:ownerType/:ownerId/:groupType', { schema: { tags, params: OfOwner } }, async ({ params, caller }) =>
    named(caller, params.ownerType, params.ownerId, params.groupType, 'All'),
  );

  for (const action of ['addEntities', 'deleteEntities'] as const) {
    app.post(`/api/entityGroup/:id/${action}`, { schema: { ...byId, body: Type.Array(Uuid) } }, async ({ params, body, caller }, reply) => {
      const group = await writable(context, caller, ref(params.id));
      if (isAll(group)) throw badRequest('The group All has everything its owner has');
      const work = new Work();
      const change = changeBy(context, caller, group.tenantId, work);
      for (const id of new Set(body)) {
        const member = await readable(context, caller, { entityType: group.kind as EntityRef['entityType'], id });
        await refused(action === 'addEntities' ? addMember(change, group, member) : removeMember(change, group, member));
      }
      await context.backend.commit(work);
      return reply.send();
    });
  }

  app.get('/api/entityGroup/:id/entities', { schema: { ...byId, querystring: Type.Object(PAGE_QUERY) } }, async ({ params, query, caller }) => {
    const group = await readable(context, caller, ref(params.id));
    return pageOf(await listMembers(context, group, query), shortEntity);
  });
  app.get('/api/entityGroup/:id/:entityId', { schema: { tags, params: Type.Object({ id: Uuid, entityId: Uuid }) } }, async ({ params, caller }) => {
    const group = await readable(context, caller, ref(params.id));
    const doc = await readable(context, caller, { entityType: group.kind as EntityRef['entityType'], id: params.entityId });
    if (!(await isMember(context, group, doc))) throw notFound();
    return shortEntity(doc);
  });
  for (const [path, collection] of MEMBER_LISTS) {
    app.get(`/api/entityGroup/:id/${path}`, { schema: { ...byId, querystring: Type.Object(PAGE_QUERY) } }, async ({ params, query, caller }) => {
      const group = await readable(context, caller, ref(params.id));
      if (group.kind !== collection) throw badRequest(`The group holds ${group.kind}, not ${collection}`);
      return jsonPage(await listMembers(context, group, query));
    });
  }

  const owners = async (caller: Caller, query: unknown) => {
    const page = await listDocs(
      context,
      'CUSTOMER',
      caller.tenantId,
      query,
      caller.authority === 'CUSTOMER_USER' ? { ids: [caller.customerId] } : {},
    );
    return pageOf(page, short);
  };
  for (const url of ['/api/owners', '/api/ownerInfos']) {
    app.get(url, { schema: { tags, querystring: Type.Object(PAGE_QUERY) } }, async ({ query, caller }) => owners(caller, query));
  }
  app.get(
    '/api/ownerInfo/:ownerType/:ownerId',
    { schema: { tags, params: Type.Object({ ownerType: Type.String(), ownerId: Uuid }) } },
    async ({ params, caller }) => short(await readable(context, caller, refOf(params.ownerType, params.ownerId))),
  );
}

const OfOwner = Type.Object({ ownerType: Type.String(), ownerId: Uuid, groupType: Type.String() });

const MEMBER_LISTS: readonly (readonly [path: string, collection: Collection])[] = [
  ['devices', 'DEVICE'],
  ['assets', 'ASSET'],
  ['customers', 'CUSTOMER'],
  ['users', 'USER'],
  ['entityViews', 'ENTITY_VIEW'],
  ['dashboards', 'DASHBOARD'],
];

const shortEntity = (doc: Doc) => ({
  id: entityRef(doc),
  name: doc.name,
  createdTime: doc.createdTime,
  type: doc.kind ?? null,
  label: doc.label ?? null,
});

function groupType(text: string): string {
  if (!(GROUP_TYPES as readonly string[]).includes(text)) throw badRequest(`Invalid group type: ${text}`);
  return text;
}

const ownerOfCaller = (caller: Caller): EntityRef =>
  caller.authority === 'CUSTOMER_USER' ? { entityType: 'CUSTOMER', id: caller.customerId } : { entityType: 'TENANT', id: caller.tenantId };

async function mayOwn(context: ApiContext, caller: Caller, owner: EntityRef): Promise<void> {
  if (owner.entityType !== 'TENANT' && owner.entityType !== 'CUSTOMER')
    throw badRequest(`An owner is a TENANT or a CUSTOMER, not a ${owner.entityType}`);
  await readable(context, caller, owner);
}

async function saveGroup(context: ApiContext, caller: Caller, body: GroupBody): Promise<Doc> {
  const stored = body.id ? await writable(context, caller, ref(body.id.id)) : undefined;
  const name = checkName('Entity group', body.name);
  if (stored && isAll(stored) && name !== stored.name) throw badRequest('The group All can not be renamed');
  const type = stored?.kind ?? body.type;
  if (!type) throw badRequest('Entity group type should be specified!');
  const owner: EntityRef = stored
    ? (stored.body['ownerId'] as EntityRef)
    : body.ownerId
      ? refOf(body.ownerId.entityType, body.ownerId.id)
      : ownerOfCaller(caller);
  await mayOwn(context, caller, owner);
  if (caller.authority === 'CUSTOMER_USER' && owner.id !== caller.customerId) throw forbidden();
  const { additionalInfo, configuration } = body;
  const made = newGroup(caller.tenantId, { type, name, owner, all: stored ? isAll(stored) : false, additionalInfo, configuration }, context.now());
  const doc = stored ? { ...made, id: stored.id, createdTime: stored.createdTime, version: stored.version } : made;
  const taken = await context.backend.store.docByKey('ENTITY_GROUP', doc.uniqueKey!);
  if (taken && taken.id !== doc.id) throw badRequest(`Entity group with name '${name}' already present in database!`);
  return save({ context, caller, doc, stored, expects: body.version });
}
