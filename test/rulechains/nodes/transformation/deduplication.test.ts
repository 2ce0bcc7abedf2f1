import assert from 'node:assert/strict';
import test from 'node:test';
import { newId } from '#engine/id.ts';
import type { Message } from '#engine/message.ts';
import deduplication from '#rulechains/nodes/transformation/deduplication.ts';
import { nodeId, openEngine } from '#test/support/chain.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NODE, NOW, type RunOptions, run, services, start, told } from '#test/support/services.ts';
import { eventually } from '#test/support/wait.ts';

const OTHER = '9a4f394c-42b6-11ec-8d3d-0242ac130003';
const at = (id: string, ts: number, fields: Partial<Message> = {}) => message({ id, data: { id }, metadata: { ts: String(ts), of: id }, ...fields });
const full = { to: 'Failure', error: `[${NODE.id}] Max limit of pending messages reached for deduplication id: [${DEVICE}]` };

for (const { name, config = {}, pending = 0, messages, to, timers } of [
  { name: 'the first sets the timer', messages: [at('a', 1)], to: [{ keep: DEVICE }], timers: [[DEVICE, NOW + 60_001]] },
  { name: 'the others do not', messages: [at('a', 1), at('b', 2)], to: [{ keep: DEVICE }, { keep: DEVICE }], timers: [[DEVICE, NOW + 60_001]] },
  { name: 'nor where some wait already', pending: 2, messages: [at('a', 1)], to: [{ keep: DEVICE }], timers: [] },
  {
    name: 'each originator by itself',
    config: { interval: 2 },
    messages: [at('a', 1), at('b', 2, { originator: { entityType: 'ASSET', id: OTHER } }), at('c', 3)],
    to: [{ keep: DEVICE }, { keep: OTHER }, { keep: DEVICE }],
    timers: [
      [DEVICE, NOW + 2001],
      [OTHER, NOW + 2001],
    ],
  },
  { name: 'the 101st fails', pending: 99, messages: [at('a', 1), at('b', 2)], to: [{ keep: DEVICE }, full], timers: [] },
  { name: 'none may wait', config: { maxPendingMsgs: 0 }, messages: [at('a', 1)], to: [full], timers: [] },
  { name: 'no interval', config: { interval: 0 }, messages: [at('a', 1)], to: [{ keep: DEVICE }], timers: [[DEVICE, NOW + 1]] },
] as {
  name: string;
  config?: Record<string, unknown>;
  pending?: number;
  messages: Message[];
  to: unknown[];
  timers: [string, number][];
}[])
  test(`deduplication: ${name}`, async () => {
    const held = Array.from({ length: pending }, (_, i) => at(`held ${i}`, i));
    const given = services({ kept: { [`${NODE.id} ${DEVICE}`]: held } });
    assert.deepEqual(await run(deduplication, messages, { config, services: given }), to);
    assert.deepEqual(
      given.did,
      timers.map(([id, due]) => ['remind', id, id, due]),
    );
  });

async function due(held: Message[], options: RunOptions = {}) {
  const given = services({ kept: { [`${NODE.id} ${DEVICE}`]: held } });
  const context = await start(deduplication, { ...options, services: given });
  const emissions = await deduplication.due!(DEVICE, message(), context as never);
  return { emissions, did: given.did };
}

const LONG_AGO = 1_700_000_000_000;
const first = [at('a', LONG_AGO + 100), at('b', LONG_AGO + 500), at('c', LONG_AGO), at('d', LONG_AGO + 900)];
for (const { name, config, held = first, to, did } of [
  { name: 'FIRST', to: [{ to: 'Success', id: 'c' }], did: [['release', DEVICE, ['a', 'b', 'c', 'd']]] },
  { name: 'LAST', config: { strategy: 'LAST' }, to: [{ to: 'Success', id: 'd' }], did: [['release', DEVICE, ['a', 'b', 'c', 'd']]] },
  { name: 'no strategy is LAST', config: { strategy: null }, to: [{ to: 'Success', id: 'd' }], did: [['release', DEVICE, ['a', 'b', 'c', 'd']]] },
  {
    name: 'two intervals at once',
    config: { interval: 1 },
    held: [at('a', LONG_AGO), at('b', LONG_AGO + 999), at('c', LONG_AGO + 1000)],
    to: [
      { to: 'Success', id: 'a' },
      { to: 'Success', id: 'c' },
    ],
    did: [
      ['release', DEVICE, ['a', 'b']],
      ['release', DEVICE, ['c']],
    ],
  },
  { name: 'an interval that is not over', held: [at('a', NOW - 1000)], to: [], did: [['remind', DEVICE, DEVICE, NOW + 60_001]] },
  {
    name: 'the rest waits on',
    held: [at('a', NOW - 1000), at('b', LONG_AGO)],
    to: [{ to: 'Success', id: 'b' }],
    did: [
      ['remind', DEVICE, DEVICE, NOW + 60_001],
      ['release', DEVICE, ['b']],
    ],
  },
  { name: 'nothing waits any more', held: [], to: [], did: [] },
] as { name: string; config?: Record<string, unknown>; held?: Message[]; to: { to: string; id: string }[]; did: unknown[][] }[])
  test(`deduplication, when it is due: ${name}`, async () => {
    const found = await due(held, { config: config ?? {} });
    assert.deepEqual({ to: found.emissions.map(({ to: label, message }) => ({ to: label, id: message!.id })), did: found.did }, { to, did });
  });

test('deduplication: the one that goes on is as it was', async () => {
  const held = at('a', LONG_AGO, { queueName: 'HighPriority', executions: 3, stack: [{ chainId: 'c', nodeId: 'n' }] });
  const { emissions } = await due([held]);
  assert.deepEqual(
    emissions.map((emission) => told(emission, held)),
    ['Success'],
  );
});

test('deduplication: the queue of the node is that of what it gives', async () => {
  const { emissions } = await due([at('a', LONG_AGO, { queueName: 'HighPriority' })], { node: { queueName: 'SequentialByOriginator' } });
  assert.deepEqual(
    emissions.map(({ message }) => message!.queueName),
    ['SequentialByOriginator'],
  );
});

for (const { outMsgType, type } of [
  { outMsgType: 'MY', type: 'MY' },
  { outMsgType: null, type: 'NA' },
])
  test(`deduplication: ALL with type ${outMsgType} makes a new message of all`, async () => {
    const stack = [{ chainId: 'c', nodeId: 'n' }];
    const held = [at('b', LONG_AGO + 1, { stack, owner: 'integration' }), message({ id: 'x', data: '[3]', metadata: { ts: String(LONG_AGO) } })];
    const { emissions } = await due(held, { config: { strategy: 'ALL', outMsgType }, node: { queueName: 'Q' } });
    const { id, ...made } = emissions[0]!.message!;
    assert.deepEqual([emissions.length, emissions[0]!.to], [1, 'Success']);
    assert.ok(id !== 'b' && id !== 'x');
    assert.deepEqual(made, {
      ...{ tenantId: TENANT, ts: NOW, type, originator: held[0]!.originator, customerId: null, metadata: { ts: String(NOW) }, dataType: 'JSON' },
      data: `[{"msg":{"id":"b"},"metadata":{"ts":"${LONG_AGO + 1}","of":"b"}},{"msg":[3],"metadata":{"ts":"${LONG_AGO}"}}]`,
      ...{ queueName: 'Q', at: null, stack, executions: 0, owner: 'integration', effect: false, attempts: 0 },
    });
  });

test('deduplication: the queue of old files leaves the configuration', () =>
  assert.deepEqual(deduplication.upgrades![0]!({ interval: 1, queueName: 'Main' }), { interval: 1 }));

for (const config of [{ strategy: 'MOST' }, { interval: 'x' }, { maxPendingMsgs: {} }])
  test(`deduplication: unusable with ${JSON.stringify(config)}`, () => assert.rejects(start(deduplication, { config }), /Can't convert value/));

test('deduplication: through the lanes, one goes on for those that came, and the ledger adds up', async (t) => {
  const config = { ...deduplication.defaults, interval: 0 };
  const chain = {
    id: 'a',
    nodes: [
      { name: 'dedup', type: deduplication.type, config },
      { name: 'save', type: 'test.save' },
    ],
    links: [['dedup', 'Success', 'save']],
  } as const;
  const engine = await openEngine(t, { chains: [chain], nodes: [deduplication] });
  const numbered = (seq: number) => message({ id: newId(), data: { seq }, metadata: { ts: '1' } });
  await engine.append([numbered(1), numbered(2), numbered(3)]);
  const ledger = async () => (await engine.backend.store.ledger(TENANT, TENANT)).messages;
  await eventually(async () => {
    await engine.drain();
    return (await ledger()).inFlight === 0;
  }, 'all messages are over');
  // 3 that came, 1 timer, 1 that goes on.
  assert.deepEqual(await ledger(), { created: 5, stored: 1, filtered: 4, dead: 0, inFlight: 0 });
  const [saved] = await engine.backend.store.attributes(TENANT, { entityType: 'DEVICE', id: DEVICE }, 'SERVER_SCOPE');
  assert.equal(saved!.value.value, 1);
  assert.equal((await engine.backend.store.keptSummary(TENANT, nodeId('a', 'dedup'))).count, 0);
});
