import { Counter, Gauge, type Registry } from 'prom-client';
import type { Observation } from '../capture/observation.ts';
import { quantileOf, type Times } from '../capture/times.ts';
import { isPassing } from '../errors.ts';
import type { Store } from '../store.ts';

/** Nodes and integrations that have series of their own; those that come later are counted together, as `other`. */
const MOST_SERIES = 500;
const MOST_BACKLOGS = 100;
const OTHER = 'other';
const QUANTILES = [0.5, 0.99] as const;

/** Which things have series of their own: first come, so that a counter never goes back. */
class Named {
  private readonly names = new Set<string>();

  of(id: string): string {
    if (this.names.has(id)) return id;
    if (this.names.size >= MOST_SERIES) return OTHER;
    this.names.add(id);
    return id;
  }

  /** What is there no more makes room. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.names) if (!ids.has(id)) this.names.delete(id);
  }
}

/** Of this process: what its rule nodes and integrations do. Ids and types only: names and reasons are for those who have logged in. */
export function watchNodes(register: Registry, { statistics }: Pick<Observation, 'statistics'>, store: Pick<Store, 'keptSummary'>): void {
  const registers = [register];
  const labelNames = ['chain', 'node', 'type'];
  const named = new Named();
  new Counter({
    name: 'fieldbridge_node_messages_total',
    help: 'Messages that came to a rule node.',
    labelNames,
    registers,
    /** Of all series here: they are read after this one. */
    collect() {
      for (const each of [this, failures, spent, seconds]) each.reset();
      const now = statistics.clock();
      const nodes = [...statistics.ofNodes()];
      named.keep(new Set(nodes.map(({ info }) => info.id)));
      for (const { info, type, arrived, failures: failed, times } of nodes) {
        const node = named.of(info.id);
        const labels = node === OTHER ? { chain: OTHER, node, type: OTHER } : { chain: info.chainId, node, type };
        this.inc(labels, arrived);
        failures.inc(labels, failed.total);
        spent.inc(labels, times.totalMs / 1000);
        if (node !== OTHER) setQuantiles(seconds, labels, times, now);
      }
    },
  });
  const failures = new Counter({ name: 'fieldbridge_node_failures_total', help: 'Failures of a rule node.', labelNames, registers });
  const spent = new Counter({ name: 'fieldbridge_node_seconds_total', help: 'Time that a rule node has worked.', labelNames, registers });
  const seconds = new Gauge({
    name: 'fieldbridge_node_seconds',
    help: 'Time of a rule node for one message, of the last minutes.',
    labelNames: [...labelNames, 'quantile'],
    registers,
  });
  watchBacklog(register, statistics, store);
}

/** Read when somebody asks; while the store is away there are none. */
function watchBacklog(register: Registry, statistics: Observation['statistics'], store: Pick<Store, 'keptSummary'>): void {
  const labelNames = ['chain', 'node', 'type'];
  new Gauge({
    name: 'fieldbridge_node_backlog',
    help: 'Messages that wait at a rule node, to be sent or for their time; of all processes.',
    labelNames,
    registers: [register],
    async collect() {
      this.reset();
      const keeping = [...statistics.ofNodes()].filter(({ keeps }) => keeps).slice(0, MOST_BACKLOGS);
      try {
        for (const { info, type } of keeping) {
          const { count } = await store.keptSummary(info.tenantId, info.id);
          this.set({ chain: info.chainId, node: info.id, type }, count);
        }
      } catch (cause) {
        if (!isPassing(cause)) throw cause;
      }
    },
  });
}

export function watchIntegrations(register: Registry, { statistics }: Pick<Observation, 'statistics'>): void {
  const registers = [register];
  const labelNames = ['integration'];
  const named = new Named();
  new Counter({
    name: 'fieldbridge_integration_uplinks_total',
    help: 'Uplinks whose outcome is durable.',
    labelNames,
    registers,
    collect() {
      for (const each of [this, failures, seconds]) each.reset();
      const now = statistics.clock();
      const all = [...statistics.ofIntegrations()];
      named.keep(new Set(all.map(([id]) => id)));
      for (const [id, { accept, converter, failures: failed }] of all) {
        const integration = named.of(id);
        this.inc({ integration }, accept.count);
        failures.inc({ integration }, failed.total);
        if (integration === OTHER) continue;
        setQuantiles(seconds, { integration, step: 'converter' }, converter, now);
        setQuantiles(seconds, { integration, step: 'accept' }, accept, now);
      }
    },
  });
  const failures = new Counter({ name: 'fieldbridge_integration_failures_total', help: 'Uplinks that became dead letters.', labelNames, registers });
  const seconds = new Gauge({
    name: 'fieldbridge_integration_seconds',
    help: 'Time of the converter for one uplink, and from its receipt to being durable (accept), of the last minutes.',
    labelNames: [...labelNames, 'step', 'quantile'],
    registers,
  });
}

function setQuantiles(gauge: Gauge, labels: Record<string, string>, times: Times, now: number): void {
  const buckets = [times.buckets(now)];
  for (const q of QUANTILES) {
    const ms = quantileOf(buckets, q);
    if (ms !== null) gauge.set({ ...labels, quantile: String(q) }, ms / 1000);
  }
}
