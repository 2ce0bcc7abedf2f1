import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { entityRef, MEMBERSHIP, newDevice, newGroup } from '#engine/entities.ts';
import { newId } from '#engine/id.ts';
import { createMessage, type EntityRef, type Message } from '#engine/message.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import type { ScriptEngine } from '#engine/script.ts';
import type { Doc } from '#engine/store.ts';
import type { ChainMetadata } from '#engine/walk/chain.ts';
import { startChain } from '#engine/walk/compile.ts';
import { Work } from '#engine/work.ts';
import { nodes } from '#rulechains/index.ts';
import { type Api, startApi } from '../../support/api.ts';
import { chainDoc, openEngine, type TestEngine } from '../../support/chain.ts';
import { TENANT } from '../../support/message.ts';

/** Chains in the style of those that are published for the professional edition, with their old keys: imported, saved, exported, and run (rule-nodes §5.2, §5.3). */

let api: Api;
let scripts: ScriptEngine;
before(async () => {
  api = await startApi();
  scripts = openScriptEngine({ hosts: 1 });
});
after(async () => {
  await scripts.close();
  await api.close();
});

// biome-ignore lint/suspicious/noExplicitAny: files and answers are looked into freely
type Any = any;
const fileOf = (name: string): Any => JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8'));

/** As an editor imports a file: the chain, then its graph. */
async function imported(name: string): Promise<{ file: Any; chainId: string; saved: Any }> {
  const file = fileOf(name);
  const chain = await api.call('POST', '/api/ruleChain', { body: file.ruleChain });
  assert.equal(chain.status, 200, chain.text);
  const saved = await api.call('POST', '/api/ruleChain/metadata', { body: { ...file.metadata, ruleChainId: chain.body.id } });
  assert.equal(saved.status, 200, saved.text);
  return { file, chainId: chain.body.id.id, saved: saved.body };
}

const graph = ({ nodes: list, connections, firstNodeIndex }: Any) => ({
  first: list[firstNodeIndex].name,
  nodes: list.map((node: Any) => `${node.type} ${node.name}`).sort(),
  links: connections.map(({ fromIndex, toIndex, type }: Any) => `${list[fromIndex].name} ${type} ${list[toIndex].name}`).sort(),
});

/** The saved graph in a running engine, as root chain; every integration of the file is there. */
async function running(t: TestContext, chainId: string, metadata: ChainMetadata): Promise<TestEngine> {
  const target = { delivery: 'pending', policy: 'fifo', ttlMs: 0, problem: null } as const;
  const engine = await openEngine(t, { nodes, lanes: 4, services: { scripts, downlinkTarget: () => target }, compile: { scripts } });
  const chain = await startChain(chainDoc(chainId, 'published', true), metadata, engine.compile);
  engine.chains.set(chainId, chain);
  return engine;
}

async function keep(engine: TestEngine, docs: readonly Doc[], fill: (work: Work) => void = () => {}): Promise<void> {
  const work = new Work();
  for (const doc of docs) work.docs.push({ doc });
  fill(work);
  await engine.backend.commit(work);
}

const device = (name: string): Doc => newDevice({ tenantId: TENANT, name, type: 'valve', profileId: newId() }, Date.now()).device;
const about = (originator: EntityRef, type: string, data: unknown, metadata: Record<string, string> = {}): Message =>
  createMessage({ tenantId: TENANT, type, originator, data: JSON.stringify(data), metadata }, newId);
const downlinksOf = async (engine: TestEngine, doc: Doc) =>
  (await engine.backend.store.downlinks(TENANT, doc.id, 0, 10)).data.map(({ integrationId, message }) => ({
    integrationId,
    type: message.type,
    data: JSON.parse(message.data),
    metadata: message.metadata,
  }));

for (const name of ['valve-downlink', 'group-downlink-root'])
  test(`${name}: what was imported is exported again, in today's form, and that comes in once more`, async () => {
    const { file, chainId, saved } = await imported(name);
    const { body } = await api.call('GET', '/api/ruleChains/export?limit=100');
    const at = body.ruleChains.findIndex(({ id }: Any) => id.id === chainId);
    const [ruleChain, metadata] = [body.ruleChains[at], body.metadata[at]];
    assert.equal(ruleChain.name, file.ruleChain.name);
    const legacy = file.metadata.ruleChainConnections ?? [];
    const expected = graph(file.metadata);
    assert.deepEqual(graph(saved), graph(metadata));
    assert.deepEqual(
      graph(metadata).nodes.filter((node: string) => !node.includes('TbRuleChainInputNode')),
      expected.nodes,
    );
    assert.equal(metadata.connections.length, file.metadata.connections.length + legacy.length);
    assert.equal(metadata.ruleChainConnections ?? null, null);
    const twin = await api.call('POST', '/api/ruleChains/import', { body: { ruleChains: [ruleChain], metadata: [metadata] } });
    assert.deepEqual(
      twin.body.map(({ ruleChainName, updated = false }: Any) => [ruleChainName, updated]),
      [[file.ruleChain.name, false]],
    );
    const again = await api.call('GET', `/api/ruleChain/${twin.body[0].ruleChainId.id}/metadata`);
    assert.deepEqual(graph(again.body), graph(metadata));
  });

test('valve downlink: a changed attribute is handed to the integration, with the names of the device', async (t) => {
  const { chainId, saved } = await imported('valve-downlink');
  const engine = await running(t, chainId, saved);
  const valve = device('V-1');
  await keep(engine, [valve]);
  await engine.append([
    about(entityRef(valve), 'ATTRIBUTES_UPDATED', { reportFrequency: 60 }, { scope: 'SHARED_SCOPE' }),
    // The filter compares a name with undefined: it lets everything through, and so it must stay.
    about(entityRef(valve), 'ATTRIBUTES_UPDATED', { other: 1 }),
    about(entityRef(valve), 'POST_TELEMETRY_REQUEST', { t: 21.5 }),
    about(entityRef(valve), 'POST_ATTRIBUTES_REQUEST', { fw: '1.0' }),
    about(entityRef(valve), 'TO_SERVER_RPC_REQUEST', { method: 'x', params: {} }),
  ]);
  await engine.drain();
  const integrationId = '5c0e6f10-6d1b-11e8-9b3a-15970e6a694b';
  const names = { deviceName: 'V-1', deviceType: 'valve' };
  assert.deepEqual((await downlinksOf(engine, valve)).reverse(), [
    { integrationId, type: 'ATTRIBUTES_UPDATED', data: { reportFrequency: 60 }, metadata: { scope: 'SHARED_SCOPE', ...names } },
    { integrationId, type: 'ATTRIBUTES_UPDATED', data: { other: 1 }, metadata: names },
  ]);
  const { store } = engine.backend;
  assert.deepEqual([...(await store.latest(TENANT, entityRef(valve))).keys()], ['t']);
  assert.deepEqual(
    (await store.attributes(TENANT, entityRef(valve), 'CLIENT_SCOPE')).map(({ key }) => key),
    ['fw'],
  );
  assert.deepEqual((await store.deadLetters(TENANT, undefined, 0, 10)).data, []);
});

test('valve downlink: new devices come into the group of their type, which is made once', async (t) => {
  const { chainId, saved } = await imported('valve-downlink');
  const engine = await running(t, chainId, saved);
  const valves = ['V-1', 'V-2', 'V-3'].map(device);
  await keep(engine, valves);
  await engine.append(valves.map((valve) => about(entityRef(valve), 'ENTITY_CREATED', {})));
  await engine.drain();
  const groups = (await engine.backend.store.docs('ENTITY_GROUP', TENANT, {})).data;
  assert.deepEqual(
    groups.map(({ name, kind }) => [name, kind]),
    [['New valves', 'DEVICE']],
  );
  const members = await engine.backend.store.relations(TENANT, { from: entityRef(groups[0]!), ...MEMBERSHIP });
  assert.deepEqual(members.map(({ to }) => to.id).sort(), valves.map(({ id }) => id).sort());
  assert.deepEqual((await engine.backend.store.deadLetters(TENANT, undefined, 0, 10)).data, []);
});

test('group downlink root: a command to a group is a downlink for each member, an attribute one for each device', async (t) => {
  const { chainId, saved } = await imported('group-downlink-root');
  const engine = await running(t, chainId, saved);
  const [one, two, three] = ['V-1', 'V-2', 'V-3'].map(device) as [Doc, Doc, Doc];
  const owner: EntityRef = { entityType: 'TENANT', id: TENANT };
  const [group, empty] = ['Floor 1', 'Empty'].map((name) => newGroup(TENANT, { type: 'DEVICE', name, owner }, Date.now())) as [Doc, Doc];
  await keep(engine, [one, two, three, group, empty], (work) => {
    for (const member of [one, two])
      work.relations.push({ tenantId: TENANT, save: { from: entityRef(group), to: entityRef(member), ...MEMBERSHIP } });
    const value = { type: 'STRING', value: 'first' } as const;
    work.attributes.push({ tenantId: TENANT, entity: entityRef(one), scope: 'SERVER_SCOPE', key: 'deviceName', value, lastUpdateTs: 1 });
  });
  const command = { method: 'close', params: '{"percent":30}' };
  await engine.append([
    about(entityRef(group), 'RPC_CALL_FROM_SERVER_TO_DEVICE', command, { requestUUID: newId(), oneway: 'true' }),
    about(entityRef(group), 'POST_ATTRIBUTES_REQUEST', { mode: 'eco' }),
    about(entityRef(three), 'RPC_CALL_FROM_SERVER_TO_DEVICE', command),
    // Of a group neither is anybody's telemetry: it is filtered out before the fan-out and saved for the group itself.
    about(entityRef(group), 'POST_TELEMETRY_REQUEST', { n: 2 }),
    about(entityRef(empty), 'RPC_CALL_FROM_SERVER_TO_DEVICE', command),
  ]);
  await engine.drain();
  for (const [valve, known] of [
    [one, 'first'],
    [two, undefined],
    [three, undefined],
  ] as const) {
    const [only, ...rest] = await downlinksOf(engine, valve);
    assert.deepEqual(rest, []);
    // `cs_deviceName` is never there: undefined vanishes from JSON, as in the original.
    assert.deepEqual([only!.integrationId, only!.data], ['a94c6b80-0a3f-11e9-8ea7-c74c82c31b2e', known ? { ...command, known } : command]);
  }
  const { store } = engine.backend;
  for (const [valve, keys] of [
    [one, ['mode']],
    [two, ['mode']],
    [three, []],
  ] as const)
    assert.deepEqual(
      (await store.attributes(TENANT, entityRef(valve), 'CLIENT_SCOPE')).map(({ key }) => key),
      keys,
    );
  assert.deepEqual([...(await store.latest(TENANT, entityRef(group))).keys()], ['n']);
  const dead = (await store.deadLetters(TENANT, undefined, 0, 10)).data;
  assert.deepEqual(
    dead.map(({ reason, entity, node }) => [reason, entity?.id, node?.nodeName]),
    [["Entity group 'Empty' has no entities!", empty.id, 'Duplicate To Group Entities']],
  );
  const { messages } = await store.ledger(TENANT, TENANT);
  assert.equal(messages.created, messages.stored + messages.filtered + messages.dead + messages.inFlight, JSON.stringify(messages));
});
