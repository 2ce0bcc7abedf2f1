import assert from 'node:assert/strict';
import test from 'node:test';
import acknowledge from '#rulechains/nodes/flow/acknowledge.ts';
import checkpoint from '#rulechains/nodes/flow/checkpoint.ts';
import output from '#rulechains/nodes/flow/output.ts';
import ruleChain from '#rulechains/nodes/flow/rule-chain.ts';
import { message } from '#test/support/message.ts';
import { NODE, run, services, start } from '#test/support/services.ts';

const TARGET = 'dddddddd-0000-1000-8000-000000000001';
const PROFILE_CHAIN = 'dddddddd-0000-1000-8000-000000000002';
const self = {
  to: 'Failure',
  error: `TbRuleChainInputNode in rule chain [${NODE.chainId}] is configured to forward messages back to the same rule chain it belongs to. This would cause an infinite loop. Please check the rule chain configuration.`,
};

for (const { name, forward, defaultChain, target = TARGET, to } of [
  { name: 'the configured chain', forward: false, defaultChain: PROFILE_CHAIN, to: { call: TARGET } },
  { name: 'the chain of the profile', forward: true, defaultChain: PROFILE_CHAIN, to: { call: PROFILE_CHAIN } },
  { name: 'no chain of the profile', forward: true, defaultChain: null, to: { call: TARGET } },
  { name: 'its own chain', forward: false, defaultChain: null, target: NODE.chainId, to: self },
  { name: 'its own chain by the profile', forward: true, defaultChain: NODE.chainId, to: self },
])
  test(`rule chain: ${name}`, async () => {
    const given = services({ chains: { defaultOf: async () => defaultChain } });
    assert.deepEqual(await run(ruleChain, [message()], { config: { ruleChainId: target, forwardMsgToDefaultRuleChain: forward }, services: given }), [
      to,
    ]);
  });

for (const { ruleChainId, reason } of [
  { ruleChainId: null, reason: 'Rule chain must be set!' },
  { ruleChainId: '', reason: 'Failed to parse rule chain id: ' },
  { ruleChainId: 'abc', reason: 'Failed to parse rule chain id: abc' },
  { ruleChainId: TARGET, reason: `Entity with id: '${TARGET}' specified in the configuration doesn't belong to the current tenant.` },
])
  test(`rule chain: unusable, ${reason}`, () =>
    assert.rejects(start(ruleChain, { config: { ruleChainId }, services: services({ chains: { exists: () => false } }) }), { message: reason }));

test('rule chain: an id that is none is refused at save', () => {
  assert.equal(ruleChain.refuse!({ ruleChainId: 'abc' }), 'Invalid UUID string: abc');
  assert.equal(ruleChain.refuse!({ ruleChainId: '' }), 'Invalid UUID string: ');
  assert.equal(ruleChain.refuse!({ ruleChainId: TARGET }), null);
});

test('output: returns by the name of the node', async () =>
  assert.deepEqual(await run(output, [message()], { node: { name: 'Positive' } }), [{ return: 'Positive' }]));
test('checkpoint: goes into the queue of the node', async () => {
  assert.deepEqual(await run(checkpoint, [message()], { node: { queueName: 'HighPriority' } }), [{ requeue: 'HighPriority' }]);
  assert.deepEqual(await run(checkpoint, [message()]), [{ requeue: null }]);
});
test('acknowledge: goes on', async () => assert.deepEqual(await run(acknowledge, [message()]), [{ to: 'Success', acknowledge: true }]));
