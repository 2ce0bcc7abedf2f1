import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { newDoc, randomText } from '../entities.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable } from './access.ts';
import { anyTextBodies } from './bodies.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, forbidden, notFound } from './errors.ts';
import { listDocs } from './lists.ts';
import { PAGE_QUERY, pageOf } from './paging.ts';
import { checkTexts, removeDoc } from './save.ts';
import { Body, IdOf, IdParams, Maybe, typed, Uuid } from './schemas.ts';

/** Keys with which programs log in as a user (specs: rest-api §1.5, §2.1). The value is told once, to the one who makes it. */

const KeyBody = Body({
  userId: Maybe(IdOf('USER')),
  description: Type.String(),
  enabled: Maybe(Type.Boolean()),
  expirationTime: Maybe(Type.Integer({ description: 'Unix ms; 0 = never.' })),
});

export default async function apiKeys(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const tags = ['API key'];
  const STC = { who: 'STC' as const };

  const info = (key: Doc) => {
    const expirationTime = Number(key.body['expirationTime'] ?? 0);
    return {
      id: { entityType: 'API_KEY', id: key.id },
      createdTime: key.createdTime,
      tenantId: { entityType: 'TENANT', id: key.tenantId },
      userId: { entityType: 'USER', id: key.ref },
      expirationTime,
      description: key.body['description'],
      enabled: key.body['enabled'],
      expired: expirationTime > 0 && expirationTime < context.now(),
    };
  };
  /** One's own keys, and an administrator's those of the users it may see. */
  const find = async (caller: Caller, id: string): Promise<Doc> => {
    const key = await store.doc('API_KEY', caller.tenantId, id);
    if (!key) throw notFound(`Api key with id [${id}] is not found`);
    if (key.ref !== caller.userId && caller.authority === 'CUSTOMER_USER') throw forbidden();
    return key;
  };
  const change = async (key: Doc, body: Record<string, unknown>) => {
    const doc = { ...key, version: key.version + 1, body: { ...key.body, ...body } };
    const work = new Work();
    work.docs.push({ doc });
    await context.backend.commit(work);
    return info(doc);
  };

  app.post('/api/apiKey', { config: STC, schema: { tags, body: KeyBody } }, async ({ body, caller }) => {
    checkTexts(body, ['description']);
    const user = await readable(context, caller, { entityType: 'USER', id: body.userId?.id ?? caller.userId });
    if (user.id !== caller.userId && caller.authority === 'CUSTOMER_USER') throw forbidden();
    const value = `tb_${randomText(43)}`;
    const { description, enabled, expirationTime } = body;
    const doc = newDoc(
      {
        collection: 'API_KEY',
        tenantId: user.tenantId,
        name: description,
        ref: user.id,
        customerId: user.customerId,
        uniqueKey: value,
        body: { description, enabled: enabled ?? true, expirationTime: expirationTime ?? 0 },
      },
      context.now(),
    );
    const work = new Work();
    work.docs.push({ doc, expects: 0 });
    await context.backend.commit(work);
    return { ...info(doc), value };
  });
  app.get(
    '/api/apiKeys/:id',
    { config: STC, schema: { tags, params: IdParams, querystring: Type.Object(PAGE_QUERY) } },
    async ({ params, query, caller }) => {
      const user = await readable(context, caller, { entityType: 'USER', id: params.id });
      if (user.id !== caller.userId && caller.authority === 'CUSTOMER_USER') throw forbidden();
      return pageOf(await listDocs(context, 'API_KEY', user.tenantId, query, { ref: user.id }), info);
    },
  );
  app.put(
    '/api/apiKey/:id/enabled/:enabled',
    { config: STC, schema: { tags, params: Type.Object({ id: Uuid, enabled: Type.String() }) } },
    async ({ params, caller }) => {
      if (params.enabled !== 'true' && params.enabled !== 'false') throw badRequest(`Not a boolean: ${params.enabled}`);
      return change(await find(caller, params.id), { enabled: params.enabled === 'true' });
    },
  );
  app.delete('/api/apiKey/:id', { config: STC, schema: { tags, params: IdParams } }, async ({ params, caller }, reply) => {
    const work = new Work();
    removeDoc(work, await find(caller, params.id));
    await context.backend.commit(work);
    return reply.send();
  });
  await app.register(async (scope) => {
    anyTextBodies(scope);
    scope.put('/api/apiKey/:id/description', { config: STC, schema: { tags, params: IdParams } }, async ({ params, body, caller }) => {
      const description = String(body ?? '');
      checkTexts({ description }, ['description']);
      return change(await find(caller, (params as { id: string }).id), { description });
    });
  });
}
