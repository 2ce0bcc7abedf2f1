import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { IntegrationStatus } from '../control.ts';
import { AppError, Duplicate } from '../errors.ts';
import type { EntityRef } from '../message.ts';
import type { Doc, Page } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { integrationJson, openedJson, readIntegration, unknownKeys } from './integration-docs.ts';
import { everyDocOf, listByIds, pageInMemory } from './lists.ts';
import { idList, PAGE_QUERY, pageLink } from './paging.ts';
import { idOf, requiredObject } from './required.ts';
import { versionOf } from './rule-chains.ts';
import { checkLimit, commit } from './save.ts';
import { AnyJson, IdParams, typed } from './schemas.ts';
import { isTrue } from './telemetry-target.ts';

type Json = Record<string, unknown>;
const config = { who: 'T' } as const;
const tags = ['Integrations'];
const HOUR_MS = 3_600_000;
const SORT_KEYS = ['debugMode', 'allowCreateDevicesOrAssets', 'enabled', 'remote', 'routingKey', 'secret'];
const integrationRef = (id: string): EntityRef => ({ entityType: 'INTEGRATION', id });

/** Integrations (specs: rest-api §2.13). Actors start, reload and stop them by the store's changes. */
export default async function integrations(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const show = (doc: Doc): Json => integrationJson(context, doc);

  async function read(caller: Caller, body: unknown): Promise<{ doc: Doc; stored: Doc | null; fields: Json }> {
    const fields = requiredObject(body);
    const id = idOf(fields, 'id', 'INTEGRATION');
    const stored = id === null ? null : await writable(context, caller, integrationRef(id));
    return { doc: await readIntegration(context, caller, fields, stored), stored, fields };
  }

  app.post(
    '/api/integration',
    { config, schema: { tags, summary: 'Creates or changes an integration', body: AnyJson } },
    async ({ caller, body }) => {
      const { doc, stored, fields } = await read(caller, body);
      if (!stored) await checkLimit(context, caller.tenantId, 'maxIntegrations', 'INTEGRATION');
      const holder = await store.docByKey('INTEGRATION', doc.uniqueKey!);
      if (holder && holder.id !== doc.id) throw new Duplicate('Integration with such routing key already exists!');
      const work = new Work();
      work.docs.push({ doc, expects: stored ? versionOf(fields) : 0 });
      await commit(context, work, 'INTEGRATION');
      return show((await store.doc('INTEGRATION', doc.tenantId, doc.id))!);
    },
  );

  app.post(
    '/api/integration/check',
    { config, schema: { tags, summary: 'Tries to connect, keeps nothing', body: AnyJson } },
    async ({ caller, body }, reply) => {
      const { doc } = await read(caller, body);
      try {
        await context.control.integrations.check(openedJson(context, doc), caller.tenantId);
      } catch (cause) {
        if (cause instanceof AppError) throw badRequest(cause.message);
        throw cause;
      }
      return reply.code(200).send();
    },
  );
  // One client asks by DELETE (specs: rest-api §2.13).
  app.delete('/api/integration/check', { config, schema: { hide: true } }, (_request, reply) => reply.code(200).send());

  app.get('/api/integration/:id', { config, schema: { tags, summary: 'An integration', params: IdParams } }, async ({ caller, params }) =>
    show(await readable(context, caller, integrationRef(params.id))),
  );
  app.get<{ Params: { key: string } }>(
    '/api/integration/routingKey/:key',
    { config, schema: { tags, summary: 'An integration by its routing key' } },
    async ({ caller, params }) => {
      const doc = await store.docByKey('INTEGRATION', params.key);
      if (doc?.tenantId !== caller.tenantId) throw notFound();
      return show(doc);
    },
  );

  app.delete(
    '/api/integration/:id',
    { config, schema: { tags, summary: 'Stops and deletes an integration', params: IdParams } },
    async ({ caller, params }, reply) => {
      const { tenantId, id } = await writable(context, caller, integrationRef(params.id));
      const work = new Work();
      work.docs.push({ remove: { collection: 'INTEGRATION', tenantId, id } });
      work.purges.push({ tenantId, entity: integrationRef(id) });
      await commit(context, work, 'INTEGRATION');
      return reply.code(200).send();
    },
  );

  const status = { tags, summary: 'What an integration is doing, since when and why', params: IdParams };
  app.get('/api/integration/:id/status', { config, schema: status }, async ({ caller, params }) => {
    const doc = await readable(context, caller, integrationRef(params.id));
    const { state, reason, since, warnings, nextAttemptAt, lastUplinkAt } = statusOf(doc);
    return { state, reason, since, warnings: [...warnings, ...unknownKeys(context, doc)], nextAttemptAt, lastUplinkAt };
  });

  function statusOf(doc: Doc): IntegrationStatus {
    const known = context.control.integrations.status(doc.id);
    if (known) return known;
    const state = doc.body['enabled'] === true ? 'connecting' : 'disabled';
    return { state, reason: null, since: doc.createdTime, warnings: [], nextAttemptAt: null, lastUplinkAt: null };
  }

  const listed = Type.Partial(Type.Object({ ...PAGE_QUERY, isEdgeTemplate: Type.String() }));
  async function page(caller: Caller, query: Json): Promise<Page<Doc>> {
    const link = pageLink(query, SORT_KEYS);
    const template = isTrue(query['isEdgeTemplate']);
    const all = await everyDocOf(context, 'INTEGRATION', caller.tenantId);
    return pageInMemory(
      all.filter(({ body }) => (body['edgeTemplate'] === true) === template),
      link,
    );
  }
  const byIds = async (caller: Caller, ids: readonly string[]): Promise<Json[]> => (await listByIds(context, caller, 'INTEGRATION', ids)).map(show);

  app.get('/api/integrations', { config, schema: { tags, summary: 'Integrations', querystring: listed } }, async ({ caller, query }) => {
    const ids = idList(query, 'integrationIds');
    if (ids.length > 0) return byIds(caller, ids);
    const found = await page(caller, query);
    return { ...found, data: found.data.map(show) };
  });
  app.get('/api/integrations/list', { config, schema: { tags, summary: 'Integrations by id' } }, ({ caller, query }) =>
    byIds(caller, idList(query, 'integrationIds')),
  );

  app.get(
    '/api/integrationInfos',
    { config, schema: { tags, summary: 'Integrations with their state', querystring: listed } },
    async ({ caller, query }) => {
      const found = await page(caller, query);
      return { ...found, data: await Promise.all(found.data.map(infoOf)) };
    },
  );

  async function infoOf(doc: Doc): Promise<Json> {
    const { configuration: _configuration, routingKey: _routingKey, secret: _secret, ...shown } = show(doc);
    const { state, reason } = statusOf(doc);
    const serviceId = context.serviceId;
    // Without `status` clients show "pending", or "disabled".
    const told =
      state === 'active'
        ? { status: { success: true, serviceId } }
        : state === 'failed' || state === 'backing-off'
          ? { status: { success: false, serviceId, error: reason ?? '' } }
          : {};
    return { ...shown, ...told, stats: await hourlyCounts(doc) };
  }

  /** Messages in each of the last 24 hours, oldest first. */
  async function hourlyCounts(doc: Doc): Promise<number[]> {
    const now = context.now();
    const query = { type: 'STATS', startTime: now - 24 * HOUR_MS, endTime: now, pageSize: 100, order: 'ASC' } as const;
    const { data } = await store.events(doc.tenantId, integrationRef(doc.id), query);
    const counts = new Array<number>(24).fill(0);
    for (const { createdTime, body } of data) {
      const hour = 23 - Math.floor((now - createdTime) / HOUR_MS);
      if (hour >= 0 && hour < 24) counts[hour]! += Number(body['messagesProcessed'] ?? 0);
    }
    // The process knows the hour that runs, the events those before its start.
    const seen = context.control.integrations.statistics(doc.id);
    return counts.map((count, hour) => Math.max(count, seen[hour] ?? 0));
  }

  app.get('/api/integrations/converters/info', { config, schema: { tags, summary: 'What converters each type may have' } }, async () =>
    Object.fromEntries(
      context.integrations.all.map(({ type, metadata, downlink }) => [
        type,
        {
          uplink: { library: false, existing: true, keys: Object.keys(metadata) },
          downlink: { library: false, existing: downlink !== undefined, keys: [] },
        },
      ]),
    ),
  );
}
