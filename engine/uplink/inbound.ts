import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { DownlinkRoute, Downlinks } from '#engine/downlinks.ts';
import { Busy, errorText, isPassing, NotDurable } from '#engine/errors.ts';
import type { Accepted, AnyIntegration, InboundReply, InboundRequest, RawUplink } from '#engine/integration.ts';
import type { IntegrationEvents } from '#engine/integration-events.ts';
import { debugs, shown } from '#engine/integration-events.ts';
import type { Backend } from '#engine/queue.ts';
import type { Downlink } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import type { UplinkSource } from './accept.ts';

/** A request to an HTTP-family integration: refused, or accepted and answered when it is durable, perhaps with the downlink that waited for it (specs: integrations §3.0, §4.1). */
export interface InboundDeps {
  readonly backend: Backend;
  readonly downlinks: Downlinks;
  readonly events: IntegrationEvents;
  readonly maxBytes: number;
  readonly now: () => number;
  readonly log: { error(fields: object, text: string): void };
}

export interface InboundTarget {
  readonly definition: AnyIntegration;
  readonly config: unknown;
  readonly route: DownlinkRoute;
  readonly source: UplinkSource;
}

const gunzipAsync = promisify(gunzip);
const METHODS = new Set(['POST', 'PUT', 'GET']);
/** Nobody told us whether the answer was written: it goes back. */
const SETTLE_MS = 60_000;
/** Longest wait for the chain to be through with the device's message before. */
const CHAIN_MS = 250;

/** ThingsBoard's codes of its error bodies (specs: rest-api §1.4). */
const ERROR_CODES: Readonly<Record<number, number>> = { 400: 31, 403: 20, 404: 32, 405: 31, 413: 31, 415: 31, 429: 33, 503: 2 };

export function refusal(status: number, message: string, headers: Record<string, string> = {}): InboundReply {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ status, message, errorCode: ERROR_CODES[status] ?? 2, timestamp: Date.now() }),
  };
}

export function createInbound({
  backend,
  downlinks,
  events,
  maxBytes,
  now,
  log,
}: InboundDeps): (target: InboundTarget, request: InboundRequest) => Promise<InboundReply> {
  /** @throws Error with a `status` of ours. */
  async function inflated(request: InboundRequest): Promise<InboundRequest | InboundReply> {
    if (request.body.length > maxBytes) return refusal(413, `The body is larger than ${maxBytes} bytes`);
    const encoding = request.headers['content-encoding']?.trim().toLowerCase();
    if (!encoding || encoding === 'identity') return request;
    if (encoding !== 'gzip' && encoding !== 'x-gzip') return refusal(415, `Content encoding '${encoding}' is not supported`);
    try {
      return { ...request, body: await gunzipAsync(request.body, { maxOutputLength: maxBytes }) };
    } catch (cause) {
      const tooLarge = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      return tooLarge
        ? refusal(413, `The inflated body is larger than ${maxBytes} bytes`)
        : refusal(400, `The body is not gzip: ${errorText(cause)}`);
    }
  }

  function reportRefusal({ route }: InboundTarget, request: InboundRequest): void {
    const at = now();
    if (!debugs(route.debug, true, at)) return;
    const { tenantId, id } = route.info;
    const work = new Work();
    const event = { type: 'Uplink', message: shown(request.body, 'TEXT'), messageType: 'TEXT', error: 'Security check failed' } as const;
    work.events.push(...events.integration(tenantId, id, event, at));
    // A refused request is no uplink: the event is all there is of it, and not worth an error to the sender.
    backend.commit(work).catch((cause: unknown) => log.error({ err: cause, integrationId: id }, 'event not stored'));
  }

  return async (target, received) => {
    const { definition, config, source } = target;
    const inbound = definition.inbound!;
    if (!METHODS.has(received.method)) return refusal(405, `Request method '${received.method}' is not supported`, { allow: 'POST, PUT, GET' });
    const request = await inflated(received);
    if ('status' in request) return request;
    const refused = inbound.refuse(request, config);
    if (refused) {
      reportRefusal(target, request);
      return refusal(refused.status, typeof refused.body === 'string' ? refused.body : 'Refused');
    }
    const uplink = inbound.toUplink(request, config);
    const before = backend.queue.mark();
    let accepted: Accepted;
    try {
      accepted = await source.accept(uplink, { mayWait: false });
    } catch (cause) {
      if (cause instanceof Busy) return refusal(429, cause.message, { 'retry-after': String(Math.ceil(cause.afterMs / 1000)) });
      if (cause instanceof NotDurable) return refusal(503, 'The message could not be stored; send it again', { 'retry-after': '1' });
      throw cause;
    }
    if (accepted.outcome === 'dead') return refusal(400, accepted.reason);
    const empty = inbound.emptyReply(config);
    if (accepted.outcome === 'empty' || definition.downlink !== 'pending' || !inbound.wantsDownlink(request, config)) return empty;
    const ids = accepted.entities.map(({ id }) => id);
    // What the chain made of the device's message before this one belongs into this answer, however soon the device spoke again.
    if (target.route.converter) await Promise.all(ids.map((id) => backend.queue.caughtUp(id, before, CHAIN_MS)));
    const downlink = await backend.queue.takePending(target.route.info.id, ids);
    return downlink ? answer(target, request, uplink, downlink, empty) : empty;
  };

  /** The uplink is durable: whatever goes wrong with the downlink, the sender must not send it again. */
  async function answer(
    { definition, config, route }: InboundTarget,
    request: InboundRequest,
    uplink: RawUplink,
    downlink: Downlink,
    empty: InboundReply,
  ): Promise<InboundReply> {
    const work = new Work();
    try {
      const converted = await downlinks.convert(route, downlink, uplink.metadata, work);
      const fail = async (reason: string): Promise<InboundReply> => {
        downlinks.end(route, downlink, ['FAILED'], reason, work);
        await backend.commit(work);
        return empty;
      };
      if (!converted.ok) return await fail(converted.reason);
      const [first, ...rest] = converted.parts;
      if (!first) {
        downlinks.end(route, downlink, ['CONVERTED', 'DELIVERED'], 'the converter returned nothing to send', work);
        await backend.commit(work);
        return empty;
      }
      let reply: InboundReply;
      try {
        reply = definition.inbound!.toReply(first, request, config);
      } catch (cause) {
        downlinks.sent(route, first, errorText(cause), work);
        return await fail(errorText(cause));
      }
      downlinks.sent(route, first, null, work);
      const reason = rest.length > 0 ? `an answer carries one message: the first of ${rest.length + 1} was sent` : null;
      return { ...reply, written: settler(route, downlink, reason, work) };
    } catch (cause) {
      if (!isPassing(cause)) log.error({ err: cause, integrationId: route.info.id }, 'pending downlink not sent');
      backend.queue.putBack(downlink);
      return empty;
    }
  }

  /**
   * DELIVERED is committed after the answer was written, so that a crash in between sends it again instead of losing it; when the answer could not be written, it
   * goes back and waits for the next uplink.
   */
  function settler(route: DownlinkRoute, downlink: Downlink, reason: string | null, work: Work): (ok: boolean) => void {
    let settled = false;
    const settle = (ok: boolean) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      if (!ok) return backend.queue.putBack(downlink);
      downlinks.end(route, downlink, ['CONVERTED', 'SENT', 'DELIVERED'], reason, work);
      backend.commit(work).catch((cause: unknown) => {
        log.error({ err: cause, integrationId: route.info.id, downlinkId: downlink.id }, 'state of a delivered downlink not stored');
        backend.queue.putBack(downlink);
      });
    };
    const timer = setTimeout(() => settle(false), SETTLE_MS);
    timer.unref();
    return settle;
  }
}
