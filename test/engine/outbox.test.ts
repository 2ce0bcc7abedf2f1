import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Type } from 'typebox';
import { NotConnected } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Message } from '#engine/message.ts';
import { defineNode, type Emission, type SendContext } from '#engine/node.ts';
import type { Kept, Store } from '#engine/store.ts';
import { createOutbox, type Outbox, type OutboxDeps } from '#engine/walk/outbox.ts';
import { nodeId, openEngine, type TestChain, type TestEngine } from '#test/support/chain.ts';
import { message, TENANT } from '#test/support/message.ts';

interface Peer {
  /** Data of what arrived, in order. */
  readonly got: string[];
  /** What a send does; default: takes it. */
  answer: (message: Message, context: SendContext<unknown, unknown>) => Promise<string | Emission>;
}

const seq = (data: string): number => (JSON.parse(data) as { seq: number }).seq;
const device = (number: number) => ({ entityType: 'DEVICE', id: `dddddddd-0000-1000-8000-${String(number).padStart(12, '0')}` }) as const;
const numbered = (number: number, from = number, target = ''): Message =>
  message({ id: newId(), data: { seq: number, target }, originator: device(from), metadata: { target } });

const SENDING: TestChain = {
  id: 'a',
  nodes: [
    { name: 'out', type: 'test.send' },
    { name: 'save', type: 'test.save' },
  ],
  links: [['out', 'Success', 'save']],
};
const CATCHING: TestChain = { ...SENDING, links: [...SENDING.links!, ['out', 'Failure', 'save']] };

interface Plant {
  readonly engine: TestEngine;
  readonly peer: Peer;
  /** Runs the lanes until the tenant's messages are as wanted, or throws. */
  until(wanted: (messages: { created: number; stored: number; filtered: number; dead: number; inFlight: number }) => boolean): Promise<unknown>;
  /** A new outbox over the same store, as after a restart. */
  restart(): Promise<void>;
  outbox(): Outbox;
}

async function plant(
  t: TestContext,
  {
    chain = SENDING,
    parallel,
    deps = {},
    store = (real) => real,
  }: { chain?: TestChain; store?: (real: Pick<Store, 'kept'>) => Pick<Store, 'kept'>; parallel?: number; deps?: Partial<OutboxDeps> } = {},
): Promise<Plant> {
  const peer: Peer = { got: [], answer: async () => 'Success' };
  let outbox: Outbox;
  const send = defineNode({
    ...{
      type: 'test.send',
      version: 0,
      family: 'EXTERNAL',
      label: 'send',
      summary: 'For tests.',
      relations: ['Success'],
      effect: true,
      defaults: {},
    },
    config: Type.Object({}),
    anyKey: true,
    target: (sent) => sent.metadata['target'] ?? '',
    ...(parallel !== undefined && { parallel: () => parallel }),
    sendTimeoutMs: () => 300,
    async send(sent, context) {
      const outcome = await peer.answer(sent, context);
      peer.got.push(sent.data);
      return outcome;
    },
  });
  const engine = await openEngine(t, { lanes: 4, nodes: [send], chains: [chain], runner: { toSend: (kept: readonly Kept[]) => outbox.added(kept) } });
  const { backend } = engine;
  const open = (): void => {
    outbox = createOutbox({
      ...{ queue: backend.queue, store: store(backend.store), server: 'test', newId, now: Date.now, firstPauseMs: 5, ...deps },
      chains: { get: (_, id) => engine.chains.get(id) },
      services: () => ({
        settings: { find: async () => null },
        entities: { find: async () => null, customerOf: async () => null },
        notifications: { recipients: async () => [], save: async () => {} },
      }),
      commit: (work) => backend.commit(work),
      log: { warn: (_, text) => engine.log.push(text), error: (_, text) => engine.log.push(text) },
    });
    for (let lane = 0; lane < 4; lane++) outbox.granted(lane);
  };
  open();
  t.after(() => outbox.stop());
  return {
    engine,
    peer,
    outbox: () => outbox,
    async restart() {
      await outbox.stop();
      open();
    },
    async until(wanted) {
      const deadline = Date.now() + 5000;
      for (;;) {
        await engine.drain();
        const { messages } = await backend.store.ledger(TENANT, TENANT);
        if (wanted(messages)) return messages;
        if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(messages)}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
  };
}

test('outbox: what was sent goes on behind the node, as the same message, and counts as stored', async (t) => {
  const { engine, peer, until } = await plant(t);
  const sent = numbered(7);
  await engine.append([sent]);
  assert.deepEqual(await until(({ stored }) => stored === 1), { created: 1, stored: 1, filtered: 0, dead: 0, inFlight: 0 });
  assert.deepEqual(peer.got.map(seq), [7]);
  const [saved] = await engine.backend.store.attributes(TENANT, sent.originator, 'SERVER_SCOPE');
  assert.equal(saved!.value.value, 7);
});

test('outbox: while a target is away its messages wait, in order and in flight; those of another go', async (t) => {
  const { engine, peer, until, outbox } = await plant(t);
  let away = true;
  peer.answer = async ({ metadata }) => {
    if (away && metadata['target'] === 'dead') throw new NotConnected('dead');
    return 'Success';
  };
  await engine.append([numbered(1, 1, 'dead'), numbered(2, 1, 'dead'), numbered(3, 2, 'dead'), numbered(4, 1, 'alive'), numbered(5, 3, 'alive')]);
  const waiting = await until(({ stored }) => stored === 2);
  assert.deepEqual(waiting, { created: 5, stored: 2, filtered: 0, dead: 0, inFlight: 3 });
  assert.deepEqual(peer.got.map(seq).toSorted(), [4, 5]);
  const state = outbox().targets(TENANT, nodeId('a', 'out'));
  assert.deepEqual(
    state.map(({ target, reason }) => [target, reason]),
    [['dead', 'Not connected to dead']],
  );
  const summary = await engine.backend.store.keptSummary(TENANT, nodeId('a', 'out'));
  assert.deepEqual([summary.count, summary.lastReason], [3, 'Not connected to dead']);
  away = false;
  assert.deepEqual(await until(({ stored }) => stored === 5), { created: 5, stored: 5, filtered: 0, dead: 0, inFlight: 0 });
  const ofFirst = peer.got.map(seq).filter((number) => number === 1 || number === 2);
  assert.deepEqual(ofFirst, [1, 2]);
});

test('outbox: a target that fails one message in ten is not away: the others go on, and each originator keeps its order', async (t) => {
  const { engine, peer, until, outbox } = await plant(t, { deps: { firstPauseMs: 400 } });
  const tried = new Set<string>();
  peer.answer = async ({ id, data }) => {
    if (seq(data) % 10 === 0 && !tried.has(id)) {
      tried.add(id);
      throw new NotConnected('peer');
    }
    return 'Success';
  };
  await engine.append(Array.from({ length: 100 }, (_, number) => numbered(number, number % 50)));
  // 5 of 50 originators rest behind their first message.
  await until(({ stored }) => stored === 90);
  assert.deepEqual(outbox().targets(TENANT)[0]?.away, null);
  await until(({ stored }) => stored === 100);
  for (let from = 0; from < 50; from++) {
    assert.deepEqual(
      peer.got.map(seq).filter((number) => number % 50 === from),
      [from, from + 50],
    );
  }
});

test('outbox: what a process did not send before its end is sent by the next, once', async (t) => {
  const { engine, peer, until, restart } = await plant(t);
  peer.answer = () => new Promise(() => {});
  await engine.append(Array.from({ length: 20 }, (_, number) => numbered(number, number % 3)));
  await engine.drain();
  peer.answer = async () => 'Success';
  await restart();
  await until(({ stored }) => stored === 20);
  assert.deepEqual(
    peer.got.map(seq).toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, number) => number),
  );
  for (const from of [0, 1, 2]) {
    const own = peer.got.map(seq).filter((number) => number % 3 === from);
    assert.deepEqual(
      own,
      own.toSorted((a, b) => a - b),
      'order of an originator',
    );
  }
});

test('outbox: more than the window waits in the store, and all of it is sent in order', async (t) => {
  const { engine, peer, until } = await plant(t);
  let away = true;
  peer.answer = async () => {
    if (away) throw new NotConnected('peer');
    return 'Success';
  };
  const count = 3500;
  for (let at = 0; at < count; at += 500) {
    await engine.append(Array.from({ length: 500 }, (_, place) => numbered(at + place, place % 50)));
    await engine.drain();
  }
  away = false;
  await until(({ stored }) => stored === count);
  assert.equal(peer.got.length, count);
  const last = new Map<number, number>();
  for (const number of peer.got.map(seq)) {
    const from = (number % 500) % 50;
    assert.ok((last.get(from) ?? -1) < number, `${number} of ${from} overtook`);
    last.set(from, number);
  }
});

for (const { name, chain, answer, dead, metadata } of [
  {
    name: 'a target that is away takes Failure where that is connected, with the reason in the metadata',
    chain: CATCHING,
    answer: async () => {
      throw new NotConnected('peer');
    },
    metadata: 'Not connected to peer',
  },
  {
    name: 'a final failure whose Failure is not connected is a dead letter',
    chain: SENDING,
    answer: async () => ({ to: 'Failure', error: 'HTTP 404' }),
    dead: 'HTTP 404',
  },
  {
    name: 'a bug of the node is a failure like another',
    chain: SENDING,
    answer: async () => {
      throw new TypeError('x is not a function');
    },
    dead: 'x is not a function',
  },
  {
    name: 'a node that does not answer and does not look at the signal',
    chain: CATCHING,
    answer: () => new Promise<never>(() => {}),
    metadata: 'No answer within 0.3 s',
  },
] as { name: string; chain: TestChain; answer: Peer['answer']; dead?: string; metadata?: string }[]) {
  test(`outbox: ${name}`, async (t) => {
    const { engine, peer, until } = await plant(t, { chain });
    peer.answer = answer;
    let seen: Message | undefined;
    await engine.append([numbered(1)]);
    const runner = engine.runner.run.bind(engine.runner);
    (engine.runner as { run: typeof runner }).run = (batch) => {
      seen = batch.messages[0];
      return runner(batch);
    };
    await until(({ inFlight }) => inFlight === 0);
    const letters = await engine.backend.store.deadLetters(TENANT, undefined, 0, 10);
    assert.deepEqual(
      letters.data.map(({ reason }) => reason),
      dead ? [dead] : [],
    );
    if (metadata) assert.deepEqual([seen!.metadata['error'], seen!.at?.labels], [metadata, ['Failure']]);
  });
}

test('outbox: no more sends of a node at a time than it allows, whatever the targets', async (t) => {
  const { engine, peer, until } = await plant(t, { parallel: 2 });
  let running = 0;
  let most = 0;
  peer.answer = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 1));
    running--;
    return 'Success';
  };
  await engine.append(Array.from({ length: 30 }, (_, number) => numbered(number, number, `target ${number % 5}`)));
  await until(({ stored }) => stored === 30);
  assert.equal(most, 2);
});

test('outbox: a message whose node is gone becomes a dead letter; one too old for a target that is away as well', async (t) => {
  const first = await plant(t);
  first.peer.answer = async () => {
    throw new NotConnected('peer');
  };
  await first.engine.append([numbered(1)]);
  await first.engine.drain();
  await first.engine.load({ id: 'a', nodes: [{ name: 'other' }] }, true);
  await first.until(({ dead }) => dead === 1);
  const old = await plant(t, { deps: { maxAgeMs: 0 } });
  old.peer.answer = first.peer.answer;
  await old.engine.append([numbered(1)]);
  await old.until(({ dead }) => dead === 1);
  const reasons = await Promise.all([first, old].map(({ engine }) => engine.backend.store.deadLetters(TENANT, undefined, 0, 10)));
  assert.deepEqual(
    reasons.map(({ data }) => data[0]!.reason),
    ['The rule node that was to send it does not exist any more', 'Not connected to peer'],
  );
});

test('outbox: what ends while the store is being read is not sent again, though the store still showed it', async (t) => {
  const reading = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let slow = true;
  const { engine, peer, until } = await plant(t, {
    parallel: 1,
    store: (real) => ({
      async kept(...query) {
        const page = await real.kept(...query);
        reading.resolve();
        if (slow) await goOn.promise;
        return page;
      },
    }),
  });
  const held = Promise.withResolvers<void>();
  peer.answer = async () => {
    await held.promise;
    return 'Success';
  };
  const count = 1300;
  for (let at = 0; at < count; at += 650) {
    await engine.append(Array.from({ length: 650 }, (_, place) => numbered(at + place, at + place)));
    await engine.drain();
  }
  held.resolve();
  await reading.promise;
  // Those in memory are sent while the page that shows them is on its way.
  await until(({ stored }) => stored > 1000);
  slow = false;
  goOn.resolve();
  await until(({ stored }) => stored === count);
  assert.equal(new Set(peer.got).size, count);
  assert.equal(peer.got.length, count);
});

test('outbox: a lane that goes to another process is sent no more here', async (t) => {
  const { engine, peer, outbox } = await plant(t);
  const begun = Promise.withResolvers<void>();
  peer.answer = (_, { signal }) => {
    begun.resolve();
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new NotConnected('peer, the process gives it up'))));
  };
  await engine.append([numbered(1, 1), numbered(2, 1)]);
  await engine.drain();
  await begun.promise;
  await Promise.all([0, 1, 2, 3].map((lane) => outbox().revoked(lane)));
  assert.deepEqual(outbox().targets(TENANT), []);
  const { messages } = await engine.backend.store.ledger(TENANT, TENANT);
  assert.deepEqual(messages, { created: 2, stored: 0, filtered: 0, dead: 0, inFlight: 2 });
});
