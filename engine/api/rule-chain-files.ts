import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { type ChainFile, checkGraph, exportChain, readChainFile } from '#engine/walk/graph.ts';
import { isUuid, newId } from '../id.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { chainsOf, commitChains, graphOf, newChain, saveChain } from './chain-docs.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { requiredObject } from './required.ts';
import { checkName } from './save.ts';
import { AnyJson, typed } from './schemas.ts';
import { isTrue } from './telemetry-target.ts';

const who = 'T';
const tags = ['Rule chains'];
type Json = Record<string, unknown>;

interface Entry {
  readonly oldId: string | null;
  readonly file: ChainFile;
  readonly chain: Doc;
  readonly updated: boolean;
  readonly stored?: Doc;
}

/** All chains of a tenant in one file, and back (specs: rule-nodes §1.8). */
export default async function ruleChainFiles(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;

  const limited = Type.Object({ limit: Type.Integer({ description: 'At most so many chains.' }) });
  app.get(
    '/api/ruleChains/export',
    { config: { who }, schema: { tags, summary: 'Chains as one file', querystring: limited } },
    async ({ caller, query }) => {
      if (query.limit < 1) throw badRequest(`Incorrect page link page size '${query.limit}'. Page size must be greater than zero.`);
      const chains = (await chainsOf(store, caller.tenantId)).slice(0, query.limit);
      const files = await Promise.all(
        chains.map(async (chain) => {
          const file = exportChain(chain, (await graphOf(store, chain.tenantId, chain.id)).metadata);
          const id = { entityType: 'RULE_CHAIN', id: chain.id };
          // Ids tie chains and graphs of the file together; an import gives new ones.
          return { ruleChain: { id, ...file.ruleChain }, metadata: { ruleChainId: id, ...file.metadata } };
        }),
      );
      return { ruleChains: files.map((file) => file.ruleChain), metadata: files.map((file) => file.metadata) };
    },
  );

  const overwriting = Type.Object({
    overwrite: Type.Optional(Type.String({ description: 'Chains of the same type and name are replaced. Default false.' })),
  });
  const schema = { tags, summary: 'Imports chains of one file', body: AnyJson, querystring: overwriting };
  app.post('/api/ruleChains/import', { config: { who }, schema }, async ({ caller, body, query }) => {
    const entries = await readEntries(caller, requiredObject(body), isTrue(query.overwrite));
    const ids = new Map(entries.flatMap(({ oldId, chain }) => (oldId === null ? [] : [[oldId, chain.id] as const])));
    const names = new Map([...(await chainsOf(store, caller.tenantId)), ...entries.map(({ chain }) => chain)].map(({ id, name }) => [id, name]));
    const work = new Work();
    for (const { file, chain, updated, stored } of entries) {
      const metadata = adopt(file.metadata, ids, caller.tenantId);
      const now = context.now();
      const options = {
        chainId: chain.id,
        nodes: context.nodes,
        current: null,
        chainName: (id: string) => names.get(id) ?? null,
        newId: () => newId(now),
        now,
      };
      const save = { author: caller, now, expects: updated ? undefined : 0 };
      await saveChain(work, store, chain, checkGraph(metadata, options), save, stored);
    }
    await commitChains(context, work, caller.tenantId);
    return entries.map(({ chain, updated }) => ({
      ruleChainId: { entityType: 'RULE_CHAIN', id: chain.id },
      ruleChainName: chain.name,
      ...(updated && { updated }),
    }));
  });

  async function readEntries(caller: Caller, body: Json, overwrite: boolean): Promise<Entry[]> {
    const { ruleChains, metadata } = body;
    if (!Array.isArray(ruleChains) || !Array.isArray(metadata)) throw badRequest('Not an export of rule chains: it has no ruleChains and metadata.');
    const existing = overwrite ? await chainsOf(store, caller.tenantId) : [];
    return ruleChains.map((ruleChain: Json | null, index) => {
      const oldId = (ruleChain?.['id'] as { id?: string } | null | undefined)?.id ?? null;
      const graph =
        metadata.find((one: Json | null) => oldId !== null && (one?.['ruleChainId'] as { id?: string } | null)?.id === oldId) ?? metadata[index];
      const file = readChainFile({ ruleChain, metadata: graph });
      const name = checkName('Rule chain', file.name);
      const same = existing.find((chain) => chain.kind === file.type && chain.name === name);
      if (!same) return { oldId, file, chain: newChain(caller.tenantId, file, context.now()), updated: false };
      const { debugMode, configuration, additionalInfo } = file;
      return { oldId, file, chain: { ...same, body: { ...same.body, debugMode, configuration, additionalInfo } }, updated: true, stored: same };
    });
  }
}

/** The graph with the new ids of the chains it names, this tenant's id, and nodes without ids. */
function adopt(metadata: unknown, chains: ReadonlyMap<string, string>, tenantId: string): unknown {
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return isUuid(value) ? (chains.get(value) ?? value) : value;
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    if ((value as Json)['entityType'] === 'TENANT' && 'id' in value) return { ...value, id: tenantId };
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, walk(part)]));
  };
  const graph = walk(metadata) as Json;
  const nodes = Array.isArray(graph['nodes']) ? graph['nodes'].map((node: Json) => ({ ...node, id: null })) : graph['nodes'];
  return { ...graph, nodes };
}
