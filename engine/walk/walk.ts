import { type Fate, noteCreated, type Step, type Trace } from '#engine/capture/trace.ts';
import { errorText, isPassing } from '#engine/errors.ts';
import { type Message, type StackFrame, withChanges } from '#engine/message.ts';
import type { Emission, Outcome } from '#engine/node.ts';
import { type Batch, laneOf } from '#engine/queue.ts';
import type { BatchServices } from '#engine/services/batch.ts';
import type { Kept } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import type { CompiledChain, CompiledNode, Link } from './chain.ts';
import { budgetNotice, type DebugBudget, debugsAll, nodeEvent } from './debug.ts';
import { bury, emitBehind, emitLater } from './emit.ts';
import { Ends } from './ends.ts';
import { SKIPPING } from './policy.ts';
import type { RunnerDeps } from './run.ts';
import { asEntered, childFrame, type Flow, type Frame, newFrame, pushTrip, type Trip, takeReady } from './trip.ts';
import { Visit } from './visit.ts';

/** Copies that one walk carries itself; what forks make beyond goes through the lane, so that no chain of forks outgrows the memory. */
const MAX_COPIES = 10_000;
const NO_LINKS: readonly Link[] = [];
const NO_RANK: readonly number[] = [];
const ONWARD: Fate = { is: 'onward' };
const KEPT: Fate = { is: 'kept' };
const UNTRACED = { step: null, madeIn: null, fate: null };
const isFailure = (label: string): boolean => label === 'Failure' || label.toLowerCase() === 'failure';

/**
 * A batch on its way through the chains, into one unit of work (rule-nodes §4).
 * The nodes of a chain are visited in topological order, so that each works once on all messages that reach it, in order of arrival. A message that would touch
 * what an earlier one of its originator may still touch waits for the next pass (`takeReady`): order per originator holds for effects too.
 */
export class Walk {
  readonly work: Work;
  readonly deps: RunnerDeps;
  readonly limits: ReadonlyMap<string, number>;
  readonly services: BatchServices;
  readonly now: number;
  /** Registered with the work at the end: until then a node's part can be taken back. */
  readonly callbacks: (() => void)[] = [];
  /** The node at work, for the debug events of what it puts into the lanes. */
  current: CompiledNode | null = null;
  readonly trace: Trace | null;
  readonly ends: Ends;
  private readonly batch: Batch;
  private readonly debugBudget: DebugBudget;
  private readonly frames = new Map<string, Frame>();
  private readonly flows = new Map<string, Flow>();
  private isDurable = false;
  private copies = 0;
  private visits = 0;

  constructor(batch: Batch, work: Work, limits: ReadonlyMap<string, number>, debugBudget: DebugBudget, deps: RunnerDeps) {
    this.batch = batch;
    this.work = work;
    this.limits = limits;
    this.debugBudget = debugBudget;
    this.deps = deps;
    this.now = deps.now();
    this.trace = deps.trace?.(work) ?? null;
    this.ends = new Ends(work, this.now, deps);
    this.services = deps.services(work, {
      enqueued: (message) => {
        this.debugOut(this.current, message, 'To Root Rule Chain');
        this.trace?.created(message);
      },
      // What a late answer does (`later`) comes when everything is durable already.
      afterCommit: (callback) => (this.isDurable ? callback() : void this.callbacks.push(callback)),
    });
  }

  async run(): Promise<void> {
    await this.enter();
    const frames = [...this.frames.values()];
    while (frames.some((frame) => frame.waiting > 0)) {
      const { visits } = this;
      for (const frame of frames) if (frame.waiting > 0) await this.pass(frame);
      // The earliest message of an originator never waits, so this can not be; if it were, the lane should hear of it.
      if (visits === this.visits) throw new Error('A walk through rule chains stands still');
    }
    this.ends.count();
    this.work.afterCommit(() => {
      this.isDurable = true;
    });
    for (const callback of this.callbacks) this.work.afterCommit(callback);
    const toSend = this.work.kept.filter(({ kind }) => kind === 'send');
    if (toSend.length > 0) this.work.afterCommit(() => this.deps.toSend?.(toSend));
    if (this.trace) this.work.afterCommit(() => this.trace!.done(this.flows.values()));
  }

  private async enter(): Promise<void> {
    for (const [root, message] of this.batch.messages.entries()) {
      const originatorId = message.originator.id;
      let flow = this.flows.get(originatorId);
      if (!flow) {
        flow = { originatorId, trips: [], head: 0, live: 0, here: 0, going: null, blocked: false };
        this.flows.set(originatorId, flow);
      }
      const known = this.deps.policy?.(message) ?? SKIPPING;
      const policy = known instanceof Promise ? await known : known;
      this.ends.entered(policy);
      const { executions, effect } = message;
      const base = { message, entered: message, entry: null, flow, root, rank: NO_RANK, serial: 0, parent: null, executions, effect, policy };
      const trip: Trip = { ...base, acknowledged: false, frame: null, node: null, queued: false, via: '', due: message.at?.due ?? null, ...UNTRACED };
      flow.trips.push(trip);
      flow.live++;
      if (message.at?.due !== undefined) await this.checkTimer(message, message.at.nodeId, message.at.due);
      if (message.at) this.resume(trip, message.at.chainId, message.at.nodeId, message.at.labels);
      else {
        const found = this.deps.chains.entry(message);
        const chain = found instanceof Promise ? await found : found;
        if (!chain) this.ends.bury(trip, null, 'No Root Rule Chain available!');
        else if (!chain.first) this.ends.end(trip);
        else pushTrip(this.frameOf(chain, message.stack), chain.first, trip, '');
      }
    }
  }

  /** What a node kept is not lost when the node is deleted before its time. */
  private async checkTimer({ tenantId, at }: Message, nodeId: string | null, key: string): Promise<void> {
    if (nodeId === null || this.deps.chains.get(tenantId, at!.chainId)?.byId.has(nodeId)) return;
    for (const message of await this.services.of(tenantId).kept.list(nodeId, key)) {
      this.work.keptRemovals.push({ tenantId, nodeId, key, messageId: message.id });
      bury(this.work, message, 'The rule node that kept it does not exist any more', null, this.deps);
    }
  }

  /** A message that stood somewhere in a chain. What is gone since then acknowledges it (rule-nodes §4.1). */
  private resume(trip: Trip, chainId: string, nodeId: string | null, labels: readonly string[] | null): void {
    const chain = this.deps.chains.get(trip.message.tenantId, chainId);
    const node = nodeId === null ? chain?.first : chain?.byId.get(nodeId);
    if (!chain || !node) {
      this.ends.end(trip);
      return;
    }
    const frame = this.frameOf(chain, trip.message.stack);
    if (labels) this.leave(frame, node, trip, labels);
    else pushTrip(frame, node, trip, '');
  }

  /** The frame of a chain with this stack, inside the frames of its callers as far as they still exist. */
  private frameOf(chain: CompiledChain, stack: readonly StackFrame[]): Frame {
    const top = stack.at(-1);
    if (top) {
      const calling = this.deps.chains.get(chain.tenantId, top.chainId);
      const caller = calling?.byId.get(top.nodeId);
      if (calling && caller) return childFrame(this.frameOf(calling, stack.slice(0, -1)), caller, chain);
    }
    const key = chain.id + stack.map((frame) => frame.nodeId).join();
    let frame = this.frames.get(key);
    if (!frame) {
      frame = newFrame(chain, stack);
      this.frames.set(key, frame);
    }
    return frame;
  }

  private async pass(frame: Frame): Promise<void> {
    const { nodes } = frame.chain;
    for (let place = 0; place < nodes.length && frame.waiting > 0; place++) {
      const inbox = frame.inboxes[place];
      if (inbox && inbox.trips.length > 0) {
        const ready = takeReady(frame, nodes[place]!);
        if (ready.length > 0) {
          this.visits++;
          const visited = this.trace?.enter(nodes[place]!, ready);
          const running = new Visit(this, frame, nodes[place]!, ready).run();
          if (running) await running;
          if (visited) this.trace!.left(visited);
        }
      }
      const children = frame.children[place];
      if (children) for (const child of children.values()) if (child.waiting > 0) await this.pass(child);
    }
  }

  /** What a node said about one message. */
  settle(frame: Frame, node: CompiledNode, trip: Trip, outcome: Outcome): void {
    if (typeof outcome === 'string') {
      if (node.definition!.effect && !isFailure(outcome)) markEffect(trip);
      this.route(frame, node, trip, outcome);
    } else if (Array.isArray(outcome)) {
      this.settleList(frame, node, trip, outcome);
    } else if ('to' in outcome) this.send(frame, node, trip, outcome);
    else if ('call' in outcome) this.call(frame, node, trip, outcome.call, outcome.message);
    else if ('return' in outcome) {
      if (frame.parent && frame.caller) this.route(frame.parent, frame.caller, trip, outcome.return);
      else {
        this.debugOut(node, trip.message, 'ACK');
        this.ends.end(trip);
      }
    } else if ('requeue' in outcome) this.requeue(frame, node, trip, outcome.requeue);
    else if ('keep' in outcome) {
      this.debugOut(node, trip.message, 'ACK');
      this.keep(frame, node, trip, { kind: 'own', key: outcome.keep });
    } else this.answerLater(frame, node, trip, (outcome as { later: () => Promise<readonly Emission[]> }).later);
  }

  private settleList(frame: Frame, node: CompiledNode, trip: Trip, list: readonly Emission[]): void {
    if (list.length === 1) {
      this.send(frame, node, trip, list[0]!);
      return;
    }
    this.debugOut(node, trip.message, 'ACK');
    if (trip.step && list.length > 0) trip.step.to = list.flatMap(({ to }) => to);
    for (const [index, emission] of list.entries()) {
      const labels = typeof emission.to === 'string' ? [emission.to] : emission.to;
      const copy = this.copy(trip, emission.message ?? trip.message, { frame, node, labels }, index);
      if (copy) this.send(frame, node, copy, { ...emission, message: undefined });
    }
    this.ends.end(trip);
  }

  private send(frame: Frame, node: CompiledNode, trip: Trip, { to, message, error, effect, acknowledge }: Emission): void {
    const labels = typeof to === 'string' ? [to] : to;
    if (acknowledge) {
      trip.acknowledged = true;
      this.debugOut(node, trip.message, 'ACK');
    }
    if (message) trip.message = message;
    if ((effect ?? node.definition!.effect) && labels.some((label) => !isFailure(label))) markEffect(trip);
    if (labels.length === 1) this.route(frame, node, trip, labels[0]!, error);
    else {
      for (const label of labels) this.debugOut(node, trip.message, label, error);
      if (trip.step) this.took(trip.step, labels, error);
      if (labels.some(isFailure)) this.trace?.failed(node, error);
      this.leave(frame, node, trip, labels, error);
    }
  }

  /** By one label; the one way out that every plain node takes. */
  route(frame: Frame, node: CompiledNode, trip: Trip, label: string, error?: string, cause?: unknown): void {
    if (node.debug) this.debugOut(node, trip.message, label, error);
    if (trip.step) this.took(trip.step, label, error);
    const links = node.targets.get(label) ?? node.targets.get(label.toLowerCase()) ?? NO_LINKS;
    const failed = isFailure(label);
    if (failed) this.trace?.failed(node, error);
    this.follow(frame, node, trip, links, failed, error, cause);
  }

  private took(step: Step, to: string | readonly string[], error: string | undefined): void {
    step.to = to;
    if (error !== undefined) step.error = error;
  }

  /** By several labels; nothing is told to the debugger. */
  private leave(frame: Frame, node: CompiledNode, trip: Trip, labels: readonly string[], error?: string): void {
    const links = [...new Set(labels.map((label) => label.toLowerCase()))].flatMap((label) => node.targets.get(label) ?? NO_LINKS);
    this.follow(frame, node, trip, links, labels.some(isFailure), error);
  }

  private follow(frame: Frame, node: CompiledNode, trip: Trip, links: readonly Link[], failed: boolean, error?: string, cause?: unknown): void {
    if (links.length === 1) this.forward(frame, links[0]!, trip);
    else if (links.length > 1) {
      for (const link of links) {
        const copy = this.copy(trip, trip.message, { frame, node: link.target, labels: null });
        if (copy) this.forward(frame, link, copy);
      }
      this.ends.end(trip);
    } else if (!failed) this.ends.end(trip);
    else if (isPassing(cause) && !trip.acknowledged) this.ends.wait(trip, node, cause);
    else this.ends.fail(trip, node, error || 'Failure', cause);
  }

  private forward(frame: Frame, { target, label }: Link, trip: Trip): void {
    const { originator } = trip.message;
    if (originator.id !== trip.flow.originatorId && laneOf(originator.id, this.deps.lanes) !== this.batch.lane) {
      this.work.messages.push(this.onItsWay(trip, frame, { chainId: frame.chain.id, nodeId: target.info.id, labels: null }));
      this.ends.finish(trip, ONWARD);
    } else pushTrip(frame, target, trip, label);
  }

  /** As a lane keeps it. */
  private onItsWay({ message, entered, executions, effect }: Trip, frame: Frame, at: Message['at'], changes: Partial<Message> = {}): Message {
    return withChanges(message, { at, stack: frame.stack, executions, effect, owner: entered.owner, attempts: 0, ...changes });
  }

  /** A new message made of one. null: this walk has too many already, the lane has it now. */
  private copy(trip: Trip, message: Message, entry: Omit<NonNullable<Trip['entry']>, 'executions'>, place?: number): Trip | null {
    const { flow, root, rank, executions, effect, policy } = trip;
    const copied = withChanges(message, { id: this.deps.newId(), owner: trip.entered.owner });
    this.work.count(copied.tenantId, copied.owner, 'messages.created');
    const copy: Trip = {
      ...{ message: copied, entered: copied, entry: { ...entry, executions }, flow, root, rank: place === undefined ? rank : [...rank, place] },
      ...{
        serial: ++this.copies,
        parent: trip,
        executions,
        effect,
        policy,
        acknowledged: false,
        frame: entry.frame,
        node: entry.node,
        queued: false,
        via: '',
        due: null,
        ...UNTRACED,
        madeIn: trip.step,
      },
    };
    if (this.copies > MAX_COPIES) {
      this.work.messages.push(asEntered(copy));
      noteCreated(trip.step, copied);
      return null;
    }
    flow.trips.push(copy);
    flow.live++;
    return copy;
  }

  private call(frame: Frame, node: CompiledNode, trip: Trip, chainId: string, message?: Message): void {
    if (frame.stack.some((calling) => calling.chainId === frame.chain.id && calling.nodeId === node.info.id)) {
      const { name, chainName } = node.info;
      this.route(frame, node, trip, 'Failure', `Detected rule chain processing loop: '${name}' of '${chainName}' already waits for this message.`);
      return;
    }
    if (message) trip.message = message;
    this.debugOut(node, trip.message, 'ACK');
    const chain = this.deps.chains.get(trip.message.tenantId, chainId);
    if (chain?.first) pushTrip(childFrame(frame, node, chain), chain.first, trip, '');
    else this.ends.end(trip);
  }

  private requeue(frame: Frame, node: CompiledNode, trip: Trip, queueName: string | null): void {
    this.debugOut(node, trip.message, 'ACK');
    this.debugOut(node, trip.message, 'Success');
    const at = { chainId: frame.chain.id, nodeId: node.info.id, labels: ['Success'] };
    const copy = this.onItsWay(trip, frame, at, { id: this.deps.newId(), queueName });
    this.work.messages.push(copy);
    this.work.count(copy.tenantId, copy.owner, 'messages.created');
    noteCreated(trip.step, copy);
    this.ends.end(trip);
  }

  private answerLater(frame: Frame, node: CompiledNode, trip: Trip, later: () => Promise<readonly Emission[]>): void {
    this.debugOut(node, trip.message, 'ACK');
    const basis = this.onItsWay(trip, frame, null);
    this.callbacks.push(() => {
      const answered = emitLater(node, basis, later, this.deps);
      this.deps.late?.(answered);
    });
    this.ends.end(trip);
  }

  /** The message stays at the node: beside the lane, and still in flight. */
  keep(frame: Frame, node: CompiledNode, trip: Trip, { kind, key }: Pick<Kept, 'kind' | 'key'>): void {
    const message = this.onItsWay(trip, frame, { chainId: frame.chain.id, nodeId: node.info.id, labels: null });
    this.work.kept.push({ message, nodeId: node.info.id, kind, key, keptAt: this.now, attempts: 0, reason: null });
    this.ends.finish(trip, KEPT);
  }

  /** What a timer of the node gave goes through the lanes; the timer itself is over. */
  settleTimer(node: CompiledNode, trip: Trip, emissions: readonly Emission[]): void {
    emitBehind(node, emissions, null, this.work, this.deps);
    this.ends.end(trip);
  }

  /** A timer comes again while what it needs is away; else it is a dead letter, and requeued it runs again. */
  timerThrew(node: CompiledNode, trip: Trip, cause: unknown): void {
    this.tellBug(node, cause);
    if (isPassing(cause)) this.ends.wait(trip, node, cause);
    else this.ends.bury(trip, node, errorText(cause));
  }

  /** A node threw: `Failure`, with the error's text or, where it has none, its class (trap T7). */
  threw(frame: Frame, node: CompiledNode, trip: Trip, cause: unknown): void {
    this.tellBug(node, cause);
    const text = cause instanceof Error ? cause.message || cause.constructor.name : errorText(cause);
    this.route(frame, node, trip, 'Failure', text, cause);
  }

  private tellBug(node: CompiledNode, cause: unknown): void {
    if (isBug(cause)) this.deps.log.error({ err: cause, node: node.info.id, chain: node.info.chainId }, `bug in rule node ${node.definition!.type}`);
  }

  debugOut(node: CompiledNode | null, message: Message, relation: string, error?: string): void {
    if (!node?.debug) return;
    if (!debugsAll(node, this.now) && !(node.debug.failuresEnabled && isFailure(relation))) return;
    this.tell(node, { type: 'OUT', message, relation, error });
  }

  debugIn(node: CompiledNode, message: Message, relation: string): void {
    if (debugsAll(node, this.now)) this.tell(node, { type: 'IN', message, relation });
  }

  private tell(node: CompiledNode, step: Parameters<typeof nodeEvent>[1]): void {
    const { now } = this;
    const budget = this.debugBudget.take(node.info.tenantId, now);
    if (budget === 'no') return;
    const event = { id: this.deps.newId(), now, server: this.deps.server };
    this.work.events.push(budget === 'yes' ? nodeEvent(node, step, event) : budgetNotice(node, event));
  }
}

function markEffect(trip: Trip): void {
  for (let at: Trip | null = trip; at && !at.effect; at = at.parent) at.effect = true;
}

const isBug = (cause: unknown): boolean =>
  cause instanceof TypeError || cause instanceof RangeError || cause instanceof ReferenceError || cause instanceof SyntaxError;
