import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

/** Time series read through an entity view: t has values at 10, 20, 30 and u at 20. */

const BASE = '/api/plugins/telemetry';
let api: Api;
let device: string;
before(async () => {
  api = await startApi();
  device = (await api.call('POST', '/api/device', { body: { name: 'th-1', type: 'default' } })).body.id.id;
  const samples = [10, 20, 30].map((ts) => ({ ts, values: ts === 20 ? { t: ts, u: ts } : { t: ts } }));
  await api.call('POST', `${BASE}/DEVICE/${device}/timeseries/ANY`, { body: samples });
});
after(() => api.close());

const read = async (view: string, path: string) => {
  const { body } = await api.call('GET', `${BASE}/ENTITY_VIEW/${view}/${path}`);
  if (Array.isArray(body)) return body.sort();
  const points = Object.entries(body as Record<string, { ts: number; value: unknown }[]>);
  return Object.fromEntries(points.map(([key, list]) => [key, list.map(({ ts, value }) => (value === null ? null : ts))]));
};

for (const [index, { name, view, keys, latest, both, history }] of [
  {
    name: 'no keys, no time',
    view: {},
    keys: ['t', 'u'],
    latest: { t: [30], u: [20] },
    both: { t: [30], u: [20] },
    history: { t: [30, 20, 10], u: [20] },
  },
  {
    name: 'one key',
    view: { keys: { timeseries: ['t'] } },
    keys: ['t'],
    latest: { t: [30] },
    both: { t: [30], u: [null] },
    history: { t: [30, 20, 10] },
  },
  {
    name: 'another key',
    view: { keys: { timeseries: ['u'] } },
    keys: ['u'],
    latest: { u: [20] },
    both: { t: [null], u: [20] },
    history: { u: [20] },
  },
  { name: 'a start', view: { startTimeMs: 25 }, keys: ['t'], latest: { t: [30] }, both: { t: [30], u: [null] }, history: { t: [30] } },
  {
    name: 'an end',
    view: { endTimeMs: 20 },
    keys: ['t', 'u'],
    latest: { t: [20], u: [20] },
    both: { t: [20], u: [20] },
    history: { t: [20, 10], u: [20] },
  },
  { name: 'a time without values', view: { startTimeMs: 40, endTimeMs: 50 }, keys: [], latest: {}, both: { t: [null], u: [null] }, history: {} },
].entries()) {
  test(`view: ${name}`, async () => {
    const body = { name: `view-${index}`, type: 'tv', entityId: { entityType: 'DEVICE', id: device }, ...view };
    const id = (await api.call('POST', '/api/entityView', { body })).body.id.id;
    assert.deepEqual(
      {
        keys: await read(id, 'keys/timeseries'),
        latest: await read(id, 'values/timeseries'),
        both: await read(id, 'values/timeseries?keys=t,u'),
        history: await read(id, 'values/timeseries/history?keys=t,u&startTs=0&endTs=100'),
      },
      { keys, latest, both, history },
    );
  });
}
