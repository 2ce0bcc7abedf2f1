import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { newId } from '#engine/id.ts';
import { defineNode } from '#engine/node.ts';
import { openEngine } from '#test/support/chain.ts';
import { message } from '#test/support/message.ts';

test('visit: a node that takes batches is entered once for all that came together', async (t) => {
  const entered: number[] = [];
  const counted = defineNode({
    ...{ type: 'test.counted', family: 'FILTER', version: 0, label: 'test', summary: 'For tests.', relations: ['Success'], config: Type.Object({}) },
    ...{ defaults: {}, anyKey: true },
    processBatch(messages) {
      entered.push(messages.length);
      return messages.map(() => 'Success');
    },
  });
  const chain = { id: 'a', nodes: [{ name: 'x' }, { name: 'c', type: 'test.counted' }], links: [['x', 'Success', 'c']] } as const;
  const engine = await openEngine(t, { chains: [chain], nodes: [counted] });
  await engine.append(
    Array.from({ length: 50 }, (_, n) => message({ id: `message ${n}`, originator: { entityType: 'DEVICE', id: `device ${n % 5}` }, data: {} })),
  );
  await engine.drain();
  assert.deepEqual(entered, [50]);
});

for (const { kind, method } of [
  { kind: 'one message', method: 'process' },
  { kind: 'batches', method: 'processBatch' },
]) {
  test(`visit: a node that takes ${kind} and never answers fails its messages, and the lane goes on`, async (t) => {
    let asked = 0;
    const never = () => {
      asked++;
      return new Promise<never>(() => {});
    };
    const stuck = defineNode({
      ...{ type: 'test.stuck', family: 'ACTION', version: 0, label: 'test', summary: 'For tests.', relations: ['Success'], config: Type.Object({}) },
      ...{ defaults: {}, anyKey: true },
      [method]: never,
    });
    const chain = { id: 'a', nodes: [{ name: 's', type: 'test.stuck' }] };
    const engine = await openEngine(t, { chains: [chain], nodes: [stuck], runner: { nodeTimeoutMs: 20 } });
    await engine.append(Array.from({ length: 20 }, () => message({ id: newId(), data: {} })));
    const works = await engine.drain();
    const reasons = works.flatMap((work) => work.deadLetters.map(({ reason }) => reason));
    assert.deepEqual(reasons, new Array(20).fill('The rule node gave no answer within 0.02 s'));
    assert.equal(asked, 1, 'once for all of them: each wait is one of the whole lane');
  });
}
