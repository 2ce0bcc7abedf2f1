import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NotConnected } from '#engine/errors.ts';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

for (const [name, worked, durable, want] of [
  ['everything works', true, { ok: true }, [200, { status: 'UP' }]],
  ['it works, with something to know', true, { ok: true, warnings: ['w'] }, [200, { status: 'UP', warnings: ['w'] }]],
  ['the lanes are not worked yet', false, { ok: true }, [503, { status: 'DOWN', reason: 'the lanes are not worked' }]],
  ['nothing can be made durable', true, { ok: false, reason: 'disk full' }, [503, { status: 'DOWN', reason: 'disk full' }]],
] as const) {
  test(`health: ${name}`, async () => {
    Object.assign(api.context, { lanesWorked: () => worked });
    Object.assign(api.context.backend, { health: () => durable });
    const { status, body } = await api.call('GET', '/health', { token: null });
    assert.deepEqual([status, body], want);
  });
}

test('metrics: lanes, scripts, ledgers, integrations, requests and the event loop, without login', async () => {
  Object.assign(api.context.backend, { health: () => ({ ok: true }) });
  const converter = (await api.call('POST', '/api/converter', { body: { name: 'up', type: 'UPLINK', configuration: {} } })).body;
  const made = (
    await api.call('POST', '/api/integration', { body: { name: 'i', type: 'HTTP', defaultConverterId: converter.id, configuration: {} } })
  ).body;
  await api.call('POST', '/api/device', { body: { name: 'd', type: 'default' } });
  const status = { state: 'active', reason: null, since: 1, warnings: [], nextAttemptAt: null, lastUplinkAt: null };
  Object.assign(api.context.control.integrations, { status: () => status });
  const { status: code, text } = await api.call('GET', '/metrics', { token: null });
  assert.equal(code, 200);
  for (const line of [
    'fieldbridge_healthy 1',
    'fieldbridge_lane_messages 1',
    'fieldbridge_script_hosts 1',
    `fieldbridge_ledger{owner="${made.tenantId.id}",type="TENANT",kind="messages",term="created"} 1`,
    `fieldbridge_ledger{owner="${made.id.id}",type="HTTP",kind="uplinks",term="received"} 0`,
    `fieldbridge_integration_up{integration="${made.id.id}",type="HTTP"} 1`,
  ]) {
    assert.ok(text.includes(`${line}\n`), line);
  }
  for (const part of [
    /^fieldbridge_http_requests_total\{method="POST",status="200"\} [1-9]/m,
    /^fieldbridge_http_request_seconds_count [1-9]/m,
    /^nodejs_eventloop_lag_seconds /m,
  ]) {
    assert.match(text, part);
  }
});

test('metrics: while the store is away, what needs no store', async (t) => {
  const { store, health } = api.context.backend;
  const { everyDoc } = store;
  t.after(() => {
    Object.assign(store, { everyDoc });
    Object.assign(api.context.backend, { health });
  });
  Object.assign(api.context.backend, { health: () => ({ ok: false, reason: 'MongoDB does not answer' }) });
  Object.assign(store, {
    everyDoc() {
      throw new NotConnected('MongoDB');
    },
  });
  const { status, text } = await api.call('GET', '/metrics', { token: null });
  assert.equal(status, 200);
  assert.match(text, /^fieldbridge_healthy 0$/m);
  assert.match(text, /^fieldbridge_lane_messages \d/m);
  assert.doesNotMatch(text, /^fieldbridge_ledger\{/m);
});
