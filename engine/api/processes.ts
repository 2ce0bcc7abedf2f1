import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { ROLES } from '../cluster.ts';
import type { ApiContext } from './context.ts';
import { healthOf } from './health.ts';
import { everyDocOf } from './lists.ts';
import { typed } from './schemas.ts';

const Process = Type.Object(
  {
    id: Type.String({ description: 'Of this start.' }),
    host: Type.String(),
    pid: Type.Integer(),
    version: Type.String(),
    roles: Type.Array(Type.Enum([...ROLES])),
    startedAt: Type.Integer({ description: 'Unix ms.' }),
    lanes: Type.Array(Type.Integer(), { description: 'Lanes that it works.' }),
    integrations: Type.Array(Type.String(), { description: 'Ids of the integrations that it runs; a tenant sees its own.' }),
    lagMs: Type.Integer({ description: 'Age of the oldest message in its lanes.' }),
    silentMs: Type.Integer({ description: 'How long ago it was last seen alive; above about 5,000 it is given up and its work is taken over.' }),
  },
  { description: 'A process of the installation.' },
);
const Status = Type.Object({
  status: Type.Enum(['UP', 'DOWN']),
  reason: Type.Optional(Type.String({ description: 'Why this process does not do its work.' })),
  warnings: Type.Optional(Type.Array(Type.String(), { description: 'It works, but acknowledged work is not as safe as it should be.' })),
});

/** Who is alive and does what, for those who run the installation. */
export default async function processes(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { cluster } = context.backend;
  const config = { who: 'ST' } as const;
  const tags = ['System'];

  app.get(
    '/api/system/processes',
    { config, schema: { tags, summary: 'The processes of the installation', response: { 200: Type.Array(Process) } } },
    async ({ caller }) => {
      const all = await cluster.processes();
      const own = caller.authority === 'SYS_ADMIN' ? null : new Set((await everyDocOf(context, 'INTEGRATION', caller.tenantId)).map(({ id }) => id));
      return all.map(({ roles, lanes, integrations, ...rest }) => ({
        ...rest,
        roles: [...roles],
        lanes: [...lanes],
        integrations: integrations.filter((id) => own === null || own.has(id)),
      }));
    },
  );
  app.get(
    '/api/system/status',
    { config, schema: { tags, summary: 'Whether the process that answers does its work', response: { 200: Status } } },
    async () => healthOf(context),
  );
}
