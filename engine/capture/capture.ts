import type { RawDownlink } from '#engine/integration.ts';
import { shown } from '#engine/integration-events.ts';
import type { Message } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import type { Downlink } from '#engine/store.ts';
import type { CompiledNode } from '#engine/walk/chain.ts';
import { Budget } from './budget.ts';
import type { Entry, Sink } from './entries.ts';
import { type CaptureRecord, cut, type EndRecord, madeRecord, messageRecord, nodeRecord } from './records.ts';
import { type Ring, Rings } from './rings.ts';
import { type Lines, lineOf, type Segments } from './segments.ts';
import type { NodeStatistics, Statistics } from './statistics.ts';
import type { Walked } from './trace.ts';
import { type AcceptedUplinks, UplinkEntry } from './uplink-entry.ts';
import { WalkEntry } from './walk-entry.ts';

export interface SentDownlink {
  readonly downlink: Downlink;
  readonly integration: { readonly id: string; readonly name: string };
  readonly converterId: string | null;
  readonly convertMs: number;
  /** Downlinks that were converted in one call. */
  readonly of: number;
  readonly parts: readonly RawDownlink[];
  readonly error: string | null;
  readonly states: readonly string[];
  readonly reason: string | null;
  readonly ms: number;
  readonly at: number;
}

export interface SentMessage {
  readonly message: Message;
  readonly node: CompiledNode;
  readonly emission: Emission;
  readonly at: number;
  readonly ms: number;
}

/** Remembers what became of each message. What it is told is done and durable; it never throws. */
export interface Capture {
  walked(walked: Walked): void;
  accepted(uplinks: AcceptedUplinks): void;
  downlink(sent: SentDownlink): void;
  sent(sent: SentMessage): void;
  made(of: Message, message: Message, node: CompiledNode): void;
  /** Of a chain, an integration or a tenant. */
  remove(tenantId: string, id: string): Promise<void>;
  /** Everything that was told so far is where it can be read. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface CaptureOptions {
  readonly segments: Segments;
  readonly statistics: Statistics;
  readonly ringBytes: number;
  readonly newId: () => string;
  readonly now: () => number;
  readonly log: { error(details: object, text: string): void };
}

/** How long what was captured waits to be written. */
const FLUSH_MS = 1000;
/** Estimated bytes of references that wait: then they are written, and until that may be done again, only what is seldom is captured. */
const WAITING_BYTES = 768 * 1024;
/** Uplinks of a while ago, for messages that are worth keeping. */
const RECENT_BYTES = 256 * 1024;
/** Work of a flush before others have their turn, ms. */
const SLICE_MS = 1;
/** A node is seldom visited when it sees fewer messages in this time. */
const SELDOM_MESSAGES = 64;
const SELDOM_MS = 1000;
/** The part of the time for what is seldom and can not wait. */
const SELDOM_SHARE = 0.005;
const MOST_ALLOWANCE_MS = 10;
const SMALL_BYTES = 600;

interface Filling {
  lines: string[];
  bytes: number;
}

export function createCapture({ segments, statistics, ringBytes, newId, now, log }: CaptureOptions): Capture {
  const rings = new Rings(ringBytes);
  let waiting: Entry[] = [];
  let waitingBytes = 0;
  let recent: UplinkEntry[] = [];
  let recentBytes = 0;
  let filling = new Map<Ring, Filling>();
  let timer: NodeJS.Timeout | null = null;
  const budget = new Budget();
  let flushing: Promise<void> | null = null;
  /** Time that may be spent on what does not wait for the flush, ms. */
  let allowance = MOST_ALLOWANCE_MS;
  let allowedAt = performance.now();
  let turnedAt = performance.now();
  let collecting = true;
  let closed = false;

  const sink: Sink = {
    newId,
    wants: (ring, mark) => rings.wants(ring, mark),
    put(ring, record) {
      if (ring.gone) return;
      const line = lineOf(JSON.stringify(record));
      let own = filling.get(ring);
      if (!own) {
        own = { lines: [], bytes: 0 };
        filling.set(ring, own);
      }
      own.lines.push(line);
      own.bytes += line.length;
      if (own.bytes > 2 * ringBytes) keepNewest(own);
    },
  };

  function keepNewest(own: Filling): void {
    let first = own.lines.length;
    let bytes = 0;
    while (first > 0 && bytes + own.lines[first - 1]!.length <= ringBytes) bytes += own.lines[--first]!.length;
    own.lines = own.lines.slice(first);
    own.bytes = bytes;
  }

  const write = (entry: Entry, i: number): void => guarded(() => entry.write(i, sink));

  /** At high rates most would be overwritten before anybody could read it: then the newest is kept now and then, in a row. */
  function isCollecting(): boolean {
    collecting ||= !flushing && budget.allows();
    return collecting && !closed;
  }

  function add(entry: Entry): void {
    if (entry.size === 0) return;
    waiting.push(entry);
    waitingBytes += entry.bytes;
    if (waitingBytes > WAITING_BYTES) {
      collecting = false;
      if (!flushing) void flush();
    }
    arm();
  }

  function arm(): void {
    timer ??= setTimeout(() => {
      timer = null;
      void flush();
    }, FLUSH_MS).unref();
  }

  const isSeldom = ({ arrived, before, lately }: NodeStatistics): boolean => Math.max(lately, arrived - before) < SELDOM_MESSAGES;

  function turn(): void {
    const at = performance.now();
    if (at - turnedAt < SELDOM_MS) return;
    turnedAt = at;
    rings.turn();
    for (const node of statistics.ofNodes()) {
      node.lately = node.arrived - node.before;
      node.before = node.arrived;
    }
  }

  /** What is seldom does not come again soon. */
  function writeNow(entry: Entry): void {
    const begin = performance.now();
    allowance = Math.min(MOST_ALLOWANCE_MS, allowance + (begin - allowedAt) * SELDOM_SHARE);
    allowedAt = begin;
    if (closed || allowance <= 0) return;
    for (let i = 0; i < entry.size; i++) write(entry, i);
    allowance -= performance.now() - begin;
    arm();
  }

  function passed(entry: Entry): void {
    if (!(entry instanceof UplinkEntry)) return;
    recent.push(entry);
    recentBytes += entry.bytes;
    let first = 0;
    while (recentBytes > RECENT_BYTES && first < recent.length) recentBytes -= recent[first++]!.bytes;
    if (first > 0) recent = recent.slice(first);
  }

  function accompany(message: Message, ring: Ring): void {
    if (message.owner === message.tenantId) return;
    for (let i = recent.length - 1; i >= 0; i--) if (recent[i]!.writeWith(message, ring, sink)) return;
  }

  async function drain(): Promise<void> {
    const entries = waiting;
    waiting = [];
    waitingBytes = 0;
    budget.start();
    let begin = performance.now();
    for (const entry of entries) {
      for (let i = 0; i < entry.size; i++) {
        write(entry, i);
        if ((i & 7) !== 7 || performance.now() - begin < SLICE_MS) continue;
        budget.pause();
        await new Promise((resolve) => setImmediate(resolve));
        budget.goOn();
        begin = performance.now();
      }
      passed(entry);
    }
    const full = filling;
    filling = new Map();
    const all: Lines[] = [...full].filter(([ring]) => !ring.gone).map(([ring, { lines }]) => ({ ring: ring.name, lines }));
    budget.end();
    if (all.length > 0) await segments.append(all);
  }

  async function flush(): Promise<void> {
    while (flushing) await flushing;
    if (waiting.length === 0 && filling.size === 0) return;
    flushing = drain().finally(() => {
      flushing = null;
    });
    await flushing;
  }

  /** One record of the ring of an integration or node. */
  function addOne(ring: Ring, bytes: number, record: () => CaptureRecord): void {
    const mark = rings.assign(ring, bytes);
    const write = (into: Sink) => into.wants(ring, mark) && into.put(ring, record());
    const entry: Entry = { bytes, size: 1, write: (_, into) => write(into) };
    if (isCollecting()) add(entry);
    else if (rings.isSeldom(ring)) writeNow(entry);
  }

  const ringOfNode = ({ info }: CompiledNode): Ring => rings.of(info.tenantId, info.chainId, info.id);

  /** A bug here must not touch the messages. */
  function guarded(step: () => void): void {
    try {
      step();
    } catch (cause) {
      log.error({ err: cause }, 'bug: a message could not be captured');
    }
  }

  return {
    walked(walked) {
      turn();
      guarded(() => {
        if (isCollecting()) add(new WalkEntry(walked, rings, accompany));
        else if (walked.visits.some(({ statistics: node }) => isSeldom(node))) writeNow(new WalkEntry(walked, rings, accompany, isSeldom));
      });
    },
    accepted(uplinks) {
      guarded(() => {
        const entry = new UplinkEntry(uplinks, rings);
        if (isCollecting()) add(entry);
        else passed(entry);
      });
    },
    downlink(sent) {
      const { downlink, integration, parts } = sent;
      const ring = rings.of(downlink.tenantId, integration.id, integration.id);
      addOne(ring, SMALL_BYTES + parts.reduce((sum, { data }) => sum + data.length, 0), () => downlinkRecord(sent));
    },
    sent({ message, node, emission, at, ms }) {
      addOne(ringOfNode(node), SMALL_BYTES + message.data.length, () => ({
        k: 'sent',
        at,
        id: message.id,
        owner: message.owner,
        node: nodeRecord(node),
        ms: Math.round(ms * 1000) / 1000,
        to: typeof emission.to === 'string' ? [emission.to] : emission.to,
        ...(emission.error ? { error: cut(emission.error) } : {}),
        out: messageRecord(emission.message ?? message),
        ...endOf(message, node, emission),
      }));
    },
    made(of, message, node) {
      const at = now();
      addOne(ringOfNode(node), SMALL_BYTES, () => ({ k: 'made', at, of: of.id, nodeId: node.info.id, made: madeRecord(message) }));
    },
    async remove(tenantId, id) {
      rings.remove(id);
      // What is being written now would come after the removal.
      await flushing;
      await segments.remove(tenantId, id === tenantId ? undefined : id);
    },
    flush,
    async close() {
      closed = true;
      if (timer) clearTimeout(timer);
      await flush();
      await segments.close();
    },
  };
}

function endOf({ effect }: Message, { targets, definition }: CompiledNode, emission: Emission): { end?: EndRecord } {
  const labels = typeof emission.to === 'string' ? [emission.to] : emission.to;
  if (labels.some((label) => targets.has(label.toLowerCase()))) return {};
  if (labels.includes('Failure')) return { end: { is: 'dead', reason: cut(emission.error ?? 'Failure') } };
  return { end: { is: effect || (emission.effect ?? definition?.effect) ? 'stored' : 'filtered' } };
}

function downlinkRecord(sent: SentDownlink): CaptureRecord {
  const { downlink, integration, converterId, convertMs, of, parts, error, states, reason, ms, at } = sent;
  return {
    k: 'downlink',
    id: downlink.id,
    at,
    messageId: downlink.message.id,
    entityId: downlink.entity,
    integration,
    converter:
      converterId === null
        ? null
        : { id: converterId, ms: Math.round(convertMs * 1000) / 1000, of, ...(error === null ? {} : { error: cut(error) }) },
    parts: parts.slice(0, 20).map(({ contentType, data, metadata }) => ({ contentType, data: shown(data, contentType), metadata })),
    ms: Math.round(ms * 1000) / 1000,
    states,
    ...(reason === null ? {} : { reason: cut(reason) }),
  };
}
