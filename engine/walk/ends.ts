import type { Fate } from '#engine/capture/trace.ts';
import { type AppError, NodeStuck, Timeout } from '#engine/errors.ts';
import { withChanges } from '#engine/message.ts';
import type { Work } from '#engine/work.ts';
import type { CompiledNode } from './chain.ts';
import { bury, type EmitDeps } from './emit.ts';
import { FailureShare, pauseBefore, type QueuePolicy } from './policy.ts';
import { asEntered, byArrival, isEarlier, type Trip, unqueue } from './trip.ts';

/** A message is held after failures of the kind that pass: 1 s, then twice as long each time. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
const MAX_ATTEMPTS = 10;

/** How the messages of one walk end: acknowledged, held for another try, or as dead letters (rule-nodes §4.3, §4.8). */
export class Ends {
  private readonly work: Work;
  private readonly now: number;
  private readonly deps: EmitDeps;
  private readonly acknowledged: Trip[] = [];
  private readonly failures = new FailureShare();

  constructor(work: Work, now: number, deps: EmitDeps) {
    this.work = work;
    this.now = now;
    this.deps = deps;
  }

  /** A message of this queue is in the batch. */
  entered(policy: QueuePolicy): void {
    this.failures.count(policy);
  }

  /** When all of them have ended: only then it is known which had an effect. */
  count(): void {
    for (const { entered, effect } of this.acknowledged) {
      this.work.count(entered.tenantId, entered.owner, effect ? 'messages.stored' : 'messages.filtered');
    }
  }

  /** Acknowledged: stored or filtered, which its copies may still decide. */
  end(trip: Trip): void {
    this.acknowledged.push(trip);
    this.finish(trip);
  }

  /** The message failed as a whole: its queue says whether it is tried again. */
  fail(trip: Trip, node: CompiledNode, reason: string, cause?: unknown): void {
    const pauseMs = trip.acknowledged ? null : pauseBefore(trip.policy, trip.entered, cause instanceof Timeout || cause instanceof NodeStuck);
    if (pauseMs !== null && !this.failures.tooMany(trip.policy)) this.hold(trip, pauseMs, reason);
    else this.bury(trip, node, reason);
  }

  /** It failed in a way that passes: it is tried again with growing pauses, some times. */
  wait(trip: Trip, node: CompiledNode, cause: AppError): void {
    const { attempts } = trip.entered;
    if (attempts < MAX_ATTEMPTS) this.hold(trip, Math.min(FIRST_PAUSE_MS * 2 ** attempts, LONGEST_PAUSE_MS), cause.message);
    else this.fail(trip, node, cause.message, cause);
  }

  /** The message comes again later, and so do all later ones of its originator, which are taken off their ways. */
  private hold(trip: Trip, pauseMs: number, reason: string): void {
    const notBefore = this.now + pauseMs;
    const message = asEntered(trip);
    this.work.held.push({ message: withChanges(message, { attempts: message.attempts + 1 }), notBefore });
    this.finish(trip, { is: 'held', reason, until: notBefore });
    for (const other of trip.flow.trips.filter((later) => later.frame !== null && isEarlier(trip, later)).sort(byArrival)) {
      if (other.queued) unqueue(other);
      this.work.held.push({ message: asEntered(other), notBefore });
      this.finish(other, { is: 'held', reason: 'behind an earlier message of its originator', until: notBefore });
    }
  }

  /** Dead letter, with the message as it can be taken up again. */
  bury(trip: Trip, node: CompiledNode | null, reason: string): void {
    bury(this.work, asEntered(trip), reason, node, this.deps);
    this.finish(trip, { is: 'dead', reason });
  }

  /** Its way through this walk is over. */
  finish(trip: Trip, fate: Fate | null = null): void {
    trip.fate = fate;
    trip.frame = null;
    trip.flow.live--;
  }
}
