import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { ApiContext } from './context.ts';
import { handleErrors } from './errors.ts';
import health from './health.ts';
import { watchProcess } from './metrics.ts';

/** What an operator asks of a process that has no role `api`: whether it works, and how much. */
export async function buildOperationServer(
  context: Pick<ApiContext, 'backend' | 'scripts' | 'observation' | 'lanesWorked'>,
  logger?: FastifyBaseLogger,
): Promise<FastifyInstance> {
  const app = Fastify({
    ...(logger ? { loggerInstance: logger } : { logger: false }),
    logController: new LogController({ disableRequestLogging: true }),
    return503OnClosing: true,
  });
  handleErrors(app);
  const register = watchProcess(context);
  app.get('/metrics', async (_request, reply) => reply.type(register.contentType).send(await register.metrics()));
  await app.register((scope) => health(scope, context));
  await app.ready();
  return app;
}
