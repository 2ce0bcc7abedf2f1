import type { EntityRef, Message } from '#engine/message.ts';
import type { CompiledNode } from '#engine/walk/chain.ts';

/** What is kept of messages, as JSON: one record for each walk of a message, each uplink, each downlink, and what happened beside the lanes. */

/** Most characters of data, of metadata and of an error in a record; what debug events show is as long (rest-api §2.9). */
export const TEXT_CHARS = 4096;
/** Of one record: a message that was split into thousands keeps only its first branches. */
export const RECORD_CHARS = 48 * 1024;

export interface MessageRecord {
  readonly id: string;
  readonly type: string;
  readonly entityId: EntityRef;
  readonly ts: number;
  readonly dataType: string;
  readonly data: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Characters of data and metadata before they were cut. */
  readonly chars?: number;
}

/** A message that was made: the journey goes on with it. */
export interface MadeRecord {
  readonly id: string;
  readonly type: string;
  readonly entityId: EntityRef;
}

export interface NodeRecord {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly ruleChainId: string;
  readonly ruleChainName: string;
}

/** Numbers are places in the lists of the walk's record. */
export interface StepRecord {
  readonly node: number;
  readonly message: number;
  /** Unix ms, with a fraction. */
  readonly at: number;
  /** Of the visit, which `of` messages shared. */
  readonly ms: number;
  readonly of: number;
  readonly to: readonly string[] | null;
  readonly error?: string;
  readonly wrote?: WroteRecord;
  readonly made?: readonly MadeRecord[];
}

export type Outcome = 'stored' | 'filtered' | 'dead' | 'inFlight';

export interface EndRecord {
  readonly is: 'stored' | 'filtered' | 'dead' | 'held' | 'kept' | 'onward';
  readonly reason?: string;
  readonly until?: number;
}

export interface TripRecord {
  readonly id: string;
  /** The trip that it was copied of, and in which of its steps. */
  readonly of?: readonly [trip: number, step: number];
  readonly steps: readonly StepRecord[];
  /** As it was in the end. */
  readonly last: number;
  readonly end: EndRecord;
}

export interface WalkRecord {
  readonly k: 'walk';
  readonly at: number;
  readonly id: string;
  /** Integration, or the tenant. */
  readonly owner: string;
  readonly outcome: Outcome;
  readonly nodes: readonly NodeRecord[];
  readonly messages: readonly MessageRecord[];
  /** First the message itself. */
  readonly trips: readonly TripRecord[];
  /** Branches that were left out. */
  readonly more?: number;
}

export interface IntegrationRecord {
  readonly id: string;
  readonly name: string;
}

export interface ConverterRecord {
  readonly id: string;
  readonly ms: number;
  readonly of: number;
  readonly out?: string;
  readonly error?: string;
}

export interface UplinkRecord {
  readonly k: 'uplink';
  readonly id: string;
  readonly at: number;
  readonly integration: IntegrationRecord;
  readonly contentType: string;
  readonly payload: string;
  readonly payloadBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly converter: ConverterRecord | null;
  readonly acceptMs: number;
  readonly outcome: 'converted' | 'empty' | 'dead';
  readonly reason?: string;
  readonly made: readonly MadeRecord[];
}

export interface DownlinkPartRecord {
  readonly contentType: string;
  readonly data: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface DownlinkRecord {
  readonly k: 'downlink';
  readonly id: string;
  readonly at: number;
  readonly messageId: string;
  readonly entityId: EntityRef;
  readonly integration: IntegrationRecord;
  readonly converter: ConverterRecord | null;
  readonly parts: readonly DownlinkPartRecord[];
  /** From the end of the conversion to the last state. */
  readonly ms: number;
  readonly states: readonly string[];
  readonly reason?: string;
}

/** An external node has sent a message that was kept at it. */
export interface SentRecord {
  readonly k: 'sent';
  readonly at: number;
  readonly id: string;
  readonly owner: string;
  readonly node: NodeRecord;
  readonly ms: number;
  readonly to: readonly string[];
  readonly error?: string;
  readonly out: MessageRecord;
  /** No arrow leads on: it is over. */
  readonly end?: EndRecord;
}

/** A node made a message of another one, beside the walks. */
export interface LinkRecord {
  readonly k: 'made';
  readonly at: number;
  readonly of: string;
  readonly nodeId: string;
  readonly made: MadeRecord;
}

export type CaptureRecord = WalkRecord | UplinkRecord | DownlinkRecord | SentRecord | LinkRecord;

export const cut = (text: string, chars = TEXT_CHARS): string => (text.length > chars ? `${text.slice(0, chars)}…` : text);

export function messageRecord({ id, type, originator, ts, dataType, data, metadata }: Message): MessageRecord {
  let chars = 0;
  for (const key in metadata) chars += key.length + metadata[key]!.length;
  const base = { id, type, entityId: originator, ts, dataType };
  if (data.length <= TEXT_CHARS && chars <= TEXT_CHARS) return { ...base, data, metadata };
  return { ...base, data: cut(data), metadata: chars <= TEXT_CHARS ? metadata : cutMetadata(metadata), chars: data.length + chars };
}

function cutMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const kept: Record<string, string> = {};
  let room = TEXT_CHARS;
  for (const [key, value] of Object.entries(metadata)) {
    if (key.length >= room) break;
    kept[key] = cut(value, room - key.length);
    room -= key.length + value.length;
  }
  return kept;
}

export const madeRecord = ({ id, type, originator }: Message): MadeRecord => ({ id, type, entityId: originator });

const NODES = new WeakMap<CompiledNode, NodeRecord>();

export function nodeRecord(node: CompiledNode): NodeRecord {
  let record = NODES.get(node);
  if (!record) {
    const { id, name, chainId, chainName } = node.info;
    record = { id, name, type: node.definition?.type ?? '', ruleChainId: chainId, ruleChainName: chainName };
    NODES.set(node, record);
  }
  return record;
}

/** What a step wrote into the store, and what it handed to integrations. */
export interface WroteRecord {
  readonly telemetry?: readonly { readonly entityId?: EntityRef; readonly ts: number; readonly values: Readonly<Record<string, unknown>> }[];
  readonly attributes?: readonly {
    readonly entityId?: EntityRef;
    readonly scope: string;
    readonly values?: Readonly<Record<string, unknown>>;
    readonly removed?: readonly string[];
  }[];
  readonly removedTelemetry?: readonly { readonly entityId?: EntityRef; readonly keys: readonly string[] }[];
  readonly relations?: readonly { readonly saved: boolean; readonly from: EntityRef; readonly to: EntityRef; readonly type: string }[];
  readonly entities?: readonly {
    readonly entityType: string;
    readonly id: string;
    readonly name?: string;
    readonly state?: string;
    readonly removed?: true;
  }[];
  readonly downlinks?: readonly { readonly id: string; readonly integrationId: string }[];
  /** Writes that were left out. */
  readonly more?: number;
}
