import type { EntityRef } from '#engine/message.ts';
import type {
  CaptureRecord,
  ConverterRecord,
  DownlinkPartRecord,
  DownlinkRecord,
  EndRecord,
  IntegrationRecord,
  LinkRecord,
  MessageRecord,
  NodeRecord,
  Outcome,
  SentRecord,
  TripRecord,
  UplinkRecord,
  WalkRecord,
  WroteRecord,
} from './records.ts';

/** One message from the raw uplink to what it caused, as a tree: `GET /api/messages/{id}/journey`. */
export interface Journey {
  /** The id that was asked for. */
  readonly id: string;
  /** Of all messages of the tree: dead, if one is; else in flight, if one is; else stored, if one is. */
  readonly outcome: Outcome | 'empty' | null;
  /** Nothing of it was overwritten. */
  readonly complete: boolean;
  /** Messages and downlinks of which nothing is kept any more, or nothing has happened yet. */
  readonly missing: readonly string[];
  readonly startTs: number;
  readonly endTs: number;
  readonly uplink: JourneyUplink | null;
  readonly messages: readonly JourneyMessage[];
  /** Of which the step that made them is not kept any more. */
  readonly downlinks: readonly JourneyDownlink[];
}

export interface JourneyUplink {
  readonly id: string;
  readonly ts: number;
  readonly integration: IntegrationRecord;
  readonly contentType: string;
  readonly payload: string;
  readonly payloadBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly converter: JourneyConverter | null;
  /** From its receipt to its outcome being durable. */
  readonly acceptMs: number;
  readonly outcome: UplinkRecord['outcome'];
  readonly reason: string | null;
}

/** `durationMs` is that of the call, which `batch` messages shared. */
export interface JourneyConverter {
  readonly id: string;
  readonly durationMs: number;
  readonly batch: number;
  readonly out: string | null;
  readonly error: string | null;
}

export interface JourneyMessage {
  readonly id: string;
  readonly type: string | null;
  readonly entityId: EntityRef | null;
  /** `uplink`: of the converter; `copy`: several arrows or outputs; `new`: made by the node; null: the tree begins with it. */
  readonly madeBy: 'uplink' | 'copy' | 'new' | null;
  readonly steps: readonly JourneyStep[];
  readonly outcome: Outcome | null;
  readonly reason: string | null;
  /** When it is tried again, Unix ms. */
  readonly notBefore: number | null;
  /** Branches that were too many to be kept. */
  readonly more: number;
}

export interface JourneyStep {
  readonly node: NodeRecord;
  readonly ts: number;
  /** Of the node's work on `batch` messages together. */
  readonly durationMs: number;
  readonly batch: number;
  readonly in: MessageRecord;
  readonly out: MessageRecord;
  readonly to: readonly string[];
  readonly error: string | null;
  readonly wrote: WroteRecord | null;
  readonly branches: readonly JourneyMessage[];
  readonly downlinks: readonly JourneyDownlink[];
}

export interface JourneyDownlink {
  readonly id: string;
  readonly integration: IntegrationRecord | { readonly id: string };
  readonly converter: JourneyConverter | null;
  readonly parts: readonly DownlinkPartRecord[];
  readonly durationMs: number | null;
  readonly state: string | null;
  readonly reason: string | null;
  /** Its receipts. */
  readonly history: readonly { readonly state: string; readonly ts: number; readonly reason: string | null }[];
}

/** What the store knows of a downlink by now. */
export type DownlinkHistory = Pick<JourneyDownlink, 'state' | 'reason' | 'history'>;

export interface JourneyDeps {
  readonly tenantId: string;
  downlink(id: string): Promise<DownlinkHistory | null>;
  /** Something waits in the lanes: a message of which nothing happened yet may be among it. */
  readonly busy: boolean;
}

interface Trip {
  readonly walk: WalkRecord;
  readonly index: number;
  readonly trip: TripRecord;
}

/** @param records all of the tree, by time. Null: they do not tell of `id`. */
export async function journeyOf(id: string, records: readonly CaptureRecord[], deps: JourneyDeps): Promise<Journey | null> {
  if (records.length === 0) return null;
  return new Tree(records, deps).from(id);
}

class Tree {
  private readonly deps: JourneyDeps;
  private readonly trips = new Map<string, Trip[]>();
  private readonly sent = new Map<string, SentRecord[]>();
  private readonly links = new Map<string, LinkRecord[]>();
  private readonly downlinks = new Map<string, DownlinkRecord>();
  private readonly uplinks = new Map<string, UplinkRecord>();
  /** Message → message, uplink or null. */
  private readonly parents = new Map<string, { readonly uplink?: UplinkRecord; readonly message?: string }>();
  private readonly facts = new Map<string, { readonly type: string; readonly entityId: EntityRef }>();
  private readonly seen = new Set<string>();
  private readonly missing: string[] = [];
  private readonly outcomes = new Set<Outcome | null>();
  private endTs = 0;
  private cut = false;

  constructor(records: readonly CaptureRecord[], deps: JourneyDeps) {
    this.deps = deps;
    for (const record of records) this.read(record);
  }

  private read(record: CaptureRecord): void {
    this.endTs = Math.max(this.endTs, record.at);
    switch (record.k) {
      case 'walk':
        for (const [index, trip] of record.trips.entries()) this.readTrip({ walk: record, index, trip });
        break;
      case 'uplink':
        this.uplinks.set(record.id, record);
        for (const made of record.made) this.parent(made, { uplink: record });
        break;
      case 'sent':
        push(this.sent, record.id, record);
        break;
      case 'made':
        push(this.links, record.of, record);
        this.parent(record.made, { message: record.of });
        break;
      case 'downlink':
        this.downlinks.set(record.id, record);
        this.parents.set(record.id, { message: record.messageId });
        break;
    }
  }

  private readTrip(entry: Trip): void {
    const { walk, trip } = entry;
    push(this.trips, trip.id, entry);
    this.cut ||= walk.more !== undefined;
    if (trip.of) this.parents.set(trip.id, { message: walk.trips[trip.of[0]]!.id });
    for (const step of trip.steps) {
      this.endTs = Math.max(this.endTs, step.at + step.ms);
      for (const made of step.made ?? []) this.parent(made, { message: trip.id });
      for (const downlink of step.wrote?.downlinks ?? []) this.parents.set(downlink.id, { message: trip.id });
    }
  }

  private parent(made: { id: string; type: string; entityId: EntityRef }, parent: { uplink?: UplinkRecord; message?: string }): void {
    this.facts.set(made.id, made);
    this.parents.set(made.id, parent);
  }

  async from(id: string): Promise<Journey | null> {
    const { uplink, message } = this.root(id);
    const known = uplink || this.trips.has(message!) || this.sent.has(message!) || this.links.has(message!) || this.facts.has(message!);
    if (!known) {
      // A downlink whose message is gone by now.
      const alone = [...this.downlinks.values()].find((each) => each.id === id || each.messageId === id);
      if (!alone) return null;
    }
    const messages: JourneyMessage[] = [];
    if (uplink) for (const made of uplink.made) messages.push(await this.message(made.id, 'uplink'));
    else messages.push(await this.message(message!, null));
    const downlinks: JourneyDownlink[] = [];
    for (const { id: downlink, integration } of this.downlinks.values())
      if (!this.seen.has(downlink)) downlinks.push(await this.downlink(downlink, integration.id));
    const owner = message === undefined ? undefined : this.trips.get(message)?.[0]?.walk.owner;
    // What an integration's ledger counts has begun with an uplink.
    const lostUplink = owner !== undefined && owner !== this.deps.tenantId;
    return {
      id,
      outcome: this.outcome(uplink),
      complete: this.missing.length === 0 && !this.cut && !lostUplink,
      missing: this.missing,
      startTs: Math.floor(uplink?.at ?? this.startOf(message!)),
      endTs: Math.ceil(this.endTs),
      uplink: uplink ? uplinkJson(uplink) : null,
      messages,
      downlinks,
    };
  }

  private startOf(message: string): number {
    return this.trips.get(message)?.[0]?.walk.at ?? this.sent.get(message)?.[0]?.at ?? this.endTs;
  }

  private root(id: string): { uplink?: UplinkRecord; message?: string } {
    const own = this.uplinks.get(id);
    if (own) return { uplink: own };
    let at = id;
    for (const passed = new Set([id]); ; passed.add(at)) {
      const parent = this.parents.get(at);
      if (parent?.uplink) return { uplink: parent.uplink };
      if (parent?.message === undefined || passed.has(parent.message)) return { message: at };
      at = parent.message;
    }
  }

  private outcome(uplink: UplinkRecord | undefined): Journey['outcome'] {
    if (uplink?.outcome === 'dead') return 'dead';
    if (uplink?.outcome === 'empty') return 'empty';
    for (const outcome of ['dead', 'inFlight', null, 'stored', 'filtered'] as const) if (this.outcomes.has(outcome)) return outcome;
    return null;
  }

  private async message(id: string, madeBy: JourneyMessage['madeBy']): Promise<JourneyMessage> {
    const entries = this.trips.get(id) ?? [];
    const sent = [...(this.sent.get(id) ?? [])];
    const links = [...(this.links.get(id) ?? [])];
    const first = entries[0];
    const facts = this.facts.get(id) ?? (first ? messageAt(first, first.trip.steps[0]?.message ?? first.trip.last) : undefined);
    const base = { id, type: facts?.type ?? null, entityId: facts?.entityId ?? null, madeBy };
    if (this.seen.has(id)) return { ...base, steps: [], outcome: null, reason: null, notBefore: null, more: 0 };
    this.seen.add(id);
    const steps: JourneyStep[] = [];
    let end: EndRecord | null = null;
    let linked = false;
    for (const entry of entries) {
      while (sent[0] && sent[0].at <= entry.walk.at) steps.push(sentStep(sent.shift()!, steps.at(-1)));
      for (let i = 0; i < entry.trip.steps.length; i++) steps.push(await this.step(entry, i, links));
      end = entry.trip.end;
    }
    for (const each of sent) {
      steps.push(sentStep(each, steps.at(-1)));
      end = each.end ?? end;
    }
    // Of nodes that are not among the steps.
    const rest: JourneyMessage[] = [];
    for (const { made } of links.splice(0)) rest.push(await this.message(made.id, 'new'));
    if (rest.length > 0) {
      linked = true;
      const last = steps.at(-1);
      if (last) steps[steps.length - 1] = { ...last, branches: [...last.branches, ...rest] };
    }
    linked ||= (this.links.get(id)?.length ?? 0) > 0;
    const outcome = this.outcomeOf(id, end, linked);
    const more = entries.reduce((sum, { walk, index }) => sum + (index === 0 ? (walk.more ?? 0) : 0), 0);
    return { ...base, steps, outcome, reason: end?.reason ?? null, notBefore: end?.until ?? null, more };
  }

  private outcomeOf(id: string, end: EndRecord | null, linked: boolean): Outcome | null {
    let outcome: Outcome | null;
    if (end === null) {
      this.missing.push(id);
      outcome = this.deps.busy ? 'inFlight' : null;
    } else if (end.is === 'stored' || end.is === 'filtered' || end.is === 'dead') outcome = end.is;
    // What the node kept it for has happened: it goes on as another message.
    else if (end.is === 'kept' && linked) outcome = 'filtered';
    else outcome = 'inFlight';
    this.outcomes.add(outcome);
    return outcome;
  }

  private async step({ walk, index, trip }: Trip, place: number, links: LinkRecord[]): Promise<JourneyStep> {
    const step = trip.steps[place]!;
    const node = walk.nodes[step.node]!;
    const branches: JourneyMessage[] = [];
    for (const copy of walk.trips) if (copy.of?.[0] === index && copy.of[1] === place) branches.push(await this.message(copy.id, 'copy'));
    for (const { id } of step.made ?? []) branches.push(await this.message(id, 'new'));
    for (let i = links.length - 1; i >= 0; i--) {
      if (links[i]!.nodeId === node.id) branches.push(await this.message(links.splice(i, 1)[0]!.made.id, 'new'));
    }
    const downlinks: JourneyDownlink[] = [];
    for (const { id, integrationId } of step.wrote?.downlinks ?? []) downlinks.push(await this.downlink(id, integrationId));
    const next = trip.steps[place + 1];
    return {
      node,
      ts: step.at,
      durationMs: step.ms,
      batch: step.of,
      in: walk.messages[step.message]!,
      out: walk.messages[next ? next.message : trip.last]!,
      to: step.to ?? [],
      error: step.error ?? null,
      wrote: step.wrote ?? null,
      branches,
      downlinks,
    };
  }

  private async downlink(id: string, integrationId: string): Promise<JourneyDownlink> {
    this.seen.add(id);
    const record = this.downlinks.get(id);
    const stored = await this.deps.downlink(id);
    if (!record && !stored) this.missing.push(id);
    for (const { ts } of stored?.history ?? []) this.endTs = Math.max(this.endTs, ts);
    return {
      id,
      integration: record?.integration ?? { id: integrationId },
      converter: record?.converter ? converterJson(record.converter) : null,
      parts: record?.parts ?? [],
      durationMs: record?.ms ?? null,
      state: stored?.state ?? record?.states.at(-1) ?? null,
      reason: stored?.reason ?? record?.reason ?? null,
      history: stored?.history ?? (record?.states ?? []).map((state) => ({ state, ts: record!.at, reason: null })),
    };
  }
}

const messageAt = ({ walk }: Trip, place: number): MessageRecord => walk.messages[place]!;

function sentStep({ node, at, ms, to, error, out }: SentRecord, before: JourneyStep | undefined): JourneyStep {
  const from = before?.out ?? out;
  return { node, ts: at, durationMs: ms, batch: 1, in: from, out, to, error: error ?? null, wrote: null, branches: [], downlinks: [] };
}

function uplinkJson({
  id,
  at,
  integration,
  contentType,
  payload,
  payloadBytes,
  metadata,
  converter,
  acceptMs,
  outcome,
  reason,
}: UplinkRecord): JourneyUplink {
  const converted = converter ? converterJson(converter) : null;
  return { id, ts: at, integration, contentType, payload, payloadBytes, metadata, converter: converted, acceptMs, outcome, reason: reason ?? null };
}

const converterJson = ({ id, ms, of, out, error }: ConverterRecord): JourneyConverter => ({
  ...{ id, durationMs: ms, batch: of },
  ...{ out: out ?? null, error: error ?? null },
});

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
