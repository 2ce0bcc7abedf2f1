import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startCluster } from '../support/cluster.ts';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import { missing } from '../support/servers.ts';
import {
  createDownlinkConverter,
  createInboundIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  inboundPath,
  pushToIntegration,
  SAVE_TELEMETRY,
  saveChain,
  scriptFilter,
} from '../support/tenant.ts';

/** One message from the request of its sender to the answer that it caused, on both shapes: asked of one process, seen by others. */

const DECODER = `const m = JSON.parse(String.fromCharCode.apply(String, payload));
if (m.broken) throw 'broken sensor';
return { deviceName: m.device, deviceType: 'meter', telemetry: { value: m.value } };`;
const ENCODER = `return { contentType: 'JSON', data: JSON.stringify({ ack: msg.value }), metadata: {} };`;

const SHAPES = [
  { name: 'embedded', skip: false as string | false, start: () => startProduct() },
  { name: 'several processes', skip: missing('redis') || missing('mongo'), start: () => startCluster() },
];

for (const { name, skip, start } of SHAPES) {
  describe(`journeys: ${name}`, { skip }, () => {
    let product: Product;
    let integration: Answer;
    let chain: Answer;
    const send = (body: object) => product.request('POST', inboundPath(integration), body, { token: null });
    const journey = (id: string): Promise<Answer> => product.call('GET', `/api/messages/${id}/journey`);
    const search = async (query = ''): Promise<Answer[]> => (await product.call('GET', `/api/messages?pageSize=100&page=0${query}`)).data;

    before(async () => {
      product = await start();
      integration = await createInboundIntegration(product, {
        name: 'meters',
        uplink: await createUplinkConverter(product, 'up', DECODER),
        downlink: await createDownlinkConverter(product, 'down', ENCODER),
      });
      chain = await saveChain(product, 'meters', {
        switch: { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': ['plausible', 'answer'] } },
        plausible: { ...scriptFilter('return msg.value < 100;'), to: { True: 'save' } },
        save: SAVE_TELEMETRY,
        answer: pushToIntegration(integration),
      });
      await eventually('the integration is there', async () => (await send({ device: 'M', value: 1 })).status < 300, { deadlineMs: 10_000 });
    });
    after(() => product?.close());

    test('uplink, converter, chain, fork, downlink and its receipt; by the id of each', async () => {
      const device = await deviceByName(product, 'M');
      let first: Answer;
      await eventually('the downlink waits', async () => {
        [first] = (await search(`&deviceId=${device.id.id}&integrationId=${integration.id.id}&outcome=stored`)).filter(
          (each) => each.type === 'POST_TELEMETRY_REQUEST',
        );
        return first !== undefined;
      });
      await send({ device: 'M', value: 2 });
      let found: Answer;
      let telemetry: Answer;
      await eventually('the answer is delivered', async () => {
        found = await journey(first.id);
        telemetry = found.messages.find((each: Answer) => each.type === 'POST_TELEMETRY_REQUEST');
        const downlink = telemetry?.steps[0]?.branches[1]?.steps[0]?.downlinks[0];
        return downlink?.state === 'DELIVERED' && downlink.parts.length > 0;
      });
      assert.deepEqual(
        [found.uplink.payload, found.uplink.outcome, found.uplink.integration.name],
        ['{"device":"M","value":1}', 'converted', 'meters'],
      );
      assert.equal(JSON.parse(found.uplink.converter.out).telemetry.value, 1);
      const [save, answer] = telemetry.steps[0].branches;
      assert.deepEqual(
        save.steps.map((step: Answer) => [step.node.name, step.to, step.wrote?.telemetry?.[0].values ?? null]),
        [
          ['plausible', ['True'], null],
          ['save', ['Success'], { value: 1 }],
        ],
      );
      const [downlink] = answer.steps[0].downlinks;
      assert.deepEqual(
        [downlink.parts[0].data, downlink.history.map((each: Answer) => each.state)],
        ['{"ack":1}', ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED']],
      );
      assert.deepEqual([found.outcome, found.complete, found.missing], ['stored', true, []]);
      for (const id of [found.uplink.id, save.id, answer.id, downlink.id]) assert.deepEqual({ ...(await journey(id)), id: first.id }, found);
    });

    test('a converter that throws: searched by outcome and text', async () => {
      await send({ device: 'M', broken: true });
      const [dead, ...others] = await search('&outcome=dead&text=BROKEN%20sensor');
      assert.deepEqual([dead.integrationId, dead.reason, others], [integration.id.id, 'broken sensor', []]);
      assert.equal((await journey(dead.id)).uplink.payload, '{"device":"M","broken":true}');
    });

    test('statistics of nodes and integration are those of all processes', async () => {
      const { nodes } = await product.call('GET', `/api/ruleChain/${chain.id.id}/statistics`);
      const of = Object.fromEntries(nodes.map((each: Answer) => [each.name, each]));
      const { accept, converter, failures, failuresByReason } = await product.call('GET', `/api/integration/${integration.id.id}/statistics`);
      assert.equal(of.plausible.count, of.save.count);
      assert.ok(of.save.count >= 2 && of.save.p50Ms > 0 && of.save.p99Ms >= of.save.p50Ms);
      assert.ok(accept.count >= 3 && converter.p50Ms > 0);
      assert.deepEqual([failures, failuresByReason], [1, [{ reason: 'broken sensor', count: 1 }]]);
    });

    test('a restart finds them again, and a removed integration takes its uplinks with it', async () => {
      const before = await search();
      await product.kill();
      await product.start();
      assert.deepEqual(
        (await search()).map(({ id }) => id),
        before.map(({ id }) => id),
      );
      await product.call('DELETE', `/api/integration/${integration.id.id}`);
      await eventually('its uplinks are gone', async () => (await search('&outcome=dead')).length === 0);
    });
  });
}
