import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, isAssigned, newDoc, withCustomer, withoutCustomer } from '../entities.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { notFound } from './errors.ts';
import { joinGroups } from './group-members.ts';
import { everyDocOf, listByIds, listDocs } from './lists.ts';
import { idList, PAGE_QUERY, pageLink, pageOf, pageOfAll } from './paging.ts';
import { checkLimit, checkName, remove, save } from './save.ts';
import { AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed, Uuid } from './schemas.ts';

/** Dashboards, kept for clients that draw them (specs: rest-api §2.20). */

const DashboardBody = Body({
  id: Maybe(IdOf('DASHBOARD')),
  title: Maybe(Type.String()),
  image: Maybe(Type.String()),
  mobileHide: Maybe(Type.Boolean()),
  mobileOrder: Maybe(Type.Integer()),
  configuration: Type.Optional(AnyJson),
  resources: Type.Optional(AnyJson),
  version: Maybe(Type.Integer()),
});
type DashboardBody = Type.Static<typeof DashboardBody>;

const ref = (id: string) => ({ entityType: 'DASHBOARD' as const, id });
const info = (doc: Doc) => {
  const { configuration: _c, resources: _r, externalId: _e, ...rest } = entityJson(doc);
  return rest;
};

export default async function dashboards(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const tags = ['Dashboard'];
  const T = { who: 'T' as const };
  const byId = { tags, params: IdParams };
  const page = Type.Object(PAGE_QUERY);

  app.get('/api/dashboard/serverTime', { config: { who: 'STC' }, schema: { tags } }, async (_request, reply) =>
    reply.type('application/json').send(String(context.now())),
  );
  app.get('/api/dashboard/maxDatapointsLimit', { config: { who: 'STC' }, schema: { tags } }, async (_request, reply) =>
    reply.type('application/json').send('50000'),
  );
  for (const url of ['/api/dashboard/home', '/api/dashboard/home/info']) {
    app.get(url, { schema: { tags } }, async (_request, reply) => reply.send());
  }
  app.get('/api/tenant/dashboard/home/info', { schema: { tags } }, async () => ({ dashboardId: null, hideDashboardToolbar: true }));

  app.post(
    '/api/dashboard',
    {
      config: T,
      schema: {
        tags,
        body: DashboardBody,
        querystring: Type.Object({ entityGroupId: Type.Optional(Type.String()), entityGroupIds: Type.Optional(IdList) }),
      },
    },
    async ({ body, query, caller }) => entityJson(await saveDashboard(context, caller, body, query)),
  );
  app.get('/api/dashboard/:id', { schema: byId }, async ({ params, caller }) => entityJson(await readable(context, caller, ref(params.id))));
  app.get('/api/dashboard/info/:id', { schema: byId }, async ({ params, caller }) => info(await readable(context, caller, ref(params.id))));
  app.delete('/api/dashboard/:id', { config: T, schema: byId }, async ({ params, caller }, reply) => {
    await remove({ context, caller, doc: await writable(context, caller, ref(params.id)) });
    return reply.send();
  });

  /** Whom a dashboard is assigned to stands inside it: such lists are put together from all. */
  const ofCustomer = async (caller: Caller, customerId: string, query: unknown) => {
    const { page: number, pageSize, ...where } = pageLink(query);
    const all = await everyDocOf(context, 'DASHBOARD', caller.tenantId, where);
    const own = all.filter((doc) => isAssigned(doc, customerId));
    return pageOfAll(own.map(info), { page: number, pageSize });
  };
  const list = async (caller: Caller, query: unknown) =>
    caller.authority === 'CUSTOMER_USER'
      ? ofCustomer(caller, caller.customerId, query)
      : pageOf(await listDocs(context, 'DASHBOARD', caller.tenantId, query), info);
  app.get('/api/tenant/dashboards', { config: T, schema: { tags, querystring: page } }, async ({ query, caller }) => list(caller, query));
  for (const url of ['/api/user/dashboards', '/api/dashboards/all']) {
    app.get(url, { schema: { tags, querystring: page } }, async ({ query, caller }) => list(caller, query));
  }
  app.get('/api/customer/:id/dashboards', { schema: { ...byId, querystring: page } }, async ({ params, query, caller }) => {
    await readable(context, caller, { entityType: 'CUSTOMER', id: params.id });
    return ofCustomer(caller, params.id, query);
  });
  for (const url of ['/api/dashboards', '/api/dashboards/list']) {
    app.get(url, { schema: { tags, querystring: Type.Object({ dashboardIds: IdList }) } }, async ({ query, caller }) => {
      const found = await listByIds(context, { ...caller, authority: 'TENANT_ADMIN' }, 'DASHBOARD', idList(query, 'dashboardIds'));
      const own = (doc: Doc) => caller.authority !== 'CUSTOMER_USER' || isAssigned(doc, caller.customerId);
      return found.filter(own).map(info);
    });
  }

  const ofBoth = { tags, params: Type.Object({ customerId: Uuid, id: Uuid }) };
  app.post('/api/customer/:customerId/dashboard/:id', { config: T, schema: ofBoth }, async ({ params, caller }) => {
    const customer = await readable(context, caller, { entityType: 'CUSTOMER', id: params.customerId });
    const stored = await writable(context, caller, ref(params.id));
    return entityJson(await save({ context, caller, doc: withCustomer(stored, customer), stored }));
  });
  app.delete('/api/customer/:customerId/dashboard/:id', { config: T, schema: ofBoth }, async ({ params, caller }) => {
    const stored = await writable(context, caller, ref(params.id));
    if (!isAssigned(stored, params.customerId)) throw notFound();
    return entityJson(await save({ context, caller, doc: withoutCustomer(stored, params.customerId), stored }));
  });
}

async function saveDashboard(context: ApiContext, caller: Caller, body: DashboardBody, query: unknown): Promise<Doc> {
  const stored = body.id ? await writable(context, caller, ref(body.id.id)) : undefined;
  const name = checkName('Dashboard', body.title, 'title');
  if (!stored) await checkLimit(context, caller.tenantId, 'maxDashboards', 'DASHBOARD');
  const { image = null, mobileHide, mobileOrder = null, configuration = null, resources = null } = body;
  const content = { image, mobileHide: mobileHide ?? false, mobileOrder, configuration, resources, externalId: null };
  const made = newDoc({ collection: 'DASHBOARD', tenantId: caller.tenantId, name, body: { ...content, assignedCustomers: null } }, context.now());
  const doc = stored ? { ...stored, name, body: { ...content, assignedCustomers: stored.body['assignedCustomers'] ?? null } } : made;
  const work = new Work();
  await joinGroups(context, caller, query, doc, work);
  return save({ context, caller, doc, stored, expects: body.version, work });
}
