import assert from 'node:assert/strict';
import test from 'node:test';
import { startSystem } from '#actors/system.ts';

test('stop waits for the batch under way of every lane', async () => {
  const ended: number[] = [];
  const system = startSystem({
    lanes: [0, 1, 2],
    work: (lane) => ({
      trouble: () => null,
      async stop() {
        await new Promise((resolve) => setImmediate(resolve));
        ended.push(lane);
      },
    }),
  });
  assert.equal(system.worked(), true);
  const stopped = system.stop();
  assert.deepEqual([system.worked(), ended], [false, []]);
  await stopped;
  assert.deepEqual(ended.sort(), [0, 1, 2]);
});
