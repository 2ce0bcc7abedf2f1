import type { Message } from '#engine/message.ts';
import type { CompiledNode } from '#engine/walk/chain.ts';
import type { Flow, Trip } from '#engine/walk/trip.ts';
import type { Work } from '#engine/work.ts';
import type { NodeStatistics, Statistics } from './statistics.ts';

/**
 * What a walk leaves behind for its journeys: references to what was there anyway, one small object per message and node, and two times per visit. Nothing is
 * copied or made into text before somebody keeps it.
 */

/** How far the lists of a unit of work were filled. */
export interface Marks {
  readonly telemetry: number;
  readonly telemetryRemovals: number;
  readonly attributes: number;
  readonly relations: number;
  readonly docs: number;
  readonly downlinks: number;
}

export interface Written {
  readonly from: Marks;
  readonly to: Marks;
}

/** A node at work on the messages that reached it. */
export interface Visited {
  readonly node: CompiledNode;
  readonly statistics: NodeStatistics;
  readonly messages: number;
  /** One of each message, in their order. */
  readonly steps: Step[];
  /** Of the statistics' clock. */
  readonly startedMs: number;
  durationMs: number;
  /** By all of its messages together. */
  written: Written | null;
}

/** One message at one node. */
export interface Step {
  /** Of the same message, the step before it. */
  readonly before: Step | null;
  readonly visited: Visited;
  readonly message: Message;
  /** Labels by which it went on; null: by none. */
  to: string | readonly string[] | null;
  error: string | null;
  /** By this message alone. */
  written: Written | null;
  /** New messages that the node made of it, but for those that the walk itself goes on with. */
  created: Message[] | null;
}

/** How the way of a message through a walk ended, where it did not end in the chain. */
export type Fate =
  | { readonly is: 'dead'; readonly reason: string }
  /** It comes again. */
  | { readonly is: 'held'; readonly reason: string; readonly until: number }
  /** It stays at the node. */
  | { readonly is: 'kept' }
  /** It goes on in the lane of its new originator. */
  | { readonly is: 'onward' };

/** What one walk did, durable by now. */
export interface Walked {
  readonly flows: readonly Flow[];
  readonly visits: readonly Visited[];
  readonly work: Work;
  /** When it became durable, Unix ms. */
  readonly at: number;
  /** Unix ms at 0 of the clock that steps are timed by. */
  readonly origin: number;
}

const marksOf = (work: Work): Marks => ({
  telemetry: work.telemetry.length,
  telemetryRemovals: work.telemetryRemovals.length,
  attributes: work.attributes.length,
  relations: work.relations.length,
  docs: work.docs.length,
  downlinks: work.downlinks.length,
});

const sizeOf = (work: Work): number =>
  work.telemetry.length + work.telemetryRemovals.length + work.attributes.length + work.relations.length + work.docs.length + work.downlinks.length;

export interface TraceDeps {
  readonly statistics: Statistics;
  /** Takes what a walk left behind; null: nobody keeps it. */
  readonly keep: ((walked: Walked) => void) | null;
  readonly now: () => number;
}

/** Of one walk. */
export class Trace {
  private readonly work: Work;
  private readonly deps: TraceDeps;
  private marks: Marks;
  private size = 0;
  private readonly visits: Visited[] = [];
  private current: Visited | null = null;
  /** The message that the node is working on alone; null: it has several in hand. */
  private alone: Trip | null = null;
  /** Messages that the current node made of several, until it is known of which. */
  private loose: Message[] = [];

  constructor(work: Work, deps: TraceDeps) {
    this.work = work;
    this.deps = deps;
    this.marks = marksOf(work);
  }

  enter(node: CompiledNode, trips: readonly Trip[]): Visited {
    const { statistics, keep } = this.deps;
    const visited: Visited = {
      node,
      statistics: statistics.node(node),
      messages: trips.length,
      steps: [],
      startedMs: statistics.clock(),
      durationMs: 0,
      written: null,
    };
    visited.statistics.arrived += trips.length;
    if (keep) {
      this.visits.push(visited);
      this.current = visited;
      this.alone = trips.length === 1 ? trips[0]! : null;
      for (const trip of trips) {
        trip.step = { before: trip.step, visited, message: trip.message, to: null, error: null, written: null, created: null };
        visited.steps.push(trip.step);
      }
    }
    return visited;
  }

  left(visited: Visited): void {
    const now = this.deps.statistics.clock();
    visited.durationMs = now - visited.startedMs;
    // What an external node takes, the outbox counts.
    if (!visited.node.definition?.send) {
      visited.statistics.times.add(visited.durationMs / visited.messages, visited.messages, now);
    }
    if (this.loose.length > 0) this.attribute(visited);
    this.current = null;
    this.alone = null;
  }

  /** The node has this one message in hand from now on. */
  turnTo(trip: Trip): void {
    this.alone = trip;
  }

  /** This message was worked on: what the work holds more than before is of it. */
  worked(trip: Trip): void {
    const written = this.writtenSince();
    if (written && trip.step) trip.step.written = written;
  }

  /** The same, of all messages of the node at work. */
  workedTogether(): void {
    const written = this.writtenSince();
    if (written && this.current) this.current.written = written;
  }

  private writtenSince(): Written | null {
    const size = sizeOf(this.work);
    if (size === this.size) return null;
    const from = this.marks;
    this.size = size;
    this.marks = marksOf(this.work);
    return { from, to: this.marks };
  }

  /** Something was taken back from the work. */
  rewound(): void {
    this.size = sizeOf(this.work);
    this.marks = marksOf(this.work);
    this.loose = [];
    if (this.alone?.step) this.alone.step.created = null;
  }

  failed(node: CompiledNode, reason: string | undefined): void {
    this.deps.statistics.node(node).failures.add(reason || 'Failure');
  }

  /** A new message of the node at work, into the lanes. */
  created(message: Message): void {
    if (this.current === null) return;
    if (this.alone) noteCreated(this.alone.step, message);
    else this.loose.push(message);
  }

  /** To be called when the work is durable. */
  done(flows: Iterable<Flow>): void {
    const { keep, statistics, now } = this.deps;
    const at = now();
    keep?.({ flows: [...flows], visits: this.visits, work: this.work, at, origin: originAt(at - statistics.clock()) });
  }

  /** A node that had several messages in hand works on them in their order: the first new message of an originator is of its first, and so on. */
  private attribute({ steps }: Visited): void {
    const turns = new Map<string, number>();
    for (const message of this.loose) {
      const { id } = message.originator;
      const own = steps.filter((step) => step.message.originator.id === id);
      const turn = turns.get(id) ?? 0;
      turns.set(id, turn + 1);
      noteCreated(own[Math.min(turn, own.length - 1)] ?? steps[0]!, message);
    }
    this.loose = [];
  }
}

const CLOCK_STEP_MS = 2;

/** The clock of the day has whole milliseconds, too few to keep an order; it is set now and then, and only then counts. */
const originAt = (rough: number): number => (Math.abs(rough - performance.timeOrigin) < CLOCK_STEP_MS ? performance.timeOrigin : rough);

export function noteCreated(step: Step | null, message: Message): void {
  if (!step) return;
  if (step.created) step.created.push(message);
  else step.created = [message];
}
