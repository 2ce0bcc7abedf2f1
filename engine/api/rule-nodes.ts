import type { ChainMetadata, ChainNode } from '#engine/walk/chain.ts';
import type { Backend } from '../queue.ts';

export interface FoundNode {
  readonly tenantId: string;
  readonly chainId: string;
  readonly node: ChainNode;
}

/** Rule nodes are kept inside their chain's metadata; this finds them by their own id, of every tenant, and follows what is saved. */
export interface RuleNodes {
  find(nodeId: string): Promise<FoundNode | null>;
}

const BY_BACKEND = new WeakMap<Backend, RuleNodes>();

/** One index for all routes of a server. */
export function ruleNodes(backend: Backend): RuleNodes {
  let index = BY_BACKEND.get(backend);
  if (!index) {
    index = createRuleNodes(backend);
    BY_BACKEND.set(backend, index);
  }
  return index;
}

function createRuleNodes(backend: Backend): RuleNodes {
  const chains = new Map<string, FoundNode[]>();
  const byId = new Map<string, FoundNode>();
  /** Chains to read again before the next answer; null until everything was read once. */
  let stale: Map<string, string> | null = null;
  backend.onChange((changes) => {
    for (const { collection, tenantId, id } of changes) if (collection === 'RULE_CHAIN_METADATA') stale?.set(id, tenantId);
  });

  function put(tenantId: string, chainId: string, metadata: ChainMetadata | null): void {
    for (const { node } of chains.get(chainId) ?? []) byId.delete(node.id!.id);
    chains.delete(chainId);
    if (!metadata) return;
    const found = metadata.nodes.map((node) => ({ tenantId, chainId, node }));
    chains.set(chainId, found);
    for (const entry of found) byId.set(entry.node.id!.id, entry);
  }

  async function readAll(): Promise<void> {
    stale = new Map();
    try {
      for await (const { tenantId, id, body } of backend.store.everyDoc('RULE_CHAIN_METADATA')) put(tenantId, id, body as unknown as ChainMetadata);
    } catch (cause) {
      stale = null;
      throw cause;
    }
    await readStale();
  }

  async function readStale(): Promise<void> {
    for (const [id, tenantId] of stale ?? []) {
      stale?.delete(id);
      try {
        put(tenantId, id, ((await backend.store.doc('RULE_CHAIN_METADATA', tenantId, id))?.body as unknown as ChainMetadata) ?? null);
      } catch (cause) {
        stale?.set(id, tenantId);
        throw cause;
      }
    }
  }

  /** Of reads one at a time: who asks while a chain is read waits for it, and an older read can not come after a newer one. */
  let reading: Promise<void> = Promise.resolve();
  return {
    async find(nodeId) {
      // When the store was away, the next one who asks reads again.
      reading = reading.catch(() => {}).then(() => (stale === null ? readAll() : stale.size > 0 ? readStale() : undefined));
      await reading;
      return byId.get(nodeId) ?? null;
    },
  };
}
