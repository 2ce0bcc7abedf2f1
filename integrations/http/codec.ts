import { validateHeaderName, validateHeaderValue } from 'node:http';
import { Rejected } from '#engine/errors.ts';
import type { InboundReply, RawDownlink } from '#engine/integration.ts';

const CONTENT_TYPES = { JSON: 'application/json', TEXT: 'text/plain', BINARY: 'application/octet-stream' } as const;
/** They describe the connection or the body, which is ours to say. */
const OURS = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'trailer', 'te']);

/** The converter's metadata become headers. @throws Rejected for a name or value that HTTP does not allow. */
export function toReply(downlink: RawDownlink): InboundReply {
  const headers: Record<string, string> = { 'content-type': CONTENT_TYPES[downlink.contentType] };
  for (const [name, value] of Object.entries(downlink.metadata)) {
    const lower = name.toLowerCase();
    if (OURS.has(lower)) continue;
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch (cause) {
      throw new Rejected(`'${name}' of the downlink metadata can not be a header`, { cause });
    }
    headers[lower] = value;
  }
  return { status: 200, headers, body: downlink.data };
}
