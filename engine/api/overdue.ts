import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ApiContext } from './context.ts';
import { ErrorCode } from './errors.ts';

export interface OverdueOptions {
  readonly everyMs?: number;
  /** With the time that it takes to notice (`store/mongo/monitor.ts`), nobody waits for much longer than ten seconds. */
  readonly longestMs?: number;
}

/**
 * While a server is away, what is being stored waits for it, and may be stored in the end; but those who wait for the answer are told. Requests that wait for
 * something else, such as long polls, are told as well when nothing can come.
 */
export function refuseOverdue(
  app: FastifyInstance,
  { backend }: Pick<ApiContext, 'backend'>,
  { everyMs = 1000, longestMs = 6000 }: OverdueOptions = {},
): void {
  const since = new Map<FastifyReply, number>();
  let awaySince: number | null = null;
  app.addHook('onRequest', (_request, reply, done) => {
    since.set(reply, performance.now());
    reply.raw.once('close', () => since.delete(reply));
    done();
  });
  const timer = setInterval(() => {
    const health = backend.health();
    const now = performance.now();
    if (health.ok) {
      awaySince = null;
      return;
    }
    awaySince ??= now;
    for (const [reply, begin] of since) {
      if (now - Math.max(begin, awaySince) < longestMs) continue;
      since.delete(reply);
      if (!reply.sent && !reply.raw.headersSent) refuse(reply, health.reason);
    }
  }, everyMs);
  timer.unref();
  app.addHook('onClose', async () => clearInterval(timer));
}

/** Its handler goes on: what it answers later goes nowhere. */
function refuse(reply: FastifyReply, reason: string): void {
  const message = `${reason}; it is not known whether the request was carried out`;
  const body = JSON.stringify({ status: 503, message, errorCode: ErrorCode.GENERAL, timestamp: Date.now() });
  reply.hijack();
  reply.raw.writeHead(503, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'retry-after': '1',
  });
  reply.raw.end(body);
}
