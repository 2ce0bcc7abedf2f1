import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Registry } from '#engine/registry.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import { lintChain } from '#engine/walk/lint.ts';
import { nodes as rulechainNodes } from '#rulechains/index.ts';

const scripts = openScriptEngine({ hosts: 1 });
after(() => scripts.close());
const registry = new Registry(rulechainNodes);

const NS = 'org.thingsboard.rule.engine.';
const node = (type: string, name: string, configuration: unknown = {}, more: object = {}) => ({ type: NS + type, name, configuration, ...more });
const ack = (name: string) => node('flow.TbAckNode', name);
const js = (jsScript: string) => ({ scriptLang: 'JS', jsScript, tbelScript: 'return true;' });
const chain = (nodes: readonly object[], links: readonly (readonly [number, string, number])[] = [], metadata: object = {}) => ({
  ruleChain: { name: 'a chain', type: 'CORE' },
  metadata: { firstNodeIndex: 0, nodes, connections: links.map(([fromIndex, type, toIndex]) => ({ fromIndex, toIndex, type })), ...metadata },
});
const lint = (file: unknown, exists: () => Promise<boolean | null>) => lintChain(file, { nodes: registry, scripts, exists });
const TARGET = '00000000-0000-1000-8000-00000000000a';
const FAILURE = 'Failure leads nowhere: what fails here is a dead letter, or is tried again if its queue says so';
const call = node('flow.TbRuleChainInputNode', 'call', { ruleChainId: TARGET, forwardMsgToDefaultRuleChain: false }, { configurationVersion: 1 });
const saving = (more: object) =>
  node(
    'telemetry.TbMsgAttributesNode',
    'save',
    {
      processingSettings: { type: 'ON_EVERY_MESSAGE' },
      scope: 'SERVER_SCOPE',
      notifyDevice: false,
      sendAttributesUpdatedNotification: true,
      updateAttributesOnlyOnValueChange: false,
      ...more,
    },
    { configurationVersion: 3 },
  );

for (const { name, file, findings, exists } of [
  { name: 'no chain', file: { converters: [] }, findings: ['error -: Not a rule chain file: it has no ruleChain and metadata.'] },
  {
    name: 'an end with everything connected',
    file: chain(
      [ack('a'), node('flow.TbRuleChainOutputNode', 'out')],
      [
        [0, 'Success', 1],
        [0, 'Failure', 1],
      ],
    ),
    findings: [],
  },
  {
    name: 'every bad node is named, not only the first',
    file: chain(
      [
        node('filter.TbNoSuchNode', 'strange'),
        node('filter.TbMsgTypeFilterNode', 'extra', { messageTypes: [], color: 'red', size: 2 }),
        node('filter.TbJsFilterNode', 'broken', js('return ((')),
      ],
      [
        [0, 'Success', 1],
        [1, 'True', 2],
        [1, 'Failure', 2],
        [2, 'Failure', 0],
      ].slice(0, 3) as never,
    ),
    findings: [
      `error strange: Unknown node type '${NS}filter.TbNoSuchNode': it is kept, and messages that reach it fail`,
      "error extra: Unknown key 'color' in its configuration: the node does not start",
      "error extra: Unknown key 'size' in its configuration: the node does not start",
      /^error broken: .*SyntaxError|^error broken: .*creating script engine/,
      `warning broken: ${FAILURE}`,
    ],
  },
  {
    name: 'what a save refuses, a bad index and a node without a type',
    file: chain([node('flow.TbRuleChainInputNode', 'call', { ruleChainId: 'abc' }), { name: 'empty' }], [[0, 'Success', 7]]),
    findings: [
      'error call: Invalid UUID string: abc',
      'error empty: Rule node type should be specified!',
      'error -: Index 7 out of bounds for length 2',
    ],
  },
  {
    name: 'a cycle',
    file: chain(
      [ack('a'), ack('b')],
      [
        [0, 'Success', 1],
        [1, 'Success', 0],
      ],
    ),
    findings: ["error -: Can't create circling relations in rule chain."],
  },
  {
    name: 'a node that nothing leads to, and failures that go nowhere',
    file: chain([ack('a'), ack('alone')]),
    findings: [`warning a: ${FAILURE}`, 'warning alone: No arrow leads to it: it never gets a message', `warning alone: ${FAILURE}`],
  },
  {
    name: 'a generator is a way in',
    file: chain(
      [
        node(
          'debug.TbMsgGeneratorNode',
          'gen',
          { msgCount: 1, periodInSeconds: 1, originatorType: 'TENANT', ...js('return {};') },
          { configurationVersion: 2 },
        ),
        ack('a'),
      ],
      [
        [0, 'Success', 1],
        [0, 'Failure', 1],
        [1, 'Failure', 2],
      ].slice(0, 2) as never,
      { firstNodeIndex: null },
    ),
    findings: [`warning a: ${FAILURE}`],
  },
  {
    name: 'no way in',
    file: chain([ack('a')], [], { firstNodeIndex: null }),
    findings: [
      'warning -: It has no first node: nothing enters it',
      'warning a: No arrow leads to it: it never gets a message',
      `warning a: ${FAILURE}`,
    ],
  },
  {
    name: 'a label of old files',
    file: chain(
      [node('filter.TbMsgTypeSwitchNode', 'switch'), ack('a')],
      [
        [0, 'RPC Request', 1],
        [0, 'post TELEMETRY', 1],
        [0, 'Failure', 1],
        [1, 'Failure', 1],
      ].slice(0, 3) as never,
    ),
    findings: ["warning switch: It never emits 'RPC Request'; today's name is 'RPC Request from Device'", `warning a: ${FAILURE}`],
  },
  {
    name: 'an entity that nobody can look for',
    file: chain([call]),
    findings: [`warning call: RULE_CHAIN ${TARGET} was not looked for: give --url to look on a server`, `warning call: ${FAILURE}`],
  },
  {
    name: 'an entity that does not exist',
    file: chain([call]),
    exists: false,
    findings: [`error call: RULE_CHAIN ${TARGET} does not exist: the node does not start`, `warning call: ${FAILURE}`],
  },
  { name: 'an entity that exists', file: chain([call]), exists: true, findings: [`warning call: ${FAILURE}`] },
  {
    name: 'places in a script of TBEL where the original does something else',
    file: chain(
      [
        node('filter.TbJsFilterNode', 'old script', {
          scriptLang: 'TBEL',
          jsScript: '',
          tbelScript: 'function f(m) {\n  m.a = f(m)\n  m.b = 1;\n}\nfor (;;) { return true; }',
        }),
      ],
      [],
    ),
    findings: [
      "warning old script: script line 3, column 3: a ';' is missing: what follows up to the next one is never executed, as on the original engine",
      "warning old script: script line 5, column 1: 'for (;;)' is refused by the original engine",
      `warning old script: ${FAILURE}`,
    ],
  },
  {
    name: 'attributes that update themselves without end',
    file: chain(
      [node('filter.TbMsgTypeSwitchNode', 'switch'), saving({})],
      [
        [0, 'Attributes Updated', 1],
        [0, 'Failure', 1],
      ],
    ),
    findings: [
      `warning save: ${FAILURE}`,
      "warning save: It sends 'Attributes Updated', which leads to it again: a loop without end unless something in it stops",
    ],
  },
  {
    name: 'attributes that are saved on change only',
    file: chain(
      [node('filter.TbMsgTypeSwitchNode', 'switch'), saving({ updateAttributesOnlyOnValueChange: true })],
      [
        [0, 'Attributes Updated', 1],
        [0, 'Failure', 1],
      ],
    ),
    findings: [`warning save: ${FAILURE}`],
  },
] as { name: string; file: unknown; findings: (string | RegExp)[]; exists?: boolean }[]) {
  test(`lint: ${name}`, async () => {
    const found = (await lint(file, async () => exists ?? null)).map((one) => `${one.level} ${one.node ?? '-'}: ${one.reason}`);
    assert.equal(found.length, findings.length, found.join('\n'));
    for (const [index, expected] of findings.entries()) {
      if (typeof expected === 'string') assert.equal(found[index], expected);
      else assert.match(found[index]!, expected);
    }
  });
}
