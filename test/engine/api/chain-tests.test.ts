import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { newId } from '#engine/id.ts';
import { createMessage } from '#engine/message.ts';
import { Work } from '#engine/work.ts';
import { type Api, SYSADMIN, startApi } from '#test/support/api.ts';
import { graph } from '#test/support/graph.ts';

let api: Api;
let target: Server;
let requests = 0;
let deviceId: string;
let tenantId: string;

before(async () => {
  api = await startApi();
  target = createServer((_request, response) => {
    requests++;
    response.end('{}');
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const device = (await api.call('POST', '/api/device', { body: { name: 'T1' } })).body;
  deviceId = device.id.id;
  tenantId = device.tenantId.id;
});
after(async () => {
  target.close();
  await api.close();
});

const js = (jsScript: string) => ({ scriptLang: 'JS', jsScript });
const file = (metadata: object, name = 'unsaved') => ({ ruleChain: { name, type: 'CORE' }, metadata });
const telemetry = { type: 'POST_TELEMETRY_REQUEST', deviceName: 'T1', data: { temperature: 21.5 } };
const save = graph([{ name: 'save', type: 'TbMsgTimeseriesNode' }]);
const run = (body: unknown) => api.call('POST', '/api/ruleChain/test', { body });

async function savedChain(name: string, metadata: ReturnType<typeof graph>): Promise<string> {
  const { id } = (await api.call('POST', '/api/ruleChain', { body: { name } })).body;
  const answer = await api.call('POST', '/api/ruleChain/metadata', { body: { ruleChainId: id, ...metadata } });
  assert.equal(answer.status, 200, answer.text);
  return id.id;
}

test('a saved chain, and in its place a graph that is not saved', async () => {
  const id = await savedChain('saved', save);
  const path = `/api/ruleChain/${id}/test`;
  const saved = (await api.call('POST', path, { body: { messages: [telemetry], now: 1_700_000_000_000 } })).body;
  const entity = { entityType: 'DEVICE', id: deviceId, name: 'T1' };
  const { nodeId, ...effect } = saved.messages[0].effects[0];
  assert.deepEqual(effect, {
    ...{ node: 'save', chain: 'saved', kind: 'telemetry', entity, ts: 1_700_000_000_000, values: { temperature: 21.5 } },
    ...{ expiresAt: null, history: true, latest: true },
  });
  const metadata = (await api.call('GET', `/api/ruleChain/${id}/metadata`)).body;
  assert.equal(nodeId, metadata.nodes[0].id.id);
  assert.deepEqual([saved.limited, saved.problems, saved.timers, saved.unusedAnswers], [null, [], [], []]);
  const [message] = saved.messages[0].journey.messages;
  assert.deepEqual(
    [message.type, message.outcome, message.steps.map((step: { node: { name: string }; to: string[] }) => [step.node.name, step.to])],
    ['POST_TELEMETRY_REQUEST', 'stored', [['save', ['Success']]]],
  );

  // The editor's nodes keep their ids, so that it finds them in the journey.
  const changed = {
    ...metadata,
    nodes: [
      {
        ...metadata.nodes[0],
        type: 'org.thingsboard.rule.engine.telemetry.TbMsgAttributesNode',
        configuration: graph([{ name: 'x', type: 'TbMsgAttributesNode' }]).nodes[0]!.configuration,
      },
    ],
  };
  const tried = (await api.call('POST', path, { body: { messages: [{ ...telemetry, type: 'POST_ATTRIBUTES_REQUEST' }], metadata: changed } })).body;
  assert.deepEqual(
    tried.messages[0].effects.map((each: { kind: string; nodeId: string }) => [each.kind, each.nodeId]),
    [['attributes', metadata.nodes[0].id.id]],
  );
  assert.deepEqual((await api.call('GET', `/api/ruleChain/${id}/metadata`)).body, metadata, 'nothing is saved');
});

test('nothing happens: no request, no commit, no count, no trace', async () => {
  const { port } = target.address() as AddressInfo;
  const all = graph(
    [
      { name: 'save', type: 'TbMsgTimeseriesNode' },
      { name: 'attributes', type: 'TbMsgDeleteAttributesNode', config: { keys: ['x'], sendAttributesDeletedNotification: true } },
      { name: 'alarm', type: 'TbCreateAlarmNode', config: { scriptLang: 'JS', alarmDetailsBuildJs: 'return {};' } },
      { name: 'call', type: 'TbRestApiCallNode', config: { restEndpointUrlPattern: `http://127.0.0.1:${port}/x` } },
      { name: 'wait', type: 'TbMsgDelayNode' },
      { name: 'state', type: 'TbDeviceStateNode' },
      { name: 'fail', type: 'TbJsFilterNode', config: js("throw new Error('no');") },
    ],
    [
      ['save', 'Success', 'attributes'],
      ['attributes', 'Success', 'alarm'],
      ['alarm', 'Created', 'call'],
      ['call', 'Success', 'wait'],
      ['wait', 'Success', 'state'],
      ['state', 'Success', 'fail'],
    ],
  );
  const id = await savedChain('everything', { ...all, nodes: all.nodes.map((node) => ({ ...node, debugSettings: { allEnabled: true } })) });
  const state = async () => {
    const get = async (path: string) => (await api.call('GET', path)).body;
    return {
      ledger: await get('/api/ledger'),
      telemetry: await get(`/api/plugins/telemetry/DEVICE/${deviceId}/values/timeseries`),
      attributes: await get(`/api/plugins/telemetry/DEVICE/${deviceId}/values/attributes`),
      alarms: await get('/api/alarms?pageSize=10&page=0'),
      letters: await get('/api/deadLetters?pageSize=10&page=0'),
      messages: await get('/api/messages?pageSize=10&page=0'),
      events: await get(`/api/events/RULE_CHAIN/${id}?tenantId=${tenantId}&pageSize=10&page=0`),
      statistics: await get(`/api/ruleChain/${id}/statistics`),
      depth: { ...api.context.backend.queue.depth(), oldestMs: 0 },
    };
  };
  const before = await state();
  let commits = 0;
  const { backend } = api.context;
  const { commit } = backend;
  backend.commit = (work) => {
    commits++;
    return commit.call(backend, work);
  };
  const { body, status } = await api.call('POST', `/api/ruleChain/${id}/test`, { body: { messages: [telemetry, telemetry] } });
  backend.commit = commit;
  assert.equal(status, 200);
  const kinds = (part: { effects: { node: string; kind: string }[] }) => part.effects.map(({ node, kind }) => `${node} ${kind}`);
  assert.deepEqual(kinds(body.messages[0]), [
    ...[
      'save telemetry',
      'attributes attributesRemoved',
      'attributes message',
      'alarm alarm',
      'alarm message',
      'call external',
      'wait kept',
      'wait timer',
    ],
  ]);
  // The second one finds the alarm of the first.
  assert.deepEqual(kinds(body.messages[1]).slice(-2), ['alarm alarm', 'alarm message']);
  assert.deepEqual(body.timers.map(kinds), [['state deviceState', 'fail deadLetter']]);
  assert.deepEqual(await state(), before);
  assert.deepEqual([requests, commits], [0, 0]);
});

test('what a running node keeps and remembers is not touched, nor seen', async () => {
  const id = await savedChain('keeps', graph([{ name: 'join', type: 'TbMsgDeduplicationNode' }]));
  const nodeId = (await api.call('GET', `/api/ruleChain/${id}/metadata`)).body.nodes[0].id.id;
  const originator = { entityType: 'DEVICE', id: deviceId } as const;
  const at = { chainId: id, nodeId, labels: null };
  const message = createMessage({ tenantId, type: 'X', originator, data: '{"real":1}', at }, newId);
  const work = new Work();
  work.kept.push({ message, nodeId, kind: 'own', key: deviceId, keptAt: 1, attempts: 0, reason: null });
  await api.context.backend.commit(work);
  const { body } = await api.call('POST', `/api/ruleChain/${id}/test`, { body: { messages: [telemetry] } });
  assert.deepEqual(
    body.timers.map(({ fired, effects }: { fired: boolean; effects: unknown[] }) => [fired, effects]),
    [[true, []]],
  );
  assert.ok(!JSON.stringify(body).includes('real'));
  assert.equal((await api.context.backend.store.keptSummary(tenantId, nodeId)).count, 1);
});

test('data keeps the spelling of its numbers', async () => {
  const body = `{"ruleChain":{"name":"x"},"metadata":${JSON.stringify(graph([{ name: 'log', type: 'TbLogNode' }]))},
    "messages":[{"type":"X","data":{"a":1.0,"b":9007199254740993}},{"type":"X","data":"no json"}]}`;
  const answer = await api.call('POST', '/api/ruleChain/test', { text: body });
  const data = answer.body.messages.map(
    ({ journey }: { journey: { messages: { steps: { in: { data: string } }[] }[] } }) => journey.messages[0]!.steps[0]!.in.data,
  );
  assert.deepEqual(data, ['{"a":1.0,"b":9007199254740993}', 'no json']);
  assert.deepEqual(answer.body.messages[0].journey.messages[0].entityId, { entityType: 'TENANT', id: tenantId });
});

for (const { name, body, message } of [
  { name: 'no messages', body: file(save), message: 'messages: a list of messages is needed' },
  { name: 'no chain', body: { messages: [telemetry] }, message: 'Not a rule chain file: it has no ruleChain and metadata.' },
  {
    name: 'a device that is not there',
    body: { ...file(save), messages: [{ ...telemetry, deviceName: 'T2' }] },
    message: "There is no device named 'T2'",
  },
  {
    name: 'everything wrong in a message',
    body: {
      ...file(save),
      messages: [{ type: 5, originator: { entityType: 'DEVICE', id: 'x' }, metadata: [], customerId: 'c' }, 7],
      now: 'then',
      answers: { a: { way: 1 } },
    },
    message:
      'messages.0.type: a text is needed, for example POST_TELEMETRY_REQUEST; messages.0.customerId: is not the id of a customer; messages.0.metadata: is not an object; messages.0.originator: id is not a UUID; messages.1: is not an object; now: is not a time in Unix ms; answers.a.way: is not known: relation, data, metadata, error',
  },
  {
    name: 'too many messages',
    body: { ...file(save), messages: Array.from({ length: 10_001 }, () => telemetry) },
    message: 'messages: at most 10000 messages are walked, not 10001',
  },
  {
    name: 'a graph that no chain can be',
    body: { ...file({ ...save, connections: [{ fromIndex: 0, toIndex: 3, type: 'Success' }] }), messages: [telemetry] },
    message: 'Index 3 out of bounds for length 1',
  },
]) {
  test(`refused: ${name}`, async () => {
    const answer = await run(body);
    assert.deepEqual([answer.status, answer.body.message], [400, message]);
  });
}

test('who may: administrators of the tenant whose chain it is', async () => {
  const id = await savedChain('mine', save);
  const sysadmin = await api.login(SYSADMIN);
  const body = { messages: [telemetry] };
  const unknown = '784f394c-42b6-435a-983c-b7beff2784f9';
  assert.equal((await api.call('POST', `/api/ruleChain/${id}/test`, { body, token: sysadmin })).status, 403);
  assert.equal((await api.call('POST', '/api/ruleChain/test', { body: { ...file(save), ...body }, token: sysadmin })).status, 403);
  assert.equal((await api.call('POST', `/api/ruleChain/${id}/test`, { body, token: null })).status, 401);
  assert.equal((await api.call('POST', `/api/ruleChain/${unknown}/test`, { body })).status, 404);
  const customer = (await api.call('POST', '/api/customer', { body: { title: 'C' } })).body;
  const user = { email: 'c@example.com', authority: 'CUSTOMER_USER', customerId: customer.id };
  const made = (await api.call('POST', '/api/user?sendActivationMail=false', { body: user })).body;
  const { value } = (await api.call('GET', `/api/user/${made.id.id}/activationLinkInfo`)).body;
  const activateToken = new URL(value).searchParams.get('activateToken');
  const { token } = (await api.call('POST', '/api/noauth/activate', { body: { activateToken, password: 'password' } })).body;
  assert.equal((await api.call('POST', `/api/ruleChain/${id}/test`, { body, token })).status, 403);
});

test('a body of 50 MB is refused', async () => {
  const answer = await api
    .call('POST', '/api/ruleChain/test', { text: `{"messages":"${'x'.repeat(50 * 1024 * 1024)}"}` })
    .catch((cause: Error) => cause);
  // The server may close the connection before all of it is sent.
  if (answer instanceof Error) assert.match(String(answer.cause), /EPIPE|ECONNRESET|other side closed/);
  else assert.equal(answer.status, 413);
});

test('only some at a time: others are told to come again', async () => {
  const slow = { ...file(graph([{ name: 'loop', type: 'TbJsFilterNode', config: js('while (true) {}') }])), messages: [telemetry] };
  const answers = await Promise.all(Array.from({ length: 7 }, () => run(slow)));
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [200, 200, 200, 200, 429, 429, 429]);
  assert.equal((await run(slow)).status, 200);
});
