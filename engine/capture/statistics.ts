import type { AnyNode, NodeInfo } from '#engine/node.ts';
import type { Ring } from './rings.ts';
import { type Buckets, quantileOf, Times } from './times.ts';

/** What rule nodes and integrations do, counted in this process: how many, how fast, how long, and why not. */

/** Reasons that one counter tells apart; what else fails is counted together. */
export const MOST_REASONS = 20;
export const OTHER_REASONS = 'other reasons';
const REASON_CHARS = 200;

/** A counter as it is shown, and as one process tells it to another. */
export interface CounterState {
  readonly count: number;
  readonly perSecond: number;
  readonly totalMs: number;
  readonly buckets: Buckets;
}

export class Reasons {
  readonly counts = new Map<string, number>();
  total = 0;

  add(text: string, count = 1): void {
    this.total += count;
    let reason = text.length > REASON_CHARS ? `${text.slice(0, REASON_CHARS)}…` : text;
    if (!this.counts.has(reason) && this.counts.size >= MOST_REASONS) reason = OTHER_REASONS;
    this.counts.set(reason, (this.counts.get(reason) ?? 0) + count);
  }
}

export interface CountedNode {
  readonly info: NodeInfo;
  readonly definition: Pick<AnyNode, 'type' | 'send' | 'due'> | null;
}

export class NodeStatistics {
  readonly info: NodeInfo;
  /** Class name or our own type. */
  readonly type: string;
  /** Messages may wait at it. */
  readonly keeps: boolean;
  readonly times: Times;
  readonly failures = new Reasons();
  /** Messages that came to it, whatever became of them. */
  arrived = 0;
  /** How many that were a moment ago, and in the moment before that. */
  before = 0;
  lately = 0;
  /** Where its messages are kept, once there was one. */
  ring: Ring | null = null;

  constructor({ info, definition }: CountedNode, now: number) {
    this.info = info;
    this.type = definition?.type ?? '';
    this.keeps = definition?.send !== undefined || definition?.due !== undefined;
    this.times = new Times(now);
  }
}

export class IntegrationStatistics {
  readonly tenantId: string;
  readonly converter: Times;
  /** From the peer's message to its outcome being durable. */
  readonly accept: Times;
  readonly failures = new Reasons();

  constructor(tenantId: string, now: number) {
    this.tenantId = tenantId;
    this.converter = new Times(now);
    this.accept = new Times(now);
  }
}

export interface NodeState extends CounterState {
  readonly id: string;
  readonly failures: number;
  readonly reasons: readonly (readonly [reason: string, count: number])[];
}

export interface IntegrationState {
  readonly converter: CounterState;
  readonly accept: CounterState;
  readonly failures: number;
  readonly reasons: readonly (readonly [reason: string, count: number])[];
}

/** Of one process. */
export class Statistics {
  private readonly nodes = new Map<string, NodeStatistics>();
  private readonly integrations = new Map<string, IntegrationStatistics>();
  /** A clock that only goes forward, ms. */
  readonly clock: () => number;

  constructor(clock: () => number = () => performance.now()) {
    this.clock = clock;
  }

  node(node: CountedNode): NodeStatistics {
    let entry = this.nodes.get(node.info.id);
    if (!entry) {
      entry = new NodeStatistics(node, this.clock());
      this.nodes.set(node.info.id, entry);
    }
    return entry;
  }

  integration(tenantId: string, id: string): IntegrationStatistics {
    let entry = this.integrations.get(id);
    if (!entry) {
      entry = new IntegrationStatistics(tenantId, this.clock());
      this.integrations.set(id, entry);
    }
    return entry;
  }

  ofNodes(): Iterable<NodeStatistics> {
    return this.nodes.values();
  }

  ofIntegrations(): Iterable<readonly [id: string, statistics: IntegrationStatistics]> {
    return this.integrations;
  }

  chain(tenantId: string, chainId: string): NodeState[] {
    const now = this.clock();
    return [...this.nodes.values()]
      .filter(({ info }) => info.chainId === chainId && info.tenantId === tenantId)
      .map(({ info, times, failures }) => ({ id: info.id, ...stateOf(times, now), failures: failures.total, reasons: [...failures.counts] }));
  }

  integrationState(tenantId: string, id: string): IntegrationState | null {
    const entry = this.integrations.get(id);
    if (!entry || entry.tenantId !== tenantId) return null;
    const now = this.clock();
    return {
      converter: stateOf(entry.converter, now),
      accept: stateOf(entry.accept, now),
      failures: entry.failures.total,
      reasons: [...entry.failures.counts],
    };
  }

  /** Of a removed chain, integration or tenant. */
  forget(id: string): void {
    this.integrations.delete(id);
    for (const [integrationId, { tenantId }] of this.integrations) if (tenantId === id) this.integrations.delete(integrationId);
    for (const [nodeId, { info }] of this.nodes) if (info.chainId === id || info.tenantId === id) this.nodes.delete(nodeId);
  }
}

export const stateOf = (times: Times, now: number): CounterState => ({
  count: times.count,
  perSecond: times.perSecond(now),
  totalMs: times.totalMs,
  buckets: times.buckets(now),
});

export interface CounterFigures {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** The same counter of all processes together. */
export function figuresOf(states: readonly CounterState[]): CounterFigures {
  const buckets = states.map((state) => state.buckets);
  return {
    count: states.reduce((sum, { count }) => sum + count, 0),
    perSecond: Math.round(states.reduce((sum, { perSecond }) => sum + perSecond, 0) * 100) / 100,
    p50Ms: quantileOf(buckets, 0.5),
    p99Ms: quantileOf(buckets, 0.99),
  };
}

export interface FailureFigures {
  readonly failures: number;
  readonly failuresByReason: readonly { readonly reason: string; readonly count: number }[];
}

export function failuresOf(states: readonly Pick<NodeState, 'failures' | 'reasons'>[]): FailureFigures {
  const reasons = new Reasons();
  for (const state of states) for (const [reason, count] of state.reasons) reasons.add(reason, count);
  const failuresByReason = [...reasons.counts].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count);
  return { failures: reasons.total, failuresByReason };
}
