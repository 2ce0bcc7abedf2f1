import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

const PAGE = '/swagger-ui';

/** OpenAPI from the routes' own schemas, at ThingsBoard's address, with a page to read and try it. Call it before the routes. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Fieldbridge', description: 'ThingsBoard-compatible REST API.', version: '1' },
      components: {
        securitySchemes: {
          token: { type: 'apiKey', in: 'header', name: 'X-Authorization', description: '`Bearer <token>` of POST /api/auth/login' },
        },
      },
      security: [{ token: [] }],
    },
  });
  app.get('/v3/api-docs', { config: { who: 'open' }, schema: { hide: true } }, async () => app.swagger());
  app.get('/', { config: { who: 'open' }, schema: { hide: true } }, (_request, reply) => reply.redirect(PAGE));
  await app.register(async (scope) => {
    // The page's own routes know nothing of our callers.
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, who: 'open' };
    });
    await scope.register(swaggerUi, { routePrefix: PAGE, uiConfig: { docExpansion: 'none', persistAuthorization: true } });
  });
}
