import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { createDownlinks, type DownlinkDeps } from '#engine/downlinks.ts';
import { NotConnected, NotDurable, Rejected, Timeout } from '#engine/errors.ts';
import type { Connection } from '#engine/integration.ts';
import type { Backend } from '#engine/queue.ts';
import type { Work } from '#engine/work.ts';
import { INTEGRATION, NOW } from '#test/support/accept.ts';
import { type Running, sqlite } from '#test/support/backend.ts';
import { DEVICES, DOWN_CONVERTER, downlinkDeps, downlinkLedger, ended, push, route, stateOf } from '#test/support/downlinks.ts';
import { TENANT } from '#test/support/message.ts';
import { eventually, within } from '#test/support/wait.ts';

let running: Running;
let backend: Backend;
beforeEach(async () => {
  running = await sqlite.start({ now: () => NOW });
  backend = running.backend;
});
afterEach(() => running.stop());

const part = (n: number, device = 'a') => ({ contentType: 'TEXT', data: `${device}${n}`, metadata: { topic: device } });

/** Runs the lane until `until` holds. */
async function lane(connection: Partial<Connection>, until: () => boolean | Promise<boolean>, fields: Partial<DownlinkDeps> = {}): Promise<void> {
  const abort = new AbortController();
  const done = createDownlinks(downlinkDeps(backend, fields)).run(() => route, { close: async () => {}, ...connection }, abort.signal);
  try {
    await eventually(until, 'the downlinks');
  } finally {
    abort.abort();
    await within(done, 'the end of the lane');
  }
}

test('downlinks: converted, sent, confirmed; one after the other for a device', async () => {
  const list = [await push(backend, [part(1), part(2)]), await push(backend, part(3))];
  const sent: string[] = [];
  await lane(
    {
      async send({ data }) {
        sent.push(Buffer.from(data).toString());
        await new Promise((resolve) => setImmediate(resolve));
        return 'delivered';
      },
    },
    ended(backend, ...list),
  );
  assert.deepEqual(sent, ['a1', 'a2', 'a3']);
  assert.deepEqual(await stateOf(backend, list[0]!), { state: 'DELIVERED', steps: ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED'], reason: null });
  assert.deepEqual(await downlinkLedger(backend), { created: 2, sent: 2, pending: 0, replaced: 0, expired: 0, failed: 0 });
});

for (const { name, output, send, state, steps, reason, counted } of [
  {
    name: 'taken without confirmation',
    output: part(1),
    send: async () => 'sent',
    state: 'SENT',
    steps: ['QUEUED', 'CONVERTED', 'SENT'],
    reason: null,
    counted: 'sent',
  },
  {
    name: 'nothing returned',
    output: 'null',
    send: null,
    state: 'DELIVERED',
    steps: ['QUEUED', 'CONVERTED', 'DELIVERED'],
    reason: 'the converter returned nothing to send',
    counted: 'sent',
  },
  {
    name: 'the converter throws',
    output: 'throw no unit',
    send: null,
    state: 'FAILED',
    steps: ['QUEUED', 'FAILED'],
    reason: 'no unit',
    counted: 'failed',
  },
  {
    name: 'a wrong shape',
    output: '{"data":"x"}',
    send: null,
    state: 'FAILED',
    steps: ['QUEUED', 'FAILED'],
    reason: "'contentType' is missing or not one of JSON, TEXT, BINARY",
    counted: 'failed',
  },
  {
    name: 'the peer refuses it',
    output: part(1),
    send: async () => Promise.reject(new Rejected('too long')),
    state: 'FAILED',
    steps: ['QUEUED', 'CONVERTED', 'FAILED'],
    reason: 'too long',
    counted: 'failed',
  },
] as const) {
  test(`downlinks: ${name}`, async () => {
    const one = await push(backend, output);
    await lane({ send: (send ?? (() => assert.fail('sent'))) as Connection['send'] }, ended(backend, one));
    assert.deepEqual(await stateOf(backend, one), { state, steps, reason });
    assert.equal((await downlinkLedger(backend))[counted], 1);
    const letters = (await backend.store.deadLetters(TENANT, INTEGRATION, 0, 10)).data;
    assert.deepEqual(
      letters.map((letter) => [letter.stage, letter.reason, letter.message?.id]),
      counted === 'failed' ? [['downlink', reason, one.message.id]] : [],
    );
  });
}

test('downlinks: without a converter they fail and say so', async () => {
  const one = await push(backend, part(1));
  const abort = new AbortController();
  const done = createDownlinks(downlinkDeps(backend)).run(
    () => ({ ...route, converter: null }),
    { send: async () => 'sent', close: async () => {} },
    abort.signal,
  );
  await eventually(ended(backend, one), 'its end');
  abort.abort();
  await done;
  assert.equal((await stateOf(backend, one)).reason, 'Downlink converter is not set');
});

for (const cause of [new NotConnected('broker'), new Timeout('no PUBACK')]) {
  test(`downlinks: ${cause.name}: they wait, none overtakes, and go when it is well again`, async () => {
    const list = [
      await push(backend, part(1)),
      await push(backend, part(2)),
      await push(backend, part(1, 'b'), { entity: { entityType: 'DEVICE', id: DEVICES.b } }),
    ];
    const sent: string[] = [];
    let tries = 0;
    const send: Connection['send'] = async ({ data }) => {
      const text = Buffer.from(data).toString();
      if (text === 'a1' && ++tries === 1) throw cause;
      sent.push(text);
      return 'delivered';
    };
    await lane({ send }, () => sent.includes('b1') && tries === 1);
    assert.deepEqual([(await stateOf(backend, list[0]!)).state, (await stateOf(backend, list[1]!)).state, sent], ['QUEUED', 'QUEUED', ['b1']]);
    await lane({ send }, ended(backend, ...list));
    assert.deepEqual([sent, (await downlinkLedger(backend)).sent], [['b1', 'a1', 'a2'], 3]);
  });
}

test('downlinks: one that is over its time is EXPIRED, not sent', async () => {
  const one = await push(backend, part(1), { expiresAt: NOW + 50 });
  // The queue gave it out in time; it is over when its turn comes.
  await lane({ send: () => assert.fail('sent') as never }, ended(backend, one), { now: () => NOW + 100 });
  assert.deepEqual(
    [await stateOf(backend, one), (await downlinkLedger(backend)).expired],
    [{ state: 'EXPIRED', steps: ['QUEUED', 'EXPIRED'], reason: 'not sent in time' }, 1],
  );
});

test('downlinks: sent but not stored: sent again, never lost', async () => {
  const one = await push(backend, part(1));
  let full = true;
  const sent: string[] = [];
  const refusing: Backend = {
    ...backend,
    store: backend.store,
    queue: backend.queue,
    commit(work: Work) {
      if (!full) return backend.commit(work);
      full = false;
      return Promise.reject(new NotDurable(new Error('disk full')));
    },
  };
  const send: Connection['send'] = async ({ data }) => {
    sent.push(Buffer.from(data).toString());
    return 'delivered';
  };
  await lane({ send }, ended(backend, one), { backend: refusing });
  assert.deepEqual([sent, (await stateOf(backend, one)).state], [['a1', 'a1'], 'DELIVERED']);
});

test('downlinks: the events of its way', async () => {
  const one = await push(backend, part(1));
  await lane({ send: async () => 'delivered' }, ended(backend, one));
  const of = async (entityType: 'INTEGRATION' | 'CONVERTER', id: string, type: string) =>
    (await backend.store.events(TENANT, { entityType, id }, { type, order: 'ASC' })).data.map(({ body }) => [
      body['type'],
      body['message'] ?? body['in'],
      body['status'] ?? body['out'],
    ]);
  const text = JSON.stringify(part(1));
  assert.deepEqual(await of('INTEGRATION', INTEGRATION, 'DEBUG_INTEGRATION'), [
    ['ATTRIBUTES_UPDATED', text, 'OK'],
    ['Downlink', 'a1', 'OK'],
  ]);
  assert.deepEqual(await of('CONVERTER', DOWN_CONVERTER, 'DEBUG_CONVERTER'), [['Downlink', text, text]]);
});
