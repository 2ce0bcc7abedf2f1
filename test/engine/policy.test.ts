import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '#engine/id.ts';
import { pauseBefore, policyOf, type QueuePolicy, SKIPPING } from '#engine/walk/policy.ts';
import { openEngine, type TestChain } from '#test/support/chain.ts';
import { message } from '#test/support/message.ts';

const strategy = (type: string, more: object = {}): QueuePolicy =>
  policyOf('Q', { type, retries: 3, failurePercentage: 0, pauseBetweenRetries: 5, maxPauseBetweenRetries: 12, ...more });

for (const { name, policy, attempts = 0, timeout = false, pause } of [
  { name: 'SKIP_ALL_FAILURES never tries again', policy: strategy('SKIP_ALL_FAILURES'), pause: null },
  { name: 'SKIP_ALL_FAILURES_AND_TIMED_OUT neither', policy: strategy('SKIP_ALL_FAILURES_AND_TIMED_OUT'), timeout: true, pause: null },
  { name: 'an unknown strategy skips', policy: strategy('SOMETHING'), pause: null },
  { name: 'RETRY_FAILED after the pause', policy: strategy('RETRY_FAILED'), pause: 5000 },
  { name: 'the pause doubles', policy: strategy('RETRY_FAILED'), attempts: 1, pause: 10_000 },
  { name: 'up to the longest', policy: strategy('RETRY_FAILED'), attempts: 2, pause: 12_000 },
  { name: 'and after the last try no more', policy: strategy('RETRY_FAILED'), attempts: 3, pause: null },
  { name: '0 tries have no end', policy: strategy('RETRY_FAILED_AND_TIMED_OUT', { retries: 0 }), attempts: 5000, pause: 12_000 },
  { name: 'RETRY_ALL as RETRY_FAILED', policy: strategy('RETRY_ALL'), pause: 5000 },
  { name: 'RETRY_TIMED_OUT not for other failures', policy: strategy('RETRY_TIMED_OUT'), pause: null },
  { name: 'RETRY_TIMED_OUT for those', policy: strategy('RETRY_TIMED_OUT'), timeout: true, pause: 5000 },
  { name: 'numbers that are none', policy: policyOf('Q', { type: 'RETRY_FAILED', retries: 'x', pauseBetweenRetries: -1 }), pause: 0 },
]) {
  test(`queue policy: ${name}`, () => {
    assert.equal(pauseBefore(policy, { attempts }, timeout), pause);
  });
}

const FAILING: TestChain = { id: 'a', nodes: [{ name: 'x' }] };
const failing = (queueName: string | null, device: number, fail = true) =>
  message({
    id: newId(),
    queueName,
    originator: { entityType: 'DEVICE', id: `dddddddd-0000-1000-8000-00000000000${device}` },
    data: { seq: 0, ways: fail ? { x: { fail: 'never' } } : {} },
  });
const quick = (more: object = {}) =>
  policyOf('Q', { type: 'RETRY_FAILED', retries: 2, pauseBetweenRetries: 0.001, maxPauseBetweenRetries: 0.001, ...more });

async function run(t: Parameters<typeof openEngine>[0], messages: ReturnType<typeof failing>[], policy: QueuePolicy) {
  const engine = await openEngine(t, { chains: [FAILING], runner: { policy: ({ queueName }) => (queueName === 'Q' ? policy : SKIPPING) } });
  await engine.append(messages);
  const tries: number[] = [];
  while (engine.backend.queue.depth().messages + engine.backend.queue.depth().held > 0) {
    const work = await engine.step();
    tries.push(work.held.length, work.deadLetters.length);
  }
  return tries;
}

test('queue policy: a message of a retrying queue is held and tried as often as that says, then it is a dead letter; Main gives up at once', async (t) => {
  assert.deepEqual(await run(t, [failing('Q', 1)], quick()), [1, 0, 1, 0, 0, 1]);
  assert.deepEqual(await run(t, [failing(null, 1)], quick()), [0, 1]);
});

test('queue policy: later messages of the originator wait behind the one that is tried again, others do not', async (t) => {
  const tries = await run(t, [failing('Q', 1), failing('Q', 1, false), failing('Q', 2, false)], quick({ retries: 1 }));
  assert.deepEqual(tries, [2, 0, 0, 1]);
});

test('queue policy: when more of a batch fails than the queue allows, nothing of that is tried again', async (t) => {
  const four = [failing('Q', 1), failing('Q', 2), failing('Q', 3, false), failing('Q', 4, false)];
  const [held, dead] = await run(t, four, quick({ failurePercentage: 0.3, retries: 1 }));
  assert.deepEqual([held, dead], [1, 1]);
});
