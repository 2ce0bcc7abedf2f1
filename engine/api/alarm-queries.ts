import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityRef } from '../entities.ts';
import type { EntityRef } from '../message.ts';
import { shownBy } from '../services/alarm-effects.ts';
import type { Alarm } from '../services.ts';
import type { Doc, Page } from '../store.ts';
import { alarmOf, infoJson } from './alarm-docs.ts';
import { alarmFilter } from './alarm-filter.ts';
import { SEVERITIES } from './alarm-save.ts';
import type { ApiContext, Caller } from './context.ts';
import { filtered, inOrder, QueryKeys, QueryPage } from './entity-queries.ts';
import { Key, latestOf } from './entity-values.ts';
import { badRequest } from './errors.ts';
import { everyDocOf } from './lists.ts';
import { pageLink, pageOfAll } from './paging.ts';
import { AnyJson, Body, IdOf, Maybe, typed } from './schemas.ts';

/** Alarms of the entities that a query is about (specs: rest-api §2.20), on demand with those that others propagate to them. */

const Texts = Maybe(Type.Array(Type.String()));
const Which = {
  startTs: Maybe(Type.Integer()),
  endTs: Maybe(Type.Integer()),
  timeWindow: Maybe(Type.Integer({ description: 'The last … ms, in place of start and end.' })),
  typeList: Texts,
  statusList: Texts,
  severityList: Texts,
  assigneeId: Maybe(IdOf('USER')),
  searchPropagatedAlarms: Maybe(Type.Boolean()),
};
type Which = { [K in keyof typeof Which]?: Type.Static<(typeof Which)[K]> };

const CountQuery = Body({ entityFilter: Type.Optional(AnyJson), keyFilters: QueryKeys.keyFilters, ...Which });
const FindQuery = Body({ entityFilter: AnyJson, pageLink: Body({ ...QueryPage, ...Which }), alarmFields: Maybe(Type.Array(Key)), ...QueryKeys });
type FindQuery = Type.Static<typeof FindQuery>;

export default async function alarmQueries(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const tags = ['Queries'];
  app.post('/api/alarmsQuery/find', { schema: { tags, summary: 'Alarms of entities', body: FindQuery } }, ({ caller, body }) =>
    find(context, caller, body),
  );
  app.post('/api/alarmsQuery/count', { schema: { tags, summary: 'How many alarms', body: CountQuery } }, async ({ caller, body }, reply) => {
    const entities = body.entityFilter ? await filtered(context, caller, body.entityFilter, body.keyFilters ?? []) : null;
    const found = await alarmsOf(context, caller, entities, body);
    return reply.type('application/json').send(String(found.length));
  });
}

interface Shown {
  readonly alarm: Alarm;
  /** Whose alarm it is for the query: its originator's, where that is asked about, else that of one it is propagated to. */
  readonly at: EntityRef;
}

/** @param entities null: whoever's. */
async function alarmsOf(context: ApiContext, caller: Caller, entities: readonly Doc[] | null, which: Which): Promise<Shown[]> {
  const { timeWindow, assigneeId, typeList, statusList, severityList } = which;
  const lists = { typeList: typeList ?? [], statusList: statusList ?? [], severityList: severityList ?? [], assigneeId: assigneeId?.id };
  const { states, matches } = alarmFilter(lists, false);
  const times = timeWindow ? { startTime: context.now() - timeWindow } : { startTime: which.startTs || undefined, endTime: which.endTs || undefined };
  const own = caller.authority === 'CUSTOMER_USER' ? { customerId: caller.customerId } : {};
  const ids = entities && new Set(entities.map(({ id }) => id));
  if (ids?.size === 0) return [];
  const propagated = which.searchPropagatedAlarms && entities ? await propagatedTo(context, caller.tenantId, entities) : new Map<string, EntityRef>();
  const only = entities?.length === 1 && propagated.size === 0 ? { ref: entities[0]!.id } : {};
  const docs = await everyDocOf(context, 'ALARM', caller.tenantId, { ...own, ...only, ...times, states });
  return docs.map(alarmOf).flatMap((alarm) => {
    const at = !ids || ids.has(alarm.originator.id) ? alarm.originator : propagated.get(alarm.id);
    return at && (!matches || matches(alarm)) ? [{ alarm, at }] : [];
  });
}

/** By id of the alarm: the first of the entities that shows it. */
async function propagatedTo({ backend }: ApiContext, tenantId: string, entities: readonly Doc[]): Promise<Map<string, EntityRef>> {
  const shown = await Promise.all(entities.map((doc) => shownBy(backend.store, tenantId, entityRef(doc))));
  const found = new Map<string, EntityRef>();
  for (const [index, doc] of entities.entries()) for (const id of shown[index]!) if (!found.has(id)) found.set(id, entityRef(doc));
  return found;
}

type Info = Readonly<Record<string, unknown>>;

/** What alarms may be sorted by, as text. */
const ORDER: Readonly<Record<string, (info: Info) => string>> = {
  createdTime: (info) => String(info['createdTime']),
  startTime: (info) => String(info['startTs']),
  endTime: (info) => String(info['endTs']),
  ackTime: (info) => String(info['ackTs']),
  clearTime: (info) => String(info['clearTs']),
  assignTime: (info) => String(info['assignTs']),
  type: (info) => String(info['type']),
  status: (info) => String(info['status']),
  // The mildest comes first: descending is by urgency.
  severity: (info) => String(-SEVERITIES.indexOf(info['severity'] as Alarm['severity'])),
  originator: (info) => String(info['originatorName']),
  originatorType: (info) => (info['originator'] as { entityType: string }).entityType,
  assignee: (info) => (info['assignee'] as { email?: string } | null)?.email ?? '',
};

async function find(context: ApiContext, caller: Caller, body: FindQuery): Promise<Page<unknown>> {
  const { sortOrder } = body.pageLink;
  const link = pageLink(body.pageLink);
  const sortKey = sortOrder?.key.key ?? 'createdTime';
  if (!Object.hasOwn(ORDER, sortKey) || (sortOrder && sortOrder.key.type !== 'ALARM_FIELD'))
    throw badRequest(`Unsupported sort property '${sortKey}'. Only the ALARM_FIELDs '${Object.keys(ORDER).join("', '")}' are allowed.`);
  const entities = await filtered(context, caller, body.entityFilter, body.keyFilters ?? []);
  const words = link.textSearch?.toLowerCase();
  const alarms = await alarmsOf(context, caller, entities, body.pageLink);
  const infos = (await Promise.all(alarms.map(async ({ alarm, at }) => ({ at, info: await infoJson(context, alarm) })))).filter(
    ({ info }) => words === undefined || [info['type'], info['originatorName']].some((text) => String(text).toLowerCase().includes(words)),
  );
  const order = ORDER[sortKey]!;
  infos.sort((a, b) => inOrder(order(a.info), order(b.info)) || inOrder(String(a.info['createdTime']), String(b.info['createdTime'])));
  if ((sortOrder?.direction ?? 'DESC') === 'DESC') infos.reverse();
  const { data, ...page } = pageOfAll(infos, link);
  const byId = new Map(entities.map((doc) => [doc.id, doc]));
  const keys = [...(body.entityFields ?? []), ...(body.latestValues ?? [])];
  const shown = await Promise.all(
    data.map(async ({ at: entityId, info }) => ({ entityId, latest: await latestOf(context, byId.get(entityId.id)!, keys), ...info })),
  );
  return { ...page, data: shown };
}
