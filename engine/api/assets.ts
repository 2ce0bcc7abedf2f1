import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, newAsset } from '../entities.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { SAVE_QUERY } from './devices.ts';
import { forbidden } from './errors.ts';
import { joinGroups } from './group-members.ts';
import { customerOfBody } from './lists.ts';
import { ownedEntities } from './owned-entities.ts';
import { ASSET_PROFILES } from './profiles.ts';
import { again, checkLimit, checkName, checkTexts, freeName, type NamePolicy, save } from './save.ts';
import { customerExists, profileOf } from './saved-profile.ts';
import { AnyJson, Body, IdOf, Maybe, typed } from './schemas.ts';

/** Assets (specs: rest-api §2.6). */

const AssetBody = Body({
  id: Maybe(IdOf('ASSET')),
  name: Type.Optional(Type.String()),
  type: Maybe(Type.String()),
  label: Maybe(Type.String()),
  customerId: Maybe(IdOf('CUSTOMER')),
  assetProfileId: Maybe(IdOf('ASSET_PROFILE')),
  additionalInfo: Type.Optional(AnyJson),
  version: Maybe(Type.Integer()),
});
export type AssetBody = Type.Static<typeof AssetBody>;

export default async function assets(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  ownedEntities(app, context, {
    collection: 'ASSET',
    path: 'asset',
    types: 'assetTypes',
    profile: 'ASSET_PROFILE',
    info: async (doc) => ({ assetProfileName: doc.kind }),
  });
  app.post(
    '/api/asset',
    { schema: { tags: ['Asset'], summary: 'Create or update an asset', body: AssetBody, querystring: Type.Object(SAVE_QUERY) } },
    async ({ body, query, caller }) => entityJson(await again(() => saveAsset(context, caller, body, query))),
  );
}

export async function saveAsset(context: ApiContext, caller: Caller, body: AssetBody, query: NamePolicy): Promise<Doc> {
  const { tenantId } = caller;
  const stored = body.id ? await writable(context, caller, { entityType: 'ASSET', id: body.id.id }) : undefined;
  if (!stored && caller.authority === 'CUSTOMER_USER') throw forbidden();
  const wanted = checkName('Asset', body.name);
  checkTexts(body, ['type', 'label']);
  const customerId = customerOfBody(body);
  await customerExists(context, caller, customerId, 'asset');
  const work = new Work();
  const profile = await profileOf(context, caller, ASSET_PROFILES, body.assetProfileId, body.type, work);
  if (!stored) await checkLimit(context, tenantId, 'maxAssets', 'ASSET');
  const name = await freeName(context, 'ASSET', tenantId, wanted, query, stored?.id);
  const made = newAsset(
    { tenantId, name, type: profile.name, profileId: profile.id, label: body.label ?? null, customerId, additionalInfo: body.additionalInfo },
    context.now(),
  );
  const doc = stored ? { ...made, id: stored.id, createdTime: stored.createdTime, version: stored.version } : made;
  await joinGroups(context, caller, query, doc, work);
  return save({ context, caller, doc, stored, expects: body.version, work });
}
