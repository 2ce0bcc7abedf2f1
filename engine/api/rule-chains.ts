import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { ChainMetadata } from '#engine/walk/chain.ts';
import { checkGraph, readChainFile } from '#engine/walk/graph.ts';
import { newId } from '../id.ts';
import type { EntityRef } from '../message.ts';
import { contentOf, keepRevision, removeRevisions } from '../revisions.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import { chainJson, chainsOf, commitChains, graphOf, metadataJson, NO_GRAPH, newChain, saveChain } from './chain-docs.ts';
import { OUTPUT_NODE, renameOutputs, usageOf } from './chain-outputs.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { idList, PAGE_QUERY, pageLink, pageOf } from './paging.ts';
import { idOf, requiredObject } from './required.ts';
import { checkBasis } from './revisions.ts';
import { checkName } from './save.ts';
import { AnyJson, IdParams, typed } from './schemas.ts';
import { isTrue } from './telemetry-target.ts';

const who = 'T';
const tags = ['Rule chains'];
const chainRef = (id: string): EntityRef => ({ entityType: 'RULE_CHAIN', id });

/** Rule chains (specs: rest-api §2.9): the chain and, apart from it, its graph. Actors load what is saved here from the store's changes. */
export default async function ruleChains(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { backend } = context;
  const { store } = backend;
  const reread = async ({ tenantId, id }: Doc): Promise<Doc> => (await store.doc('RULE_CHAIN', tenantId, id))!;

  app.get('/api/ruleChain/tbelEnabled', { config: { who }, schema: { tags, summary: 'Whether scripts may be TBEL' } }, async () => true);

  app.get('/api/ruleChain/:id', { config: { who }, schema: { tags, summary: 'A rule chain', params: IdParams } }, async ({ caller, params }) =>
    chainJson(await readable(context, caller, chainRef(params.id))),
  );

  const listed = Type.Object({ ...PAGE_QUERY, type: Type.Optional(Type.String({ description: 'CORE or EDGE.' })) });
  const idsOnly = (caller: Caller, ids: readonly string[]) =>
    store.docs('RULE_CHAIN', caller.tenantId, { ids }).then(({ data }) => data.map(chainJson));
  app.get(
    '/api/ruleChains',
    { config: { who }, schema: { tags, summary: 'Rule chains', querystring: Type.Partial(listed) } },
    async ({ caller, query }) => {
      const ids = idList(query, 'ruleChainIds');
      if (ids.length > 0) return idsOnly(caller, ids);
      const kind = query.type;
      return pageOf(await store.docs('RULE_CHAIN', caller.tenantId, { ...pageLink(query, ['root', 'debugMode']), kind }), chainJson);
    },
  );
  app.get('/api/ruleChains/list', { config: { who }, schema: { tags, summary: 'Rule chains by id' } }, async ({ caller, query }) =>
    idsOnly(caller, idList(query, 'ruleChainIds')),
  );

  app.post(
    '/api/ruleChain',
    { config: { who }, schema: { tags, summary: 'Creates or changes a rule chain', body: AnyJson } },
    async ({ caller, body }) => {
      const fields = requiredObject(body);
      const id = idOf(fields, 'id', 'RULE_CHAIN');
      const stored = id === null ? null : await writable(context, caller, chainRef(id));
      if (typeof fields['name'] !== 'string' || fields['name'].trim() === '') throw badRequest('Rule chain name should be specified!');
      const name = checkName('Rule chain', fields['name']);
      const type = fields['type'] ?? stored?.kind ?? 'CORE';
      if (type !== 'CORE' && type !== 'EDGE') throw badRequest('Rule chain type should be CORE or EDGE!');
      if (!stored && fields['root'] === true) throw badRequest('Another root rule chain is present in scope of current tenant!');
      const own = {
        debugMode: fields['debugMode'] === true,
        configuration: fields['configuration'] ?? null,
        additionalInfo: fields['additionalInfo'] ?? null,
      };
      const work = new Work();
      if (!stored) {
        const now = context.now();
        const chain = newChain(caller.tenantId, { name, type, ...own }, now);
        await keepRevision(work, store, chain, { content: contentOf(chain, NO_GRAPH), before: null, author: caller, now });
        work.docs.push({ doc: chain, expects: 0 });
        await commitChains(context, work, caller.tenantId);
        return chainJson(await reread(chain));
      }
      const { metadata } = await graphOf(store, caller.tenantId, stored.id);
      const chain = { ...stored, name, kind: type, body: { ...stored.body, ...own } };
      const expects = versionOf(fields);
      await checkBasis(context, stored, expects);
      const entered = withEntry(metadata, idOf(fields, 'firstRuleNodeId', 'RULE_NODE'));
      await saveChain(work, store, chain, entered, { author: caller, now: context.now(), expects }, stored);
      await commitChains(context, work, caller.tenantId);
      return chainJson(await reread(stored));
    },
  );

  app.delete(
    '/api/ruleChain/:id',
    { config: { who }, schema: { tags, summary: 'Deletes a rule chain', params: IdParams } },
    async ({ caller, params }, reply) => {
      const chain = await writable(context, caller, chainRef(params.id));
      if (chain.state === 'ROOT') throw badRequest('Deletion of Root Tenant Rule Chain is prohibited!');
      for (const [collection, label] of [
        ['DEVICE_PROFILE', 'device'],
        ['ASSET_PROFILE', 'asset'],
      ] as const) {
        const { data } = await store.docs(collection, chain.tenantId, { pageSize: 10_000 });
        const isDefault = ({ body }: Doc) => (body['defaultRuleChainId'] as EntityRef | null)?.id === chain.id;
        if (data.some(isDefault)) throw badRequest(`The rule chain referenced by the ${label} profiles cannot be deleted!`);
      }
      const { tenantId, id } = chain;
      const { metadata } = await graphOf(store, tenantId, id);
      const work = new Work();
      await removeRevisions(work, store, chain);
      work.docs.push({ remove: { collection: 'RULE_CHAIN', tenantId, id } }, { remove: { collection: 'RULE_CHAIN_METADATA', tenantId, id } });
      for (const entity of [chainRef(id), ...metadata.nodes.map((node) => node.id!)]) work.purges.push({ tenantId, entity });
      await commitChains(context, work, caller.tenantId);
      return reply.code(200).send();
    },
  );

  app.post(
    '/api/ruleChain/:id/root',
    { config: { who }, schema: { tags, summary: 'Makes it the root chain', params: IdParams } },
    async ({ caller, params }) => {
      const chain = await writable(context, caller, chainRef(params.id));
      if (chain.kind === 'EDGE') throw badRequest('An edge rule chain can not be the root rule chain of the tenant!');
      if (chain.state === 'ROOT') return chainJson(chain);
      const work = new Work();
      const { data: roots } = await store.docs('RULE_CHAIN', caller.tenantId, { states: ['ROOT'] });
      for (const root of roots) work.docs.push({ doc: { ...root, state: null } });
      work.docs.push({ doc: { ...chain, state: 'ROOT' } });
      await commitChains(context, work, caller.tenantId);
      return chainJson(await reread(chain));
    },
  );

  app.post(
    '/api/ruleChain/device/default',
    { config: { who }, schema: { tags, summary: 'A chain from the template of device profiles', body: AnyJson } },
    async ({ caller, body }) => {
      const fields = requiredObject(body);
      const name = checkName('Rule chain', fields['name']);
      const now = context.now();
      const template = readChainFile(context.rootChain);
      const chain = newChain(caller.tenantId, { ...template, name }, now);
      const options = { chainId: chain.id, nodes: context.nodes, current: null, chainName: () => null, newId: () => newId(now), now };
      const work = new Work();
      await saveChain(work, store, chain, checkGraph(template.metadata, options), { author: caller, now, expects: 0 });
      await commitChains(context, work, caller.tenantId);
      return chainJson(await reread(chain));
    },
  );

  app.get(
    '/api/ruleChain/:id/metadata',
    { config: { who }, schema: { tags, summary: 'The graph of a rule chain', params: IdParams } },
    async ({ caller, params }) => {
      const chain = await readable(context, caller, chainRef(params.id));
      return metadataJson(chain, (await graphOf(store, chain.tenantId, chain.id)).metadata);
    },
  );

  const related = Type.Object({
    updateRelated: Type.Optional(Type.String({ description: 'Follow renamed outputs in the chains that call this one. Default true.' })),
  });
  const saving = { tags, summary: 'Replaces the graph of a rule chain', body: AnyJson, querystring: related };
  app.post('/api/ruleChain/metadata', { config: { who }, schema: saving }, async ({ caller, body, query }) => {
    const fields = requiredObject(body);
    const id = idOf(fields, 'ruleChainId', 'RULE_CHAIN');
    if (id === null) throw badRequest('Validation error: ruleChainId must not be null');
    const chain = await writable(context, caller, chainRef(id));
    const { metadata: current } = await graphOf(store, chain.tenantId, id);
    const now = context.now();
    // Names of chains are needed for links of old files only.
    const legacy = Array.isArray(fields['ruleChainConnections']) && fields['ruleChainConnections'].length > 0;
    const names = new Map(legacy ? (await chainsOf(store, chain.tenantId)).map((other) => [other.id, other.name]) : []);
    const metadata = checkGraph(fields, {
      chainId: id,
      nodes: context.nodes,
      current,
      chainName: (other) => names.get(other) ?? null,
      newId: () => newId(now),
      now,
    });
    const work = new Work();
    const expects = versionOf(fields);
    await checkBasis(context, chain, expects);
    await saveChain(work, store, chain, metadata, { author: caller, now, expects }, chain);
    for (const node of current.nodes) {
      if (!metadata.nodes.some((kept) => kept.id!.id === node.id!.id)) work.purges.push({ tenantId: chain.tenantId, entity: node.id! });
    }
    if (query.updateRelated === undefined || isTrue(query.updateRelated))
      await renameOutputs(work, store, chain, current, metadata, { author: caller, now });
    await commitChains(context, work, caller.tenantId);
    return metadataJson(await reread(chain), metadata);
  });

  app.get(
    '/api/ruleChain/:id/output/labels',
    { config: { who }, schema: { tags, summary: 'Labels that a chain gives out', params: IdParams } },
    async ({ caller, params }) => {
      const chain = await readable(context, caller, chainRef(params.id));
      const { metadata } = await graphOf(store, chain.tenantId, chain.id);
      return [...new Set(metadata.nodes.filter(({ type }) => type === OUTPUT_NODE).map(({ name }) => name))].sort();
    },
  );
  app.get(
    '/api/ruleChain/:id/output/labels/usage',
    { config: { who }, schema: { tags, summary: 'Who calls a chain by which labels', params: IdParams } },
    async ({ caller, params }) => {
      const chain = await readable(context, caller, chainRef(params.id));
      return usageOf(store, chain);
    },
  );
}

/** A save of the chain alone says which node is its entry; without one it has none (recorded). */
function withEntry(metadata: ChainMetadata, nodeId: string | null): ChainMetadata {
  const index = metadata.nodes.findIndex((node) => node.id!.id === nodeId);
  return { ...metadata, firstNodeIndex: index < 0 ? null : index };
}

export function versionOf(fields: Record<string, unknown>): number | undefined {
  const version = fields['version'] ?? undefined;
  if (version === undefined) return undefined;
  if (typeof version !== 'number' || !Number.isSafeInteger(version)) throw badRequest('Validation error: version is not a whole number');
  return version;
}
