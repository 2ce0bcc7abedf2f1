import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { InboundRequest } from '../integration.ts';
import { byteBodies } from './bodies.ts';
import type { ApiContext } from './context.ts';
import { ErrorCode, sendError } from './errors.ts';

/** Where peers of the HTTP family deliver (specs: integrations §3.0). Everything behind the route is the integrations' own; this only carries bytes. */
export default async function inbound(app: FastifyInstance, context: ApiContext): Promise<void> {
  byteBodies(app);
  const url = '/api/v1/integrations/:type/:routingKey';

  app.route<{ Params: { type: string; routingKey: string } }>({
    method: ['POST', 'PUT', 'GET'],
    url,
    // A HEAD request is no uplink.
    exposeHeadRoute: false,
    config: { who: 'open' },
    // Read to its end and then refused: whoever is cut off in the middle of sending sees a broken connection instead of the 413.
    bodyLimit: 2 * context.maxUplinkBytes,
    schema: { tags: ['Inbound'], summary: 'An uplink of an HTTP-family integration' },
    async handler(request, reply) {
      const { type, routingKey } = request.params;
      const inbound = toInbound(request);
      if (inbound.body.length > context.maxUplinkBytes) {
        return sendError(reply, 413, ErrorCode.BAD_REQUEST_PARAMS, `The body is larger than ${context.maxUplinkBytes} bytes`);
      }
      const answer = await context.control.integrations.inbound(type, routingKey, inbound);
      if (reply.sent) {
        // Refused meanwhile (`overdue.ts`): what this answer carries is for the next one.
        answer.written?.(false);
        return reply;
      }
      if (answer.written) tellWhetherWritten(reply.raw, answer.written);
      reply.code(answer.status);
      for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value);
      // Bytes: for a text Fastify would add a charset to the content type that was asked for.
      return reply.send(answer.body === undefined ? undefined : Buffer.from(answer.body));
    },
  });
  app.route({
    method: ['HEAD', 'DELETE', 'PATCH'],
    url,
    config: { who: 'open' },
    schema: { hide: true },
    handler: (request, reply) => {
      reply.header('Allow', 'POST, PUT, GET');
      return sendError(reply, 405, ErrorCode.BAD_REQUEST_PARAMS, `Request method '${request.method}' is not supported`);
    },
  });
}

/** Once: true at the end of the writing, false when the sender is gone, be it already. */
function tellWhetherWritten(response: ServerResponse, written: (ok: boolean) => void): void {
  let told = false;
  const tell = (ok: boolean) => {
    if (!told) written(ok);
    told = true;
  };
  if (response.closed || response.destroyed) tell(false);
  response.once('finish', () => tell(true));
  response.once('close', () => tell(false));
}

function toInbound(request: FastifyRequest): InboundRequest {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.raw.headersDistinct)) headers[name] = (value ?? []).join(', ');
  const query: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.query as Record<string, string | string[]>)) query[name] = [value].flat().join(',');
  return { method: request.method, headers, query, body: Buffer.isBuffer(request.body) ? request.body : new Uint8Array() };
}
