import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { newCustomer, newDevice } from '#engine/entities.ts';
import { Duplicate } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { AnyNode } from '#engine/node.ts';
import { laneOf } from '#engine/queue.ts';
import type { Doc } from '#engine/store.ts';
import { workLane } from '#engine/walk/lane.ts';
import { Work } from '#engine/work.ts';
import assign from '#rulechains/nodes/action/assign-to-customer.ts';
import createRelation from '#rulechains/nodes/action/create-relation.ts';
import { openEngine, type TestEngine } from '#test/support/chain.ts';
import { message, TENANT } from '#test/support/message.ts';
import { eventually } from '#test/support/wait.ts';

/** Ids of devices, one for each of two lanes. */
const ids = [0, 1].map(
  (lane) => Array.from({ length: 50 }, (_, n) => `aaaaaaaa-0000-1000-8000-${String(n).padStart(12, '0')}`).find((id) => laneOf(id, 2) === lane)!,
);
const of = (id: string) => message({ id: newId(), originator: { entityType: 'DEVICE', id } });

const chain = (node: AnyNode, config: Record<string, unknown>) => ({
  id: 'a',
  nodes: [
    // What a node tells comes in here too.
    { name: 'in', type: 'org.thingsboard.rule.engine.filter.TbMsgTypeFilterNode', config: { messageTypes: ['POST_TELEMETRY_REQUEST'] } },
    { name: 'n', type: node.type, config: { ...node.defaults, ...config } },
  ],
  links: [['in', 'True', 'n']] as const,
});

/** Works both lanes; `commit` comes between. */
async function workBoth(t: TestContext, engine: TestEngine, commit: (work: Work) => Promise<void>): Promise<void> {
  const { backend, runner, log } = engine;
  const note = (_: object, text: string) => void log.push(text);
  const lanes = [0, 1].map((lane) =>
    workLane(lane, { queue: backend.queue, runner, commit, newId, now: Date.now, log: { error: note, warn: note }, pauseMs: 5 }),
  );
  t.after(() => Promise.all(lanes.map((lane) => lane.stop())));
  await eventually(async () => (await backend.store.ledger(TENANT, TENANT)).messages.inFlight === 0, 'everything is through');
}

async function open(t: TestContext, node: AnyNode, config: Record<string, unknown>, docs: readonly Doc[] = []): Promise<TestEngine> {
  const filter = (await import('#rulechains/nodes/filter/message-type-filter.ts')).default;
  const engine = await openEngine(t, { lanes: 2, nodes: [node, filter], chains: [chain(node, config)] });
  const work = new Work();
  for (const id of ids) work.docs.push({ doc: { ...newDevice({ tenantId: TENANT, name: id, type: 'th', profileId: 'p' }, 1).device, id } });
  for (const doc of docs) work.docs.push({ doc });
  await engine.backend.commit(work);
  return engine;
}

/** Holds what comes until there are `count` of them, then lets all go. */
function gate(count: number) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let waiting = 0;
  return () => {
    if (++waiting === count) resolve();
    return promise;
  };
}

test('lanes: two that make the same at the same time: it is made once, and both go on with it', async (t) => {
  const config = { entityType: 'DEVICE', entityNamePattern: 'new', entityTypePattern: 'new profile', createEntityIfNotExists: true };
  const engine = await open(t, createRelation, config);
  const { store } = engine.backend;
  await engine.append(ids.map(of));
  const both = gate(2);
  let commits = 0;
  await workBoth(t, engine, async (work) => {
    if (++commits <= 2) await both();
    await engine.backend.commit(work);
  });
  const made = (await store.docs('DEVICE', TENANT, {})).data.filter(({ name }) => name === 'new');
  assert.equal(made.length, 1);
  assert.deepEqual(
    [(await store.docs('DEVICE_PROFILE', TENANT, {})).totalElements, (await store.docs('DEVICE_CREDENTIALS', TENANT, {})).totalElements],
    [1, 1],
  );
  const relations = await store.relations(TENANT, { to: { entityType: 'DEVICE', id: made[0]!.id } });
  assert.deepEqual(relations.map(({ from }) => from.id).sort(), [...ids].sort());
  // Two messages, and one ENTITY_CREATED, which the filter ends.
  assert.deepEqual((await store.ledger(TENANT, TENANT)).messages, { created: 3, stored: 2, filtered: 1, dead: 0, inFlight: 0 });
  assert.ok(commits >= 3, 'one of them ran again');
  assert.deepEqual(engine.log, []);
});

test('lanes: what somebody else changed meanwhile is not lost', async (t) => {
  const customer = { ...newCustomer(TENANT, 'Acme', 1), id: 'c' };
  const engine = await open(t, assign, { customerNamePattern: 'Acme' }, [customer]);
  const { store } = engine.backend;
  await engine.append([of(ids[0]!)]);
  let isFirst = true;
  await workBoth(t, engine, async (work) => {
    if (isFirst) {
      isFirst = false;
      const rename = new Work();
      rename.docs.push({ doc: { ...(await store.doc('DEVICE', TENANT, ids[0]!))!, label: 'by hand' }, expects: 1 });
      await engine.backend.commit(rename);
    }
    await engine.backend.commit(work);
  });
  const { label, customerId, version } = (await store.doc('DEVICE', TENANT, ids[0]!))!;
  assert.deepEqual([label, customerId, version], ['by hand', 'c', 3]);
  assert.deepEqual((await store.ledger(TENANT, TENANT)).messages, { created: 1, stored: 1, filtered: 0, dead: 0, inFlight: 0 });
});

test('lanes: what is refused over and over is a dead letter in the end, and only that', async (t) => {
  const engine = await open(t, assign, { customerNamePattern: '$[c]', createCustomerIfNotExists: true });
  const { store } = engine.backend;
  const messages = ['good', 'bad', 'fine'].map((c) => message({ ...of(ids[0]!), id: newId(), data: { c } }));
  await engine.append(messages);
  await workBoth(t, engine, async (work) => {
    if (work.docs.some((change) => 'doc' in change && change.doc.name === 'bad')) throw new Duplicate('taken for ever');
    await engine.backend.commit(work);
  });
  const { created, stored, dead } = (await store.ledger(TENANT, TENANT)).messages;
  assert.deepEqual([created, stored, dead], [5, 2, 1]);
  assert.deepEqual((await store.docs('CUSTOMER', TENANT, {})).data.map(({ name }) => name).sort(), ['fine', 'good']);
  assert.deepEqual(
    (await store.deadLetters(TENANT, undefined, 0, 10)).data.map(({ reason, message: letter }) => [reason, letter?.data]),
    [['taken for ever', '{"c":"bad"}']],
  );
});
