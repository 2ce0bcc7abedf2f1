import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, entityLabel, entityRef, isPublic, ownerOf } from '../entities.ts';
import type { Doc, Page } from '../store.ts';
import type { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, forbidden, notFound } from './errors.ts';
import { groupsOf } from './group-members.ts';
import { customersOf, everyDocOf, jsonPage, listByIds, listDocs } from './lists.ts';
import { idList, PAGE_QUERY, pageLink, pageOfAll } from './paging.ts';
import { publicCustomer } from './public-customer.ts';
import { SearchParameters, searchRelations } from './relation-search.ts';
import { remove, save } from './save.ts';
import { Body, IdParams, typed, Uuid } from './schemas.ts';

/** What devices, assets and entity views have in common: they have a type and an owner, and are listed, found, assigned and deleted alike (specs: rest-api §2.5, §2.6). */

export interface OwnedKind {
  readonly collection: 'DEVICE' | 'ASSET' | 'ENTITY_VIEW';
  /** In paths and parameter names: `device` → `/api/device/…`, `deviceName`. */
  readonly path: 'device' | 'asset' | 'entityView';
  /** In the body of a search by relations. */
  readonly types: string;
  /** Profile name and more, for the Info form. */
  readonly info?: (doc: Doc) => Promise<Record<string, unknown>>;
  /** Profile name of an id in an Info filter. */
  readonly profile?: 'DEVICE_PROFILE' | 'ASSET_PROFILE';
  readonly beforeRemoval?: (doc: Doc) => Promise<Work>;
}

/** Filters that the Info lists have; those of other kinds are ignored. */
const INFO_FILTERS = {
  type: Type.Optional(Type.String()),
  includeCustomers: Type.Optional(Type.Boolean()),
  active: Type.Optional(Type.Boolean()),
  deviceProfileId: Type.Optional(Type.String()),
  assetProfileId: Type.Optional(Type.String()),
};
const InfoQuery = Type.Object({ ...PAGE_QUERY, ...INFO_FILTERS });
const TypedPage = Type.Object({ ...PAGE_QUERY, type: Type.Optional(Type.String()) });
type InfoQuery = Type.Static<typeof InfoQuery>;

/** Customer users see only their customer's. */
const ownerFilter = (caller: Caller) => (caller.authority === 'CUSTOMER_USER' ? { customerId: caller.customerId } : {});

export function ownedEntities(plain: FastifyInstance, context: ApiContext, kind: OwnedKind): void {
  const app = typed(plain);
  const { collection, path } = kind;
  const plural = `${path}s`;
  const tags = [entityLabel(collection)];
  const { store } = context.backend;
  const tenantOnly = { who: 'T' as const };
  const refOf = (id: string) => ({ entityType: collection, id });
  const byId = { tags, params: IdParams };

  const infosOf = (caller: Caller, docs: readonly Doc[]) => infos(context, kind, caller.tenantId, docs);
  const byName = async (caller: Caller, name: string) => {
    const doc = await store.docByName(collection, caller.tenantId, name);
    if (!doc) throw notFound();
    return entityJson(doc);
  };
  const list = async (caller: Caller, query: { type?: string }, customerId?: string) =>
    jsonPage(
      await listDocs(context, collection, caller.tenantId, query, {
        ...ownerFilter(caller),
        ...(customerId === undefined ? {} : { customerId }),
        ...(query.type === undefined ? {} : { kind: query.type }),
      }),
    );
  const listInfos = async (caller: Caller, query: InfoQuery, customerId?: string): Promise<Page<unknown>> => {
    const where = {
      ...ownerFilter(caller),
      ...(customerId === undefined ? {} : { customerId }),
      ...(await typeFilter(context, kind, caller, query)),
    };
    if (query.active === undefined) {
      const page = await listDocs(context, collection, caller.tenantId, query, where);
      return { ...page, data: await infosOf(caller, page.data) };
    }
    const { textSearch, sortBy, order, ...link } = pageLink(query, INFO_KEYS);
    const all = await infosOf(caller, await everyDocOf(context, collection, caller.tenantId, { textSearch, sortBy, order, ...where }));
    return pageOfAll(
      all.filter((info) => info['active'] === query.active),
      link,
    );
  };

  app.get(`/api/${path}/:id`, { schema: byId }, async ({ params, caller }) => entityJson(await readable(context, caller, refOf(params.id))));
  app.get(`/api/${path}/info/:id`, { schema: byId }, async ({ params, caller }) => {
    const owner = await store.ownerOf(collection, params.id);
    const doc = await readable(context, caller, refOf(params.id)).catch((error: unknown) => {
      // Of the info form a foreign device's existence is told.
      throw owner !== null && owner !== caller.tenantId ? forbidden() : error;
    });
    return (await infosOf(caller, [doc]))[0];
  });
  app.delete(`/api/${path}/:id`, { config: tenantOnly, schema: byId }, async ({ params, caller }, reply) => {
    const doc = await writable(context, caller, refOf(params.id));
    await remove({ context, caller, doc, work: await kind.beforeRemoval?.(doc) });
    return reply.send();
  });

  app.get(
    `/api/tenant/${path}`,
    { config: tenantOnly, schema: { tags, querystring: Type.Object({ [`${path}Name`]: Type.String() }) } },
    async ({ query, caller }) => byName(caller, (query as Record<string, string>)[`${path}Name`]!),
  );
  app.get(
    `/api/tenant/${plural}`,
    {
      config: tenantOnly,
      schema: { tags, querystring: Type.Partial(Type.Object({ ...PAGE_QUERY, type: Type.String(), [`${path}Name`]: Type.String() })) },
    },
    async ({ query, caller }) => {
      const name = (query as Record<string, string | undefined>)[`${path}Name`];
      return name === undefined ? list(caller, query as { type?: string }) : byName(caller, name);
    },
  );
  app.get(`/api/tenant/${path}Infos`, { config: tenantOnly, schema: { tags, querystring: InfoQuery } }, async ({ query, caller }) =>
    listInfos(caller, query),
  );
  app.get(`/api/${path}Infos/all`, { schema: { tags, querystring: InfoQuery } }, async ({ query, caller }) => listInfos(caller, query));
  app.get(`/api/user/${plural}`, { schema: { tags, querystring: TypedPage } }, async ({ query, caller }) => list(caller, query));
  app.get(`/api/customer/:id/${plural}`, { schema: { ...byId, querystring: TypedPage } }, async ({ params, query, caller }) => {
    await readable(context, caller, { entityType: 'CUSTOMER', id: params.id });
    return list(caller, query, params.id);
  });
  app.get(`/api/customer/:id/${path}Infos`, { schema: { ...byId, querystring: InfoQuery } }, async ({ params, query, caller }) => {
    await readable(context, caller, { entityType: 'CUSTOMER', id: params.id });
    return listInfos(caller, query, params.id);
  });
  for (const url of [`/api/${plural}`, `/api/${plural}/list`]) {
    app.get(url, { schema: { tags } }, async ({ query, caller }) => {
      if ((query as Record<string, unknown>)[`${path}Ids`] === undefined) throw badRequest(`Required request parameter '${path}Ids' is not present`);
      return (await listByIds(context, caller, collection, idList(query, `${path}Ids`))).map(entityJson);
    });
  }
  app.get(`/api/${path}/types`, { schema: { tags } }, async ({ caller }) => {
    const types = new Set((await everyDocOf(context, collection, caller.tenantId, ownerFilter(caller))).map((doc) => doc.kind ?? ''));
    return [...types].sort().map((type) => ({ tenantId: { entityType: 'TENANT', id: caller.tenantId }, entityType: collection, type }));
  });
  app.post(
    `/api/${plural}`,
    {
      schema: {
        tags,
        summary: 'Find by relations',
        body: Body({ parameters: SearchParameters, relationType: Type.Optional(Type.String()) }),
      },
    },
    async ({ body, caller }) => {
      const wanted = (body as Record<string, unknown>)[kind.types];
      if (!Array.isArray(wanted) || wanted.length === 0) throw badRequest(`Validation error: ${kind.types} must not be empty`);
      const filters = body.relationType === undefined ? [] : [{ relationType: body.relationType, entityTypes: [] }];
      const found = await searchRelations(context, caller, body.parameters, filters);
      const far = found.map(({ relation }) => (body.parameters.direction === 'TO' ? relation.from : relation.to));
      const docs = await listByIds(context, caller, collection, [
        ...new Set(far.filter((ref) => ref.entityType === collection).map((ref) => ref.id)),
      ]);
      return docs.filter((doc) => wanted.includes(doc.kind)).map(entityJson);
    },
  );

  app.post(
    `/api/customer/:customerId/${path}/:id`,
    { config: tenantOnly, schema: { tags, summary: 'Assign to a customer', params: Type.Object({ customerId: Uuid, id: Uuid }) } },
    async ({ params, caller }) => {
      const customer = await readable(context, caller, { entityType: 'CUSTOMER', id: params.customerId });
      return assign(context, caller, await writable(context, caller, refOf(params.id)), customer);
    },
  );
  app.post(`/api/customer/public/${path}/:id`, { config: tenantOnly, schema: { ...byId, summary: 'Make public' } }, async ({ params, caller }) => {
    const doc = await writable(context, caller, refOf(params.id));
    return assign(context, caller, doc, await publicCustomer(context, caller));
  });
  app.delete(
    `/api/customer/${path}/:id`,
    { config: tenantOnly, schema: { ...byId, summary: 'Take from its customer' } },
    async ({ params, caller }) => {
      const doc = await writable(context, caller, refOf(params.id));
      if (!doc.customerId) throw badRequest(`${entityLabel(collection)} isn't assigned to any customer!`);
      return unassign(context, caller, doc);
    },
  );
}

export async function assign(context: ApiContext, caller: Caller, doc: Doc, customer: Doc): Promise<Record<string, unknown>> {
  if (doc.customerId === customer.id) return entityJson(doc);
  return entityJson(
    await save({
      context,
      caller,
      doc: { ...doc, customerId: customer.id },
      stored: doc,
      type: 'ENTITY_ASSIGNED',
      metadata: { assignedCustomerId: customer.id, assignedCustomerName: customer.name },
    }),
  );
}

export async function unassign(context: ApiContext, caller: Caller, doc: Doc): Promise<Record<string, unknown>> {
  const customer = await context.backend.store.doc('CUSTOMER', doc.tenantId, doc.customerId!);
  return entityJson(
    await save({
      context,
      caller,
      doc: { ...doc, customerId: null },
      stored: doc,
      type: 'ENTITY_UNASSIGNED',
      metadata: { unassignedCustomerId: doc.customerId!, unassignedCustomerName: customer?.name ?? '' },
    }),
  );
}

const INFO_KEYS = ['customerTitle', 'deviceProfileName', 'assetProfileName', 'active', 'customerIsPublic'];

async function typeFilter(context: ApiContext, kind: OwnedKind, caller: Caller, query: InfoQuery): Promise<{ kind?: string }> {
  const profileId = kind.profile === 'DEVICE_PROFILE' ? query.deviceProfileId : kind.profile === 'ASSET_PROFILE' ? query.assetProfileId : undefined;
  if (profileId !== undefined && kind.profile)
    return { kind: (await readable(context, caller, { entityType: kind.profile, id: idList({ id: profileId }, 'id')[0]! })).name };
  return query.type === undefined ? {} : { kind: query.type };
}

/** The Info form: names of the owner and what belongs to the kind. */
async function infos(context: ApiContext, kind: OwnedKind, tenantId: string, docs: readonly Doc[]): Promise<Record<string, unknown>[]> {
  const customers = await customersOf(context, tenantId, docs);
  const tenant = docs.length > 0 ? await context.backend.store.doc('TENANT', tenantId, tenantId) : null;
  return Promise.all(
    docs.map(async (doc) => {
      const customer = doc.customerId ? customers.get(doc.customerId) : undefined;
      return {
        ...entityJson(doc),
        customerTitle: customer?.name ?? null,
        customerIsPublic: isPublic(customer),
        ownerName: ownerOf(doc).entityType === 'CUSTOMER' ? (customer?.name ?? null) : (tenant?.name ?? null),
        groups: await groupsOf(context, tenantId, entityRef(doc)),
        ...(await kind.info?.(doc)),
      };
    }),
  );
}
