import type { Journey } from '#engine/capture/journey.ts';
import { newId } from '#engine/id.ts';
import { createMessage, type EntityRef, type Message, type NewMessage } from '#engine/message.ts';
import type { NodeInfo } from '#engine/node.ts';
import type { NodeRegistry } from '#engine/registry.ts';
import type { ScriptEngine } from '#engine/script.ts';
import { type BatchServices, type DownlinkTarget, openBatchServices } from '#engine/services/batch.ts';
import { openEntityCache } from '#engine/services/entities.ts';
import { openLimits } from '#engine/services/limits.ts';
import { openEntityViews } from '#engine/services/views.ts';
import type { Doc, Store } from '#engine/store.ts';
import type { ChainMetadata, CompiledChain } from './chain.ts';
import { startChain, stopChain } from './compile.ts';
import { DebugBudget } from './debug.ts';
import { type Effect, finished, type Naming, Recorder } from './dry/effects.ts';
import { DryTrace, Journeys, Stopped } from './dry/journeys.ts';
import { type Answer, type DryHost, dryNodes } from './dry/nodes.ts';
import { SILENCE, withoutNodeState } from './dry/surroundings.ts';
import { DryWork } from './dry/work.ts';
import type { BatchHooks, ChainLookup, RunnerDeps } from './run.ts';
import { Walk } from './walk.ts';

export interface DryLimits {
  readonly messages: number;
  readonly ms: number;
  /** Of journeys and effects, about. */
  readonly chars: number;
}
export const LIMITS: DryLimits = { messages: 10_000, ms: 10_000, chars: 16 * 1024 * 1024 };

export type DryMessage = Pick<NewMessage, 'type' | 'originator' | 'data' | 'metadata' | 'customerId'>;

export interface DryRunRequest {
  readonly chain: Doc;
  readonly metadata: ChainMetadata;
  readonly messages: readonly DryMessage[];
  /** What targets and devices answer, by name or id of the node that asks. */
  readonly answers?: Readonly<Record<string, Answer>>;
  /** The time that it is, Unix ms. */
  readonly now?: number;
  readonly limits?: Partial<DryLimits>;
}

export interface DryRunDeps {
  readonly store: Store;
  readonly nodes: NodeRegistry;
  readonly scripts: Pick<ScriptEngine, 'check' | 'run'>;
  downlinkTarget(tenantId: string, integrationId: string): DownlinkTarget | null | Promise<DownlinkTarget | null>;
  readonly server: string;
}

export interface DryRunResult {
  /** Why it ended early: what is missing did not happen. null: it came to its end. */
  readonly limited: string | null;
  /** Nodes of the chains that were used that can not run. */
  readonly problems: readonly { readonly chain: string; readonly node: string; readonly nodeId: string; readonly reason: string }[];
  /** In the order in which they were given. */
  readonly messages: readonly { readonly id: string; readonly journey: Journey | null; readonly effects: readonly Effect[] }[];
  /** Timers that nodes set, by time. All came after the messages, as if their time had come. */
  readonly timers: readonly DryTimer[];
  /** Names in `answers` that no node asked for. */
  readonly unusedAnswers: readonly string[];
}

export interface DryTimer {
  readonly chain: string | null;
  readonly node: string | null;
  readonly nodeId: string;
  readonly key: string;
  readonly originator: EntityRef;
  /** Unix ms. */
  readonly dueAt: number;
  /** False: the node set it again after it had come, and keeps nothing under it; or the dry run ended before. */
  readonly fired: boolean;
  readonly effects: readonly Effect[];
}

interface Turn {
  readonly effects: ReturnType<Recorder['take']>;
}

/**
 * Walks messages through a chain, one after the other, over the store as it is. Nothing happens: one unit of work takes up everything, is read from by all that comes
 * later, and is never committed. Chains are compiled for this run alone; what nodes remember and keep begins empty.
 */
export async function dryRun(request: DryRunRequest, deps: DryRunDeps): Promise<DryRunResult> {
  const run = new DryRun(request, deps);
  try {
    return await run.run();
  } finally {
    run.stop();
  }
}

const never = () => () => {};
const NOTHING = { error() {}, warn() {}, info() {} };
const SLICE_MS = 10;
const NO_CHAIN: ChainMetadata = { firstNodeIndex: null, nodes: [], connections: [] };

class DryRun {
  private readonly request: DryRunRequest;
  private readonly deps: DryRunDeps;
  private readonly tenantId: string;
  private readonly limits: DryLimits;
  private readonly work = new DryWork();
  private readonly recorder = new Recorder(this.work);
  private readonly journeys = new Journeys(this.work);
  private readonly chains = new Map<string, Promise<CompiledChain | null>>();
  private readonly compiled = new Map<string, CompiledChain>();
  private known: ReadonlySet<string> = new Set();
  private readonly nodes: NodeRegistry;
  private readonly store: Store;
  private readonly entities: ReturnType<typeof openEntityCache>;
  private readonly tenantLimits: ReturnType<typeof openLimits>;
  private readonly openServices: (work: DryWork, hooks: BatchHooks) => BatchServices;
  private readonly asked = new Set<string>();
  private readonly endsAt: number;
  private readonly late: Promise<void>[] = [];
  private clock: number;
  private maxExecutions = 0;
  private spentMessages = 0;
  private spentChars = 0;
  private seenMessages = 0;
  /** Of `keptRemovals`, before the timer that is due. */
  private seenRemovals = 0;
  private limited: string | null = null;
  private sliceAt = performance.now();

  constructor(request: DryRunRequest, deps: DryRunDeps) {
    this.request = request;
    this.deps = deps;
    this.tenantId = request.chain.tenantId;
    this.limits = { ...LIMITS, ...request.limits };
    this.clock = request.now ?? Date.now();
    this.endsAt = performance.now() + this.limits.ms;
    this.store = withoutNodeState(deps.store);
    this.entities = openEntityCache({ store: this.store, onChange: never });
    this.tenantLimits = openLimits({ entities: this.entities, onChange: never });
    this.nodes = dryNodes(deps.nodes, this.host());
    this.openServices = openBatchServices({
      ...{ store: this.store, entities: this.entities, views: openEntityViews({ store: this.store, onChange: never }), limits: this.tenantLimits },
      ...{ scripts: deps.scripts, chains: this.lookup, downlinkTarget: deps.downlinkTarget },
      ...{ newId: () => newId(), now: () => this.clock, log: NOTHING, ...SILENCE },
    });
  }

  async run(): Promise<DryRunResult> {
    const { chain, metadata, messages } = this.request;
    const { data } = await this.store.docs('RULE_CHAIN', this.tenantId, { pageSize: 10_000 });
    this.known = new Set([chain.id, ...data.map(({ id }) => id)]);
    this.maxExecutions = (await this.tenantLimits.of(this.tenantId)).maxExecutions;
    const entered = this.compile(chain, metadata);
    this.chains.set(chain.id, entered);
    await entered;

    const turns: { readonly id: string; readonly effects: Turn['effects'] }[] = [];
    for (const given of messages) {
      const at = { chainId: chain.id, nodeId: null, labels: null };
      const message = createMessage({ ...given, tenantId: this.tenantId, at, ts: this.clock }, () => newId(), this.clock);
      this.journeys.begin(message.id);
      turns.push({ id: message.id, effects: await this.turn(message) });
    }
    const timers = await this.fireTimers();
    return this.result(turns, timers);
  }

  stop(): void {
    for (const chain of this.compiled.values()) stopChain(chain);
    this.entities.close();
  }

  private readonly lookup: ChainLookup = {
    get: (_, chainId) => this.compiled.get(chainId),
    // No message is without a position: what nodes put into other chains is not walked.
    root: () => undefined,
    entry: () => undefined,
  };

  private host(): DryHost {
    return {
      work: this.work,
      answerFor: (node) => this.answerFor(node),
      load: (chainId) => this.load(chainId),
      exists: (chainId) => this.known.has(chainId),
      isThere: async (entity) => (await this.services().entities.find(entity)) !== null,
      isOver: () => performance.now() >= this.endsAt,
    };
  }

  private answerFor({ id, name }: NodeInfo): Answer | undefined {
    const { answers = {} } = this.request;
    for (const key of [id, name]) {
      if (!Object.hasOwn(answers, key)) continue;
      this.asked.add(key);
      return answers[key];
    }
    return undefined;
  }

  private services() {
    return this.openServices(this.work, { enqueued() {}, afterCommit() {} }).of(this.tenantId);
  }

  private async load(chainId: string): Promise<void> {
    let loading = this.chains.get(chainId);
    if (!loading) {
      loading = this.read(chainId);
      this.chains.set(chainId, loading);
    }
    await loading;
  }

  private async read(chainId: string): Promise<CompiledChain | null> {
    const chain = await this.store.doc('RULE_CHAIN', this.tenantId, chainId);
    if (!chain) return null;
    const graph = await this.store.doc('RULE_CHAIN_METADATA', this.tenantId, chainId);
    return this.compile(chain, graph ? (graph.body as unknown as ChainMetadata) : NO_CHAIN);
  }

  private async compile(chain: Doc, metadata: ChainMetadata): Promise<CompiledChain> {
    const { scripts, server } = this.deps;
    const graph = { ...metadata, nodes: metadata.nodes.map((node) => ({ ...node, debugSettings: null })) };
    const compiled = await startChain(chain, graph, {
      ...{ nodes: this.nodes, scripts, server, newId: () => newId(), now: () => this.clock, log: NOTHING },
      chains: () => ({ exists: (chainId) => this.known.has(chainId), defaultOf: (entity) => this.services().chains.defaultOf(entity) }),
      entities: () => this.services().entities,
      // Only timers of nodes commit, and there are none.
      commit: async () => {},
    });
    this.compiled.set(chain.id, compiled);
    return compiled;
  }

  /** A message and everything that goes through the lanes because of it. */
  private async turn(message: Message): Promise<Turn['effects']> {
    const pending = [message];
    for (let next = pending.shift(); next && this.limited === null; next = pending.shift()) {
      await this.walk(next);
      const { messages } = this.work;
      for (; this.seenMessages < messages.length; this.seenMessages++) {
        if (messages[this.seenMessages]!.at !== null) pending.push(messages[this.seenMessages]!);
      }
    }
    return this.recorder.take();
  }

  private async walk(message: Message): Promise<void> {
    const trace = new DryTrace(this.work, this.journeys.statistics, this.recorder, { spend: (...spent) => this.spend(...spent) });
    const limits = new Map([[this.tenantId, this.maxExecutions]]);
    const batch = { lane: 0, messages: [message], token: null };
    try {
      await this.breathe();
      this.spend(0, 0);
      await new Walk(batch, this.work, limits, new DebugBudget(0), this.runner(trace)).run();
    } catch (cause) {
      if (!(cause instanceof Stopped)) throw cause;
      this.limited ??= cause.message;
    }
    this.recorder.collect(null);
    this.work.release();
    this.journeys.walked(trace.flows, this.limited);
    for (let answers = this.late.splice(0); answers.length > 0; answers = this.late.splice(0)) await this.inTime(Promise.all(answers));
    this.recorder.collect(null);
  }

  private runner(trace: DryTrace): RunnerDeps {
    const self = this;
    return {
      chains: this.lookup,
      services: this.openServices as RunnerDeps['services'],
      limits: this.tenantLimits,
      // With one lane nothing has to leave the walk.
      lanes: 1,
      trace: () => trace,
      created: (of, made, node) => this.made(of, made, node),
      late: (answered) => void this.late.push(answered),
      commit: async (late) => this.work.add(late),
      ...{ newId: () => newId(), now: () => this.clock, server: this.deps.server, log: NOTHING },
      get nodeTimeoutMs() {
        return Math.max(1, self.endsAt - performance.now());
      },
    };
  }

  /** Of a message that a node made new of several, all of them are what it was made of. */
  private made(of: Message, message: Message, node: Parameters<Journeys['made']>[2]): void {
    if (this.journeys.knows(of.id)) this.journeys.made(of.id, message, node);
    else for (const { messageId } of this.work.keptRemovals.slice(this.seenRemovals)) this.journeys.made(messageId, message, node);
  }

  private async fireTimers(): Promise<(Omit<DryTimer, 'effects'> & Turn)[]> {
    const { delayed } = this.work;
    const timers: (Omit<DryTimer, 'effects'> & Turn)[] = [];
    const waiting: (typeof delayed)[number][] = [];
    const came = new Set<string>();
    for (let seen = 0; ; ) {
      for (; seen < delayed.length; seen++) {
        const place = waiting.findLastIndex(({ dueAt }) => dueAt <= delayed[seen]!.dueAt);
        waiting.splice(place + 1, 0, delayed[seen]!);
      }
      const next = waiting.shift();
      if (!next) return timers;
      const { message, dueAt } = next;
      const { chainId, nodeId, due: key = '' } = message.at!;
      const name = `${nodeId} ${key} ${message.originator.id}`;
      const fired = this.limited === null && (!came.has(name) || this.keepsUnder(nodeId!, key));
      came.add(name);
      if (fired) this.clock = Math.max(this.clock, dueAt);
      this.seenRemovals = this.work.keptRemovals.length;
      const chain = this.compiled.get(chainId);
      const place = { chain: chain?.name ?? null, node: chain?.byId.get(nodeId!)?.info.name ?? null, nodeId: nodeId! };
      timers.push({ ...place, key, originator: message.originator, dueAt, fired, effects: fired ? await this.turn(message) : [] });
    }
  }

  private keepsUnder(nodeId: string, key: string): boolean {
    const gone = new Set(this.work.keptRemovals.map(({ messageId }) => messageId));
    return this.work.kept.some((kept) => kept.nodeId === nodeId && kept.key === key && !gone.has(kept.message.id));
  }

  private async result(
    turns: readonly { readonly id: string; readonly effects: Turn['effects'] }[],
    timers: readonly (Omit<DryTimer, 'effects'> & Turn)[],
  ): Promise<DryRunResult> {
    const { entities } = this.services();
    const names = new Map<string, Promise<string | null>>();
    const nameOf: Naming['nameOf'] = (entity) => {
      const known = names.get(entity.id) ?? entities.summary(entity).then((found) => found?.name ?? null);
      names.set(entity.id, known);
      return known;
    };
    const all = async (effects: Turn['effects']): Promise<Effect[]> => {
      const list: Effect[] = [];
      for (const effect of effects) list.push(await finished(effect, { store: this.store, nameOf }));
      return list;
    };
    const messages: DryRunResult['messages'][number][] = [];
    for (const { id, effects } of turns) {
      await this.breathe();
      messages.push({ id, journey: await this.journeys.of(id, this.tenantId), effects: await all(effects) });
    }
    const fired: DryTimer[] = [];
    for (const timer of timers) fired.push({ ...timer, effects: await all(timer.effects) });
    const problems = [...this.compiled.values()].flatMap(({ name, nodes }) =>
      nodes.flatMap(({ info, problem }) => (problem === null ? [] : [{ chain: name, node: info.name, nodeId: info.id, reason: problem }])),
    );
    const unusedAnswers = Object.keys(this.request.answers ?? {}).filter((name) => !this.asked.has(name));
    return { limited: this.limited, problems, messages, timers: fired, unusedAnswers };
  }

  private spend(messages: number, chars: number): void {
    this.spentMessages += messages;
    this.spentChars += chars;
    const { limits } = this;
    if (performance.now() >= this.endsAt) throw new Stopped(`The dry run ended after ${limits.ms / 1000} s`);
    if (this.spentMessages > limits.messages) throw new Stopped(`The dry run ended after ${limits.messages} messages`);
    if (this.spentChars + this.recorder.chars > limits.chars)
      throw new Stopped(`The dry run ended: its answer is longer than ${limits.chars} characters`);
  }

  private async inTime(promise: Promise<unknown>): Promise<void> {
    const ended = new AbortController();
    const over = new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, this.endsAt - performance.now()));
      ended.signal.addEventListener('abort', () => clearTimeout(timer));
    });
    await Promise.race([promise, over]);
    ended.abort();
  }

  /** Others come to their turn. */
  private async breathe(): Promise<void> {
    if (performance.now() - this.sliceAt < SLICE_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.sliceAt = performance.now();
  }
}
