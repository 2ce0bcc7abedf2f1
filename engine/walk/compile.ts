import { enqueueAction } from '#engine/actions.ts';
import type { Lease } from '#engine/cluster.ts';
import { errorText, Fenced } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import type { AnyNode, NodeInfo, StartContext } from '#engine/node.ts';
import type { NodeRegistry } from '#engine/registry.ts';
import type { ScriptEngine } from '#engine/script.ts';
import type { Services } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { mapConfiguration } from '#engine/walk/mapping.ts';
import { Work } from '#engine/work.ts';
import type { ChainMetadata, ChainNode, CompiledChain, CompiledNode, Link } from './chain.ts';
import { emitBehind } from './emit.ts';
import { topologicalOrder } from './graph.ts';

export interface CompileDeps {
  readonly nodes: NodeRegistry;
  readonly scripts: Pick<ScriptEngine, 'check' | 'run'>;
  chains(tenantId: string): Services['chains'];
  entities(tenantId: string): Pick<Services['entities'], 'find'>;
  commit(work: Work): Promise<void>;
  newId(): string;
  now(): number;
  /** A node was started, or could not be (`compiled.problem`). Not called for one that goes on as it ran. */
  started?(node: CompiledNode): void;
  /** The right to let a node act by itself (a timer), which one process has at a time. Null: another one has it. Absent: there is no other process. */
  leaseOf?(nodeId: string): Lease | null;
  /** Id of this process in events. */
  readonly server: string;
  readonly log: { warn(details: object, text: string): void; info(details: object, text: string): void };
  /** Pause before a timer's messages are tried again when they could not be stored, ms. */
  readonly retryMs?: number;
}

/** What a running node holds besides its place in the graph; moves to the next compilation when nothing of it changed. */
interface Running {
  readonly key: string;
  readonly definition: AnyNode;
  readonly state: unknown;
  readonly timers: Timer[];
}
const RUNNING = new WeakMap<CompiledNode, Running>();

interface Timer {
  stop(): void;
}

type Building = { -readonly [K in keyof CompiledNode]: CompiledNode[K] };

/**
 * Compiles a stored chain and starts its nodes. A node that can not start has its reason in `problem`, the rest works.
 * @param previous the chain as it ran: nodes whose type and configuration did not change keep their state and timers. Stop it afterwards with `stopChain(previous, chain)`.
 */
export async function startChain(doc: Doc, metadata: ChainMetadata, deps: CompileDeps, previous?: CompiledChain): Promise<CompiledChain> {
  const { nodes, connections, firstNodeIndex } = metadata;
  const order = topologicalOrder(connections, nodes.length) ?? nodes.map((_, index) => index);
  const built: Building[] = [];
  for (const [place, index] of order.entries()) built[index] = await startNode(nodes[index]!, place, doc, deps, previous);

  const targets = built.map(() => new Map<string, Link[]>());
  for (const { fromIndex, toIndex, type } of connections) {
    const label = type.toLowerCase();
    const links = targets[fromIndex]!.get(label) ?? [];
    links.push({ target: built[toIndex]!, label: type });
    targets[fromIndex]!.set(label, links);
  }
  for (const [index, node] of built.entries()) node.targets = targets[index]!;
  const sorted = order.map((index) => built[index]!);
  // Whoever reads entities waits for its turn only where a node of the chain changes them.
  if (built.some(({ touches }) => (touches & ENTITIES_BIT) !== 0)) for (const node of built) if (readsEntities(node)) node.touches |= ENTITIES_BIT;
  for (const node of sorted.toReversed()) {
    for (const links of node.targets.values()) for (const { target } of links) node.behind |= target.reach;
    node.reach |= node.touches | node.behind;
  }
  return {
    id: doc.id,
    tenantId: doc.tenantId,
    name: doc.name,
    root: doc.state === 'ROOT',
    first: firstNodeIndex === null ? null : (built[firstNodeIndex] ?? null),
    nodes: sorted,
    byId: new Map(sorted.map((node) => [node.info.id, node])),
  };
}

/** Stops nodes and timers, except those that `successor` took over. */
export function stopChain(chain: CompiledChain, successor?: CompiledChain): void {
  const kept = new Set(successor?.nodes.map((node) => RUNNING.get(node)));
  for (const node of chain.nodes) {
    const running = RUNNING.get(node);
    if (!running || kept.has(running)) continue;
    for (const timer of running.timers) timer.stop();
    running.definition.stop?.(running.state);
  }
}

async function startNode(node: ChainNode, place: number, chain: Doc, deps: CompileDeps, previous?: CompiledChain): Promise<Building> {
  const definition = deps.nodes.get(node.type) ?? null;
  const info: NodeInfo = {
    id: node.id!.id,
    name: node.name ?? '',
    chainId: chain.id,
    chainName: chain.name,
    tenantId: chain.tenantId,
    queueName: node.queueName,
    serviceId: deps.server,
  };
  const compiled: Building = {
    info,
    order: place,
    definition,
    config: null,
    state: undefined,
    problem: null,
    targets: new Map(),
    touches: definition ? bitsOf(definition) : 0,
    behind: 0,
    // A called chain may do anything.
    reach: definition?.family === 'FLOW' && definition.customRelations ? EVERYTHING : 0,
    debug: node.debugSettings,
  };
  if (!definition) {
    compiled.problem = `Rule node type '${node.type}' is not supported!`;
    deps.started?.(compiled);
    return compiled;
  }
  const timers: Timer[] = [];
  try {
    compiled.config = mapConfiguration(definition, node.configuration);
    const key = JSON.stringify([node.type, node.configurationVersion, node.configuration]);
    const before = previous?.byId.get(info.id);
    const carried = before && RUNNING.get(before);
    if (carried?.key === key) {
      compiled.state = carried.state;
      RUNNING.set(compiled, carried);
      return compiled;
    }
    const context: StartContext<never> = {
      config: compiled.config as never,
      node: info,
      scripts: { check: (script) => deps.scripts.check(script) },
      chains: deps.chains(chain.tenantId),
      entities: deps.entities(chain.tenantId),
      every: (everyMs, tick) => {
        timers.push(startTimer(everyMs, tick, compiled, deps));
      },
    };
    compiled.state = await definition.start?.(context);
    RUNNING.set(compiled, { key, definition, state: compiled.state, timers });
  } catch (cause) {
    for (const timer of timers) timer.stop();
    compiled.problem = errorText(cause);
    deps.log.info({ chain: chain.id, node: info.id, reason: compiled.problem }, 'rule node can not be used');
  }
  deps.started?.(compiled);
  return compiled;
}

const SERVICE_BITS: Readonly<Record<string, number>> = {
  attributes: 1,
  telemetry: 2,
  alarms: 4,
  relations: 8,
  downlinks: 16,
  rpc: 32,
  rest: 64,
  kept: 128,
  memory: 256,
  inventory: 1024,
  groups: 1024,
};
const EXTERNAL_BIT = 512;
const ENTITIES_BIT = 1024;
const EVERYTHING = 2047;

const readsEntities = ({ definition }: Pick<CompiledNode, 'definition'>): boolean =>
  ((definition?.needs ?? []) as readonly string[]).includes('entities');

/** What a node reads or changes, where the order of two messages could be told afterwards. */
function bitsOf(definition: AnyNode): number {
  const needs: readonly string[] = definition.needs ?? [];
  return needs.reduce((bits, service) => bits | (SERVICE_BITS[service] ?? 0), definition.family === 'EXTERNAL' ? EXTERNAL_BIT : 0);
}

type Tick = Parameters<StartContext<never>['every']>[1];

/**
 * Ticks at start + n × everyMs, whatever a tick takes; ticks that a slow one overran are left out. What a tick emits is stored in the lane of its
 * originator, behind the node; while that is not possible the timer waits. Where another process lets the node act, it ticks without doing anything, to take over.
 */
function startTimer(everyMs: number, tick: Tick, node: CompiledNode, deps: CompileDeps): Timer {
  const period = Math.max(1, everyMs);
  let next = deps.now() + period;
  let stopped = false;
  let timeout: NodeJS.Timeout;
  const arm = (): void => {
    timeout = setTimeout(run, Math.min(Math.max(0, next - deps.now()), 2 ** 31 - 1));
  };
  const stop = (): void => {
    stopped = true;
    clearTimeout(timeout);
  };
  const goOn = (): void => {
    next += period * Math.max(1, Math.ceil((deps.now() - next) / period));
    if (!stopped) arm();
  };
  const run = async (): Promise<void> => {
    if (deps.now() < next) return arm();
    const lease = deps.leaseOf?.(node.info.id);
    if (lease === null) return goOn();
    const work = new Work();
    if (lease) work.leases.push(lease);
    try {
      const enqueue = (message: Message): void => enqueueAction(work, message);
      const outcome = await tick({ scripts: deps.scripts, messages: { enqueue, newId: deps.newId, now: deps.now } });
      if (outcome === 'stop') stop();
      else emitBehind(node, outcome, null, work, deps);
    } catch (cause) {
      deps.log.warn({ node: node.info.id, chain: node.info.chainId, cause: errorText(cause) }, 'a tick of a rule node failed');
    }
    while (!work.isEmpty) {
      try {
        await deps.commit(work);
        break;
      } catch (cause) {
        // Another process lets the node act by now.
        if (cause instanceof Fenced) break;
        deps.log.warn({ node: node.info.id, cause: errorText(cause) }, 'messages of a rule node are not stored yet');
        await new Promise((resolve) => setTimeout(resolve, deps.retryMs ?? 1000));
        if (stopped) break;
      }
    }
    goOn();
  };
  arm();
  return { stop };
}
