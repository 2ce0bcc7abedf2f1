import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { actionMessage, enqueueAction } from '../actions.ts';
import { entityJson, entityRef, isPublic, nameKey, newCustomer } from '../entities.ts';
import { changeOwner, OWNED } from '../groups.ts';
import { addOwnerGroups } from '../seed.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, refOf, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { SAVE_QUERY } from './devices.ts';
import { badRequest, forbidden, notFound } from './errors.ts';
import { changeBy, joinGroups, refused } from './group-members.ts';
import { everyDocOf, jsonPage, listByIds, listDocs } from './lists.ts';
import { idList, PAGE_QUERY } from './paging.ts';
import { checkLimit, checkName, commit, freeName, type NamePolicy, remove, removeDoc, save } from './save.ts';
import { AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed, Uuid } from './schemas.ts';
import { CONTACT, contactOf } from './tenants.ts';

/** Customers and ownership (specs: rest-api §2.4). */

const CustomerBody = Body({
  id: Maybe(IdOf('CUSTOMER')),
  title: Maybe(Type.String()),
  parentCustomerId: Maybe(IdOf('CUSTOMER')),
  customMenuId: Type.Optional(AnyJson),
  additionalInfo: Type.Optional(AnyJson),
  version: Maybe(Type.Integer()),
  ...CONTACT,
});
type CustomerBody = Type.Static<typeof CustomerBody>;

const ref = (id: string) => ({ entityType: 'CUSTOMER' as const, id });

export default async function customers(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const tags = ['Customer'];
  const T = { who: 'T' as const };
  const page = Type.Object(PAGE_QUERY);
  const byId = { tags, params: IdParams };

  app.post(
    '/api/customer',
    { config: T, schema: { tags, summary: 'Create or update a customer', body: CustomerBody, querystring: Type.Object(SAVE_QUERY) } },
    async ({ body, query, caller }) => entityJson(await saveCustomer(context, caller, body, query)),
  );
  app.get('/api/customer/:id', { schema: byId }, async ({ params, caller }) => entityJson(await readable(context, caller, ref(params.id))));
  app.get('/api/customer/info/:id', { schema: byId }, async ({ params, caller }) => entityJson(await readable(context, caller, ref(params.id))));
  app.get('/api/customer/:id/shortInfo', { schema: byId }, async ({ params, caller }) => {
    const customer = await readable(context, caller, ref(params.id));
    return { title: customer.name, isPublic: isPublic(customer) };
  });
  app.get('/api/customer/:id/title', { schema: byId }, async ({ params, caller }, reply) =>
    reply.type('application/text').send((await readable(context, caller, ref(params.id))).name),
  );
  app.delete('/api/customer/:id', { config: T, schema: byId }, async ({ params, caller }, reply) => {
    await removeCustomer(context, caller, await writable(context, caller, ref(params.id)));
    return reply.send();
  });

  const list = async (caller: Caller, query: unknown) => jsonPage(await listDocs(context, 'CUSTOMER', caller.tenantId, query));
  const byIds = async (caller: Caller, query: unknown) =>
    (await listByIds(context, caller, 'CUSTOMER', idList(query, 'customerIds'))).map(entityJson);
  app.get(
    '/api/customers',
    { config: T, schema: { tags, querystring: Type.Partial(Type.Object({ ...PAGE_QUERY, customerIds: IdList })) } },
    async ({ query, caller }) => (query.customerIds ? byIds(caller, query) : list(caller, query)),
  );
  app.get('/api/customers/list', { config: T, schema: { tags, querystring: Type.Object({ customerIds: IdList }) } }, async ({ query, caller }) =>
    byIds(caller, query),
  );
  for (const url of ['/api/user/customers', '/api/customerInfos/all']) {
    app.get(url, { config: T, schema: { tags, querystring: page } }, async ({ query, caller }) => list(caller, query));
  }
  app.get('/api/customer/:id/customerInfos', { config: T, schema: { ...byId, querystring: page } }, async ({ params, query, caller }) => {
    await readable(context, caller, ref(params.id));
    return jsonPage(await listDocs(context, 'CUSTOMER', caller.tenantId, query, { customerId: params.id }));
  });
  app.get(
    '/api/tenant/customers',
    { config: T, schema: { tags, querystring: Type.Object({ customerTitle: Type.String() }) } },
    async ({ query, caller }) => {
      const customer = await store.docByKey('CUSTOMER', nameKey(caller.tenantId, query.customerTitle));
      if (!customer) throw notFound();
      return entityJson(customer);
    },
  );

  app.post(
    '/api/owner/:ownerType/:ownerId/:entityType/:entityId',
    {
      config: T,
      schema: {
        tags,
        summary: 'Change the owner',
        params: Type.Object({ ownerType: Type.Enum(['TENANT', 'CUSTOMER']), ownerId: Uuid, entityType: Type.String(), entityId: Uuid }),
      },
    },
    async ({ params, caller }, reply) => {
      if (params.ownerType !== 'TENANT' && params.ownerType !== 'CUSTOMER')
        throw badRequest(`An owner is a TENANT or a CUSTOMER, not a ${params.ownerType}`);
      const owner = await readable(context, caller, refOf(params.ownerType, params.ownerId));
      const doc = await writable(context, caller, refOf(params.entityType, params.entityId));
      const work = new Work();
      await refused(changeOwner(changeBy(context, caller, doc.tenantId, work), doc, entityRef(owner)));
      if (!work.isEmpty) await commit(context, work, doc.collection);
      return reply.send();
    },
  );
}

async function saveCustomer(context: ApiContext, caller: Caller, body: CustomerBody, query: NamePolicy): Promise<Doc> {
  const { tenantId } = caller;
  const stored = body.id ? await writable(context, caller, ref(body.id.id)) : undefined;
  const wanted = checkName('Customer', body.title, 'title');
  if (stored && isPublic(stored)) throw forbidden();
  const contact = contactOf(body);
  if (!stored) await checkLimit(context, tenantId, 'maxCustomers', 'CUSTOMER');
  const title = await freeName(context, 'CUSTOMER', tenantId, wanted, query, stored?.id);
  // Its owner is not changed by a save.
  const { customerId = null, body: { parentCustomerId = null } = {} } = stored ?? {};
  const made = newCustomer(tenantId, title, context.now(), { ...contact, additionalInfo: body.additionalInfo ?? null, parentCustomerId });
  const doc = stored ? { ...made, customerId, id: stored.id, createdTime: stored.createdTime, version: stored.version } : made;
  const work = new Work();
  if (!stored) addOwnerGroups(work, tenantId, entityRef(doc), context.now());
  await joinGroups(context, caller, query, doc, work);
  return save({ context, caller, doc, stored, expects: body.version, work });
}

/** Its users go with it; what it owned goes back to the tenant. */
async function removeCustomer(context: ApiContext, caller: Caller, customer: Doc): Promise<void> {
  const { tenantId, id: customerId } = customer;
  const { store } = context.backend;
  const work = new Work();
  for (const user of await everyDocOf(context, 'USER', tenantId, { customerId })) {
    const credentials = await store.docByKey('USER_CREDENTIALS', user.id);
    if (credentials) removeDoc(work, credentials);
    removeDoc(work, user);
    work.purges.push({ tenantId, entity: entityRef(user) });
  }
  for (const group of await everyDocOf(context, 'ENTITY_GROUP', tenantId, { ref: customerId })) {
    removeDoc(work, group);
    work.purges.push({ tenantId, entity: entityRef(group) });
  }
  for (const sub of await everyDocOf(context, 'CUSTOMER', tenantId, { customerId })) {
    const body = { ...sub.body, parentCustomerId: null };
    work.docs.push({ doc: { ...sub, customerId: null, body, version: sub.version + 1 } });
  }
  for (const collection of OWNED) {
    for (const doc of await everyDocOf(context, collection, tenantId, { customerId })) {
      const freed = { ...doc, customerId: null, version: doc.version + 1 };
      work.docs.push({ doc: freed });
      enqueueAction(
        work,
        actionMessage({
          caller,
          tenantId,
          type: 'ENTITY_UNASSIGNED',
          originator: entityRef(doc),
          data: entityJson(freed),
          metadata: { unassignedCustomerId: customerId, unassignedCustomerName: customer.name },
          now: context.now(),
        }),
      );
    }
  }
  await remove({ context, caller, doc: customer, work });
}
