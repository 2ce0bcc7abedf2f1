import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Type } from 'typebox';
import { Busy, Duplicate, Rejected, VersionConflict } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Message } from '#engine/message.ts';
import { type AnyNode, defineNode, type Outcome } from '#engine/node.ts';
import type { Backend, Batch } from '#engine/queue.ts';
import { Registry } from '#engine/registry.ts';
import { openBatchServices, type ServiceDeps } from '#engine/services/batch.ts';
import { openEntityCache } from '#engine/services/entities.ts';
import { openLimits } from '#engine/services/limits.ts';
import { openEntityViews } from '#engine/services/views.ts';
import type { Services } from '#engine/services.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import type { Doc } from '#engine/store.ts';
import type { ChainMetadata, ChainNode, CompiledChain, DebugSettings } from '#engine/walk/chain.ts';
import { type CompileDeps, startChain, stopChain } from '#engine/walk/compile.ts';
import { type ChainLookup, createRunner, type Runner, type RunnerDeps } from '#engine/walk/run.ts';
import { Work } from '#engine/work.ts';
import { TENANT } from './message.ts';

/** What a message's data says a `test.way` node should do with it, by the node's name; `Success` where it says nothing. */
export type Way =
  | string
  | readonly string[]
  | { fail: 'later' | 'never' | 'bug' | 'empty' }
  | { list: number }
  | { call: string }
  | { requeue: string }
  | { originator: string };

function follow(way: Way, message: Message): Outcome {
  if (typeof way === 'string') return way;
  if (Array.isArray(way)) return { to: way as string[] };
  const step = way as Exclude<Way, string | readonly string[]>;
  if ('list' in step) return Array.from({ length: step.list }, () => ({ to: 'Success' }));
  if ('call' in step) return { call: step.call };
  if ('requeue' in step) return { requeue: step.requeue };
  if ('originator' in step) return { to: 'Success', message: { ...message, originator: { entityType: 'DEVICE', id: step.originator } } };
  if (step.fail === 'later') throw new Busy('the peer says later');
  if (step.fail === 'never') throw new Rejected('the peer says no');
  if (step.fail === 'empty') throw new RangeError('');
  throw new TypeError('a bug');
}

const wayOf = ({ data }: Message, node: string): Way => (JSON.parse(data) as { ways?: Record<string, Way> }).ways?.[node] ?? 'Success';
const Empty = Type.Object({});
const base = { version: 0, label: 'test', summary: 'For tests.', relations: ['Success'], config: Empty, defaults: {}, anyKey: true } as const;

/** Nodes without a script engine or a peer: the messages themselves say where they go. */
export const TEST_NODES: readonly AnyNode[] = [
  defineNode({ ...base, type: 'test.way', family: 'FILTER', process: (message, { node }) => follow(wayOf(message, node.name), message) }),
  defineNode({ ...base, type: 'test.way-async', family: 'FILTER', process: async (message, { node }) => follow(wayOf(message, node.name), message) }),
  defineNode({
    ...base,
    type: 'test.save',
    family: 'ACTION',
    effect: true,
    needs: ['attributes'],
    process(message, { node, attributes }) {
      const outcome = follow(wayOf(message, node.name), message);
      const { seq = 0 } = JSON.parse(message.data) as { seq?: number };
      attributes.save(message.originator, 'SERVER_SCOPE', [[node.name, { type: 'LONG', value: seq }]], message.ts);
      return outcome;
    },
  }),
  /** Throws for the whole batch where one message says so. */
  defineNode({
    ...base,
    type: 'test.batch',
    family: 'ACTION',
    effect: true,
    needs: ['attributes'],
    async processBatch(messages, { node, attributes }) {
      return messages.map((message) => {
        attributes.save(
          message.originator,
          'SERVER_SCOPE',
          [[node.name, { type: 'LONG', value: (JSON.parse(message.data) as { seq?: number }).seq ?? 0 }]],
          message.ts,
        );
        return follow(wayOf(message, node.name), message);
      });
    },
  }),
  defineNode({
    ...base,
    type: 'test.call',
    family: 'FLOW',
    customRelations: true,
    config: Type.Object({ chain: Type.String() }),
    process: (_, { config }) => ({ call: config.chain }),
  }),
  defineNode({ ...base, type: 'test.output', family: 'FLOW', process: (_, { node }) => ({ return: node.name }) }),
  defineNode({ ...base, type: 'test.ack', family: 'FLOW', process: () => ({ to: 'Success', acknowledge: true }) }),
  defineNode({
    ...base,
    type: 'test.later',
    family: 'ACTION',
    process: (message, { node }) => ({ later: async () => [{ to: 'Success', message: { ...message, type: `after ${node.name}` } }] }),
  }),
];

export interface TestNode {
  name: string;
  /** Default `test.way`. */
  type?: string;
  config?: Record<string, unknown>;
  debug?: Partial<DebugSettings>;
}

export interface TestChain {
  id: string;
  name?: string;
  /** Default: the first of `nodes`; null: none. */
  first?: string | null;
  nodes: readonly TestNode[];
  links?: readonly (readonly [from: string, label: string, to: string])[];
}

export const nodeId = (chainId: string, name: string): string => `${chainId}:${name}`;

export function metadataOf({ id, first, nodes, links = [] }: TestChain): ChainMetadata {
  const place = (name: string): number => nodes.findIndex((node) => node.name === name);
  return {
    firstNodeIndex: first === null || nodes.length === 0 ? null : place(first ?? nodes[0]!.name),
    nodes: nodes.map(
      ({ name, type = 'test.way', config = {}, debug }): ChainNode => ({
        ...{ id: { entityType: 'RULE_NODE', id: nodeId(id, name) }, createdTime: 0, type, name, configuration: config, configurationVersion: 0 },
        debugSettings: debug ? { failuresEnabled: false, allEnabled: false, allEnabledUntil: 0, ...debug } : null,
        ...{ singletonMode: false, queueName: null, additionalInfo: null },
      }),
    ),
    connections: links.map(([from, type, to]) => ({ fromIndex: place(from), toIndex: place(to), type })),
  };
}

export const chainDoc = (id: string, name = id, root = false): Doc => ({
  ...{ collection: 'RULE_CHAIN', id, tenantId: TENANT, createdTime: 0, version: 1, name, kind: 'CORE', state: root ? 'ROOT' : null, body: {} },
});

export interface TestEngine {
  readonly backend: Backend;
  readonly runner: Runner;
  readonly chains: Map<string, CompiledChain>;
  readonly compile: CompileDeps;
  /** Log lines of the kinds error and warn. */
  readonly log: string[];
  /** Appends messages as an integration does, counted. */
  append(messages: readonly Message[]): Promise<void>;
  /** Runs what the lanes hold, batch by batch, until nothing comes any more. */
  drain(): Promise<Work[]>;
  /** Runs the next batch of the first lane; waits for it, held messages included. */
  step(): Promise<Work>;
  load(chain: TestChain, root?: boolean): Promise<CompiledChain>;
}

export interface EngineOptions {
  chains?: readonly TestChain[];
  nodes?: readonly AnyNode[];
  lanes?: number;
  services?: Partial<ServiceDeps>;
  runner?: Partial<RunnerDeps>;
  compile?: Partial<CompileDeps>;
  /** What nodes get instead of the services themselves: to fail, to be late. */
  around?: (services: Services) => Services;
  onConflict?: () => void;
}

/** A backend in a folder of its own, chains (the first is the root chain) and a runner over both; closed when the test ends. */
export async function openEngine(t: TestContext, options: EngineOptions = {}): Promise<TestEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'fieldbridge-chain-'));
  const backend = await openSqliteBackend({ folder, lanes: options.lanes ?? 1 });
  const chains = new Map<string, CompiledChain>();
  t.after(async () => {
    for (const chain of chains.values()) stopChain(chain);
    await backend.close();
    await rm(folder, { recursive: true });
  });
  const log: string[] = [];
  const write = (_: object, text: string): void => void log.push(text);
  const lookup: ChainLookup = {
    get: (_, id) => chains.get(id),
    root: () => [...chains.values()].find((chain) => chain.root),
    entry: () => lookup.root(TENANT),
  };
  const entities = openEntityCache(backend);
  const limits = openLimits({ entities, onChange: (listener) => backend.onChange(listener) });
  const common = {
    newId,
    now: () => Date.now(),
    server: 'test',
    log: { error: write, warn: write, info: () => {} },
    commit: (work: Work) => backend.commit(work),
  };
  const scripts = { check: async () => null, run: async () => [] };
  const real = openBatchServices({
    ...{
      store: backend.store,
      entities,
      views: openEntityViews(backend),
      devices: { observed: async () => {} },
      limits,
      scripts,
      chains: lookup,
      downlinkTarget: () => null,
    },
    waiting: {
      notifyAttributes() {},
      callDevice: async () => ({ ok: false, error: 'NO_ACTIVE_CONNECTION' }),
      replyToDevice() {},
      answerRpc() {},
      answerRest() {},
    },
    ...common,
    ...options.services,
  });
  const services: RunnerDeps['services'] = (work, hooks) => {
    const batch = real(work, hooks);
    return { of: (tenantId) => options.around?.(batch.of(tenantId)) ?? batch.of(tenantId), forget: () => batch.forget() };
  };
  const compile: CompileDeps = {
    ...common,
    ...{ nodes: new Registry([...TEST_NODES, ...(options.nodes ?? [])]), scripts, entities: (tenantId) => entities.of(tenantId) },
    chains: () => ({ exists: (id) => chains.has(id), defaultOf: async () => null }),
    ...options.compile,
  };
  const runner = createRunner({ chains: lookup, services, lanes: backend.queue.lanes, limits, ...common, ...options.runner });
  const settle = async (batch: Batch): Promise<Work> => {
    const work = await runner.run(batch);
    await backend.commit(work);
    return work;
  };
  /** As a lane does, once: somebody else changed what the batch was to change. */
  const settleAgain = (batch: Batch, cause: unknown): Promise<Work> => {
    if (!(cause instanceof VersionConflict || cause instanceof Duplicate)) throw cause;
    options.onConflict?.();
    return settle(batch);
  };
  const engine: TestEngine = {
    ...{ backend, runner, chains, compile, log },
    async append(messages) {
      const work = new Work();
      for (const message of messages) {
        work.messages.push(message);
        work.count(message.tenantId, message.owner, 'messages.created');
      }
      await backend.commit(work);
    },
    async drain() {
      const works: Work[] = [];
      while (backend.queue.depth().messages > 0) {
        for (let lane = 0; lane < backend.queue.lanes; lane++) {
          const batch = await takeNow(backend, lane);
          if (!batch) continue;
          works.push(await settle(batch).catch((cause) => settleAgain(batch, cause)));
        }
      }
      return works;
    },
    async step() {
      const batch = await backend.queue.take(0, 1000, AbortSignal.timeout(5000));
      if (!batch) throw new Error('Nothing came in 5 s');
      const work = await runner.run(batch);
      await backend.commit(work);
      return work;
    },
    async load(chain, root = false) {
      const compiled = await startChain(chainDoc(chain.id, chain.name, root), metadataOf(chain), compile, chains.get(chain.id));
      chains.set(chain.id, compiled);
      return compiled;
    },
  };
  for (const [index, chain] of (options.chains ?? []).entries()) await engine.load(chain, index === 0);
  return engine;
}

/** What a lane has at this moment; null when it has nothing. */
export async function takeNow(backend: Backend, lane: number, max = 1000) {
  const giveUp = new AbortController();
  const taking = backend.queue.take(lane, max, giveUp.signal);
  giveUp.abort();
  return taking;
}
