import assert from 'node:assert/strict';
import test from 'node:test';
import { closedPacks, mergedData, representative } from '#rulechains/shared/packs.ts';
import { message } from '#test/support/message.ts';

const at = (id: string, ts: number | string) => message({ id, data: { id }, metadata: { ts: String(ts) } });
const ids = (list: readonly { id: string }[]): string => list.map(({ id }) => id).join('');

for (const { name, messages, intervalMs = 10, now = 1000, packs, left = '' } of [
  { name: 'none', messages: [], packs: [] },
  { name: 'one interval, in the order of arrival', messages: [at('a', 5), at('b', 2), at('c', 11)], packs: ['abc'] },
  { name: 'its end is not in it', messages: [at('a', 0), at('b', 9), at('c', 10)], packs: ['ab', 'c'] },
  { name: 'the next begins with the next message', messages: [at('a', 0), at('b', 15), at('c', 24), at('d', 25)], packs: ['a', 'bc', 'd'] },
  { name: 'what is not over yet is left', messages: [at('a', 0), at('b', 995), at('c', 991)], packs: ['a'], left: 'bc' },
  { name: 'over at the moment of its end', messages: [at('a', 990)], packs: ['a'] },
  { name: 'not over a moment before', messages: [at('a', 991)], packs: [], left: 'a' },
  { name: 'in the future', messages: [at('a', 5000)], packs: [], left: 'a' },
  { name: 'no interval: equal times go together', messages: [at('a', 1), at('b', 2), at('c', 1)], intervalMs: 0, packs: ['ac', 'b'] },
  { name: 'a time that is no number is that of the message', messages: [at('a', 'x')], now: 1_700_000_000_010, packs: ['a'] },
])
  test(`packs: ${name}`, () => {
    const found = closedPacks(messages, intervalMs, now);
    assert.deepEqual({ packs: found.packs.map(ids), left: ids(found.left) }, { packs, left });
  });

for (const { pack, first, last } of [
  { pack: [at('a', 2), at('b', 1), at('c', 3)], first: 'b', last: 'c' },
  { pack: [at('a', 1), at('b', 1)], first: 'a', last: 'a' },
])
  test(`packs: of ${ids(pack)} the first is ${first}, the last ${last}`, () =>
    assert.deepEqual([representative(pack, true).id, representative(pack, false).id], [first, last]));

test('packs: all in one array, numbers in Java’s form, what is no JSON as text', () => {
  const pack = [
    message({ data: '{ "a" : 1.0 }', metadata: { ts: '1' } }),
    message({ data: '[2]' }),
    message({ data: 'no "json"' }),
    message({ data: '' }),
  ];
  assert.equal(
    mergedData(pack),
    '[{"msg":{"a":1.0},"metadata":{"ts":"1"}},{"msg":[2],"metadata":{}},{"msg":"no \\"json\\"","metadata":{}},{"msg":"","metadata":{}}]',
  );
});

test('packs: 100,000 messages, each in an interval of its own, take no long time', () => {
  const many = Array.from({ length: 100_000 }, (_, i) => at('x', i * 10));
  const started = Date.now();
  assert.equal(closedPacks(many, 10, 1e9).packs.length, 100_000);
  assert.ok(Date.now() - started < 2000);
});
