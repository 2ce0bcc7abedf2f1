import { type ActorRefFrom, createActor, waitFor } from 'xstate';
import type { ChainMetadata, CompiledChain } from '#engine/chain.ts';
import { type CompileDeps, startChain, stopChain } from '#engine/compile.ts';
import type { Control } from '#engine/control.ts';
import type { EntityRef, Message } from '#engine/message.ts';
import type { Backend, Change } from '#engine/queue.ts';
import type { ChainLookup } from '#engine/run.ts';
import type { Services } from '#engine/services.ts';
import type { Collection, Doc } from '#engine/store.ts';
import { chainMachine } from './rule-chain.ts';

type ChainActor = ActorRefFrom<typeof chainMachine>;

interface Entry {
  readonly tenantId: string;
  readonly actor: ChainActor;
}

export interface ChainsOptions {
  readonly backend: Backend;
  /** Everything of the compiler's that is not made here. */
  readonly compile: Omit<CompileDeps, 'chains'>;
  readonly now: () => number;
}

const PROFILE_OF: Partial<Record<string, { entity: Collection; profile: Collection; key: string }>> = {
  DEVICE: { entity: 'DEVICE', profile: 'DEVICE_PROFILE', key: 'deviceProfileId' },
  ASSET: { entity: 'ASSET', profile: 'ASSET_PROFILE', key: 'assetProfileId' },
};
const CACHED_ENTITIES = 100_000;

const refId = (value: unknown): string | null => (value as { id?: string } | null | undefined)?.id ?? null;

/** All rule chains of this process, each an actor; finds the chain that a message enters. */
export function createChains({ backend, compile, now }: ChainsOptions): ChainLookup &
  Control['chains'] & {
    forTenant(tenantId: string): Services['chains'];
    start(): Promise<void>;
    stop(): void;
  } {
  const entries = new Map<string, Entry>();
  const roots = new Map<string, string>();
  /** Device or asset id → its profile's id; profile id → its default chain. Emptied by changes. */
  const profiles = new Map<string, string | null>();
  const defaults = new Map<string, string | null>();
  let unsubscribe = () => {};

  const forTenant = (tenantId: string): Services['chains'] => ({
    exists: (chainId) => entries.get(chainId)?.tenantId === tenantId,
    defaultOf: async (entity) => defaultOf(tenantId, entity, null),
  });
  const deps: CompileDeps = { ...compile, chains: forTenant };

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
    const started = await startChain(chain, graph, deps, previous ?? undefined);
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
    const finding = (findingRoots.get(tenantId) ?? Promise.resolve())
      .then(() => backend.store.docs('RULE_CHAIN', tenantId, { states: ['ROOT'], kind: 'CORE', pageSize: 1 }))
      .then(({ data: [root] }) => {
        if (root) roots.set(tenantId, root.id);
        else roots.delete(tenantId);
      });
    findingRoots.set(tenantId, finding);
    return finding;
  }

  function onChanges(changes: readonly Change[]): void {
    for (const change of changes) {
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
          profiles.delete(change.id);
          break;
        case 'DEVICE_PROFILE':
        case 'ASSET_PROFILE':
          defaults.delete(change.id);
          break;
      }
    }
  }

  /** Answers at once when it is known, so that a message on the hot path waits for nothing. */
  function defaultOf(tenantId: string, entity: EntityRef, deleted: string | null): string | null | Promise<string | null> {
    const kind = PROFILE_OF[entity.entityType];
    if (!kind) return null;
    const profileId = profiles.get(entity.id);
    if (profileId === null) return null;
    const chainId = profileId === undefined ? undefined : defaults.get(profileId);
    return chainId !== undefined ? chainId : findDefault(tenantId, entity, kind, deleted);
  }

  async function findDefault(
    tenantId: string,
    entity: EntityRef,
    kind: NonNullable<(typeof PROFILE_OF)[string]>,
    deleted: string | null,
  ): Promise<string | null> {
    const doc = await backend.store.doc(kind.entity, tenantId, entity.id);
    const body = doc ? doc.body : bodyOf(deleted);
    const profileId = refId(body[kind.key]);
    if (doc) {
      if (profiles.size >= CACHED_ENTITIES) profiles.clear();
      profiles.set(entity.id, profileId);
    }
    if (profileId === null) return null;
    const profile: Doc | null = await backend.store.doc(kind.profile, tenantId, profileId);
    const chainId = refId(profile?.body['defaultRuleChainId']);
    defaults.set(profileId, chainId);
    return chainId;
  }

  const orRoot = (tenantId: string, chainId: string | null): CompiledChain | undefined => {
    const root = roots.get(tenantId);
    return (chainId === null ? undefined : chainOf(tenantId, chainId)) ?? (root === undefined ? undefined : chainOf(tenantId, root));
  };

  return {
    forTenant,
    get: chainOf,
    root: (tenantId) => orRoot(tenantId, null),
    entry({ tenantId, originator, type, data }: Message) {
      const chainId = defaultOf(tenantId, originator, type === 'ENTITY_DELETED' ? data : null);
      return chainId === null || typeof chainId === 'string' ? orRoot(tenantId, chainId) : chainId.then((found) => orRoot(tenantId, found));
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
      unsubscribe();
      for (const { actor } of entries.values()) {
        const { chain } = actor.getSnapshot().context;
        if (chain) stopChain(chain);
        actor.stop();
      }
    },
  };
}

function bodyOf(json: string | null): Record<string, unknown> {
  try {
    const value: unknown = json === null ? null : JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
