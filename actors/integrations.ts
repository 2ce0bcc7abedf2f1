import { type Actor, createActor, waitFor } from 'xstate';
import { refuseLocalHosts } from '#engine/addresses.ts';
import type { Observation } from '#engine/capture/observation.ts';
import type { Holder, Lease } from '#engine/cluster.ts';
import type { Control, IntegrationStatus } from '#engine/control.ts';
import { createDownlinks, type DownlinkRoute } from '#engine/downlinks.ts';
import type { AnyIntegration, InboundReply, IntegrationInfo, Uplinks } from '#engine/integration.ts';
import { createIntegrationEvents } from '#engine/integration-events.ts';
import type { Backend, Change } from '#engine/queue.ts';
import type { IntegrationRegistry } from '#engine/registry.ts';
import type { ScriptEngine } from '#engine/script.ts';
import type { Secrets } from '#engine/secrets.ts';
import type { DownlinkTarget } from '#engine/services/batch.ts';
import { createStatistics } from '#engine/statistics.ts';
import type { Doc } from '#engine/store.ts';
import { type AcceptLimits, createAccept, type UplinkSource } from '#engine/uplink/accept.ts';
import { createInbound, refusal } from '#engine/uplink/inbound.ts';
import { createResolver } from '#engine/uplink/resolve.ts';
import { Work } from '#engine/work.ts';
import { createRequeue } from './dead-uplinks.ts';
import { type Connect, integrationMachine, type LifecycleEvent, type Plan } from './integration.ts';
import { createCheck } from './integration-check.ts';
import { convertersOf, loadParts } from './integration-load.ts';
import { type IntegrationParts, partsOf } from './integration-parts.ts';
import { createSeen, type Seen } from './integration-seen.ts';
import { ownStatus, restReason, statusElsewhere } from './integration-status.ts';
import { downlinkTargetOf } from './integration-target.ts';

export interface IntegrationsOptions {
  readonly backend: Backend;
  readonly scripts: ScriptEngine;
  readonly types: IntegrationRegistry;
  readonly secrets: Secrets;
  readonly devices: Pick<Control['devices'], 'activity'>;
  /** Counts and remembers what comes and goes. */
  readonly observation?: Pick<Observation, 'capture' | 'statistics'>;
  /** This process, in events. */
  readonly server: string;
  readonly now: () => number;
  readonly log: { error(fields: object, text: string): void };
  readonly random?: () => number;
  readonly allowLocalHosts?: boolean;
  readonly maxUplinkBytes?: number;
  readonly rateLimit?: (tenantId: string, count: number) => number;
  readonly limits?: Partial<AcceptLimits>;
  /** Named points at which fault tests end the process. */
  readonly onPoint?: (name: string) => void;
}

export type Integrations = Control['integrations'] & {
  start(): Promise<void>;
  /** Stops taking, ends what is under way, closes the connections. */
  stop(): Promise<void>;
  /** Null: no such integration of this tenant. */
  downlinkTarget(tenantId: string, integrationId: string): DownlinkTarget | null;
  /** The same, but one that is not known here is looked for in the store: another process may have saved it just now. */
  findDownlinkTarget(tenantId: string, integrationId: string): DownlinkTarget | null | Promise<DownlinkTarget | null>;
  /** Uplinks that are neither stored nor refused yet. */
  inFlight(): number;
};

/** One integration that this process knows, whatever state it is in. */
interface Entry {
  parts: IntegrationParts;
  readonly source: UplinkSource;
  readonly actor: Actor<typeof integrationMachine>;
  /** Of warnings that a connection gave. */
  warnings: Set<string>;
  /** The downlink lane of the connection; resolves when nothing is sent any more. */
  sending: Promise<void>;
  /** Since when it is known as it is, Unix ms. */
  knownAt: number;
}

const STATISTICS_MS = 3_600_000;
const EXPIRE_MS = 10_000;
const MAX_UPLINK_BYTES = 10 * 1024 * 1024;

/**
 * Knows the integrations of all tenants and reloads them when they, or their converters, are saved. Runs those whose lease this process has: a peer has one client,
 * wherever it is; requests that come to us are answered by every process.
 */
export function createIntegrations(options: IntegrationsOptions): Integrations {
  const {
    backend,
    types,
    secrets,
    now,
    log,
    random = Math.random,
    allowLocalHosts = true,
    maxUplinkBytes = MAX_UPLINK_BYTES,
    onPoint,
    observation,
  } = options;
  const { store, cluster } = backend;
  const events = createIntegrationEvents(options.server);
  const statistics = createStatistics(now);
  const resolver = createResolver(backend, now);
  const downlinks = createDownlinks({ backend, scripts: options.scripts, events, statistics, observation, now, log, onPoint });
  const inbound = createInbound({ backend, downlinks, events, maxBytes: maxUplinkBytes, now, log });
  const accept = createAccept({
    backend,
    scripts: options.scripts,
    resolver,
    events,
    statistics,
    observation,
    activity: (tenantId, deviceId) => options.devices.activity(tenantId, deviceId),
    rateLimit: options.rateLimit,
    limits: options.limits,
    now,
    log,
    onPoint,
  });
  const entries = new Map<string, Entry>();
  const byRoutingKey = new Map<string, string>();
  /** Reloads of one integration come one after the other. */
  const reloading = new Map<string, Promise<void>>();
  const timers: NodeJS.Timeout[] = [];
  const leases = new Map<string, Lease>();
  let unsubscribe = () => {};
  let holding = false;
  let stopped = false;

  const seenHere = (id: string): Seen => ({ lastUplinkAt: entries.get(id)?.source.lastUplinkAt ?? null, series: statistics.series(id) });
  const seen = cluster.shared ? createSeen({ cluster, now, own: () => Array.from(entries.keys(), (id) => [id, seenHere(id)] as const) }) : null;
  /** Under what the work of a connection is stored. Null: nobody could take it over. */
  const leaseOf = (id: string): Lease | null => (cluster.shared ? (leases.get(id) ?? null) : null);

  function background(work: Work, what: string): void {
    if (!work.isEmpty) backend.commit(work).catch((cause: unknown) => log.error({ err: cause }, `${what} not stored`));
  }

  function report({ tenantId, id }: IntegrationInfo, event: LifecycleEvent, error: string | null): void {
    const work = new Work();
    work.events.push(events.lifecycle(tenantId, id, event, error, now()));
    background(work, 'lifecycle event');
  }

  function connectOf(definition: AnyIntegration, config: unknown, info: IntegrationInfo): Connect {
    const lease = leaseOf(info.id);
    return async (lost, signal) => {
      const entry = entries.get(info.id)!;
      entry.warnings = new Set();
      const uplinks: Uplinks = {
        accept: (uplink) => entry.source.accept(uplink, { lease }),
        lost,
        warn(text) {
          entry.warnings.add(text);
          tell(entry);
        },
      };
      if (!allowLocalHosts) await refuseLocalHosts(definition.hosts?.(config) ?? []);
      return definition.connect!(config, info, uplinks, signal);
    };
  }

  function planOf(parts: IntegrationParts): Plan {
    const { definition, info, config, problem } = parts;
    const rest = restReason(parts);
    if (rest !== null) return { kind: 'disabled', reason: rest };
    if (!leases.has(info.id)) return { kind: 'disabled', reason: 'Runs in another process' };
    if (problem !== null) return { kind: 'failed', reason: problem };
    const warnings = definition!.warnings?.(config) ?? [];
    return definition!.connect ? { kind: 'connect', warnings, connect: connectOf(definition!, config, info) } : { kind: 'inbound', warnings };
  }

  const routeOf = (parts: IntegrationParts): DownlinkRoute => ({
    info: parts.info,
    debug: parts.debug,
    metadata: parts.metadata,
    converter: parts.downlinkConverter,
  });

  function run(parts: IntegrationParts): void {
    const { id } = parts.info;
    const known = entries.get(id);
    if (known) {
      const rested = restReason(known.parts) !== null;
      if (known.parts.info.routingKey !== parts.info.routingKey) byRoutingKey.delete(known.parts.info.routingKey);
      byRoutingKey.set(parts.info.routingKey, id);
      known.parts = parts;
      known.knownAt = now();
      known.source.update(parts);
      known.actor.send({ type: 'SAVED', plan: planOf(parts) });
      if (rested !== (restReason(parts) !== null)) refresh();
      return;
    }
    let sending = new AbortController();
    const entry: Entry = {
      parts,
      source: accept.source(parts, cluster.shared && parts.definition?.inbound !== undefined),
      warnings: new Set(),
      sending: Promise.resolve(),
      knownAt: now(),
      actor: createActor(integrationMachine, {
        input: {
          plan: planOf(parts),
          now,
          random,
          report: (event, error) => report(entry.parts.info, event, error),
          droppedWarning: parts.definition?.droppedWarning ?? null,
          opened(connection) {
            if (!connection.send) return;
            sending = new AbortController();
            entry.sending = downlinks
              .run(() => routeOf(entry.parts), connection, sending.signal, leaseOf(id))
              .catch((cause: unknown) => log.error({ err: cause, integrationId: id }, 'downlink lane broke'));
          },
          closed: () => sending.abort(),
        },
      }),
    };
    entries.set(id, entry);
    byRoutingKey.set(parts.info.routingKey, id);
    if (cluster.shared) entry.actor.subscribe(() => tell(entry));
    entry.actor.start();
    if (restReason(parts) === null) refresh();
  }

  function refresh(): void {
    if (holding) cluster.refresh('integration');
  }

  /** The others know of it what this process tells; the end of the process is no state of the integration. */
  function tell(entry: Entry): void {
    const { id } = entry.parts.info;
    if (cluster.shared && !stopped && leases.has(id)) cluster.note('integration', id, statusHere(entry));
  }

  const holder: Holder = {
    /** All that are to be run, those that only answer too: who has one says what becomes of it. */
    names: () => Array.from(entries.values()).flatMap(({ parts }) => (restReason(parts) === null ? [parts.info.id] : [])),
    granted(id, lease) {
      if (stopped) return;
      leases.set(id, lease);
      const entry = entries.get(id);
      if (!entry) return;
      entry.source.forget();
      entry.actor.send({ type: 'SAVED', plan: planOf(entry.parts) });
      tell(entry);
    },
    async revoked(id) {
      leases.delete(id);
      const entry = entries.get(id);
      if (!entry) return;
      entry.actor.send({ type: 'SAVED', plan: planOf(entry.parts) });
      // Given back to us meanwhile, there is nobody to wait for.
      await waitFor(entry.actor, (snapshot) => snapshot.status !== 'active' || snapshot.matches('disabled') || leases.has(id));
      await entry.sending;
    },
  };

  function end(id: string): Promise<void> {
    const entry = entries.get(id);
    if (!entry) return Promise.resolve();
    return new Promise((resolve) => {
      entry.actor.subscribe({
        complete() {
          entries.delete(id);
          byRoutingKey.delete(entry.parts.info.routingKey);
          statistics.forget(id);
          refresh();
          resolve();
        },
      });
      entry.actor.send({ type: 'STOP' });
    });
  }

  async function load(doc: Doc): Promise<void> {
    const parts = await loadParts(doc, { store, types, secrets });
    if (!stopped) run(parts);
  }

  /** After what is under way for this integration. A read that fails is tried again: else the old revision would run on unnoticed. */
  function queued(id: string, step: () => Promise<void>): Promise<void> {
    const next = (reloading.get(id) ?? Promise.resolve()).then(step).catch((cause: unknown) => {
      log.error({ err: cause, integrationId: id }, 'integration not reloaded; tried again');
      if (!stopped) timers.push(setTimeout(() => queued(id, step), 1000).unref());
    });
    reloading.set(id, next);
    next.finally(() => {
      if (reloading.get(id) === next) reloading.delete(id);
    });
    return next;
  }

  function reload(tenantId: string, id: string): Promise<void> {
    return queued(id, async () => {
      const doc = await store.doc('INTEGRATION', tenantId, id);
      if (doc) await load(doc);
      else await end(id);
    });
  }

  /** Only the script is swapped: the connection stays. */
  function reloadConverter(tenantId: string, converterId: string): void {
    for (const [id, entry] of entries) {
      if (entry.parts.info.tenantId !== tenantId || !entry.parts.converterIds.includes(converterId)) continue;
      queued(id, async () => {
        const doc = await store.doc('INTEGRATION', tenantId, id);
        if (!doc || !entries.has(id)) return;
        const { definition, config, problem } = entry.parts;
        entry.parts = partsOf(entry.parts.doc, { definition, config, problem, ...(await convertersOf(doc, store)) });
        entry.source.update(entry.parts);
      });
    }
  }

  function changed(changes: readonly Change[]): void {
    for (const { collection, tenantId, id } of changes) {
      if (collection === 'INTEGRATION') reload(tenantId, id);
      else if (collection === 'CONVERTER') reloadConverter(tenantId, id);
    }
  }

  function writeStatistics(): void {
    const work = new Work();
    for (const [id, counts] of statistics.take()) {
      const entry = entries.get(id);
      if (entry) work.events.push(events.statistics(entry.parts.info.tenantId, id, counts, now()));
    }
    background(work, 'statistics');
  }

  function statusHere(entry: Entry): Omit<IntegrationStatus, 'lastUplinkAt'> {
    const { value, context } = entry.actor.getSnapshot();
    return ownStatus(value, context, entry.warnings);
  }

  function status(id: string): IntegrationStatus | null {
    const entry = entries.get(id);
    if (!entry) return null;
    const here = leases.has(id) || restReason(entry.parts) !== null;
    const { lastUplinkAt } = seen ? seen.all(id, seenHere(id)) : entry.source;
    return { ...(here ? statusHere(entry) : statusElsewhere(cluster, entry.parts, entry.knownAt)), lastUplinkAt };
  }

  /** One that is not known here is looked for in the store: another process may have saved it just now, and a sender that is told 404 may not come again. */
  async function byKey(routingKey: string): Promise<Entry | undefined> {
    const known = entries.get(byRoutingKey.get(routingKey) ?? '');
    if (known || !cluster.shared) return known;
    const doc = await store.docByKey('INTEGRATION', routingKey);
    if (doc) await reload(doc.tenantId, doc.id);
    return entries.get(byRoutingKey.get(routingKey) ?? '');
  }

  return {
    async start() {
      unsubscribe = backend.onChange(changed);
      for await (const doc of store.everyDoc('INTEGRATION')) await queued(doc.id, () => load(doc));
      holding = true;
      cluster.hold('integration', holder);
      timers.push(
        setInterval(writeStatistics, STATISTICS_MS).unref(),
        setInterval(
          () => backend.queue.expireDownlinks(now()).catch((cause: unknown) => log.error({ err: cause }, 'downlinks not expired')),
          EXPIRE_MS,
        ).unref(),
      );
    },

    async stop() {
      stopped = true;
      unsubscribe();
      seen?.close();
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(reloading.values());
      accept.close();
      writeStatistics();
      await Promise.all([...entries.keys()].map(end));
      resolver.close();
    },

    status,

    check: createCheck({ store, types, secrets, allowLocalHosts }),

    async inbound(type, routingKey, request): Promise<InboundReply> {
      // The end of the process says nothing of the integration, which another process or the next start serves.
      if (stopped) return refusal(503, 'The server is stopping; send it again', { 'retry-after': '1' });
      const entry = await byKey(routingKey);
      // A key of another type is as unknown as any other.
      if (!entry?.parts.definition?.inbound || entry.parts.definition.type.toLowerCase() !== type.toLowerCase())
        return refusal(404, 'There is no integration under this URL');
      const { state, reason } = status(entry.parts.info.id)!;
      if (state === 'disabled') return refusal(503, 'The integration is disabled');
      if (state === 'failed') return refusal(503, `The integration can not be used: ${reason}`);
      return inbound({ definition: entry.parts.definition, config: entry.parts.config, route: routeOf(entry.parts), source: entry.source }, request);
    },

    requeueUplink: createRequeue(store, (id) => entries.get(id)?.source),

    downlinkTarget(tenantId, integrationId) {
      const entry = entries.get(integrationId);
      if (entry?.parts.info.tenantId !== tenantId) return null;
      return downlinkTargetOf(entry.parts, status(integrationId)!);
    },

    findDownlinkTarget(tenantId, integrationId) {
      if (entries.has(integrationId) || !cluster.shared) return this.downlinkTarget(tenantId, integrationId);
      return reload(tenantId, integrationId).then(() => this.downlinkTarget(tenantId, integrationId));
    },

    statistics: (integrationId) => (seen ? seen.all(integrationId, seenHere(integrationId)).series : statistics.series(integrationId)),
    inFlight: () => accept.inFlight(),
  };
}
