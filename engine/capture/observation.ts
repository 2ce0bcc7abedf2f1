import type { Cluster } from '#engine/cluster.ts';
import type { Change } from '#engine/queue.ts';
import type { Work } from '#engine/work.ts';
import { type Ask, createAsk } from './ask.ts';
import { type Capture, createCapture, type SentMessage } from './capture.ts';
import type { Segments } from './segments.ts';
import { type IntegrationState, type NodeState, Statistics } from './statistics.ts';
import { Trace } from './trace.ts';

/** What is seen of messages: counted always, remembered while there is room for it. */
export interface Observation {
  readonly statistics: Statistics;
  /** Null: nothing is remembered. */
  readonly capture: Capture | null;
  /** Where it is remembered; null as above. */
  readonly segments: Segments | null;
  trace(work: Work): Trace;
  /** An external node has sent a message. */
  sent(sent: SentMessage): void;
  /** What all processes were told so far can be read. */
  flush(): Promise<void>;
  /** Of all processes. */
  chain(tenantId: string, chainId: string): Promise<NodeState[][]>;
  integration(tenantId: string, integrationId: string): Promise<IntegrationState[]>;
  close(): Promise<void>;
}

export interface ObservationOptions {
  readonly cluster: Cluster;
  readonly onChange: (listener: (changes: readonly Change[]) => void) => () => void;
  /** Null: nothing is remembered. */
  readonly segments: Segments | null;
  readonly ringBytes: number;
  readonly newId: () => string;
  readonly now: () => number;
  readonly log: { error(details: object, text: string): void };
  readonly statistics?: Statistics;
}

interface Subject {
  readonly tenantId: string;
  readonly id: string;
}

/** With them go what was counted and remembered of them. */
const OWNERS: ReadonlySet<string> = new Set(['TENANT', 'RULE_CHAIN', 'INTEGRATION']);

export function createObservation(options: ObservationOptions): Observation {
  const { cluster, segments, statistics = new Statistics() } = options;
  const capture = segments && createCapture({ ...options, segments, statistics });
  const flushAll: Ask<null, true> = createAsk(cluster, 'capture.flush', async (): Promise<true> => {
    await capture?.flush();
    return true;
  });
  const askChain: Ask<Subject, NodeState[]> = createAsk(cluster, 'statistics.chain', ({ tenantId, id }) => statistics.chain(tenantId, id));
  const askIntegration: Ask<Subject, IntegrationState | null> = createAsk(cluster, 'statistics.integration', ({ tenantId, id }) =>
    statistics.integrationState(tenantId, id),
  );
  const unsubscribe = options.onChange((changes) => {
    for (const { collection, tenantId, id, removed } of changes) {
      if (!removed || !OWNERS.has(collection)) continue;
      statistics.forget(id);
      void capture?.remove(collection === 'TENANT' ? id : tenantId, id);
    }
  });
  const keep = capture?.walked.bind(capture) ?? null;
  const traceDeps = { statistics, keep, now: options.now };
  return {
    statistics,
    capture,
    segments,
    trace: (work) => new Trace(work, traceDeps),
    sent(sent) {
      const { node, emission, ms } = sent;
      const { times, failures } = statistics.node(node);
      times.add(ms, 1, statistics.clock());
      const labels = typeof emission.to === 'string' ? [emission.to] : emission.to;
      if (labels.includes('Failure')) failures.add(emission.error || 'Failure');
      capture?.sent(sent);
    },
    async flush() {
      await flushAll(null);
    },
    chain: (tenantId, id) => askChain({ tenantId, id }),
    async integration(tenantId, id) {
      return (await askIntegration({ tenantId, id })).filter((state) => state !== null);
    },
    async close() {
      unsubscribe();
      for (const ask of [flushAll, askChain, askIntegration]) ask.close();
      await capture?.close();
    },
  };
}
