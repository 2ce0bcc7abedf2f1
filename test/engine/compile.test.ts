import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Type } from 'typebox';
import { Fenced, NotDurable } from '#engine/errors.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { CompiledChain } from '#engine/walk/chain.ts';
import { stopChain } from '#engine/walk/compile.ts';
import { mapConfiguration } from '#engine/walk/mapping.ts';
import type { Work } from '#engine/work.ts';
import { nodeId, openEngine, type TestChain } from '#test/support/chain.ts';
import { message } from '#test/support/message.ts';

const NS = 'org.thingsboard.rule.engine.';
const base = { version: 0, label: 'x', summary: 'x', relations: ['Success'], family: 'ACTION', defaults: {}, process: () => 'Success' } as const;
const java = defineNode({
  ...base,
  type: `${NS}test.TbTestNode`,
  config: Config({
    flag: Type.Boolean(),
    count: Type.Integer(),
    ratio: Type.Number(),
    text: Type.String(),
    list: Type.Array(Type.String()),
    mode: Type.Union([Type.Literal('ON'), Type.Literal('OFF')]),
    part: Type.Object({ deep: Type.Integer() }, { additionalProperties: false }),
    round: Type.Union([Type.Integer(), Type.Null()]),
    map: Type.Record(Type.String(), Type.String()),
    kept: Type.Boolean(),
  }),
  missing: { kept: true },
});
const NOTHING = { flag: false, count: 0, ratio: 0, text: null, list: null, mode: null, part: null, round: null, map: null, kept: true };

for (const [configuration, expected] of [
  [{}, NOTHING],
  [
    { flag: null, count: null, text: null, kept: null },
    { ...NOTHING, kept: false },
  ],
  [
    { flag: 'true', count: '5', ratio: '1.5', text: 5 },
    { ...NOTHING, flag: true, count: 5, ratio: 1.5, text: '5' },
  ],
  [
    { count: 5.7, flag: 1, list: ['a', null], mode: 'ON' },
    { ...NOTHING, count: 5, flag: true, list: ['a', null], mode: 'ON' },
  ],
  [
    { part: { deep: 3 }, map: { a: 'b', c: null } },
    { ...NOTHING, part: { deep: 3 }, map: { a: 'b', c: null } },
  ],
  [
    { flag: ' True ', count: ' +7 ', ratio: '1e3' },
    { ...NOTHING, flag: true, count: 7, ratio: 1000 },
  ],
  [{ part: {} }, { ...NOTHING, part: { deep: 0 } }],
  [{ round: '' }, NOTHING],
  [{ round: 'null', flag: 'null', count: 'null', ratio: ' ' }, NOTHING],
  [{ round: ' 2 ' }, { ...NOTHING, round: 2 }],
] as const) {
  test(`configuration ${JSON.stringify(configuration)} reads as the class would`, () =>
    assert.deepEqual(mapConfiguration(java, configuration), expected));
}

for (const configuration of [
  { zz: 1 },
  { flag: 'yes' },
  { count: 'abc' },
  { count: '1.5' },
  { text: {} },
  { list: 'a' },
  { mode: 'AUTO' },
  { part: { zz: 1 } },
  { part: [] },
  'text',
  [1],
  null,
]) {
  test(`configuration ${JSON.stringify(configuration)} can not be converted`, () =>
    assert.throws(() => mapConfiguration(java, configuration), { message: `Can't convert value: ${JSON.stringify(configuration)}` }));
}

test('configuration: "empty" nodes take any key, our own nodes name every problem', () => {
  const empty = defineNode({ ...base, type: `${NS}flow.TbAckNode`, config: Config({}), anyKey: true });
  assert.deepEqual(mapConfiguration(empty, { version: 0, zz: 1 }), {});
  const own = defineNode({ ...base, type: 'filter.own', config: Config({ limit: Type.Number({ default: 3 }), key: Type.String() }) });
  assert.deepEqual(mapConfiguration(own, { key: 'a' }), { limit: 3, key: 'a' });
  assert.throws(() => mapConfiguration(own, { limit: 'x' }), /key.*limit|limit.*key/s);
});

const chain = (nodes: TestChain['nodes'], links: TestChain['links'] = []): TestChain => ({ id: 'a', nodes, links });
const problems = (compiled: CompiledChain): Record<string, string | null> =>
  Object.fromEntries(compiled.nodes.map(({ info, problem }) => [info.name, problem]));

test('compile: nodes that can not be used say why, the others work', async (t) => {
  const failing = defineNode({
    ...base,
    type: 'test.failing',
    config: Type.Object({}),
    start: () => {
      throw new Error('TBEL is not available yet');
    },
  });
  const engine = await openEngine(t, { nodes: [failing, java] });
  const compiled = await engine.load(
    chain([
      { name: 'good' },
      { name: 'bad', type: 'test.failing' },
      { name: 'unknown', type: 'org.example.Nope' },
      { name: 'strict', type: java.type, config: { zz: 1 } },
    ]),
  );
  assert.deepEqual(problems(compiled), {
    good: null,
    bad: 'TBEL is not available yet',
    unknown: "Rule node type 'org.example.Nope' is not supported!",
    strict: 'Can\'t convert value: {"zz":1}',
  });
});

test('compile: order, labels and entry', async (t) => {
  const engine = await openEngine(t);
  const compiled = await engine.load(
    {
      ...chain(
        [{ name: 'c' }, { name: 'b' }, { name: 'a' }],
        [
          ['a', 'One', 'b'],
          ['b', 'ONE', 'c'],
          ['b', 'one', 'c'],
        ],
      ),
      first: 'a',
    },
    true,
  );
  assert.deepEqual(
    compiled.nodes.map(({ info, order }) => [info.name, order]),
    [
      ['a', 0],
      ['b', 1],
      ['c', 2],
    ],
  );
  assert.deepEqual(
    [...compiled.nodes[1]!.targets].map(([label, links]) => [label, links.map((link) => `${link.label} ${link.target.info.name}`)]),
    [['one', ['ONE c', 'one c']]],
  );
  assert.deepEqual([compiled.first?.info.name, compiled.root, compiled.byId.get(nodeId('a', 'b')) === compiled.nodes[1]], ['a', true, true]);
  const none = await engine.load({ ...chain([{ name: 'x' }]), first: null });
  assert.equal(none.first, null);
});

test('compile: a reload keeps the state of nodes that did not change and stops the others', async (t) => {
  const events: string[] = [];
  const stateful = defineNode({
    ...base,
    type: 'test.stateful',
    config: Type.Object({ n: Type.Integer() }),
    start: ({ config, node }) => {
      events.push(`start ${node.name} ${config.n}`);
      return { n: config.n };
    },
    stop: ({ n }) => void events.push(`stop ${n}`),
  });
  const engine = await openEngine(t, { nodes: [stateful] });
  const node = (name: string, n: number) => ({ name, type: 'test.stateful', config: { n } });
  const first = await engine.load(chain([node('kept', 1), node('changed', 2), node('gone', 3)]));
  const second = await engine.load(chain([node('new', 5), node('changed', 4), node('kept', 1)], [['kept', 'Success', 'new']]));
  stopChain(first, second);
  assert.deepEqual(events, ['start kept 1', 'start changed 2', 'start gone 3', 'start changed 4', 'start new 5', 'stop 2', 'stop 3']);
  assert.equal(second.byId.get(nodeId('a', 'kept'))!.state, first.byId.get(nodeId('a', 'kept'))!.state);
  events.length = 0;
  stopChain(second);
  assert.deepEqual(events.sort(), ['stop 1', 'stop 4', 'stop 5']);
});

function stopOnEnd(t: TestContext, compiled: CompiledChain): void {
  t.after(() => stopChain(compiled));
}

/** Moves the clock one ms at a time, with everything that follows from each. */
async function pass(t: TestContext, ms: number): Promise<void> {
  for (let i = 0; i < ms; i++) {
    t.mock.timers.tick(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('compile: a timer emits behind its node without drift, waits while nothing is durable, and ends with the chain', async (t) => {
  const works: { at: number; work: Work }[] = [];
  let refused = false;
  const generator = defineNode({
    ...base,
    type: 'test.generator',
    config: Type.Object({}),
    start: ({ every }) => every(10, async () => [{ to: 'Success', message: message({ data: { tick: Date.now() } }) }]),
  });
  const engine = await openEngine(t, {
    nodes: [generator],
    compile: {
      retryMs: 13,
      async commit(work) {
        if (Date.now() === 20 && !refused) {
          refused = true;
          throw new NotDurable(new Error('full'));
        }
        works.push({ at: Date.now(), work });
      },
    },
  });
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  const compiled = await engine.load(chain([{ name: 'g', type: 'test.generator', debug: { allEnabledUntil: 60_000 } }]));
  await pass(t, 55);
  stopChain(compiled);
  await pass(t, 30);
  assert.deepEqual(
    works.map(({ at, work }) => [at, work.messages[0]!.data]),
    // What was refused at 20 was tried again at 33, and the tick of 30 left out.
    [
      [10, '{"tick":10}'],
      [33, '{"tick":20}'],
      [40, '{"tick":40}'],
      [50, '{"tick":50}'],
    ],
  );
  const { work } = works[0]!;
  assert.deepEqual(
    {
      at: work.messages.map(({ at }) => at),
      counts: [...work.counts.values()].map(({ owner, tenantId, counter, by }) => [owner === tenantId, counter, by]),
      events: work.events.map(({ body }) => [body['type'], body['relationType']]),
    },
    {
      at: [{ chainId: 'a', nodeId: nodeId('a', 'g'), labels: ['Success'] }],
      counts: [[true, 'messages.created', 1]],
      events: [['OUT', 'Success']],
    },
  );
});

test('compile: a timer acts in one process at a time, under its lease, and does not repeat what was refused by a take-over', async (t) => {
  const ticks: number[] = [];
  const works: [at: number, leases: Work['leases']][] = [];
  const generator = defineNode({
    ...base,
    type: 'test.generator',
    config: Type.Object({}),
    start: ({ every }) =>
      every(10, async () => {
        ticks.push(Date.now());
        return [{ to: 'Success', message: message() }];
      }),
  });
  let lease: { name: string; epoch: number } | null = null;
  const engine = await openEngine(t, {
    nodes: [generator],
    compile: {
      leaseOf: (id) => (id === nodeId('a', 'g') ? lease : null),
      async commit(work) {
        if (work.leases[0]?.epoch === 2) throw new Fenced('lane:1');
        works.push([Date.now(), work.leases]);
      },
    },
  });
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  stopOnEnd(t, await engine.load(chain([{ name: 'g', type: 'test.generator' }])));
  await pass(t, 15);
  lease = { name: 'lane:1', epoch: 1 };
  await pass(t, 10);
  lease = { name: 'lane:1', epoch: 2 };
  await pass(t, 10);
  lease = null;
  await pass(t, 10);
  lease = { name: 'lane:1', epoch: 3 };
  await pass(t, 10);
  assert.deepEqual(ticks, [20, 30, 50]);
  assert.deepEqual(works, [
    [20, [{ name: 'lane:1', epoch: 1 }]],
    [50, [{ name: 'lane:1', epoch: 3 }]],
  ]);
});

test('compile: a timer that says stop ends, and one that throws goes on', async (t) => {
  const calls: number[] = [];
  const generator = defineNode({
    ...base,
    type: 'test.generator',
    config: Type.Object({}),
    start: ({ every }) =>
      every(10, async () => {
        if (calls.push(Date.now()) === 1) throw new Error('once');
        return 'stop';
      }),
  });
  const engine = await openEngine(t, { nodes: [generator] });
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  await engine.load(chain([{ name: 'g', type: 'test.generator' }]));
  await pass(t, 50);
  assert.deepEqual([calls, engine.log], [[10, 20], ['a tick of a rule node failed']]);
});
