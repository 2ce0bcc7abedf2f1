import type { FastifyInstance } from 'fastify';
import { badRequest } from './errors.ts';

/** How bodies are read (specs: rest-api §1.7). Parsers belong to the plugin that adds them. */

/** JSON only; an empty body with a JSON content type is no body. */
export function jsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    if (text === '') return done(null, undefined);
    if (isDeep(text as string)) return done(badRequest(`Body is nested deeper than ${DEEPEST} levels`));
    try {
      const body: unknown = JSON.parse(text as string);
      done(null, body === null ? undefined : body);
    } catch (error) {
      done(badRequest(`Body is no JSON: ${(error as Error).message}`));
    }
  });
}

/** Raw text, JSON or not, for routes whose numbers must keep their spelling: they parse it themselves. */
export function textBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(['application/json', 'text/plain'], { parseAs: 'string' }, (_request, text, done) => done(null, text));
}

const MEDIA_TYPE = /^\s*[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(;|$)/;

/** Devices send `Content-Type: json`, or an empty one: no reason to refuse what they measured. Fastify looks at `headers` only; who reads the others sees what came. */
function takeAnyType(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addHook('onRequest', ({ raw: { headers } }, _reply, done) => {
    const type = headers['content-type'];
    if (type !== undefined && !MEDIA_TYPE.test(type)) headers['content-type'] = 'application/octet-stream';
    done();
  });
}

/** Any content type, as text. */
export function anyTextBodies(app: FastifyInstance): void {
  takeAnyType(app);
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, text, done) => done(null, text));
}

/** Any content type, as bytes. */
export function byteBodies(app: FastifyInstance): void {
  takeAnyType(app);
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, bytes, done) => done(null, bytes));
}

/** What is nested deeper, the store and the clients could not print again. */
const DEEPEST = 1000;

function isDeep(text: string): boolean {
  if (text.length < 2 * DEEPEST) return false;
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (quoted) {
      if (char === 0x5c) i++;
      else if (char === 0x22) quoted = false;
    } else if (char === 0x22) quoted = true;
    else if (char === 0x7b || char === 0x5b) {
      if (++depth > DEEPEST) return true;
    } else if (char === 0x7d || char === 0x5d) depth--;
  }
  return false;
}
