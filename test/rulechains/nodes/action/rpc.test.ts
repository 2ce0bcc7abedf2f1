import assert from 'node:assert/strict';
import test from 'node:test';
import { Rejected } from '#engine/errors.ts';
import type { Emission } from '#engine/node.ts';
import type { RpcAnswer } from '#engine/services.ts';
import integrationDownlink from '#rulechains/nodes/action/integration-downlink.ts';
import restReply from '#rulechains/nodes/action/rest-reply.ts';
import rpcReply from '#rulechains/nodes/action/rpc-reply.ts';
import rpcRequest from '#rulechains/nodes/action/rpc-request.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { NOW, run, services, start, told } from '#test/support/services.ts';

const UUID = 'dddddddd-0000-1000-8000-000000000001';
const RPC = 'RPC_CALL_FROM_SERVER_TO_DEVICE';
const asset = { entityType: 'ASSET', id: 'a' } as const;
const failure = (error: string) => ({ to: 'Failure', error });

for (const { name, data, originator, metadata = {}, error } of [
  { name: 'no device', data: { method: 'x', params: 1 }, originator: asset, error: 'Message originator is not a device entity!' },
  { name: 'no method', data: { params: {} }, error: 'Method is not present in the message!' },
  { name: 'no params', data: { method: 'x' }, error: 'Params are not present in the message!' },
  { name: 'no object', data: [], error: 'Message body is not an object!' },
  { name: 'a request id that is none', data: { method: 'x', params: 1 }, metadata: { requestUUID: 'abc' }, error: 'Invalid UUID string: abc' },
  { name: 'retries that are no number', data: { method: 'x', params: 1 }, metadata: { retries: 'abc' }, error: 'For input string: "abc"' },
  { name: 'a method that is none', data: { method: null, params: 1 }, error: 'Method of the message is not a text!' },
  { name: 'an id that is null', data: { method: 'x', params: 1, requestId: null }, error: 'Request id of the message is not a number!' },
  { name: 'an id that is no number', data: { method: 'x', params: 1, requestId: 'abc' }, error: 'For input string: "abc"' },
])
  test(`rpc call request: ${name}`, async () => {
    const outcomes = await run(rpcRequest, [message({ data, metadata: metadata as Record<string, string>, ...(originator && { originator }) })]);
    assert.deepEqual(outcomes, [failure(error)]);
  });

const blank = { requestUUID: 'bbbbbbbb-0000-1000-8000-000000000001', deviceId: DEVICE, method: 'set', oneway: false, expiresAt: NOW + 60_000 };
const given = (answer: RpcAnswer) => services({ call: async () => answer });
for (const { name, data, metadata = {}, type = 'T', answer, request, complete, to } of [
  {
    name: 'an answer goes on as a new message',
    data: { method: 'set', params: { a: 1.5 } },
    answer: { ok: true, data: '{"b":2}' },
    request: { ...blank, params: '{"a":1.5}' },
    to: { to: 'Success', data: '{"b":2}' },
  },
  {
    name: 'an empty answer is {}',
    data: { method: 'set', params: 5 },
    answer: { ok: true, data: null },
    request: { ...blank, params: '5' },
    to: { to: 'Success', data: '{}' },
  },
  {
    name: 'no session: failure, and the caller goes on waiting for who takes it',
    data: { method: 'set', params: '{"x":1}' },
    metadata: { requestUUID: UUID, oneway: 'true', expirationTime: '1800000000500' },
    type: RPC,
    answer: { ok: false, error: 'NO_ACTIVE_CONNECTION' },
    request: { ...blank, requestUUID: UUID, oneway: true, expiresAt: 1_800_000_000_500, params: '{"x":1}' },
    to: { to: 'Failure', data: '{"error":"NO_ACTIVE_CONNECTION"}', error: 'NO_ACTIVE_CONNECTION' },
  },
  {
    name: 'a caller gets the answer too',
    data: { method: 'set', params: '[]' },
    metadata: { requestUUID: UUID, persistent: '', expirationTime: '' },
    type: RPC,
    answer: { ok: false, error: 'TIMEOUT' },
    request: { ...blank, requestUUID: UUID, params: '[]' },
    complete: [['complete', UUID, { ok: false, error: 'TIMEOUT' }]],
    to: { to: 'Failure', data: '{"error":"TIMEOUT"}', error: 'TIMEOUT' },
  },
] as {
  name: string;
  data: unknown;
  metadata?: Record<string, string>;
  type?: string;
  answer: RpcAnswer;
  request: unknown;
  complete?: unknown[];
  to: unknown;
}[]) {
  test(`rpc call request: ${name}`, async () => {
    const world = given(answer);
    const asked = message({ data, metadata, type });
    const [outcome] = (await run(rpcRequest, [asked], { services: world })) as [{ later: () => Promise<Emission[]> }];
    assert.deepEqual(world.did, []);
    assert.deepEqual(
      (await outcome.later()).map((emission) => told(emission, asked)),
      [to],
    );
    assert.deepEqual(world.did, [['call', request], ...(complete ?? [])]);
  });
}

const SESSION = 'cccccccc-0000-1000-8000-000000000001';
const device = { serviceId: 's', sessionId: SESSION, requestId: '7' };
for (const { name, config, metadata = device, data = '{"a":1}', originator, to = 'Success', did = [] } of [
  { name: 'answers', did: [['rpc reply', SESSION, '7', '{"a":1}']] },
  {
    name: 'blank keys are the default ones',
    config: { serviceIdMetaDataAttribute: '', sessionIdMetaDataAttribute: null, requestIdMetaDataAttribute: ' ' },
    did: [['rpc reply', SESSION, '7', '{"a":1}']],
  },
  {
    name: 'keys of its own',
    config: { requestIdMetaDataAttribute: 'r' },
    metadata: { ...device, r: '8' },
    did: [['rpc reply', SESSION, '8', '{"a":1}']],
  },
  { name: 'no device', originator: asset, metadata: {}, to: failure('Message originator is not a device entity!') },
  { name: 'no request', metadata: {}, to: failure('Request id is not present in the metadata!') },
  { name: 'no service', metadata: { requestId: '7' }, to: failure('Service id is not present in the metadata!') },
  { name: 'no session', metadata: { requestId: '7', serviceId: 's' }, to: failure('Session id is not present in the metadata!') },
  { name: 'no data', data: '', to: failure('Request body is empty!') },
  { name: 'a session that is none', metadata: { ...device, sessionId: 's' }, to: failure('Invalid UUID string: s') },
  { name: 'a request that is none', metadata: { ...device, requestId: '7.5' }, to: failure('For input string: "7.5"') },
  { name: 'a request beyond 32 bits', metadata: { ...device, requestId: '2147483648' }, to: failure('For input string: "2147483648"') },
  {
    name: 'by way of an edge',
    metadata: { ...device, edgeId: 'e', deviceId: 'd' },
    to: failure('Edge events are not kept: edges do not connect to this server'),
  },
])
  test(`rpc call reply: ${name}`, async () => {
    const world = services();
    const outcomes = await run(rpcReply, [message({ data, metadata: metadata as Record<string, string>, ...(originator && { originator }) })], {
      config,
      services: world,
    });
    assert.deepEqual([outcomes, world.did], [[to], did]);
  });

for (const { name, config, metadata, data = '[1.0]', to = 'Success', did = [] } of [
  { name: 'answers, any data', metadata: { requestUUID: UUID, serviceId: 's' }, did: [['rest reply', UUID, '[1.0]']] },
  { name: 'no request', metadata: {}, to: failure('Request id is not present in the metadata!') },
  { name: 'no service', metadata: { requestUUID: UUID }, to: failure('Service id is not present in the metadata!') },
  { name: 'no data', metadata: { requestUUID: UUID, serviceId: 's' }, data: '', to: failure('Request body is empty!') },
  {
    name: 'an id that is none',
    config: { requestIdMetaDataAttribute: 'rid' },
    metadata: { rid: 'x', serviceId: 's' },
    to: failure('Invalid UUID string: x'),
  },
])
  test(`rest call reply: ${name}`, async () => {
    const world = services();
    assert.deepEqual(
      [await run(restReply, [message({ data, metadata: metadata as Record<string, string> })], { config, services: world }), world.did],
      [[to], did],
    );
  });

for (const { name, type = 'ATTRIBUTES_UPDATED', metadata = {}, complete = [] } of [
  { name: 'is handed over', complete: [] },
  {
    name: 'answers a one-way call',
    type: RPC,
    metadata: { requestUUID: UUID, oneway: 'true' },
    complete: [['complete', UUID, { ok: true, data: null }]],
  },
  { name: 'leaves a two-way call waiting', type: RPC, metadata: { requestUUID: UUID, oneway: 'false' } },
])
  test(`integration downlink: ${name}`, async () => {
    const world = services();
    const sent = message({ type, metadata: metadata as Record<string, string> });
    assert.deepEqual(await run(integrationDownlink, [sent], { config: { integrationId: UUID }, services: world }), ['Success']);
    assert.deepEqual(world.did, [['downlink', UUID, sent], ...complete]);
  });

test('integration downlink: an integration that takes none fails the message, and answers nobody', async () => {
  const push = async () => {
    throw new Rejected('Integration is disabled');
  };
  const world = services({ push });
  const asked = message({ type: RPC, metadata: { requestUUID: UUID, oneway: 'true' } });
  assert.deepEqual(
    [await run(integrationDownlink, [asked], { config: { integrationId: UUID }, services: world }), world.did],
    [[failure('Integration is disabled')], []],
  );
});

test('integration downlink: without an integration the node is unusable', () =>
  assert.rejects(start(integrationDownlink), { message: 'Integration must be set!' }));
