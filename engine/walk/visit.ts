import { isPassing, NodeStuck } from '#engine/errors.ts';
import type { NodeContext, Outcome } from '#engine/node.ts';
import type { ServiceName } from '#engine/services.ts';
import type { CompiledNode } from './chain.ts';
import { rewindPoint } from './rewind.ts';
import type { Frame, Trip } from './trip.ts';
import type { Walk } from './walk.ts';

/** Nothing that a node of ours waits for takes that long; a node of somebody else's must not stop a lane for ever. */
const NODE_TIMEOUT_MS = 60_000;

type Context = NodeContext<unknown, unknown, ServiceName>;

/** One node working on the messages that reached it. Gives a promise only when the node does: a plain chain costs no microtask per message. */
export class Visit {
  private readonly walk: Walk;
  private readonly frame: Frame;
  private readonly node: CompiledNode;
  private readonly trips: readonly Trip[];

  constructor(walk: Walk, frame: Frame, node: CompiledNode, trips: readonly Trip[]) {
    this.walk = walk;
    this.frame = frame;
    this.node = node;
    this.trips = trips;
  }

  run(): void | Promise<void> {
    const { walk, node } = this;
    walk.current = node;
    if (node.debug) for (const { message, via } of this.trips) walk.debugIn(node, message, via);
    if (node.problem !== null) {
      walk.trace?.failed(node, node.problem);
      for (const trip of this.trips) walk.ends.fail(trip, node, `Rule Node is not active! Failed to initialize. ${node.problem}`);
      return;
    }
    if (this.trips.some((trip) => trip.due !== null)) return this.withTimers();
    return this.work(this.countExecutions(this.trips));
  }

  private work(trips: readonly Trip[]): void | Promise<void> {
    const { walk, frame, node } = this;
    const definition = node.definition!;
    // Files made by hand draw arrows to such a node all the same.
    if (definition.inputs === false) {
      for (const trip of trips) walk.settle(frame, node, trip, []);
      return;
    }
    if (definition.send) {
      for (const trip of trips) walk.keep(frame, node, trip, { kind: 'send', key: definition.target?.(trip.message, node.config) ?? '' });
      return;
    }
    return definition.processBatch ? this.processBatch(trips, this.context()) : this.processEach(trips, this.context());
  }

  private async withTimers(): Promise<void> {
    for (const trip of this.trips) if (trip.due !== null) await this.runTimer(trip, trip.due);
    await this.work(this.countExecutions(this.trips.filter((trip) => trip.due === null)));
  }

  private async runTimer(trip: Trip, key: string): Promise<void> {
    const { walk, node } = this;
    const undo = this.undoPoint();
    try {
      walk.settleTimer(node, trip, (await this.inTime(Promise.resolve(node.definition!.due?.(key, trip.message, this.context())))) ?? []);
    } catch (cause) {
      undo();
      walk.timerThrew(node, trip, cause);
    }
  }

  /** Takes back what the node has put into the unit of work since. */
  private undoPoint(): () => void {
    const rewind = rewindPoint(this.walk.work);
    const callbacks = this.walk.callbacks.length;
    return () => {
      rewind();
      this.walk.callbacks.length = callbacks;
      this.walk.services.forget();
      this.walk.trace?.rewound();
    };
  }

  private context(): Context {
    const { config, info, state, definition } = this.node;
    const services = this.walk.services.of(info.tenantId);
    const context: Record<string, unknown> = { config, node: info, state };
    for (const service of (definition!.needs ?? []) as readonly ServiceName[]) context[service] = services[service];
    return context as Context;
  }

  private countExecutions(trips: readonly Trip[]): readonly Trip[] {
    const limit = this.walk.limits.get(this.node.info.tenantId) ?? 0;
    let over = false;
    for (const trip of trips) if (++trip.executions > limit) over = true;
    if (limit === 0 || !over) return trips;
    return trips.filter((trip) => {
      if (trip.executions <= limit) return true;
      this.walk.ends.bury(trip, this.node, `Message is processed by more than ${limit} rule nodes!`);
      return false;
    });
  }

  private processEach(trips: readonly Trip[], context: Context): void | Promise<void> {
    for (const [index, trip] of trips.entries()) {
      if (trip.frame === null) continue; // held behind an earlier one meanwhile
      let outcome: Outcome | Promise<Outcome>;
      const { trace } = this.walk;
      if (trace) trace.turnTo(trip);
      try {
        outcome = this.node.definition!.process!(trip.message, context);
      } catch (cause) {
        this.walk.trace?.worked(trip);
        this.walk.threw(this.frame, this.node, trip, cause);
        continue;
      }
      if (outcome instanceof Promise) return this.awaitEach(trips.slice(index), outcome, context);
      if (trace) trace.worked(trip);
      this.settle(trip, outcome);
    }
  }

  /** One after the other: two messages of one originator must not overtake each other inside a node. */
  private async awaitEach(trips: readonly Trip[], first: Promise<Outcome>, context: Context): Promise<void> {
    let stuck: NodeStuck | null = null;
    for (const [index, trip] of trips.entries()) {
      if (trip.frame === null) continue;
      let outcome: Outcome;
      const { trace } = this.walk;
      trace?.turnTo(trip);
      try {
        // One that it did not answer is enough: else a lane would wait as often as there are messages.
        if (stuck) throw stuck;
        const asked = index === 0 ? first : this.node.definition!.process!(trip.message, context);
        outcome = asked instanceof Promise ? await this.inTime(asked) : asked;
      } catch (cause) {
        if (cause instanceof NodeStuck) stuck = cause;
        trace?.worked(trip);
        this.walk.threw(this.frame, this.node, trip, cause);
        continue;
      }
      trace?.worked(trip);
      this.settle(trip, outcome);
    }
  }

  private processBatch(trips: readonly Trip[], context: Context): void | Promise<void> {
    if (trips.length === 0) return;
    if (trips.length === 1) this.walk.trace?.turnTo(trips[0]!);
    const undo = this.undoPoint();
    let outcomes: readonly (Outcome | Error)[] | Promise<readonly (Outcome | Error)[]>;
    const failed = (cause: unknown): Promise<void> | void => {
      undo();
      // A peer that is away is so for all of them; anything else may be the fault of one, so each is tried alone.
      if (trips.length > 1 && !isPassing(cause) && !(cause instanceof NodeStuck)) return this.processAlone(trips, context);
      for (const trip of trips) if (trip.frame !== null) this.walk.threw(this.frame, this.node, trip, cause);
    };
    try {
      outcomes = this.node.definition!.processBatch!(
        trips.map((trip) => trip.message),
        context,
      );
    } catch (cause) {
      return failed(cause);
    }
    if (!(outcomes instanceof Promise)) return this.settleBatch(trips, outcomes);
    return this.inTime(outcomes).then((list) => this.settleBatch(trips, list), failed);
  }

  private async processAlone(trips: readonly Trip[], context: Context): Promise<void> {
    for (const trip of trips) if (trip.frame !== null) await this.processBatch([trip], context);
  }

  private settleBatch(trips: readonly Trip[], outcomes: readonly (Outcome | Error)[]): void {
    const { trace } = this.walk;
    if (trace) trips.length === 1 ? trace.worked(trips[0]!) : trace.workedTogether();
    for (const [index, trip] of trips.entries()) {
      if (trip.frame === null) continue;
      const outcome = outcomes[index];
      if (outcome instanceof Error) this.walk.threw(this.frame, this.node, trip, outcome);
      else this.settle(trip, outcome);
    }
  }

  /** What it does after that is in vain: its unit of work is closed by then. */
  private inTime<T>(promise: Promise<T>): Promise<T> {
    const limitMs = this.walk.deps.nodeTimeoutMs ?? NODE_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new NodeStuck(limitMs)), limitMs);
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  private settle(trip: Trip, outcome: Outcome | undefined): void {
    if (outcome === undefined) this.walk.threw(this.frame, this.node, trip, new TypeError(`${this.node.definition!.type} gave no outcome`));
    else this.walk.settle(this.frame, this.node, trip, outcome);
  }
}
