import type { ChainMetadata, ChainNode } from '#engine/walk/chain.ts';
import type { Doc, Store } from '../store.ts';
import type { Work } from '../work.ts';
import { type ChainSave, chainsOf, graphOf, saveChain } from './chain-docs.ts';

export const OUTPUT_NODE = 'org.thingsboard.rule.engine.flow.TbRuleChainOutputNode';
const CALL_NODE = 'org.thingsboard.rule.engine.flow.TbRuleChainInputNode';

interface Usage {
  readonly ruleChainId: { readonly entityType: string; readonly id: string };
  readonly ruleNodeId: ChainNode['id'];
  readonly ruleChainName: string;
  readonly ruleNodeName: string | null;
  readonly labels: readonly string[];
}

const calls = (node: ChainNode, chainId: string): boolean =>
  node.type === CALL_NODE && (node.configuration as { ruleChainId?: unknown } | null)?.ruleChainId === chainId;

/** "rule chain" nodes that call this chain, with the labels behind them; those with nothing behind them are no use. By the names of their chains, then their own. */
export async function usageOf(store: Store, { tenantId, id }: Doc): Promise<Usage[]> {
  const usage: Usage[] = [];
  for (const chain of await chainsOf(store, tenantId)) {
    const { metadata } = await graphOf(store, tenantId, chain.id);
    for (const [index, node] of metadata.nodes.entries()) {
      if (!calls(node, id)) continue;
      const labels = [...new Set(metadata.connections.filter(({ fromIndex }) => fromIndex === index).map(({ type }) => type))];
      if (labels.length === 0) continue;
      usage.push({
        ruleChainId: { entityType: 'RULE_CHAIN', id: chain.id },
        ruleNodeId: node.id,
        ruleChainName: chain.name,
        ruleNodeName: node.name,
        labels: labels.sort(byJavaHash),
      });
    }
  }
  const compare = (a: string | null, b: string | null): number => ((a ?? '') < (b ?? '') ? -1 : (a ?? '') > (b ?? '') ? 1 : 0);
  return usage.sort((a, b) => compare(a.ruleChainName, b.ruleChainName) || compare(a.ruleNodeName, b.ruleNodeName));
}

/** The order in which a set of up to twelve texts comes out of Java: that of their hashes in a table of 16. */
function byJavaHash(a: string, b: string): number {
  return bucketOf(a) - bucketOf(b);
}

function bucketOf(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return (hash ^ (hash >>> 16)) & 15;
}

/** An output node's name is the label behind every node that calls its chain: a new name is followed there (specs: rule-nodes §1.5). */
export async function renameOutputs(
  work: Work,
  store: Store,
  chain: Doc,
  before: ChainMetadata,
  after: ChainMetadata,
  save: Omit<ChainSave, 'expects'>,
): Promise<void> {
  const renamed = new Map<string, string>();
  const torn = new Set<string>();
  for (const node of after.nodes) {
    const old = before.nodes.find((known) => known.id!.id === node.id!.id);
    if (node.type !== OUTPUT_NODE || old?.type !== OUTPUT_NODE || old.name === node.name) continue;
    // Two nodes of one name that are called differently now: nobody knows which of them a caller meant.
    if ((renamed.get(old.name) ?? node.name) !== node.name) torn.add(old.name);
    renamed.set(old.name, node.name);
  }
  for (const name of torn) renamed.delete(name);
  for (const node of after.nodes) if (node.type === OUTPUT_NODE) renamed.delete(node.name);
  if (renamed.size === 0) return;
  for (const caller of await chainsOf(store, chain.tenantId)) {
    if (caller.id === chain.id) continue;
    const { metadata } = await graphOf(store, chain.tenantId, caller.id);
    const callers = new Set(metadata.nodes.flatMap((node, index) => (calls(node, chain.id) ? [index] : [])));
    const connections = metadata.connections.map((connection) =>
      callers.has(connection.fromIndex) ? { ...connection, type: renamed.get(connection.type) ?? connection.type } : connection,
    );
    if (connections.some((connection, index) => connection.type !== metadata.connections[index]!.type))
      await saveChain(work, store, caller, { ...metadata, connections }, save, caller);
  }
}
