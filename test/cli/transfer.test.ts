import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import { temporaryFolder } from '../support/servers.ts';

const ROOT = join(import.meta.dirname, '../..');
let product: Product;
let folder: string;

before(async () => {
  folder = temporaryFolder('transfer');
  product = await startProduct({ env: { DEMO: 'false' } });
});
after(() => product.close());

const ACK = 'org.thingsboard.rule.engine.flow.TbAckNode';
const FILTER = 'org.thingsboard.rule.engine.filter.TbJsFilterNode';
const chain = (name: string, nodes: readonly Answer[], connections: readonly Answer[] = []) => ({
  ruleChain: { name, type: 'CORE', debugMode: false },
  metadata: { firstNodeIndex: 0, nodes, connections, ruleChainConnections: null },
});
const node = (name: string, type: string, configuration: Answer = {}) => ({ name, type, configuration, additionalInfo: {} });

/** The command with a file of this content. */
function importFile(what: 'chain' | 'converter', content: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const file = join(folder, 'import.json');
  writeFileSync(file, content);
  const args = ['bin/fieldbridge.mjs', what, 'import', file, '--json', '--url', product.url];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: ROOT }, (cause, stdout, stderr) => {
      resolve({ code: cause === null ? 0 : Number(cause.code), stdout, stderr: stderr.replaceAll(file, 'FILE') });
    });
  });
}

test('chain import: nodes that can not run are named with their reasons', async () => {
  const file = chain('with problems', [node('good', ACK), node('strange', 'org.example.Strange'), node('broken', FILTER, { jsScript: 'return ((' })]);
  const { code, stdout } = await importFile('chain', JSON.stringify(file));
  assert.equal(code, 0);
  const { name, problems } = JSON.parse(stdout) as Answer;
  assert.equal(name, 'with problems');
  assert.deepEqual(
    problems.map((problem: Answer) => [problem.node, problem.reason.replace(/:.*/, '')]),
    [
      ['strange', "Rule node type 'org.example.Strange' is not supported!"],
      ['broken', 'Unexpected error when creating script engine'],
    ],
  );
});

test('chain import: a refused graph leaves no chain behind', async () => {
  const file = chain('refused', [node('good', ACK)], [{ fromIndex: 0, toIndex: 99, type: 'Success' }]);
  assert.deepEqual(await importFile('chain', JSON.stringify(file)), { code: 1, stdout: '', stderr: 'Index 99 out of bounds for length 1\n' });
  const { data } = await product.call('GET', '/api/ruleChains?pageSize=10&page=0&textSearch=refused');
  assert.deepEqual(data, []);
});

for (const { what, content, says } of [
  { what: 'chain', content: 'null', says: 'FILE is no rule chain file: it has no "ruleChain" with a name and "metadata"' },
  { what: 'chain', content: '[]', says: 'FILE is no rule chain file: it has no "ruleChain" with a name and "metadata"' },
  { what: 'chain', content: '{', says: 'FILE is not JSON: ' },
  { what: 'converter', content: 'null', says: 'FILE is no converter file: it has no "name" and "type"' },
  { what: 'converter', content: '{"entityType":"CONVERTER"}', says: 'FILE is no converter file: it has no "name" and "type"' },
] as const) {
  test(`${what} import: ${content} is no such file`, async () => {
    const { code, stdout, stderr } = await importFile(what, content);
    assert.deepEqual([code, stdout, stderr.startsWith(says)], [1, '', true], stderr);
  });
}
