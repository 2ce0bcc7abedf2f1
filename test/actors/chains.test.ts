import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { createChains } from '#actors/chains.ts';
import { NotDurable } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Message } from '#engine/message.ts';
import { Registry } from '#engine/registry.ts';
import { openEntityCache } from '#engine/services/entities.ts';
import type { Doc } from '#engine/store.ts';
import type { CompileDeps } from '#engine/walk/compile.ts';
import { Work } from '#engine/work.ts';
import { nodes } from '#rulechains/index.ts';
import { device, doc, message, sqlite } from '#test/support/backend.ts';

const TENANT = '5f1c2a10-2710-11ef-9d1c-2b8f2a7c0001';
const ACK = 'org.thingsboard.rule.engine.flow.TbAckNode';

async function plant(t: TestContext, leaseOf?: CompileDeps['leaseOf']) {
  const running = await sqlite.start({ lanes: 1 });
  t.after(() => running.stop());
  const { backend } = running;
  const save = async (...docs: Doc[]) => {
    const work = new Work();
    for (const each of docs) work.docs.push({ doc: each });
    await backend.commit(work);
  };
  const chain = (name: string, state: string | null, type = ACK): Doc[] => {
    const id = newId();
    const node = {
      id: { entityType: 'RULE_NODE', id: newId() },
      type,
      name: 'node',
      configuration: {},
      configurationVersion: 0,
      debugSettings: null,
    };
    const graph = { firstNodeIndex: 0, nodes: [{ ...node, singletonMode: false, queueName: null, additionalInfo: null }], connections: [] };
    return [
      doc({ collection: 'RULE_CHAIN', tenantId: TENANT, id, name, kind: 'CORE', state }),
      doc({ collection: 'RULE_CHAIN_METADATA', tenantId: TENANT, id, name, body: graph }),
    ];
  };
  const entities = openEntityCache({ store: backend.store, onChange: (listener) => backend.onChange(listener) });
  const scripts = { check: async () => null, run: async () => [] };
  const warnings: string[] = [];
  const log = { warn: (_fields: object, text: string) => void warnings.push(text), info: () => {} };
  const chains = createChains({
    backend,
    entities,
    compile: { nodes: new Registry(nodes), scripts, newId, now: Date.now, server: 'test', log, ...(leaseOf && { leaseOf }) },
    now: Date.now,
  });
  t.after(() => {
    chains.stop();
    assert.deepEqual(warnings, []);
  });
  const entryOf = async (about: Message) => (await chains.entry(about))?.name;
  return { backend, save, chain, chains, entryOf, warnings };
}

const about = (id: string, type = 'POST_TELEMETRY_REQUEST', data = '{}') => message(TENANT, device(id), data, { type });

test('chains: a device enters its profile’s chain, one without enters the root chain, and both follow a change at once', async (t) => {
  const { save, chain, chains, entryOf } = await plant(t);
  const [root, own] = [chain('root', 'ROOT'), chain('own', null)];
  const profile = doc({
    collection: 'DEVICE_PROFILE',
    tenantId: TENANT,
    name: 'p',
    body: { defaultRuleChainId: { entityType: 'RULE_CHAIN', id: own[0]!.id } },
  });
  const plain = doc({ collection: 'DEVICE_PROFILE', tenantId: TENANT, name: 'q', body: { defaultRuleChainId: null } });
  const of = (id: Doc, name: string) => doc({ tenantId: TENANT, name, body: { deviceProfileId: { entityType: 'DEVICE_PROFILE', id: id.id } } });
  const [mine, other] = [of(profile, 'mine'), of(plain, 'other')];
  await save(...root, ...own, profile, plain, mine, other);
  await chains.start();
  assert.deepEqual([await entryOf(about(mine.id)), await entryOf(about(other.id))], ['own', 'root']);

  await save({ ...profile, body: { defaultRuleChainId: null } });
  assert.equal(await entryOf(about(mine.id)), 'root', 'the profile changed');
  await save({ ...profile, body: { defaultRuleChainId: { entityType: 'RULE_CHAIN', id: own[0]!.id } } });
  const deletion = about(newId(), 'ENTITY_DELETED', JSON.stringify({ deviceProfileId: { entityType: 'DEVICE_PROFILE', id: profile.id } }));
  assert.equal(await entryOf(deletion), 'own', 'a deleted device: by what the event says');

  await save({ ...root[0]!, state: null }, { ...own[0]!, state: 'ROOT' });
  await chains.settled(TENANT);
  assert.equal(chains.root(TENANT)?.name, 'own', 'the root chain changed');
});

test('chains: a saved graph runs when it is settled; a node that can not start says why; a removed chain is gone', async (t) => {
  const { backend, save, chain, chains } = await plant(t);
  const docs = chain('first', 'ROOT');
  await save(...docs);
  await chains.start();
  const id = docs[0]!.id;
  assert.deepEqual([...chains.problems(TENANT, id).values()], []);

  const [, changed] = chain('first', 'ROOT', 'org.example.NoSuchNode');
  await save({ ...docs[1]!, body: changed!.body });
  await chains.settled(TENANT);
  assert.deepEqual([...chains.problems(TENANT, id).values()], ["Rule node type 'org.example.NoSuchNode' is not supported!"]);
  const nodeId = [...chains.problems(TENANT, id).keys()][0]!;
  const { data } = await backend.store.events(TENANT, { entityType: 'RULE_NODE', id: nodeId }, { type: 'LC_EVENT' });
  assert.deepEqual(
    data.map(({ body }) => [body['event'], body['success']]),
    [['STARTED', false]],
  );

  assert.equal(chains.get(newId(), id), undefined, 'another tenant does not see it');
  const work = new Work();
  work.docs.push({ remove: { collection: 'RULE_CHAIN', tenantId: TENANT, id } });
  await backend.commit(work);
  assert.equal(chains.get(TENANT, id), undefined);
});

for (const { name, lease, events } of [
  { name: 'a process that has the node’s lane says that it started', lease: { name: 'lane:0', epoch: 1 }, events: ['STARTED'] },
  { name: 'another one loads the chain without a word', lease: null, events: [] },
]) {
  test(`chains over processes: ${name}`, async (t) => {
    const { backend, save, chain, chains } = await plant(t, () => lease);
    const docs = chain('first', 'ROOT');
    await save(...docs);
    await chains.start();
    const compiled = chains.get(TENANT, docs[0]!.id)!;
    assert.equal(compiled.nodes.length, 1);
    const node = { entityType: 'RULE_NODE', id: compiled.nodes[0]!.info.id } as const;
    const { data } = await backend.store.events(TENANT, node, { type: 'LC_EVENT' });
    assert.deepEqual(
      data.map(({ body }) => body['event']),
      events,
    );
  });
}

test('chains: the store away while a root is looked for, it is asked again', async (t) => {
  const { backend, save, chain, chains, warnings } = await plant(t, () => null);
  await save(...chain('first', 'ROOT'));
  await chains.start();
  const { docs } = backend.store;
  let failures = 1;
  Object.assign(backend.store, {
    docs: async (...args: Parameters<typeof docs>) => {
      if (failures-- > 0) throw new NotDurable(new Error('away'));
      return docs(...args);
    },
  });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const [first] = (await docs('RULE_CHAIN', TENANT, {})).data;
  await save({ ...first!, state: null }, ...chain('second', 'ROOT'));
  const settled = chains.settled(TENANT);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings.splice(0), ['root chain not found out yet']);
  t.mock.timers.tick(1000);
  await settled;
  assert.equal(chains.root(TENANT)?.name, 'second');
});
