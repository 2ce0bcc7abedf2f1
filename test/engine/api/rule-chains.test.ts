import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

const NS = 'org.thingsboard.rule.engine.';
let api: Api;

before(async () => {
  api = await startApi();
});
after(() => api.close());

const node = (type: string, name: string, configuration: unknown = { version: 0 }) => ({
  type: NS + type,
  name,
  configuration,
  additionalInfo: { layoutX: 1, layoutY: 2 },
});
const saved = async (name: string, fields: object = {}) => (await api.call('POST', '/api/ruleChain', { body: { name, ...fields } })).body;
const graph = (chain: { id: unknown }, fields: object, query = '') =>
  api.call('POST', `/api/ruleChain/metadata${query}`, { body: { ruleChainId: chain.id, firstNodeIndex: 0, ...fields } });

test('a chain is saved, gets a graph, an entry node and a version with each change', async () => {
  const chain = await saved('first', { type: 'CORE', additionalInfo: { description: 'd' } });
  const { id, createdTime, tenantId, ...rest } = chain;
  assert.ok(id.id && createdTime && tenantId.id);
  assert.deepEqual(rest, {
    name: 'first',
    type: 'CORE',
    firstRuleNodeId: null,
    root: false,
    debugMode: false,
    externalId: null,
    configuration: null,
    additionalInfo: { description: 'd' },
    version: 1,
  });
  const empty = await api.call('GET', `/api/ruleChain/${id.id}/metadata`);
  assert.deepEqual(empty.body, { ruleChainId: id, version: 1, firstNodeIndex: null, nodes: [], connections: null, ruleChainConnections: null });

  const { body } = await graph(chain, {
    nodes: [node('flow.TbAckNode', 'a'), node('flow.TbRuleChainOutputNode', 'out')],
    connections: [{ fromIndex: 0, toIndex: 1, type: 'Success' }],
  });
  assert.deepEqual([body.version, body.firstNodeIndex, body.connections], [2, 0, [{ fromIndex: 0, toIndex: 1, type: 'Success' }]]);
  assert.deepEqual((await api.call('GET', `/api/ruleChain/${id.id}/metadata`)).body, body);
  const again = (await api.call('GET', `/api/ruleChain/${id.id}`)).body;
  assert.deepEqual([again.firstRuleNodeId, again.version], [body.nodes[0].id, 2]);

  const stale = await graph(chain, { version: 1, firstNodeIndex: null, nodes: [], connections: [] });
  assert.deepEqual([stale.status, stale.body.errorCode], [409, 35]);
  assert.deepEqual((await api.call('GET', `/api/ruleChain/${id.id}/metadata`)).body, body, 'nothing of a refused save');
});

for (const {
  name,
  nodes = [node('flow.TbAckNode', 'a'), node('action.TbLogNode', 'l', { scriptLang: 'JS', jsScript: "return 'x';", tbelScript: '' })],
  connections = [],
  first = 0,
  message,
} of [
  { name: 'an entry that is not there', first: 7, message: /^Index 7 out of bounds/ },
  { name: 'a link to itself', connections: [{ fromIndex: 0, toIndex: 0, type: 'Success' }], message: /^Can't create the relation to yourself\.$/ },
  {
    name: 'a cycle',
    connections: [
      { fromIndex: 0, toIndex: 1, type: 'Success' },
      { fromIndex: 1, toIndex: 0, type: 'Success' },
    ],
    message: /^Can't create circling relations in rule chain\.$/,
  },
  { name: 'a node without type', nodes: [{ name: 'x' }], message: /type/ },
]) {
  test(`a graph is refused and the old one stays: ${name}`, async () => {
    const chain = await saved(name);
    const answer = await graph(chain, { firstNodeIndex: first, nodes, connections });
    assert.deepEqual([answer.status, answer.body.errorCode], [400, 31]);
    assert.match(answer.body.message, message);
    assert.deepEqual((await api.call('GET', `/api/ruleChain/${chain.id.id}/metadata`)).body.nodes, []);
  });
}

test('nodes that can not be used are kept as they are', async () => {
  const chain = await saved('unusable');
  const nodes = [
    node('no.SuchNode', 'unknown', { any: ['thing'] }),
    node('filter.TbJsFilterNode', 'broken', { scriptLang: 'JS', jsScript: 'return (', tbelScript: '' }),
  ];
  const { status, body } = await graph(chain, { nodes, connections: [{ fromIndex: 0, toIndex: 1, type: 'Any label' }] });
  assert.equal(status, 200);
  assert.deepEqual(
    body.nodes.map(({ type, configuration }: { type: string; configuration: unknown }) => [type, configuration]),
    nodes.map(({ type, configuration }) => [type, configuration]),
  );
});

test('one root at a time, and it can not be deleted', async () => {
  const chain = await saved('new root');
  const roots = async () =>
    (await api.call('GET', '/api/ruleChains?pageSize=100&page=0')).body.data
      .filter(({ root }: { root: boolean }) => root)
      .map(({ name }: { name: string }) => name);
  const [before] = await roots();
  assert.equal((await saved('born root', { root: true })).message, 'Another root rule chain is present in scope of current tenant!');
  assert.equal((await api.call('POST', `/api/ruleChain/${chain.id.id}/root`)).body.root, true);
  assert.deepEqual(await roots(), ['new root']);
  const refused = await api.call('DELETE', `/api/ruleChain/${chain.id.id}`);
  assert.deepEqual([refused.status, refused.body.message], [400, 'Deletion of Root Tenant Rule Chain is prohibited!']);
  const old = (await api.call('GET', `/api/ruleChains?pageSize=1&page=0&textSearch=${encodeURIComponent(before)}`)).body.data[0];
  await api.call('POST', `/api/ruleChain/${old.id.id}/root`);
  assert.equal((await api.call('DELETE', `/api/ruleChain/${chain.id.id}`)).status, 200);
  assert.equal((await api.call('GET', `/api/ruleChain/${chain.id.id}/metadata`)).status, 404);
});

test('a chain that is a profile’s default can not be deleted', async () => {
  const chain = await saved('default of a profile');
  const profile = (await api.call('GET', '/api/deviceProfileInfo/default')).body;
  const full = (await api.call('GET', `/api/deviceProfile/${profile.id.id}`)).body;
  await api.call('POST', '/api/deviceProfile', { body: { ...full, defaultRuleChainId: chain.id } });
  const refused = await api.call('DELETE', `/api/ruleChain/${chain.id.id}`);
  assert.deepEqual([refused.status, refused.body.message], [400, 'The rule chain referenced by the device profiles cannot be deleted!']);
});

for (const [name, body, message] of [
  ['no name', { name: '  ' }, 'Rule chain name should be specified!'],
  ['a long name', { name: 'x'.repeat(256) }, 'Validation error: name length must be equal or less than 255'],
  ['an unknown type', { name: 'x', type: 'FOO' }, 'Rule chain type should be CORE or EDGE!'],
  ['a version that is none', { name: 'x', id: null, version: 'x' }, null],
] as const) {
  test(`a chain is refused: ${name}`, async () => {
    const answer = await api.call('POST', '/api/ruleChain', { body });
    if (message === null) assert.equal(answer.status, 200, 'a new one has no version to be stale');
    else assert.deepEqual([answer.status, answer.body.message], [400, message]);
  });
}

test('a renamed output is followed in the chains that call it, unless it shall not', async () => {
  const called = await saved('called');
  const output = (await graph(called, { nodes: [node('flow.TbRuleChainOutputNode', 'Warm')], connections: [] })).body;
  const caller = await saved('caller');
  const call = node('flow.TbRuleChainInputNode', 'call', { ruleChainId: called.id.id, forwardMsgToDefaultRuleChain: false });
  await graph(caller, { nodes: [call, node('flow.TbAckNode', 'end')], connections: [{ fromIndex: 0, toIndex: 1, type: 'Warm' }] });
  const labels = async () =>
    (await api.call('GET', `/api/ruleChain/${caller.id.id}/metadata`)).body.connections.map(({ type }: { type: string }) => type);
  assert.deepEqual((await api.call('GET', `/api/ruleChain/${called.id.id}/output/labels`)).body, ['Warm']);
  const [usage] = (await api.call('GET', `/api/ruleChain/${called.id.id}/output/labels/usage`)).body;
  assert.deepEqual([usage.ruleChainId, usage.ruleChainName, usage.ruleNodeName, usage.labels], [caller.id, 'caller', 'call', ['Warm']]);

  await graph(called, { nodes: [{ ...output.nodes[0], name: 'Hot' }], connections: [] });
  assert.deepEqual(await labels(), ['Hot']);
  await graph(called, { nodes: [{ ...output.nodes[0], name: 'Cold' }], connections: [] }, '?updateRelated=false');
  assert.deepEqual(await labels(), ['Hot']);
});

test('outputs by their names, once; their use by the names of who uses them, labels as a set of Java gives them', async () => {
  const called = await saved('with outputs');
  const outputs = ['beta', 'Alpha', 'beta'].map((name) => node('flow.TbRuleChainOutputNode', name));
  const before = (await graph(called, { nodes: outputs, connections: [] })).body;
  const path = `/api/ruleChain/${called.id.id}/output/labels`;
  assert.deepEqual((await api.call('GET', path)).body, ['Alpha', 'beta']);
  const call = (name: string) => node('flow.TbRuleChainInputNode', name, { ruleChainId: called.id.id, forwardMsgToDefaultRuleChain: false });
  const link = (fromIndex: number, toIndex: number, type: string) => ({ fromIndex, toIndex, type });
  const [z, y] = [await saved('z user'), await saved('y user')];
  await graph(z, { nodes: [call('only'), node('flow.TbAckNode', 'end')], connections: [link(0, 1, 'Alpha')] });
  const nodes = [call('two'), call('one'), call('none'), node('flow.TbAckNode', 'end')];
  await graph(y, { nodes, connections: [link(0, 3, 'beta'), link(0, 3, 'Alpha'), link(0, 3, 'Failure'), link(1, 3, 'beta')] });
  const users = async () =>
    (await api.call('GET', `${path}/usage`)).body.map((use: Record<string, unknown>) => [use['ruleChainName'], use['ruleNodeName'], use['labels']]);
  assert.deepEqual(await users(), [
    ['y user', 'one', ['beta']],
    ['y user', 'two', ['Alpha', 'Failure', 'beta']],
    ['z user', 'only', ['Alpha']],
  ]);

  // Both were called beta: nobody knows which of them the users meant.
  const renamed = before.nodes.map((one: { name: string }, at: number) => (one.name === 'beta' ? { ...one, name: `beta ${at}` } : one));
  await graph(called, { nodes: renamed, connections: [] });
  assert.deepEqual((await users())[0], ['y user', 'one', ['beta']]);
});

test('chains go out in one file and come back with ids of their own', async () => {
  const exported = (await api.call('GET', '/api/ruleChains/export?limit=100')).body;
  assert.equal(exported.ruleChains.length, exported.metadata.length);
  const callerIndex = exported.ruleChains.findIndex(({ name }: { name: string }) => name === 'caller');
  const callers = { ruleChains: [exported.ruleChains[callerIndex]], metadata: [exported.metadata[callerIndex]] };
  const called = exported.ruleChains.findIndex(({ name }: { name: string }) => name === 'called');
  callers.ruleChains.push(exported.ruleChains[called]);
  callers.metadata.push(exported.metadata[called]);
  const { status, body } = await api.call('POST', '/api/ruleChains/import', { body: callers });
  assert.equal(status, 200);
  assert.deepEqual(
    body.map(({ ruleChainId: { entityType }, ...rest }: { ruleChainId: { entityType: string } }) => ({ entityType, ...rest })),
    [
      { entityType: 'RULE_CHAIN', ruleChainName: 'caller' },
      { entityType: 'RULE_CHAIN', ruleChainName: 'called' },
    ],
  );
  const imported = (await api.call('GET', `/api/ruleChain/${body[0].ruleChainId.id}/metadata`)).body;
  assert.equal(imported.nodes[0].configuration.ruleChainId, body[1].ruleChainId.id, 'the call leads to the imported chain');
  const over = await api.call('POST', '/api/ruleChains/import?overwrite=true', { body: callers });
  assert.deepEqual(
    over.body.map(({ updated }: { updated: boolean }) => updated),
    [true, true],
  );
  assert.equal((await api.call('POST', '/api/ruleChains/import', { body: { ruleChains: [] } })).status, 400);
});

test('a chain from the template', async () => {
  const { status, body } = await api.call('POST', '/api/ruleChain/device/default', { body: { name: 'Thermostats' } });
  assert.deepEqual([status, body.name, body.root], [200, 'Thermostats', false]);
  assert.ok((await api.call('GET', `/api/ruleChain/${body.id.id}/metadata`)).body.nodes.length > 3);
});

const input = { argNames: ['msg', 'metadata', 'msgType'], msg: '{"t":22.5}', metadata: { deviceName: 'd' }, msgType: 'POST_TELEMETRY_REQUEST' };
for (const [scriptType, script, output, error = ''] of [
  ['filter', 'return msg.t > 20;', 'true'],
  ['filter', "return 'x';", '', 'Wrong result type: STRING'],
  ['switch', "return 'one';", '["one"]'],
  ['switch', "return ['one', 'two', 'one'];", '["one","two"]'],
  ['switch', 'return 5;', '', 'Wrong result type: NUMBER'],
  [
    'update',
    'metadata.a = 1; return {msg: {x: msg.t}, metadata: metadata};',
    '{"msg":{"x":22.5},"metadata":{"a":"1","deviceName":"d"},"msgType":"POST_TELEMETRY_REQUEST"}',
  ],
  ['update', "return [{msgType: 'A'}];", '[{"msg":{"t":22.5},"metadata":{"deviceName":"d"},"msgType":"A"}]'],
  ['update', 'return 5;', '', 'Wrong result type: NUMBER'],
  ['generate', "return {msg: 1, metadata: {n: 40}, msgType: 'T'};", '{"msg":1,"metadata":{"n":"40"},"msgType":"T"}'],
  ['json', 'return {a: [1, msg.t]};', '{"a":[1,22.5]}'],
  ['json', 'var a = 1;', null],
  ['string', "return 'T ' + msg.t;", 'T 22.5'],
  ['string', 'return 5;', '', 'Wrong result type: NUMBER'],
  ['nope', 'return true;', '', 'Unsupported script type: nope'],
] as const) {
  test(`testScript ${scriptType}: ${script}`, async () => {
    const { status, body } = await api.call('POST', '/api/ruleChain/testScript?scriptLang=JS', { body: { ...input, scriptType, script } });
    assert.deepEqual([status, body], [200, { output, error }]);
  });
}

for (const [name, script] of [
  ['a loop without end', 'while (true) {}'],
  ['a result that never ends', 'return {toJSON() { while (true) {} }};'],
  ['a syntax error', 'return (;'],
  ['a text that is no JSON', 'return msg;'],
] as const) {
  test(`testScript answers whatever happens: ${name}`, async () => {
    const msg = name === 'a text that is no JSON' ? 'hello' : input.msg;
    const begin = Date.now();
    const { status, body } = await api.call('POST', '/api/ruleChain/testScript', { body: { ...input, msg, scriptType: 'json', script } });
    assert.deepEqual([status, body.output], [200, '']);
    assert.notEqual(body.error, '');
    assert.ok(Date.now() - begin < 6000);
  });
}

test('TBEL is a language, with numbers of its own, and nothing else is one', async () => {
  assert.equal((await api.call('GET', '/api/ruleChain/tbelEnabled')).body, true);
  const body = { ...input, scriptType: 'json', script: 'return {whole: 6 / 2, n: 6};' };
  assert.deepEqual((await api.call('POST', '/api/ruleChain/testScript?scriptLang=TBEL', { body })).body, {
    output: '{"whole":3.0,"n":6}',
    error: '',
  });
  for (const [scriptType, script, output, error] of [
    ['string', 'return 5;', '5', ''],
    ['filter', "return 'x';", '', 'Wrong result type: String'],
    ['switch', 'return 5;', '', 'Wrong result type: Integer'],
    ['update', 'return 5.0;', '', 'Wrong result type: Double'],
  ]) {
    const answer = await api.call('POST', '/api/ruleChain/testScript?scriptLang=TBEL', { body: { ...input, scriptType, script } });
    assert.deepEqual(answer.body, { output, error });
  }
  assert.equal((await api.call('POST', '/api/ruleChain/testScript?scriptLang=NOPE', { body })).status, 400);
  assert.equal((await api.call('POST', '/api/ruleChain/testScript', { body: { scriptType: 'filter' } })).status, 400);
});

test('the palette comes from the registry', async () => {
  const flow = (await api.call('GET', '/api/components?componentTypes=FLOW,FILTER')).body;
  assert.deepEqual(new Set(flow.map(({ type }: { type: string }) => type)), new Set(['FLOW', 'FILTER']));
  const one = (await api.call('GET', `/api/component/${NS}filter.TbJsFilterNode`)).body;
  const { details, description, ...definition } = one.configurationDescriptor.nodeDefinition;
  assert.ok(details && description && one.configurationSchema.properties.jsScript);
  assert.deepEqual(definition, {
    inEnabled: true,
    outEnabled: true,
    relationTypes: ['True', 'False', 'Failure'],
    customRelations: false,
    ruleChainNode: false,
    defaultConfiguration: { scriptLang: 'TBEL', jsScript: 'return msg.temperature > 20;', tbelScript: 'return msg.temperature > 20;' },
    uiResources: [],
    configDirective: 'tbFilterNodeScriptConfig',
    icon: '',
    docUrl: 'https://thingsboard.io/docs/user-guide/rule-engine-2-0/nodes/filter/script/',
    iconUrl: '',
  });
  assert.equal((await api.call('GET', '/api/components/NOPE')).status, 400);
  assert.equal((await api.call('GET', '/api/components')).status, 400);
  assert.equal((await api.call('GET', `/api/component/${NS}no.Node`)).status, 404);
});
