import type { FastifyInstance } from 'fastify';
import type { ApiContext } from './context.ts';

export interface Health {
  readonly status: 'UP' | 'DOWN';
  readonly reason?: string;
  /** It works, but the operator should know. */
  readonly warnings?: string[];
}

/** Of this process. */
export function healthOf({ backend, lanesWorked }: Pick<ApiContext, 'backend' | 'lanesWorked'>): Health {
  const durable = backend.health();
  if (!lanesWorked()) return { status: 'DOWN', reason: 'the lanes are not worked' };
  if (!durable.ok) return { status: 'DOWN', reason: durable.reason };
  return durable.warnings?.length ? { status: 'UP', warnings: [...durable.warnings] } : { status: 'UP' };
}

/** 200 once the lanes are worked and work can be made durable: that REST answers, the answer itself says. Not tied to peers. */
export default async function health(app: FastifyInstance, context: Pick<ApiContext, 'backend' | 'lanesWorked'>): Promise<void> {
  app.get(
    '/health',
    { config: { who: 'open' }, schema: { tags: ['Operation'], summary: 'Whether this process does its work' } },
    async (_request, reply) => {
      const found = healthOf(context);
      return reply.code(found.status === 'UP' ? 200 : 503).send(found);
    },
  );
}
