import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '#engine/id.ts';
import { createMessage } from '#engine/message.ts';
import type { DeadLetter, Downlink, Stage } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import { type Api, SYSADMIN, startApi } from '#test/support/api.ts';
import { takeMessages } from '#test/support/lane.ts';

let api: Api;
let tenantId: string;
let device: string;
let integration: string;

before(async () => {
  api = await startApi();
  device = (await api.call('POST', '/api/device', { body: { name: 'd', type: 'default' } })).body.id.id;
  const converter = (await api.call('POST', '/api/converter', { body: { name: 'up', type: 'UPLINK', configuration: {} } })).body;
  const made = (
    await api.call('POST', '/api/integration', { body: { name: 'i', type: 'HTTP', defaultConverterId: converter.id, configuration: {} } })
  ).body;
  integration = made.id.id;
  tenantId = made.tenantId.id;
  await takeMessages(api.context.backend, device);
});
after(() => api.close());

/** A dead letter as the stages write it, with its counts. */
async function bury(stage: Stage): Promise<DeadLetter> {
  const entity = { entityType: 'DEVICE', id: device } as const;
  const message = createMessage(
    { tenantId, type: 'POST_TELEMETRY_REQUEST', originator: entity, data: '{"t":1}', owner: integration, attempts: 3 },
    newId,
  );
  const node = stage === 'chain' ? { chainId: newId(), chainName: 'Root', nodeId: newId(), nodeName: 'save' } : null;
  const letter: DeadLetter = {
    id: newId(),
    createdTime: Date.now(),
    tenantId,
    owner: integration,
    integrationId: integration,
    stage,
    reason: 'because',
    payload: Buffer.from('{"t":1}'),
    metadata: { topic: 't' },
    entity: stage === 'uplink' ? null : entity,
    node,
    message: stage === 'uplink' ? null : message,
  };
  const work = new Work();
  work.deadLetters.push(letter);
  if (stage === 'chain') for (const counter of ['messages.created', 'messages.dead'] as const) work.count(tenantId, integration, counter);
  await api.context.backend.commit(work);
  return letter;
}

const ledger = async () => (await api.call('GET', `/api/integration/${integration}/ledger`)).body;
const list = async (query = '') => (await api.call('GET', `/api/deadLetters?pageSize=10&page=0${query}`)).body;
const requeue = (id: string, body?: object) => api.call('POST', `/api/deadLetter/${id}/requeue`, { body });

test('what failed, where and why', async () => {
  const { id, createdTime, node, entity } = await bury('chain');
  const want = {
    id,
    createdTime,
    integrationId: integration,
    stage: 'chain',
    reason: 'because',
    payload: 'eyJ0IjoxfQ==',
    metadata: { topic: 't' },
    entityId: entity,
    node,
  };
  assert.deepEqual(await list(`&integrationId=${integration}`), { data: [want], totalPages: 1, totalElements: 1, hasNext: false });
  assert.deepEqual((await api.call('GET', `/api/deadLetter/${id}`)).body, want);
  assert.equal((await list('&integrationId=784f394c-42b6-435a-983c-b7beff2784f9')).status, 404);
  assert.equal((await api.call('DELETE', `/api/deadLetter/${id}`)).status, 200);
  assert.equal((await list()).totalElements, 0);
  assert.equal((await api.call('DELETE', `/api/deadLetter/${id}`)).status, 404);
  const { created, dead } = (await ledger()).messages;
  assert.deepEqual([created, dead], [1, 1], 'given up is still dead in the ledger');
});

test('a message goes back into its lane, once, and is in flight instead of dead', async () => {
  const before = (await ledger()).messages;
  const { id, message } = await bury('chain');
  const [first, second] = await Promise.all([requeue(id), requeue(id)]);
  assert.deepEqual([first!.status, second!.status].sort(), [200, 409]);
  const { created, stored, filtered, dead, inFlight } = (await ledger()).messages;
  assert.deepEqual([created, dead, inFlight], [before.created + 1, before.dead, before.inFlight + 1]);
  assert.equal(created, stored + filtered + dead + inFlight);
  assert.deepEqual(await takeMessages(api.context.backend, device), [{ ...message, attempts: 0 }]);
  assert.equal((await requeue(id)).status, 404);
});

test('with an edited payload', async () => {
  const { id } = await bury('chain');
  assert.equal((await requeue(id, { payload: 'no base64!' })).status, 400);
  assert.equal((await requeue(id, { payload: Buffer.from('{"t":2}').toString('base64') })).status, 200);
  assert.deepEqual(
    (await takeMessages(api.context.backend, device)).map(({ data }) => data),
    ['{"t":2}'],
  );
});

test('an uplink goes through its integration', async () => {
  const asked: unknown[] = [];
  Object.assign(api.context.control.integrations, { requeueUplink: async (...args: unknown[]) => void asked.push(args) });
  const { id } = await bury('uplink');
  await requeue(id);
  await requeue(id, { payload: 'aGk=' });
  assert.deepEqual(asked, [
    [id, tenantId, undefined],
    [id, tenantId, Buffer.from('hi')],
  ]);
  await api.call('DELETE', `/api/deadLetter/${id}`);
});

test('a downlink becomes a new one, when its integration takes any', async () => {
  let problem: string | null = 'The integration is disabled';
  Object.assign(api.context.control.integrations, { downlinkTarget: () => ({ delivery: 'pending', policy: 'last', ttlMs: 60_000, problem }) });
  const { id, message } = await bury('downlink');
  const refused = await requeue(id);
  assert.deepEqual([refused.status, refused.body.message], [400, problem]);
  problem = null;
  assert.equal((await requeue(id)).status, 200);
  const [made] = (await api.call('GET', `/api/device/${device}/downlinks?pageSize=1&page=0`)).body.data;
  const { id: newOne, createdTime, ...rest } = made;
  const reason = `requeued from dead letter ${id}`;
  assert.deepEqual(rest, {
    deviceId: device,
    integrationId: integration,
    state: 'QUEUED',
    reason,
    history: [{ state: 'QUEUED', ts: createdTime, reason }],
  });
  assert.deepEqual((await api.call('GET', `/api/downlink/${newOne}`)).body, made);
  const waiting = await api.context.backend.queue.takePending(integration, [device]);
  assert.deepEqual([waiting!.id, waiting!.message], [newOne, message]);
  assert.deepEqual((await ledger()).downlinks, { created: 1, sent: 0, pending: 1, replaced: 0, expired: 0, failed: 0 });
});

test('the life of a downlink, newest first', async () => {
  const entity = { entityType: 'DEVICE', id: device } as const;
  const createdTime = Date.now() + 1000;
  const downlink: Downlink = {
    id: newId(),
    createdTime,
    tenantId,
    integrationId: integration,
    entity,
    delivery: 'now',
    policy: 'fifo',
    expiresAt: createdTime + 60_000,
    message: createMessage({ tenantId, type: 'X', originator: entity, data: '{}' }, newId),
    state: 'QUEUED',
    history: [{ state: 'QUEUED', ts: createdTime, reason: null }],
  };
  const work = new Work();
  work.downlinks.push(downlink);
  await api.context.backend.commit(work);
  const moves = new Work();
  for (const [state, reason] of [
    ['CONVERTED', null],
    ['FAILED', 'too long'],
  ] as const)
    moves.downlinkMoves.push({ tenantId, integrationId: integration, id: downlink.id, state, reason, ts: createdTime + 1 });
  await api.context.backend.commit(moves);
  const { body } = await api.call('GET', `/api/device/${device}/downlinks?pageSize=10&page=0`);
  assert.deepEqual([body.totalElements, body.data[0].id, body.data[0].state, body.data[0].reason], [2, downlink.id, 'FAILED', 'too long']);
  assert.deepEqual(
    body.data[0].history.map(({ state }: { state: string }) => state),
    ['QUEUED', 'CONVERTED', 'FAILED'],
  );
  assert.equal((await api.call('GET', `/api/device/${device}/downlinks`)).status, 400);
  assert.equal((await api.call('GET', '/api/downlink/784f394c-42b6-435a-983c-b7beff2784f9')).status, 404);
});

test('the ledgers of an integration and of the tenant have one shape; administrators of the system have none', async () => {
  const shape = (value: Record<string, object>) => Object.entries(value).map(([key, terms]) => [key, Object.keys(terms)]);
  const want = [
    ['uplinks', ['received', 'converted', 'empty', 'dead', 'inFlight']],
    ['messages', ['created', 'stored', 'filtered', 'dead', 'inFlight']],
    ['downlinks', ['created', 'sent', 'pending', 'replaced', 'expired', 'failed']],
  ];
  assert.deepEqual(shape(await ledger()), want);
  assert.deepEqual(shape((await api.call('GET', '/api/ledger')).body), want);
  assert.equal((await api.call('GET', '/api/ledger', { token: await api.login(SYSADMIN) })).status, 403);
});
