import assert from 'node:assert/strict';
import test from 'node:test';
import { createActor, waitFor } from 'xstate';
import { chainMachine } from '#actors/rule-chain.ts';
import type { CompiledChain } from '#engine/walk/chain.ts';

const chain = (name: string): CompiledChain => ({ id: 'c', tenantId: 't', name, root: false, first: null, nodes: [], byId: new Map() });

function start(loads: readonly (() => Promise<CompiledChain | null>)[]) {
  const stopped: string[] = [];
  const previous: (string | null)[] = [];
  let count = 0;
  const actor = createActor(chainMachine, {
    input: {
      load: (before) => {
        previous.push(before?.name ?? null);
        return loads[count++]!();
      },
      stop: (old) => stopped.push(old.name),
      now: () => 1,
    },
  });
  actor.start();
  return {
    actor,
    stopped,
    previous,
    loads: () => count,
    settled: () => waitFor(actor, (snapshot) => !snapshot.matches('loading'), { timeout: 2000 }),
  };
}

test('rule chain: loads, then runs', async () => {
  const { settled } = start([async () => chain('one')]);
  const { value, context } = await settled();
  assert.deepEqual([value, context.chain?.name, context.reason], ['running', 'one', null]);
});

test('rule chain: a load that fails leaves the chain that was there, and is tried again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { actor, settled } = start([async () => chain('one'), () => Promise.reject(new Error('store away')), async () => chain('two')]);
  await settled();
  actor.send({ type: 'SAVED' });
  assert.equal(actor.getSnapshot().context.chain?.name, 'one', 'messages go on through the old one while the new one loads');
  const { value, context } = await settled();
  assert.deepEqual([value, context.chain?.name, context.reason], ['failed', 'one', 'store away']);
  t.mock.timers.tick(1000);
  const again = await settled();
  assert.deepEqual([again.value, again.context.chain?.name, again.context.reason], ['running', 'two', null]);
});

test('rule chain: saved while it loads, it loads once more, from what the first load started', async () => {
  let finish: (loaded: CompiledChain) => void = () => undefined;
  const first = new Promise<CompiledChain>((resolve) => {
    finish = resolve;
  });
  const { actor, settled, previous } = start([() => first, async () => chain('two')]);
  actor.send({ type: 'SAVED' });
  actor.send({ type: 'SAVED' });
  finish(chain('one'));
  const { value, context } = await settled();
  assert.deepEqual([value, context.chain?.name, previous], ['running', 'two', [null, 'one']]);
});

test('rule chain: removed, its nodes are stopped', async () => {
  const { actor, settled, stopped } = start([async () => chain('one')]);
  await settled();
  actor.send({ type: 'REMOVED' });
  assert.deepEqual([actor.getSnapshot().status, stopped], ['done', ['one']]);
});
