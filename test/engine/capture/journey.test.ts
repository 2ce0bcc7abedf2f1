import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '#engine/id.ts';
import type { Message } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nodeId, type TestChain, type Way } from '#test/support/chain.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { openObserved, short } from '#test/support/observed.ts';

const OTHER = '9a4f394c-42b6-11ec-8d3d-0242ac130003';
const say = (ways: Record<string, Way> = {}, more: Partial<Message> & { seq?: number } = {}): Message => {
  const { seq = 0, ...fields } = more;
  return message({ id: newId(), data: { seq, ways }, ...fields });
};
const chain = (nodes: TestChain['nodes'], links: TestChain['links'] = [], id = 'a'): TestChain => ({ id, nodes, links });

const cases: { name: string; chains: TestChain[]; ways?: Record<string, Way>; lanes?: number; is: unknown; complete?: boolean }[] = [
  {
    name: 'node after node, with what was written',
    chains: [chain([{ name: 'x' }, { name: 's', type: 'test.save' }], [['x', 'Success', 's']])],
    is: { is: 'stored', by: null, steps: ['x>Success', ['s>Success', 's=7']] },
  },
  {
    name: 'an arrow that is not there',
    chains: [chain([{ name: 'x' }])],
    ways: { x: 'True' },
    is: { is: 'filtered', by: null, steps: ['x>True'] },
  },
  { name: 'a chain without nodes', chains: [chain([])], is: { is: 'filtered', by: null, steps: [] } },
  {
    name: 'a failure that is drawn',
    chains: [chain([{ name: 'x' }, { name: 's', type: 'test.save' }], [['x', 'Failure', 's']])],
    ways: { x: { fail: 'never' } },
    is: { is: 'stored', by: null, steps: ['x>Failure: the peer says no', ['s>Success', 's=7']] },
  },
  {
    name: 'a failure that is not drawn',
    chains: [chain([{ name: 'x' }])],
    ways: { x: { fail: 'bug' } },
    is: { is: 'dead', by: null, steps: ['x>Failure: a bug'] },
  },
  {
    name: 'two arrows are two branches',
    chains: [
      chain(
        [{ name: 'x' }, { name: 's', type: 'test.save' }, { name: 'y' }],
        [
          ['x', 'Success', 's'],
          ['x', 'Success', 'y'],
        ],
      ),
    ],
    is: {
      is: 'stored',
      by: null,
      steps: [['x>Success', { is: 'stored', by: 'copy', steps: [['s>Success', 's=7']] }, { is: 'filtered', by: 'copy', steps: ['y>Success'] }]],
    },
  },
  {
    name: 'a split, and a fork behind it',
    chains: [
      chain(
        [{ name: 'x' }, { name: 'y' }, { name: 'z' }],
        [
          ['x', 'Success', 'y'],
          ['y', 'Success', 'z'],
          ['y', 'Success', 'x2'],
        ].slice(0, 2) as [string, string, string][],
      ),
    ],
    ways: { x: { list: 2 } },
    is: {
      is: 'filtered',
      by: null,
      steps: [
        [
          'x>Success+Success',
          { is: 'filtered', by: 'copy', steps: ['y>Success', 'z>Success'] },
          { is: 'filtered', by: 'copy', steps: ['y>Success', 'z>Success'] },
        ],
      ],
    },
  },
  {
    name: 'a called chain and the way back',
    chains: [
      chain(
        [
          { name: 'c', type: 'test.call', config: { chain: 'b' } },
          { name: 's', type: 'test.save' },
        ],
        [['c', 'out', 's']],
      ),
      chain([{ name: 'in' }, { name: 'out', type: 'test.output' }], [['in', 'Success', 'out']], 'b'),
    ],
    is: { is: 'stored', by: null, steps: ['c>', 'in>Success', 'out>out', ['s>Success', 's=7']] },
  },
  {
    name: 'a checkpoint is a new message',
    chains: [chain([{ name: 'x' }, { name: 's', type: 'test.save' }], [['x', 'Success', 's']])],
    ways: { x: { requeue: 'Main' } },
    is: { is: 'filtered', by: null, steps: [['x>', { is: 'stored', by: 'new', steps: [['s>Success', 's=7']] }]] },
  },
  {
    name: 'an answer that comes later is a new message',
    chains: [
      chain(
        [
          { name: 'later', type: 'test.later' },
          { name: 's', type: 'test.save' },
        ],
        [['later', 'Success', 's']],
      ),
    ],
    is: { is: 'filtered', by: null, steps: [['later>', { is: 'stored', by: 'new', steps: [['s>Success', 's=7']] }]] },
  },
  {
    name: 'on in the lane of another originator',
    lanes: 7,
    chains: [chain([{ name: 'x' }, { name: 's', type: 'test.save' }], [['x', 'Success', 's']])],
    ways: { x: { originator: OTHER } },
    is: { is: 'stored', by: null, steps: ['x>Success', ['s>Success', 's=7']] },
  },
  {
    name: 'held for another try',
    chains: [chain([{ name: 'x' }])],
    ways: { x: { fail: 'later' } },
    is: { is: 'inFlight', by: null, steps: ['x>Failure: the peer says later'] },
  },
];

for (const { name, chains, ways = {}, lanes, is } of cases) {
  test(`journey: ${name}`, async (t) => {
    const { engine, journey, bugs } = await openObserved(t, { chains, lanes });
    const sent = say(ways, { seq: 7 });
    await engine.append([sent]);
    await engine.drain();
    // A late answer is committed beside the lanes.
    for (let turn = 0; turn < 20; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      await engine.drain();
    }
    const found = await journey(sent.id);
    assert.deepEqual(short(found!.messages[0]!), is);
    assert.deepEqual([found!.complete, found!.missing, bugs], [true, [], []]);
  });
}

test('journey: any message of the tree leads to the whole of it', async (t) => {
  const forks = chain(
    [{ name: 'x' }, { name: 'y' }, { name: 'z' }, { name: 'r' }],
    [
      ['x', 'Success', 'y'],
      ['x', 'Success', 'z'],
      ['z', 'Success', 'r'],
    ],
  );
  const { engine, journey } = await openObserved(t, { chains: [forks] });
  const sent = say({ r: { requeue: 'Main' } });
  await engine.append([sent, say({}, { originator: { entityType: 'DEVICE', id: OTHER } })]);
  await engine.drain();
  const whole = await journey(sent.id);
  const copies = whole!.messages[0]!.steps[0]!.branches;
  assert.equal(copies.length, 2);
  const requeued = copies[1]!.steps[1]!.branches[0]!;
  for (const { id } of [...copies, requeued]) assert.deepEqual({ ...(await journey(id)), id: sent.id }, whole);
});

test('journey: messages of one batch are told apart, and so is what they wrote together', async (t) => {
  const { engine, journey } = await openObserved(t, { chains: [chain([{ name: 'b', type: 'test.batch' }])] });
  const originators = [DEVICE, OTHER, DEVICE, OTHER, DEVICE];
  const sent = originators.map((id, seq) => say({}, { seq, originator: { entityType: 'DEVICE', id } }));
  await engine.append(sent);
  await engine.drain();
  for (const [seq, { id }] of sent.entries()) {
    const { steps } = (await journey(id))!.messages[0]!;
    assert.deepEqual([steps[0]!.batch, steps[0]!.wrote], [5, { attributes: [{ scope: 'SERVER_SCOPE', values: { b: seq } }] }]);
  }
});

test('journey: what is written after an await is of the node and the message that wrote it', async (t) => {
  const slow = defineNode({
    ...{ type: 'test.slow', version: 0, label: 'test', summary: 'For tests.', family: 'ACTION', relations: ['Success'], needs: ['attributes'] },
    ...{ config: Config({}), defaults: {}, anyKey: true },
    async process(given, { node, attributes }) {
      await new Promise((resolve) => setImmediate(resolve));
      const { seq } = JSON.parse(given.data) as { seq: number };
      attributes.save(given.originator, 'SERVER_SCOPE', [[node.name, { type: 'LONG', value: seq }]], given.ts);
      return 'Success';
    },
  });
  const ways = chain(
    [
      { name: 'slow', type: 'test.slow' },
      { name: 's', type: 'test.save' },
    ],
    [['slow', 'Success', 's']],
  );
  const { engine, journey } = await openObserved(t, { chains: [ways], nodes: [slow] });
  const sent = [1, 2, 3].map((seq) => say({}, { seq }));
  await engine.append(sent);
  await engine.drain();
  for (const [index, { id }] of sent.entries()) {
    const seq = index + 1;
    assert.deepEqual(short((await journey(id))!.messages[0]!), {
      is: 'stored',
      by: null,
      steps: [
        ['slow>Success', `slow=${seq}`],
        ['s>Success', `s=${seq}`],
      ],
    });
  }
});

test('journey: times, messages in and out, and the nodes are told as they were', async (t) => {
  const change = defineNode({
    ...{ type: 'test.change', version: 0, label: 'test', summary: 'For tests.', family: 'TRANSFORMATION', relations: ['Success'] },
    ...{ config: Config({}), defaults: {}, anyKey: true },
    process: (given) => ({ to: 'Success', message: { ...given, data: '{"changed":true}', metadata: { more: 'yes' } } }),
  });
  const chains = [chain([{ name: 'c', type: 'test.change' }, { name: 'x' }], [['c', 'Success', 'x']])];
  const { engine, journey } = await openObserved(t, { chains, nodes: [change] });
  const before = Date.now();
  const sent = say();
  await engine.append([sent]);
  await engine.drain();
  const [first, second] = (await journey(sent.id))!.messages[0]!.steps;
  assert.deepEqual(first!.node, { id: nodeId('a', 'c'), name: 'c', type: 'test.change', ruleChainId: 'a', ruleChainName: 'a' });
  assert.deepEqual([first!.in.data, first!.in.metadata], [sent.data, {}]);
  assert.deepEqual([first!.out.data, first!.out.metadata], ['{"changed":true}', { more: 'yes' }]);
  assert.deepEqual([second!.in, second!.out], [first!.out, first!.out]);
  assert.ok(first!.ts >= before - 1 && first!.ts <= second!.ts && second!.ts <= Date.now() + 1);
  assert.ok(first!.durationMs >= 0 && first!.durationMs < 1000);
});

test('journey: a message that a node enqueues belongs to the one it was made of', async (t) => {
  const tell = defineNode({
    ...{ type: 'test.tell', version: 0, label: 'test', summary: 'For tests.', family: 'ACTION', relations: ['Success'] },
    ...{ config: Config({}), defaults: {}, anyKey: true, needs: ['messages'] },
    processBatch: (given, { messages }) =>
      given.map((each) => {
        if (each.type !== 'ALARM') messages.enqueue({ ...each, id: messages.newId(), type: 'ALARM' });
        return 'Success';
      }),
  });
  const { engine, journey } = await openObserved(t, { chains: [chain([{ name: 't', type: 'test.tell' }])], nodes: [tell] });
  const sent = [DEVICE, OTHER, DEVICE].map((id, seq) => say({}, { seq, originator: { entityType: 'DEVICE', id } }));
  await engine.append(sent);
  await engine.drain();
  for (const { id, data } of sent) {
    const branches = (await journey(id))!.messages[0]!.steps[0]!.branches;
    assert.deepEqual(
      branches.map(({ type, madeBy, steps }) => [type, madeBy, steps[0]!.in.data]),
      [['ALARM', 'new', data]],
    );
  }
});

test('journey: large data is cut and says so; a message that is split into many keeps its first branches', async (t) => {
  const { engine, journey, bugs } = await openObserved(t, { chains: [chain([{ name: 'x' }, { name: 'y' }], [['x', 'Success', 'y']])] });
  const large = message({ id: newId(), data: { text: 'x'.repeat(100_000) }, metadata: { a: 'y'.repeat(50_000), b: 'z' } });
  const many = say({ x: { list: 5000 } });
  await engine.append([large, many]);
  await engine.drain();
  const { in: shown } = (await journey(large.id))!.messages[0]!.steps[0]!;
  assert.equal(shown.data.length, 4097);
  assert.ok(shown.metadata['a']!.length <= 4097);
  assert.equal(shown.chars, large.data.length + 50_003);
  const split = await journey(many.id);
  const { more, steps } = split!.messages[0]!;
  assert.ok(steps[0]!.branches.length > 10);
  assert.equal(more + steps[0]!.branches.length, 5000);
  assert.deepEqual([split!.complete, split!.outcome, bugs], [false, 'filtered', []]);
});

test('journey: nothing is told of what never was, nor of another tenant', async (t) => {
  const { engine, journey, search } = await openObserved(t, { chains: [chain([{ name: 'x' }])] });
  const sent = say();
  await engine.append([sent]);
  await engine.drain();
  assert.equal(await journey(newId()), null);
  assert.equal(await journey(sent.id, OTHER), null);
  assert.deepEqual(await search({}, OTHER), []);
  assert.equal((await search({}))[0]!.id, sent.id);
});

test('journey: what a commit did not make durable was never there', async (t) => {
  const { engine, search, observation } = await openObserved(t, { chains: [chain([{ name: 'x' }])] });
  await engine.append([say()]);
  const giveUp = new AbortController();
  const batch = await engine.backend.queue.take(0, 10, giveUp.signal);
  await engine.runner.run(batch!);
  assert.deepEqual(await search({}), []);
  engine.backend.queue.giveBack(batch!);
  await engine.drain();
  assert.equal((await search({})).length, 1);
  assert.equal((await observation.chain(TENANT, 'a'))[0]![0]!.count, 2);
});

test('statistics: counts, times and failures of each node, from the walk', async (t) => {
  const chains = [chain([{ name: 'x' }, { name: 'y' }], [['x', 'Success', 'y']])];
  const { engine, observation } = await openObserved(t, { chains });
  await engine.append([say(), say({ x: { fail: 'never' } }), say({ x: { fail: 'bug' } }), say({ y: 'Failure' })]);
  await engine.drain();
  const [states] = await observation.chain(TENANT, 'a');
  assert.deepEqual(
    states!.map(({ id, count, failures, reasons }) => ({ id, count, failures, reasons })),
    [
      {
        ...{ id: nodeId('a', 'x'), count: 4, failures: 2 },
        reasons: [
          ['the peer says no', 1],
          ['a bug', 1],
        ],
      },
      { id: nodeId('a', 'y'), count: 2, failures: 1, reasons: [['Failure', 1]] },
    ],
  );
  assert.deepEqual(await observation.chain(OTHER, 'a'), [[]]);
});
