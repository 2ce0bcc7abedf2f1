import type { Fate, Step } from '#engine/capture/trace.ts';
import { type Message, type StackFrame, withChanges } from '#engine/message.ts';
import type { CompiledChain, CompiledNode } from './chain.ts';
import type { QueuePolicy } from './policy.ts';

/** All messages of a batch that came with one originator: among them order is kept. */
export interface Flow {
  readonly originatorId: string;
  /** In order of arrival, copies at the end; finished ones stay. */
  readonly trips: Trip[];
  /** Trips before it are finished. */
  head: number;
  /** Trips under way. */
  live: number;
  /** Of these, in the inbox that is being looked at. */
  here: number;
  /** The first of them that may go. */
  going: Trip | null;
  /** One of them has to wait there, and so have all later ones. */
  blocked: boolean;
}

/** One message on its way through the chains of a walk. */
export interface Trip {
  message: Message;
  /** As it was when it could last be taken up again: from the lane, or when it was copied. */
  readonly entered: Message;
  /** Where a copy came into being: before `node`, or behind it by `labels`. null: it came from the lane. */
  readonly entry: {
    readonly frame: Frame;
    readonly node: CompiledNode;
    readonly labels: readonly string[] | null;
    readonly executions: number;
  } | null;
  readonly flow: Flow;
  /** Place in the batch of the message that it stems from. */
  readonly root: number;
  /** Its places in the lists of messages that nodes made of one. */
  readonly rank: readonly number[];
  /** Place among all copies. */
  readonly serial: number;
  readonly parent: Trip | null;
  executions: number;
  effect: boolean;
  /** Of its queue. */
  readonly policy: QueuePolicy;
  acknowledged: boolean;
  /** Where it stands; null when its walk is over. */
  frame: Frame | null;
  node: CompiledNode | null;
  /** In the inbox of that node, not being worked on. */
  queued: boolean;
  /** Label by which it came there. */
  via: string;
  /** It is no message on its way but a timer of the node where it enters. */
  readonly due: string | null;
  /** Its last step, for journeys; null: none yet, or nobody keeps them. */
  step: Step | null;
  /** The step that a copy was made in. */
  readonly madeIn: Step | null;
  fate: Fate | null;
}

export interface Inbox {
  trips: Trip[];
  sorted: boolean;
}

/** A chain being walked for messages with the same stack. */
export interface Frame {
  readonly chain: CompiledChain;
  readonly stack: readonly StackFrame[];
  /** The chain that called it, where it still exists as it did, and the calling node. */
  readonly parent: Frame | null;
  readonly caller: CompiledNode | null;
  /** Bits (`CompiledNode.reach`) of what may follow when its messages return. */
  readonly after: number;
  readonly inboxes: (Inbox | undefined)[];
  /** Called chains by the order of the calling node. */
  readonly children: (Map<string, Frame> | undefined)[];
  /** Trips in its inboxes and those of its children. */
  waiting: number;
}

export function newFrame(chain: CompiledChain, stack: readonly StackFrame[], parent: Frame | null = null, caller: CompiledNode | null = null): Frame {
  const after = (parent?.after ?? 0) | (caller?.behind ?? 0);
  return { chain, stack, parent, caller, after, inboxes: new Array(chain.nodes.length), children: new Array(chain.nodes.length), waiting: 0 };
}

/** The frame of `chain` as called by `caller` of `frame`. */
export function childFrame(frame: Frame, caller: CompiledNode, chain: CompiledChain): Frame {
  let children = frame.children[caller.order];
  if (!children) {
    children = new Map();
    frame.children[caller.order] = children;
  }
  let child = children.get(chain.id);
  if (!child) {
    child = newFrame(chain, [...frame.stack, { chainId: frame.chain.id, nodeId: caller.info.id }], frame, caller);
    children.set(chain.id, child);
  }
  return child;
}

/** Did `a` arrive before `b`? Copies for several targets are of one time. */
export function isEarlier(a: Trip, b: Trip): boolean {
  return a.root !== b.root ? a.root < b.root : byRank(a.rank, b.rank) < 0;
}

export const byArrival = (a: Trip, b: Trip): number => a.root - b.root || byRank(a.rank, b.rank) || a.serial - b.serial;

function byRank(a: readonly number[], b: readonly number[]): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/** The message as it goes back to a lane, to start where its trip did. */
export function asEntered({ entered, entry, effect }: Trip): Message {
  if (!entry) return effect === entered.effect ? entered : withChanges(entered, { effect });
  const at = { chainId: entry.frame.chain.id, nodeId: entry.node.info.id, labels: entry.labels };
  return withChanges(entered, { at, stack: entry.frame.stack, executions: entry.executions, effect });
}

export function pushTrip(frame: Frame, node: CompiledNode, trip: Trip, via: string): void {
  let inbox = frame.inboxes[node.order];
  if (!inbox) {
    inbox = { trips: [], sorted: true };
    frame.inboxes[node.order] = inbox;
  }
  const last = inbox.trips.at(-1);
  if (last && inbox.sorted && byArrival(last, trip) > 0) inbox.sorted = false;
  inbox.trips.push(trip);
  trip.frame = frame;
  trip.node = node;
  trip.queued = true;
  trip.via = via;
  addWaiting(frame, 1);
}

/** Trips before `node` that may go now, in order of arrival; the others stay in the inbox. */
export function takeReady(frame: Frame, node: CompiledNode): Trip[] {
  const inbox = frame.inboxes[node.order]!;
  const { trips } = inbox;
  if (!inbox.sorted) trips.sort(byArrival);
  inbox.trips = [];
  inbox.sorted = true;
  const own = node.touches;
  const ready = own === 0 ? trips : inOrder(trips, inbox, own, (own & (node.behind | frame.after)) !== 0);
  for (const trip of ready) trip.queued = false;
  addWaiting(frame, -ready.length);
  return ready;
}

/**
 * Those before whom no earlier message of the same originator may still touch what the node touches. Compared with running one message after the other, all that
 * messages of an originator do to one service happens in the same order; only what does not meet is done side by side.
 * @param again what the node touches may be touched once more behind it: then one message of an originator at a time.
 */
function inOrder(trips: readonly Trip[], inbox: Inbox, own: number, again: boolean): Trip[] {
  const ready: Trip[] = [];
  for (const { flow } of trips) {
    flow.here = 0;
    flow.going = null;
    flow.blocked = false;
  }
  for (const { flow } of trips) flow.here++;
  for (const trip of trips) {
    const { flow } = trip;
    const isBlocked = flow.blocked || (again && flow.going !== null && isEarlier(flow.going, trip)) || (flow.live > flow.here && mustWait(trip, own));
    if (isBlocked) {
      flow.blocked = true;
      inbox.trips.push(trip);
    } else {
      flow.going ??= trip;
      ready.push(trip);
    }
  }
  return ready;
}

/** Is an earlier message of the originator elsewhere, with some of this still before it? */
function mustWait(trip: Trip, own: number): boolean {
  const { flow } = trip;
  while (flow.trips[flow.head]?.frame === null) flow.head++;
  for (let i = flow.head; i < flow.trips.length; i++) {
    const other = flow.trips[i]!;
    if (other.frame === null || (other.node === trip.node && other.frame === trip.frame)) continue;
    if (((other.node!.reach | other.frame.after) & own) !== 0 && isEarlier(other, trip)) return true;
  }
  return false;
}

/** Takes a trip out of the inbox it waits in. */
export function unqueue(trip: Trip): void {
  const inbox = trip.frame!.inboxes[trip.node!.order]!;
  inbox.trips = inbox.trips.filter((queued) => queued !== trip);
  addWaiting(trip.frame!, -1);
}

function addWaiting(frame: Frame, count: number): void {
  for (let at: Frame | null = frame; at; at = at.parent) at.waiting += count;
}
