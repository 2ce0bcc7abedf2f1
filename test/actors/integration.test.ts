import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActor, SimulatedClock } from 'xstate';
import {
  backoffMs,
  CLOSE_TIMEOUT_MS,
  CONNECT_TIMEOUT_MS,
  integrationMachine,
  type Plan,
  REFUSED_RETRY_MS,
  STABLE_MS,
  warningsOf,
} from '#actors/integration.ts';
import { ConfigError, NotConnected, Refused } from '#engine/errors.ts';
import type { Connection } from '#engine/integration.ts';

/** A peer whose connects end as the test says, and a clock that the test moves. */
function start(first: 'connect' | Plan = 'connect') {
  const clock = new SimulatedClock();
  const attempts: {
    resolve: (connection?: Partial<Connection>) => void;
    reject: (cause: unknown) => void;
    lost: (cause: unknown) => void;
    signal: AbortSignal;
  }[] = [];
  const log: string[] = [];
  const connect: Plan = {
    kind: 'connect',
    warnings: ['always'],
    connect: (lost, signal) =>
      new Promise<Connection>((resolve, reject) => {
        attempts.push({ resolve: (connection) => resolve({ close: async () => void log.push('closed'), ...connection }), reject, lost, signal });
      }),
  };
  const actor = createActor(integrationMachine, {
    clock,
    input: {
      plan: first === 'connect' ? connect : first,
      now: () => clock.now(),
      random: () => 0,
      report: (event, error) => log.push(error === null ? event : `${event} ${error}`),
      opened: () => log.push('opened'),
      closed: () => log.push('let go'),
      droppedWarning: 'dropped',
    },
  });
  actor.start();
  return {
    actor,
    attempts,
    log,
    connect,
    get last() {
      return attempts.at(-1)!;
    },
    state: () => actor.getSnapshot().value,
    context: () => actor.getSnapshot().context,
    async pass(ms: number) {
      clock.increment(ms);
      await settle();
    },
    async connects(connection?: Partial<Connection>) {
      attempts.at(-1)!.resolve(connection);
      await settle();
    },
    async fails(cause: unknown) {
      attempts.at(-1)!.reject(cause);
      await settle();
    },
    async loses(cause: unknown = new NotConnected('broker')) {
      attempts.at(-1)!.lost(cause);
      await settle();
    },
    async saves(plan: Plan) {
      actor.send({ type: 'SAVED', plan });
      await settle();
    },
    async stops() {
      actor.send({ type: 'STOP' });
      await settle();
    },
  };
}

/** Promises of the machine's actors end. */
const settle = async () => {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
};

const disabled: Plan = { kind: 'disabled', reason: 'The integration is disabled' };
const away = new NotConnected('broker', new Error('refused'));

test('integration: connects, is active, stops', async () => {
  const it = start();
  assert.equal(it.state(), 'connecting');
  await it.connects();
  assert.equal(it.state(), 'active');
  await it.stops();
  assert.equal(it.actor.getSnapshot().status, 'done');
  assert.deepEqual(it.log, ['STARTED', 'opened', 'let go', 'STOPPED', 'closed']);
});

test('integration: a peer that is away is tried again for ever, and reported once', async () => {
  const it = start();
  await it.fails(away);
  assert.equal(it.state(), 'backing-off');
  assert.deepEqual([it.context().reason, it.context().nextAttemptAt], ['Not connected to broker: refused', 1000]);
  for (let i = 0; i < 100; i++) {
    await it.pass(60_000);
    assert.equal(it.state(), 'connecting');
    await it.fails(away);
  }
  await it.pass(60_000);
  await it.connects();
  assert.deepEqual([it.attempts.length, it.log], [102, ['STARTED Not connected to broker: refused', 'ACTIVATED', 'opened']]);
});

test('integration: a lost connection is let go, and comes back after a second', async () => {
  const it = start();
  await it.connects();
  await it.pass(STABLE_MS);
  await it.loses();
  const { connection, reason, since } = it.context();
  assert.deepEqual([it.state(), connection, reason, since], ['backing-off', null, 'Not connected to broker', STABLE_MS]);
  await it.pass(1000);
  assert.deepEqual([it.state(), it.context().since], ['connecting', STABLE_MS + 1000]);
  await it.connects();
  assert.deepEqual(it.log, ['STARTED', 'opened', 'let go', 'FAILED Not connected to broker', 'closed', 'ACTIVATED', 'opened']);
});

test('integration: only the first word about a loss counts', async () => {
  const it = start();
  await it.connects();
  const { lost } = it.last;
  lost(away);
  lost(away);
  await settle();
  await it.pass(1000);
  await it.connects();
  lost(away);
  await settle();
  assert.equal(it.state(), 'active');
});

test('integration: a loss in the moment of connecting is not overlooked', async () => {
  const it = start();
  it.last.resolve();
  it.last.lost(away);
  await settle();
  assert.equal(it.state(), 'backing-off');
});

test('integration: a connect that hangs is given up', async () => {
  const it = start();
  await it.pass(CONNECT_TIMEOUT_MS);
  assert.deepEqual([it.state(), it.last.signal.aborted], ['backing-off', true]);
  // It comes after all: nobody wants it any more.
  await it.connects();
  assert.deepEqual(it.log, [`STARTED No connection within ${CONNECT_TIMEOUT_MS} ms`, 'closed']);
});

test('integration: refused credentials are tried every five minutes', async () => {
  const it = start();
  await it.fails(new Refused('bad password'));
  assert.deepEqual([it.state(), it.context().nextAttemptAt], ['backing-off', REFUSED_RETRY_MS]);
  await it.pass(REFUSED_RETRY_MS - 1);
  assert.equal(it.state(), 'backing-off');
  await it.pass(1);
  assert.equal(it.state(), 'connecting');
});

test('integration: a wrong configuration rests until it is edited', async () => {
  const it = start();
  await it.fails(new ConfigError('no such topic'));
  await it.pass(24 * 3_600_000);
  assert.deepEqual([it.state(), it.context().reason], ['failed', 'no such topic']);
  await it.saves(it.connect);
  await it.connects();
  assert.deepEqual(it.log, ['STARTED no such topic', 'UPDATED', 'opened']);
});

test('integration: a save closes the old connection before it opens the new one', async () => {
  const it = start();
  const closing = Promise.withResolvers<void>();
  await it.connects({ close: () => closing.promise });
  await it.saves(it.connect);
  assert.deepEqual([it.state(), it.attempts.length], ['closing', 1]);
  closing.resolve();
  await settle();
  assert.equal(it.state(), 'connecting');
  await it.connects();
  assert.deepEqual(it.log, ['STARTED', 'opened', 'let go', 'UPDATED', 'opened']);
});

test('integration: a close that hangs does not hold up the new connection', async () => {
  const it = start();
  await it.connects({ close: () => new Promise(() => {}) });
  await it.saves(it.connect);
  await it.pass(CLOSE_TIMEOUT_MS);
  assert.equal(it.state(), 'connecting');
});

test('integration: a save while connecting begins anew', async () => {
  const it = start();
  const { signal } = it.last;
  await it.saves(it.connect);
  assert.deepEqual([signal.aborted, it.attempts.length, it.state()], [true, 2, 'connecting']);
});

test('integration: disabled and enabled again', async () => {
  const it = start();
  await it.connects();
  await it.saves(disabled);
  assert.deepEqual([it.state(), it.context().reason], ['disabled', 'The integration is disabled']);
  await it.saves(disabled);
  await it.saves(it.connect);
  await it.connects();
  assert.deepEqual(it.log, ['STARTED', 'opened', 'let go', 'closed', 'STOPPED', 'STARTED', 'opened']);
});

test('integration: nothing to connect is active at once', async () => {
  const it = start({ kind: 'inbound', warnings: [] });
  assert.equal(it.state(), 'active');
  await it.stops();
  assert.deepEqual(it.log, ['STARTED', 'let go', 'STOPPED']);
});

test('integration: stops in the middle of a backoff and of a connect', async () => {
  for (const fail of [true, false]) {
    const it = start();
    if (fail) await it.fails(away);
    await it.stops();
    assert.equal(it.actor.getSnapshot().status, 'done');
    assert.equal(it.log.at(-1), 'STOPPED');
  }
});

test('integration: dropped again and again right after connecting is a warning', async () => {
  const it = start();
  const warnings: string[][] = [];
  for (let i = 0; i < 5; i++) {
    await it.connects();
    await it.pass(9900);
    await it.loses();
    warnings.push(warningsOf(it.context()));
    await it.pass(10_000);
  }
  assert.deepEqual(warnings, [['always'], ['always'], ['always'], ['always'], ['always', 'dropped']]);
  await it.connects();
  await it.pass(119_000);
  assert.deepEqual(warningsOf(it.context()), ['always', 'dropped']);
  await it.pass(1000);
  assert.deepEqual(warningsOf(it.context()), ['always']);
});

for (const { name, activeMs } of [
  { name: 'after an hour of work', activeMs: 3_600_000 },
  { name: 'again and again, with seconds between', activeMs: STABLE_MS / 2 },
]) {
  test(`integration: the outage counts from the loss: ${name}`, async () => {
    const machine = start();
    await machine.connects();
    for (let outage = 0; outage < 10; outage++) {
      await machine.pass(activeMs);
      await machine.loses();
      // Away for 35 s: every attempt fails.
      for (let at = 0; at < 35_000; at += 500) {
        await machine.pass(500);
        if (machine.state() === 'connecting') await machine.fails(new NotConnected('broker'));
      }
      // Back: it is found within 15 s.
      let waited = 0;
      while (machine.state() !== 'connecting' && waited <= 60_000) {
        await machine.pass(500);
        waited += 500;
      }
      assert.ok(waited <= 15_000, `outage ${outage}: tried again after ${waited} ms`);
      await machine.connects();
    }
    await machine.stops();
  });
}

test('integration: a peer that was away for 30 s is found within 15 s, whatever the jitter', () => {
  for (const random of [0, 0.5, 1]) {
    let at = 0;
    let before = 0;
    for (let attempts = 0; at < 30_000; attempts++) {
      before = at;
      at += backoffMs(attempts, at, random);
    }
    assert.ok(at - 30_000 < 15_000, `${random}: ${before} then ${at}`);
  }
});

for (const { attempts, outageMs, random, ms } of [
  { attempts: 0, outageMs: 0, random: 0, ms: 1000 },
  { attempts: 0, outageMs: 0, random: 1, ms: 750 },
  { attempts: 3, outageMs: 7000, random: 0, ms: 8000 },
  { attempts: 9, outageMs: 60_000, random: 0, ms: 10_000 },
  { attempts: 30, outageMs: 600_000, random: 0, ms: 60_000 },
]) {
  test(`integration: backoff of attempt ${attempts} after ${outageMs} ms is ${ms} ms (jitter ${random})`, () =>
    assert.equal(backoffMs(attempts, outageMs, random), ms));
}
