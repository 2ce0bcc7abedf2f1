import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ErrorCode, HttpError } from './errors.ts';

/**
 * Reads of the API whose JSON the caller's `Accept` header rules out are refused with 406. Reads only: what a request changed can not be refused afterwards. The
 * device API answers whoever asks.
 */
export function refuseUnacceptable(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (route.method !== 'GET' || !route.url.startsWith('/api/') || route.url.startsWith('/api/v1/')) return;
    route.onSend = [check, ...[route.onSend ?? []].flat()];
  });
}

async function check({ headers }: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { accept } = headers;
  if (accept === undefined || reply.statusCode !== 200 || !String(reply.getHeader('content-type')).startsWith('application/json')) return;
  if (!acceptsJson(accept))
    throw new HttpError(406, ErrorCode.BAD_REQUEST_PARAMS, `The answer is application/json, which 'Accept: ${accept}' rules out`);
}

const JSON_RANGES: ReadonlySet<string> = new Set(['', '*', '*/*', 'application/*', 'application/json', 'application/*+json']);

/** RFC 9110 §12.5.1, as far as it matters to one type: a range that covers JSON and has a weight above 0. */
function acceptsJson(accept: string): boolean {
  return accept.split(',').some((part) => {
    const [range, ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    return JSON_RANGES.has(range!) && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}
