import type { Accepted, RawUplink } from '#engine/integration.ts';
import { shown } from '#engine/integration-events.ts';
import type { Message } from '#engine/message.ts';
import type { ScriptResult } from '#engine/script.ts';
import type { Entry, Sink } from './entries.ts';
import { cut, madeRecord, RECORD_CHARS, type UplinkRecord } from './records.ts';
import type { Ring, Rings } from './rings.ts';

/** A batch of uplinks that became durable, as the accept stage has it in hand. */
export interface AcceptedUplinks {
  readonly tenantId: string;
  readonly integration: { readonly id: string; readonly name: string };
  readonly converterId: string | null;
  /** `since`: when it came, of the same clock as `now`. */
  readonly items: readonly { readonly uplink: RawUplink; readonly metadataJson: string; readonly since: number }[];
  readonly results: readonly (ScriptResult | null)[];
  readonly accepted: readonly (Accepted | { readonly outcome: 'refused' })[];
  /** All new messages of the batch, and how many there were after each item. */
  readonly messages: readonly Message[];
  readonly ends: readonly number[];
  /** Of the whole batch. */
  readonly convertMs: number;
  readonly at: number;
  readonly now: number;
}

const ITEM_BYTES = 500;
const OUT_CHARS = 10_000;
const MOST_MADE = 100;
const FARTHER = 4;

export class UplinkEntry implements Entry {
  readonly bytes: number;
  private readonly batch: AcceptedUplinks;
  private readonly ring: Ring;
  private readonly marks: number[] = [];
  /** Once written. */
  private readonly ids: (string | undefined)[] = [];
  private byMessage: Map<string, number> | null = null;

  constructor(batch: AcceptedUplinks, rings: Rings) {
    this.batch = batch;
    const { id } = batch.integration;
    this.ring = rings.of(batch.tenantId, id, id);
    let bytes = 0;
    for (let i = 0; i < batch.items.length; i++) {
      const { uplink, metadataJson } = batch.items[i]!;
      const result = batch.results[i];
      const size = ITEM_BYTES + uplink.payload.length + metadataJson.length + (result?.ok ? (result.json?.length ?? 0) : 0);
      bytes += size;
      this.marks.push(rings.assign(this.ring, Math.min(size, RECORD_CHARS)));
    }
    this.bytes = bytes;
  }

  get size(): number {
    return this.batch.items.length;
  }

  write(i: number, sink: Sink): void {
    if (this.ids[i] === undefined && sink.wants(this.ring, this.marks[i]!)) this.put(i, this.ring, sink);
  }

  /** The uplink that a message was made of goes with it into another ring. False: it is not of this batch. */
  writeWith(message: Message, ring: Ring, sink: Sink): boolean {
    const { tenantId, integration, messages, ends } = this.batch;
    if (integration.id !== message.owner || tenantId !== message.tenantId) return false;
    this.byMessage ??= new Map(messages.map((each, index) => [each.id, index]));
    const place = this.byMessage.get(message.id);
    if (place === undefined) return false;
    const i = ends.findIndex((end) => end > place);
    // A ring that gets little reaches further back than that of the integration.
    const isFarther = ring.assigned * FARTHER < this.ring.assigned;
    if (isFarther || this.ids[i] === undefined || !sink.wants(this.ring, this.marks[i]!)) this.put(i, ring, sink);
    return true;
  }

  private put(i: number, ring: Ring, sink: Sink): void {
    const outcome = this.batch.accepted[i]!;
    if (outcome.outcome === 'refused') return;
    this.ids[i] ??= sink.newId();
    sink.put(ring, this.record(i, this.ids[i]!, outcome));
  }

  private record(i: number, id: string, outcome: Accepted): UplinkRecord {
    const { integration, converterId, items, results, messages, ends, convertMs, now } = this.batch;
    const { uplink, metadataJson, since } = items[i]!;
    const result = results[i]!;
    const made = messages.slice(ends[i - 1] ?? 0, ends[i]);
    return {
      k: 'uplink',
      id,
      at: uplink.receivedAt,
      integration,
      contentType: uplink.contentType,
      payload: shown(uplink.payload, uplink.contentType),
      payloadBytes: uplink.payload.length,
      metadata: visible(metadataJson, uplink.hiddenMetadata),
      converter:
        converterId === null || result === null
          ? null
          : {
              id: converterId,
              ms: rounded(convertMs),
              of: items.length,
              ...(result.ok ? { out: cut(result.json ?? '', OUT_CHARS) } : { error: cut(result.fault.message) }),
            },
      acceptMs: rounded(now - since),
      outcome: outcome.outcome,
      ...(outcome.outcome === 'dead' ? { reason: cut(outcome.reason) } : {}),
      made: made.slice(0, MOST_MADE).map(madeRecord),
    };
  }
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

/** Without what debug events hide too. */
function visible(metadataJson: string, hidden: readonly string[] = []): Record<string, string> {
  const metadata = JSON.parse(metadataJson) as Record<string, string>;
  for (const key of hidden) delete metadata[key];
  for (const [key, value] of Object.entries(metadata)) if (typeof value === 'string') metadata[key] = cut(value);
  return metadata;
}
