import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { newId } from '../id.ts';
import { type Message, withChanges } from '../message.ts';
import type { DeadLetter, Downlink } from '../store.ts';
import { Work } from '../work.ts';
import { readable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { PAGE_QUERY, pageLink, uuid } from './paging.ts';
import { isBase64 } from './required.ts';
import { IdParams, typed } from './schemas.ts';

const config = { who: 'T' } as const;
const tags = ['Dead letters'];
/** What could not be handled: where and why, and the ways out of it (issue "See that nothing got lost"). */
export default async function deadLetters(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;

  const listed = Type.Object({ ...PAGE_QUERY, integrationId: Type.Optional(Type.String({ description: 'Those of one integration.' })) });
  app.get('/api/deadLetters', { config, schema: { tags, summary: 'Dead letters, newest first', querystring: listed } }, async ({ caller, query }) => {
    const { page, pageSize } = pageLink(query);
    const owner = query.integrationId === undefined ? undefined : uuid(query.integrationId);
    if (owner !== undefined && owner !== caller.tenantId) await readable(context, caller, { entityType: 'INTEGRATION', id: owner });
    const found = await store.deadLetters(caller.tenantId, owner, page, pageSize);
    return { ...found, data: found.data.map(deadLetterJson) };
  });

  app.get('/api/deadLetter/:id', { config, schema: { tags, summary: 'A dead letter', params: IdParams } }, async ({ caller, params }) =>
    deadLetterJson(await find(caller, params.id)),
  );

  const requeue = { tags, summary: 'Tries it again, perhaps with another payload', params: IdParams };
  app.post('/api/deadLetter/:id/requeue', { config, schema: requeue }, async ({ caller, params, body }, reply) => {
    const letter = await find(caller, params.id);
    const payload = payloadOf(body);
    if (letter.stage === 'uplink') await context.control.integrations.requeueUplink(letter.id, letter.tenantId, payload);
    else await context.backend.commit(letter.stage === 'chain' ? backToItsLane(letter, payload) : newDownlink(letter, payload));
    return reply.code(200).send();
  });

  app.delete('/api/deadLetter/:id', { config, schema: { tags, summary: 'Gives it up', params: IdParams } }, async ({ caller, params }, reply) => {
    const { tenantId, id } = await find(caller, params.id);
    const work = new Work();
    work.deadLetterRemovals.push({ tenantId, id });
    await context.backend.commit(work);
    return reply.code(200).send();
  });

  async function find(caller: Caller, id: string): Promise<DeadLetter> {
    const letter = await store.deadLetter(caller.tenantId, id);
    if (!letter) throw notFound(`Dead letter with id [${id}] is not found`);
    return letter;
  }

  /** Again from where it came into the chain; it counts as in flight, no more as dead. */
  function backToItsLane(letter: DeadLetter, payload: Uint8Array | undefined): Work {
    const work = taken(letter);
    work.messages.push(withChanges(messageOf(letter, payload), { attempts: 0 }));
    work.count(letter.tenantId, letter.owner, 'messages.dead', -1);
    return work;
  }

  /** The one that failed stays failed: its successor is a downlink of its own. */
  function newDownlink(letter: DeadLetter, payload: Uint8Array | undefined): Work {
    const { tenantId, integrationId, entity } = letter;
    const rule = integrationId === null ? null : context.control.integrations.downlinkTarget(tenantId, integrationId);
    if (!rule || integrationId === null || entity === null) throw badRequest('The integration of this downlink is not there any more');
    if (rule.problem !== null) throw badRequest(rule.problem);
    const now = context.now();
    const work = taken(letter);
    const downlink: Downlink = {
      id: newId(now),
      createdTime: now,
      tenantId,
      integrationId,
      entity,
      delivery: rule.delivery,
      policy: rule.policy,
      expiresAt: rule.ttlMs === 0 ? Number.MAX_SAFE_INTEGER : now + rule.ttlMs,
      message: messageOf(letter, payload),
      state: 'QUEUED',
      history: [{ state: 'QUEUED', ts: now, reason: `requeued from dead letter ${letter.id}` }],
    };
    work.downlinks.push(downlink);
    work.count(tenantId, integrationId, 'downlinks.created');
    return work;
  }
}

function taken({ tenantId, id }: DeadLetter): Work {
  const work = new Work();
  work.deadLetterRemovals.push({ tenantId, id });
  return work;
}

function messageOf({ message, stage }: DeadLetter, payload: Uint8Array | undefined): Message {
  if (!message) throw badRequest(`This dead letter of stage '${stage}' has no message`);
  return payload === undefined ? message : withChanges(message, { data: Buffer.from(payload).toString() });
}

/** `{"payload":"<base64>"}`; absent: as it was. @throws HttpError 400 */
function payloadOf(body: unknown): Uint8Array | undefined {
  const payload = (body as { payload?: unknown } | null | undefined)?.payload ?? null;
  if (payload === null) return undefined;
  if (typeof payload !== 'string' || !isBase64(payload)) throw badRequest('Validation error: payload is not base64');
  return Buffer.from(payload, 'base64');
}

function deadLetterJson({ id, createdTime, integrationId, stage, reason, payload, metadata, entity, node }: DeadLetter): Record<string, unknown> {
  const base = { id, createdTime, integrationId, stage, reason, payload: Buffer.from(payload).toString('base64'), metadata };
  return { ...base, ...(entity ? { entityId: entity } : {}), ...(node ? { node } : {}) };
}
