import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AI_PROVIDERS, isAiProvider } from '../ai-models.ts';
import { entityJson, nameKey, newDoc } from '../entities.ts';
import { validate } from '../schema.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';
import { everyDocOf } from './lists.ts';
import { PAGE_QUERY, pageLink, pageOfAll } from './paging.ts';
import { idOf, requiredObject } from './required.ts';
import { checkName, commit, removeDoc } from './save.ts';
import { AnyJson, typed, Uuid } from './schemas.ts';

/** AI models (public OpenAPI of ThingsBoard: ai-model-controller). Keys of providers are sealed in the store and never sent back; an edit without them keeps the old ones. */
export default async function aiModels(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const T = { who: 'T' as const };
  const tags = ['AI model'];
  const byId = { tags, params: Type.Object({ modelUuid: Uuid }) };
  const { secrets } = context;

  const shown = (doc: Doc) => {
    const schema = schemaOf(doc.body['configuration']);
    return { ...entityJson(doc), configuration: schema ? secrets.redactConfig(schema, doc.body['configuration']) : null };
  };

  app.get('/api/ai/model', { config: T, schema: { tags, querystring: Type.Object(PAGE_QUERY) } }, async ({ query, caller }) => {
    const link = pageLink(query, ['provider', 'modelId']);
    const words = link.textSearch?.toLowerCase();
    const found = (await everyDocOf(context, 'AI_MODEL', caller.tenantId)).filter(
      (doc) => words === undefined || [doc.name, doc.kind, doc.label].some((each) => each?.toLowerCase().includes(words)),
    );
    const key = keyOf(link.sortBy ?? 'createdTime');
    found.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.id < b.id ? -1 : 1));
    if (link.order === 'DESC') found.reverse();
    return pageOfAll(found.map(shown), link);
  });

  app.get('/api/ai/model/:modelUuid', { config: T, schema: byId }, async ({ params, caller }) =>
    shown(await readable(context, caller, { entityType: 'AI_MODEL', id: params.modelUuid })),
  );

  app.post('/api/ai/model', { config: T, schema: { tags, summary: 'Creates or changes an AI model', body: AnyJson } }, async ({ body, caller }) => {
    const fields = requiredObject(body);
    const id = idOf(fields, 'id', 'AI_MODEL');
    const stored = id === null ? null : await writable(context, caller, { entityType: 'AI_MODEL', id });
    const name = checkName('AI model', fields['name']);
    const schema = schemaOf(fields['configuration']);
    if (!schema) throw badRequest(`AI model configuration should name a provider: ${Object.keys(AI_PROVIDERS).join(', ')}`);
    const given = fields['configuration'] as Record<string, unknown>;
    const before = stored?.body['configuration'] as Record<string, unknown> | undefined;
    // Keys of another provider are none of this one.
    const configuration = secrets.sealConfig(schema, given, before?.['provider'] === given['provider'] ? before : undefined) as Record<
      string,
      unknown
    >;
    validate(schema, secrets.openConfig(schema, configuration));
    const uniqueKey = nameKey(caller.tenantId, name);
    const facts = {
      name,
      kind: String(given['provider']),
      label: String(given['modelId']),
      uniqueKey,
      body: { configuration: { ...configuration, modelType: 'CHAT' } },
    };
    const doc = stored
      ? { ...stored, ...facts, version: stored.version + 1 }
      : newDoc({ collection: 'AI_MODEL', tenantId: caller.tenantId, ...facts }, context.now());
    const work = new Work();
    const version = fields['version'];
    work.docs.push({ doc, expects: typeof version === 'number' ? version : stored ? undefined : 0 });
    await commit(context, work, 'AI_MODEL', uniqueKey);
    return shown(doc);
  });

  app.delete('/api/ai/model/:modelUuid', { config: T, schema: byId }, async ({ params, caller }) => {
    const doc = await context.backend.store.doc('AI_MODEL', caller.tenantId, params.modelUuid);
    if (!doc) return false;
    const work = new Work();
    removeDoc(work, doc);
    await commit(context, work, 'AI_MODEL');
    return true;
  });
}

function schemaOf(configuration: unknown) {
  const provider = typeof configuration === 'object' && configuration !== null ? (configuration as Record<string, unknown>)['provider'] : null;
  return isAiProvider(provider) ? AI_PROVIDERS[provider] : null;
}

function keyOf(sortBy: string): (doc: Doc) => string | number {
  if (sortBy === 'provider') return ({ kind }) => kind ?? '';
  if (sortBy === 'modelId') return ({ label }) => label ?? '';
  return sortBy === 'name' ? ({ name }) => name : ({ createdTime }) => createdTime;
}
