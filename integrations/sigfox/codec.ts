import { Rejected } from '#engine/errors.ts';
import type { InboundReply, InboundRequest, RawDownlink } from '#engine/integration.ts';

/** The callback's body is a template of the user's; usually JSON with `device` and `ack` (specs: integrations §3.9). */
function callback({ body }: InboundRequest): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** An answer to a callback that did not ask for one is lost, so `ack` decides; a template without it would never get anything, so it gets everything. */
export function wantsDownlink(request: InboundRequest): boolean {
  const { ack } = callback(request);
  return ack === undefined || ack === true || String(ack).toLowerCase() === 'true';
}

/** 8 bytes as 16 hex digits under the device's id. @throws Rejected for any other length. */
export function toReply(downlink: RawDownlink, request: InboundRequest): InboundReply {
  const text =
    downlink.contentType === 'BINARY' ? Buffer.from(downlink.data).toString('hex') : Buffer.from(downlink.data).toString().replace(/\s/g, '');
  if (!/^[0-9a-fA-F]{16}$/.test(text)) throw new Rejected('A Sigfox downlink has 8 bytes: exactly 16 hex digits');
  const { device } = callback(request);
  const received = typeof device === 'string' || typeof device === 'number' ? String(device) : undefined;
  const named = downlink.metadata['device'];
  if (received !== undefined && named !== undefined && named.toLowerCase() !== received.toLowerCase()) {
    throw new Rejected(`'device' of the downlink metadata is '${named}', but '${received}' is being answered`);
  }
  const id = received ?? named;
  if (!id) throw new Rejected("'device' is missing in the downlink metadata");
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ [id]: { downlinkData: text } }) };
}
