import type { FastifyInstance } from 'fastify';
import type { ApiContext } from './context.ts';

/** 200 once the lanes are worked and work can be made durable: that REST answers, the answer itself says. Not tied to peers. */
export default async function health(app: FastifyInstance, context: ApiContext): Promise<void> {
  app.get(
    '/health',
    { config: { who: 'open' }, schema: { tags: ['Operation'], summary: 'Whether this process does its work' } },
    async (_request, reply) => {
      const durable = context.backend.health();
      const reason = !context.lanesWorked() ? 'the lanes are not worked' : durable.ok ? null : durable.reason;
      return reason === null ? { status: 'UP' } : reply.code(503).send({ status: 'DOWN', reason });
    },
  );
}
