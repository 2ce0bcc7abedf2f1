import { newChain, saveChain } from '#engine/api/chain-docs.ts';
import { newAsset, newDevice } from '#engine/entities.ts';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Doc } from '#engine/store.ts';
import type { ChainMetadata } from '#engine/walk/chain.ts';
import { type DryRunDeps, type DryRunRequest, type DryRunResult, dryRun } from '#engine/walk/dry-run.ts';
import { checkGraph } from '#engine/walk/graph.ts';
import { Work } from '#engine/work.ts';
import { startApi } from './api.ts';
import { type GraphLink, type GraphNode, graph } from './graph.ts';

export const NOW = 1_700_000_000_000;
export const INTEGRATION = '00000000-0000-1000-8000-0000000000bb';
/** Nobody has this id. */
export const NOBODY = '00000000-0000-1000-8000-0000000000aa';
export const js = (jsScript: string) => ({ scriptLang: 'JS', jsScript });

export type Given = Partial<DryRunRequest['messages'][number]> & { json?: unknown };

export interface DryRuns {
  readonly device: EntityRef;
  readonly deps: DryRunDeps;
  chainOf(name: string, nodes: readonly GraphNode[], links?: readonly GraphLink[]): { chain: Doc; metadata: ChainMetadata };
  /** So that others can call it. */
  saved(name: string, nodes: readonly GraphNode[], links?: readonly GraphLink[]): Promise<Doc>;
  /** Of telemetry of the device, unless the messages say otherwise. */
  walk(
    chain: { nodes: readonly GraphNode[]; links?: readonly GraphLink[] },
    given: readonly Given[],
    rest?: Partial<DryRunRequest>,
  ): Promise<DryRunResult>;
  close(): Promise<void>;
}

/** A tenant with the device `T1` in the asset `House`. */
export async function openDryRuns(): Promise<DryRuns> {
  const api = await startApi();
  const { backend, nodes: registry, scripts } = api.context;
  const { store } = backend;
  let tenantId = '';
  for await (const tenant of store.everyDoc('TENANT')) tenantId = tenant.id;
  const [profile] = (await store.docs('DEVICE_PROFILE', tenantId, {})).data;
  const [assetProfile] = (await store.docs('ASSET_PROFILE', tenantId, {})).data;
  const fields = { tenantId, type: 'default' };
  const made = newDevice({ ...fields, name: 'T1', profileId: profile!.id }, NOW);
  const device: EntityRef = { entityType: 'DEVICE', id: made.device.id };
  const asset = newAsset({ ...fields, name: 'House', profileId: assetProfile!.id }, NOW);
  const work = new Work();
  for (const doc of [made.device, made.credentials, asset]) work.docs.push({ doc });
  work.relations.push({ tenantId, save: { from: { entityType: 'ASSET', id: asset.id }, to: device, type: 'Contains', typeGroup: 'COMMON' } });
  await backend.commit(work);

  const downlinkTarget = (_: string, id: string) =>
    id === INTEGRATION ? ({ delivery: 'now', policy: 'last', ttlMs: 0, problem: null } as const) : null;
  const deps: DryRunDeps = { store, nodes: registry, scripts, downlinkTarget, server: 'test' };

  const chainOf: DryRuns['chainOf'] = (name, nodes, links) => {
    const chain = newChain(tenantId, { name, type: 'CORE', debugMode: false, configuration: null, additionalInfo: null }, Date.now());
    const options = { chainId: chain.id, nodes: registry, current: null, chainName: () => null, newId: () => newId(), now: Date.now() };
    return { chain, metadata: checkGraph(graph(nodes, links), options) };
  };
  return {
    ...{ device, deps, chainOf },
    async saved(name, nodes, links) {
      const { chain, metadata } = chainOf(name, nodes, links);
      const saving = new Work();
      await saveChain(saving, store, chain, metadata, { author: null, now: Date.now(), expects: 0 });
      await backend.commit(saving);
      return chain;
    },
    walk({ nodes, links }, given, rest = {}) {
      const messages = given.map(({ json, ...other }) => ({
        ...{ type: 'POST_TELEMETRY_REQUEST', originator: device, data: JSON.stringify(json ?? {}) },
        ...other,
      }));
      return dryRun({ ...chainOf('tested', nodes, links), messages, now: NOW, ...rest }, deps);
    },
    close: () => api.close(),
  };
}

/** Without ids that are made anew each time, entities by name. */
export function told(effects: DryRunResult['messages'][number]['effects']): unknown[] {
  return effects.map(({ nodeId: _node, chain: _chain, ...effect }) => {
    const shown: Record<string, unknown> = { ...effect };
    delete shown['id'];
    delete shown['messageId'];
    for (const key of ['entity', 'from', 'to', 'originator']) {
      const ref = shown[key] as { name: string } | undefined;
      if (ref) shown[key] = ref.name;
    }
    return shown;
  });
}

export const allEffects = ({ messages, timers }: DryRunResult): unknown[] => told([...messages, ...timers].flatMap(({ effects }) => effects));
export const outcomes = ({ messages }: DryRunResult): unknown[] => messages.map(({ journey }) => journey?.outcome ?? null);

/** What tests look at of an effect. */
export interface Shown {
  request?: Record<string, unknown>;
  customerId?: unknown;
  change?: unknown;
  type?: unknown;
  data?: unknown;
  metadata?: { ruleNodeId?: string };
}
