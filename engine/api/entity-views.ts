import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, nameKey, newDoc } from '../entities.ts';
import type { AttributeScope, EntityRef } from '../message.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, refOf, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { SAVE_QUERY } from './devices.ts';
import { forbidden } from './errors.ts';
import { joinGroups } from './group-members.ts';
import { customerOfBody } from './lists.ts';
import { ownedEntities } from './owned-entities.ts';
import { checkName, checkTexts, freeName, type NamePolicy, save } from './save.ts';
import { customerExists } from './saved-profile.ts';
import { AnyId, AnyJson, Body, IdOf, Maybe, typed } from './schemas.ts';

/** Entity views: another face of an entity, with some of its keys in some of its time. */

const Keys = Type.Optional(Type.Array(Type.String()));
const ViewBody = Body({
  id: Maybe(IdOf('ENTITY_VIEW')),
  name: Maybe(Type.String()),
  type: Maybe(Type.String()),
  entityId: Maybe(AnyId),
  customerId: Maybe(IdOf('CUSTOMER')),
  keys: Maybe(Body({ timeseries: Keys, attributes: Maybe(Body({ cs: Keys, ss: Keys, sh: Keys })) })),
  startTimeMs: Maybe(Type.Integer()),
  endTimeMs: Maybe(Type.Integer()),
  additionalInfo: Type.Optional(AnyJson),
  version: Maybe(Type.Integer()),
});
type ViewBody = Type.Static<typeof ViewBody>;

export default async function entityViews(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  ownedEntities(app, context, { collection: 'ENTITY_VIEW', path: 'entityView', types: 'entityViewTypes' });
  app.post(
    '/api/entityView',
    { schema: { tags: ['Entity View'], summary: 'Create or update a view', body: ViewBody, querystring: Type.Object(SAVE_QUERY) } },
    async ({ body, query, caller }) => entityJson(await saveView(context, caller, body, query)),
  );
}

async function saveView(context: ApiContext, caller: Caller, body: ViewBody, query: NamePolicy): Promise<Doc> {
  const { tenantId } = caller;
  const stored = body.id ? await writable(context, caller, { entityType: 'ENTITY_VIEW', id: body.id.id }) : undefined;
  if (!stored && caller.authority === 'CUSTOMER_USER') throw forbidden();
  const wanted = checkName('Entity view', body.name);
  checkTexts(body, ['type']);
  const customerId = customerOfBody(body);
  await customerExists(context, caller, customerId, 'entity view');
  const entity = body.entityId ? refOf(body.entityId.entityType, body.entityId.id) : null;
  if (entity) await readable(context, caller, entity);
  const name = await freeName(context, 'ENTITY_VIEW', tenantId, wanted, query, stored?.id);
  const { keys = null, startTimeMs, endTimeMs, additionalInfo = null } = body;
  const content = { entityId: entity, keys, startTimeMs: startTimeMs ?? 0, endTimeMs: endTimeMs ?? 0, externalId: null, additionalInfo };
  const made = newDoc(
    { collection: 'ENTITY_VIEW', tenantId, name, kind: body.type ?? '', customerId, uniqueKey: nameKey(tenantId, name), body: content },
    context.now(),
  );
  const doc = stored ? { ...made, id: stored.id, createdTime: stored.createdTime, version: stored.version } : made;
  const work = new Work();
  if (entity) await copyAttributes(context, work, tenantId, entity, doc, body);
  await joinGroups(context, caller, query, doc, work);
  return save({ context, caller, doc, stored, expects: body.version, work });
}

const SCOPES: readonly (readonly ['cs' | 'ss' | 'sh', AttributeScope])[] = [
  ['cs', 'CLIENT_SCOPE'],
  ['ss', 'SERVER_SCOPE'],
  ['sh', 'SHARED_SCOPE'],
];

/** A view has copies of the attributes that it names, as they are when it is saved and within its time. */
async function copyAttributes(
  { backend }: ApiContext,
  work: Work,
  tenantId: string,
  entity: EntityRef,
  view: Doc,
  { keys, startTimeMs, endTimeMs }: ViewBody,
) {
  for (const [key, scope] of SCOPES) {
    const wanted = keys?.attributes?.[key] ?? [];
    if (wanted.length === 0) continue;
    for (const attribute of await backend.store.attributes(tenantId, entity, scope, wanted)) {
      const { lastUpdateTs } = attribute;
      if ((startTimeMs && lastUpdateTs < startTimeMs) || (endTimeMs && lastUpdateTs > endTimeMs)) continue;
      work.attributes.push({ tenantId, entity: { entityType: 'ENTITY_VIEW', id: view.id }, scope, ...attribute });
    }
  }
}
