import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { PROCESSING_STRATEGIES } from '#engine/walk/policy.ts';
import { entityJson, nameKey, newDoc } from '../entities.ts';
import { NULL_ID } from '../message.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { doubles } from './json-doubles.ts';
import { everyDocOf, jsonPage, pageInMemory } from './lists.ts';
import { PAGE_QUERY, pageLink, pageOfAll } from './paging.ts';
import { idOf, requiredObject } from './required.ts';
import { commit, removeDoc } from './save.ts';
import { AnyJson, IdParams, typed } from './schemas.ts';

/**
 * The queues that nodes and profiles may name (specs: rest-api §2.3): the system's, and those of the tenant itself, which go before the system's of the same name.
 * What tells them apart is the processing strategy. Every lane keeps the order of an originator, so all submit strategies submit as SEQUENTIAL_BY_ORIGINATOR does;
 * topics, partitions and polling are kept for clients and mean nothing here.
 */
export default async function queues(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const tags = ['Queue'];
  const ST = { who: 'ST' as const };
  doubles(app, ['failurePercentage']);
  const ServiceType = Type.Enum(['TB_CORE', 'TB_RULE_ENGINE', 'TB_TRANSPORT', 'JS_EXECUTOR', 'TB_INTEGRATION_EXECUTOR', 'EDQS', 'TASK_PROCESSOR']);

  app.get(
    '/api/queues',
    { config: ST, schema: { tags, querystring: Type.Object({ ...PAGE_QUERY, serviceType: ServiceType }) } },
    async ({ query, caller }) => {
      if (query.serviceType !== 'TB_RULE_ENGINE') return pageOfAll([], pageLink(query));
      const owners = caller.authority === 'TENANT_ADMIN' ? [NULL_ID, caller.tenantId] : [NULL_ID];
      const all = await Promise.all(owners.map((owner) => everyDocOf(context, 'QUEUE', owner)));
      return jsonPage(pageInMemory(all.flat(), pageLink(query)));
    },
  );
  app.get('/api/queues/:id', { config: ST, schema: { tags, params: IdParams } }, async ({ params, caller }) =>
    entityJson(await readable(context, caller, { entityType: 'QUEUE', id: params.id })),
  );
  app.get('/api/queues/name/:name', { config: ST, schema: { tags, params: Type.Object({ name: Type.String() }) } }, async ({ params, caller }) => {
    const { store } = context.backend;
    const queue =
      (await store.docByKey('QUEUE', nameKey(caller.tenantId, params.name))) ?? (await store.docByKey('QUEUE', nameKey(NULL_ID, params.name)));
    if (!queue) throw notFound();
    return entityJson(queue);
  });

  const serviceType = Type.Object({ serviceType: Type.Optional(ServiceType) });
  app.post(
    '/api/queues',
    { config: ST, schema: { tags, summary: 'Creates or changes a queue', body: AnyJson, querystring: serviceType } },
    async ({ caller, body }) => {
      const fields = requiredObject(body);
      const id = idOf(fields, 'id', 'QUEUE');
      const stored = id === null ? null : await writable(context, caller, { entityType: 'QUEUE', id });
      const name = fields['name'];
      if (typeof name !== 'string' || !/^[a-zA-Z0-9_.-]{1,255}$/.test(name)) {
        throw badRequest('Queue name should be specified! It may contain only alphanumerics, ".", "_" and "-".');
      }
      if (stored && stored.name !== name) throw badRequest('Queue name can not be changed!');
      const tenantId = stored?.tenantId ?? (caller.authority === 'SYS_ADMIN' ? NULL_ID : caller.tenantId);
      const queue = readQueue(name, fields);
      const uniqueKey = nameKey(tenantId, name);
      const doc = stored ? { ...stored, body: queue } : newDoc({ collection: 'QUEUE', tenantId, name, uniqueKey, body: queue }, context.now());
      const work = new Work();
      work.docs.push({ doc, expects: stored ? undefined : 0 });
      await commit(context, work, 'QUEUE', uniqueKey);
      return entityJson((await context.backend.store.doc('QUEUE', tenantId, doc.id))!);
    },
  );
  app.delete('/api/queues/:id', { config: ST, schema: { tags, summary: 'Deletes a queue', params: IdParams } }, async ({ caller, params }, reply) => {
    const queue = await writable(context, caller, { entityType: 'QUEUE', id: params.id });
    if (queue.tenantId === NULL_ID && queue.name === 'Main') throw badRequest('Main queue can not be deleted!');
    const work = new Work();
    removeDoc(work, queue);
    await commit(context, work, 'QUEUE');
    return reply.code(200).send();
  });

  app.get('/api/queueStats', { schema: { tags, querystring: Type.Object(PAGE_QUERY) } }, async ({ query }) => pageOfAll([], pageLink(query)));
  app.get('/api/queueStats/list', { schema: { tags } }, async () => []);
}

const SUBMIT_STRATEGIES = ['BURST', 'BATCH', 'SEQUENTIAL_BY_ORIGINATOR', 'SEQUENTIAL_BY_TENANT', 'SEQUENTIAL'];
type Json = Record<string, unknown>;

/** @throws HttpError 400 that names the field */
function readQueue(name: string, fields: Json): Json {
  const number = (from: Json, key: string, fallback: number, least: number, path = key): number => {
    const value = from[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < least)
      throw badRequest(`Queue ${path} should be a number of at least ${least}!`);
    return value;
  };
  const strategy = (key: string, types: readonly string[]): Json => {
    const value = fields[key];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest(`Queue ${key} can't be null!`);
    const { type } = value as Json;
    if (typeof type !== 'string' || !types.includes(type)) throw badRequest(`Queue ${key}.type should be one of ${types.join(', ')}!`);
    return value as Json;
  };
  const submit = strategy('submitStrategy', SUBMIT_STRATEGIES);
  const processing = strategy('processingStrategy', PROCESSING_STRATEGIES);
  const failurePercentage = number(processing, 'failurePercentage', 0, 0, 'processingStrategy.failurePercentage');
  if (failurePercentage > 100) throw badRequest('Queue processingStrategy.failurePercentage should be a number of at most 100!');
  const pauseBetweenRetries = number(processing, 'pauseBetweenRetries', 3, 0, 'processingStrategy.pauseBetweenRetries');
  return {
    topic: typeof fields['topic'] === 'string' ? fields['topic'] : `tb_rule_engine.${name.toLowerCase()}`,
    pollInterval: number(fields, 'pollInterval', 25, 1),
    partitions: number(fields, 'partitions', 10, 1),
    consumerPerPartition: fields['consumerPerPartition'] !== false,
    packProcessingTimeout: number(fields, 'packProcessingTimeout', 2000, 1),
    submitStrategy: { type: submit['type'], batchSize: number(submit, 'batchSize', 1000, 1, 'submitStrategy.batchSize') },
    processingStrategy: {
      type: processing['type'],
      retries: number(processing, 'retries', 3, 0, 'processingStrategy.retries'),
      failurePercentage,
      pauseBetweenRetries,
      maxPauseBetweenRetries: number(processing, 'maxPauseBetweenRetries', pauseBetweenRetries, 0, 'processingStrategy.maxPauseBetweenRetries'),
    },
    additionalInfo: fields['additionalInfo'] ?? null,
  };
}
