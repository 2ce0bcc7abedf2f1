import { type Journey, journeyOf } from '#engine/capture/journey.ts';
import { type CaptureRecord, madeRecord, messageRecord, nodeRecord } from '#engine/capture/records.ts';
import { Statistics } from '#engine/capture/statistics.ts';
import { Trace } from '#engine/capture/trace.ts';
import { walkRecord } from '#engine/capture/walk-entry.ts';
import type { Message } from '#engine/message.ts';
import type { CompiledNode } from '../chain.ts';
import type { Flow, Trip } from '../trip.ts';
import type { Recorder } from './effects.ts';
import type { DryWork } from './work.ts';

/** Thrown between two nodes: the dry run is at one of its limits. */
export class Stopped extends Error {}

export interface Budget {
  /** @throws Stopped */
  spend(messages: number, chars: number): void;
}

/** Sees every visit of a node: tells the recorder whose the effects are, and ends the walk when too much came of it. */
export class DryTrace extends Trace {
  readonly flows = new Set<Flow>();
  private readonly known = new WeakSet<Trip>();
  private readonly recorder: Recorder;
  private readonly budget: Budget;

  constructor(work: DryWork, statistics: Statistics, recorder: Recorder, budget: Budget) {
    super(work, { statistics, keep: () => {}, now: () => 0 });
    this.recorder = recorder;
    this.budget = budget;
  }

  override enter(node: CompiledNode, trips: readonly Trip[]) {
    let messages = 0;
    let chars = 0;
    for (const trip of trips) {
      this.flows.add(trip.flow);
      if (!this.known.has(trip)) messages++;
      this.known.add(trip);
      chars += STEP_CHARS + Math.min(trip.message.data.length, TEXT_CHARS);
    }
    this.budget.spend(messages, chars);
    return super.enter(node, trips);
  }

  override left(visited: Parameters<Trace['left']>[0]): void {
    super.left(visited);
    this.recorder.collect(visited.node);
  }

  /** What a node puts into other chains is an effect: it goes nowhere here. */
  override created(): void {}

  override done(flows: Iterable<Flow>): void {
    for (const flow of flows) this.flows.add(flow);
  }
}

/** Of one step in a journey, without its data; and of that data. */
const STEP_CHARS = 500;
const TEXT_CHARS = 4096;

/** The records of a dry run, sorted by the messages that it was given. What was made of several of them stands with each. */
export class Journeys {
  readonly statistics = new Statistics();
  /** By every message that is known. */
  private readonly groups = new Map<string, Set<CaptureRecord[]>>();
  private readonly given = new Map<string, CaptureRecord[]>();
  private readonly madeBy = new Map<string, CompiledNode>();
  private readonly work: DryWork;
  /** Unix ms at 0 of the statistics' clock. */
  private readonly origin: number;

  constructor(work: DryWork) {
    this.work = work;
    this.origin = Date.now() - this.statistics.clock();
  }

  begin(messageId: string): void {
    const group: CaptureRecord[] = [];
    this.given.set(messageId, group);
    this.groups.set(messageId, new Set([group]));
  }

  knows(messageId: string): boolean {
    return this.groups.has(messageId);
  }

  /** @param unfinished why messages that are still under way do not go on */
  walked(flows: Iterable<Flow>, unfinished: string | null): void {
    const at = Date.now();
    for (const { trips } of flows) {
      const root = trips[0]!;
      if (unfinished !== null) for (const trip of trips) if (trip.frame !== null) trip.fate = { is: 'held', reason: unfinished, until: at };
      const groups = this.groups.get(root.entered.id);
      // A timer is no message.
      if (root.due !== null || !groups) continue;
      const record = walkRecord(trips, { work: this.work, origin: this.origin, at });
      for (const group of groups) group.push(record);
      for (const { entered, message, step } of trips) {
        for (const id of [entered.id, message.id]) this.join(id, groups);
        for (let each = step; each; each = each.before) for (const { id } of each.created ?? []) this.join(id, groups);
      }
    }
  }

  /** A node made a message of another one, beside the walks. */
  made(of: string, message: Message, node: CompiledNode): void {
    const groups = this.groups.get(of);
    if (!groups) return;
    for (const group of groups) group.push({ k: 'made', at: Date.now(), of, nodeId: node.info.id, made: madeRecord(message) });
    this.join(message.id, groups);
    this.madeBy.set(message.id, node);
  }

  private join(id: string, groups: ReadonlySet<CaptureRecord[]>): void {
    const known = this.groups.get(id);
    if (known === groups) return;
    this.groups.set(id, new Set([...(known ?? []), ...groups]));
  }

  of(messageId: string, tenantId: string): Promise<Journey | null> {
    const downlink = async (id: string) => {
      const found = this.work.downlinks.find((each) => each.id === id);
      return found ? { state: found.state, reason: null, history: found.history } : null;
    };
    const records = this.given.get(messageId) ?? [];
    return journeyOf(messageId, [...records, ...this.endedAtOnce(records)], { tenantId, downlink, busy: false });
  }

  /** What a node made beside the walks and what no arrow leads on came to no walk. */
  private *endedAtOnce(records: readonly CaptureRecord[]): Iterable<CaptureRecord> {
    const walked = new Set(records.map((record) => (record.k === 'walk' ? record.id : null)));
    for (const record of records) {
      if (record.k !== 'made' || walked.has(record.made.id)) continue;
      const node = this.madeBy.get(record.made.id);
      const letter = this.work.deadLetters.find(({ message }) => message?.id === record.made.id);
      if (!node || !letter?.message) continue;
      const { message, reason } = letter;
      const end = { is: 'dead', reason } as const;
      yield {
        k: 'sent',
        at: record.at,
        id: message.id,
        owner: message.owner,
        node: nodeRecord(node),
        ms: 0,
        to: ['Failure'],
        error: reason,
        out: messageRecord(message),
        end,
      };
    }
  }
}
