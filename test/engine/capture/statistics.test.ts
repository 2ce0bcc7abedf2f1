import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAsk } from '#engine/capture/ask.ts';
import { failuresOf, figuresOf, MOST_REASONS, OTHER_REASONS, Statistics, stateOf } from '#engine/capture/statistics.ts';
import { quantileOf, Times } from '#engine/capture/times.ts';
import { sqlite } from '#test/support/backend.ts';
import { twoProcesses } from '#test/support/two-processes.ts';

const near = (actual: number | null, expected: number): void =>
  assert.ok(actual !== null && Math.abs(actual - expected) <= 0.1 * expected, `${actual} is not about ${expected}`);

for (const { name, times, p50, p99 } of [
  { name: 'one', times: [[3, 1]], p50: 3, p99: 3 },
  {
    name: 'one in fifty is slow',
    times: [
      [1, 98],
      [500, 2],
    ],
    p50: 1,
    p99: 500,
  },
  {
    name: 'counts of batches weigh',
    times: [
      [0.02, 1000],
      [40, 1],
    ],
    p50: 0.02,
    p99: 0.02,
  },
  { name: 'longer than the last bucket', times: [[10 ** 9, 1]], p50: 458_000, p99: 458_000 },
] as const) {
  test(`times: ${name}`, () => {
    const counted = new Times(0);
    for (const [ms, count] of times) counted.add(ms, count, 1);
    near(quantileOf([counted.buckets(1)], 0.5), p50);
    near(quantileOf([counted.buckets(1)], 0.99), p99);
  });
}

test('times: nothing counted is no time', () => {
  assert.equal(quantileOf([new Times(0).buckets(0)], 0.5), null);
});

test('times: quantiles are of the last minutes, the count of all time', () => {
  const times = new Times(0);
  times.add(100, 10, 0);
  times.add(1, 1, 400_000);
  assert.deepEqual([times.count, times.buckets(400_000).length], [11, 2]);
  times.add(1, 1, 800_000);
  near(quantileOf([times.buckets(800_000)], 0.99), 1);
  assert.equal(times.count, 12);
  assert.deepEqual(times.buckets(2_000_000), []);
});

test('times: the rate is that of the last minute', () => {
  const times = new Times(0);
  for (let second = 0; second < 120; second++) times.add(1, 5, second * 1000);
  near(times.perSecond(120_000), 5);
  assert.equal(times.perSecond(300_000), 0);
});

test('statistics: reasons are bounded in number and length', () => {
  const statistics = new Statistics(() => 0);
  const { failures } = statistics.integration('t', 'i');
  for (let i = 0; i < 50; i++) failures.add(`reason ${i}`);
  failures.add('reason 1');
  failures.add('x'.repeat(10_000));
  assert.equal(failures.total, 52);
  assert.equal(failures.counts.size, MOST_REASONS + 1);
  assert.equal(failures.counts.get('reason 1'), 2);
  assert.equal(failures.counts.get(OTHER_REASONS), 50 - MOST_REASONS + 1);
});

test('statistics: the figures of several processes are those of all their messages', () => {
  const [a, b] = [new Times(0), new Times(0)];
  a.add(1, 90, 1000);
  b.add(80, 10, 1000);
  const { count, p50Ms, p99Ms } = figuresOf([stateOf(a, 1000), stateOf(b, 1000)]);
  assert.equal(count, 100);
  near(p50Ms, 1);
  near(p99Ms, 80);
  assert.deepEqual(
    failuresOf([
      { failures: 3, reasons: [['away', 3]] },
      {
        failures: 5,
        reasons: [
          ['away', 1],
          ['no', 4],
        ],
      },
    ]),
    {
      failures: 8,
      failuresByReason: [
        { reason: 'away', count: 4 },
        { reason: 'no', count: 4 },
      ],
    },
  );
});

test('ask: all processes answer, and who does not is not waited for', async (t) => {
  const { backend, stop } = await sqlite.start();
  t.after(stop);
  const { a, b, cut } = twoProcesses(backend);
  const ofA = createAsk(a.cluster, 'sum', (n: number) => n + 1, 50);
  const ofB = createAsk(b.cluster, 'sum', async (n: number) => n + 2, 50);
  assert.deepEqual(await ofA(10), [11, 12]);
  assert.deepEqual(await ofB(20), [22, 21]);
  cut(true);
  assert.deepEqual(await ofA(30), [31]);
  ofA.close();
  ofB.close();
});
