import assert from 'node:assert/strict';
import test from 'node:test';
import { startSystem } from '#actors/system.ts';

const aborted = (signal: AbortSignal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

test('stop waits for the batch under way of every lane', async () => {
  const ended: number[] = [];
  const system = startSystem({
    lanes: [0, 1, 2],
    log: { error: () => assert.fail('no lane broke') },
    async work(lane, signal) {
      await aborted(signal);
      await new Promise((resolve) => setImmediate(resolve));
      ended.push(lane);
    },
  });
  assert.equal(system.worked(), true);
  await system.stop();
  assert.deepEqual(ended.sort(), [0, 1, 2]);
  assert.equal(system.worked(), false);
});

test('a lane that breaks is logged and worked again', { timeout: 5000 }, async () => {
  const logged: object[] = [];
  let again: () => void = () => undefined;
  const second = new Promise<void>((resolve) => {
    again = resolve;
  });
  let runs = 0;
  const system = startSystem({
    lanes: [7],
    log: { error: (fields) => logged.push(fields) },
    async work(_lane, signal) {
      if (++runs === 1) throw new Error('broken');
      again();
      await aborted(signal);
    },
  });
  await second;
  await system.stop();
  assert.deepEqual(
    logged.map((fields) => (fields as { lane: number }).lane),
    [7],
  );
});
