import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import { type Broker, missing, mosquittoPub, mosquittoSub, startMosquitto, temporaryFolder } from '../support/servers.ts';
import {
  activeIntegration,
  createDownlinkConverter,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  importChain,
  ledgerFaults,
  ledgerOf,
} from '../support/tenant.ts';

/** Published chains of ThingsBoard PE, in their old format, imported unchanged but for the integration's id: a setting and a command go out to the device. */

const skip = missing('mosquitto');
const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

const DECODER = `const m = decodeToJson(payload);
return { deviceName: m.sn, deviceType: 'valve', telemetry: { t: m.t } };
function decodeToJson(bytes) { return JSON.parse(String.fromCharCode.apply(String, bytes)); }`;
const ENCODER = `return { contentType: 'JSON', data: JSON.stringify({ type: msgType, msg: msg }), metadata: { topic: 'plant/' + metadata.deviceName + '/down' } };`;

let product: Product;
let broker: Broker;
let integration: Answer;
let device: Answer;
let folder: string;

/** The chain file with the id of our integration in place of the author's. */
function chainFile(name: string): { ruleChain: Answer; metadata: Answer } {
  const file = JSON.parse(readFileSync(join(import.meta.dirname, 'chains', `${name}.json`), 'utf8'));
  for (const node of file.metadata.nodes) if ('integrationId' in node.configuration) node.configuration.integrationId = integration.id.id;
  return file;
}

before(async () => {
  if (skip) return;
  folder = temporaryFolder('cli');
  broker = await startMosquitto();
  product = await startProduct();
  const uplink = await createUplinkConverter(product, 'valve uplink', DECODER);
  const downlink = await createDownlinkConverter(product, 'valve downlink', ENCODER);
  integration = await createMqttIntegration(product, { name: 'Plant', uplink, downlink, port: broker.port, filters: ['plant/+/up'] });
  await activeIntegration(product, integration);
  await mosquittoPub(broker, 'plant/V-1/up', '{"sn":"V-1","t":1}');
  device = await eventually('the device is there', () => deviceByName(product, 'V-1'));
});
after(async () => {
  if (folder) rmSync(folder, { recursive: true, force: true });
  await product?.close();
  await broker?.close();
});

test('the downlink example chain, imported by REST: an attribute set by REST is published', { skip }, async () => {
  const subscription = await mosquittoSub(broker, 'plant/V-1/down');
  try {
    const chain = await importChain(product, chainFile('downlink-example'), { root: true });
    assert.equal(chain.root, true);
    await product.call('POST', `/api/plugins/telemetry/DEVICE/${device.id.id}/SHARED_SCOPE`, { temperatureUploadFrequency: 60 });
    const { topic, payload } = await subscription.next();
    assert.equal(topic, 'plant/V-1/down');
    assert.deepEqual(JSON.parse(payload), { type: 'ATTRIBUTES_UPDATED', msg: { temperatureUploadFrequency: 60 } });
  } finally {
    await subscription.close();
  }
});

test('the life of that downlink: each state with its time, delivered when the broker confirmed it', { skip }, async () => {
  const downlink = await eventually('the downlink is delivered', async () => {
    const page = await product.call('GET', `/api/device/${device.id.id}/downlinks?pageSize=10&page=0`);
    return page.totalElements === 1 && page.data[0].state === 'DELIVERED' && page.data[0];
  });
  assert.deepEqual(
    downlink.history.map((step: Answer) => step.state),
    ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED'],
  );
  const times = downlink.history.map((step: Answer) => step.ts);
  assert.deepEqual(
    times,
    times.toSorted((a: number, b: number) => a - b),
  );
  assert.equal(downlink.deviceId, device.id.id);
  assert.equal(downlink.integrationId, integration.id.id);
  assert.deepEqual(await product.call('GET', `/api/downlink/${downlink.id}`), downlink);
});

test('the MQTT downlink root chain, imported by the command line: a one-way RPC is published and answered 200', { skip }, async () => {
  const file = join(folder, 'chain.json');
  writeFileSync(file, JSON.stringify(chainFile('mqtt-downlink-root')));
  const { stdout } = await run(process.execPath, ['bin/fieldbridge.mjs', 'chain', 'import', file, '--root', '--json', '--url', product.url], {
    cwd: ROOT,
  });
  const imported = JSON.parse(stdout);
  assert.equal((await product.call('GET', `/api/ruleChain/${imported.id}`)).root, true);

  const subscription = await mosquittoSub(broker, 'plant/V-1/down');
  try {
    for (const path of ['/api/rpc/oneway', '/api/plugins/rpc/oneway']) {
      const begin = performance.now();
      const { status, text } = await product.request('POST', `${path}/${device.id.id}`, { method: 'open', params: { percent: 30 } });
      assert.equal(status, 200, text);
      assert.ok(performance.now() - begin < 4000, 'it is answered when the downlink is taken, not at its time-out');
      const { type, msg } = JSON.parse((await subscription.next()).payload);
      assert.equal(type, 'RPC_CALL_FROM_SERVER_TO_DEVICE');
      assert.equal(msg.method, 'open');
      assert.deepEqual(JSON.parse(msg.params), { percent: 30 });
    }
  } finally {
    await subscription.close();
  }
});

test('exported again, the chain is the one that was imported', { skip }, async () => {
  const exported = join(folder, 'exported.json');
  await run(process.execPath, ['bin/fieldbridge.mjs', 'chain', 'export', 'MQTT Downlink Root Rule Chain', '--out', exported, '--url', product.url], {
    cwd: ROOT,
  });
  const file = JSON.parse(readFileSync(exported, 'utf8'));
  const original = chainFile('mqtt-downlink-root');
  const graph = ({ metadata }: { metadata: Answer }) => ({
    first: metadata.nodes[metadata.firstNodeIndex].name,
    nodes: metadata.nodes.map((node: Answer) => `${node.type} ${node.name} ${node.additionalInfo.layoutX}`).sort(),
    connections: metadata.connections
      .map(({ fromIndex, toIndex, type }: Answer) => `${metadata.nodes[fromIndex].name} ${type} ${metadata.nodes[toIndex].name}`)
      .sort(),
  });
  assert.deepEqual(graph(file), graph(original));
  assert.equal(file.ruleChain.root, false);
  assert.equal('id' in file.ruleChain, false);

  // And what was exported comes in again as it is.
  const { stdout } = await run(process.execPath, ['bin/fieldbridge.mjs', 'chain', 'import', exported, '--json', '--url', product.url], { cwd: ROOT });
  const twin = await product.call('GET', `/api/ruleChain/${JSON.parse(stdout).id}/metadata`);
  assert.deepEqual(graph({ metadata: twin }), graph(file));
});

test('an RPC that nothing takes is answered at its time-out: 504, on the older path 409', { skip }, async () => {
  const silent = await importChain(
    product,
    {
      ruleChain: { name: 'silent', type: 'CORE' },
      metadata: {
        firstNodeIndex: 0,
        nodes: [
          { type: 'org.thingsboard.rule.engine.filter.TbMsgTypeSwitchNode', name: 'switch', configuration: { version: 0 }, additionalInfo: {} },
        ],
        connections: [],
      },
    },
    { root: true },
  );
  assert.equal(silent.root, true);
  const call = (path: string) =>
    product.request('POST', `${path}/${device.id.id}`, { method: 'open', params: {}, timeout: 5000 }).then(({ status }) => status);
  assert.deepEqual(await Promise.all([call('/api/rpc/oneway'), call('/api/plugins/rpc/oneway')]), [504, 409]);
});

test('the ledger counts every downlink at its integration', { skip }, async () => {
  const ledger = await ledgerOf(product, integration);
  assert.deepEqual(ledgerFaults(ledger), []);
  assert.deepEqual(ledger.downlinks, { created: 3, sent: 3, pending: 0, replaced: 0, expired: 0, failed: 0 });
});
