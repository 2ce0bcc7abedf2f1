import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { Busy } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { nodeId, openEngine, type TestChain } from '#test/support/chain.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';

const numbered = (seq: number) => message({ id: newId(), data: { seq } });
const base = {
  version: 0,
  label: 'test',
  summary: 'For tests.',
  relations: ['Success'],
  config: Type.Object({}),
  defaults: {},
  anyKey: true,
} as const;

/** Keeps what comes, and gives all of it on when its timer is due; `trouble` is thrown by `due` as often as it says. */
const holding = (trouble: { times: number; error: Error }) =>
  defineNode({
    ...base,
    type: 'test.hold',
    family: 'ACTION',
    needs: ['kept', 'memory'],
    async process({ originator }, { node, kept, memory }) {
      if ((await kept.count(node.id, 'k')) === 0) kept.remind(node, originator, 'k', Date.now());
      memory.set(node.id, 'seen', Number((await memory.get(node.id, 'seen')) ?? 0) + 1);
      return { keep: 'k' };
    },
    async due(key, timer, { node, kept }) {
      const messages = await kept.list(node.id, key);
      kept.release(node.id, key, messages);
      if (trouble.times-- > 0) throw trouble.error;
      assert.equal(timer.originator.id, DEVICE);
      return messages.map((held) => ({ to: 'Success', message: withChanges(held, { metadata: { from: held.id } }) }));
    },
  });

const CHAIN: TestChain = {
  id: 'a',
  nodes: [
    { name: 'hold', type: 'test.hold' },
    { name: 'save', type: 'test.save' },
  ],
  links: [['hold', 'Success', 'save']],
};
/** The same node inside a called chain, whose output goes on in the calling one. */
const NESTED: TestChain[] = [
  {
    id: 'top',
    nodes: [
      { name: 'call', type: 'test.call', config: { chain: 'inner' } },
      { name: 'save', type: 'test.save' },
    ],
    links: [['call', 'done', 'save']],
  },
  {
    id: 'inner',
    nodes: [
      { name: 'hold', type: 'test.hold' },
      { name: 'done', type: 'test.output' },
    ],
    links: [['hold', 'Success', 'done']],
  },
];

async function ledgerOf(t: Parameters<typeof openEngine>[0], chains: TestChain[], trouble = { times: 0, error: new Error('unused') }) {
  const engine = await openEngine(t, { chains, nodes: [holding(trouble)] });
  const until = async (wanted: (messages: Record<string, number>) => boolean) => {
    const deadline = Date.now() + 5000;
    for (;;) {
      await engine.drain();
      if (engine.backend.queue.depth().held > 0) await engine.step();
      const { messages } = await engine.backend.store.ledger(TENANT, TENANT);
      if (wanted(messages)) return messages;
      if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(messages)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { engine, until };
}

test('kept: messages stay at a node, in flight, until its timer is due; what it gives then goes on as new messages', async (t) => {
  const { engine, until } = await ledgerOf(t, [CHAIN]);
  await engine.append([numbered(1), numbered(2), numbered(3)]);
  // 3 came, 1 timer, 3 new; the timer and the 3 that came end without effect.
  assert.deepEqual(await until(({ stored }) => stored === 3), { created: 7, stored: 3, filtered: 4, dead: 0, inFlight: 0 });
  const [saved] = await engine.backend.store.attributes(TENANT, { entityType: 'DEVICE', id: DEVICE }, 'SERVER_SCOPE');
  assert.equal(saved!.value.value, 3, 'in order');
  assert.equal(await engine.backend.store.nodeState(TENANT, nodeId('a', 'hold'), 'seen'), 3);
});

test('kept: what a called chain gives later returns to its caller', async (t) => {
  const { engine, until } = await ledgerOf(t, NESTED);
  await engine.append([numbered(1)]);
  assert.deepEqual(await until(({ stored }) => stored === 1), { created: 3, stored: 1, filtered: 2, dead: 0, inFlight: 0 });
});

test('kept: a timer that needs what is away comes again, and nothing of the failed try is left', async (t) => {
  const trouble = { times: 1, error: new Busy('the store is away') };
  const { engine, until } = await ledgerOf(t, [CHAIN], trouble);
  await engine.append([numbered(1)]);
  assert.deepEqual(await until(({ stored }) => stored === 1), { created: 3, stored: 1, filtered: 2, dead: 0, inFlight: 0 });
});

test('kept: a timer whose node has a bug is a dead letter that can be requeued, and what is kept stays', async (t) => {
  const trouble = { times: 1, error: new TypeError('a bug') };
  const { engine, until } = await ledgerOf(t, [CHAIN], trouble);
  await engine.append([numbered(1)]);
  assert.deepEqual(await until(({ dead }) => dead === 1), { created: 2, stored: 0, filtered: 0, dead: 1, inFlight: 1 });
  const [letter] = (await engine.backend.store.deadLetters(TENANT, undefined, 0, 10)).data;
  assert.deepEqual([letter!.reason, letter!.node?.nodeName], ['a bug', 'hold']);
  await engine.append([letter!.message!]);
  assert.equal((await until(({ stored }) => stored === 1))['inFlight'], 0);
});

test('kept: a node that is deleted before its timer is due leaves dead letters, not lost messages', async (t) => {
  const { engine, until } = await ledgerOf(t, [CHAIN]);
  await engine.append([numbered(1), numbered(2)]);
  await engine.step();
  await engine.load({ id: 'a', nodes: [{ name: 'other' }] }, true);
  const messages = await until(({ dead }) => dead === 2);
  assert.deepEqual([messages['inFlight'], messages['filtered']], [0, 1]);
});
