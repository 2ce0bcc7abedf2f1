import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createDownlinks } from '#engine/downlinks.ts';
import type { AnyIntegration, InboundReply, InboundRequest, RawDownlink } from '#engine/integration.ts';
import { createIntegrationEvents } from '#engine/integration-events.ts';
import { type Backend, laneOf } from '#engine/queue.ts';
import type { Downlink } from '#engine/store.ts';
import { createInbound } from '#engine/uplink/inbound.ts';
import http from '#integrations/http/index.ts';
import sigfox from '#integrations/sigfox/index.ts';
import { configured, request } from '#test/contract/integration.ts';
import { entityOf, INTEGRATION, NOW, openAccept, target, uplink } from '#test/support/accept.ts';
import { commit, downlink, type Running, sqlite } from '#test/support/backend.ts';
import { downlinkDeps, downlinkLedger, downlinkScripts, ended, push, route, stateOf } from '#test/support/downlinks.ts';
import { TENANT } from '#test/support/message.ts';
import { eventually } from '#test/support/wait.ts';

let running: Running;
let backend: Backend;
beforeEach(async () => {
  running = await sqlite.start({ now: () => NOW });
  backend = running.backend;
});
afterEach(() => running.stop());

/** An inbound integration with everything behind its route. */
async function inboundOf(definition: AnyIntegration, config: Record<string, unknown> = {}, seen: (readonly unknown[])[] = []) {
  const { accept } = openAccept(backend);
  const source = accept.source(target());
  const downlinks = createDownlinks(downlinkDeps(backend, { scripts: downlinkScripts(seen) }));
  const handle = createInbound({
    backend,
    downlinks,
    events: createIntegrationEvents('test'),
    maxBytes: 1000,
    now: () => NOW,
    log: { error: () => {} },
  });
  const device = entityOf(await source.accept(uplink(output('A'))));
  return {
    device: { entityType: 'DEVICE', id: device.id } as const,
    call: (fields: Partial<InboundRequest> = {}): Promise<InboundReply> =>
      handle(
        { definition, config: configured(definition, config), route, source },
        request({ body: Buffer.from(JSON.stringify(output('A'))), ...fields }),
      ),
  };
}
const output = (name: string) => ({ deviceName: name, deviceType: 't', telemetry: { t: 1 } });
const pending = (entity: Downlink['entity'], n: number, fields: Partial<Downlink> = {}) =>
  push(backend, { contentType: 'JSON', data: `{"n":${n}}`, metadata: {} }, { delivery: 'pending', policy: 'last', entity, ...fields });
const bodyOf = ({ body }: InboundReply) => (body === undefined ? '' : Buffer.from(body as Uint8Array).toString());

test('inbound: the last waiting downlink is the answer to the next uplink, once', async () => {
  const seen: (readonly unknown[])[] = [];
  const { call, device } = await inboundOf(http, {}, seen);
  assert.equal((await call()).status, 204);
  const replaced = await pending(device, 1);
  const one = await pending(device, 2);
  const reply = await call({ headers: { 'x-a': '1' } });
  assert.deepEqual([reply.status, bodyOf(reply)], [200, '{"n":2}']);
  assert.equal((await stateOf(backend, one)).state, 'QUEUED', 'not before the answer was written');
  reply.written!(true);
  await eventually(ended(backend, one), 'DELIVERED');
  assert.deepEqual(await stateOf(backend, one), { state: 'DELIVERED', steps: ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED'], reason: null });
  assert.equal((await stateOf(backend, replaced)).state, 'REPLACED');
  assert.equal((await call()).status, 204);
  assert.deepEqual(JSON.parse(String(seen[0]![3])), { integrationName: 'Plant', 'Header:x-a': '1' });
  assert.deepEqual(await downlinkLedger(backend), { created: 2, sent: 1, pending: 0, replaced: 1, expired: 0, failed: 0 });
});

test('inbound: an answer that can not be written leaves the downlink waiting', async () => {
  const { call, device } = await inboundOf(http);
  const one = await pending(device, 1);
  (await call()).written!(false);
  assert.equal((await stateOf(backend, one)).state, 'QUEUED');
  const again = await call();
  assert.equal(bodyOf(again), '{"n":1}');
  again.written!(true);
  await eventually(ended(backend, one), 'DELIVERED');
});

test('inbound: a device that speaks again at once waits for what the chain makes of its message before', async () => {
  const { call, device } = await inboundOf(http);
  const { lanes } = backend.queue;
  const before = (await backend.queue.take(laneOf(device.id, lanes), 100, AbortSignal.timeout(5000)))!;
  const reply = call();
  const received = async () => (await backend.store.ledger(TENANT, INTEGRATION)).uplinks.received;
  await eventually(async () => (await received()) === 2, 'the second uplink is stored');
  const made = downlink({ tenantId: TENANT, integrationId: INTEGRATION, entity: device, delivery: 'pending', policy: 'last' });
  const data = '{"contentType":"JSON","data":"{}","metadata":{}}';
  await commit(backend, (work) => {
    work.done.push(before);
    work.downlinks.push({ ...made, message: { ...made.message, data } });
    work.count(TENANT, INTEGRATION, 'downlinks.created');
  });
  assert.equal((await reply).status, 200);
  (await reply).written!(true);
  await eventually(ended(backend, made), 'DELIVERED');
});

test('inbound: two uplinks at once, one downlink', async () => {
  const { call, device } = await inboundOf(http);
  await pending(device, 1);
  const replies = await Promise.all([call(), call()]);
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 204]);
  for (const { written } of replies) written?.(true);
});

test('inbound: of several devices the first that has one is answered, the rest wait', async () => {
  const { call, device } = await inboundOf(http);
  const body = Buffer.from(JSON.stringify([output('B'), output('A')]));
  const one = await pending(device, 1);
  const reply = await call({ body });
  assert.equal(bodyOf(reply), '{"n":1}');
  reply.written!(true);
  await eventually(ended(backend, one), 'DELIVERED');
});

test('inbound: an uplink that failed leaves it stored', async () => {
  const { call, device } = await inboundOf(http);
  const one = await pending(device, 1);
  const reply = await call({ body: Buffer.from('throw x') });
  const { timestamp, ...error } = JSON.parse(String(reply.body));
  assert.deepEqual([reply.status, error, typeof timestamp], [400, { status: 400, message: 'x', errorCode: 31 }, 'number']);
  assert.equal((await stateOf(backend, one)).state, 'QUEUED');
});

for (const { name, definition, made, reason } of [
  { name: 'a failing conversion', definition: http, made: 'throw no unit', reason: 'no unit' },
  {
    name: 'a wrong length for Sigfox',
    definition: sigfox,
    made: '{"contentType":"TEXT","data":"00"}',
    reason: 'A Sigfox downlink has 8 bytes: exactly 16 hex digits',
  },
]) {
  test(`inbound: ${name} ends the downlink, and the uplink is answered without`, async () => {
    const { call, device } = await inboundOf(definition);
    const one = await push(backend, made, { delivery: 'pending', policy: 'last', entity: device });
    assert.equal((await call()).status, 204);
    const { state, reason: told } = await stateOf(backend, one);
    assert.deepEqual([state, told, (await downlinkLedger(backend)).failed], ['FAILED', reason, 1]);
  });
}

test('inbound: an array is answered with its first part, and says so', async () => {
  const { call, device } = await inboundOf(http);
  const parts: Omit<RawDownlink, 'data'>[] = [];
  for (const data of ['1', '2']) parts.push({ contentType: 'TEXT', data, metadata: {} } as never);
  const one = await push(backend, parts, { delivery: 'pending', policy: 'last', entity: device });
  const reply = await call();
  assert.equal(bodyOf(reply), '1');
  reply.written!(true);
  await eventually(ended(backend, one), 'DELIVERED');
  assert.equal((await stateOf(backend, one)).reason, 'an answer carries one message: the first of 2 was sent');
});

test('inbound: Sigfox without an ack leaves it waiting', async () => {
  const { call, device } = await inboundOf(sigfox);
  const one = await push(backend, '{"contentType":"TEXT","data":"01f4003c00000000"}', { delivery: 'pending', policy: 'last', entity: device });
  const body = (ack: boolean) => Buffer.from(JSON.stringify({ ...output('A'), device: '1B', ack }));
  assert.equal((await call({ body: body(false) })).status, 204);
  const reply = await call({ body: body(true) });
  assert.deepEqual([reply.status, reply.body], [200, '{"1B":{"downlinkData":"01f4003c00000000"}}']);
  reply.written!(true);
  await eventually(ended(backend, one), 'DELIVERED');
});

for (const { name, config, fields, status } of [
  { name: 'another method', fields: { method: 'DELETE' }, status: 405 },
  { name: 'too large', fields: { body: Buffer.alloc(1001) }, status: 413 },
  { name: 'too large when inflated', fields: { body: gzipSync('x'.repeat(1001)), headers: { 'content-encoding': 'gzip' } }, status: 413 },
  { name: 'no gzip', fields: { body: Buffer.from('x'), headers: { 'content-encoding': 'gzip' } }, status: 400 },
  { name: 'another encoding', fields: { headers: { 'content-encoding': 'br' } }, status: 415 },
  { name: 'gzip', fields: { body: gzipSync(JSON.stringify(output('A'))), headers: { 'content-encoding': 'gzip' } }, status: 204 },
  { name: 'a wrong header', config: { enableSecurity: true, headersFilter: { key: '1' } }, fields: {}, status: 403 },
  { name: '200 for 204', config: { replaceNoContentToOk: true }, fields: {}, status: 200 },
] as { name: string; config?: Record<string, unknown>; fields: Partial<InboundRequest>; status: number }[]) {
  test(`inbound: ${name} is answered ${status}`, async () => {
    const { call } = await inboundOf(http, config);
    assert.equal((await call(fields)).status, status);
  });
}
