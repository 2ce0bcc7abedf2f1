import { setTimeout as sleep } from 'node:timers/promises';
import type { Observation } from '#engine/capture/observation.ts';
import type { Lease } from '#engine/cluster.ts';
import { Busy, errorText, isPassing, NotDurable, VersionConflict } from '#engine/errors.ts';
import type { Accepted, RawUplink } from '#engine/integration.ts';
import type { IntegrationEvents } from '#engine/integration-events.ts';
import type { Message } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { ScriptArgs, ScriptEngine, ScriptResult } from '#engine/script.ts';
import type { Statistics } from '#engine/statistics.ts';
import { Work } from '#engine/work.ts';
import type { Creation, Resolver } from './resolve.ts';
import { type ChangedOnly, createChangedOnly, EVERYTHING } from './update-only.ts';
import { addUplinks, type MessageEnds, type UplinkItem, type UplinkTarget } from './work.ts';

export type { UplinkConverter, UplinkTarget } from './work.ts';

/** The accept stage (design §1): converter, find or create, append to the lanes; an uplink is acknowledged when that is committed. */
export interface AcceptDeps {
  readonly backend: Backend;
  readonly scripts: Pick<ScriptEngine, 'run'>;
  readonly resolver: Resolver;
  readonly events: IntegrationEvents;
  readonly statistics: Statistics;
  /** Counts and remembers. */
  readonly observation?: Pick<Observation, 'capture' | 'statistics'>;
  /** After the commit: these devices spoke. */
  readonly activity: (tenantId: string, deviceId: string) => void;
  /** How long an integration's next `count` uplinks have to wait for the tenant's rate limit, ms. */
  readonly rateLimit?: (tenantId: string, count: number) => number;
  readonly now: () => number;
  readonly limits?: Partial<AcceptLimits>;
  readonly log: { error(fields: object, text: string): void };
  /** Named points at which fault tests end the process. */
  readonly onPoint?: (name: string) => void;
}

export interface AcceptLimits {
  readonly batch: number;
  /** Batches of one integration that are under way: one converts while another is committed. */
  readonly pipeline: number;
  /** Uplinks and their bytes, over all integrations, before inbound requests are told to come later. */
  readonly inFlight: number;
  readonly inFlightBytes: number;
  /** Messages in the lanes above which we take no more until the chains have caught up. */
  readonly depth: number;
  /** Then an uplink that a rate limit holds back becomes a dead letter, so that its peer is not stopped for ever. */
  readonly rateLimitWaitMs: number;
}

const LIMITS: AcceptLimits = { batch: 256, pipeline: 2, inFlight: 20_000, inFlightBytes: 256 * 1024 * 1024, depth: 100_000, rateLimitWaitMs: 30_000 };
const BATCH_BYTES = 4 * 1024 * 1024;
const DEPTH_CHECK_MS = 20;
/** A refused commit is built anew from fresh reads this often, then item by item. */
const REBUILDS = 2;

/** The uplinks of one integration. */
export interface UplinkSource {
  /** From now on. What is under way ends as it began. */
  update(target: UplinkTarget): void;
  /**
   * @param mayWait false: the caller can be told to come again (HTTP), so nobody waits for credits or rate limits.
   * @param lease of the connection it came by: after a take-over nothing of it is stored, and the peer gives it to the one who has taken over. @throws NotDurable, Busy
   */
  accept(uplink: RawUplink, options?: { mayWait?: boolean; deadLetterId?: string; lease?: Lease | null }): Promise<Accepted>;
  /** Another process took these uplinks meanwhile: what was seen last may not be the last any more. */
  forget(): void;
  readonly inFlight: number;
  readonly lastUplinkAt: number | null;
}

interface Item extends UplinkItem {
  /** The peer waits for an answer that may carry a downlink. */
  readonly answered: boolean;
  readonly lease: Lease | null;
  /** Of `performance.now()`. */
  readonly since: number;
  readonly resolve: (accepted: Accepted) => void;
  readonly reject: (cause: unknown) => void;
}

/** What the script host made of a batch, and how long it took. */
interface Conversions {
  readonly results: readonly (ScriptResult | null)[];
  readonly ms: number;
}

type Outcome = Accepted | { readonly outcome: 'refused'; readonly cause: unknown };

export interface Accept {
  /** @param sharedSenders the same senders also speak to other processes: what they said last is not known here. */
  source(target: UplinkTarget, sharedSenders?: boolean): UplinkSource;
  inFlight(): number;
  /** Nobody waits for the chains any more, which do not go on: what is held back is refused. */
  close(): void;
}

export function createAccept(deps: AcceptDeps): Accept {
  const limits: AcceptLimits = { ...LIMITS, ...deps.limits };
  const shared: Shared = { items: 0, bytes: 0, closed: false };
  return {
    source: (target, sharedSenders = false) => createSource(target, deps, limits, shared, sharedSenders ? EVERYTHING : createChangedOnly()),
    inFlight: () => shared.items,
    close() {
      shared.closed = true;
    },
  };
}

/** Over all integrations. */
interface Shared {
  items: number;
  bytes: number;
  closed: boolean;
}

function createSource(first: UplinkTarget, deps: AcceptDeps, limits: AcceptLimits, shared: Shared, changedOnly: ChangedOnly): UplinkSource {
  const { backend, scripts, now } = deps;
  let target = first;
  let waiting: Item[] = [];
  let inFlight = 0;
  let lastUplinkAt: number | null = null;
  let underWay = 0;
  let scheduled = false;
  /** Batches are stored one after the other, whichever was converted first. */
  let tail: Promise<void> = Promise.resolve();
  /** Raised when a commit failed: what is under way behind it fails too, else it would overtake what the peer sends again. */
  let failures = 0;
  function schedule(): void {
    if (scheduled || underWay >= limits.pipeline) return;
    scheduled = true;
    // Behind the packets that the socket has given us already: they make one batch.
    setImmediate(() => {
      scheduled = false;
      while (underWay < limits.pipeline && waiting.length > 0) begin();
    });
  }

  function begin(): void {
    let size = 0;
    let bytes = 0;
    while (size < waiting.length && size < limits.batch && (size === 0 || bytes < BATCH_BYTES)) bytes += waiting[size++]!.uplink.payload.length;
    const items = waiting.slice(0, size);
    waiting = waiting.slice(size);
    const by = target;
    const era = failures;
    underWay++;
    const conversion = convert(items, by);
    conversion.catch(() => {}); // Handled where it is awaited, which may be after other batches.
    tail = tail.then(() => finish(items, conversion, by, era));
  }

  async function convert(items: readonly Item[], { converter, info }: UplinkTarget): Promise<Conversions> {
    const late = await rateLimited(info.tenantId, items.length);
    if (late) return { results: items.map(() => ({ ok: false, fault: { reason: 'thrown', message: 'rate limit' } })), ms: 0 };
    const results: (ScriptResult | null)[] = items.map(() => null);
    if (!converter) return { results, ms: 0 };
    const begin = performance.now();
    const convertible = items.flatMap((item, index) => (item.uplink.problem === undefined ? [index] : []));
    const calls = convertible.map((index): ScriptArgs => [items[index]!.uplink.payload, items[index]!.metadataJson]);
    const converted = calls.length > 0 ? await scripts.run(converter.script, calls) : [];
    convertible.forEach((index, at) => {
      results[index] = converted[at]!;
    });
    return { results, ms: performance.now() - begin };
  }

  /** Waits for the tenant's rate limit. True: longer than a peer should be held up. */
  async function rateLimited(tenantId: string, count: number): Promise<boolean> {
    let waited = 0;
    while (!shared.closed) {
      const ms = deps.rateLimit?.(tenantId, count) ?? 0;
      if (ms <= 0) return false;
      if (waited + ms > limits.rateLimitWaitMs) return true;
      await sleep(ms);
      waited += ms;
    }
    return false;
  }

  async function finish(items: readonly Item[], conversion: Promise<Conversions>, by: UplinkTarget, era: number): Promise<void> {
    try {
      const conversions = await conversion;
      while (backend.queue.depth().messages > limits.depth) {
        if (shared.closed) throw new NotDurable(new Error('the server is stopping'));
        await sleep(DEPTH_CHECK_MS);
      }
      if (era !== failures) throw new NotDurable(new Error('an earlier message of this connection was not stored'));
      settle(items, await store(items, conversions, by));
    } catch (cause) {
      changedOnly.forget();
      const refusal = cause instanceof NotDurable ? cause : new NotDurable(cause);
      if (!isPassing(cause)) deps.log.error({ err: cause, integrationId: by.info.id }, 'uplinks not accepted');
      refuse(items, refusal);
      if (era === failures) {
        failures++;
        const behind = waiting;
        waiting = [];
        refuse(behind, refusal);
      }
    }
    underWay--;
    if (waiting.length > 0) schedule();
  }

  /** All at once; when the content is refused, anew; then one by one, so that a culprit fails alone. @throws NotDurable, Fenced */
  async function store(items: readonly Item[], conversions: Conversions, by: UplinkTarget): Promise<Outcome[]> {
    let refusal: unknown;
    for (let i = 0; i < REBUILDS; i++) {
      try {
        return await commit(items, conversions, by);
      } catch (cause) {
        if (isPassing(cause)) throw cause;
        refusal = cause;
      }
    }
    if (items.length > 1) {
      const accepted: Outcome[] = [];
      const { results, ms } = conversions;
      for (let i = 0; i < items.length; i++) accepted.push(...(await store([items[i]!], { results: [results[i]!], ms }, by)));
      return accepted;
    }
    // Its dead letter was deleted meanwhile: there is nothing left to try again, and nothing to hold up the others for.
    if (items[0]!.deadLetterId !== null && refusal instanceof VersionConflict) return [{ outcome: 'refused', cause: refusal }];
    deps.log.error({ err: refusal, integrationId: by.info.id }, 'an uplink can not be stored');
    return commit(items, { ...conversions, results: [{ ok: false, fault: { reason: 'thrown', message: errorText(refusal) } }] }, by);
  }

  async function commit(items: readonly Item[], conversions: Conversions, by: UplinkTarget): Promise<Accepted[]> {
    const work = new Work();
    work.answersFirst = items.some(({ answered }) => answered);
    for (const { lease } of items) if (lease !== null && lease !== work.leases.at(-1)) work.leases.push(lease);
    const creations: Creation[] = [];
    let committed = false;
    try {
      const ends: MessageEnds = [];
      const accepted = await addUplinks(items, conversions.results, work, creations, {
        target: by,
        resolver: deps.resolver,
        events: deps.events,
        changedOnly,
        now: now(),
        ends,
      });
      await backend.commit(work);
      committed = true;
      deps.observation && observe(deps.observation, { items, conversions, accepted, messages: work.messages, ends, by, at: now() });
      deps.onPoint?.('before-ack');
      return accepted;
    } catch (cause) {
      changedOnly.forget();
      throw cause;
    } finally {
      for (const creation of creations) creation.settle(committed);
    }
  }

  function settle(items: readonly Item[], accepted: readonly Outcome[]): void {
    free(items);
    lastUplinkAt = now();
    const spoke = new Set<string>();
    let errors = 0;
    for (let i = 0; i < items.length; i++) {
      const outcome = accepted[i]!;
      if (outcome.outcome === 'refused') {
        items[i]!.reject(outcome.cause);
        continue;
      }
      if (outcome.outcome === 'converted') {
        for (const { entityType, id } of outcome.entities) if (entityType === 'DEVICE') spoke.add(id);
      } else if (outcome.outcome === 'dead') errors++;
      items[i]!.resolve(outcome);
    }
    const { id, tenantId } = target.info;
    deps.statistics.count(id, items.length, errors);
    for (const deviceId of spoke) deps.activity(tenantId, deviceId);
  }

  function refuse(items: readonly Item[], cause: NotDurable): void {
    free(items);
    for (const item of items) item.reject(cause);
  }

  function free(items: readonly Item[]): void {
    inFlight -= items.length;
    shared.items -= items.length;
    for (const item of items) shared.bytes -= item.uplink.payload.length;
  }

  return {
    update(next) {
      // A saved converter may mean another thing by the same key.
      if (next.converter?.script !== target.converter?.script) changedOnly.forget();
      target = next;
    },
    async accept(uplink, { mayWait = true, deadLetterId, lease = null } = {}) {
      if (!mayWait) {
        // Behind what waits for the servers to come back, it would wait as long.
        const health = backend.health();
        if (!health.ok) throw new NotDurable(new Error(health.reason));
        if (shared.items >= limits.inFlight || shared.bytes >= limits.inFlightBytes || backend.queue.depth().messages > limits.depth)
          throw new Busy('Too many messages are under way');
        const ms = deps.rateLimit?.(target.info.tenantId, 1) ?? 0;
        if (ms > 0) throw new Busy('Integration messages rate limit exceeded', ms);
      }
      inFlight++;
      shared.items++;
      shared.bytes += uplink.payload.length;
      return new Promise<Accepted>((resolve, reject) => {
        waiting.push({
          uplink,
          metadataJson: JSON.stringify({ ...target.metadata, ...uplink.metadata }),
          deadLetterId: deadLetterId ?? null,
          answered: !mayWait,
          lease,
          since: performance.now(),
          resolve,
          reject,
        });
        schedule();
      });
    },
    forget: () => changedOnly.forget(),
    get inFlight() {
      return inFlight;
    },
    get lastUplinkAt() {
      return lastUplinkAt;
    },
  };
}

interface Done {
  readonly items: readonly Item[];
  readonly conversions: Conversions;
  readonly accepted: readonly Accepted[];
  readonly messages: readonly Message[];
  readonly ends: MessageEnds;
  readonly by: UplinkTarget;
  readonly at: number;
}

/** A batch is durable. */
function observe({ statistics, capture }: Pick<Observation, 'capture' | 'statistics'>, done: Done): void {
  const { items, conversions, accepted, messages, ends, by, at } = done;
  const { id, name, tenantId } = by.info;
  const { converter, accept, failures } = statistics.integration(tenantId, id);
  const now = performance.now();
  if (by.converter) converter.add(conversions.ms / items.length, items.length, now);
  for (const { since } of items) accept.add(now - since, 1, now);
  for (const outcome of accepted) if (outcome.outcome === 'dead') failures.add(outcome.reason);
  capture?.accepted({
    ...{ tenantId, integration: { id, name }, converterId: by.converter?.id ?? null },
    ...{ items, results: conversions.results, accepted, messages, ends, convertMs: conversions.ms, at },
    now,
  });
}
