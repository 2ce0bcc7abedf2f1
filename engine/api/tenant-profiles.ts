import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, entityRef } from '../entities.ts';
import { NULL_ID } from '../message.ts';
import { DEFAULT_LIMITS, NO_LIMITS, newTenantProfile } from '../seed.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { missing } from './access.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';
import { doubles } from './json-doubles.ts';
import { listDocs } from './lists.ts';
import { idList, PAGE_QUERY, pageOf } from './paging.ts';
import { checkName, commit, freeName, removeDoc } from './save.ts';
import { AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed } from './schemas.ts';

/** Tenant profiles: limits and rates (specs: rest-api §2.3). They are the system's, for all tenants. */

const ProfileBody = Body({
  id: Maybe(IdOf('TENANT_PROFILE')),
  name: Maybe(Type.String()),
  description: Maybe(Type.String()),
  default: Type.Optional(Type.Boolean()),
  isolatedTbRuleEngine: Type.Optional(Type.Boolean()),
  profileData: Maybe(Body({ configuration: Maybe(Body({ type: Type.Optional(Type.String()) })), queueConfiguration: Type.Optional(AnyJson) })),
  version: Maybe(Type.Integer()),
});
type ProfileBody = Type.Static<typeof ProfileBody>;

const S = { who: 'S' as const };
const ref = (id: string) => ({ entityType: 'TENANT_PROFILE' as const, id });
const json = ({ tenantId: _, ...profile }: Record<string, unknown>) => profile;
const profileJson = (doc: Doc) => json(entityJson(doc));
const info = (doc: Doc) => ({ id: entityRef(doc), name: doc.name });

export default async function tenantProfiles(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const tags = ['Tenant profile'];
  const page = Type.Object(PAGE_QUERY);
  doubles(app, ['warnThreshold']);

  const find = async (id: string): Promise<Doc> => {
    const doc = await store.doc('TENANT_PROFILE', NULL_ID, id);
    if (!doc) throw missing(ref(id));
    return doc;
  };
  const defaultOne = async () => (await store.docs('TENANT_PROFILE', NULL_ID, { states: ['DEFAULT'], pageSize: 1 })).data[0]!;
  const list = (query: unknown) => listDocs(context, 'TENANT_PROFILE', NULL_ID, query);

  app.post('/api/tenantProfile', { config: S, schema: { tags, body: ProfileBody } }, async ({ body }) => {
    const stored = body.id ? await find(body.id.id) : undefined;
    return profileJson(await saveProfile(context, stored, body));
  });
  app.get('/api/tenantProfile/:id', { config: S, schema: { tags, params: IdParams } }, async ({ params }) => profileJson(await find(params.id)));
  app.get('/api/tenantProfiles', { config: S, schema: { tags, querystring: page } }, async ({ query }) => pageOf(await list(query), profileJson));
  app.get('/api/tenantProfiles/list', { config: S, schema: { tags, querystring: Type.Object({ ids: IdList }) } }, async ({ query }) => {
    const { data } = await store.docs('TENANT_PROFILE', NULL_ID, { ids: idList(query, 'ids') });
    return data.map(profileJson);
  });
  app.get('/api/tenantProfileInfo/default', { config: S, schema: { tags } }, async () => info(await defaultOne()));
  app.get('/api/tenantProfileInfo/:id', { config: S, schema: { tags, params: IdParams } }, async ({ params }) => info(await find(params.id)));
  app.get('/api/tenantProfileInfos', { config: S, schema: { tags, querystring: page } }, async ({ query }) => pageOf(await list(query), info));
  app.post('/api/tenantProfile/:id/default', { config: S, schema: { tags, params: IdParams } }, async ({ params }) => {
    const next = await find(params.id);
    const old = await defaultOne();
    const work = new Work();
    work.docs.push({ doc: { ...old, state: null, body: { ...old.body, default: false } } });
    const doc = { ...next, state: 'DEFAULT', version: next.version + 1, body: { ...next.body, default: true } };
    if (old.id !== next.id) work.docs.push({ doc });
    else return profileJson(next);
    await commit(context, work, 'TENANT_PROFILE');
    return profileJson(doc);
  });
  app.delete('/api/tenantProfile/:id', { config: S, schema: { tags, params: IdParams } }, async ({ params }, reply) => {
    const doc = await find(params.id);
    if (doc.state === 'DEFAULT') throw badRequest('Deletion of Default Tenant Profile is prohibited!');
    for await (const tenant of store.everyDoc('TENANT')) {
      if ((tenant.body['tenantProfileId'] as { id: string }).id === doc.id)
        throw badRequest('The tenant profile referenced by the tenants cannot be deleted!');
    }
    const work = new Work();
    removeDoc(work, doc);
    await commit(context, work, 'TENANT_PROFILE');
    return reply.send();
  });
}

/** Clients that know them must send them: 0 there would mean "none at all", not "unlimited". */
const POSITIVE = ['maxDataPointsPerRollingArg', 'maxRelatedEntitiesToReturnPerCfArgument', 'maxRelationLevelPerCfArgument'];

async function saveProfile(context: ApiContext, stored: Doc | undefined, body: ProfileBody): Promise<Doc> {
  const name = checkName('Tenant profile', body.name);
  const given = body.profileData?.configuration as Record<string, unknown> | null | undefined;
  // Not given at all: what the class of the original begins with.
  const configuration = given ? { ...NO_LIMITS, ...given } : { ...DEFAULT_LIMITS, maxDebugModeDurationMinutes: 0 };
  const wrong = POSITIVE.filter((key) => !(Number((configuration as Record<string, unknown>)[key]) > 0));
  if (wrong.length > 0) throw badRequest(`Validation error: ${wrong.map((key) => `${key} must be greater than 0`).join(', ')}`);
  await freeName(context, 'TENANT_PROFILE', NULL_ID, name, {}, stored?.id);
  const { description = null, isolatedTbRuleEngine = false } = body;
  const fields = { name, description, isolatedTbRuleEngine, configuration, queueConfiguration: body.profileData?.queueConfiguration ?? null };
  const made = newTenantProfile({ ...fields, default: stored?.state === 'DEFAULT' }, context.now());
  const doc = stored ? { ...made, id: stored.id, createdTime: stored.createdTime, version: stored.version + 1 } : made;
  const work = new Work();
  work.docs.push({ doc, expects: body.version ?? (stored ? undefined : 0) });
  await commit(context, work, 'TENANT_PROFILE');
  return doc;
}
