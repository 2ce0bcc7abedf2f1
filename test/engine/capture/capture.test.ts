import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createDownlinks } from '#engine/downlinks.ts';
import { NotConnected } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { type Message, withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { createOutbox } from '#engine/walk/outbox.ts';
import { CONVERTER, INTEGRATION, openAccept, target, uplink } from '#test/support/accept.ts';
import { sqlite } from '#test/support/backend.ts';
import { nodeId, type TestChain } from '#test/support/chain.ts';
import { downlinkDeps, push, route, stateOf } from '#test/support/downlinks.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { observe, openObserved, short } from '#test/support/observed.ts';
import { eventually, within } from '#test/support/wait.ts';

const SWITCH: TestChain = {
  id: 'a',
  nodes: [{ name: 'x' }, { name: 'busy', type: 'test.save' }, { name: 'seldom', type: 'test.save' }],
  links: [
    ['x', 'Success', 'busy'],
    ['x', 'rare', 'seldom'],
  ],
};
const say = (ways: object = {}, fields: Partial<Message> = {}): Message =>
  message({ id: newId(), data: { seq: 1, ways, pad: 'p'.repeat(300) }, ...fields });

const bytesIn = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).reduce((sum, name) => {
    const file = statSync(join(folder, name));
    return sum + (file.isFile() ? file.size : 0);
  }, 0);

test('capture: what is seldom stays while the busy way is overwritten; the rings keep their bytes', async (t) => {
  const ringBytes = 64 * 1024;
  const { engine, journey, search, folder, observation } = await openObserved(t, { chains: [SWITCH] }, { ringBytes });
  const rare: Message[] = [];
  let first: Message | undefined;
  for (let round = 0; round < 20; round++) {
    const batch = Array.from({ length: 100 }, () => say());
    first ??= batch[0];
    if (round % 5 === 1) {
      const one = say({ x: 'rare' });
      rare.push(one);
      batch.splice(50, 0, one);
    }
    await engine.append(batch);
    await engine.drain();
    if (round % 4 === 3) await observation.flush();
  }
  for (const { id } of rare)
    assert.deepEqual(short((await journey(id))!.messages[0]!), { is: 'stored', by: null, steps: ['x>rare', ['seldom>Success', 'seldom=1']] });
  assert.equal(await journey(first!.id), null);
  assert.ok(bytesIn(folder) <= 3 * ringBytes, `${bytesIn(folder)} bytes`);
  const found = await search({ nodeId: nodeId('a', 'seldom') });
  assert.deepEqual(found.map(({ id }) => id).sort(), rare.map(({ id }) => id).sort());
});

test('capture: without a flush, references are bounded and the seldom is written all the same', async (t) => {
  const { engine, journey } = await openObserved(t, { chains: [SWITCH] });
  const rare = say({ x: 'rare' });
  await engine.append([rare]);
  await engine.drain();
  for (let round = 0; round < 30; round++) {
    await engine.append(Array.from({ length: 100 }, () => say()));
    await engine.drain();
  }
  assert.equal((await journey(rare.id))!.outcome, 'stored');
});

test('capture: with a chain, an integration or a tenant goes what was remembered of it, and nothing comes after', async (t) => {
  for (const removed of ['a', TENANT]) {
    const { engine, search, observation } = await openObserved(t, { chains: [SWITCH] });
    await engine.append([say()]);
    await engine.drain();
    assert.equal((await search({})).length, 1);
    await observation.capture!.remove(TENANT, removed);
    await engine.append([say()]);
    await engine.drain();
    assert.deepEqual(await search({}), []);
  }
});

/** An accept stage whose uplinks go through a chain of the engine that is over the same backend. */
async function plant(t: TestContext, limits: { ringBytes?: number } = {}) {
  const observed = await openObserved(t, { chains: [SWITCH] }, limits);
  const { accept } = openAccept(observed.engine.backend, { observation: observed.observation });
  return { ...observed, source: accept.source(target()) };
}

const reading = (fields: object = {}) => ({ deviceName: 'T', deviceType: 'thermometer', telemetry: { seq: 1 }, ...fields });

test('capture: from the raw uplink by the converter through the chain, by the id of any of them', async (t) => {
  const { engine, journey, source, observation } = await plant(t);
  const output = reading({ attributes: { seq: 2 } });
  await within(source.accept(uplink(output, { hiddenMetadata: ['secret'], metadata: { topic: 'a/b', secret: 'hush' } })), 'the uplink');
  const [, sent] = (await engine.drain())
    .flatMap(({ done }) => done.flatMap(({ messages }) => messages))
    .filter(({ owner }) => owner === INTEGRATION);
  const found = (await journey(sent!.id))!;
  const { id, ts, acceptMs, converter, ...shown } = found.uplink!;
  assert.deepEqual(shown, {
    integration: { id: INTEGRATION, name: 'Plant' },
    contentType: 'JSON',
    payload: JSON.stringify(output),
    payloadBytes: JSON.stringify(output).length,
    metadata: { integrationName: 'Plant', siteId: 'HAM-1', topic: 'a/b' },
    outcome: 'converted',
    reason: null,
  });
  assert.deepEqual({ ...converter, durationMs: 0 }, { id: CONVERTER, durationMs: 0, batch: 1, out: JSON.stringify(output), error: null });
  assert.ok(ts > 0 && acceptMs > 0);
  assert.deepEqual(
    found.messages.map((each) => [each.type, short(each)]),
    [
      ['ENTITY_CREATED', { is: 'stored', by: 'uplink', steps: ['x>Success', ['busy>Success', 'busy=0']] }],
      ['POST_ATTRIBUTES_REQUEST', { is: 'stored', by: 'uplink', steps: ['x>Success', ['busy>Success', 'busy=2']] }],
      ['POST_TELEMETRY_REQUEST', { is: 'stored', by: 'uplink', steps: ['x>Success', ['busy>Success', 'busy=1']] }],
    ],
  );
  assert.deepEqual([found.complete, found.outcome], [true, 'stored']);
  assert.deepEqual({ ...(await journey(id)), id: sent!.id }, found);
  const { accept, converter: times, failures } = observation.statistics.integrationState(TENANT, INTEGRATION)!;
  assert.deepEqual([accept.count, times.count, failures], [1, 1, 0]);
});

for (const { name, output, outcome, reason } of [
  { name: 'throws', output: 'throw no such unit', outcome: 'dead', reason: 'no such unit' },
  { name: 'returns nothing', output: '[]', outcome: 'empty', reason: null },
]) {
  test(`capture: an uplink of which the converter ${name} has a journey of its own`, async (t) => {
    const { journey, search, source, observation } = await plant(t);
    await within(source.accept(uplink(output)), 'the uplink');
    const [row, ...others] = await search({ integrationId: INTEGRATION });
    assert.deepEqual([row!.outcome, row!.reason, row!.type, others], [outcome, reason, null, []]);
    const found = (await journey(row!.id))!;
    assert.deepEqual([found.outcome, found.uplink!.reason, found.messages, found.complete], [outcome, reason, [], true]);
    assert.equal(observation.statistics.integrationState(TENANT, INTEGRATION)!.failures, outcome === 'dead' ? 1 : 0);
  });
}

test('capture: a seldom message keeps its uplink, however many others came by the integration since', async (t) => {
  const { engine, journey, source, observation } = await plant(t, { ringBytes: 32 * 1024 });
  let rare: Message | undefined;
  for (let round = 0; round < 10; round++) {
    const all = Array.from({ length: 50 }, (_, seq) => source.accept(uplink(reading({ telemetry: { seq, ways: { x: 'Success' } } }))));
    if (round === 2) all.push(source.accept(uplink(reading({ telemetry: { seq: 1000, ways: { x: 'rare' } } }))));
    await within(Promise.all(all), 'the uplinks');
    for (const { done } of await engine.drain()) {
      for (const { messages } of done) rare ??= messages.find(({ data }) => data.includes('1000'));
    }
    await observation.flush();
  }
  const found = (await journey(rare!.id))!;
  assert.ok(found.uplink?.payload.includes('1000'));
  assert.deepEqual(short(found.messages[0]!), { is: 'stored', by: 'uplink', steps: ['x>rare', ['seldom>Success', 'seldom=1000']] });
});

test('capture: a downlink, from its step to its receipt, by the id of either', async (t) => {
  const running = await sqlite.start();
  t.after(() => running.stop());
  const { observation, journey } = await observe(t);
  const made = await push(running.backend, { contentType: 'TEXT', data: 'on', metadata: { topic: 'down' } });
  const abort = new AbortController();
  const lane = createDownlinks(downlinkDeps(running.backend, { observation })).run(
    () => route,
    { send: async () => 'delivered', close: async () => {} },
    abort.signal,
  );
  await eventually(async () => (await stateOf(running.backend, made)).state === 'DELIVERED', 'the downlink');
  abort.abort();
  await within(lane, 'the end of the lane');
  for (const id of [made.id, made.message.id]) {
    const { converter, durationMs, history, ...downlink } = (await journey(id))!.downlinks[0]!;
    assert.deepEqual(downlink, {
      id: made.id,
      integration: { id: INTEGRATION, name: 'Plant' },
      parts: [{ contentType: 'TEXT', data: 'on', metadata: { topic: 'down' } }],
      state: 'DELIVERED',
      reason: null,
    });
    assert.ok(durationMs! >= 0 && converter !== null && history.length === 3);
  }
});

test('capture: an external node, whose message waits in the outbox and goes on', async (t) => {
  const send = defineNode({
    ...{ type: 'test.send', version: 0, label: 'send', summary: 'For tests.', family: 'EXTERNAL', relations: ['Success'], effect: true },
    ...{ config: Config({}), defaults: {}, anyKey: true },
    send: async (given) => {
      if (given.data.includes('refuse')) throw new Error('refused');
      return { to: 'Success', message: withChanges(given, { metadata: { answer: '42' } }) };
    },
  });
  const chain: TestChain = { id: 'a', nodes: [{ name: 'out', type: 'test.send' }, { name: 'x' }], links: [['out', 'Success', 'x']] };
  const { engine, journey, observation } = await openObserved(t, {
    chains: [chain],
    nodes: [send],
    runner: { toSend: (kept) => outbox.added(kept) },
  });
  const outbox = createOutbox({
    ...{ queue: engine.backend.queue, store: engine.backend.store, chains: { get: (_, id) => engine.chains.get(id) } },
    ...{ newId, now: Date.now, server: 'test', log: { warn() {}, error() {} }, onSent: observation.sent },
    services: () => ({
      settings: { find: async () => null },
      entities: { find: async () => null, customerOf: async () => null },
      notifications: { recipients: async () => [], save: async () => {} },
    }),
    commit: (work) => engine.backend.commit(work),
  });
  t.after(() => outbox.stop());
  outbox.granted(0);
  const [good, bad] = [say(), message({ id: newId(), data: '{"refuse":true}', originator: { entityType: 'DEVICE', id: newId() } })];
  await engine.append([good, bad]);
  await eventually(async () => {
    await engine.drain();
    const { messages } = await engine.backend.store.ledger(TENANT, TENANT);
    return messages.stored + messages.dead === 2;
  }, 'both are through');
  const found = (await journey(good.id))!.messages[0]!;
  assert.deepEqual(short(found), { is: 'stored', by: null, steps: ['out>', 'out>Success', 'x>Success'] });
  assert.deepEqual(found.steps[1]!.out.metadata, { answer: '42' });
  assert.deepEqual(short((await journey(bad.id))!.messages[0]!), { is: 'dead', by: null, steps: ['out>', 'out>Failure: refused'] });
  const [out] = (await observation.chain(TENANT, 'a')).flat();
  assert.deepEqual([out!.count, out!.failures], [2, 1]);
});

test('search: by entity, node, outcome, time and text; newest first', async (t) => {
  const { engine, search } = await openObserved(t, { chains: [SWITCH] });
  const other = newId();
  const sent = [
    say({}, { metadata: { plant: 'HAM "1"' } }),
    say({ x: 'rare' }, { originator: { entityType: 'DEVICE', id: other } }),
    say({ x: { fail: 'never' } }),
    say({ x: 'nowhere' }),
  ];
  const times: number[] = [];
  for (const each of sent) {
    const done = Date.now();
    await eventually(() => Date.now() > done + 2, 'a later millisecond');
    times.push(Date.now());
    await engine.append([each]);
    await engine.drain();
  }
  const places = async (query: Parameters<typeof search>[0]) => (await search(query)).map(({ id }) => sent.findIndex((each) => each.id === id));
  assert.deepEqual(await places({}), [3, 2, 1, 0]);
  assert.deepEqual(await places({ deviceId: DEVICE }), [3, 2, 0]);
  assert.deepEqual(await places({ deviceId: other }), [1]);
  assert.deepEqual(await places({ nodeId: nodeId('a', 'seldom') }), [1]);
  assert.deepEqual(await places({ nodeId: nodeId('a', 'x') }), [3, 2, 1, 0]);
  assert.deepEqual(await places({ outcome: 'dead' }), [2]);
  assert.deepEqual(await places({ outcome: 'stored' }), [1, 0]);
  assert.deepEqual(await places({ outcome: 'filtered' }), [3]);
  assert.deepEqual(await places({ outcome: 'inFlight' }), []);
  assert.deepEqual(await places({ text: 'ham "1"' }), [0]);
  assert.deepEqual(await places({ text: 'SAYS NO' }), [2]);
  assert.deepEqual(await places({ startTs: times[2]! }), [3, 2]);
  assert.deepEqual(await places({ endTs: times[2]! - 1 }), [1, 0]);
  assert.deepEqual(await places({ integrationId: INTEGRATION }), []);
  const [, dead] = await search({});
  assert.deepEqual([dead!.reason, dead!.steps, dead!.type, dead!.uplinkId], ['the peer says no', 1, 'POST_TELEMETRY_REQUEST', null]);
});

test('capture: a target that is away shows the message in flight', async (t) => {
  const away = defineNode({
    ...{ type: 'test.away', version: 0, label: 'away', summary: 'For tests.', family: 'EXTERNAL', relations: ['Success'] },
    ...{ config: Config({}), defaults: {}, anyKey: true },
    send: async () => {
      throw new NotConnected('peer');
    },
  });
  const { engine, search, journey } = await openObserved(t, { chains: [{ id: 'a', nodes: [{ name: 'out', type: 'test.away' }] }], nodes: [away] });
  const sent = say();
  await engine.append([sent]);
  await engine.drain();
  assert.deepEqual(
    (await search({ outcome: 'inFlight' })).map(({ id }) => id),
    [sent.id],
  );
  assert.deepEqual(short((await journey(sent.id))!.messages[0]!), { is: 'inFlight', by: null, steps: ['out>'] });
});
