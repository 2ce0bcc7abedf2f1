import assert from 'node:assert/strict';
import test from 'node:test';
import { newId } from '#engine/id.ts';
import delay from '#rulechains/nodes/action/delay.ts';
import { openEngine } from '#test/support/chain.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NODE, NOW, run, services, start } from '#test/support/services.ts';
import { eventually } from '#test/support/wait.ts';

const one = (id: string, metadata: Record<string, string> = {}, data: unknown = {}) => message({ id, metadata, data });
const full = { to: 'Failure', error: 'Max limit of pending messages reached!' };
const pattern = (periodInSecondsPattern: string | null) => ({ useMetadataPeriodInSecondsPatterns: true, periodInSecondsPattern });
const p = pattern(`\${p}`);
const unparsable = { to: 'Failure', error: `Can't parse period in seconds from metadata using pattern: \${p}` };
const failure = (error: string) => ({ to: 'Failure', error });

for (const { name, config = {}, pending = 0, messages, to, timers } of [
  { name: 'for a minute', messages: [one('a')], to: [{ keep: 'a' }], timers: [['a', 60_000]] },
  { name: 'not at all', config: { periodInSeconds: 0 }, messages: [one('a', {}, 'no json')], to: [{ keep: 'a' }], timers: [['a', 0]] },
  {
    name: 'each for its own time',
    config: p,
    messages: [one('a', { p: '1' }), one('b', { p: '007' })],
    to: [{ keep: 'a' }, { keep: 'b' }],
    timers: [
      ['a', 1000],
      ['b', 7000],
    ],
  },
  { name: 'a pattern of data', config: pattern('$[p]'), messages: [one('a', {}, { p: 2 })], to: [{ keep: 'a' }], timers: [['a', 2000]] },
  { name: 'a negative time is over', config: p, messages: [one('a', { p: '-5' })], to: [{ keep: 'a' }], timers: [['a', -5000]] },
  {
    name: 'no number',
    config: p,
    messages: [one('a', { p: 'x' }), one('b'), one('c', { p: '' })],
    to: [unparsable, unparsable, unparsable],
    timers: [],
  },
  {
    name: 'not whole',
    config: p,
    messages: [one('a', { p: '1.5' }), one('b', { p: '2.0' })],
    to: [failure('For input string: "1.5"'), failure('For input string: "2.0"')],
    timers: [],
  },
  { name: 'too long', config: p, messages: [one('a', { p: '99999999999' })], to: [failure('For input string: "99999999999"')], timers: [] },
  { name: 'a pattern needs JSON', config: p, messages: [message({ data: 'text' })], to: [failure('Failed to process pattern!')], timers: [] },
  { name: 'no pattern', config: pattern(null), messages: [one('a')], to: [failure('Failed to process pattern!')], timers: [] },
  {
    name: 'no more than may wait',
    config: { maxPendingMsgs: 2 },
    messages: [one('a'), one('b'), one('c')],
    to: [{ keep: 'a' }, { keep: 'b' }, full],
    timers: [
      ['a', 60_000],
      ['b', 60_000],
    ],
  },
  {
    name: 'those of all originators count',
    config: { maxPendingMsgs: 2 },
    pending: 1,
    messages: [one('a'), one('b')],
    to: [{ keep: 'a' }, full],
    timers: [['a', 60_000]],
  },
  { name: 'none may wait', config: { maxPendingMsgs: 0 }, messages: [one('a')], to: [full], timers: [] },
  {
    name: 'a bad period takes a place',
    config: { ...p, maxPendingMsgs: 1 },
    messages: [one('a', { p: 'x' }), one('b', { p: '1' })],
    to: [unparsable, full],
    timers: [],
  },
] as {
  name: string;
  config?: Record<string, unknown>;
  pending?: number;
  messages: ReturnType<typeof message>[];
  to: unknown[];
  timers: [string, number][];
}[])
  test(`delay: ${name}`, async () => {
    const given = services({ kept: Object.fromEntries(Array.from({ length: pending }, (_, i) => [`${NODE.id} ${i}`, [one(`held ${i}`)]])) });
    assert.deepEqual(await run(delay, messages, { config, services: given }), to);
    assert.deepEqual(
      given.did,
      timers.map(([id, afterMs]) => ['remind', DEVICE, id, NOW + afterMs]),
    );
  });

test('delay: when it is due the message goes on as it was', async () => {
  const held = one('a', { k: 'v' });
  const given = services({ kept: { [`${NODE.id} a`]: [held] } });
  const context = (await start(delay, { services: given })) as never;
  assert.deepEqual(await delay.due!('a', message(), context), [{ to: 'Success', message: held }]);
  assert.deepEqual(await delay.due!('a', message(), context), [], 'and once only');
  assert.deepEqual(given.did[0], ['release', 'a', ['a']]);
});

for (const config of [{ periodInSeconds: 'x' }, { maxPendingMsgs: [] }])
  test(`delay: unusable with ${JSON.stringify(config)}`, () => assert.rejects(start(delay, { config }), /Can't convert value/));

test('delay: through the lanes, all come out in order, and the ledger adds up', async (t) => {
  const config = { ...delay.defaults, periodInSeconds: 0 };
  const chain = {
    id: 'a',
    nodes: [
      { name: 'delay', type: delay.type, config },
      { name: 'save', type: 'test.save' },
    ],
    links: [['delay', 'Success', 'save']],
  } as const;
  const engine = await openEngine(t, { chains: [chain], nodes: [delay] });
  await engine.append([1, 2, 3].map((seq) => message({ id: newId(), data: { seq } })));
  const ledger = async () => (await engine.backend.store.ledger(TENANT, TENANT)).messages;
  await eventually(async () => {
    await engine.drain();
    return (await ledger()).inFlight === 0;
  }, 'all messages are over');
  // 3 that came, 3 timers, 3 that go on.
  assert.deepEqual(await ledger(), { created: 9, stored: 3, filtered: 6, dead: 0, inFlight: 0 });
  const [saved] = await engine.backend.store.attributes(TENANT, { entityType: 'DEVICE', id: DEVICE }, 'SERVER_SCOPE');
  assert.equal(saved!.value.value, 3);
});
