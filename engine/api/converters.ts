import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, nameKey, newDoc } from '../entities.ts';
import type { EntityRef } from '../message.ts';
import { contentOf, keepRevision, removeRevisions } from '../revisions.ts';
import type { Script } from '../script.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { debugSettings } from './debug-settings.ts';
import { badRequest } from './errors.ts';
import { everyDocOf, listByIds, pageInMemory } from './lists.ts';
import { idList, PAGE_QUERY, pageLink } from './paging.ts';
import { idOf, requiredObject } from './required.ts';
import { checkBasis } from './revisions.ts';
import { versionOf } from './rule-chains.ts';
import { checkLimit, checkName, commit } from './save.ts';
import { AnyJson, IdParams, typed } from './schemas.ts';
import { isTrue } from './telemetry-target.ts';

type Json = Record<string, unknown>;
const who = 'T';
const tags = ['Converters'];
const MAX_SCRIPT_CHARS = 50_000;
const converterRef = (id: string): EntityRef => ({ entityType: 'CONVERTER', id });

/** Converters (specs: rest-api §2.12). A script that can not run is kept, and the answer says why under `problem`. */
export default async function converters(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;

  async function show(doc: Doc): Promise<Json> {
    const problem = await problemOf(doc);
    return problem === null ? entityJson(doc) : { ...entityJson(doc), problem };
  }

  async function problemOf(doc: Doc): Promise<string | null> {
    const script = scriptOf(doc);
    if (script.body.length > MAX_SCRIPT_CHARS) return `The script has ${script.body.length} characters, more than ${MAX_SCRIPT_CHARS}`;
    return (await context.scripts.check(script))?.message ?? null;
  }

  app.post(
    '/api/converter',
    { config: { who }, schema: { tags, summary: 'Creates or changes a converter', body: AnyJson } },
    async ({ caller, body }) => {
      const fields = requiredObject(body);
      const id = idOf(fields, 'id', 'CONVERTER');
      const stored = id === null ? null : await writable(context, caller, converterRef(id));
      const doc = readConverter(caller, fields, stored, context.now());
      if (!stored) await checkLimit(context, caller.tenantId, 'maxConverters', 'CONVERTER');
      const work = new Work();
      const expects = stored ? versionOf(fields) : 0;
      if (stored) await checkBasis(context, stored, expects);
      work.docs.push({ doc, expects });
      const kept = { content: contentOf(doc), before: stored && contentOf(stored), author: caller, now: context.now() };
      await keepRevision(work, store, stored ?? doc, kept);
      await commit(context, work, 'CONVERTER');
      return show((await store.doc('CONVERTER', doc.tenantId, doc.id))!);
    },
  );

  app.get('/api/converter/:id', { config: { who }, schema: { tags, summary: 'A converter', params: IdParams } }, async ({ caller, params }) =>
    show(await readable(context, caller, converterRef(params.id))),
  );

  app.delete(
    '/api/converter/:id',
    { config: { who }, schema: { tags, summary: 'Deletes a converter', params: IdParams } },
    async ({ caller, params }, reply) => {
      const converter = await writable(context, caller, converterRef(params.id));
      const { tenantId, id } = converter;
      const user = (await everyDocOf(context, 'INTEGRATION', tenantId)).find(({ body }) =>
        ['defaultConverterId', 'downlinkConverterId'].some((key) => (body[key] as EntityRef | null)?.id === id),
      );
      if (user) throw badRequest(`The converter referenced by the integration '${user.name}' cannot be deleted!`);
      const work = new Work();
      work.docs.push({ remove: { collection: 'CONVERTER', tenantId, id } });
      await removeRevisions(work, store, converter);
      work.purges.push({ tenantId, entity: converterRef(id) });
      await commit(context, work, 'CONVERTER');
      return reply.code(200).send();
    },
  );

  const listed = Type.Partial(
    Type.Object({
      ...PAGE_QUERY,
      isEdgeTemplate: Type.String(),
      integrationType: Type.String({ description: 'Generic ones and those of this type.' }),
    }),
  );
  app.get('/api/converters', { config: { who }, schema: { tags, summary: 'Converters', querystring: listed } }, async ({ caller, query }) => {
    const ids = idList(query, 'converterIds');
    if (ids.length > 0) return byIds(caller, ids);
    const link = pageLink(query, ['debugMode']);
    const template = isTrue(query.isEdgeTemplate);
    const type = query.integrationType;
    const all = await everyDocOf(context, 'CONVERTER', caller.tenantId);
    const found = all.filter(
      ({ body }) => (body['edgeTemplate'] === true) === template && (!type || !body['integrationType'] || body['integrationType'] === type),
    );
    const page = pageInMemory(found, link);
    return { ...page, data: await Promise.all(page.data.map(show)) };
  });
  app.get('/api/converters/list', { config: { who }, schema: { tags, summary: 'Converters by id' } }, ({ caller, query }) =>
    byIds(caller, idList(query, 'converterIds')),
  );

  const byIds = async (caller: Caller, ids: readonly string[]): Promise<Json[]> =>
    Promise.all((await listByIds(context, caller, 'CONVERTER', ids)).map(show));
}

/** What the converter runs. */
export function scriptOf(doc: Doc): Script {
  const configuration = (doc.body['configuration'] ?? {}) as Json;
  const language = configuration['scriptLang'] === 'TBEL' ? 'TBEL' : 'JS';
  const key = doc.kind === 'DOWNLINK' ? (language === 'TBEL' ? 'tbelEncoder' : 'encoder') : language === 'TBEL' ? 'tbelDecoder' : 'decoder';
  return { kind: doc.kind === 'DOWNLINK' ? 'downlink' : 'uplink', language, body: String(configuration[key] ?? '') };
}

/** @throws HttpError 400 */
function readConverter(caller: Caller, fields: Json, stored: Doc | null, now: number): Doc {
  if (typeof fields['name'] !== 'string' || fields['name'].trim() === '') throw badRequest('Converter name should be specified!');
  const name = checkName('Converter', fields['name']);
  const type = fields['type'] ?? stored?.kind;
  if (type !== 'UPLINK' && type !== 'DOWNLINK') throw badRequest('Converter type should be UPLINK or DOWNLINK!');
  if (stored && stored.kind !== type) throw badRequest('Converter type can not be changed!');
  const configuration = fields['configuration'];
  if (typeof configuration !== 'object' || configuration === null || Array.isArray(configuration))
    throw badRequest('Converter configuration should be specified!');
  checkConfiguration(configuration as Json);
  const integrationType = fields['integrationType'] ?? null;
  if (integrationType !== null && typeof integrationType !== 'string') throw badRequest('Validation error: integrationType is not a text');
  const body = {
    integrationType,
    converterVersion: fields['converterVersion'] === 2 ? 2 : 1,
    edgeTemplate: fields['edgeTemplate'] === true,
    debugMode: fields['debugMode'] === true,
    debugSettings: debugSettings(fields, now),
    configuration,
    additionalInfo: fields['additionalInfo'] ?? null,
    externalId: null,
  };
  const uniqueKey = nameKey(caller.tenantId, name);
  if (stored) return { ...stored, name, uniqueKey, body };
  return newDoc({ collection: 'CONVERTER', tenantId: caller.tenantId, name, kind: type, uniqueKey, body }, now);
}

/** Old files lack keys and have nulls; what is there must have the right type. */
function checkConfiguration(configuration: Json): void {
  const { scriptLang = null, updateOnlyKeys = null } = configuration;
  if (scriptLang !== null && scriptLang !== 'JS' && scriptLang !== 'TBEL')
    throw badRequest('Validation error: configuration.scriptLang should be JS or TBEL');
  for (const key of ['decoder', 'tbelDecoder', 'encoder', 'tbelEncoder']) {
    const script = configuration[key] ?? null;
    if (script !== null && typeof script !== 'string') throw badRequest(`Validation error: configuration.${key} is not a text`);
  }
  if (updateOnlyKeys !== null && !(Array.isArray(updateOnlyKeys) && updateOnlyKeys.every((key) => typeof key === 'string'))) {
    throw badRequest('Validation error: configuration.updateOnlyKeys is not a list of texts');
  }
}
