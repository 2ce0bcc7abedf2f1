import type { ChainMetadata } from '#engine/walk/chain.ts';
import { entityJson, newDoc } from '../entities.ts';
import { newId } from '../id.ts';
import { type Author, contentOf, keepRevision } from '../revisions.ts';
import type { Doc, Store } from '../store.ts';
import type { Work } from '../work.ts';
import type { ApiContext } from './context.ts';
import { commit } from './save.ts';

/** A rule chain is kept as two documents under one id: the chain, and its graph. */

export interface ChainFields {
  readonly id?: string;
  readonly name: string;
  readonly type: string;
  readonly debugMode: boolean;
  readonly configuration: unknown;
  readonly additionalInfo: unknown;
}

export function newChain(tenantId: string, { id, name, type, debugMode, configuration, additionalInfo }: ChainFields, now: number): Doc {
  const body = { firstRuleNodeId: null, debugMode, externalId: null, configuration, additionalInfo };
  return newDoc({ id: id ?? newId(now), collection: 'RULE_CHAIN', tenantId, name, kind: type, state: null, body }, now);
}

export const chainJson = (doc: Doc): Record<string, unknown> => entityJson(doc);

export const NO_GRAPH: ChainMetadata = { firstNodeIndex: null, nodes: [], connections: [] };

export async function graphOf(store: Store, tenantId: string, chainId: string): Promise<{ doc: Doc | null; metadata: ChainMetadata }> {
  const doc = await store.doc('RULE_CHAIN_METADATA', tenantId, chainId);
  return { doc, metadata: doc ? (doc.body as unknown as ChainMetadata) : NO_GRAPH };
}

export interface ChainSave {
  readonly author: Author | null;
  readonly now: number;
  /** The version of the chain that the change is based on; 0: it is new. */
  readonly expects?: number | undefined;
}

/** Saves the chain with its graph, and keeps the revision. @param stored as it was; absent: it is new. */
export async function saveChain(work: Work, store: Store, chain: Doc, metadata: ChainMetadata, save: ChainSave, stored?: Doc): Promise<void> {
  const entry = metadata.firstNodeIndex === null ? null : (metadata.nodes[metadata.firstNodeIndex]?.id ?? null);
  const saved = { ...chain, body: { ...chain.body, firstRuleNodeId: entry } };
  work.docs.push({ doc: saved, expects: save.expects });
  const before = stored ? contentOf(stored, (await graphOf(store, stored.tenantId, stored.id)).metadata) : null;
  await keepRevision(work, store, stored ?? saved, { content: contentOf(saved, metadata), before, author: save.author, now: save.now });
  const { tenantId, id, createdTime, name } = chain;
  work.docs.push({
    doc: { collection: 'RULE_CHAIN_METADATA', tenantId, id, createdTime, name, version: 1, body: metadata as unknown as Record<string, unknown> },
  });
}

/** As ThingsBoard answers it: lists without an element are null (recorded). */
export function metadataJson(chain: Doc, metadata: ChainMetadata): Record<string, unknown> {
  return {
    ruleChainId: { entityType: 'RULE_CHAIN', id: chain.id },
    version: chain.version,
    firstNodeIndex: metadata.firstNodeIndex,
    nodes: metadata.nodes,
    connections: metadata.connections.length > 0 ? metadata.connections : null,
    ruleChainConnections: null,
    ...(metadata.notes ? { notes: metadata.notes } : {}),
  };
}

/** Every chain of a tenant: there are few. */
export async function chainsOf(store: Store, tenantId: string): Promise<Doc[]> {
  return (await store.docs('RULE_CHAIN', tenantId, { pageSize: 10_000 })).data;
}

/** Saves, and answers when what was saved is what runs: the next message of this caller meets it. */
export async function commitChains(context: ApiContext, work: Work, tenantId: string): Promise<void> {
  await commit(context, work, 'RULE_CHAIN');
  await context.control.chains.settled(tenantId);
}
