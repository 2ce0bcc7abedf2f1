import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Message } from '#engine/message.ts';
import type { Work } from '#engine/work.ts';
import { openEngine, type TestChain, type TestNode, type Way } from '#test/support/chain.ts';
import { message } from '#test/support/message.ts';

const NODES = 6;
const LABELS = ['Success', 'A', 'B', 'Failure'];
const name = (chain: string, index: number): string => `${chain}${index}`;

/** A chain of a few nodes, arrows only forward; chain `a` may call `b` anywhere. */
const chainArbitrary = (id: string, kinds: readonly string[]): fc.Arbitrary<TestChain> =>
  fc
    .record({
      kinds: fc.array(fc.constantFrom(...kinds), { minLength: NODES, maxLength: NODES }),
      links: fc.array(fc.tuple(fc.nat(NODES - 1), fc.constantFrom(...LABELS), fc.nat(NODES - 1)), { minLength: 4, maxLength: 14 }),
    })
    .map(({ kinds, links }) => ({
      id,
      nodes: kinds.map(
        (type, index): TestNode => ({ name: type === 'test.output' ? LABELS[index % 3]! : name(id, index), type, config: { chain: 'b' } }),
      ),
      links: links
        .filter(([from, , to]) => from < to)
        .map(([from, label, to]): [string, string, string] => [nodeName(id, kinds, from), label, nodeName(id, kinds, to)]),
    }));
const nodeName = (id: string, kinds: readonly string[], index: number): string =>
  kinds[index] === 'test.output' ? LABELS[index % 3]! : name(id, index);

const wayArbitrary = (extra: readonly Way[]): fc.Arbitrary<Way> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<Way>('Success') },
    { weight: 2, arbitrary: fc.constantFrom<Way>('A', 'B', ['A', 'B'], { list: 2 }, { fail: 'never' }, ...extra) },
  );

const messagesArbitrary = (extra: readonly Way[] = []): fc.Arbitrary<Message[]> =>
  fc
    .array(fc.record({ device: fc.nat(2), ways: fc.array(wayArbitrary(extra), { minLength: 2 * NODES, maxLength: 2 * NODES }) }), {
      minLength: 1,
      maxLength: 12,
    })
    .map((list) =>
      list.map(({ device, ways }, seq) =>
        message({
          id: `message ${seq}`,
          originator: { entityType: 'DEVICE', id: `device ${device}` },
          data: { seq, ways: Object.fromEntries(ways.map((way, index) => [name(index < NODES ? 'a' : 'b', index % NODES), way])) },
        }),
      ),
    );

const chains = fc.tuple(
  chainArbitrary('a', ['test.way', 'test.way-async', 'test.save', 'test.batch', 'test.call']),
  chainArbitrary('b', ['test.way', 'test.save', 'test.save', 'test.output']),
);
const batchOf = (messages: readonly Message[]) => ({ lane: 0, messages, token: null });

/** What was saved for each originator, in order; only what one message saved on several ways has no order among itself. */
function savedBy(works: readonly Work[]): Map<string, { seq: unknown; keys: string[] }[]> {
  const saved = new Map<string, { seq: unknown; keys: string[] }[]>();
  for (const write of works.flatMap((work) => work.attributes)) {
    if (!('key' in write)) continue;
    const list = saved.get(write.entity.id) ?? [];
    saved.set(write.entity.id, list);
    if (list.at(-1)?.seq !== write.value.value) list.push({ seq: write.value.value, keys: [] });
    list.at(-1)!.keys.push(write.key);
    list.at(-1)!.keys.sort();
  }
  return saved;
}

test('run: a batch does to each originator what its messages would do one by one', async (t) => {
  const engine = await openEngine(t);
  await fc.assert(
    fc.asyncProperty(chains, messagesArbitrary(), async ([a, b], messages) => {
      await engine.load(b);
      await engine.load(a, true);
      const together = await engine.runner.run(batchOf(messages));
      const alone: Work[] = [];
      for (const single of messages) alone.push(await engine.runner.run(batchOf([single])));
      assert.deepEqual(savedBy([together]), savedBy(alone));
    }),
    { numRuns: 300 },
  );
});

test('run: every message ends once, whatever the chains do', async (t) => {
  const engine = await openEngine(t);
  await fc.assert(
    fc.asyncProperty(
      chains,
      messagesArbitrary([{ fail: 'later' }, { fail: 'bug' }, { requeue: 'Main' }, { call: 'b' }]),
      async ([a, b], messages) => {
        await engine.load(b);
        await engine.load(a, true);
        const work = await engine.runner.run(batchOf(messages));
        const count = (counter: string): number => [...work.counts.values()].find((entry) => entry.counter === `messages.${counter}`)?.by ?? 0;
        const inFlight = work.held.length + work.messages.length;
        assert.equal(messages.length + count('created'), count('stored') + count('filtered') + count('dead') + inFlight);
        assert.equal(work.deadLetters.length, count('dead'));
      },
    ),
    { numRuns: 300 },
  );
});

test('run: a batch that is run again gives the same', async (t) => {
  let ids = 0;
  const engine = await openEngine(t, { runner: { newId: () => `id ${++ids}`, now: () => 1 } });
  await fc.assert(
    fc.asyncProperty(chains, messagesArbitrary([{ fail: 'later' }, { requeue: null as never }]), async ([a, b], messages) => {
      await engine.load(b);
      await engine.load(a, true);
      const run = async (): Promise<object> => {
        ids = 0;
        return { ...(await engine.runner.run(batchOf(messages))), callbacks: null };
      };
      assert.deepEqual(await run(), await run());
    }),
    { numRuns: 100 },
  );
});

test('run: an enormous fan-out goes through the lane instead of the memory', async (t) => {
  const engine = await openEngine(t, {
    chains: [{ id: 'a', nodes: [{ name: 'x' }, { name: 'y' }], links: [['x', 'Success', 'y']] }],
  });
  const work = await engine.runner.run(batchOf([message({ data: { ways: { x: { list: 200 }, y: { list: 200 } } } })]));
  assert.deepEqual(
    [work.messages.length, [...work.counts.values()].map(({ counter, by }) => [counter, by])],
    [
      30_200,
      [
        ['messages.created', 40_200],
        ['messages.filtered', 10_001],
      ],
    ],
  );
});
