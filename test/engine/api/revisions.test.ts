import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const FILTER = 'org.thingsboard.rule.engine.filter.TbMsgTypeFilterNode';
const ACK = 'org.thingsboard.rule.engine.flow.TbAckNode';
const filter = (messageTypes: string[], id?: unknown) => ({
  type: FILTER,
  name: 'only these',
  configuration: { messageTypes },
  additionalInfo: null,
  ...(id ? { id } : {}),
});

/** A chain with two saves of its graph: revision 1 is empty, 2 has a filter and an end, 3 another filter, other arrows and no end. */
async function chainWithHistory(name: string) {
  const chain = (await api.call('POST', '/api/ruleChain', { body: { name } })).body;
  const nodes = [filter(['A']), { type: ACK, name: 'end', configuration: {}, additionalInfo: null }];
  const connections = [
    { fromIndex: 0, toIndex: 1, type: 'True' },
    { fromIndex: 0, toIndex: 1, type: 'False' },
  ];
  const second = await api.call('POST', '/api/ruleChain/metadata', { body: { ruleChainId: chain.id, firstNodeIndex: 0, nodes, connections } });
  const [first, end] = second.body.nodes;
  const third = await api.call('POST', '/api/ruleChain/metadata', {
    body: { ruleChainId: chain.id, firstNodeIndex: 0, nodes: [filter(['A', 'B'], first.id)], connections: [], version: 2 },
  });
  assert.deepEqual([second.status, third.status], [200, 200]);
  return { id: chain.id.id as string, ref: chain.id, first, end, second: second.body, url: `/api/ruleChain/${chain.id.id}/revisions` };
}

test('every save of a chain is a revision with its author, newest first', async () => {
  const { url } = await chainWithHistory('kept');
  const { body } = await api.call('GET', `${url}?pageSize=10&page=0`);
  assert.deepEqual(
    body.data.map((one: Record<string, unknown>) => [one['version'], one['name'], one['current'], (one['author'] as { name: string }).name]),
    [
      [3, 'kept', true, 'tenant@thingsboard.org'],
      [2, 'kept', false, 'tenant@thingsboard.org'],
      [1, 'kept', false, 'tenant@thingsboard.org'],
    ],
  );
  const one = (await api.call('GET', `${url}/2`)).body;
  assert.deepEqual([one.version, one.metadata.nodes.length, one.metadata.connections.length], [2, 2, 2]);
  const none = await api.call('GET', `${url}/9`);
  assert.deepEqual([none.status, none.body.message], [404, "Rule chain 'kept' has no revision 9"]);
});

test('a diff names nodes and connections that were added, removed and changed, by field', async () => {
  const { url, first, end } = await chainWithHistory('differs');
  const ends = { from: 'only these', to: 'end' };
  assert.deepEqual((await api.call('GET', `${url}/2/diff/3`)).body, {
    from: 2,
    to: 3,
    fields: [],
    nodes: {
      added: [],
      removed: [{ id: end.id.id, name: 'end', type: ACK }],
      changed: [{ id: first.id.id, name: 'only these', type: FILTER, fields: [{ path: 'configuration.messageTypes', from: ['A'], to: ['A', 'B'] }] }],
    },
    connections: {
      added: [],
      removed: [
        { ...ends, label: 'False' },
        { ...ends, label: 'True' },
      ],
    },
  });
  const back = (await api.call('GET', `${url}/3/diff/2`)).body;
  assert.deepEqual([back.nodes.added.length, back.connections.added.length, back.connections.removed.length], [1, 2, 0]);
});

test('a restored revision is what it was, with the same nodes, and a revision of its own', async () => {
  const { url, id, second } = await chainWithHistory('restored');
  const restored = await api.call('POST', `${url}/2/restore`);
  assert.deepEqual([restored.status, restored.body.version], [200, 4]);
  const { version, ...graph } = (await api.call('GET', `/api/ruleChain/${id}/metadata`)).body;
  const { version: _, ...before } = second;
  assert.deepEqual([version, graph], [4, before]);
  const { body } = await api.call('GET', `${url}/2/diff/4`);
  assert.deepEqual(body, { from: 2, to: 4, fields: [], nodes: { added: [], removed: [], changed: [] }, connections: { added: [], removed: [] } });
});

test('a save on an old version is refused with what the others changed, and keeps nothing', async () => {
  const { url, ref, first } = await chainWithHistory('raced');
  const { status, body } = await api.call('POST', '/api/ruleChain/metadata', {
    body: { ruleChainId: ref, firstNodeIndex: 0, nodes: [filter(['Z'], first.id)], connections: [], version: 2 },
  });
  assert.deepEqual([status, body.errorCode, body.currentVersion, body.basedOn], [409, 35, 3, 2]);
  assert.deepEqual(body.differs.nodes.changed[0].fields, [{ path: 'configuration.messageTypes', from: ['A'], to: ['A', 'B'] }]);
  assert.equal((await api.call('GET', `${url}?pageSize=10&page=0`)).body.totalElements, 3);
});

test('the root chain, which was there before anybody saved it, gets its first state as a revision too', async () => {
  const { data } = (await api.call('GET', '/api/ruleChains?pageSize=100&page=0&type=CORE')).body;
  const root = data.find((chain: { root: boolean }) => chain.root);
  const graph = (await api.call('GET', `/api/ruleChain/${root.id.id}/metadata`)).body;
  await api.call('POST', '/api/ruleChain/metadata', { body: { ...graph, connections: graph.connections.slice(1) } });
  const url = `/api/ruleChain/${root.id.id}/revisions`;
  const versions = (await api.call('GET', `${url}?pageSize=10&page=0`)).body.data.map(({ version }: { version: number }) => version);
  assert.deepEqual(versions.toSorted(), [root.version, root.version + 1]);
  const { connections } = (await api.call('GET', `${url}/${root.version}/diff/${root.version + 1}`)).body;
  assert.deepEqual([connections.added.length, connections.removed.length], [0, 1]);
  assert.equal((await api.call('POST', `${url}/${root.version}/restore`)).body.root, true);
});

test('converters have revisions as well: diff by field, restore with the name, refusal of an old version', async () => {
  const fields = { type: 'UPLINK', configuration: { scriptLang: 'JS', decoder: 'return {deviceName: "a", deviceType: "t"};' } };
  const { id } = (await api.call('POST', '/api/converter', { body: { name: 'first name', ...fields } })).body;
  const changed = { ...fields, id, name: 'second name', configuration: { ...fields.configuration, decoder: 'return [];' } };
  assert.equal((await api.call('POST', '/api/converter', { body: { ...changed, version: 1 } })).body.version, 2);
  const url = `/api/converter/${id.id}/revisions`;
  assert.deepEqual((await api.call('GET', `${url}/1/diff/2`)).body, {
    from: 1,
    to: 2,
    fields: [
      { path: 'name', from: 'first name', to: 'second name' },
      { path: 'configuration.decoder', from: fields.configuration.decoder, to: 'return [];' },
    ],
  });
  const stale = await api.call('POST', '/api/converter', { body: { ...changed, version: 1 } });
  assert.deepEqual([stale.status, stale.body.differs.fields.length], [409, 2]);
  const restored = (await api.call('POST', `${url}/1/restore`)).body;
  assert.deepEqual([restored.name, restored.configuration.decoder, restored.version], ['first name', fields.configuration.decoder, 3]);
  assert.equal((await api.call('DELETE', `/api/converter/${id.id}`)).status, 200);
  assert.equal((await api.call('GET', `${url}?pageSize=10&page=0`)).status, 404);
});
