import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Busy, NotDurable } from '#engine/errors.ts';
import type { Accepted } from '#engine/integration.ts';
import { createIntegrationEvents } from '#engine/integration-events.ts';
import type { Backend } from '#engine/queue.ts';
import type { ScriptResult } from '#engine/script.ts';
import { Work } from '#engine/work.ts';
import { CONVERTER, INTEGRATION, NOW, openAccept, script, target, uplink, waiting } from '#test/support/accept.ts';
import { offBy, type Running, sqlite } from '#test/support/backend.ts';
import { TENANT } from '#test/support/message.ts';
import { eventually, within } from '#test/support/wait.ts';

let running: Running;
let backend: Backend;
beforeEach(async () => {
  running = await sqlite.start();
  backend = running.backend;
});
afterEach(() => running.stop());

const thermostat = (name: string, fields: Record<string, unknown> = {}) => ({
  deviceName: name,
  deviceType: 'thermostat',
  telemetry: { t: 4.2 },
  ...fields,
});
const everything = async (promises: readonly Promise<Accepted>[]) => within(Promise.all(promises), 'the outcomes');

for (const { name, output, expected } of [
  { name: 'a flat map takes the arrival time', output: thermostat('A'), expected: [['{"t":4.2}', String(NOW)]] },
  { name: 'one ts', output: thermostat('A', { telemetry: [{ ts: 5, values: { t: 1 } }] }), expected: [['{"t":1}', '5']] },
  {
    name: 'several ts are one message',
    output: thermostat('A', {
      telemetry: [
        { ts: 5, values: { t: 1 } },
        { ts: 6, values: { t: 2 } },
      ],
    }),
    expected: [['[{"ts":5,"values":{"t":1}},{"ts":6,"values":{"t":2}}]', String(NOW)]],
  },
  { name: 'nothing to store is no message, but a device', output: thermostat('A', { telemetry: {} }), expected: [] },
  {
    name: 'keys that look like the stamped form',
    output: thermostat('A', { telemetry: [{ ts: 5, values: { ts: 1, values: { a: 2 } } }] }),
    expected: [['{"ts":5,"values":{"ts":1,"values":{"a":2}}}', '5']],
  },
  {
    name: 'an array is a message for each entity',
    output: [thermostat('A'), thermostat('B', { telemetry: { t: 2 } })],
    expected: [
      ['{"t":4.2}', String(NOW)],
      ['{"t":2}', String(NOW)],
    ],
  },
]) {
  test(`accept: telemetry, ${name}`, async () => {
    const { accept } = openAccept(backend);
    const outcome = await accept.source(target()).accept(uplink(output));
    assert.equal(outcome.outcome, 'converted');
    const telemetry = (await waiting(backend)).filter(({ type }) => type === 'POST_TELEMETRY_REQUEST');
    assert.deepEqual(telemetry.map(({ data, metadata }) => [data, metadata['ts']]).sort(), [...expected].sort());
  });
}

for (const { name, payload, outcome } of [
  { name: 'undefined', payload: 'undefined', outcome: { outcome: 'empty' } },
  { name: 'an empty array', payload: '[]', outcome: { outcome: 'empty' } },
  { name: 'thrown', payload: 'throw no such unit', outcome: { outcome: 'dead', reason: 'no such unit' } },
  { name: 'a number', payload: '42', outcome: { outcome: 'dead', reason: 'Converter must return an object or an array of objects' } },
  { name: 'no name', payload: '{"deviceType":"t"}', outcome: { outcome: 'dead', reason: "Either 'deviceName' or 'assetName' must be specified" } },
] as const) {
  test(`accept: the converter returned ${name}`, async () => {
    const { accept } = openAccept(backend);
    assert.deepEqual(await accept.source(target()).accept(uplink(payload)), outcome);
    const letters = await backend.store.deadLetters(TENANT, INTEGRATION, 0, 10);
    assert.deepEqual(
      letters.data.map(({ stage, reason, payload: bytes, metadata, owner }) => ({
        stage,
        reason,
        text: Buffer.from(bytes).toString(),
        metadata,
        owner,
      })),
      outcome.outcome === 'dead' ? [{ stage: 'uplink', reason: outcome.reason, text: payload, metadata: { topic: 'a/b' }, owner: INTEGRATION }] : [],
    );
    const ledger = await backend.store.ledger(TENANT, INTEGRATION);
    const dead = outcome.outcome === 'dead' ? 1 : 0;
    assert.deepEqual(ledger.uplinks, { received: 1, converted: 0, empty: 1 - dead, dead, inFlight: 0 });
  });
}

test('accept: what must not be converted is a dead letter, and the converter never sees it', async () => {
  const { accept, scripts } = openAccept(backend);
  const source = accept.source(target());
  const outcomes = await everything([source.accept(uplink('x', { problem: 'too large' })), source.accept(uplink(thermostat('A')))]);
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['dead', 'converted'],
  );
  assert.equal(scripts.batches.flat().length, 1);
});

test('accept: a converter that was deleted costs no data', async () => {
  const { accept } = openAccept(backend);
  assert.deepEqual(await accept.source(target({ converter: null })).accept(uplink('x')), {
    outcome: 'dead',
    reason: 'Uplink converter is not found',
  });
});

test('accept: the converter gets the metadata of integration and uplink; the uplink wins', async () => {
  const { accept, scripts } = openAccept(backend);
  await accept.source(target()).accept(uplink(thermostat('A'), { metadata: { topic: 'a', siteId: 'own' } }));
  assert.deepEqual(JSON.parse(scripts.batches[0]![0]![1]!), { integrationName: 'Plant', siteId: 'own', topic: 'a' });
});

test('accept: what comes together is one batch; the next one gathers meanwhile', async () => {
  const { accept, scripts } = openAccept(backend);
  const source = accept.source(target());
  await everything(Array.from({ length: 300 }, (_, n) => source.accept(uplink(thermostat('A', { telemetry: { n } })))));
  assert.ok(scripts.batches.length <= 4, `${scripts.batches.length} batches`);
});

test('accept: results are appended in arrival order, whichever batch was converted first', async () => {
  const gates: (() => void)[] = [];
  const { accept } = openAccept(backend, {
    scripts: {
      run: async (_script, calls) => {
        await new Promise<void>((resolve) => gates.push(resolve));
        return calls.map(([payload]): ScriptResult => ({ ok: true, json: Buffer.from(payload as Uint8Array).toString() }));
      },
    },
    limits: { batch: 1 },
  });
  const source = accept.source(target());
  const outcomes = [0, 1].map((n) => source.accept(uplink(thermostat('A', { telemetry: { n } }))));
  await eventually(() => gates.length === 2, 'two batches under way');
  gates[1]!();
  gates[0]!();
  await everything(outcomes);
  const telemetry = (await waiting(backend)).filter(({ type }) => type === 'POST_TELEMETRY_REQUEST');
  assert.deepEqual(
    telemetry.map(({ data }) => data),
    ['{"n":0}', '{"n":1}'],
  );
});

/** A backend whose commits the test can refuse. */
const withCommit = (commitOf: (work: Work, next: (work: Work) => Promise<void>) => Promise<void>): Backend => ({
  ...backend,
  store: backend.store,
  queue: backend.queue,
  onChange: (listener) => backend.onChange(listener),
  commit: (work) => commitOf(work, (mine) => backend.commit(mine)),
});

test('accept: a failed commit fails all that came behind it, and nothing of it is there', async () => {
  let first = true;
  const { accept, spoke } = openAccept(
    withCommit((work, next) => {
      if (!first) return next(work);
      first = false;
      return Promise.reject(new NotDurable(new Error('disk full')));
    }),
    { limits: { batch: 1 } },
  );
  const source = accept.source(target());
  const outcomes = await Promise.allSettled([0, 1, 2, 3].map((n) => source.accept(uplink(thermostat('A', { telemetry: { n } })))));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason instanceof NotDurable),
    [true, true, true, true],
  );
  assert.deepEqual([await waiting(backend), spoke, source.inFlight], [[], [], 0]);
  assert.equal((await source.accept(uplink(thermostat('A')))).outcome, 'converted');
});

test('accept: an uplink that the store refuses fails alone', async () => {
  const { accept, errors } = openAccept(
    withCommit((work, next) => (work.messages.some(({ data }) => data.includes('poison')) ? Promise.reject(new Error('refused')) : next(work))),
  );
  const source = accept.source(target());
  const outcomes = await everything(['good', 'poison', 'better'].map((word) => source.accept(uplink(thermostat('A', { telemetry: { word } })))));
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['converted', 'dead', 'converted'],
  );
  assert.deepEqual(errors, ['an uplink can not be stored']);
});

test('accept: a dead letter is tried again, perhaps with another payload, and the ledger adds up', async () => {
  const { accept } = openAccept(backend);
  const source = accept.source(target());
  await source.accept(uplink('throw once'));
  const letter = async () => (await backend.store.deadLetters(TENANT, INTEGRATION, 0, 10)).data;
  const [first] = await letter();
  assert.equal((await source.accept(uplink('throw twice'), { deadLetterId: first!.id })).outcome, 'dead');
  const [second] = await letter();
  assert.deepEqual([second!.reason, (await letter()).length, second!.id !== first!.id], ['twice', 1, true]);
  await source.accept(uplink(thermostat('A')), { deadLetterId: second!.id });
  const ledger = await backend.store.ledger(TENANT, INTEGRATION);
  assert.deepEqual([await letter(), ledger.uplinks], [[], { received: 1, converted: 1, empty: 0, dead: 0, inFlight: 0 }]);
  assert.deepEqual(offBy(ledger), { uplinks: 0, messages: 0, downlinks: 0 });
});

for (const { name, debug, payload, integration, converter } of [
  { name: 'off', debug: null, payload: 'throw x', integration: [], converter: [] },
  {
    name: 'failures, none happens',
    debug: { failuresEnabled: true, allEnabled: false, allEnabledUntil: 0 },
    payload: '[]',
    integration: [],
    converter: [],
  },
  {
    name: 'all until a time that is over',
    debug: { failuresEnabled: false, allEnabled: false, allEnabledUntil: NOW },
    payload: '[]',
    integration: [],
    converter: [],
  },
  {
    name: 'failures',
    debug: { failuresEnabled: true, allEnabled: false, allEnabledUntil: 0 },
    payload: 'throw x',
    integration: [{ type: 'Uplink', message: '{"topic":"a/b","payload":"throw x"}', messageType: 'JSON', status: 'FAILURE', error: 'x' }],
    converter: [{ type: 'Uplink', in: 'throw x', inMessageType: 'JSON', out: '', outMessageType: 'JSON', error: 'x' }],
  },
  {
    name: 'all',
    debug: { failuresEnabled: false, allEnabled: false, allEnabledUntil: NOW + 1 },
    payload: '[]',
    integration: [{ type: 'Uplink', message: '{"topic":"a/b","payload":"[]"}', messageType: 'JSON', status: 'OK', error: '' }],
    converter: [{ type: 'Uplink', in: '[]', inMessageType: 'JSON', out: '[]', outMessageType: 'JSON', error: '' }],
  },
]) {
  test(`accept: debug events, ${name}`, async () => {
    const { accept } = openAccept(backend);
    await accept
      .source(target({ debug, converter: { id: CONVERTER, script, updateOnlyKeys: [], debug } }))
      .accept(uplink(payload, { metadata: { topic: 'a/b', 'Header:authorization': 'Basic x' }, hiddenMetadata: ['Header:authorization'] }));
    const events = async (entityType: 'INTEGRATION' | 'CONVERTER', id: string, type: string) =>
      (await backend.store.events(TENANT, { entityType, id }, { type })).data.map(({ body }) => {
        const { server, metadata, ...rest } = body;
        assert.ok(metadata === undefined || !String(metadata).includes('Basic'), 'a secret in an event');
        return server === 'test' ? rest : body;
      });
    assert.deepEqual(await events('INTEGRATION', INTEGRATION, 'DEBUG_INTEGRATION'), integration);
    assert.deepEqual(await events('CONVERTER', CONVERTER, 'DEBUG_CONVERTER'), converter);
  });
}

test('accept: debug events end at the hourly limit, and the last one says so', () => {
  const events = createIntegrationEvents('test');
  const event = { type: 'Uplink', message: '', messageType: 'TEXT', error: null } as const;
  for (let i = 0; i < 50_000; i++) events.integration(TENANT, INTEGRATION, event, NOW);
  const [last] = events.integration(TENANT, INTEGRATION, event, NOW);
  assert.equal(last!.body['error'], 'debug rate limit reached');
  assert.deepEqual(events.integration(TENANT, INTEGRATION, event, NOW), []);
  assert.equal(events.integration(TENANT, INTEGRATION, event, NOW + 3_600_000).length, 1);
});

test('accept: keys that are stored only when they change', async () => {
  const { accept } = openAccept(backend);
  const source = accept.source(target({ converter: { id: CONVERTER, script, updateOnlyKeys: ['fw', 'fPort'], debug: null } }));
  const send = (fw: unknown, t: number) => source.accept(uplink(thermostat('A', { attributes: { fw }, telemetry: { t, fPort: 1 } })));
  for (const [fw, t] of [
    [22, 1],
    [22, 2],
    ['22', 3],
  ] as const)
    await send(fw, t);
  assert.deepEqual(
    (await waiting(backend)).filter(({ type }) => type !== 'ENTITY_CREATED').map(({ data }) => data),
    ['{"fw":22}', '{"t":1,"fPort":1}', '{"t":2}', '{"fw":"22"}', '{"t":3}'],
  );
});

test('accept: who can be told to come again is told so at the limit; others wait', async () => {
  const { accept } = openAccept(backend, { limits: { inFlight: 2 } });
  const source = accept.source(target());
  const waitingOnes = [1, 2, 3].map(() => source.accept(uplink(thermostat('A'))));
  await assert.rejects(source.accept(uplink(thermostat('A')), { mayWait: false }), Busy);
  await everything(waitingOnes);
  assert.equal((await source.accept(uplink(thermostat('A')), { mayWait: false })).outcome, 'converted');
});

test('accept: a dead letter that is deleted while it is tried again is refused alone', async () => {
  const { accept } = openAccept(backend);
  const source = accept.source(target());
  await source.accept(uplink('throw once'));
  const [letter] = (await backend.store.deadLetters(TENANT, INTEGRATION, 0, 1)).data;
  const gone = new Work();
  gone.deadLetterRemovals.push({ tenantId: TENANT, id: letter!.id });
  await backend.commit(gone);
  const outcomes = await Promise.allSettled([
    source.accept(uplink(thermostat('A'))),
    source.accept(uplink(thermostat('A')), { deadLetterId: letter!.id }),
    source.accept(uplink(thermostat('B'))),
  ]);
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.outcome : outcome.reason.code)),
    ['converted', 'version-conflict', 'converted'],
  );
  const { uplinks } = await backend.store.ledger(TENANT, INTEGRATION);
  assert.deepEqual(uplinks, { received: 3, converted: 2, empty: 0, dead: 1, inFlight: 0 });
});

test('accept: over the rate limit some are told when, others held, and those held too long become dead letters', async () => {
  let waitMs = 5;
  const { accept } = openAccept(backend, { rateLimit: () => waitMs, limits: { rateLimitWaitMs: 1000 } });
  const source = accept.source(target());
  await assert.rejects(source.accept(uplink(thermostat('A')), { mayWait: false }), (cause) => cause instanceof Busy && cause.afterMs === 5);
  const held = source.accept(uplink(thermostat('A')));
  setTimeout(() => {
    waitMs = 0;
  }, 20);
  assert.equal((await within(held, 'its turn')).outcome, 'converted');
  waitMs = 1001;
  assert.deepEqual(await source.accept(uplink(thermostat('A'))), { outcome: 'dead', reason: 'rate limit' });
});

test('accept: with full lanes it takes no more until the chains have caught up', async () => {
  const { accept } = openAccept(backend, { limits: { depth: 0 } });
  const source = accept.source(target());
  await within(source.accept(uplink(thermostat('A'))), 'the first');
  const second = source.accept(uplink(thermostat('A')));
  await assert.rejects(source.accept(uplink(thermostat('A')), { mayWait: false }), Busy);
  const work = new Work();
  for (let lane = 0; lane < backend.queue.lanes; lane++) {
    const batch = await backend.queue.take(lane, 100, AbortSignal.timeout(5)).catch(() => null);
    if (batch) work.done.push(batch);
  }
  await backend.commit(work);
  assert.equal((await within(second, 'the second')).outcome, 'converted');
});

test('accept: closing refuses what is held back', async () => {
  const { accept } = openAccept(backend, { limits: { depth: 0 } });
  const source = accept.source(target());
  await source.accept(uplink(thermostat('A')));
  const held = source.accept(uplink(thermostat('A')));
  accept.close();
  await assert.rejects(within(held, 'the refusal'), NotDurable);
});

test('accept: while nothing can be stored, who can be told to come again is told so at once', async () => {
  const source = openAccept(backend).accept.source(target());
  Object.assign(backend, { health: () => ({ ok: false, reason: 'Redis: no answer for 3000 ms' }) });
  await assert.rejects(
    source.accept(uplink(thermostat('A')), { mayWait: false }),
    (cause) => cause instanceof NotDurable && /Redis: no answer/.test(cause.message),
  );
  assert.equal((await source.accept(uplink(thermostat('A')))).outcome, 'converted');
});
