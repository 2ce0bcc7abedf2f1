import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { type GraphLink, type GraphNode, graph } from '#test/support/graph.ts';
import { temporaryFolder } from '#test/support/servers.ts';
import { testChains } from '../../cli/chain-test.ts';

const ROOT = join(import.meta.dirname, '../..');
const OTHER = '00000000-0000-1000-8000-0000000000aa';
const js = (jsScript: string) => ({ scriptLang: 'JS', jsScript });
const chain = (name: string, nodes: readonly GraphNode[], links?: readonly GraphLink[]) => ({
  ruleChain: { name, type: 'CORE' },
  metadata: graph(nodes, links),
});
const SAVE = chain('save', [{ name: 'save', type: 'TbMsgTimeseriesNode' }]);
const telemetry = { type: 'POST_TELEMETRY_REQUEST', deviceName: 'T1', data: { t: 1 } };

/** Files by path: text, or what becomes JSON. */
async function run(files: Record<string, unknown>, json = false) {
  const folder = temporaryFolder('chains');
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  let output = '';
  const code = await testChains(folder, { json, write: (text) => (output += text) });
  return { code, output };
}

test('the examples of this repository pass', async () => {
  let output = '';
  const code = await testChains(join(ROOT, 'rulechains/examples'), { write: (text) => (output += text) });
  assert.deepEqual({ code, output }, { code: 0, output: '4 passed, 0 failed, 0 skipped\n' });
});

test('what is not as expected is named field by field, with what else happened', async () => {
  const effects = [
    { kind: 'telemetry', node: 'save', entity: 'T1', values: { t: 2 } },
    { kind: 'alarm', change: 'created' },
  ];
  const { code, output } = await run({
    'chain.json': chain(
      'all',
      [
        { name: 'save', type: 'TbMsgTimeseriesNode' },
        { name: 'log', type: 'TbLogNode', config: js("return 'got ' + msg.t;") },
        { name: 'broken', type: 'TbMqttNode', config: { host: '', topicPattern: 'x' } },
      ],
      [
        ['save', 'Success', 'log'],
        ['log', 'Success', 'broken'],
      ],
    ),
    'cases/a.json': { message: telemetry, outcome: 'stored', effects, answers: { nobody: {} } },
  });
  assert.equal(
    output,
    `FAILED cases/a.json
  answers: no node "nobody" has asked for an answer
  outcome: expected "stored", got "dead"
  reason: Rule Node is not active! Failed to initialize. MQTT broker host must be set!
  effects[0].values.t: expected 2, got 1
  effects[1]: expected {"kind":"alarm","change":"created"}, got nothing like it
  not expected: {"node":"log","kind":"log","text":"got 1"}
  not expected: {"node":"broken","kind":"deadLetter","reason":"Rule Node is not active! Failed to initialize. MQTT broker host must be set!","entity":"T1","data":{"t":1},"metadata":{}}
  node "broken" of "all" can not run: MQTT broker host must be set!
0 passed, 1 failed, 0 skipped
`,
  );
  assert.equal(code, 1);
});

test('a world: entities by name, their values and what relates them', async () => {
  const rule = chain(
    'enrich',
    [
      { name: 'own', type: 'TbGetAttributesNode', config: { fetchTo: 'METADATA', serverAttributeNames: ['limit'], latestTsKeyNames: ['t'] } },
      {
        name: 'house',
        type: 'TbChangeOriginatorNode',
        config: {
          originatorSource: 'RELATED',
          relationsQuery: { direction: 'TO', maxLevel: 1, filters: [{ relationType: 'Contains', entityTypes: [] }] },
        },
      },
      { name: 'log', type: 'TbLogNode', config: js("return metadata.ss_limit + ' ' + metadata.t;") },
      { name: 'save', type: 'TbMsgTimeseriesNode' },
    ],
    [
      ['own', 'Success', 'log'],
      ['log', 'Success', 'house'],
      ['house', 'Success', 'save'],
    ],
  );
  const world = `{
    "customers": [{ "title": "Smith" }],
    "devices": [{ "name": "T1", "type": "thermometer", "label": "Attic", "customer": "Smith" }, "T2"],
    "assets": ["House"],
    "attributes": [{ "entity": "T1", "values": { "limit": 9007199254740993 } }],
    "telemetry": [{ "entity": { "entityType": "DEVICE", "name": "T1" }, "ts": 1, "values": { "t": 20.0 } }],
    "relations": [{ "from": "House", "to": "T1" }]
  }`;
  const effects = [
    { kind: 'log', text: '9007199254740993 20.0' },
    { kind: 'telemetry', entity: { entityType: 'ASSET', name: 'House' }, values: { t: 1 } },
  ];
  const fields = JSON.stringify({ message: telemetry, outcome: ['stored'], effects }).slice(1);
  assert.deepEqual(await run({ 'chain.json': rule, 'cases/a.json': `{"world": ${world}, ${fields}` }), {
    code: 0,
    output: '1 passed, 0 failed, 0 skipped\n',
  });
});

test('chains of one folder call each other; the case says of which it is', async () => {
  const files = {
    'outer.json': chain('Outer', [{ name: 'call', type: 'TbRuleChainInputNode', config: { ruleChainId: OTHER } }]),
    'inner.json': SAVE,
  };
  const effects = [{ kind: 'telemetry', chain: 'save' }];
  const good = { chain: 'outer.json', chains: { [OTHER]: 'inner.json' }, message: telemetry, effects };
  assert.deepEqual(await run({ ...files, 'cases/good.json': good, 'cases/name.json': { ...good, chain: 'Outer' } }), {
    code: 0,
    output: '2 passed, 0 failed, 0 skipped\n',
  });
  const { code, output } = await run({ ...files, 'cases/a.json': { message: telemetry, effects }, 'cases/b.json': { ...good, chain: 'no.json' } });
  assert.equal(
    output,
    `FAILED cases/a.json
  not a case: "chain" must say which of these it is of: inner.json (save), outer.json (Outer)
FAILED cases/b.json
  not a case: there is no chain "no.json" among inner.json (save), outer.json (Outer)
0 passed, 2 failed, 0 skipped
`,
  );
  assert.equal(code, 1);
});

test('what is no case says why', async () => {
  const { code, output } = await run({
    'chain.json': SAVE,
    'cases/a-cut.json': '{"message": ',
    'cases/b-list.json': '[]',
    'cases/c-no-effects.json': { message: telemetry },
    'cases/d-unknown.json': { mesage: telemetry, effects: [] },
    'cases/e-no-message.json': { effects: [] },
    'cases/f-world.json': { message: telemetry, effects: [], world: { devices: [{}], attributes: [] } },
    'cases/g-world.json': { message: telemetry, effects: [], world: { attributes: [{ entity: 'T7', values: {} }] } },
    'cases/h-twice.json': { message: telemetry, effects: [], world: { devices: ['T1', 'T1'] } },
    'cases/i-key.json': { message: telemetry, effects: [], world: { device: [] } },
  });
  assert.equal(
    output,
    `FAILED cases/a-cut.json
  not a case: Unexpected end of JSON input
FAILED cases/b-list.json
  not a case: it is no object
FAILED cases/c-no-effects.json
  not a case: the case has no effects: a list, [] for none
FAILED cases/d-unknown.json
  not a case: "mesage" is not known: description, chain, chains, now, world, message, messages, answers, outcome, effects
FAILED cases/e-no-message.json
  not a case: messages: a list of messages is needed
FAILED cases/f-world.json
  not a case: world: a device has no name
FAILED cases/g-world.json
  not a case: world: there is no "T7"
FAILED cases/h-twice.json
  not a case: world: two of one name: DEVICE "T1"
FAILED cases/i-key.json
  not a case: world: "device" is not known: devices, assets, customers, attributes, telemetry, relations, alarms
0 passed, 9 failed, 0 skipped
`,
  );
  assert.equal(code, 1);
});

test('a script that never ends is a failure of its message', async () => {
  const loop = chain('loop', [{ name: 'loop', type: 'TbJsFilterNode', config: js('while (true) {}') }]);
  const effects = [{ kind: 'deadLetter', node: 'loop' }];
  const { code } = await run({ 'chain.json': loop, 'cases/a.json': { message: telemetry, outcome: 'dead', effects } });
  assert.equal(code, 0);
});

test('a chain without cases is skipped; a folder without chains, and one that is not there, are a wrong use', async () => {
  assert.deepEqual(await run({ 'a/chain.json': SAVE }, true), {
    code: 0,
    output: `${JSON.stringify({ passed: 0, failed: 0, skipped: 1, cases: [{ name: 'a', outcome: 'skipped', reasons: ['no cases'] }] })}\n`,
  });
  assert.equal((await run({ 'other.json': '{}' })).code, 2);
  assert.equal(await testChains('/nowhere/at/all'), 2);
});

test('as a command: exit codes', () => {
  const call = (...args: string[]) => spawnSync(process.execPath, ['cli/main.ts', 'chain', 'test', ...args], { cwd: ROOT, encoding: 'utf8' });
  const good = call('rulechains/examples', '--json');
  assert.deepEqual([good.status, JSON.parse(good.stdout).passed], [0, 4]);
  assert.equal(call().status, 2);
  assert.equal(call('/nowhere/at/all').status, 2);
});
