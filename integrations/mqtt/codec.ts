import type { IPublishPacket } from 'mqtt';
import { Rejected } from '#engine/errors.ts';
import type { RawDownlink, RawUplink } from '#engine/integration.ts';

const JSON_START = /^[\s]*[[{"\-0-9tfn]/;

/** JSON when it parses, else BINARY (specs: integrations §3.0); only a label. */
export function contentTypeOf(payload: Uint8Array): RawUplink['contentType'] {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('latin1');
  if (!JSON_START.test(text)) return 'BINARY';
  try {
    JSON.parse(text);
    return 'JSON';
  } catch {
    return 'BINARY';
  }
}

/** @param maxBytes a larger payload is not converted: it becomes a dead letter, so that nothing vanishes. */
export function toUplink(packet: IPublishPacket, maxBytes: number, receivedAt: number): RawUplink {
  const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
  const metadata: Record<string, string> = { topic: packet.topic };
  if (packet.retain) metadata['retained'] = 'true';
  if (payload.length > maxBytes) {
    return { payload, contentType: 'BINARY', metadata, receivedAt, problem: `Message of ${payload.length} bytes exceeds the limit of ${maxBytes}` };
  }
  return { payload, contentType: contentTypeOf(payload), metadata, receivedAt };
}

/** @throws Rejected: a key of the pattern is missing, or the topic would have wildcards. */
export function toTopic(pattern: string, downlink: RawDownlink): string {
  const topic = pattern.replace(/\$\{([^}]*)\}/g, (_, key: string) => {
    const value = downlink.metadata[key];
    if (value === undefined) throw new Rejected(`'${key}' is missing in the downlink metadata`);
    return value;
  });
  if (topic === '' || /[+#\u0000]/.test(topic)) throw new Rejected(`'${topic}' is not a topic to publish to`);
  return topic;
}
