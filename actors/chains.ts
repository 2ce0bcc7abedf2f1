import { type ActorRefFrom, createActor, waitFor } from 'xstate';
import type { Control } from '#engine/control.ts';
import type { Message } from '#engine/message.ts';
import type { Backend, Change } from '#engine/queue.ts';
import { type EntityCache, NO_DEFAULTS, type ProfileDefaults } from '#engine/services/entities.ts';
import type { Services } from '#engine/services.ts';
import type { ChainMetadata, CompiledChain, CompiledNode } from '#engine/walk/chain.ts';
import { type CompileDeps, startChain, stopChain } from '#engine/walk/compile.ts';
import { lifecycleEvent } from '#engine/walk/debug.ts';
import type { ChainLookup } from '#engine/walk/run.ts';
import { Work } from '#engine/work.ts';
import { chainMachine } from './rule-chain.ts';

type ChainActor = ActorRefFrom<typeof chainMachine>;

interface Entry {
  readonly tenantId: string;
  readonly actor: ChainActor;
}

export interface ChainsOptions {
  readonly backend: Backend;
  readonly entities: EntityCache;
  /** Everything of the compiler's that is not made here. */
  readonly compile: Omit<CompileDeps, 'chains' | 'entities' | 'commit' | 'started'>;
  readonly now: () => number;
}

const CACHED_ENTITIES = 100_000;
const RETRY_MS = 1000;

/** All rule chains of this process, each an actor; finds the chain that a message enters. */
export function createChains({ backend, entities, compile, now }: ChainsOptions): ChainLookup &
  Control['chains'] & {
    forTenant(tenantId: string): Services['chains'];
    /** Name of the queue that a message is in: its own, else that of its originator's profile. null: Main. */
    queueOf(message: Message): string | null | Promise<string | null>;
    start(): Promise<void>;
    stop(): void;
  } {
  const entries = new Map<string, Entry>();
  const roots = new Map<string, string>();
  /** By device or asset id. */
  const defaults = new Map<string, ProfileDefaults>();
  let changes = 0;
  let unsubscribe = () => {};
  let stopped = false;

  const forTenant = (tenantId: string): Services['chains'] => ({
    exists: (chainId) => entries.get(chainId)?.tenantId === tenantId,
    defaultOf: async (entity) => (await entities.defaultsOf(tenantId, entity)).chainId,
  });
  const deps: CompileDeps = { ...compile, chains: forTenant, entities: (tenantId) => entities.of(tenantId), commit: (work) => backend.commit(work) };

  function chainOf(tenantId: string, chainId: string): CompiledChain | undefined {
    const entry = entries.get(chainId);
    return entry?.tenantId === tenantId ? (entry.actor.getSnapshot().context.chain ?? undefined) : undefined;
  }

  async function load(doc: { tenantId: string; id: string }, previous: CompiledChain | null): Promise<CompiledChain | null> {
    const [chain, metadata] = await Promise.all([
      backend.store.doc('RULE_CHAIN', doc.tenantId, doc.id),
      backend.store.doc('RULE_CHAIN_METADATA', doc.tenantId, doc.id),
    ]);
    if (!chain) return null;
    const graph: ChainMetadata = metadata ? (metadata.body as unknown as ChainMetadata) : { firstNodeIndex: null, nodes: [], connections: [] };
    const work = new Work();
    // Every process loads the chain; one of them says so.
    const note = (node: CompiledNode) =>
      compile.leaseOf?.(node.info.id) !== null &&
      work.events.push(lifecycleEvent(node, previous?.byId.has(node.info.id) ? 'UPDATED' : 'STARTED', compile));
    const started = await startChain(chain, graph, { ...deps, started: note }, previous ?? undefined);
    if (!work.isEmpty) await backend.commit(work).catch((cause: unknown) => compile.log.warn({ err: cause }, 'lifecycle of rule nodes not stored'));
    if (previous) stopChain(previous, started);
    if (entries.has(doc.id)) return started;
    stopChain(started); // removed meanwhile
    return null;
  }

  function add(tenantId: string, id: string): void {
    const actor = createActor(chainMachine, {
      input: { load: (previous) => load({ tenantId, id }, previous), stop: (chain) => stopChain(chain), now },
    });
    entries.set(id, { tenantId, actor });
    actor.start();
  }

  function changed(change: Change): void {
    const entry = entries.get(change.id);
    if (change.removed) {
      entry?.actor.send({ type: 'REMOVED' });
      entries.delete(change.id);
      if (roots.get(change.tenantId) === change.id) roots.delete(change.tenantId);
    } else if (entry) entry.actor.send({ type: 'SAVED' });
    else add(change.tenantId, change.id);
  }

  const findingRoots = new Map<string, Promise<void>>();
  function findRoot(tenantId: string): Promise<void> {
    const finding = (findingRoots.get(tenantId) ?? Promise.resolve()).then(() => readRoot(tenantId));
    findingRoots.set(tenantId, finding);
    return finding;
  }

  /** While the store is away it is asked again: else messages would go on into the chain that was the root before. */
  async function readRoot(tenantId: string): Promise<void> {
    while (!stopped) {
      try {
        const { data } = await backend.store.docs('RULE_CHAIN', tenantId, { states: ['ROOT'], kind: 'CORE', pageSize: 1 });
        if (data[0]) roots.set(tenantId, data[0].id);
        else roots.delete(tenantId);
        return;
      } catch (cause) {
        compile.log.warn({ err: cause, tenant: tenantId }, 'root chain not found out yet');
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
  }

  function onChanges(list: readonly Change[]): void {
    for (const change of list) {
      switch (change.collection) {
        case 'RULE_CHAIN':
          changed(change);
          void findRoot(change.tenantId);
          break;
        case 'RULE_CHAIN_METADATA':
          if (!change.removed) changed(change);
          break;
        case 'DEVICE':
        case 'ASSET':
          changes++;
          defaults.delete(change.id);
          break;
        case 'DEVICE_PROFILE':
        case 'ASSET_PROFILE':
          changes++;
          defaults.clear();
          break;
      }
    }
  }

  /** Answers at once when it is known, so that a message on the hot path waits for nothing. */
  function defaultsOf(message: Message): ProfileDefaults | Promise<ProfileDefaults> {
    const { originator } = message;
    if (originator.entityType !== 'DEVICE' && originator.entityType !== 'ASSET') return NO_DEFAULTS;
    const known = defaults.get(originator.id);
    return known ?? findDefaults(message);
  }

  async function findDefaults({ tenantId, originator, type, data }: Message): Promise<ProfileDefaults> {
    if (type === 'ENTITY_DELETED') return entities.defaultsOf(tenantId, originator, bodyOf(data));
    const before = changes;
    const found = await entities.defaultsOf(tenantId, originator);
    if (defaults.size >= CACHED_ENTITIES) defaults.clear();
    if (changes === before) defaults.set(originator.id, found);
    return found;
  }

  const orRoot = (tenantId: string, chainId: string | null): CompiledChain | undefined => {
    const root = roots.get(tenantId);
    return (chainId === null ? undefined : chainOf(tenantId, chainId)) ?? (root === undefined ? undefined : chainOf(tenantId, root));
  };

  return {
    forTenant,
    get: chainOf,
    root: (tenantId) => orRoot(tenantId, null),
    entry(message) {
      const found = defaultsOf(message);
      return found instanceof Promise ? found.then(({ chainId }) => orRoot(message.tenantId, chainId)) : orRoot(message.tenantId, found.chainId);
    },
    queueOf(message) {
      if (message.queueName !== null) return message.queueName;
      const found = defaultsOf(message);
      return found instanceof Promise ? found.then(({ queueName }) => queueName) : found.queueName;
    },
    problems(tenantId, chainId) {
      const problems = new Map<string, string>();
      for (const node of chainOf(tenantId, chainId)?.nodes ?? []) if (node.problem !== null) problems.set(node.info.id, node.problem);
      return problems;
    },
    async settled(tenantId) {
      await findingRoots.get(tenantId);
      const loading = [...entries.values()].filter((entry) => entry.tenantId === tenantId && entry.actor.getSnapshot().matches('loading'));
      await Promise.all(loading.map(({ actor }) => waitFor(actor, (snapshot) => !snapshot.matches('loading'))));
    },
    async start() {
      unsubscribe = backend.onChange(onChanges);
      const tenants = new Set<string>();
      for await (const chain of backend.store.everyDoc('RULE_CHAIN')) {
        tenants.add(chain.tenantId);
        if (!entries.has(chain.id)) add(chain.tenantId, chain.id);
      }
      await Promise.all([...tenants].map(findRoot));
      await Promise.all([...entries.values()].map(({ actor }) => waitFor(actor, (snapshot) => !snapshot.matches('loading'))));
    },
    stop() {
      stopped = true;
      unsubscribe();
      for (const { actor } of entries.values()) {
        const { chain } = actor.getSnapshot().context;
        if (chain) stopChain(chain);
        actor.stop();
      }
    },
  };
}

function bodyOf(json: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
