import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildOperationServer } from '#engine/api/operation.ts';
import type { ProcessInfo } from '#engine/cluster.ts';
import { type Api, SYSADMIN, startApi } from '#test/support/api.ts';

let api: Api;
let sysadmin: string;
before(async () => {
  api = await startApi();
  sysadmin = await api.login(SYSADMIN);
});
after(() => api.close());

const FOREIGN = '784f394c-42b6-435a-983c-b7beff2784f9';
const process = (fields: Partial<ProcessInfo> = {}): ProcessInfo => ({
  id: 'p1',
  host: 'plant-1',
  pid: 7,
  version: '1.0.0',
  roles: ['rules', 'integrations'],
  startedAt: 1,
  lanes: [0, 3],
  integrations: [],
  lagMs: 12,
  silentMs: 400,
  ...fields,
});

test('processes: the administrator sees all, a tenant the integrations that are its own', async () => {
  const converter = (await api.call('POST', '/api/converter', { body: { name: 'up', type: 'UPLINK', configuration: {} } })).body;
  const made = { name: 'i', type: 'HTTP', defaultConverterId: converter.id, configuration: {} };
  const { id } = (await api.call('POST', '/api/integration', { body: made })).body;
  const all = [process({ integrations: [id.id, FOREIGN] }), process({ id: 'p2', roles: ['api'], lanes: [] })];
  Object.assign(api.context.backend.cluster, { processes: async () => all });
  assert.deepEqual((await api.call('GET', '/api/system/processes', { token: sysadmin })).body, all);
  assert.deepEqual((await api.call('GET', '/api/system/processes')).body, [{ ...all[0], integrations: [id.id] }, all[1]]);
  assert.equal((await api.call('GET', '/api/system/processes', { token: null })).status, 401);
});

test('processes: described in OpenAPI', async () => {
  const { paths } = (await api.call('GET', '/v3/api-docs', { token: null })).body;
  const { schema } = paths['/api/system/processes'].get.responses['200'].content['application/json'];
  assert.deepEqual(Object.keys(schema.items.properties), Object.keys(process()));
});

test('status: what the operator should know', async () => {
  const warnings = ['Redis: appendonly is off; acknowledged work does not survive its end'];
  Object.assign(api.context.backend, { health: () => ({ ok: true, warnings }) });
  assert.deepEqual((await api.call('GET', '/api/system/status')).body, { status: 'UP', warnings });
  Object.assign(api.context.backend, { health: () => ({ ok: false, reason: 'MongoDB: no answer' }) });
  assert.deepEqual((await api.call('GET', '/api/system/status', { token: sysadmin })).body, { status: 'DOWN', reason: 'MongoDB: no answer' });
  Object.assign(api.context.backend, { health: () => ({ ok: true }) });
});

test('a process without the role api serves its health and its metrics, and nothing else', async (t) => {
  const app = await buildOperationServer(api.context);
  t.after(() => app.close());
  const get = async (url: string) => app.inject({ method: 'GET', url });
  assert.deepEqual((await get('/health')).json(), { status: 'UP' });
  const metrics = (await get('/metrics')).body;
  assert.match(metrics, /^fieldbridge_lane_messages \d/m);
  assert.doesNotMatch(metrics, /fieldbridge_queue_jobs/, 'embedded, messages are no jobs');
  assert.doesNotMatch(metrics, /fieldbridge_ledger/, 'what all processes share is shown by those with the role api');
  for (const url of ['/api/system/info', '/api/v1/token/attributes', '/', '/v3/api-docs']) assert.equal((await get(url)).statusCode, 404, url);
});

test('where messages are dispatched as jobs, each process counts its own', async (t) => {
  const { queue } = api.context.backend;
  queue.jobs = () => ({ added: { jobs: 3, messages: 40 }, done: { jobs: 2, messages: 25 } });
  t.after(() => {
    delete queue.jobs;
  });
  const app = await buildOperationServer(api.context);
  t.after(() => app.close());
  const metrics = (await app.inject({ method: 'GET', url: '/metrics' })).body;
  assert.deepEqual(metrics.match(/^fieldbridge_queue_job.*$/gm), [
    'fieldbridge_queue_jobs_total{step="added"} 3',
    'fieldbridge_queue_jobs_total{step="done"} 2',
    'fieldbridge_queue_job_messages_total{step="added"} 40',
    'fieldbridge_queue_job_messages_total{step="done"} 25',
  ]);
});
