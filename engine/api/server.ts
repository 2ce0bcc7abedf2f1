import cors from '@fastify/cors';
import jwt from '@fastify/jwt';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { refuseUnacceptable } from './accepts.ts';
import { createTokens, guard, ISSUER } from './auth.ts';
import { jsonBodies } from './bodies.ts';
import type { ApiContext } from './context.ts';
import { ErrorCode, handleErrors, refuseUnreadable, sendError } from './errors.ts';
import { describeApi } from './openapi.ts';
import { refuseOverdue } from './overdue.ts';
import { ROUTES } from './routes.ts';
import { compileValidator } from './schemas.ts';

const MIB = 1024 * 1024;
/** 10 MB at 300 kbit/s. */
const LONGEST_REQUEST_MS = 300_000;

/** The HTTP server with every route, not listening yet (specs: rest-api §1). */
export async function buildServer(context: ApiContext, logger?: FastifyBaseLogger): Promise<FastifyInstance> {
  const app = Fastify({
    ...(logger ? { loggerInstance: logger } : { logger: false }),
    // A line for every request would cost more than the request.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 16 * MIB,
    // Long names, tokens and keys stand in paths.
    routerOptions: { maxParamLength: 1024 },
    return503OnClosing: true,
    // Nobody holds a connection, and what he has sent so far, for ever with half a request.
    requestTimeout: LONGEST_REQUEST_MS,
    frameworkErrors: (error, _request, reply) => sendError(reply, error.statusCode ?? 400, ErrorCode.BAD_REQUEST_PARAMS, error.message),
    clientErrorHandler: refuseUnreadable,
  });
  app.setValidatorCompiler(compileValidator as never);
  // Response schemas describe; they must not drop the keys that they do not know.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  handleErrors(app);
  jsonBodies(app);
  refuseUnacceptable(app);
  refuseOverdue(app, context);

  await app.register(cors, {
    delegator: ({ headers }, callback) => {
      const list = (name: string) =>
        String(headers[name] ?? '')
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== '');
      callback(null, {
        origin: true,
        credentials: true,
        maxAge: 1800,
        optionsSuccessStatus: 200,
        strictPreflight: false,
        methods: list('access-control-request-method'),
        allowedHeaders: list('access-control-request-headers').join(', '),
      });
    },
  });
  await app.register(jwt, {
    secret: context.jwtKey,
    sign: { algorithm: 'HS512' },
    verify: { algorithms: ['HS512'], allowedIss: ISSUER, cache: true },
  });
  app.decorate('tokens', createTokens(app, context));
  guard(app, context);
  const verbs = watchVerbs(app);
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    if (path.includes('//')) return sendError(reply, 400, ErrorCode.BAD_REQUEST_PARAMS, 'Bad Request');
    if (verbs(path)) return sendError(reply, 405, ErrorCode.BAD_REQUEST_PARAMS, `Request method '${request.method}' is not supported`);
    return sendError(reply, 404, ErrorCode.ITEM_NOT_FOUND, `Nothing is served at ${path}`);
  });

  await describeApi(app);
  for (const routes of ROUTES) await app.register((scope) => routes(scope, context));
  await app.ready();
  return app;
}

/** Tells whether a path has a route under another verb: 405 instead of 404. */
function watchVerbs(app: FastifyInstance): (path: string) => boolean {
  const patterns = new Map<string, RegExp>();
  app.addHook('onRoute', ({ url }) => {
    if (patterns.has(url)) return;
    const source = url
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace(/:[A-Za-z]+/g, '[^/]+')
      .replace(/\*/g, '.*');
    patterns.set(url, new RegExp(`^${source}$`));
  });
  return (path) => [...patterns.values()].some((pattern) => pattern.test(path));
}
