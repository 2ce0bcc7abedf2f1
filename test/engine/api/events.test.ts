import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '#engine/id.ts';
import { Work } from '#engine/work.ts';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
let tenant: string;
let node: string;
let converter: string;

before(async () => {
  api = await startApi();
  const chain = (await api.call('POST', '/api/ruleChain', { body: { name: 'c' } })).body;
  tenant = chain.tenantId.id;
  const nodes = [{ type: 'org.thingsboard.rule.engine.flow.TbAckNode', name: 'a', configuration: { version: 0 } }];
  node = (await api.call('POST', '/api/ruleChain/metadata', { body: { ruleChainId: chain.id, firstNodeIndex: 0, nodes } })).body.nodes[0].id.id;
  converter = (await api.call('POST', '/api/converter', { body: { name: 'up', type: 'UPLINK', configuration: {} } })).body.id.id;
  const work = new Work();
  const add = (entityType: 'RULE_NODE' | 'CONVERTER', id: string, type: string, createdTime: number, body: Record<string, unknown>) =>
    work.events.push({ id: newId(), tenantId: tenant, entity: { entityType, id }, type, createdTime, body: { server: 's1', ...body } });
  add('RULE_NODE', node, 'DEBUG_RULE_NODE', 1000, {
    type: 'IN',
    msgType: 'POST_TELEMETRY_REQUEST',
    data: '{"t": 9}',
    metadata: '{}',
    entityType: 'DEVICE',
    relationType: '',
  });
  add('RULE_NODE', node, 'DEBUG_RULE_NODE', 2000, {
    type: 'OUT',
    msgType: 'POST_TELEMETRY_REQUEST',
    data: '{"t": 9}',
    metadata: '{}',
    entityType: 'DEVICE',
    relationType: 'Success',
  });
  add('RULE_NODE', node, 'DEBUG_RULE_NODE', 3000, {
    type: 'OUT',
    msgType: 'REST_API_REQUEST',
    data: '{}',
    metadata: '{"k":"v"}',
    entityType: 'ASSET',
    relationType: 'Failure',
    error: 'boom',
  });
  add('RULE_NODE', node, 'LC_EVENT', 1500, { event: 'STARTED', success: true });
  add('RULE_NODE', node, 'LC_EVENT', 1600, { event: 'UPDATED', success: false, error: 'bad script' });
  add('CONVERTER', converter, 'STATS', 1000, { messagesProcessed: 10, errorsOccurred: 2 });
  await api.context.backend.commit(work);
});
after(() => api.close());

const page = 'pageSize=10&page=0&sortProperty=createdTime&sortOrder=ASC';
const times = (answer: { body: { data: { createdTime: number }[] } }) => answer.body.data.map(({ createdTime }) => createdTime);

test('one event as clients read it', async () => {
  const { body } = await api.call('GET', `/api/events/RULE_NODE/${node}/debug_rule_node?tenantId=${tenant}&${page}`);
  assert.equal(body.totalElements, 3);
  const { id, uid, ...event } = body.data[0];
  assert.deepEqual(id, { id: uid });
  assert.deepEqual(event, {
    createdTime: 1000,
    tenantId: { entityType: 'TENANT', id: tenant },
    type: 'DEBUG_RULE_NODE',
    entityId: { entityType: 'RULE_NODE', id: node },
    body: { server: 's1', type: 'IN', msgType: 'POST_TELEMETRY_REQUEST', data: '{"t": 9}', metadata: '{}', entityType: 'DEVICE', relationType: '' },
  });
});

for (const [name, filter, want] of [
  ['by direction', { eventType: 'DEBUG_RULE_NODE', msgDirectionType: 'OUT' }, [2000, 3000]],
  ['an unknown direction', { eventType: 'DEBUG_RULE_NODE', msgDirectionType: 'SIDE' }, []],
  ['by part of the data, spacing counts', { eventType: 'DEBUG_RULE_NODE', dataSearch: '"t": 9' }, [1000, 2000]],
  ['other spacing', { eventType: 'DEBUG_RULE_NODE', dataSearch: '"t":9' }, []],
  ['by part of the type, in any case', { eventType: 'DEBUG_RULE_NODE', msgType: 'rest_api' }, [3000]],
  ['by the entity’s type as the UI names it', { eventType: 'DEBUG_RULE_NODE', entityName: 'ASSET' }, [3000]],
  ['errors only', { eventType: 'DEBUG_RULE_NODE', isError: 'true', errorStr: 'BOOM' }, [3000]],
  ['lifecycle by success', { eventType: 'LC_EVENT', status: 'Failure' }, [1600]],
  ['lifecycle by event', { eventType: 'LC_EVENT', event: 'STARTED', status: 'Success' }, [1500]],
] as const) {
  test(`filter: ${name}`, async () => {
    const answer = await api.call('POST', `/api/events/RULE_NODE/${node}?tenantId=${tenant}&${page}`, { body: filter });
    assert.deepEqual(times(answer), want);
  });
}

test('no type in the path: lifecycle; a time range; another tenant’s id: nothing', async () => {
  assert.deepEqual(times(await api.call('GET', `/api/events/RULE_NODE/${node}?tenantId=${tenant}&${page}`)), [1500, 1600]);
  assert.deepEqual(
    times(await api.call('GET', `/api/events/RULE_NODE/${node}/DEBUG_RULE_NODE?tenantId=${tenant}&${page}&startTime=2000&endTime=2999`)),
    [2000],
  );
  assert.deepEqual(times(await api.call('GET', `/api/events/RULE_NODE/${node}?tenantId=784f394c-42b6-435a-983c-b7beff2784f9&${page}`)), []);
});

for (const [name, min, want] of [
  ['above', 11, []],
  ['below', 10, [1000]],
] as const) {
  test(`statistics by their range: ${name}`, async () => {
    const body = { eventType: 'STATS', minMessagesProcessed: min, maxErrorsOccurred: 2 };
    assert.deepEqual(times(await api.call('POST', `/api/events/CONVERTER/${converter}?tenantId=${tenant}&${page}`, { body })), want);
  });
}

for (const [name, path, body, status] of [
  ['an unknown type', () => `RULE_NODE/${node}/NOPE?tenantId=${tenant}&${page}`, undefined, 400],
  ['no tenant', () => `RULE_NODE/${node}/LC_EVENT?${page}`, undefined, 400],
  ['no page', () => `RULE_NODE/${node}/LC_EVENT?tenantId=${tenant}`, undefined, 400],
  ['a node that is nowhere', () => `RULE_NODE/784f394c-42b6-435a-983c-b7beff2784f9/LC_EVENT?tenantId=${tenant}&${page}`, undefined, 404],
  ['a filter without a type', () => `RULE_NODE/${node}?tenantId=${tenant}&${page}`, {}, 400],
  ['a filter of an unknown type', () => `RULE_NODE/${node}?tenantId=${tenant}&${page}`, { eventType: 'NOPE' }, 400],
] as const) {
  test(`refused: ${name}`, async () => {
    const answer = await api.call(body ? 'POST' : 'GET', `/api/events/${path()}`, { body });
    assert.deepEqual([answer.status, answer.body.status], [status, status]);
  });
}

test('what came into a node last', async () => {
  assert.equal((await api.call('GET', `/api/ruleNode/${node}/debugIn`)).body.data, '{"t": 9}');
});

test('clear: by filter, by time, all of a type', async () => {
  const clear = (filter: object, query = '') =>
    api.call('POST', `/api/events/RULE_NODE/${node}/clear${query}`, { body: { eventType: 'DEBUG_RULE_NODE', ...filter } });
  const left = async () => times(await api.call('GET', `/api/events/RULE_NODE/${node}/DEBUG_RULE_NODE?tenantId=${tenant}&${page}`));
  assert.equal((await clear({ isError: true })).status, 200);
  assert.deepEqual(await left(), [1000, 2000]);
  await clear({}, '?startTime=1500');
  assert.deepEqual(await left(), [1000]);
  await clear({});
  assert.deepEqual(await left(), []);
  assert.deepEqual(times(await api.call('GET', `/api/events/RULE_NODE/${node}?tenantId=${tenant}&${page}`)), [1500, 1600], 'other types stay');
  assert.equal((await api.call('GET', `/api/ruleNode/${node}/debugIn`)).text, 'null');
});
