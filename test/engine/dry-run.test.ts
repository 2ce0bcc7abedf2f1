import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { newChain, saveChain } from '#engine/api/chain-docs.ts';
import { newAsset, newDevice } from '#engine/entities.ts';
import { newId } from '#engine/id.ts';
import { type EntityRef, NULL_ID } from '#engine/message.ts';
import type { Doc } from '#engine/store.ts';
import type { ChainMetadata } from '#engine/walk/chain.ts';
import { type DryRunRequest, type DryRunResult, dryRun } from '#engine/walk/dry-run.ts';
import { checkGraph } from '#engine/walk/graph.ts';
import { Work } from '#engine/work.ts';
import { type Api, startApi } from '#test/support/api.ts';
import { allEffects, outcomes, type Shown, told } from '#test/support/dry-run.ts';
import { type GraphLink, type GraphNode, graph } from '#test/support/graph.ts';

const NOW = 1_700_000_000_000;
const SESSION = '00000000-0000-1000-8000-0000000000aa';
const INTEGRATION = '00000000-0000-1000-8000-0000000000bb';

let api: Api;
let tenantId: string;
let device: EntityRef;

before(async () => {
  api = await startApi();
  const { store } = api.context.backend;
  for await (const tenant of store.everyDoc('TENANT')) tenantId = tenant.id;
  const [profile] = (await store.docs('DEVICE_PROFILE', tenantId, {})).data;
  const [assetProfile] = (await store.docs('ASSET_PROFILE', tenantId, {})).data;
  const fields = { tenantId, type: 'default' };
  const { device: made, credentials } = newDevice({ ...fields, name: 'T1', profileId: profile!.id }, NOW);
  device = { entityType: 'DEVICE', id: made.id };
  const asset = newAsset({ ...fields, name: 'House', profileId: assetProfile!.id }, NOW);
  const work = new Work();
  for (const doc of [made, credentials, asset]) work.docs.push({ doc });
  const from: EntityRef = { entityType: 'ASSET', id: asset.id };
  work.relations.push({ tenantId, save: { from, to: device, type: 'Contains', typeGroup: 'COMMON' } });
  await api.context.backend.commit(work);
});
after(() => api.close());

let chains: Doc[] = [];
beforeEach(() => {
  chains = [];
});

function chainOf(name: string, nodes: readonly GraphNode[], links?: readonly GraphLink[]): { chain: Doc; metadata: ChainMetadata } {
  const chain = newChain(tenantId, { name, type: 'CORE', debugMode: false, configuration: null, additionalInfo: null }, Date.now());
  const options = { chainId: chain.id, nodes: api.context.nodes, current: null, chainName: () => null, newId: () => newId(), now: Date.now() };
  return { chain, metadata: checkGraph(graph(nodes, links), options) };
}

/** So that others can call it. */
async function saved(name: string, nodes: readonly GraphNode[], links?: readonly GraphLink[]): Promise<Doc> {
  const { chain, metadata } = chainOf(name, nodes, links);
  const work = new Work();
  await saveChain(work, api.context.backend.store, chain, metadata, { author: null, now: Date.now(), expects: 0 });
  await api.context.backend.commit(work);
  chains.push(chain);
  return chain;
}

const deps = () => {
  const { backend, nodes, scripts } = api.context;
  const downlinkTarget = (_: string, id: string) =>
    id === INTEGRATION ? ({ delivery: 'now', policy: 'last', ttlMs: 0, problem: null } as const) : null;
  return { store: backend.store, nodes, scripts, downlinkTarget, server: 'test' };
};

type Given = Partial<DryRunRequest['messages'][number]> & { json?: unknown };

async function walk(
  { nodes, links }: { nodes: readonly GraphNode[]; links?: readonly GraphLink[] },
  given: readonly Given[],
  rest: Partial<DryRunRequest> = {},
): Promise<DryRunResult> {
  const messages = given.map(({ json, ...fields }) => ({
    type: 'POST_TELEMETRY_REQUEST',
    originator: device,
    data: JSON.stringify(json ?? {}),
    ...fields,
  }));
  return dryRun({ ...chainOf('tested', nodes, links), messages, now: NOW, ...rest }, deps());
}

const js = (jsScript: string) => ({ scriptLang: 'JS', jsScript });
const related = { entityType: 'ASSET', entityNamePattern: 'House', relationType: 'Contains', direction: 'FROM' };

interface Row {
  readonly name: string;
  readonly node: Omit<GraphNode, 'name'>;
  readonly message?: Given;
  readonly answers?: DryRunRequest['answers'];
  readonly effects: readonly object[];
  readonly outcome?: string;
}

const ROWS: readonly Row[] = [
  {
    name: 'telemetry, with a 64-bit integer, a fraction and JSON',
    node: { type: 'TbMsgTimeseriesNode' },
    message: { data: '{"long":9223372036854775807,"t":21.5,"o":{"a":1}}', metadata: { ts: '1600000000000' } },
    effects: [
      {
        kind: 'telemetry',
        entity: 'T1',
        ts: 1_600_000_000_000,
        values: { long: '9223372036854775807', t: 21.5, o: { a: 1 } },
        expiresAt: null,
        history: true,
        latest: true,
      },
    ],
  },
  {
    name: 'attributes, of which the device and the chains are told',
    node: { type: 'TbMsgAttributesNode', config: { scope: 'SHARED_SCOPE', notifyDevice: true, sendAttributesUpdatedNotification: true } },
    message: { type: 'POST_ATTRIBUTES_REQUEST', json: { a: 1, b: true }, metadata: { notifyDevice: 'true' } },
    effects: [
      { kind: 'attributes', entity: 'T1', scope: 'SHARED_SCOPE', values: { a: 1, b: true } },
      { kind: 'deviceNotified', entity: 'T1', updated: ['a', 'b'] },
      {
        ...{ kind: 'message', type: 'ATTRIBUTES_UPDATED', originator: 'T1', data: '{"a":1,"b":true}', queue: null },
        metadata: { scope: 'SHARED_SCOPE' },
      },
    ],
  },
  {
    name: 'attributes removed',
    node: { type: 'TbMsgDeleteAttributesNode', config: { keys: ['a', '${which}'] } },
    message: { metadata: { which: 'b' } },
    effects: [{ kind: 'attributesRemoved', entity: 'T1', scope: 'SERVER_SCOPE', keys: ['a', 'b'] }],
  },
  {
    name: 'a relation',
    node: { type: 'TbCreateRelationNode', config: { ...related, relationType: 'Manages' } },
    effects: [{ kind: 'relation', from: 'T1', to: 'House', type: 'Manages', typeGroup: 'COMMON' }],
  },
  {
    name: 'a relation removed, which the store has',
    node: { type: 'TbDeleteRelationNode', config: { ...related, deleteForSingleEntity: true, direction: 'TO' } },
    effects: [{ kind: 'relationRemoved', from: 'House', to: 'T1', type: 'Contains', typeGroup: 'COMMON' }],
  },
  {
    name: 'a customer made, and the device given to it',
    node: { type: 'TbAssignToCustomerNode', config: { customerNamePattern: 'Smith', createCustomerIfNotExists: true } },
    effects: [
      { kind: 'entity', change: 'created', entity: 'Smith', type: null, customerId: null },
      { kind: 'entity', change: 'changed', entity: 'T1', type: 'default' },
      { kind: 'message', originator: 'Smith', type: 'ENTITY_CREATED', queue: null },
    ],
  },
  {
    name: 'a downlink',
    node: { type: 'TbIntegrationDownlinkNode', config: { integrationId: INTEGRATION } },
    message: { type: 'ATTRIBUTES_UPDATED', json: { period: 5 }, metadata: { scope: 'SHARED_SCOPE' } },
    effects: [
      {
        ...{ kind: 'downlink', integrationId: INTEGRATION, entity: 'T1', delivery: 'now', type: 'ATTRIBUTES_UPDATED', data: '{"period":5}' },
        metadata: { scope: 'SHARED_SCOPE' },
      },
    ],
  },
  {
    name: 'a downlink to an integration that is not there',
    node: { type: 'TbIntegrationDownlinkNode', config: { integrationId: SESSION } },
    outcome: 'dead',
    effects: [{ kind: 'deadLetter', reason: `Integration ${SESSION} is not known`, entity: 'T1', data: '{}', metadata: {} }],
  },
  {
    name: 'a log line',
    node: { type: 'TbLogNode', config: js("return 'got ' + msg.t;") },
    message: { json: { t: 1 } },
    outcome: 'filtered',
    effects: [{ kind: 'log', text: 'got 1' }],
  },
  {
    name: 'a call of the device, whose answer is assumed',
    node: { type: 'TbSendRPCRequestNode' },
    message: { json: { method: 'on', params: { pin: 3 } } },
    outcome: 'filtered',
    effects: [
      {
        ...{ kind: 'rpc', entity: 'T1', method: 'on', params: '{"pin":3}', oneway: false, expiresAt: NOW + 60_000 },
        ...{ answer: { ok: true, data: '{}' }, assumed: true },
      },
    ],
  },
  {
    name: 'a call of the device that nobody answers, as the answer says',
    node: { type: 'TbSendRPCRequestNode' },
    message: { type: 'RPC_CALL_FROM_SERVER_TO_DEVICE', json: { method: 'on', params: 1 }, metadata: { requestUUID: SESSION } },
    answers: { n: { relation: 'Failure', error: 'TIMEOUT' } },
    outcome: 'dead',
    effects: [
      {
        ...{ kind: 'rpc', entity: 'T1', method: 'on', params: '1', oneway: false, expiresAt: NOW + 60_000 },
        ...{ answer: { ok: false, error: 'TIMEOUT' }, assumed: false },
      },
      { kind: 'rpcAnswer', requestId: SESSION, answer: { ok: false, error: 'TIMEOUT' } },
      {
        ...{ kind: 'deadLetter', reason: 'TIMEOUT', entity: 'T1', data: '{"error":"TIMEOUT"}', metadata: { requestUUID: SESSION } },
      },
    ],
  },
  {
    name: 'an answer to a request of the device',
    node: { type: 'TbSendRPCReplyNode' },
    message: { json: { ok: 1 }, metadata: { serviceId: 's', sessionId: SESSION, requestId: '7' } },
    effects: [{ kind: 'rpcReply', sessionId: SESSION, requestId: '7', data: '{"ok":1}' }],
  },
  {
    name: 'an answer to a REST call',
    node: { type: 'TbSendRestApiCallReplyNode' },
    message: { json: { ok: 1 }, metadata: { serviceId: 's', requestUUID: SESSION } },
    effects: [{ kind: 'restReply', requestId: SESSION, data: '{"ok":1}' }],
  },
  {
    name: 'what the device is said to be',
    node: { type: 'TbDeviceStateNode', config: { event: 'INACTIVITY_EVENT' } },
    effects: [{ kind: 'deviceState', entity: 'T1', event: 'INACTIVITY_EVENT', at: NOW }],
  },
  {
    name: 'a topic and a payload, not published',
    node: { type: 'TbMqttNode', config: { host: '127.0.0.1', port: 1, topicPattern: 'out/${room}' } },
    message: { json: { t: 1 }, metadata: { room: 'r1' } },
    effects: [{ kind: 'external', relation: 'Success', assumed: true, request: { topic: 'out/r1', payload: '{"t":1}' } }],
  },
];

for (const { name, node, message = {}, answers, effects, outcome = 'stored' } of ROWS) {
  test(`dry run: ${name}`, async () => {
    const result = await walk({ nodes: [{ name: 'n', ...node }] }, [message], { answers });
    const shown = allEffects(result).map((effect) => {
      const { request, ...rest } = effect as Shown;
      if (rest.change === 'changed') delete rest.customerId;
      // Ids that are made anew each time.
      if (rest.type === 'ENTITY_CREATED') {
        delete rest.data;
        delete rest.metadata;
      }
      delete rest.metadata?.ruleNodeId;
      // A preview may say more than the two that every broker has.
      return request ? { ...rest, request: { topic: request['topic'], payload: request['payload'] } } : rest;
    });
    assert.deepEqual(
      shown,
      effects.map((effect) => ({ node: 'n', ...effect })),
    );
    assert.deepEqual([result.limited, result.problems, result.unusedAnswers, outcomes(result)], [null, [], [], [outcome]]);
  });
}

test('an alarm is created, brought up to date and cleared, by messages that see what those before them have made', async () => {
  const details = { alarmType: 'Warm', scriptLang: 'JS', alarmDetailsBuildJs: 'return { t: msg.t };' };
  const nodes = [
    { name: 'warm', type: 'TbJsFilterNode', config: js('return msg.t > 8;') },
    { name: 'raise', type: 'TbCreateAlarmNode', config: details },
    { name: 'end', type: 'TbClearAlarmNode', config: details },
  ];
  const links: GraphLink[] = [
    ['warm', 'True', 'raise'],
    ['warm', 'False', 'end'],
  ];
  const result = await walk({ nodes, links }, [{ json: { t: 9 } }, { json: { t: 10 } }, { json: { t: 3 } }]);
  const alarms = result.messages.map(({ effects }) => told(effects).filter((effect) => (effect as { kind: string }).kind === 'alarm'));
  const alarm = { kind: 'alarm', originator: 'T1', type: 'Warm', severity: 'CRITICAL' };
  assert.deepEqual(alarms, [
    [{ node: 'raise', ...alarm, change: 'created', status: 'ACTIVE_UNACK', details: { t: 9 } }],
    [{ node: 'raise', ...alarm, change: 'changed', status: 'ACTIVE_UNACK', details: { t: 10 } }],
    [{ node: 'end', ...alarm, change: 'cleared', status: 'CLEARED_UNACK', details: { t: 3 } }],
  ]);
});

test('a called chain, a checkpoint and a split are walked on; the journey shows them', async () => {
  const called = await saved(
    'called',
    [
      { name: 'save', type: 'TbMsgTimeseriesNode' },
      { name: 'done', type: 'TbRuleChainOutputNode' },
    ],
    [['save', 'Success', 'done']],
  );
  const nodes = [
    { name: 'split', type: 'TbSplitArrayMsgNode' },
    { name: 'again', type: 'TbCheckpointNode' },
    { name: 'call', type: 'TbRuleChainInputNode', config: { ruleChainId: called.id } },
    { name: 'log', type: 'TbLogNode', config: js("return 'back ' + msg.a;") },
  ];
  const links: GraphLink[] = [
    ['split', 'Success', 'again'],
    ['again', 'Success', 'call'],
    ['call', 'done', 'log'],
  ];
  const result = await walk({ nodes, links }, [{ data: '[{"a":1},{"a":2}]' }]);
  const telemetry = { node: 'save', kind: 'telemetry', entity: 'T1', ts: NOW, expiresAt: null, history: true, latest: true };
  assert.deepEqual(allEffects(result), [
    { ...telemetry, values: { a: 1 } },
    { node: 'log', kind: 'log', text: 'back 1' },
    { ...telemetry, values: { a: 2 } },
    { node: 'log', kind: 'log', text: 'back 2' },
  ]);
  const { journey } = result.messages[0]!;
  type Step = { node: { name: string }; branches: readonly { steps: readonly Step[] }[] };
  const tree = (steps: readonly Step[]): unknown =>
    steps.map(({ node, branches }) => (branches.length > 0 ? [node.name, ...branches.map((branch) => tree(branch.steps))] : node.name));
  const way = [['again', ['call', 'save', 'done', 'log']]];
  assert.deepEqual(tree(journey!.messages[0]!.steps), [['split', way, way]]);
  assert.deepEqual([journey!.outcome, journey!.complete], ['stored', true]);
  assert.equal(result.messages[0]!.effects[0]!.chain, 'called');
});

test('a chain that calls itself over another one takes Failure at the second time', async () => {
  const inner = newId();
  const outer = await saved('outer', [{ name: 'to inner', type: 'TbRuleChainInputNode', config: { ruleChainId: inner } }]);
  const tested = chainOf('inner', [{ name: 'to outer', type: 'TbRuleChainInputNode', config: { ruleChainId: outer.id } }]);
  const result = await dryRun(
    { chain: { ...tested.chain, id: inner }, metadata: tested.metadata, messages: [{ type: 'X', originator: device, data: '{}' }] },
    deps(),
  );
  const reasons = result.messages[0]!.effects.map((effect) => (effect.kind === 'deadLetter' ? effect.reason : effect.kind));
  assert.match(reasons.join(), /^Detected rule chain processing loop: 'to outer' of 'inner' already waits for this message\.$/);
  assert.deepEqual(outcomes(result), ['dead']);
});

test('a node that calls a chain which is not there can not run, and says so', async () => {
  const result = await walk({ nodes: [{ name: 'call', type: 'TbRuleChainInputNode', config: { ruleChainId: SESSION } }] }, [{}]);
  const reason = `Entity with id: '${SESSION}' specified in the configuration doesn't belong to the current tenant.`;
  assert.deepEqual(
    result.problems.map(({ nodeId: _, ...problem }) => problem),
    [{ chain: 'tested', node: 'call', reason }],
  );
  assert.deepEqual(outcomes(result), ['dead']);
});

test('timers come after the messages, as if their time had come', async () => {
  const nodes = [
    { name: 'fork', type: 'TbMsgTypeFilterNode', config: { messageTypes: ['POST_TELEMETRY_REQUEST'] } },
    { name: 'wait', type: 'TbMsgDelayNode', config: { periodInSeconds: 600 } },
    { name: 'join', type: 'TbMsgDeduplicationNode', config: { interval: 30, strategy: 'ALL', outMsgType: 'ALL_OF_THEM' } },
    { name: 'late', type: 'TbLogNode', config: js("return 'late ' + msg.n;") },
    { name: 'joined', type: 'TbLogNode', config: js("return 'joined ' + msg.length;") },
  ];
  const links: GraphLink[] = [
    ['fork', 'True', 'wait'],
    ['fork', 'True', 'join'],
    ['wait', 'Success', 'late'],
    ['join', 'Success', 'joined'],
  ];
  const result = await walk({ nodes, links }, [{ json: { n: 1 } }, { json: { n: 2 } }]);
  assert.deepEqual(
    result.messages.map(({ effects }) => effects.map(({ node, kind }) => `${node} ${kind}`)),
    [
      ['wait kept', 'wait timer', 'join kept', 'join timer'],
      ['wait kept', 'wait timer', 'join kept'],
    ],
  );
  assert.deepEqual(
    result.timers.map(({ node, dueAt, fired, effects }) => [
      node,
      dueAt - NOW,
      fired,
      told(effects).map((effect) => (effect as { text: string }).text),
    ]),
    [
      ['join', 30_001, true, ['joined 2']],
      ['wait', 600_000, true, ['late 1']],
      ['wait', 600_000, true, ['late 2']],
    ],
  );
  // What became of them is part of their journeys.
  assert.deepEqual(outcomes(result), ['filtered', 'filtered']);
  const names = JSON.stringify(result.messages[1]!.journey).match(/"name":"(late|joined)"/g);
  assert.deepEqual(names, ['"name":"late"', '"name":"joined"']);
});

test('an answer of a target changes the message and the way', async () => {
  const nodes = [
    { name: 'ask', type: 'TbRestApiCallNode', config: { restEndpointUrlPattern: 'http://127.0.0.1:1/${room}', requestMethod: 'GET' } },
    { name: 'good', type: 'TbLogNode', config: js("return 'good ' + msg.t + metadata.status;") },
    { name: 'bad', type: 'TbLogNode', config: js("return 'bad ' + metadata.error;") },
  ];
  const links: GraphLink[] = [
    ['ask', 'Success', 'good'],
    ['ask', 'Failure', 'bad'],
  ];
  const ask = async (answer: NonNullable<DryRunRequest['answers']>[string]) => {
    const result = await walk({ nodes, links }, [{ json: { t: 1 }, metadata: { room: 'r 1' } }], { answers: { ask: answer, nobody: {} } });
    return [told(result.messages[0]!.effects).at(-1), result.unusedAnswers, result.messages[0]!.journey!.messages[0]!.steps[0]!.error];
  };
  assert.deepEqual(await ask({ data: { t: 5 }, metadata: { status: 'OK' } }), [{ node: 'good', kind: 'log', text: 'good 5OK' }, ['nobody'], null]);
  assert.deepEqual(await ask({ relation: 'Failure', error: '503', metadata: { error: '503' } }), [
    { node: 'bad', kind: 'log', text: 'bad 503' },
    ['nobody'],
    '503',
  ]);
});

test('an originator that is gone, data that is no JSON, a node that is not known', async () => {
  const gone: EntityRef = { entityType: 'DEVICE', id: NULL_ID };
  const state = await walk({ nodes: [{ name: 'n', type: 'TbDeviceStateNode' }] }, [{ originator: gone }]);
  assert.deepEqual(outcomes(state), ['dead']);
  const save = { nodes: [{ name: 'n', type: 'TbMsgTimeseriesNode' }] };
  for (const data of ['no json', '', '[1]', '"x"', '{"a":null}']) assert.deepEqual(outcomes(await walk(save, [{ data }])), ['dead'], data);
  const { chain, metadata } = chainOf('tested', save.nodes);
  const unknown = { ...metadata, nodes: metadata.nodes.map((node) => ({ ...node, type: 'org.acme.Unknown' })) };
  const result = await dryRun({ chain, metadata: unknown, messages: [{ type: 'X', originator: device, data: '{}' }] }, deps());
  assert.deepEqual(
    [outcomes(result), result.problems.map(({ reason }) => reason)],
    [['dead'], ["Rule node type 'org.acme.Unknown' is not supported!"]],
  );
});

test('an empty chain acknowledges', async () => {
  const result = await walk({ nodes: [] }, [{}]);
  assert.deepEqual([outcomes(result), allEffects(result)], [['filtered'], []]);
});

test('a dry run is bounded in messages, time and the length of its answer, and says so', async () => {
  const save = { nodes: [{ name: 'save', type: 'TbMsgTimeseriesNode' }] };
  const many = Array.from({ length: 20 }, (_, n) => ({ json: { n } }));
  const walked = ({ messages }: DryRunResult) => messages.filter(({ effects }) => effects.length > 0).length;
  const short = await walk(save, many, { limits: { messages: 5 } });
  assert.deepEqual([short.limited, walked(short), short.messages.length], ['The dry run ended after 5 messages', 5, 20]);
  const long = await walk(save, many, { limits: { chars: 2000 } });
  assert.equal(long.limited, 'The dry run ended: its answer is longer than 2000 characters');
  assert.ok(walked(long) > 0 && walked(long) < 20);

  // Copies count as well, in the middle of a walk; what is under way is told as such.
  const fork = { nodes: [{ name: 'split', type: 'TbSplitArrayMsgNode' }, ...save.nodes], links: [['split', 'Success', 'save']] as const };
  const split = await walk(fork, [{ data: `[${Array.from({ length: 50 }, () => '{"a":1}').join()}]` }], { limits: { messages: 10 } });
  assert.deepEqual([split.limited, outcomes(split)], ['The dry run ended after 10 messages', ['inFlight']]);
});

test('a script that never ends is a failure; many of them are an end', async () => {
  const nodes = [{ name: 'loop', type: 'TbJsFilterNode', config: js('while (true) {}') }];
  const begin = performance.now();
  const result = await walk(
    { nodes },
    Array.from({ length: 1000 }, () => ({})),
    { limits: { ms: 1500 } },
  );
  assert.equal(result.limited, 'The dry run ended after 1.5 s');
  assert.ok(performance.now() - begin < 6000, `took ${performance.now() - begin} ms`);
  assert.deepEqual(outcomes(result)[0], 'dead');
});
