import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { ConfigError } from '#engine/errors.ts';
import { defineNode } from '#engine/node.ts';
import { Registry } from '#engine/registry.ts';
import type { ChainMetadata } from '#engine/walk/chain.ts';
import { checkGraph, exportChain, type GraphOptions, readChainFile } from '#engine/walk/graph.ts';
import { chainDoc } from '#test/support/chain.ts';

const NS = 'org.thingsboard.rule.engine.';
const ACK = `${NS}flow.TbAckNode`;
const SAVE = `${NS}telemetry.TbMsgTimeseriesNode`;
const base = { label: 'x', summary: 'x', relations: [], family: 'FLOW', process: () => 'Success' } as const;
const nodes = new Registry([
  defineNode({ ...base, type: ACK, version: 0, config: Type.Object({}), defaults: { version: 0 }, anyKey: true }),
  defineNode({
    ...{
      ...base,
      type: SAVE,
      version: 2,
      usesQueueName: true,
      config: Type.Object({ a: Type.Integer(), b: Type.Boolean() }),
      defaults: { a: 7, b: true },
    },
    upgrades: [
      ({ old, queueName: _moved, ...rest }) => {
        if (old === 'throw' || rest['a'] === 99) throw new Error('can not be upgraded');
        return { ...rest, a: (rest['a'] as number) ?? 1 };
      },
      (config) => ({ ...config, b: false }),
    ],
    refuse: ({ a }) => (a === 13 ? 'a must not be 13' : a === 'abc' ? 'Invalid UUID string: abc' : null),
  }),
]);
const CHAIN = '11111111-0000-1000-8000-000000000001';
const TARGET = '11111111-0000-1000-8000-000000000002';
let ids = 0;
const options: GraphOptions = {
  ...{ chainId: CHAIN, nodes, current: null, now: 1000, debugMs: 60, newId: () => `id ${++ids}` },
  chainName: (id) => (id === TARGET ? 'Target' : null),
};
const node = (fields: Record<string, unknown> = {}) => ({ type: ACK, name: 'n', configuration: {}, ...fields });
const link = (fromIndex: number, toIndex: number, type = 'Success') => ({ fromIndex, toIndex, type });
const check = (input: unknown, more: Partial<GraphOptions> = {}): ChainMetadata => checkGraph(input, { ...options, ...more });

for (const { name, input, text } of [
  { name: 'a start that is not there', input: { firstNodeIndex: 7, nodes: [node()] }, text: 'Index 7 out of bounds for length 1' },
  { name: 'a negative start', input: { firstNodeIndex: -1, nodes: [node()] }, text: 'Index -1 out of bounds for length 1' },
  { name: 'a connection to nowhere', input: { nodes: [node()], connections: [link(0, 5)] }, text: 'Index 5 out of bounds for length 1' },
  {
    name: 'an index that is no number',
    input: { nodes: [node()], connections: [{ fromIndex: 'x', toIndex: 0, type: 'A' }] },
    text: 'Index x out of bounds for length 1',
  },
  { name: 'a self link', input: { nodes: [node()], connections: [link(0, 0)] }, text: "Can't create the relation to yourself." },
  {
    name: 'a cycle',
    input: { nodes: [node(), node(), node()], connections: [link(0, 1), link(1, 2), link(2, 0, 'Failure')] },
    text: "Can't create circling relations in rule chain.",
  },
  {
    name: 'a connection without a label',
    input: { nodes: [node(), node()], connections: [link(0, 1, '')] },
    text: 'Validation error: type must not be blank',
  },
  {
    name: 'a long name',
    input: { nodes: [node({ name: 'x'.repeat(256) })] },
    text: `'${'x'.repeat(256)}' node configuration is invalid: name length must be equal or less than 255`,
  },
  { name: 'HTML in a name', input: { nodes: [node({ name: '<b>' })] }, text: "'<b>' node configuration is invalid: name is malformed" },
  {
    name: 'no configuration where nothing is upgraded',
    input: { nodes: [node({ configuration: null })] },
    text: 'The configuration of the node must not be null.',
  },
  {
    name: 'what the node refuses',
    input: { nodes: [node({ type: SAVE, configurationVersion: 2, configuration: { a: 13 } })] },
    text: "'n' node configuration is invalid: a must not be 13",
  },
  {
    name: 'a bad id, whose text has no name',
    input: { nodes: [node({ type: SAVE, configurationVersion: 2, configuration: { a: 'abc' } })] },
    text: 'Invalid UUID string: abc',
  },
  { name: 'a node without a type', input: { nodes: [node({ type: undefined })] }, text: 'Rule node type should be specified!' },
  { name: 'nodes that are no list', input: { nodes: {} }, text: 'nodes is not an array!' },
  { name: 'no metadata', input: null, text: 'Rule chain metadata is missing!' },
  {
    name: 'a legacy link without its layout',
    input: { nodes: [node()], ruleChainConnections: [{ fromIndex: 0, targetRuleChainId: { id: TARGET }, type: 'A' }] },
    text: 'Connection to a rule chain has no additionalInfo!',
  },
  {
    name: 'a legacy link from nowhere',
    input: { nodes: [node()], ruleChainConnections: [{ fromIndex: 4, targetRuleChainId: { id: TARGET }, additionalInfo: {}, type: 'A' }] },
    text: 'Index 4 out of bounds for length 1',
  },
]) {
  test(`graph refuses ${name}`, () =>
    assert.throws(
      () => check(input),
      (error) => error instanceof ConfigError && error.message === text,
    ));
}

for (const { name, saved, configuration, version, queueName = null } of [
  { name: 'all steps from no version', saved: { configuration: { a: 3 } }, configuration: { a: 3, b: false }, version: 2 },
  { name: 'one step', saved: { configuration: { a: 3 }, configurationVersion: 1 }, configuration: { a: 3, b: false }, version: 2 },
  { name: 'no step below 0', saved: { configuration: { a: 3 }, configurationVersion: -1 }, configuration: { a: 3 }, version: 2 },
  { name: 'a version of the future stays', saved: { configuration: { a: 3 }, configurationVersion: 99 }, configuration: { a: 3 }, version: 99 },
  { name: 'defaults for null', saved: { configuration: null }, configuration: { a: 7, b: true }, version: 2 },
  { name: 'defaults for text', saved: { configuration: 'text' }, configuration: { a: 7, b: true }, version: 2 },
  { name: 'text of this version stays, unusable', saved: { configuration: 'text', configurationVersion: 2 }, configuration: 'text', version: 2 },
  {
    name: 'a failing step keeps what is in the new form',
    saved: { configuration: { a: 3, old: 'throw' } },
    configuration: { a: 7, b: true },
    version: 2,
  },
  {
    name: 'the queue moves to the node',
    saved: { configuration: { a: 3, queueName: 'Main' } },
    configuration: { a: 3, b: false },
    version: 2,
    queueName: 'Main',
  },
]) {
  test(`graph upgrades: ${name}`, () => {
    const [upgraded] = check({ nodes: [node({ type: SAVE, ...saved })] }).nodes;
    assert.deepEqual([upgraded!.configuration, upgraded!.configurationVersion, upgraded!.queueName], [configuration, version, queueName]);
  });
}

test('graph: what is missing gets its stored form, and what is unknown stays', () => {
  ids = 0;
  assert.deepEqual(check({ firstNodeIndex: '0', nodes: [{ type: 'org.example.Nope', configuration: [1] }], connections: null, notes: [] }), {
    ruleChainId: { entityType: 'RULE_CHAIN', id: CHAIN },
    firstNodeIndex: 0,
    nodes: [
      {
        id: { entityType: 'RULE_NODE', id: 'id 1' },
        createdTime: 1000,
        ruleChainId: { entityType: 'RULE_CHAIN', id: CHAIN },
        type: 'org.example.Nope',
        name: null,
        configuration: [1],
        configurationVersion: 0,
        debugSettings: null,
        singletonMode: false,
        queueName: null,
        additionalInfo: null,
        externalId: null,
      },
    ],
    connections: [],
    ruleChainConnections: null,
  });
});

test('graph: connections are ordered, equal ones collapse, capitals differ, a missing index is 0', () => {
  const connections = [link(1, 2, 'B'), link(0, 1), link(0, 1, 'SUCCESS'), link(0, 1), { toIndex: 2, type: 'A' }];
  assert.deepEqual(check({ nodes: [node(), node(), node()], connections }).connections, [
    link(0, 1, 'SUCCESS'),
    link(0, 1),
    link(0, 2, 'A'),
    link(1, 2, 'B'),
  ]);
});

test('graph: nodes keep id and time, come in order of creation, and one under an unknown id vanishes with its arrows', () => {
  const current = check({ nodes: [node({ name: 'a' }), node({ name: 'b' })] });
  const [a, b] = current.nodes;
  const nodes = [node({ name: 'new' }), node({ name: 'b2', id: b!.id }), node({ name: 'gone', id: { id: TARGET } }), node({ name: 'a2', id: a!.id })];
  const again = check({ firstNodeIndex: 1, nodes, connections: [link(0, 1), link(1, 2), link(3, 0)] }, { current, now: 2000 });
  assert.deepEqual(
    again.nodes.map(({ name, id, createdTime }) => [name, id === b!.id || id === a!.id, createdTime]),
    [
      ['b2', true, 1000],
      ['a2', true, 1000],
      ['new', false, 2000],
    ],
  );
  assert.deepEqual([again.firstNodeIndex, again.connections], [0, [link(1, 2), link(2, 0)]]);
});

for (const [settings, expected] of [
  [{ debugSettings: { allEnabled: true } }, { failuresEnabled: false, allEnabled: false, allEnabledUntil: 1060 }],
  [{ debugSettings: { failuresEnabled: true, allEnabled: false } }, { failuresEnabled: true, allEnabled: false, allEnabledUntil: 0 }],
  [{ debugSettings: { allEnabledUntil: 9_999_999 } }, { failuresEnabled: false, allEnabled: false, allEnabledUntil: 1060 }],
  [{ debugMode: true }, { failuresEnabled: true, allEnabled: false, allEnabledUntil: 1060 }],
  [{ debugMode: false }, null],
] as const) {
  test(`graph: debug settings ${JSON.stringify(settings)}`, () =>
    assert.deepEqual(check({ nodes: [node(settings)] }).nodes[0]!.debugSettings, expected));
}

test('graph: a legacy link becomes a node "rule chain" and an arrow, one for each', () => {
  const legacy = (type: string, target: string, additionalInfo: object) => ({
    fromIndex: 0,
    targetRuleChainId: { entityType: 'RULE_CHAIN', id: target },
    additionalInfo,
    type,
  });
  const ruleChainConnections = [
    legacy('Success', TARGET, { layoutX: 1, ruleChainNodeId: 'block 1', description: 'd' }),
    legacy('Failure', CHAIN, {}),
  ];
  const { nodes, connections, ruleChainConnections: left } = check({ nodes: [node()], ruleChainConnections });
  assert.deepEqual(
    nodes.slice(1).map(({ type, name, configuration, configurationVersion, additionalInfo }) => ({
      type,
      name,
      configuration,
      configurationVersion,
      additionalInfo,
    })),
    [
      {
        type: `${NS}flow.TbRuleChainInputNode`,
        name: 'Target',
        configuration: { ruleChainId: TARGET },
        configurationVersion: 0,
        additionalInfo: { layoutX: 1 },
      },
      {
        type: `${NS}flow.TbRuleChainInputNode`,
        name: 'Rule Chain Input',
        configuration: { ruleChainId: CHAIN },
        configurationVersion: 0,
        additionalInfo: {},
      },
    ],
  );
  assert.deepEqual([connections, left], [[link(0, 1), link(0, 2, 'Failure')], null]);
});

test('graph: what is exported and imported again is the same chain', () => {
  const metadata = check({
    firstNodeIndex: 1,
    nodes: [node({ name: 'a', additionalInfo: { layoutX: 1 } }), node({ name: 'b', type: SAVE, configuration: { a: 1, zz: 'kept' } })],
    connections: [link(1, 0), link(1, 0, 'Failure')],
    notes: [{ id: 'n', content: 'why' }],
  });
  const file = exportChain({ ...chainDoc(CHAIN, 'My chain', true), body: { additionalInfo: { description: 'd' } } }, metadata);
  assert.deepEqual(file.ruleChain, {
    additionalInfo: { description: 'd' },
    name: 'My chain',
    type: 'CORE',
    firstRuleNodeId: null,
    root: false,
    debugMode: false,
    configuration: null,
  });
  const read = readChainFile(JSON.parse(JSON.stringify({ ...file, version: 1 })));
  assert.deepEqual(
    { name: read.name, type: read.type, additionalInfo: read.additionalInfo },
    { name: 'My chain', type: 'CORE', additionalInfo: { description: 'd' } },
  );
  assert.deepEqual(exportChain({ ...chainDoc(CHAIN, 'My chain'), body: { additionalInfo: { description: 'd' } } }, check(read.metadata)), file);
});

for (const [file, text] of [
  [{}, 'Not a rule chain file: it has no ruleChain and metadata.'],
  [{ ruleChain: {}, metadata: {} }, 'Rule chain name should be specified!'],
  [{ ruleChain: { name: 'x', type: 'FOO' }, metadata: {} }, 'Invalid rule chain type'],
] as const) {
  test(`graph: ${text}`, () => assert.throws(() => readChainFile(file), { message: text }));
}
