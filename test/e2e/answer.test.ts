import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import {
  createDownlinkConverter,
  createInboundIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  inboundPath,
  ledgerFaults,
  ledgerOf,
  pushToIntegration,
  SAVE_ATTRIBUTES,
  SAVE_TELEMETRY,
  saveChain,
} from '../support/tenant.ts';

/** HTTP and SigFox: a downlink waits under (integration, device) and is the answer to the device's next uplink. */

let product: Product;
before(async () => {
  product = await startProduct();
});
after(() => product?.close());

const DECODER = `const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: m.device, deviceType: 'meter', telemetry: { value: m.value } };`;

const uplink = (integration: Answer, body: object) =>
  product
    .request('POST', inboundPath(integration), body, { token: null })
    .then(({ status, text, headers }) => ({ status, text, type: headers.get('content-type')?.split(';')[0] ?? null }));

async function pushingChain(integration: Answer) {
  await saveChain(product, `for ${integration.name}`, {
    switch: {
      type: 'filter.TbMsgTypeSwitchNode',
      to: { 'Post telemetry': 'save', 'Post attributes': 'attributes', 'Attributes Updated': 'push', 'RPC Request to Device': 'push' },
    },
    save: SAVE_TELEMETRY,
    attributes: SAVE_ATTRIBUTES,
    push: pushToIntegration(integration),
  });
}

const setShared = (device: Answer, values: object) => product.call('POST', `/api/plugins/telemetry/DEVICE/${device.id.id}/SHARED_SCOPE`, values);
const downlinkStates = async (device: Answer): Promise<string[]> =>
  (await product.call('GET', `/api/device/${device.id.id}/downlinks?pageSize=10&page=0`)).data.map((each: Answer) => each.state);

test('HTTP: 204, then the last setting as the answer, then 204 again; the one before it was replaced', async () => {
  const integration = await createInboundIntegration(product, {
    name: 'meters',
    uplink: await createUplinkConverter(product, 'meter uplink', DECODER),
    downlink: await createDownlinkConverter(
      product,
      'meter downlink',
      `return { contentType: 'JSON', data: JSON.stringify(msg), metadata: { 'x-site': integrationMetadata.site } };`,
    ),
    metadata: { site: 'HAM-1' },
  });
  await pushingChain(integration);
  assert.deepEqual(await uplink(integration, { device: 'M-1', value: 1 }), { status: 204, text: '', type: null });
  const device = await deviceByName(product, 'M-1');
  await setShared(device, { period: 60 });
  await setShared(device, { period: 90 });
  await eventually('both are there', async () => (await downlinkStates(device)).length === 2);
  assert.deepEqual((await downlinkStates(device)).sort(), ['QUEUED', 'REPLACED']);
  assert.deepEqual((await ledgerOf(product, integration)).downlinks, { created: 2, sent: 0, pending: 1, replaced: 1, expired: 0, failed: 0 });

  const answer = await product.request('POST', inboundPath(integration), { device: 'M-1', value: 2 }, { token: null });
  assert.deepEqual([answer.status, answer.text, answer.headers.get('x-site')], [200, '{"period":90}', 'HAM-1']);
  assert.deepEqual(await uplink(integration, { device: 'M-1', value: 3 }), { status: 204, text: '', type: null });
  assert.deepEqual((await downlinkStates(device)).sort(), ['DELIVERED', 'REPLACED']);
  const ledger = await ledgerOf(product, integration);
  assert.deepEqual(ledger.downlinks, { created: 2, sent: 1, pending: 0, replaced: 1, expired: 0, failed: 0 });
  assert.deepEqual(ledgerFaults(ledger), []);
});

test('a pending downlink survives kill -9', async () => {
  const integration = await createInboundIntegration(product, {
    name: 'patient meters',
    uplink: await createUplinkConverter(product, 'patient uplink', DECODER),
    downlink: await createDownlinkConverter(
      product,
      'patient downlink',
      `return { contentType: 'TEXT', data: 'period=' + msg.period, metadata: {} };`,
    ),
  });
  await pushingChain(integration);
  await uplink(integration, { device: 'M-2', value: 1 });
  const device = await deviceByName(product, 'M-2');
  await setShared(device, { period: 30 });
  await eventually('it is there', async () => (await downlinkStates(device)).length === 1);
  await product.kill();
  await product.start();
  assert.deepEqual(await uplink(integration, { device: 'M-2', value: 2 }), { status: 200, text: 'period=30', type: 'text/plain' });
});

test('SigFox: 16 hex digits under the id as it came, only for an uplink that asks for it', async () => {
  const integration = await createInboundIntegration(product, {
    name: 'sigfox',
    type: 'SIGFOX',
    uplink: await createUplinkConverter(
      product,
      'sigfox uplink',
      `const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: m.device, deviceType: 'sigfox', telemetry: { ts: m.time + '000', values: { value: parseInt(m.data, 16) } } };`,
    ),
    downlink: await createDownlinkConverter(product, 'sigfox downlink', `return { contentType: 'TEXT', data: msg.data, metadata: {} };`),
  });
  await pushingChain(integration);
  const frame = (ack: unknown) => ({ device: '1B2C3D', time: '1767225600', data: '00e7', seqNumber: '812', ...(ack === undefined ? {} : { ack }) });
  assert.equal((await uplink(integration, frame('true'))).status, 204);
  const device = await deviceByName(product, '1B2C3D');
  await setShared(device, { data: '01f4003c00000000' });
  await eventually('it is there', async () => (await downlinkStates(device)).length === 1);
  assert.equal((await uplink(integration, frame('false'))).status, 204);
  const { status, text, type } = await uplink(integration, frame('true'));
  assert.deepEqual([status, JSON.parse(text), type], [200, { '1B2C3D': { downlinkData: '01f4003c00000000' } }, 'application/json']);

  // Too short: the uplink is answered as if there were none, and the downlink has failed.
  await setShared(device, { data: '01' });
  await eventually('the next is there', async () => (await downlinkStates(device)).length === 2);
  assert.equal((await uplink(integration, frame(undefined))).status, 204);
  assert.deepEqual((await downlinkStates(device)).sort(), ['DELIVERED', 'FAILED']);
});

test('inbound HTTP says precisely what is wrong', async () => {
  const converter = await createUplinkConverter(product, 'strict uplink', DECODER);
  const integration = await createInboundIntegration(product, {
    name: 'strict',
    uplink: converter,
    configuration: { enableSecurity: true, headersFilter: { 'X-Plant-Key': '7h3k' } },
  });
  const path = inboundPath(integration);
  const key = { 'x-plant-key': '7h3k' };
  const status = async (options: { method?: string; path?: string; headers?: Record<string, string>; body?: unknown }) =>
    (
      await product.request(options.method ?? 'POST', options.path ?? path, options.body ?? { device: 'M-3', value: 1 }, {
        token: null,
        headers: { 'content-type': 'application/json', ...(options.headers ?? key) },
      })
    ).status;
  assert.equal(await status({}), 204);
  assert.equal(await status({ method: 'PUT' }), 204);
  assert.equal(await status({ headers: {} }), 403);
  assert.equal(await status({ headers: { 'x-plant-key': '7H3K' } }), 403);
  assert.equal(await status({ path: '/api/v1/integrations/http/2f1c9a4e-5d0b-4a7e-9c51-7d1b0c6a1e10' }), 404);
  assert.equal(await status({ path: path.replace('/http/', '/sigfox/') }), 404);
  assert.equal(await status({ method: 'DELETE' }), 405);
  assert.equal(await status({ body: 'no json' }), 400);
  assert.equal(await status({ body: Buffer.alloc(10 * 1024 * 1024 + 1, 32) }), 413);
  await product.call('POST', '/api/integration', { ...integration, enabled: false });
  await eventually('it is disabled', async () => (await status({})) === 503);
});

test('HTTP: what the chain makes of uplink N is the answer to uplink N + 1, never to N, however fast the device asks', async () => {
  const integration = await createInboundIntegration(product, {
    name: 'echo',
    uplink: await createUplinkConverter(product, 'echo uplink', DECODER),
    downlink: await createDownlinkConverter(product, 'echo downlink', `return { contentType: 'TEXT', data: String(msg.value), metadata: {} };`),
  });
  await saveChain(product, 'echo', {
    switch: { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': ['save', 'push'] } },
    save: SAVE_TELEMETRY,
    push: pushToIntegration(integration),
  });
  const answers: string[] = [];
  for (let n = 1; n <= 40; n++) answers.push((await uplink(integration, { device: 'E-1', value: n })).text);
  assert.deepEqual(answers, ['', ...Array.from({ length: 39 }, (_, i) => String(i + 1))]);
});
