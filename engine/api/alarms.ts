import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { EntityRef } from '../message.ts';
import { shownBy } from '../services/alarm-effects.ts';
import type { Alarm } from '../services.ts';
import type { Doc, DocQuery, Page } from '../store.ts';
import { Work } from '../work.ts';
import { readable, refOf, writable } from './access.ts';
import { type AlarmChange, alarmJson, alarmOf, announce, changeAlarm, infoJson, removeAlarm, userName } from './alarm-docs.ts';
import { type AlarmFilter, alarmFilter } from './alarm-filter.ts';
import { SEVERITIES, saveAlarm } from './alarm-save.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { everyDocOf, pageInMemory } from './lists.ts';
import { PAGE_QUERY, pageLink, pageOfAll, TIME_QUERY } from './paging.ts';
import { requiredObject } from './required.ts';
import { AnyJson, IdParams, typed, Uuid } from './schemas.ts';

const tags = ['Alarms'];
const SORT_KEYS = ['severity', 'startTs', 'endTs', 'ackTs', 'clearTs', 'assignTs', 'assigneeId', 'originator'];
const OfEntity = Type.Object({ entityType: Type.String(), entityId: Uuid });
const Listed = Type.Object({ ...PAGE_QUERY, ...TIME_QUERY });

/** Alarms (specs: rest-api §2.17). */
export default async function alarms(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const find = async (caller: Caller, id: string): Promise<Alarm> => alarmOf(await readable(context, caller, { entityType: 'ALARM', id }));

  app.post('/api/alarm', { schema: { tags, summary: 'Creates or updates an alarm', body: AnyJson } }, async ({ caller, body }) =>
    alarmJson(await saveAlarm(context, caller, requiredObject(body))),
  );
  app.get('/api/alarm/:id', { schema: { tags, summary: 'An alarm', params: IdParams } }, async ({ caller, params }) =>
    alarmJson(await find(caller, params.id)),
  );
  app.get('/api/alarm/info/:id', { schema: { tags, summary: 'An alarm with names', params: IdParams } }, async ({ caller, params }) =>
    infoJson(context, await find(caller, params.id)),
  );
  app.delete('/api/alarm/:id', { schema: { tags, summary: 'Deletes an alarm', params: IdParams } }, async ({ caller, params }) => {
    const doc = await writable(context, caller, { entityType: 'ALARM', id: params.id });
    const work = new Work();
    await removeAlarm(work, context, doc);
    await announce(work, context, caller, 'ALARM_DELETE', alarmOf(doc));
    await context.backend.commit(work);
    return true;
  });

  const change = async (caller: Caller, id: string, make: (alarm: Alarm, now: number, name: string) => AlarmChange) =>
    infoJson(context, await changeAlarm(context, caller, id, (alarm) => make(alarm, context.now(), userName(caller))));

  app.post('/api/alarm/:id/ack', { schema: { tags, summary: 'Acknowledges', params: IdParams } }, ({ caller, params }) =>
    change(caller, params.id, (alarm, now, name) => {
      if (alarm.acknowledged) throw badRequest('Alarm was already acknowledged!');
      const comment = { text: `Alarm was acknowledged by user ${name}`, subtype: 'ACKED_BY_USER', userName: name };
      return { alarm: { ...alarm, acknowledged: true, ackTs: now }, type: 'ALARM_ACK', comment };
    }),
  );
  app.post('/api/alarm/:id/clear', { schema: { tags, summary: 'Clears', params: IdParams } }, ({ caller, params }) =>
    change(caller, params.id, (alarm, now, name) => {
      if (alarm.cleared) throw badRequest('Alarm was already cleared!');
      const comment = { text: `Alarm was cleared by user ${name}`, subtype: 'CLEARED_BY_USER', userName: name };
      return { alarm: { ...alarm, cleared: true, clearTs: now }, type: 'ALARM_CLEAR', comment };
    }),
  );
  const assigning = { tags, summary: 'Assigns to a user', params: Type.Object({ id: Uuid, userId: Uuid }) };
  app.post('/api/alarm/:id/assign/:userId', { schema: assigning }, async ({ caller, params }) => {
    await readable(context, caller, { entityType: 'ALARM', id: params.id });
    const user = await readable(context, caller, { entityType: 'USER', id: params.userId });
    const assigneeName = [user.body['firstName'], user.body['lastName']].filter(Boolean).join(' ') || user.name;
    return change(caller, params.id, (alarm, now, name) => ({
      alarm: { ...alarm, assigneeId: user.id, assignTs: now },
      type: 'ALARM_ASSIGNED',
      comment: { text: `Alarm was assigned by user ${name} to user ${assigneeName}`, subtype: 'ASSIGNED_TO_USER', userName: name, assigneeName },
    }));
  });
  app.delete('/api/alarm/:id/assign', { schema: { tags, summary: 'Assigns to nobody', params: IdParams } }, ({ caller, params }) =>
    change(caller, params.id, (alarm, now, name) => ({
      alarm: { ...alarm, assigneeId: null, assignTs: now },
      type: 'ALARM_UNASSIGNED',
      comment: { text: `Alarm was unassigned by user ${name}`, subtype: 'UNASSIGNED_BY_USER', userName: name },
    })),
  );

  for (const older of [true, false]) {
    const base = older ? '/api' : '/api/v2';
    const schema = { tags, summary: 'Alarms', querystring: Listed };
    app.get(`${base}/alarms`, { schema }, ({ caller, query }) => list(caller, query, alarmFilter(query, older), {}));
    app.get(`${base}/alarm/:entityType/:entityId`, { schema: { ...schema, params: OfEntity } }, async ({ caller, params, query }) => {
      const filter = alarmFilter(query, older);
      const entity = refOf(params.entityType, params.entityId);
      await readable(context, caller, entity);
      return list(caller, query, filter, await alarmsAt(context, caller.tenantId, entity));
    });
  }

  async function list(caller: Caller, query: unknown, { states, matches }: AlarmFilter, where: DocQuery): Promise<Page<unknown>> {
    const link = pageLink(query, SORT_KEYS);
    const own = caller.authority === 'CUSTOMER_USER' ? { ...where, customerId: caller.customerId } : where;
    const { startTime, endTime } = link;
    const found: Page<Doc> = matches
      ? pageInMemory(
          (await everyDocOf(context, 'ALARM', caller.tenantId, { ...own, states, startTime, endTime })).filter((doc) => matches(alarmOf(doc))),
          link,
        )
      : await store.docs('ALARM', caller.tenantId, { ...link, ...own, states });
    return { ...found, data: await Promise.all(found.data.map((doc) => infoJson(context, alarmOf(doc)))) };
  }

  app.get(
    '/api/alarm/highestSeverity/:entityType/:entityId',
    { schema: { tags, summary: 'Of an entity', params: OfEntity } },
    async ({ caller, params, query }, reply) => {
      const { states, matches } = alarmFilter(query, true);
      const entity = refOf(params.entityType, params.entityId);
      await readable(context, caller, entity);
      const found = (await everyDocOf(context, 'ALARM', caller.tenantId, { ...(await alarmsAt(context, caller.tenantId, entity)), states }))
        .map(alarmOf)
        .filter((alarm) => !matches || matches(alarm));
      const highest = SEVERITIES.find((severity) => found.some((alarm) => alarm.severity === severity));
      return highest === undefined ? reply.code(200).send() : reply.type('application/json').send(JSON.stringify(highest));
    },
  );

  app.get(
    '/api/alarm/types',
    { schema: { tags, summary: 'Types of alarms that there are', querystring: Type.Object(PAGE_QUERY) } },
    async ({ caller, query }) => {
      const link = pageLink(query);
      const words = link.textSearch?.toLowerCase() ?? '';
      const kinds = new Set((await everyDocOf(context, 'ALARM', caller.tenantId)).map(({ kind }) => kind ?? ''));
      const sorted = [...kinds].filter((type) => type.toLowerCase().includes(words)).sort();
      if (link.order === 'DESC') sorted.reverse();
      const tenantId = { entityType: 'TENANT', id: caller.tenantId };
      return pageOfAll(
        sorted.map((type) => ({ tenantId, entityType: 'ALARM', type })),
        link,
      );
    },
  );
}

/** Alarms of an entity and those that others propagate to it. */
async function alarmsAt(context: ApiContext, tenantId: string, entity: EntityRef): Promise<DocQuery> {
  const shown = await shownBy(context.backend.store, tenantId, entity);
  if (shown.length === 0) return { ref: entity.id };
  const own = await everyDocOf(context, 'ALARM', tenantId, { ref: entity.id });
  return { ids: [...new Set([...own.map(({ id }) => id), ...shown])] };
}
