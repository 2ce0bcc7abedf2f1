import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lineOf } from '#engine/capture/segments.ts';
import { newId } from '#engine/id.ts';
import { type Api, SYSADMIN, startApi } from '#test/support/api.ts';

let api: Api;
let tenantId: string;
let chain: { id: string; node: string };
let integration: string;
const device = newId();

const node = () => ({ id: chain.node, name: 'n', type: 't', ruleChainId: chain.id, ruleChainName: 'c' });
const walk = (id: string, at: number, outcome: string) => ({
  ...{ k: 'walk', at, id, owner: tenantId, outcome, nodes: [node()] },
  messages: [{ id, type: 'T', entityId: { entityType: 'DEVICE', id: device }, ts: at, dataType: 'JSON', data: '{"t":21}', metadata: {} }],
  trips: [{ id, steps: [{ node: 0, message: 0, at, ms: 1, of: 1, to: ['Success'] }], last: 0, end: { is: outcome } }],
});
const keep = (record: object) =>
  api.context.observation.segments!.append([{ ring: { tenantId, owner: chain.id, id: chain.node }, lines: [lineOf(JSON.stringify(record))] }]);

before(async () => {
  api = await startApi();
  const { id, tenantId: owner } = (await api.call('POST', '/api/ruleChain', { body: { name: 'c', type: 'CORE' } })).body;
  tenantId = owner.id;
  const nodes = [{ type: 'org.thingsboard.rule.engine.action.TbLogNode', name: 'n', configuration: { scriptLang: 'JS', jsScript: 'return 1;' } }];
  const saved = await api.call('POST', '/api/ruleChain/metadata', { body: { ruleChainId: id, firstNodeIndex: 0, nodes, connections: [] } });
  chain = { id: id.id, node: saved.body.nodes[0].id.id };
  const converter = (await api.call('POST', '/api/converter', { body: { name: 'up', type: 'UPLINK', configuration: {} } })).body;
  const body = { name: 'i', type: 'HTTP', defaultConverterId: converter.id, configuration: {} };
  integration = (await api.call('POST', '/api/integration', { body })).body.id.id;
  for (const [i, outcome] of ['stored', 'filtered', 'dead', 'stored'].entries()) await keep(walk(newId(), 1000 * (i + 1), outcome));
});
after(() => api.close());

const search = (query: string) => api.call('GET', `/api/messages?pageSize=10&page=0${query}`);

test('messages: pages, newest first', async () => {
  const { body } = await api.call('GET', '/api/messages?pageSize=3&page=0');
  assert.deepEqual(
    [body.data.map((each: { createdTime: number }) => each.createdTime), body.totalElements, body.hasNext],
    [[4000, 3000, 2000], 4, true],
  );
  assert.deepEqual(Object.keys(body.data[0]).sort(), [
    'createdTime',
    'endTs',
    'entityId',
    'id',
    'integrationId',
    'outcome',
    'reason',
    'steps',
    'type',
    'uplinkId',
  ]);
});

for (const { name, query, times } of [
  { name: 'outcome', query: '&outcome=stored', times: [4000, 1000] },
  { name: 'time', query: '&startTs=2000&endTs=3000', times: [3000, 2000] },
  { name: 'device', query: `&deviceId=${device}`, times: [4000, 3000, 2000, 1000] },
  { name: 'another device', query: `&deviceId=${newId()}`, times: [] },
  { name: 'integration', query: `&integrationId=${newId()}`, times: [] },
  { name: 'text', query: `&text=${encodeURIComponent('"T":21')}`, times: [4000, 3000, 2000, 1000] },
  { name: 'a text that is nowhere', query: '&text=nowhere', times: [] },
]) {
  test(`messages: by ${name}`, async () => {
    const { status, body } = await search(query);
    assert.deepEqual([status, body.data.map((each: { createdTime: number }) => each.createdTime)], [200, times]);
  });
}

test('messages: by node', async () => {
  assert.equal((await search(`&nodeId=${chain.node}`)).body.totalElements, 4);
  assert.equal((await search(`&nodeId=${newId()}`)).body.totalElements, 0);
});

for (const { name, path, status, message } of [
  {
    name: 'an outcome that is none',
    path: '/api/messages?pageSize=1&page=0&outcome=lost',
    status: 400,
    message: "outcome 'lost' is not one of stored, filtered, dead, inFlight",
  },
  { name: 'no page', path: '/api/messages', status: 400, message: "Required request parameter 'pageSize' is not present" },
  { name: 'an id that is none', path: '/api/messages?pageSize=1&page=0&deviceId=x', status: 400, message: 'Invalid UUID string: x' },
  { name: 'a time that is none', path: '/api/messages?pageSize=1&page=0&startTs=x', status: 400, message: null },
  { name: 'a journey of what is no id', path: '/api/messages/x/journey', status: 400, message: null },
  {
    name: 'a journey of what is not remembered',
    path: '/api/messages/00000000-0000-1000-8000-000000000000/journey',
    status: 404,
    message: 'Nothing is remembered of a message with id [00000000-0000-1000-8000-000000000000]',
  },
  {
    name: 'statistics of a chain that is not there',
    path: '/api/ruleChain/00000000-0000-1000-8000-000000000000/statistics',
    status: 404,
    message: null,
  },
]) {
  test(`messages: ${name}`, async () => {
    const answer = await api.call('GET', path);
    assert.equal(answer.status, status);
    if (message !== null) assert.equal(answer.body.message, message);
  });
}

test('messages: a journey is seen by its tenant alone', async () => {
  const [{ id }] = (await search('')).body.data;
  assert.equal((await api.call('GET', `/api/messages/${id}/journey`)).body.outcome, 'stored');
  const sysadmin = await api.login(SYSADMIN);
  assert.equal((await api.call('GET', `/api/messages/${id}/journey`, { token: sysadmin })).status, 403);
  assert.equal((await api.call('GET', `/api/messages/${id}/journey`, { token: null })).status, 401);
  const other = (await api.call('POST', '/api/tenant', { body: { title: 'other' }, token: sysadmin })).body;
  const user = { email: 'other@example.org', authority: 'TENANT_ADMIN', tenantId: other.id };
  const made = (await api.call('POST', '/api/user?sendActivationMail=false', { body: user, token: sysadmin })).body;
  const link = (await api.call('GET', `/api/user/${made.id.id}/activationLink`, { token: sysadmin })).text;
  const activateToken = new URL(link).searchParams.get('activateToken');
  await api.call('POST', '/api/noauth/activate?sendActivationMail=false', { body: { activateToken, password: 'password' }, token: null });
  const theirs = await api.login({ username: user.email, password: 'password' });
  assert.equal((await api.call('GET', `/api/messages/${id}/journey`, { token: theirs })).status, 404);
  assert.equal((await api.call('GET', '/api/messages?pageSize=10&page=0', { token: theirs })).body.totalElements, 0);
  assert.equal((await api.call('GET', `/api/ruleChain/${chain.id}/statistics`, { token: theirs })).status, 403);
  assert.equal((await api.call('GET', `/api/integration/${integration}/statistics`, { token: theirs })).status, 403);
});

test('statistics: of a chain and of an integration, also before anything happened', async () => {
  const none = { count: 0, perSecond: 0, p50Ms: null, p99Ms: null };
  const nothing = { failures: 0, failuresByReason: [] };
  assert.deepEqual((await api.call('GET', `/api/integration/${integration}/statistics`)).body, {
    integrationId: integration,
    accept: none,
    converter: none,
    ...nothing,
  });
  const info = { id: chain.node, name: 'n', chainId: chain.id, chainName: 'c', tenantId, queueName: null, serviceId: 'test' };
  const { statistics } = api.context.observation;
  const type = 'org.thingsboard.rule.engine.action.TbLogNode';
  statistics.node({ info, definition: { type } }).times.add(8, 3, statistics.clock());
  statistics.node({ info, definition: { type } }).failures.add('away');
  const { body } = await api.call('GET', `/api/ruleChain/${chain.id}/statistics`);
  const { p50Ms, p99Ms, perSecond, ...rest } = body.nodes[0];
  assert.ok(Math.abs(p50Ms - 8) < 0.8 && Math.abs(p99Ms - 8) < 0.8 && perSecond > 0);
  assert.deepEqual(
    [body.ruleChainId, rest],
    [
      chain.id,
      {
        ...{ id: chain.node, name: 'n', type, count: 3, failures: 1, failuresByReason: [{ reason: 'away', count: 1 }] },
        ...{ backlog: { count: 0, oldestTs: null, lastError: null }, targets: [] },
      },
    ],
  );
});

test('metrics: nodes by id and type, bounded in number, without names and reasons', async () => {
  const { statistics } = api.context.observation;
  const counted = (id: string, type = 'T', more = {}) =>
    statistics.node({
      info: { id, name: 'secret name', chainId: 'big', chainName: 'x', tenantId, queueName: null, serviceId: 'test' },
      definition: { type, ...more },
    });
  counted('sends', 'S', { send: async () => 'Success' });
  for (let i = 0; i < 600; i++) counted(`n${i}`).arrived = 2;
  counted('n1').failures.add('secret reason');
  const text = (await api.call('GET', '/metrics', { token: null })).text;
  const series = text.split('\n').filter((line) => line.startsWith('fieldbridge_node_messages_total{'));
  assert.equal(series.length, 501);
  const sum = series.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
  assert.ok(sum >= 1200, `${sum}`);
  assert.ok(text.includes('fieldbridge_node_failures_total{chain="big",node="n1",type="T"} 1'));
  assert.deepEqual(
    text.split('\n').filter((line) => line.startsWith('fieldbridge_node_backlog{')),
    ['fieldbridge_node_backlog{chain="big",node="sends",type="S"} 0'],
  );
  assert.ok(!text.includes('secret'));
  statistics.forget('big');
  assert.ok(!(await api.call('GET', '/metrics', { token: null })).text.includes('"big"'));
});

test('messages: with its chain goes what is remembered of it', async () => {
  assert.equal((await search('')).body.totalElements, 4);
  assert.equal((await api.call('DELETE', `/api/ruleChain/${chain.id}`)).status, 200);
  assert.equal((await search('')).body.totalElements, 0);
});
