import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, newDoc } from '../entities.ts';
import { notificationService } from '../services/notifications.ts';
import { SETTINGS_SECRETS, settingsKey } from '../services/settings.ts';
import type { Collection, Doc } from '../store.ts';
import { Work } from '../work.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { everyDocOf, jsonPage, listByIds, listDocs } from './lists.ts';
import { idList, PAGE_QUERY, pageLink, pageOfAll } from './paging.ts';
import { checkName } from './save.ts';
import { AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed } from './schemas.ts';

/** The notification centre: who is told (targets), what (templates), and what was told. Sending is the work of the rule node "send notification". */

const tags = ['Notification'];
const T = { who: 'T' as const };
const METHODS = ['WEB', 'EMAIL', 'SMS', 'SLACK'] as const;
const TARGET_TYPES = ['PLATFORM_USERS', 'SLACK', 'MICROSOFT_TEAMS'];
type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

const KINDS = [
  {
    collection: 'NOTIFICATION_TARGET',
    path: 'target',
    check(configuration: Json) {
      if (!TARGET_TYPES.includes(String(configuration['type'])))
        throw badRequest(`Validation error: configuration.type must be one of ${TARGET_TYPES}`);
      if (configuration['type'] === 'PLATFORM_USERS' && !isObject(configuration['usersFilter']))
        throw badRequest('Validation error: configuration.usersFilter must not be null');
    },
  },
  {
    collection: 'NOTIFICATION_TEMPLATE',
    path: 'template',
    check(configuration: Json) {
      if (!isObject(configuration['deliveryMethodsTemplates']))
        throw badRequest('Validation error: configuration.deliveryMethodsTemplates must not be null');
    },
  },
] as const satisfies readonly { collection: Collection; path: string; check(configuration: Json): void }[];

export default async function notifications(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const commit = async (...changes: Work['docs']) => {
    const work = new Work();
    work.docs.push(...changes);
    await context.backend.commit(work);
  };
  const find = async (collection: Collection, caller: Caller, id: string): Promise<Doc> => {
    const doc = await store.doc(collection, caller.tenantId, id);
    if (!doc) throw notFound();
    return doc;
  };
  const remove = ({ collection, tenantId, id }: Doc) => commit({ remove: { collection, tenantId, id } });
  const json = ({ version: _v, name: _n, ...doc }: Json): Json => doc;

  for (const { collection, path, check } of KINDS) {
    const Saved = Body({
      id: Maybe(IdOf(collection)),
      name: Maybe(Type.String()),
      notificationType: Maybe(Type.String()),
      configuration: Maybe(AnyJson),
    });
    app.post(`/api/notification/${path}`, { config: T, schema: { tags, body: Saved } }, async ({ body, caller }) => {
      const stored = body.id ? await find(collection, caller, body.id.id) : null;
      const name = checkName(path === 'target' ? 'Notification target' : 'Notification template', body.name);
      if (!isObject(body.configuration)) throw badRequest('Validation error: configuration must not be null');
      check(body.configuration);
      const kind = path === 'template' ? (body.notificationType ?? 'GENERAL') : null;
      const content = { ...(kind !== null && { notificationType: kind }), configuration: body.configuration, externalId: null };
      const made = newDoc({ collection, tenantId: caller.tenantId, name, kind, body: content }, context.now());
      const doc = stored ? { ...stored, name, kind, body: content, version: stored.version + 1 } : made;
      await commit({ doc });
      return entityJson(doc);
    });
    app.get(`/api/notification/${path}/:id`, { config: T, schema: { tags, params: IdParams } }, async ({ params, caller }) =>
      entityJson(await find(collection, caller, params.id)),
    );
    app.delete(`/api/notification/${path}/:id`, { config: T, schema: { tags, params: IdParams } }, async ({ params, caller }, reply) => {
      await remove(await find(collection, caller, params.id));
      return reply.send();
    });
    const query = Type.Object({
      ...Type.Partial(Type.Object(PAGE_QUERY)).properties,
      ids: Type.Optional(IdList),
      notificationTypes: Type.Optional(IdList),
    });
    app.get(`/api/notification/${path}s`, { config: T, schema: { tags, querystring: query } }, async ({ query, caller }) => {
      if (query.ids !== undefined) return (await listByIds(context, caller, collection, idList(query, 'ids'))).map(entityJson);
      const types = (query.notificationTypes ?? []).flatMap((each) => each.split(','));
      if (types.length === 0) return jsonPage(await listDocs(context, collection, caller.tenantId, query));
      const { page, pageSize, ...where } = pageLink(query);
      const all = await everyDocOf(context, collection, caller.tenantId, where);
      return pageOfAll(all.filter(({ kind }) => types.includes(kind ?? '')).map(entityJson), { page, pageSize });
    });
  }
  app.post(
    '/api/notification/target/recipients',
    { config: T, schema: { tags, querystring: Type.Object(PAGE_QUERY), body: Body({ configuration: AnyJson }) } },
    async ({ body, query, caller }) => {
      const filter = isObject(body.configuration) ? body.configuration['usersFilter'] : null;
      const entities = { customerOf: async () => null };
      const { recipients } = notificationService(caller.tenantId, { store, entities, commit: context.backend.commit });
      const users = isObject(filter) ? await recipients(filter, { entityType: 'TENANT', id: caller.tenantId }) : [];
      return pageOfAll(users.map(entityJson), pageLink(query));
    },
  );

  /** What was asked to be told, with its statistics. */
  app.get('/api/notification/requests', { config: T, schema: { tags, querystring: Type.Object(PAGE_QUERY) } }, async ({ query, caller }) => {
    const page = await listDocs(context, 'NOTIFICATION_REQUEST', caller.tenantId, query);
    return { ...page, data: page.data.map((doc) => json(entityJson(doc))) };
  });
  app.get('/api/notification/request/:id', { config: T, schema: { tags, params: IdParams } }, async ({ params, caller }) =>
    json(entityJson(await find('NOTIFICATION_REQUEST', caller, params.id))),
  );
  app.delete('/api/notification/request/:id', { config: T, schema: { tags, params: IdParams } }, async ({ params, caller }, reply) => {
    await remove(await find('NOTIFICATION_REQUEST', caller, params.id));
    return reply.send();
  });

  /** One's own. */
  const own = async (caller: Caller, id: string): Promise<Doc> => {
    const doc = await find('NOTIFICATION', caller, id);
    if (doc.ref !== caller.userId) throw notFound();
    return doc;
  };
  const unread = (caller: Caller) => ({ ref: caller.userId, states: ['SENT'] });
  const read = (doc: Doc) => ({ doc: { ...doc, state: 'READ', version: doc.version + 1, body: { ...doc.body, status: 'READ' } } });
  const Listed = Type.Object({ ...PAGE_QUERY, unreadOnly: Type.Optional(Type.String()), deliveryMethod: Type.Optional(Type.String()) });
  app.get('/api/notifications', { schema: { tags, querystring: Listed } }, async ({ query, caller }) => {
    // Only those of the web are kept one by one.
    if (query.deliveryMethod && query.deliveryMethod !== 'WEB') return pageOfAll([], pageLink(query));
    const where = query.unreadOnly === 'true' ? unread(caller) : { ref: caller.userId };
    const page = await listDocs(context, 'NOTIFICATION', caller.tenantId, query, where);
    return { ...page, data: page.data.map((doc) => json(entityJson(doc))) };
  });
  app.get('/api/notifications/unread/count', { schema: { tags } }, async ({ caller }, reply) => {
    const { totalElements } = await store.docs('NOTIFICATION', caller.tenantId, { ...unread(caller), pageSize: 1 });
    return reply.type('application/json').send(String(totalElements));
  });
  app.put('/api/notification/:id/read', { schema: { tags, params: IdParams } }, async ({ params, caller }, reply) => {
    await commit(read(await own(caller, params.id)));
    return reply.send();
  });
  app.put('/api/notifications/read', { schema: { tags } }, async ({ caller }, reply) => {
    await commit(...(await everyDocOf(context, 'NOTIFICATION', caller.tenantId, unread(caller))).map(read));
    return reply.send();
  });
  app.delete('/api/notification/:id', { schema: { tags, params: IdParams } }, async ({ params, caller }, reply) => {
    await remove(await own(caller, params.id));
    return reply.send();
  });

  app.get('/api/notification/deliveryMethods', { config: T, schema: { tags } }, async () => METHODS);
  const settings = (caller: Caller) => store.docByKey('ADMIN_SETTINGS', settingsKey('notifications', caller.tenantId));
  const shown = (doc: Doc | null) =>
    context.secrets.redactConfig(SETTINGS_SECRETS['notifications']!, doc?.body['jsonValue'] ?? { deliveryMethodsConfigs: {} });
  app.get('/api/notification/settings', { config: T, schema: { tags } }, async ({ caller }) => shown(await settings(caller)));
  app.post(
    '/api/notification/settings',
    { config: T, schema: { tags, body: Body({ deliveryMethodsConfigs: AnyJson }) } },
    async ({ body, caller }) => {
      const known = await settings(caller);
      const jsonValue = context.secrets.sealConfig(SETTINGS_SECRETS['notifications']!, body, known?.body['jsonValue']);
      const uniqueKey = settingsKey('notifications', caller.tenantId);
      const content = { key: 'notifications', jsonValue };
      const made = newDoc(
        { collection: 'ADMIN_SETTINGS', tenantId: caller.tenantId, name: 'notifications', uniqueKey, body: content },
        context.now(),
      );
      const doc = known ? { ...known, body: content, version: known.version + 1 } : made;
      await commit({ doc });
      return shown(doc);
    },
  );
}
