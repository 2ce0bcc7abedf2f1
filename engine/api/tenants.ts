import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, entityRef } from '../entities.ts';
import { NULL_ID } from '../message.ts';
import { addTenantParts, newTenant } from '../seed.ts';
import type { Collection, Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable } from './access.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';
import { everyDocOf, pageInMemory } from './lists.ts';
import { idList, PAGE_QUERY, pageLink, pageOf } from './paging.ts';
import { checkEmail, checkName, checkTexts, commit, removeDoc } from './save.ts';
import { AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed } from './schemas.ts';

/** Tenants, by the system's administrator (specs: rest-api §2.3). */

export const CONTACT = {
  country: Maybe(Type.String()),
  state: Maybe(Type.String()),
  city: Maybe(Type.String()),
  address: Maybe(Type.String()),
  address2: Maybe(Type.String()),
  zip: Maybe(Type.String()),
  phone: Maybe(Type.String()),
  email: Maybe(Type.String()),
};
type Contact = Readonly<Partial<Record<keyof typeof CONTACT, string | null>>>;

/** The address of a request: absent parts are null, as a save replaces what was there. @throws HttpError 400 */
export function contactOf(body: Contact): Record<keyof typeof CONTACT, string | null> {
  if (body.email) checkEmail(body.email);
  checkTexts(body, Object.keys(CONTACT));
  const { country = null, state = null, city = null, address = null, address2 = null, zip = null, phone = null, email = null } = body;
  return { country, state, city, address, address2, zip, phone, email };
}

const TenantBody = Body({
  id: Maybe(IdOf('TENANT')),
  title: Maybe(Type.String()),
  region: Maybe(Type.String()),
  tenantProfileId: Maybe(IdOf('TENANT_PROFILE')),
  additionalInfo: Type.Optional(AnyJson),
  version: Maybe(Type.Integer()),
  ...CONTACT,
});
type TenantBody = Type.Static<typeof TenantBody>;

const S = { who: 'S' as const };
const ST = { who: 'ST' as const };

export default async function tenants(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const tags = ['Tenant'];
  const page = Type.Object(PAGE_QUERY);
  const tenantRef = (id: string) => ({ entityType: 'TENANT' as const, id });

  const info = async (tenant: Doc) => {
    const { id } = tenant.body['tenantProfileId'] as { id: string };
    return { ...entityJson(tenant), tenantProfileName: (await store.doc('TENANT_PROFILE', NULL_ID, id))?.name ?? null };
  };

  app.get('/api/tenant/:id', { config: ST, schema: { tags, params: IdParams } }, async ({ params, caller }) =>
    entityJson(await readable(context, caller, tenantRef(params.id))),
  );
  app.get('/api/tenant/info/:id', { config: ST, schema: { tags, params: IdParams } }, async ({ params, caller }) =>
    info(await readable(context, caller, tenantRef(params.id))),
  );
  app.post('/api/tenant', { config: S, schema: { tags, summary: 'Create or update a tenant', body: TenantBody } }, async ({ body, caller }) =>
    entityJson(await saveTenant(context, body.id ? await readable(context, caller, tenantRef(body.id.id)) : undefined, body)),
  );
  app.delete('/api/tenant/:id', { config: S, schema: { tags, params: IdParams } }, async ({ params, caller }, reply) => {
    await removeTenant(context, await readable(context, caller, tenantRef(params.id)));
    return reply.send();
  });
  app.get('/api/tenants', { config: S, schema: { tags, querystring: page } }, async ({ query }) =>
    pageOf(pageInMemory(await every(context), pageLink(query)), entityJson),
  );
  app.get('/api/tenantInfos', { config: S, schema: { tags, querystring: page } }, async ({ query }) => {
    const found = pageInMemory(await every(context), pageLink(query, ['tenantProfileName']));
    return { ...found, data: await Promise.all(found.data.map(info)) };
  });
  app.get('/api/tenants/list', { config: S, schema: { tags, querystring: Type.Object({ tenantIds: IdList }) } }, async ({ query }) => {
    const wanted = new Set(idList(query, 'tenantIds'));
    return (await every(context)).filter((tenant) => wanted.has(tenant.id)).map(entityJson);
  });
}

/** Tenants are the one thing that no tenant owns: the list is put together from all. */
async function every({ backend }: ApiContext): Promise<Doc[]> {
  const all: Doc[] = [];
  for await (const tenant of backend.store.everyDoc('TENANT')) all.push(tenant);
  return all;
}

async function saveTenant(context: ApiContext, stored: Doc | undefined, body: TenantBody): Promise<Doc> {
  const { store } = context.backend;
  const title = checkName('Tenant', body.title, 'title');
  const contact = contactOf(body);
  const wanted = body.tenantProfileId?.id;
  const profile = wanted
    ? await store.doc('TENANT_PROFILE', NULL_ID, wanted)
    : (await store.docs('TENANT_PROFILE', NULL_ID, { states: ['DEFAULT'], pageSize: 1 })).data[0];
  if (!profile) throw badRequest('Tenant is referencing to non-existent tenant profile!');

  const now = context.now();
  const made = newTenant({ title, region: body.region ?? 'Global', additionalInfo: body.additionalInfo ?? null, ...contact }, profile.id, now);
  const work = new Work();
  const doc = stored ? { ...made, id: stored.id, tenantId: stored.id, createdTime: stored.createdTime, version: stored.version + 1 } : made;
  work.docs.push({ doc, expects: body.version ?? (stored ? undefined : 0) });
  if (!stored) addTenantParts(work, doc.id, context.rootChain, now);
  await commit(context, work, 'TENANT');
  return doc;
}

/** Users first, so that nobody works on while it goes; the tenant last, so that a deletion that was cut off can be asked for again. */
const OWNED: readonly Collection[] = [
  'USER_CREDENTIALS',
  'USER_SETTINGS',
  'API_KEY',
  'USER',
  'INTEGRATION',
  'CONVERTER',
  'DEVICE_CREDENTIALS',
  'DEVICE',
  'ASSET',
  'ENTITY_VIEW',
  'EDGE',
  'DASHBOARD',
  'CUSTOMER',
  'ENTITY_GROUP',
  'ALARM_COMMENT',
  'ALARM',
  'RPC',
  'AUDIT_LOG',
  'DEVICE_PROFILE',
  'ASSET_PROFILE',
  'RULE_CHAIN_METADATA',
  'RULE_CHAIN',
  'REVISION',
  'NOTIFICATION',
  'NOTIFICATION_REQUEST',
  'NOTIFICATION_TARGET',
  'NOTIFICATION_TEMPLATE',
  'QUEUE',
  'AI_MODEL',
  'ADMIN_SETTINGS',
  'TENANT',
];
/** Parts of others: nothing hangs on them. */
const PARTS: ReadonlySet<Collection> = new Set([
  'USER_CREDENTIALS',
  'USER_SETTINGS',
  'DEVICE_CREDENTIALS',
  'RULE_CHAIN_METADATA',
  'ALARM_COMMENT',
  'AUDIT_LOG',
  'API_KEY',
  'ADMIN_SETTINGS',
  'REVISION',
  'NOTIFICATION',
  'NOTIFICATION_REQUEST',
  'NOTIFICATION_TARGET',
  'NOTIFICATION_TEMPLATE',
]);
const CHUNK = 200;

async function removeTenant(context: ApiContext, tenant: Doc): Promise<void> {
  for (const collection of OWNED) {
    const docs = await everyDocOf(context, collection, tenant.id);
    for (let at = 0; at < docs.length; at += CHUNK) {
      const work = new Work();
      for (const doc of docs.slice(at, at + CHUNK)) {
        removeDoc(work, doc);
        if (!PARTS.has(collection)) work.purges.push({ tenantId: tenant.id, entity: entityRef(doc) });
      }
      await context.backend.commit(work);
    }
  }
}
