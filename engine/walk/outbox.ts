import type { Lease } from '#engine/cluster.ts';
import { errorText, Fenced, isPassing, Timeout } from '#engine/errors.ts';
import { type Message, withChanges } from '#engine/message.ts';
import type { Emission, SendContext } from '#engine/node.ts';
import { laneOf, type Queue } from '#engine/queue.ts';
import type { Kept, Store } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import type { CompiledNode } from './chain.ts';
import { bury, type EmitDeps, resumeBehind } from './emit.ts';
import { OutboxLine } from './outbox-line.ts';
import type { ChainLookup } from './run.ts';

export interface OutboxDeps extends EmitDeps {
  readonly queue: Pick<Queue, 'sends' | 'lanes'>;
  readonly store: Pick<Store, 'kept'>;
  readonly chains: Pick<ChainLookup, 'get'>;
  services(tenantId: string): Pick<SendContext<unknown, unknown>, 'settings' | 'entities' | 'notifications'>;
  commit(work: Work): Promise<void>;
  /** A message leaves the outbox, durably: counted and remembered. `ms` is the last try alone. */
  readonly onSent?: (sent: { message: Message; node: CompiledNode; emission: Emission; at: number; ms: number }) => void;
  /** What it writes is only valid while this process has the lane. Absent: there is no other process. */
  leaseOf?(originatorId: string): Lease | null;
  /** Messages that could not be sent for so long are dead letters. Default a day. */
  readonly maxAgeMs?: number;
  /** First pause after a failure; it doubles up to a minute. Default 1,000 ms. */
  readonly firstPauseMs?: number;
  readonly log: { warn(details: object, text: string): void; error(details: object, text: string): void };
}

/** What one target of a node is doing, for the operator. */
export interface TargetState {
  readonly nodeId: string;
  readonly target: string;
  /** Messages of it in memory; more may wait in the store. */
  readonly waiting: number;
  readonly sending: number;
  /** Of the last send that failed, until one succeeds again. */
  readonly reason: string | null;
  /** Several failed in a row: one is tried now and then, next at `nextAt` (Unix ms). */
  readonly away: { readonly since: number; readonly nextAt: number } | null;
}

export interface Outbox {
  /** Kept and durable. */
  added(kept: readonly Kept[]): void;
  targets(tenantId: string, nodeId?: string): TargetState[];
  granted(lane: number): void;
  revoked(lane: number): Promise<void>;
  /** Ends what is under way. What was not sent is in the store. */
  stop(): Promise<void>;
}

interface Sent {
  readonly emission: Emission;
  readonly at: number;
  readonly ms: number;
}

interface OwnLane {
  readonly ending: AbortController;
  readonly running: Set<Promise<void>>;
  /** Kept while what waits from before is being read; null: that is done. */
  meanwhile: Kept[] | null;
}

const PAGE = 1000;
const MOST_READ = 50_000;
const MAX_AGE_MS = 24 * 3600_000;
const SEND_TIMEOUT_MS = 60_000;
const PARALLEL = 64;

/**
 * Sends what external nodes were given, beside the lanes: a slow or absent target holds back its own messages alone. One line a target; in a line the messages of one
 * originator go one by one. A message leaves the outbox in the commit that puts it back into its lane, behind the node: a crash before it sends again.
 */
export function createOutbox(deps: OutboxDeps): Outbox {
  const lines = new Map<string, OutboxLine>();
  /** Sends under way, by node. */
  const active = new Map<string, number>();
  /** Nodes with lines that wait for one of these to end. */
  const full = new Set<string>();
  const lanes = new Map<number, OwnLane>();
  let recovering = 0;
  const firstPauseMs = deps.firstPauseMs ?? 1000;
  let stopped = false;

  const laneOfKept = ({ message }: Kept): number => laneOf(message.originator.id, deps.queue.lanes);
  const nodeOf = ({ message, nodeId }: Kept): CompiledNode | undefined => deps.chains.get(message.tenantId, message.at!.chainId)?.byId.get(nodeId);

  function lineOf(kept: Kept): OutboxLine {
    const name = `${kept.nodeId} ${kept.key}`;
    let line = lines.get(name);
    if (!line) {
      line = new OutboxLine(name, kept, firstPauseMs);
      lines.set(name, line);
    }
    return line;
  }

  function accept(kept: readonly Kept[]): void {
    const touched = new Set<OutboxLine>();
    for (const item of kept) {
      const line = lineOf(item);
      line.add(item);
      touched.add(line);
    }
    for (const line of touched) pump(line);
  }

  /** Not before older ones of the lane, which are still being read. */
  function added(kept: readonly Kept[]): void {
    const now: Kept[] = [];
    for (const item of kept) {
      const lane = lanes.get(laneOfKept(item));
      if (!lane || lane.ending.signal.aborted) continue;
      (lane.meanwhile ?? now).push(item);
    }
    accept(now);
  }

  /** Starts as many sends of a line as may go. */
  function pump(line: OutboxLine): void {
    if (stopped) return;
    if (line.isShort && recovering === 0) void refill(line);
    for (;;) {
      const next = line.peek(deps.now());
      if (!next) break;
      const node = nodeOf(next);
      const parallel = Math.max(1, node?.definition?.parallel?.(node.config) ?? PARALLEL);
      const running = active.get(line.nodeId) ?? 0;
      if (running >= parallel) {
        full.add(line.nodeId);
        break;
      }
      const lane = lanes.get(laneOfKept(next));
      line.take(next);
      if (!lane || lane.ending.signal.aborted) {
        line.landed(next);
        continue;
      }
      active.set(line.nodeId, running + 1);
      const sending = work(line, next, node, lane.ending.signal).finally(() => {
        lane.running.delete(sending);
        const left = active.get(line.nodeId)! - 1;
        if (left > 0) active.set(line.nodeId, left);
        else active.delete(line.nodeId);
        if (full.delete(line.nodeId)) for (const other of lines.values()) if (other.nodeId === line.nodeId) pump(other);
        pump(line);
        if (line.isIdle && lines.get(line.name) === line) lines.delete(line.name);
      });
      lane.running.add(sending);
    }
    line.wake(deps.now(), () => pump(line));
  }

  async function refill(line: OutboxLine): Promise<void> {
    let max = line.beginRefill();
    try {
      for (;;) {
        const oldest = await deps.store.kept(line.tenantId, line.nodeId, { key: line.target, max });
        const own = oldest.filter((kept) => kept.kind === 'send' && lanes.has(laneOfKept(kept)));
        const isAll = oldest.length < max;
        // Those of other processes may fill the page.
        if (isAll || own.length > oldest.length / 2 || max >= MOST_READ) {
          line.endRefill(own, isAll);
          break;
        }
        max *= 2;
      }
      pump(line);
    } catch (cause) {
      line.failRefill();
      deps.log.warn({ node: line.nodeId, cause: errorText(cause) }, 'messages to send could not be read yet');
      setTimeout(() => pump(line), firstPauseMs).unref();
    }
  }

  /** Never rejects. */
  async function work(line: OutboxLine, kept: Kept, node: CompiledNode | undefined, ending: AbortSignal): Promise<void> {
    try {
      const outcome = await attempt(line, kept, node, ending);
      if (outcome === 'ended') return;
      if ('wait' in outcome) {
        const attempts = line.failed(kept, outcome.wait, deps.now());
        await note(kept, attempts, outcome.wait);
        return;
      }
      line.works(kept);
      await finish(kept, outcome.write, ending);
      if (node && outcome.sent) deps.onSent?.({ message: kept.message, node, ...outcome.sent });
    } catch (cause) {
      deps.log.error({ err: cause, node: kept.nodeId }, 'bug in the outbox');
    } finally {
      line.landed(kept);
    }
  }

  /** One try: what is to be written when the message leaves, or why its target is to be waited for. */
  async function attempt(
    line: OutboxLine,
    kept: Kept,
    node: CompiledNode | undefined,
    ending: AbortSignal,
  ): Promise<'ended' | { readonly wait: string } | { readonly write: (work: Work) => void; readonly sent?: Sent }> {
    const { message } = kept;
    const old = deps.now() - kept.keptAt > (deps.maxAgeMs ?? MAX_AGE_MS);
    const waitOrBury = (reason: string) => (old ? { write: (work: Work) => bury(work, message, reason, node ?? null, deps) } : { wait: reason });
    if (!node) {
      // Another process may have saved the chain a moment ago.
      if (line.triesOf(kept) < 3) return { wait: 'its rule node is not loaded' };
      return { write: (work) => bury(work, message, 'The rule node that was to send it does not exist any more', null, deps) };
    }
    if (node.problem !== null) return waitOrBury(`Rule Node is not active! Failed to initialize. ${node.problem}`);
    // The node is of another kind by now: the message goes through it as it is.
    if (!node.definition!.send) return { write: (work) => void work.messages.push(message) };
    const at = deps.now();
    const begin = performance.now();
    const emission = await send(kept, node, ending);
    const ms = performance.now() - begin;
    if (ending.aborted && emission.away) return 'ended';
    const labels = typeof emission.to === 'string' ? [emission.to] : emission.to;
    const unconnected = labels.every((label) => !node.targets.has(label.toLowerCase()));
    if (emission.away && unconnected) return waitOrBury(emission.error ?? 'Failure');
    return { write: (work) => resumeBehind(node, emission, message, work, deps), sent: { emission, at, ms } };
  }

  async function send({ message }: Kept, node: CompiledNode, ending: AbortSignal): Promise<Emission> {
    const { definition, config, info, state } = node;
    const limitMs = definition!.sendTimeoutMs?.(config) ?? SEND_TIMEOUT_MS;
    const signal = AbortSignal.any([ending, AbortSignal.timeout(limitMs)]);
    const services = deps.services(info.tenantId);
    try {
      const outcome = await untilAborted(definition!.send!(message, { config, node: info, state, signal, ...services }), signal, limitMs);
      return typeof outcome === 'string' ? { to: outcome } : outcome;
    } catch (cause) {
      const error = errorText(cause);
      return { to: 'Failure', error, away: isPassing(cause), message: withChanges(message, { metadata: { ...message.metadata, error } }) };
    }
  }

  /** Goes on until it is durable, or another's to do. */
  async function finish(kept: Kept, write: (work: Work) => void, ending: AbortSignal): Promise<void> {
    for (;;) {
      const work = leased(kept);
      if (!work) return;
      const { tenantId, id: messageId } = kept.message;
      work.keptRemovals.push({ tenantId, nodeId: kept.nodeId, key: kept.key, messageId });
      write(work);
      try {
        await deps.commit(work);
        return;
      } catch (cause) {
        if (cause instanceof Fenced) return;
        deps.log.warn({ node: kept.nodeId, cause: errorText(cause) }, 'what was sent is not stored as sent yet');
        if (ending.aborted) return;
        await new Promise((resolve) => setTimeout(resolve, firstPauseMs));
      }
    }
  }

  /** For the operator; lost when it can not be stored now. */
  async function note(kept: Kept, attempts: number, reason: string): Promise<void> {
    const work = leased(kept);
    if (!work) return;
    work.keptMoves.push({ tenantId: kept.message.tenantId, nodeId: kept.nodeId, messageId: kept.message.id, attempts, reason });
    await deps
      .commit(work)
      .catch((cause: unknown) => deps.log.warn({ node: kept.nodeId, cause: errorText(cause) }, 'a failure to send is not noted'));
  }

  function leased(kept: Kept): Work | null {
    const work = new Work();
    if (!deps.leaseOf) return work;
    const lease = deps.leaseOf(kept.message.originator.id);
    if (!lease) return null;
    work.leases.push(lease);
    return work;
  }

  /** What an earlier owner of the lane, or this process before its end, did not send. */
  async function recover(lane: number, own: OwnLane): Promise<void> {
    const ending = own.ending.signal;
    const seen = new Set<string>();
    let after: string | undefined;
    recovering++;
    while (!ending.aborted) {
      try {
        const page = await deps.queue.sends(lane, { ...(after !== undefined && { after }), max: PAGE });
        if (ending.aborted) break;
        accept(page);
        for (const { message } of page) seen.add(message.id);
        if (page.length < PAGE) break;
        after = page.at(-1)!.message.id;
      } catch (cause) {
        deps.log.warn({ lane, cause: errorText(cause) }, 'messages to send could not be read yet');
        await new Promise((resolve) => setTimeout(resolve, firstPauseMs));
      }
    }
    recovering--;
    const meanwhile = own.meanwhile!.filter(({ message }) => !seen.has(message.id));
    own.meanwhile = null;
    if (!ending.aborted) added(meanwhile);
    if (recovering === 0) for (const line of lines.values()) pump(line);
  }

  async function revoked(lane: number): Promise<void> {
    const entry = lanes.get(lane);
    if (!entry) return;
    entry.ending.abort();
    await Promise.all(entry.running);
    lanes.delete(lane);
    for (const line of lines.values()) {
      line.drop((kept) => laneOfKept(kept) === lane);
      if (line.isIdle) lines.delete(line.name);
    }
  }

  return {
    added,
    targets: (tenantId, nodeId) =>
      [...lines.values()]
        .filter((line) => line.tenantId === tenantId && (nodeId === undefined || line.nodeId === nodeId))
        .map((line) => line.state()),
    granted(lane) {
      const own: OwnLane = { ending: new AbortController(), running: new Set(), meanwhile: [] };
      lanes.set(lane, own);
      const reading = recover(lane, own).finally(() => own.running.delete(reading));
      own.running.add(reading);
    },
    revoked,
    async stop() {
      stopped = true;
      await Promise.all([...lanes.keys()].map(revoked));
      for (const line of lines.values()) line.clear();
    },
  };
}

/** A node that does not look at the signal is not waited for. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal, limitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => reject(new Timeout(`No answer within ${limitMs / 1000} s`));
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', end));
  });
}
