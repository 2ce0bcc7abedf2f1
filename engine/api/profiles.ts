import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { readProfileAlarms } from '../alarm-rules/read.ts';
import { entityJson, entityLabel, entityRef, nameKey, newAssetProfile, newDeviceProfile } from '../entities.ts';
import type { EntityRef } from '../message.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { everyDocOf, jsonPage, listByIds, listDocs, refOrNull } from './lists.ts';
import { idList, PAGE_QUERY, pageLink, pageOf, pageOfAll } from './paging.ts';
import { checkName, checkTexts, freeName, remove, save } from './save.ts';
import { AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed } from './schemas.ts';

/** Device and asset profiles (specs: rest-api §2.6): the same but for what a device profile says about its transport. */

export interface ProfileKind {
  readonly collection: 'DEVICE_PROFILE' | 'ASSET_PROFILE';
  readonly users: 'DEVICE' | 'ASSET';
  readonly path: 'deviceProfile' | 'assetProfile';
}
export const DEVICE_PROFILES: ProfileKind = { collection: 'DEVICE_PROFILE', users: 'DEVICE', path: 'deviceProfile' };
export const ASSET_PROFILES: ProfileKind = { collection: 'ASSET_PROFILE', users: 'ASSET', path: 'assetProfile' };

/** The tenant's default profile has this state, so that it is found by one read. */
const DEFAULT = 'DEFAULT';

export async function defaultProfile(context: ApiContext, tenantId: string, kind: ProfileKind): Promise<Doc> {
  const { data } = await context.backend.store.docs(kind.collection, tenantId, { states: [DEFAULT], pageSize: 1 });
  if (!data[0]) throw notFound(`No default ${entityLabel(kind.collection).toLowerCase()}`);
  return data[0];
}

/** The profile of that name, made with the work when there is none. */
export async function profileByName(context: ApiContext, tenantId: string, kind: ProfileKind, name: string, work: Work): Promise<Doc> {
  const known = await context.backend.store.docByKey(kind.collection, nameKey(tenantId, name));
  if (known) return known;
  checkName(entityLabel(kind.collection), name, 'type');
  const make = kind.collection === 'DEVICE_PROFILE' ? newDeviceProfile : newAssetProfile;
  const profile = make(tenantId, name, context.now());
  work.docs.push({ doc: profile, expects: 0 });
  return profile;
}

const ProfileBody = Body({
  id: Maybe(Type.Object({ id: Type.String() }, { additionalProperties: true })),
  name: Type.Optional(Type.String()),
  description: Maybe(Type.String()),
  image: Maybe(Type.String()),
  default: Type.Optional(Type.Boolean()),
  type: Type.Optional(Type.Enum(['DEFAULT'])),
  transportType: Type.Optional(Type.Enum(['DEFAULT', 'MQTT', 'COAP', 'LWM2M', 'SNMP'])),
  provisionType: Type.Optional(Type.Enum(['DISABLED', 'ALLOW_CREATE_NEW_DEVICES', 'CHECK_PRE_PROVISIONED_DEVICES', 'X509_CERTIFICATE_CHAIN'])),
  defaultRuleChainId: Maybe(IdOf('RULE_CHAIN')),
  defaultDashboardId: Maybe(IdOf('DASHBOARD')),
  defaultQueueName: Maybe(Type.String()),
  defaultEdgeRuleChainId: Maybe(IdOf('RULE_CHAIN')),
  provisionDeviceKey: Maybe(Type.String()),
  firmwareId: Maybe(IdOf('OTA_PACKAGE')),
  softwareId: Maybe(IdOf('OTA_PACKAGE')),
  profileData: Maybe(
    Body({
      configuration: Maybe(Body({ type: Type.String() })),
      transportConfiguration: Maybe(Body({ type: Type.String() })),
      provisionConfiguration: Maybe(Body({ type: Type.Optional(Type.String()) })),
      alarms: Type.Optional(AnyJson),
    }),
  ),
  version: Maybe(Type.Integer()),
});
type ProfileBody = Type.Static<typeof ProfileBody>;

function deviceOnly(body: ProfileBody, stored: Doc | undefined) {
  if (!body.type) throw badRequest('Device profile type should be specified!');
  const data = body.profileData;
  if (!data?.configuration || !data.transportConfiguration) throw badRequest('Validation error: profileData must not be null');
  const transportType = body.transportType ?? 'DEFAULT';
  return {
    type: body.type,
    transportType,
    provisionType: body.provisionType ?? 'DISABLED',
    provisionDeviceKey: body.provisionDeviceKey ?? stored?.body['provisionDeviceKey'] ?? null,
    firmwareId: body.firmwareId ?? null,
    softwareId: body.softwareId ?? null,
    profileData: {
      ...data,
      provisionConfiguration: { provisionDeviceSecret: null, type: body.provisionType ?? 'DISABLED', ...data.provisionConfiguration },
      alarms: readProfileAlarms(data.alarms),
    },
  };
}

export async function deviceProfiles(app: FastifyInstance, context: ApiContext): Promise<void> {
  profileRoutes(app, context, DEVICE_PROFILES);
}
export async function assetProfiles(app: FastifyInstance, context: ApiContext): Promise<void> {
  profileRoutes(app, context, ASSET_PROFILES);
}

function profileRoutes(plain: FastifyInstance, context: ApiContext, kind: ProfileKind): void {
  const app = typed(plain);
  const { store } = context.backend;
  const { collection, users, path } = kind;
  const label = entityLabel(collection);
  const tags = [label];
  const tenantOnly = { who: 'T' as const };
  const refOf = (id: string): EntityRef => ({ entityType: collection, id });

  const info = (doc: Doc) => {
    const shared = { id: entityRef(doc), tenantId: { entityType: 'TENANT', id: doc.tenantId }, name: doc.name };
    const { image = null, defaultDashboardId = null, type, transportType } = doc.body;
    return users === 'DEVICE' ? { ...shared, image, defaultDashboardId, type, transportType } : { ...shared, image, defaultDashboardId };
  };

  app.post(
    `/api/${path}`,
    { config: tenantOnly, schema: { tags, summary: `Create or update a profile`, body: ProfileBody } },
    async ({ body, caller }) => entityJson(await saveProfile(context, caller, kind, body)),
  );
  app.get(`/api/${path}/:id`, { config: tenantOnly, schema: { tags, params: IdParams } }, async ({ params, caller }) =>
    entityJson(await readable(context, caller, refOf(params.id))),
  );
  app.get(`/api/${path}Info/default`, { schema: { tags } }, async ({ caller }) => info(await defaultProfile(context, caller.tenantId, kind)));
  app.get(`/api/${path}Info/:id`, { schema: { tags, params: IdParams } }, async ({ params, caller }) =>
    info(await readable(context, caller, refOf(params.id))),
  );

  const byIds = async (caller: Caller, query: unknown) => {
    const wanted = idList(query, `${path}Ids`);
    return (await listByIds(context, { ...caller, authority: 'TENANT_ADMIN' }, collection, wanted)).map(info);
  };
  const listQuery = Type.Object({ ...PAGE_QUERY, transportType: Type.Optional(Type.String()), [`${path}Ids`]: Type.Optional(IdList) });
  app.get(`/api/${path}Infos`, { schema: { tags, querystring: Type.Partial(listQuery) } }, async ({ query, caller }) => {
    if ((query as Record<string, unknown>)[`${path}Ids`]) return byIds(caller, query);
    const { transportType } = query as { transportType?: string };
    if (transportType === undefined) return pageOf(await listDocs(context, collection, caller.tenantId, query), info);
    const { page, pageSize, ...where } = pageLink(query);
    const all = await everyDocOf(context, collection, caller.tenantId, where);
    return pageOfAll(all.filter((doc) => doc.body['transportType'] === transportType).map(info), { page, pageSize });
  });
  app.get(`/api/${path}Infos/list`, { schema: { tags } }, async ({ query, caller }) => byIds(caller, query));
  app.get(`/api/${path}s`, { config: tenantOnly, schema: { tags, querystring: Type.Object(PAGE_QUERY) } }, async ({ query, caller }) =>
    jsonPage(await listDocs(context, collection, caller.tenantId, query)),
  );
  app.get(
    `/api/${path}/names`,
    { schema: { tags, querystring: Type.Object({ activeOnly: Type.Optional(Type.Boolean()) }) } },
    async ({ query, caller }) => {
      const all = await everyDocOf(context, collection, caller.tenantId, { sortBy: 'name' });
      const used = query.activeOnly ? new Set((await everyDocOf(context, users, caller.tenantId)).map((doc) => doc.kind)) : null;
      return all.filter((doc) => !used || used.has(doc.name)).map((doc) => ({ id: entityRef(doc), name: doc.name }));
    },
  );

  app.post(`/api/${path}/:id/default`, { config: tenantOnly, schema: { tags, params: IdParams } }, async ({ params, caller }) => {
    const doc = await writable(context, caller, refOf(params.id));
    if (doc.state === DEFAULT) return entityJson(doc);
    const work = new Work();
    const old = await defaultProfile(context, caller.tenantId, kind);
    work.docs.push({ doc: { ...old, state: null, body: { ...old.body, default: false } }, expects: old.version });
    return entityJson(await save({ context, caller, doc: { ...doc, state: DEFAULT, body: { ...doc.body, default: true } }, stored: doc, work }));
  });

  app.delete(`/api/${path}/:id`, { config: tenantOnly, schema: { tags, params: IdParams } }, async ({ params, caller }, reply) => {
    const doc = await writable(context, caller, refOf(params.id));
    const what = users.toLowerCase();
    if (doc.state === DEFAULT) throw badRequest(`Deletion of Default ${label.replace('profile', 'Profile')} is prohibited!`);
    const { totalElements } = await store.docs(users, caller.tenantId, { kind: doc.name, pageSize: 1 });
    if (totalElements > 0) throw badRequest(`The ${what} profile referenced by the ${what}s cannot be deleted!`);
    await remove({ context, caller, doc });
    return reply.send();
  });
}

async function saveProfile(context: ApiContext, caller: Caller, kind: ProfileKind, body: ProfileBody): Promise<Doc> {
  const label = entityLabel(kind.collection);
  const stored = body.id ? await writable(context, caller, { entityType: kind.collection, id: body.id.id.toLowerCase() }) : undefined;
  const name = checkName(label, body.name);
  checkTexts(body, ['description']);
  if (body.default && stored?.state !== DEFAULT) throw badRequest(`Another default ${label.toLowerCase()} is present in scope of current tenant!`);
  const chain = refOrNull(body.defaultRuleChainId, 'RULE_CHAIN');
  if (chain && !(await context.backend.store.doc('RULE_CHAIN', caller.tenantId, chain.id))) {
    throw badRequest(`${label} is referencing non-existent rule chain!`);
  }
  await freeName(context, kind.collection, caller.tenantId, name, {}, stored?.id);
  const extra = {
    description: body.description ?? null,
    image: body.image ?? null,
    default: stored?.state === DEFAULT,
    defaultRuleChainId: chain,
    defaultDashboardId: refOrNull(body.defaultDashboardId, 'DASHBOARD'),
    defaultQueueName: body.defaultQueueName ?? null,
    defaultEdgeRuleChainId: refOrNull(body.defaultEdgeRuleChainId, 'RULE_CHAIN'),
    ...(kind.users === 'DEVICE' ? deviceOnly(body, stored) : {}),
  };
  const make = kind.users === 'DEVICE' ? newDeviceProfile : newAssetProfile;
  const doc = stored
    ? { ...stored, name, uniqueKey: nameKey(caller.tenantId, name), body: { ...stored.body, ...extra } }
    : make(caller.tenantId, name, context.now(), extra);
  const work = new Work();
  if (stored) await carryOver(context, kind, stored, doc, work);
  return save({ context, caller, doc, stored, expects: body.version, work });
}

/** What users of a profile keep a copy of. */
async function carryOver(context: ApiContext, { users }: ProfileKind, stored: Doc, doc: Doc, work: Work): Promise<void> {
  const renamed = stored.name !== doc.name;
  const moved = users === 'DEVICE' && stored.body['transportType'] !== doc.body['transportType'];
  if (!renamed && !moved) return;
  const used = await everyDocOf(context, users, stored.tenantId, { kind: stored.name });
  if (moved && used.length > 0) throw badRequest("Can't change device profile transport type because devices referenced it!");
  if (renamed) for (const user of used) work.docs.push({ doc: { ...user, kind: doc.name } });
}
