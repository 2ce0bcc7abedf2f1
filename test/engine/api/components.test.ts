import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const PREFIX = 'org.thingsboard.rule.engine.';
const definition = async (type: string) => (await api.call('GET', `/api/component/${PREFIX}${type}`)).body.configurationDescriptor.nodeDefinition;

/** What a node's arrows may be called, as recorded; `Failure` is every node's. */
for (const { type, relations } of [
  { type: 'action.TbCreateAlarmNode', relations: ['Created', 'Updated', 'False', 'Failure'] },
  { type: 'flow.TbRuleChainOutputNode', relations: ['Success', 'Failure'] },
  { type: 'flow.TbRuleChainInputNode', relations: ['Failure'] },
  { type: 'filter.TbJsFilterNode', relations: ['True', 'False', 'Failure'] },
]) {
  test(`components: the arrows of ${type}`, async () => assert.deepEqual((await definition(type)).relationTypes, relations));
}

test('components: the message type switch lists 41 labels of the recorded server, and none of those that only the other edition sends', async () => {
  const { relationTypes, defaultConfiguration } = await definition('filter.TbMsgTypeSwitchNode');
  assert.deepEqual(
    [relationTypes.length, relationTypes.slice(0, 3), relationTypes.slice(-3), relationTypes.includes('Owner changed'), defaultConfiguration],
    [43, ['Post attributes', 'Post telemetry', 'RPC Request from Device'], ['REST API request', 'Other', 'Failure'], false, { version: 0 }],
  );
});

test('components: flow nodes come in the order of the recorded palette', async () => {
  const { body } = await api.call('GET', '/api/components?componentTypes=FLOW&ruleChainType=EDGE');
  assert.deepEqual(
    body.map(({ name, configurationDescriptor: { nodeDefinition } }: { name: string; configurationDescriptor: { nodeDefinition: unknown } }) => [
      name,
      (nodeDefinition as { defaultConfiguration: unknown }).defaultConfiguration,
    ]),
    [
      ['output', { version: 0 }],
      ['checkpoint', { version: 0 }],
      ['rule chain', { ruleChainId: null, forwardMsgToDefaultRuleChain: false }],
      ['acknowledge', { version: 0 }],
    ],
  );
});
