import type { Message } from '#engine/message.ts';
import type { Trip } from '#engine/walk/trip.ts';
import type { Work } from '#engine/work.ts';
import type { Entry, Sink } from './entries.ts';
import {
  cut,
  type EndRecord,
  type MessageRecord,
  madeRecord,
  messageRecord,
  type NodeRecord,
  nodeRecord,
  type Outcome,
  RECORD_CHARS,
  type StepRecord,
  type TripRecord,
  type WalkRecord,
} from './records.ts';
import type { Ring, Rings } from './rings.ts';
import type { NodeStatistics } from './statistics.ts';
import type { Step, Walked } from './trace.ts';
import { wroteRecord } from './wrote.ts';

const MESSAGE_BYTES = 450;
const STEP_BYTES = 120;
const MOST_TRIPS = 100;
const MOST_STEPS = 200;
const MOST_MADE = 50;

/**
 * The messages of one walk, each with the copies that were made of it. A message is kept in the ring of the node on its way that has seen the fewest messages: so
 * what seldom happens is not washed away by what happens all the time.
 */
export class WalkEntry implements Entry {
  bytes = 0;
  private readonly roots: Trip[] = [];
  private readonly rings: Ring[] = [];
  private readonly marks: number[] = [];
  private readonly copies: Map<Trip, Trip[]> | null;
  private readonly walked: Walked;
  /** With each message that is written: its uplink, if that is not written yet. */
  private readonly accompany: (message: Message, ring: Ring, sink: Sink) => void;

  /** @param only messages of which the node that has seen the fewest is such a one. */
  constructor(
    walked: Walked,
    rings: Rings,
    accompany: (message: Message, ring: Ring, sink: Sink) => void,
    only: ((statistics: NodeStatistics) => boolean) | null = null,
  ) {
    this.walked = walked;
    this.accompany = accompany;
    this.copies = copiesOf(walked);
    for (const { trips } of walked.flows) {
      for (const trip of trips) {
        if (trip.parent !== null || trip.due !== null) continue;
        this.add(trip, rings, only);
      }
    }
  }

  get size(): number {
    return this.roots.length;
  }

  private add(root: Trip, rings: Rings, only: ((statistics: NodeStatistics) => boolean) | null): void {
    let bytes = 0;
    let rarest: Step | null = null;
    let least = Number.POSITIVE_INFINITY;
    const copies = this.copies?.get(root);
    for (let i = -1; i < (copies?.length ?? 0); i++) {
      const trip = i < 0 ? root : copies![i]!;
      bytes += MESSAGE_BYTES + trip.entered.data.length;
      let { message } = trip;
      for (let step = trip.step; step; step = step.before) {
        bytes += STEP_BYTES;
        if (step.message !== message) {
          message = step.message;
          bytes += MESSAGE_BYTES + message.data.length;
        }
        const { arrived } = step.visited.statistics;
        if (arrived < least) {
          least = arrived;
          rarest = step;
        }
      }
    }
    if (only && !(rarest && only(rarest.visited.statistics))) return;
    const ring = rarest ? ringOf(rarest, rings) : rings.of(root.entered.tenantId, root.entered.owner, root.entered.owner);
    this.roots.push(root);
    this.rings.push(ring);
    // What is cut from its record takes no room.
    this.marks.push(rings.assign(ring, Math.min(bytes, RECORD_CHARS)));
    this.bytes += bytes;
  }

  write(i: number, sink: Sink): void {
    const ring = this.rings[i]!;
    if (!sink.wants(ring, this.marks[i]!)) return;
    const root = this.roots[i]!;
    this.accompany(root.entered, ring, sink);
    sink.put(ring, walkRecord([root, ...(this.copies?.get(root) ?? [])], this.walked));
  }
}

function ringOf({ visited: { statistics } }: Step, rings: Rings): Ring {
  if (statistics.ring === null || statistics.ring.gone) {
    const { tenantId, chainId, id } = statistics.info;
    statistics.ring = rings.of(tenantId, chainId, id);
  }
  return statistics.ring;
}

function copiesOf({ flows }: Walked): Map<Trip, Trip[]> | null {
  let copies: Map<Trip, Trip[]> | null = null;
  for (const { trips } of flows) {
    // They stand at the end.
    for (let i = trips.length - 1; i >= 0 && trips[i]!.parent !== null; i--) {
      let root = trips[i]!;
      while (root.parent) root = root.parent;
      copies ??= new Map();
      const list = copies.get(root);
      if (list) list.push(trips[i]!);
      else copies.set(root, [trips[i]!]);
    }
  }
  if (copies) for (const list of copies.values()) list.reverse();
  return copies;
}

/** @param trips the message itself, and its copies in the order in which they were made. */
export function walkRecord(trips: readonly Trip[], { work, origin, at: doneAt }: Pick<Walked, 'work' | 'origin' | 'at'>): WalkRecord {
  const root = trips[0]!;
  const nodes = new Places<NodeRecord>();
  const messages = new Places<MessageRecord>();
  const written: { readonly trip: Trip; readonly steps: readonly Step[]; readonly record: TripRecord }[] = [];
  let chars = 0;
  const placeOf = (message: Message): number => {
    const place = messages.find(message);
    if (place >= 0) return place;
    const record = messageRecord(message);
    chars += record.data.length + 300;
    return messages.add(message, record);
  };
  for (const trip of trips) {
    if (written.length >= MOST_TRIPS || (chars > RECORD_CHARS && written.length > 0)) break;
    const origins = trip.madeIn && trip.parent && placeIn(written, trip.parent, trip.madeIn);
    if (trip !== root && !origins) continue;
    const { list, records } = stepsOf(trip, work, origin, nodes, placeOf);
    chars += records.reduce((sum, step) => sum + 150 + (step.wrote ? JSON.stringify(step.wrote).length : 0), 0);
    const record: TripRecord = {
      id: trip.entered.id,
      ...(origins ? { of: origins } : {}),
      steps: records,
      last: placeOf(trip.message),
      end: endOf(trip),
    };
    written.push({ trip, steps: list, record });
  }
  const first = written[0]!.steps[0];
  return {
    k: 'walk',
    at: first ? at(origin, first.visited.startedMs) : doneAt,
    id: root.entered.id,
    owner: root.entered.owner,
    outcome: outcomeOf(trips),
    nodes: nodes.list,
    messages: messages.list,
    trips: written.map(({ record }) => record),
    ...(written.length < trips.length ? { more: trips.length - written.length } : {}),
  };
}

function stepsOf(
  trip: Trip,
  work: Work,
  origin: number,
  nodes: Places<NodeRecord>,
  placeOf: (message: Message) => number,
): { list: Step[]; records: StepRecord[] } {
  const list: Step[] = [];
  for (let step = trip.step; step; step = step.before) list.push(step);
  list.reverse();
  // A message in a circle: how it began is enough.
  if (list.length > MOST_STEPS) list.length = MOST_STEPS;
  const records = list.map((step): StepRecord => {
    const { visited, to, error, created } = step;
    const { node, startedMs, durationMs, messages: of } = visited;
    const wrote = wroteRecord(step, work);
    return {
      node: nodes.find(node) >= 0 ? nodes.find(node) : nodes.add(node, nodeRecord(node)),
      message: placeOf(step.message),
      at: at(origin, startedMs),
      ms: rounded(durationMs),
      of,
      to: typeof to === 'string' ? [to] : to,
      ...(error ? { error: cut(error) } : {}),
      ...(wrote ? { wrote } : {}),
      ...(created ? { made: created.slice(0, MOST_MADE).map(madeRecord) } : {}),
    };
  });
  return { list, records };
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;
const at = (origin: number, ms: number): number => rounded(origin + ms);

function placeIn(
  written: readonly { readonly trip: Trip; readonly steps: readonly Step[] }[],
  parent: Trip,
  madeIn: Step,
): readonly [number, number] | null {
  const trip = written.findIndex((each) => each.trip === parent);
  if (trip < 0) return null;
  const step = written[trip]!.steps.indexOf(madeIn);
  return step < 0 ? null : [trip, step];
}

function endOf({ fate, effect }: Trip): EndRecord {
  if (!fate) return { is: effect ? 'stored' : 'filtered' };
  if (fate.is === 'dead') return { is: 'dead', reason: cut(fate.reason) };
  if (fate.is === 'held') return { is: 'held', reason: cut(fate.reason), until: fate.until };
  return { is: fate.is };
}

/** Of the message with all its copies. */
function outcomeOf(trips: readonly Trip[]): Outcome {
  if (trips.some(({ fate }) => fate?.is === 'dead')) return 'dead';
  if (trips.some(({ fate }) => fate !== null)) return 'inFlight';
  return trips.some(({ effect }) => effect) ? 'stored' : 'filtered';
}

/** A list in which each thing stands once. */
class Places<R> {
  readonly list: R[] = [];
  private readonly keys: object[] = [];

  find(key: object): number {
    return this.keys.indexOf(key);
  }

  add(key: object, record: R): number {
    this.keys.push(key);
    return this.list.push(record) - 1;
  }
}
