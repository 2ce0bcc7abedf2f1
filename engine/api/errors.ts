import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { AppError, type AppErrorOptions, Busy, ConfigError, Duplicate, NotConnected, NotDurable, Timeout, VersionConflict } from '../errors.ts';

/** Error codes of ThingsBoard's clients (specs: rest-api §1.4). */
export const ErrorCode = {
  GENERAL: 2,
  AUTHENTICATION: 10,
  JWT_TOKEN_EXPIRED: 11,
  CREDENTIALS_EXPIRED: 15,
  PERMISSION_DENIED: 20,
  INVALID_ARGUMENTS: 30,
  BAD_REQUEST_PARAMS: 31,
  ITEM_NOT_FOUND: 32,
  TOO_MANY_REQUESTS: 33,
  VERSION_CONFLICT: 35,
  PASSWORD_VIOLATION: 45,
} as const;

/** An answer that is not 200, with ThingsBoard's error body; `details` are more keys of it. */
export class HttpError extends AppError {
  readonly status: number;
  readonly errorCode: number;
  constructor(status: number, errorCode: number, message: string, options?: AppErrorOptions) {
    super(`http-${status}`, 'never', message, options);
    this.status = status;
    this.errorCode = errorCode;
  }
}

export const badRequest = (text: string): HttpError => new HttpError(400, ErrorCode.BAD_REQUEST_PARAMS, text);
export const notFound = (text = "Requested item wasn't found!"): HttpError => new HttpError(404, ErrorCode.ITEM_NOT_FOUND, text);
export const forbidden = (text = "You don't have permission to perform this operation!"): HttpError =>
  new HttpError(403, ErrorCode.PERMISSION_DENIED, text);
export const unauthorized = (text = 'Authentication failed', errorCode: number = ErrorCode.AUTHENTICATION): HttpError =>
  new HttpError(401, errorCode, text);

/** Status and code of an error of ours; null = a bug. */
function statusOf(error: Error): { status: number; errorCode: number } | null {
  if (error instanceof HttpError) return error;
  if (error instanceof VersionConflict) return { status: 409, errorCode: ErrorCode.VERSION_CONFLICT };
  if (error instanceof ConfigError || error instanceof Duplicate) return { status: 400, errorCode: ErrorCode.BAD_REQUEST_PARAMS };
  if (error instanceof Busy) return { status: 429, errorCode: ErrorCode.TOO_MANY_REQUESTS };
  if (error instanceof NotDurable || error instanceof NotConnected) return { status: 503, errorCode: ErrorCode.GENERAL };
  if (error instanceof Timeout) return { status: 504, errorCode: ErrorCode.GENERAL };
  if (error instanceof AppError) return { status: 400, errorCode: ErrorCode.BAD_REQUEST_PARAMS };
  // Fastify's own: body too big, wrong content type, broken JSON, …
  const { statusCode } = error as { statusCode?: number };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return { status: statusCode, errorCode: ErrorCode.BAD_REQUEST_PARAMS };
  return null;
}

export function sendError(reply: FastifyReply, status: number, errorCode: number, message: string, more?: Record<string, unknown>): FastifyReply {
  return reply
    .code(status)
    .type('application/json')
    .send(JSON.stringify({ status, message, errorCode, timestamp: Date.now(), ...more }));
}

const UNREADABLE: Readonly<Record<string, readonly [status: number, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not come to its end in time'],
  HPE_HEADER_OVERFLOW: [431, 'The headers are too large'],
};

/** What the parser could not read has no request and no reply: the answer is written by hand. */
export function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [status, message] = UNREADABLE[error.code ?? ''] ?? [400, 'Bad Request'];
  const body = JSON.stringify({ status, message, errorCode: ErrorCode.BAD_REQUEST_PARAMS, timestamp: Date.now() });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  if (socket.writable) socket.write(head + body);
  socket.destroy(error);
}

/** Every error leaves in one shape. */
export function handleErrors(app: FastifyInstance): void {
  app.setErrorHandler((error: Error, request, reply) => {
    const known = statusOf(error);
    if (!known) {
      request.log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'unexpected error');
      return sendError(reply, 500, ErrorCode.GENERAL, error.message || 'Internal error');
    }
    if (error instanceof Busy) reply.header('Retry-After', Math.max(1, Math.ceil(error.afterMs / 1000)));
    if (known.status === 503) reply.header('Retry-After', 1);
    return sendError(reply, known.status, known.errorCode, error.message, error instanceof HttpError ? error.details : undefined);
  });
}
