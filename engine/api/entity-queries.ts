import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityRef } from '../entities.ts';
import type { Doc, Page } from '../store.ts';
import type { ApiContext, Caller } from './context.ts';
import { select } from './entity-selection.ts';
import { Key, KeyFilter, latestOf, passes, shownValue } from './entity-values.ts';
import { badRequest } from './errors.ts';
import { pageLink, pageOfAll } from './paging.ts';
import { AnyJson, Body, Maybe, typed } from './schemas.ts';

/** Entities and alarms by what they are and what they hold (specs: rest-api §2.20). */

const SORT = Maybe(Body({ key: Key, direction: Maybe(Type.Enum(['ASC', 'DESC'])) }));
/** Page and order inside a body. */
export const QueryPage = { page: Type.Integer(), pageSize: Type.Integer(), textSearch: Maybe(Type.String()), sortOrder: SORT };
export const QueryKeys = { entityFields: Maybe(Type.Array(Key)), latestValues: Maybe(Type.Array(Key)), keyFilters: Maybe(Type.Array(KeyFilter)) };

const CountQuery = Body({ entityFilter: AnyJson, keyFilters: Maybe(Type.Array(KeyFilter)) });
const FindQuery = Body({ entityFilter: AnyJson, pageLink: Body(QueryPage), ...QueryKeys });
type FindQuery = Type.Static<typeof FindQuery>;

export default async function entityQueries(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const tags = ['Queries'];
  app.post('/api/entitiesQuery/find', { schema: { tags, summary: 'Entities with values of theirs', body: FindQuery } }, ({ caller, body }) =>
    find(context, caller, body),
  );
  app.post('/api/entitiesQuery/count', { schema: { tags, summary: 'How many entities', body: CountQuery } }, async ({ caller, body }, reply) => {
    const found = await filtered(context, caller, body.entityFilter, body.keyFilters ?? []);
    return reply.type('application/json').send(String(found.length));
  });
}

/** The entities of a filter whose values pass all key filters. */
export async function filtered(context: ApiContext, caller: Caller, filter: unknown, keyFilters: readonly KeyFilter[]): Promise<Doc[]> {
  let docs = await select(context, caller, filter);
  for (const { key, predicate } of keyFilters) {
    if (key.type === 'ALARM_FIELD') throw badRequest('Entities can not be filtered by ALARM_FIELD');
    const values = await Promise.all(docs.map((doc) => shownValue(context, doc, key)));
    docs = docs.filter((_doc, i) => passes(values[i]!.value, predicate as Parameters<typeof passes>[1]));
  }
  return docs;
}

async function find(context: ApiContext, caller: Caller, body: FindQuery): Promise<Page<unknown>> {
  const link = pageLink(body.pageLink);
  const docs = await filtered(context, caller, body.entityFilter, body.keyFilters ?? []);
  const fields = body.entityFields ?? [];
  const words = link.textSearch?.toLowerCase();
  const { sortOrder } = body.pageLink;
  const rows = await Promise.all(
    docs.map(async (doc) => {
      const shown = words === undefined ? [] : await Promise.all(fields.map((key) => shownValue(context, doc, key)));
      const isFound = words === undefined || [doc.name, ...shown.map(({ value }) => value)].some((text) => text.toLowerCase().includes(words));
      return { doc, isFound, order: sortOrder ? (await shownValue(context, doc, sortOrder.key)).value : String(doc.createdTime) };
    }),
  );
  const found = rows.filter(({ isFound }) => isFound).sort((a, b) => inOrder(a.order, b.order) || (a.doc.id < b.doc.id ? -1 : 1));
  if (sortOrder?.direction === 'DESC') found.reverse();
  const { data, ...page } = pageOfAll(found, link);
  const keys = [...fields, ...(body.latestValues ?? [])];
  const latest = await Promise.all(data.map(({ doc }) => latestOf(context, doc, keys)));
  return { ...page, data: data.map(({ doc }, i) => ({ entityId: entityRef(doc), latest: latest[i], timeseries: {}, aggLatest: {} })) };
}

/** Numbers as numbers, the rest as text regardless of case. */
export function inOrder(a: string, b: string): number {
  const [left, right] = [Number(a), Number(b)];
  if (a !== '' && b !== '' && !Number.isNaN(left) && !Number.isNaN(right)) return left - right;
  const [low, high] = [a.toLowerCase(), b.toLowerCase()];
  return low < high ? -1 : low > high ? 1 : 0;
}
