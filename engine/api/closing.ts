import type { FastifyInstance } from 'fastify';

/**
 * For routes whose callers wait: when the server stops, `stop` ends the waiting, and those answers also end their connections. Kept alive, a connection
 * that becomes idle after the close would hold the server for its whole keep-alive time.
 */
export function endWaiting(app: FastifyInstance, stop: () => void): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
    stop();
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('Connection', 'close');
  });
}
