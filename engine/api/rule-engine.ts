import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { enqueueAction } from '../actions.ts';
import { newId } from '../id.ts';
import { createMessage, NULL_ID } from '../message.ts';
import { Work } from '../work.ts';
import { textBodies } from './bodies.ts';
import { endWaiting } from './closing.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, forbidden } from './errors.ts';
import { isJsonText } from './json-text.ts';
import { requiredText } from './required.ts';
import { type Target, target } from './telemetry-target.ts';

const DEFAULT_TIMEOUT_MS = 10_000;

interface Params {
  entityType: string;
  entityId: string;
  queueName?: string;
  timeout?: string;
}

/** Pushes a body into the rule chain and answers with what a "rest call reply" node says (specs: rest-api §2.11). */
export default async function ruleEngine(app: FastifyInstance, context: ApiContext): Promise<void> {
  textBodies(app);
  endWaiting(app, () => context.waiting.close());
  const options = {
    config: { who: 'STC' },
    schema: { tags: ['Rule engine'], summary: 'Pushes a message into the rule chain and waits for its reply' },
  } as const;
  const path = '/api/rule-engine/:entityType/:entityId';

  app.post('/api/rule-engine/', options, async ({ caller, body }, reply) => {
    const { ref, tenantId } = caller;
    const customerId = caller.customerId === NULL_ID ? null : caller.customerId;
    return push({ ref, tenantId, name: caller.email, type: '', customerId }, body, DEFAULT_TIMEOUT_MS, null, reply);
  });
  for (const route of [path, `${path}/:timeout`, `${path}/:queueName/:timeout`]) {
    app.post<{ Params: Params }>(route, options, async ({ caller, params, body }, reply) => {
      const entity = await originator(caller, params);
      return push(entity, body, timeoutOf(params.timeout), params.queueName ?? null, reply);
    });
  }

  async function originator(caller: Caller, { entityType, entityId }: Params): Promise<Target> {
    if (entityType === 'TENANT' && caller.authority === 'TENANT_ADMIN') throw forbidden();
    return target(context, caller, entityType, entityId, 'write');
  }

  async function push(entity: Target, body: unknown, timeoutMs: number, queueName: string | null, reply: FastifyReply): Promise<FastifyReply> {
    const data = requiredText(body);
    if (!beginsAsJson(data)) throw badRequest('Invalid request body');
    const now = context.now();
    const requestUUID = randomUUID();
    const { tenantId, ref, customerId } = entity;
    const metadata = { serviceId: context.serviceId, requestUUID, expirationTime: String(now + timeoutMs) };
    const message = createMessage(
      { tenantId, type: 'REST_API_REQUEST', originator: ref, customerId, data, metadata, queueName, ts: now },
      () => newId(now),
      now,
    );
    const work = new Work();
    enqueueAction(work, message);
    // Waiting begins before the commit: the chain may answer before this function goes on.
    const waiting = context.waiting.restReply(requestUUID, timeoutMs);
    try {
      await context.backend.commit(work);
    } catch (cause) {
      context.waiting.answerRest(requestUUID, '');
      throw cause;
    }
    const answer = await waiting;
    if (answer === null) return reply.code(408).send();
    return isJsonText(answer) ? reply.type('application/json').send(answer) : reply.code(406).send();
  }
}

function timeoutOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TIMEOUT_MS;
  if (!/^\d{1,10}$/.test(text)) throw badRequest(`Invalid timeout: ${text}`);
  return Number(text);
}

/** ThingsBoard reads one JSON value and keeps whatever follows it (recorded). */
function beginsAsJson(text: string): boolean {
  if (isJsonText(text)) return true;
  try {
    JSON.parse(text);
  } catch (cause) {
    // "Unexpected non-whitespace character after JSON at position 12": a whole value stands before it.
    const position = /after JSON at position (\d+)/.exec(String(cause))?.[1];
    return position !== undefined && isJsonText(text.slice(0, Number(position)));
  }
  return true;
}
