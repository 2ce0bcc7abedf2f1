import type { FastifyInstance } from 'fastify';
import { actionMessage, enqueueAction } from '../actions.ts';
import { parseSamples, type Sample, valueJson, valueText } from '../json.ts';
import type { Aggregation, HistoryQuery, Point } from '../store.ts';
import { Work } from '../work.ts';
import { textBodies } from './bodies.ts';
import { bucketStarts, INTERVAL_TYPES } from './buckets.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { requiredText } from './required.ts';
import { isTrue, keyList, oneOf, restKeyProblem, target, wholeNumber } from './telemetry-target.ts';
import { seriesOf } from './view-series.ts';

interface Params {
  entityType: string;
  entityId: string;
  ttl?: string;
}

type Query = Readonly<Record<string, unknown>>;

const AGGREGATIONS: readonly Aggregation[] = ['NONE', 'MIN', 'MAX', 'AVG', 'SUM', 'COUNT'];
const BASE = '/api/plugins/telemetry/:entityType/:entityId';

/** Time series by REST (specs: rest-api §2.15). Writes store directly, then the message of §2.22 enters the rule chain; both in one commit. */
export default async function telemetry(app: FastifyInstance, context: ApiContext): Promise<void> {
  textBodies(app);

  app.get<{ Params: Params }>(`${BASE}/keys/timeseries`, async ({ caller, params }) => {
    const series = await seriesOf(context, await target(context, caller, params.entityType, params.entityId, 'read'));
    return [...(await series.latest([])).keys()];
  });

  async function latest(caller: Caller, params: Params, query: Query): Promise<string> {
    const series = await seriesOf(context, await target(context, caller, params.entityType, params.entityId, 'read'));
    const keys = keyList(query);
    const found = await series.latest(keys);
    const now = context.now();
    const points = keys.length > 0 ? keys.map((key) => [key, found.get(key)] as const) : [...found];
    return seriesJson(
      points.map(([key, point]) => [key, point ? [point] : null]),
      isTrue(query['useStrictDataTypes']),
      now,
    );
  }

  async function history(caller: Caller, params: Params, query: Query): Promise<string> {
    const series = await seriesOf(context, await target(context, caller, params.entityType, params.entityId, 'read'));
    const range = historyQuery(query);
    if (range.keys.length === 0) return '{}';
    const found = await series.history(range);
    return seriesJson([...found], isTrue(query['useStrictDataTypes']), context.now());
  }

  app.get<{ Params: Params; Querystring: Query }>(`${BASE}/values/timeseries`, async ({ caller, params, query }, reply) => {
    const isHistory = wholeNumber(query, 'startTs') !== undefined && wholeNumber(query, 'endTs') !== undefined;
    return reply.type('application/json').send(await (isHistory ? history : latest)(caller, params, query));
  });
  app.get<{ Params: Params; Querystring: Query }>(`${BASE}/values/timeseries/history`, async ({ caller, params, query }, reply) =>
    reply.type('application/json').send(await history(caller, params, query)),
  );

  for (const path of [`${BASE}/timeseries/:scope`, `${BASE}/timeseries/:scope/:ttl`]) {
    app.post<{ Params: Params }>(path, async ({ caller, params, body }, reply) => {
      const entity = await target(context, caller, params.entityType, params.entityId, 'write');
      const now = context.now();
      const samples = readSamples(requiredText(body), now);
      const expiresAt = expiry(params.ttl, now);
      const work = new Work();
      for (const { ts, values } of samples) {
        work.telemetry.push({ tenantId: entity.tenantId, entity: entity.ref, ts, values, expiresAt, history: true, latest: true });
      }
      const { tenantId, ref, customerId } = entity;
      enqueueAction(
        work,
        actionMessage({ caller, tenantId, type: 'TIMESERIES_UPDATED', originator: ref, customerId, data: samplesJson(samples), now }),
      );
      await context.backend.commit(work);
      return reply.code(200).send();
    });
  }

  app.delete<{ Params: Params; Querystring: Query }>(`${BASE}/timeseries/delete`, async ({ caller, params, query }, reply) => {
    const keys = keyList(query);
    if (keys.length === 0) throw badRequest('Empty keys: []');
    const entity = await target(context, caller, params.entityType, params.entityId, 'write');
    const all = isTrue(query['deleteAllDataForKeys']);
    const startTs = all ? 0 : wholeNumber(query, 'startTs');
    const endTs = all ? context.now() : wholeNumber(query, 'endTs');
    if (startTs === undefined || endTs === undefined) {
      throw badRequest("When deleteAllDataForKeys is false, start and end timestamp values shouldn't be empty");
    }
    const { tenantId, ref, customerId } = entity;
    const work = new Work();
    work.telemetryRemovals.push({
      tenantId,
      entity: ref,
      keys,
      range: all ? null : { startTs, endTs },
      removeLatest: query['deleteLatest'] === undefined || isTrue(query['deleteLatest']),
      rewriteLatest: isTrue(query['rewriteLatestIfDeleted']),
    });
    const data = { timeseries: keys, startTs, endTs };
    enqueueAction(work, actionMessage({ caller, tenantId, type: 'TIMESERIES_DELETED', originator: ref, customerId, data, now: context.now() }));
    await context.backend.commit(work);
    return reply.code(200).send();
  });
}

function historyQuery(query: Query): HistoryQuery {
  const startTs = wholeNumber(query, 'startTs');
  const endTs = wholeNumber(query, 'endTs');
  if (startTs === undefined || endTs === undefined)
    throw badRequest(`Required request parameter '${startTs === undefined ? 'startTs' : 'endTs'}' is not present`);
  const limit = wholeNumber(query, 'limit') ?? 100;
  if (limit < 1) throw badRequest(`Incorrect TsKvQuery. Limit must be greater than zero: ${limit}`);
  const interval = wholeNumber(query, 'interval') ?? 0;
  if (interval < 0) throw badRequest(`Incorrect interval: ${interval}`);
  const intervalType = oneOf(query, 'intervalType', INTERVAL_TYPES, 'MILLISECONDS');
  const asked = oneOf(query, 'agg', AGGREGATIONS, 'NONE');
  const aggregation = intervalType === 'MILLISECONDS' && interval === 0 ? 'NONE' : asked;
  const order = oneOf(query, 'orderBy', ['ASC', 'DESC'], 'DESC');
  const base = { keys: keyList(query), startTs, endTs, aggregation, limit, order };
  if (aggregation === 'NONE') return base;
  const timeZone = String([query['timeZone'] ?? ''].flat()[0] || 'UTC');
  return { ...base, buckets: bucketStarts({ startTs, endTs, interval, intervalType, timeZone }) };
}

/** @throws HttpError 400 */
function readSamples(text: string, now: number): Sample[] {
  let samples: Sample[];
  try {
    samples = parseSamples(text, now);
  } catch (cause) {
    throw badRequest(cause instanceof Error ? cause.message : String(cause));
  }
  if (samples.length === 0) throw badRequest('No time series data found in request body!');
  for (const { values } of samples) {
    for (const [key] of values) {
      const problem = restKeyProblem(key);
      if (problem) throw badRequest(problem);
    }
  }
  return samples;
}

function expiry(ttl: string | undefined, now: number): number | null {
  if (ttl === undefined) return null;
  if (!/^\d{1,10}$/.test(ttl)) throw badRequest(`Invalid TTL: ${ttl}`);
  return ttl === '0' ? null : now + Number(ttl) * 1000;
}

const samplesJson = (samples: readonly Sample[]): string => {
  const items = samples.map(
    ({ ts, values }) => `{"ts":${ts},"values":{${values.map(([key, value]) => `${JSON.stringify(key)}:${valueJson(value)}`).join(',')}}}`,
  );
  return `{"timeseries":[${items.join(',')}]}`;
};

/** `{key:[{ts,value}]}`; null: a key that was asked for and has nothing. */
function seriesJson(series: readonly (readonly [string, readonly Point[] | null])[], strict: boolean, now: number): string {
  const print = strict ? (point: Point) => valueJson(point.value) : (point: Point) => JSON.stringify(valueText(point.value));
  const entries = series.map(([key, points]) => {
    const items = points ? points.map((point) => `{"ts":${point.ts},"value":${print(point)}}`) : [`{"ts":${now},"value":null}`];
    return `${JSON.stringify(key)}:[${items.join(',')}]`;
  });
  return `{${entries.join(',')}}`;
}
