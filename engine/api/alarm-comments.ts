import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { newDoc } from '../entities.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable } from './access.ts';
import { alarmOf, announce, userName } from './alarm-docs.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { PAGE_QUERY, pageLink, uuid } from './paging.ts';
import { requiredObject } from './required.ts';
import { AnyJson, IdParams, typed, Uuid } from './schemas.ts';

type Json = Record<string, unknown>;
const tags = ['Alarms'];
const path = '/api/alarm/:id/comment';

/** What people and the platform write beside an alarm (specs: rest-api §2.17, §8). */
export default async function alarmComments(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;

  app.post(path, { schema: { tags, summary: 'Writes or changes a comment', params: IdParams, body: AnyJson } }, async ({ caller, params, body }) => {
    const fields = requiredObject(body);
    const alarm = await readable(context, caller, { entityType: 'ALARM', id: params.id });
    const comment = fields['comment'];
    if (typeof comment !== 'object' || comment === null || Array.isArray(comment)) throw badRequest('Alarm comment should be specified!');
    const given = fields['id'] as { id?: unknown } | null | undefined;
    const stored = given ? await find(alarm, uuid(String(given.id))) : null;
    if (stored?.kind === 'SYSTEM') throw badRequest("System alarm comment couldn't be changed!");
    const now = context.now();
    const doc = stored
      ? { ...stored, body: { ...stored.body, comment: { ...(comment as Json), edited: 'true', editedOn: now } } }
      : newDoc(
          {
            collection: 'ALARM_COMMENT',
            tenantId: alarm.tenantId,
            name: alarm.name,
            kind: 'OTHER',
            ref: alarm.id,
            body: { userId: caller.userId, comment },
          },
          now,
        );
    const work = new Work();
    work.docs.push({ doc });
    await announce(work, context, caller, stored ? 'COMMENT_UPDATED' : 'COMMENT_CREATED', alarmOf(alarm), {
      comment: JSON.stringify(commentJson(doc)),
    });
    await context.backend.commit(work);
    return commentJson(doc);
  });

  const listed = { tags, summary: 'Comments of an alarm', params: IdParams, querystring: Type.Object(PAGE_QUERY) };
  app.get(path, { schema: listed }, async ({ caller, params, query }) => {
    const link = pageLink(query);
    const alarm = await readable(context, caller, { entityType: 'ALARM', id: params.id });
    const found = await store.docs('ALARM_COMMENT', alarm.tenantId, { ...link, ref: alarm.id });
    const ids = [...new Set(found.data.map(({ body }) => body['userId'] as string | null).filter((id) => id !== null))];
    const users = new Map(ids.length === 0 ? [] : (await store.docs('USER', alarm.tenantId, { ids })).data.map((user) => [user.id, user]));
    return { ...found, data: found.data.map((doc) => ({ ...commentJson(doc), ...names(users.get(String(doc.body['userId']))) })) };
  });

  const deleting = { tags, summary: 'Deletes a comment', params: Type.Object({ id: Uuid, commentId: Uuid }) };
  app.delete(`${path}/:commentId`, { schema: deleting }, async ({ caller, params }, reply) => {
    const alarm = await readable(context, caller, { entityType: 'ALARM', id: params.id });
    const stored = await find(alarm, params.commentId);
    if (stored.kind === 'SYSTEM') throw badRequest("System alarm comment couldn't be deleted!");
    const work = new Work();
    work.docs.push({ doc: { ...stored, kind: 'SYSTEM', body: { userId: null, comment: deleted(caller) } } });
    await context.backend.commit(work);
    return reply.code(200).send();
  });

  async function find(alarm: Doc, id: string): Promise<Doc> {
    const comment = await store.doc('ALARM_COMMENT', alarm.tenantId, id);
    if (comment?.ref !== alarm.id) throw notFound(`Alarm comment with id [${id}] is not found`);
    return comment;
  }
}

/** That there was a comment stays visible. */
function deleted(caller: Caller): Json {
  const name = userName(caller);
  return { text: `Comment was deleted by user ${name}`, subtype: 'COMMENT_DELETED', userName: name };
}

function commentJson({ id, createdTime, ref, kind, body }: Doc): Json {
  const userId = typeof body['userId'] === 'string' ? { entityType: 'USER', id: body['userId'] } : null;
  return {
    id: { id },
    createdTime,
    alarmId: { entityType: 'ALARM', id: ref },
    userId,
    type: kind,
    comment: body['comment'],
    name: JSON.stringify(body['comment']),
  };
}

const names = (user: Doc | undefined): Json => ({
  firstName: user?.body['firstName'] ?? null,
  lastName: user?.body['lastName'] ?? null,
  email: user?.name ?? null,
});
