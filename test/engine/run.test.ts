import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from '#engine/message.ts';
import { UNLIMITED } from '#engine/services/limits.ts';
import type { Work } from '#engine/work.ts';
import { nodeId, openEngine, type TestChain, type Way } from '#test/support/chain.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';

const OTHER = '9a4f394c-42b6-11ec-8d3d-0242ac130003';
let ids = 0;
const uuid = (): string => `00000000-0000-1000-8000-${String(++ids).padStart(12, '0')}`;
const say = (ways: Record<string, Way> = {}, more: Partial<Message> & { seq?: number } = {}): Message => {
  const { seq = 0, ...fields } = more;
  return message({ id: uuid(), data: { seq, ways }, ...fields });
};

/** What a work says, in short: counters, what was saved, why messages died. */
const summary = (work: Work) => ({
  counts: Object.fromEntries([...work.counts.values()].map(({ counter, by }) => [counter.replace('messages.', ''), by])),
  saved: work.attributes.map((write) => ('key' in write ? `${write.key}=${write.value.value}` : write.keys.join())),
  dead: work.deadLetters.map(({ reason, node }) => `${node?.nodeName ?? '-'}: ${reason}`),
  held: work.held.length,
  forwarded: work.messages.length,
});
const NOTHING = { saved: [], dead: [], held: 0, forwarded: 0 };

const cases: { name: string; chains: TestChain[]; messages?: Message[]; works: Partial<ReturnType<typeof summary>>[] }[] = [
  { name: 'a chain without a first node swallows', chains: [{ id: 'a', nodes: [] }], works: [{ counts: { filtered: 1 } }] },
  { name: 'no root chain', chains: [], works: [{ counts: { dead: 1 }, dead: ['-: No Root Rule Chain available!'] }] },
  { name: 'no connection for the label', chains: [{ id: 'a', nodes: [{ name: 'x' }] }], works: [{ counts: { filtered: 1 } }] },
  {
    name: 'labels meet whatever their capitals',
    chains: [{ id: 'a', nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }], links: [['x', 'SUCCESS', 's']] }],
    works: [{ counts: { stored: 1 }, saved: ['s=0'] }],
  },
  {
    name: 'a fork makes copies, of which one has an effect: the original is stored too',
    chains: [
      {
        id: 'a',
        nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }, { name: 'y' }],
        links: [
          ['x', 'Success', 's'],
          ['x', 'Success', 'y'],
        ],
      },
    ],
    works: [{ counts: { created: 2, stored: 2, filtered: 1 }, saved: ['s=0'] }],
  },
  {
    name: 'two labels to one target are two copies',
    chains: [
      {
        id: 'a',
        nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }],
        links: [
          ['x', 'one', 's'],
          ['x', 'two', 's'],
        ],
      },
    ],
    messages: [say({ x: ['one', 'two'] })],
    works: [{ counts: { created: 2, stored: 3 }, saved: ['s=0', 's=0'] }],
  },
  {
    name: 'several results of one message are new messages',
    chains: [{ id: 'a', nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }], links: [['x', 'Success', 's']] }],
    messages: [say({ x: { list: 3 } })],
    works: [{ counts: { created: 3, stored: 4 }, saved: ['s=0', 's=0', 's=0'] }],
  },
  {
    name: 'one result is the message itself, none acknowledges it',
    chains: [{ id: 'a', nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }], links: [['x', 'Success', 's']] }],
    messages: [say({ x: { list: 1 } }), say({ x: { list: 0 } })],
    works: [{ counts: { stored: 1, filtered: 1 }, saved: ['s=0'] }],
  },
  {
    name: 'a thrown error goes by Failure',
    chains: [{ id: 'a', nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }], links: [['x', 'Failure', 's']] }],
    messages: [say({ x: { fail: 'never' } }), say({ x: { fail: 'later' } })],
    works: [{ counts: { stored: 2 }, saved: ['s=0', 's=0'] }],
  },
  {
    name: 'unconnected Failure is a dead letter, an error without text gives its class',
    chains: [{ id: 'a', nodes: [{ name: 'x' }] }],
    messages: [say({ x: { fail: 'never' } }), say({ x: { fail: 'bug' } }), say({ x: { fail: 'empty' } }), say({ x: 'Failure' })],
    works: [{ counts: { dead: 4 }, dead: ['x: the peer says no', 'x: a bug', 'x: RangeError', 'x: Failure'] }],
  },
  {
    name: 'a passing failure holds the message and all later ones of its originator, and nobody else',
    chains: [{ id: 'a', nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }], links: [['x', 'Success', 's']] }],
    messages: [
      say({}, { seq: 1 }),
      say({ x: { fail: 'later' } }),
      say({}, { seq: 3 }),
      say({}, { seq: 4, originator: { entityType: 'DEVICE', id: OTHER } }),
    ],
    works: [{ counts: { stored: 2 }, saved: ['s=1', 's=4'], held: 2 }],
  },
  {
    name: 'after "acknowledge" nothing is held',
    chains: [{ id: 'a', nodes: [{ name: 'k', type: 'test.ack' }, { name: 'x' }], links: [['k', 'Success', 'x']] }],
    messages: [say({ x: { fail: 'later' } })],
    works: [{ counts: { dead: 1 }, dead: ['x: the peer says later'] }],
  },
  {
    name: 'the tenth attempt was the last',
    chains: [{ id: 'a', nodes: [{ name: 'x' }] }],
    messages: [say({ x: { fail: 'later' } }, { attempts: 10 })],
    works: [{ counts: { dead: 1 }, dead: ['x: the peer says later'] }],
  },
  {
    name: 'a node that did not start fails its messages, with its reason, and not by Failure',
    chains: [
      {
        id: 'a',
        nodes: [
          { name: 'x', type: 'org.example.Nope' },
          { name: 's', type: 'test.save' },
        ],
        links: [['x', 'Failure', 's']],
      },
    ],
    works: [{ counts: { dead: 1 }, dead: ["x: Rule Node is not active! Failed to initialize. Rule node type 'org.example.Nope' is not supported!"] }],
  },
  {
    name: 'a called chain returns by its output, several times after a fork; without an output it ends there',
    chains: [
      {
        id: 'a',
        nodes: [
          { name: 'c', type: 'test.call', config: { chain: 'b' } },
          { name: 's', type: 'test.save' },
        ],
        links: [['c', 'Out', 's']],
      },
      {
        id: 'b',
        nodes: [{ name: 'x' }, { name: 'out', type: 'test.output' }, { name: 'Out', type: 'test.output' }],
        links: [
          ['x', 'Success', 'out'],
          ['x', 'Success', 'Out'],
          ['x', 'One', 'Out'],
        ],
      },
    ],
    messages: [say(), say({ x: 'One' }), say({ x: 'Nowhere' })],
    works: [{ counts: { created: 2, stored: 4, filtered: 1 }, saved: ['s=0', 's=0', 's=0'] }],
  },
  {
    name: 'an output named Failure fails the calling node',
    chains: [
      { id: 'a', nodes: [{ name: 'c', type: 'test.call', config: { chain: 'b' } }] },
      { id: 'b', nodes: [{ name: 'Failure', type: 'test.output' }] },
    ],
    works: [{ counts: { dead: 1 }, dead: ['c: Failure'] }],
  },
  {
    name: 'an output without a caller acknowledges, and so does a call of a chain that is not there',
    chains: [{ id: 'a', nodes: [{ name: 'x' }, { name: 'out', type: 'test.output' }], links: [['x', 'Success', 'out']] }],
    messages: [say(), say({ x: { call: 'gone' } })],
    works: [{ counts: { filtered: 2 } }],
  },
  {
    name: 'chains that call each other are stopped',
    chains: [
      { id: 'a', nodes: [{ name: 'c', type: 'test.call', config: { chain: 'b' } }] },
      { id: 'b', nodes: [{ name: 'd', type: 'test.call', config: { chain: 'a' } }] },
    ],
    works: [{ counts: { dead: 1 }, dead: ["c: Detected rule chain processing loop: 'c' of 'a' already waits for this message."] }],
  },
  {
    name: 'a requeued message goes on behind the node, with its stack',
    chains: [
      {
        id: 'a',
        nodes: [
          { name: 'c', type: 'test.call', config: { chain: 'b' } },
          { name: 's', type: 'test.save' },
        ],
        links: [['c', 'Out', 's']],
      },
      { id: 'b', nodes: [{ name: 'x' }, { name: 'Out', type: 'test.output' }], links: [['x', 'Success', 'Out']] },
    ],
    messages: [say({ x: { requeue: 'HighPriority' } })],
    works: [
      { counts: { created: 1, filtered: 1 }, forwarded: 1 },
      { counts: { stored: 1 }, saved: ['s=0'] },
    ],
  },
  {
    name: 'a position that is no longer there acknowledges',
    chains: [{ id: 'a', nodes: [{ name: 'x' }] }],
    messages: [
      say({}, { at: { chainId: 'gone', nodeId: null, labels: null } }),
      say({}, { at: { chainId: 'a', nodeId: 'gone', labels: null } }),
      say({}, { at: { chainId: 'a', nodeId: nodeId('a', 'x'), labels: ['Success'] }, stack: [{ chainId: 'gone', nodeId: 'n' }] }),
    ],
    works: [{ counts: { filtered: 3 } }],
  },
  {
    name: 'one message that makes a batch node throw fails alone, and the others happen once',
    chains: [{ id: 'a', nodes: [{ name: 'b', type: 'test.batch' }] }],
    messages: [say(), say({ b: { fail: 'bug' } }), say()],
    works: [{ counts: { stored: 2, dead: 1 }, saved: ['b=0', 'b=0'], dead: ['b: a bug'] }],
  },
];

for (const { name, chains, messages = [say()], works } of cases) {
  test(`run: ${name}`, async (t) => {
    const engine = await openEngine(t, { chains });
    await engine.append(messages);
    const done = await engine.drain();
    assert.deepEqual(
      done.map(summary),
      works.map((work) => ({ ...NOTHING, ...work })),
    );
    const { created, stored, filtered, dead, inFlight } = (await engine.backend.store.ledger(TENANT, TENANT)).messages;
    assert.equal(created, stored + filtered + dead + inFlight);
    assert.equal(
      inFlight,
      works.reduce((sum, { held = 0 }) => sum + held, 0),
    );
  });
}

test('run: a message to another lane goes there, positioned, and is not counted again', async (t) => {
  const engine = await openEngine(t, {
    lanes: 16,
    chains: [{ id: 'a', nodes: [{ name: 'x' }, { name: 's', type: 'test.save' }], links: [['x', 'Success', 's']] }],
  });
  const sent = say({ x: { originator: OTHER } });
  await engine.append([sent]);
  const [first, second] = await engine.drain();
  const moved = first!.messages[0]!;
  assert.deepEqual(
    { ids: [moved.id, moved.originator.id], at: moved.at, executions: moved.executions },
    { ids: [sent.id, OTHER], at: { chainId: 'a', nodeId: nodeId('a', 's'), labels: null }, executions: 1 },
  );
  assert.deepEqual([first!, second!].map(summary), [
    { ...NOTHING, counts: {}, forwarded: 1 },
    { ...NOTHING, counts: { stored: 1 }, saved: ['s=0'] },
  ]);
});

test('run: a late answer becomes a new message behind the node, after the commit', async (t) => {
  const answered = Promise.withResolvers<Work>();
  const engine = await openEngine(t, {
    chains: [
      {
        id: 'a',
        nodes: [
          { name: 'l', type: 'test.later' },
          { name: 's', type: 'test.save' },
        ],
        links: [['l', 'Success', 's']],
      },
    ],
    runner: { commit: async (work) => answered.resolve(work) },
  });
  await engine.append([say()]);
  const [work] = await engine.drain();
  assert.deepEqual(summary(work!).counts, { filtered: 1 });
  const [answer] = (await answered.promise).messages;
  assert.deepEqual([answer!.type, answer!.at], ['after l', { chainId: 'a', nodeId: nodeId('a', 'l'), labels: ['Success'] }]);
});

test('run: more nodes than the tenant allows', async (t) => {
  const engine = await openEngine(t, {
    chains: [
      {
        id: 'a',
        nodes: [{ name: 'x' }, { name: 'y' }, { name: 'z' }],
        links: [
          ['x', 'Success', 'y'],
          ['y', 'Success', 'z'],
        ],
      },
    ],
    runner: { limits: { of: () => ({ ...UNLIMITED, maxExecutions: 2 }) } },
  });
  await engine.append([say()]);
  const [work] = await engine.drain();
  assert.deepEqual(summary(work!).dead, ['z: Message is processed by more than 2 rule nodes!']);
});

test('run: debug events tell every step; without debug only failures, and only where they are asked for', async (t) => {
  const all = { allEnabledUntil: Date.now() + 60_000 };
  const engine = await openEngine(t, {
    chains: [
      {
        id: 'a',
        nodes: [
          { name: 'x', debug: all },
          { name: 'c', type: 'test.call', config: { chain: 'b' }, debug: all },
          { name: 'f', debug: { failuresEnabled: true } },
        ],
        links: [
          ['x', 'one', 'c'],
          ['x', 'two', 'c'],
          ['c', 'Out', 'f'],
        ],
      },
      { id: 'b', nodes: [{ name: 'Out', type: 'test.output' }] },
    ],
  });
  await engine.append([say({ x: ['one', 'two'], f: { fail: 'never' } }, { metadata: { text: 'x'.repeat(5000) } })]);
  const [work] = await engine.drain();
  const steps = work!.events.map(({ entity, body }) => `${entity.id.split(':')[1]} ${body['type']} ${body['relationType']} ${body['error']}`.trim());
  assert.deepEqual(steps, [
    ...['x IN', 'x OUT one', 'x OUT two', 'c IN one', 'c IN two', 'c OUT ACK', 'c OUT ACK', 'c OUT Out', 'c OUT Out'],
    ...['f OUT Failure the peer says no', 'f OUT Failure the peer says no'],
  ]);
  assert.deepEqual(Object.keys(work!.events[0]!.body), [
    'server',
    'type',
    'entityId',
    'entityType',
    'msgId',
    'msgType',
    'dataType',
    'relationType',
    'data',
    'metadata',
    'error',
  ]);
  assert.equal((work!.events[0]!.body['metadata'] as string).length, 4096);
});

test('run: what waits for the same originator is kept in order where ways part', async (t) => {
  const engine = await openEngine(t, {
    chains: [
      {
        id: 'a',
        nodes: [{ name: 'x' }, { name: 'near', type: 'test.save' }, { name: 'y' }, { name: 'far', type: 'test.save' }],
        links: [
          ['x', 'Near', 'near'],
          ['x', 'Far', 'y'],
          ['y', 'Success', 'far'],
        ],
      },
    ],
  });
  await engine.append([
    say({ x: 'Far' }, { seq: 1 }),
    say({ x: 'Near' }, { seq: 2 }),
    say({ x: 'Far' }, { seq: 3 }),
    say({ x: 'Near' }, { seq: 4, originator: { entityType: 'DEVICE', id: OTHER } }),
  ]);
  const [work] = await engine.drain();
  const saved = work!.attributes.map((write) => [write.entity.id === DEVICE, 'key' in write && `${write.key} ${write.value.value}`]);
  assert.deepEqual(saved, [
    [false, 'near 4'],
    [true, 'far 1'],
    [true, 'near 2'],
    [true, 'far 3'],
  ]);
});

test('run: debug events end for an hour when a tenant wrote its share, with one notice', async (t) => {
  let now = Date.now();
  const engine = await openEngine(t, {
    chains: [{ id: 'a', nodes: [{ name: 'out', type: 'test.output', debug: { allEnabledUntil: now * 2 } }] }],
    runner: { debugEventsPerHour: 3, now: () => now },
  });
  const events = async (): Promise<unknown[]> => {
    await engine.append([say(), say(), say()]);
    const [work] = await engine.drain();
    return work!.events.map(({ type, body }) => [type, body['type'] ?? body['error'], body['relationType']]);
  };
  const IN = ['DEBUG_RULE_NODE', 'IN', ''];
  assert.deepEqual(await events(), [IN, IN, IN, ['DEBUG_RULE_CHAIN', 'Debug mode rate limits reached!', undefined]]);
  assert.deepEqual(await events(), []);
  now += 3_600_000;
  assert.equal((await events()).length, 4);
});

test('run: an output without a caller tells that it acknowledged', async (t) => {
  const engine = await openEngine(t, {
    chains: [{ id: 'a', nodes: [{ name: 'out', type: 'test.output', debug: { allEnabledUntil: Date.now() + 60_000 } }] }],
  });
  await engine.append([say()]);
  const [work] = await engine.drain();
  assert.deepEqual(
    work!.events.map(({ body }) => [body['type'], body['relationType']]),
    [
      ['IN', ''],
      ['OUT', 'ACK'],
    ],
  );
});
