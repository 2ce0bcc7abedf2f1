import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#test/support/servers.ts';
import { lintChains } from '../../cli/chain-lint.ts';

const [A, B] = ['00000000-0000-1000-8000-00000000000a', '00000000-0000-1000-8000-00000000000b'];
const call = (ruleChainId: string) => ({
  type: 'org.thingsboard.rule.engine.flow.TbRuleChainInputNode',
  name: 'call',
  configuration: { ruleChainId, forwardMsgToDefaultRuleChain: false },
  configurationVersion: 1,
});
const graph = (id: string, calls: string) => ({
  ruleChainId: { id },
  firstNodeIndex: 0,
  nodes: [call(calls), { type: 'org.thingsboard.rule.engine.flow.TbAckNode', name: 'end', configuration: {} }],
  connections: [{ fromIndex: 0, toIndex: 1, type: 'Failure' }],
});

async function lint(files: Record<string, string>, strict = false) {
  const folder = temporaryFolder('lint');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  let written = '';
  const code = await lintChains(folder, { json: false, strict, client: null, write: (text) => (written += text) });
  return { code, lines: written.replaceAll(`${folder}/`, '').trim().split('\n') };
}
const END = 'many.json: node "end": warning: Failure leads nowhere: what fails here is a dead letter, or is tried again if its queue says so';

test('chain lint: an export of many chains, whose calls are looked up among them', async () => {
  const many = JSON.stringify({
    ruleChains: [
      { id: { id: A }, name: 'A' },
      { id: { id: B }, name: 'B' },
    ],
    metadata: [graph(B, A), graph(A, B)],
  });
  const { code, lines } = await lint({ 'many.json': many, 'other.json': '{"anything": "else"}' });
  assert.deepEqual(lines, [END, END, "many.json: warning: Chains call each other in a circle: 'A' → 'B' → 'A'", '2 chains, 0 errors, 3 warnings']);
  assert.equal(code, 0);
  assert.equal((await lint({ 'many.json': many }, true)).code, 1, 'strict');
});

test('chain lint: a file that is no JSON', async () => {
  const { code, lines } = await lint({ 'cut.json': '{"ruleChain": {"name": ' });
  assert.deepEqual(lines, ['cut.json: error: Not JSON: Unexpected end of JSON input', '1 chain, 1 error, 0 warnings']);
  assert.equal(code, 1);
});

test('chain lint: a folder without chains', async () => {
  await assert.rejects(lint({ 'other.json': '{}' }), /no rule chain files/);
});
