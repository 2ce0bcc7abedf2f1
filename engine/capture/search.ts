import type { EntityRef } from '#engine/message.ts';
import type { CaptureRecord, EndRecord, Outcome, SentRecord, UplinkRecord, WalkRecord } from './records.ts';
import { recordsIn, type Segments } from './segments.ts';

export interface MessageQuery {
  readonly deviceId?: string;
  readonly integrationId?: string;
  /** Both inclusive, Unix ms. */
  readonly startTs?: number;
  readonly endTs?: number;
  readonly outcome?: Outcome;
  readonly nodeId?: string;
  /** Case-insensitive part of payload, data, metadata or an error. */
  readonly text?: string;
}

/** One message that came into a chain, or an uplink of which none came. */
export interface FoundMessage {
  readonly id: string;
  readonly createdTime: number;
  readonly endTs: number;
  readonly uplinkId: string | null;
  readonly integrationId: string | null;
  readonly entityId: EntityRef | null;
  readonly type: string | null;
  readonly outcome: Outcome | 'empty' | null;
  readonly reason: string | null;
  /** Nodes that it and its copies passed. */
  readonly steps: number;
}

export interface SearchDeps {
  /** The messages' own tenant: its id stands for "no integration". */
  readonly tenantId: string;
  /** Something waits in the lanes: a message of which nothing happened yet may be among it. */
  readonly busy: boolean;
}

/** Beyond, the oldest are not shown: whoever looks for them has to say more about them. */
const MOST_FOUND = 20_000;

interface Row {
  at: number;
  endTs: number;
  /** Time of what says how it ended. */
  endedAt: number;
  owner: string;
  entityId: EntityRef;
  type: string;
  outcome: Outcome;
  reason: string | null;
  steps: number;
  byText: boolean;
  byNode: boolean;
  byEntity: boolean;
}

interface UplinkRow {
  readonly record: Pick<UplinkRecord, 'id' | 'at' | 'outcome' | 'reason' | 'made' | 'acceptMs'>;
  readonly integrationId: string;
  readonly byText: boolean;
}

/** Newest first. Reads everything of the tenant that is kept, a segment at a time. */
export async function searchMessages(segments: Pick<Segments, 'read'>, query: MessageQuery, deps: SearchDeps): Promise<FoundMessage[]> {
  const rows = new Map<string, Row>();
  const uplinks = new Map<string, UplinkRow>();
  const needle = query.text === undefined || query.text === '' ? null : JSON.stringify(query.text).slice(1, -1).toLowerCase();
  for await (const segment of segments.read(deps.tenantId, query.startTs ?? 0)) {
    for (const json of recordsIn(segment)) {
      const line = json.toString();
      const record = JSON.parse(line) as CaptureRecord;
      const byText = needle === null || line.toLowerCase().includes(needle);
      if (record.k === 'walk') addWalk(rows, record, query, byText);
      else if (record.k === 'sent') addSent(rows, record, query, byText);
      else if (record.k === 'uplink') uplinks.set(record.id, { record, integrationId: record.integration.id, byText });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return found(rows, uplinks, query, deps);
}

const reasonOf = (end: EndRecord | undefined): string | null => end?.reason ?? null;

function addWalk(rows: Map<string, Row>, walk: WalkRecord, query: MessageQuery, byText: boolean): void {
  const root = walk.trips[0]!;
  const first = walk.messages[root.steps[0]?.message ?? root.last]!;
  let endTs = walk.at;
  let steps = 0;
  for (const trip of walk.trips) {
    steps += trip.steps.length;
    for (const step of trip.steps) endTs = Math.max(endTs, step.at + step.ms);
  }
  const worst = walk.trips.find(({ end }) => end.is === 'dead') ?? walk.trips.find(({ end }) => end.reason !== undefined);
  const part = {
    ...{ at: walk.at, endTs, endedAt: walk.at, owner: walk.owner, entityId: first.entityId, type: first.type },
    ...{ outcome: walk.outcome, reason: reasonOf(worst?.end), steps, byText },
    byNode: query.nodeId === undefined || walk.nodes.some(({ id }) => id === query.nodeId),
    byEntity: query.deviceId === undefined || walk.messages.some(({ entityId }) => entityId.id === query.deviceId),
  };
  merge(rows, walk.id, part);
}

/** What an external node was given was kept at it; with this it goes on, or is over. */
function addSent(rows: Map<string, Row>, sent: SentRecord, query: MessageQuery, byText: boolean): void {
  const outcome = sent.end ? (sent.end.is as Outcome) : 'inFlight';
  const { entityId, type } = sent.out;
  merge(rows, sent.id, {
    ...{
      at: sent.at,
      endTs: sent.at + sent.ms,
      endedAt: sent.at,
      owner: sent.owner,
      entityId,
      type,
      outcome,
      reason: reasonOf(sent.end),
      steps: 0,
      byText,
    },
    byNode: query.nodeId === undefined || sent.node.id === query.nodeId,
    byEntity: query.deviceId === undefined || entityId.id === query.deviceId,
  });
}

/** A message that was held, kept or handed on has several records: the first says what it was, the last how it ended. */
function merge(rows: Map<string, Row>, id: string, part: Row): void {
  const row = rows.get(id);
  if (!row) {
    rows.set(id, part);
    return;
  }
  if (part.at < row.at) Object.assign(row, { at: part.at, entityId: part.entityId, type: part.type });
  if (part.endedAt > row.endedAt) Object.assign(row, { endedAt: part.endedAt, outcome: part.outcome, reason: part.reason });
  row.endTs = Math.max(row.endTs, part.endTs);
  row.steps += part.steps;
  row.byText ||= part.byText;
  row.byNode ||= part.byNode;
  row.byEntity ||= part.byEntity;
}

function found(rows: ReadonlyMap<string, Row>, uplinks: ReadonlyMap<string, UplinkRow>, query: MessageQuery, deps: SearchDeps): FoundMessage[] {
  const all: FoundMessage[] = [];
  const uplinkOf = new Map<string, UplinkRow>();
  const fits = (message: FoundMessage): boolean =>
    (query.startTs === undefined || message.createdTime >= query.startTs) &&
    (query.endTs === undefined || message.createdTime <= query.endTs) &&
    (query.outcome === undefined || message.outcome === query.outcome) &&
    (query.integrationId === undefined || message.integrationId === query.integrationId);
  for (const uplink of uplinks.values()) {
    const { id, at, outcome, reason, made, acceptMs } = uplink.record;
    for (const message of made) uplinkOf.set(message.id, uplink);
    const base = { createdTime: at, endTs: Math.ceil(at + acceptMs), uplinkId: id, integrationId: uplink.integrationId, steps: 0 };
    if (!uplink.byText || query.nodeId !== undefined) continue;
    // Nobody knows yet whose it was.
    if (made.length === 0 && outcome !== 'converted' && query.deviceId === undefined)
      all.push({ ...base, id, entityId: null, type: null, outcome, reason: reason ?? null });
    for (const { id: messageId, entityId, type } of made) {
      if (rows.has(messageId) || (query.deviceId !== undefined && entityId.id !== query.deviceId)) continue;
      all.push({ ...base, id: messageId, entityId, type, outcome: deps.busy ? 'inFlight' : null, reason: null });
    }
  }
  for (const [id, row] of rows) {
    const uplink = uplinkOf.get(id);
    if (!row.byNode || !row.byEntity || !(row.byText || (uplink?.byText ?? false))) continue;
    all.push({
      ...{ id, createdTime: Math.floor(uplink?.record.at ?? row.at), endTs: Math.ceil(row.endTs), uplinkId: uplink?.record.id ?? null },
      ...{ integrationId: row.owner === deps.tenantId ? null : row.owner, entityId: row.entityId, type: row.type },
      ...{ outcome: row.outcome, reason: row.reason, steps: row.steps },
    });
  }
  return all
    .filter(fits)
    .sort((a, b) => b.createdTime - a.createdTime || b.endTs - a.endTs)
    .slice(0, MOST_FOUND);
}
