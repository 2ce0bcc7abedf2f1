import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Type } from 'typebox';
import { Busy } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { type EntityRef, NULL_ID } from '#engine/message.ts';
import { type AnyNode, defineNode } from '#engine/node.ts';
import { Registry } from '#engine/registry.ts';
import { type DryRunRequest, type DryRunResult, dryRun } from '#engine/walk/dry-run.ts';
import { allEffects, type DryRuns, js, NOBODY, NOW, openDryRuns, outcomes, told } from '#test/support/dry-run.ts';
import type { GraphLink } from '#test/support/graph.ts';

let runs: DryRuns;
before(async () => {
  runs = await openDryRuns();
});
after(() => runs.close());

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
  const result = await runs.walk({ nodes, links }, [{ json: { t: 9 } }, { json: { t: 10 } }, { json: { t: 3 } }]);
  const alarms = result.messages.map(({ effects }) => told(effects).filter((effect) => (effect as { kind: string }).kind === 'alarm'));
  const alarm = { kind: 'alarm', originator: 'T1', type: 'Warm', severity: 'CRITICAL' };
  assert.deepEqual(alarms, [
    [{ node: 'raise', ...alarm, change: 'created', status: 'ACTIVE_UNACK', details: { t: 9 } }],
    [{ node: 'raise', ...alarm, change: 'changed', status: 'ACTIVE_UNACK', details: { t: 10 } }],
    [{ node: 'end', ...alarm, change: 'cleared', status: 'CLEARED_UNACK', details: { t: 3 } }],
  ]);
});

test('a called chain, a checkpoint and a split are walked on; the journey shows them', async () => {
  const called = await runs.saved(
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
  const result = await runs.walk({ nodes, links }, [{ data: '[{"a":1},{"a":2}]' }]);
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
  const outer = await runs.saved('outer', [{ name: 'to inner', type: 'TbRuleChainInputNode', config: { ruleChainId: inner } }]);
  const tested = runs.chainOf('inner', [{ name: 'to outer', type: 'TbRuleChainInputNode', config: { ruleChainId: outer.id } }]);
  const result = await dryRun(
    { chain: { ...tested.chain, id: inner }, metadata: tested.metadata, messages: [{ type: 'X', originator: runs.device, data: '{}' }] },
    runs.deps,
  );
  const reasons = result.messages[0]!.effects.map((effect) => (effect.kind === 'deadLetter' ? effect.reason : effect.kind));
  assert.match(reasons.join(), /^Detected rule chain processing loop: 'to outer' of 'inner' already waits for this message\.$/);
  assert.deepEqual(outcomes(result), ['dead']);
});

test('a node that calls a chain which is not there can not run, and says so', async () => {
  const result = await runs.walk({ nodes: [{ name: 'call', type: 'TbRuleChainInputNode', config: { ruleChainId: NOBODY } }] }, [{}]);
  const reason = `Entity with id: '${NOBODY}' specified in the configuration doesn't belong to the current tenant.`;
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
  const result = await runs.walk({ nodes, links }, [{ json: { n: 1 } }, { json: { n: 2 } }]);
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
    const result = await runs.walk({ nodes, links }, [{ json: { t: 1 }, metadata: { room: 'r 1' } }], { answers: { ask: answer, nobody: {} } });
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
  const state = await runs.walk({ nodes: [{ name: 'n', type: 'TbDeviceStateNode' }] }, [{ originator: gone }]);
  assert.deepEqual(outcomes(state), ['dead']);
  const save = { nodes: [{ name: 'n', type: 'TbMsgTimeseriesNode' }] };
  for (const data of ['no json', '', '[1]', '"x"', '{"a":null}']) assert.deepEqual(outcomes(await runs.walk(save, [{ data }])), ['dead'], data);
  const { chain, metadata } = runs.chainOf('tested', save.nodes);
  const unknown = { ...metadata, nodes: metadata.nodes.map((node) => ({ ...node, type: 'org.acme.Unknown' })) };
  const result = await dryRun({ chain, metadata: unknown, messages: [{ type: 'X', originator: runs.device, data: '{}' }] }, runs.deps);
  assert.deepEqual(
    [outcomes(result), result.problems.map(({ reason }) => reason)],
    [['dead'], ["Rule node type 'org.acme.Unknown' is not supported!"]],
  );
});

test('an empty chain acknowledges', async () => {
  const result = await runs.walk({ nodes: [] }, [{}]);
  assert.deepEqual([outcomes(result), allEffects(result)], [['filtered'], []]);
});

test('a dry run is bounded in messages, time and the length of its answer, and says so', async () => {
  const save = { nodes: [{ name: 'save', type: 'TbMsgTimeseriesNode' }] };
  const many = Array.from({ length: 20 }, (_, n) => ({ json: { n } }));
  const walked = ({ messages }: DryRunResult) => messages.filter(({ effects }) => effects.length > 0).length;
  const short = await runs.walk(save, many, { limits: { messages: 5 } });
  assert.deepEqual([short.limited, walked(short), short.messages.length], ['The dry run ended after 5 messages', 5, 20]);
  const long = await runs.walk(save, many, { limits: { chars: 2000 } });
  assert.equal(long.limited, 'The dry run ended: its answer is longer than 2000 characters');
  assert.ok(walked(long) > 0 && walked(long) < 20);

  // Copies count as well, in the middle of a walk; what is under way is told as such.
  const fork = { nodes: [{ name: 'split', type: 'TbSplitArrayMsgNode' }, ...save.nodes], links: [['split', 'Success', 'save']] as const };
  const split = await runs.walk(fork, [{ data: `[${Array.from({ length: 50 }, () => '{"a":1}').join()}]` }], { limits: { messages: 10 } });
  assert.deepEqual([split.limited, outcomes(split)], ['The dry run ended after 10 messages', ['inFlight']]);
});

test('a script that never ends is a failure; many of them are an end', async () => {
  const nodes = [{ name: 'loop', type: 'TbJsFilterNode', config: js('while (true) {}') }];
  const begin = performance.now();
  const result = await runs.walk(
    { nodes },
    Array.from({ length: 1000 }, () => ({})),
    { limits: { ms: 1500 } },
  );
  assert.equal(result.limited, 'The dry run ended after 1.5 s');
  assert.ok(performance.now() - begin < 6000, `took ${performance.now() - begin} ms`);
  assert.deepEqual(outcomes(result)[0], 'dead');
});

const type = { version: 0, label: 'x', summary: 'For tests.', relations: ['Success'], config: Type.Object({}), defaults: {}, anyKey: true } as const;

/** A chain of one node of this type. */
async function walkNode(definition: AnyNode): Promise<DryRunResult> {
  const { chain, metadata } = runs.chainOf('tested', [{ name: 'n', type: 'TbAckNode' }]);
  const graph = { ...metadata, nodes: metadata.nodes.map((node) => ({ ...node, type: definition.type, configuration: {} })) };
  const messages = [{ type: 'X', originator: runs.device, data: '{}' }];
  return dryRun({ chain, metadata: graph, messages, now: NOW, limits: { ms: 1000 } }, { ...runs.deps, nodes: new Registry([definition]) });
}

test('a node is started for the dry run and stopped with it; its own timers do not run', async () => {
  const did: string[] = [];
  await walkNode(
    defineNode({
      ...{ ...type, type: 'test.timer', family: 'ACTION' },
      start({ every }) {
        did.push('start');
        every(1, async () => {
          did.push('tick');
          return [];
        });
      },
      stop: () => void did.push('stop'),
      async process() {
        await new Promise((resolve) => setTimeout(resolve, 30));
        did.push('process');
        return 'Success';
      },
    }),
  );
  assert.deepEqual(did, ['start', 'process', 'stop']);
});

test('what would be tried again is told, and not tried', async () => {
  let times = 0;
  const process = () => {
    times++;
    throw new Busy('the peer says later');
  };
  const result = await walkNode(defineNode({ ...type, type: 'test.busy', family: 'ACTION', process }));
  assert.deepEqual([times, allEffects(result), outcomes(result)], [1, [{ node: 'n', kind: 'held', notBefore: NOW + 1000 }], ['inFlight']]);
});

test('a node that gives no answer ends the dry run in its time', async () => {
  const result = await walkNode(defineNode({ ...type, type: 'test.stuck', family: 'ACTION', process: () => new Promise<never>(() => {}) }));
  const [letter] = allEffects(result) as { kind: string; reason: string }[];
  assert.match(`${letter!.kind}: ${letter!.reason}`, /^deadLetter: The rule node gave no answer within/);
});

test('a node that sends: what it would send is all that comes of it, and what is wrong with that is a failure', async () => {
  let sent = 0;
  const sender = (preview: () => Record<string, unknown>) =>
    defineNode({
      ...{ ...type, type: 'test.send', family: 'EXTERNAL', effect: true, preview },
      async send() {
        sent++;
        return 'Success';
      },
    });
  const good = await walkNode(sender(() => ({ bytes: Buffer.from('x'), id: 2n ** 60n })));
  const bad = await walkNode(
    sender(() => {
      throw new Error('no address');
    }),
  );
  const request = { bytes: 'x', id: '1152921504606846976' };
  assert.deepEqual(allEffects(good), [{ node: 'n', kind: 'external', request, relation: 'Success', assumed: true }]);
  assert.deepEqual([outcomes(good), outcomes(bad), sent], [['stored'], ['dead'], 0]);
});
