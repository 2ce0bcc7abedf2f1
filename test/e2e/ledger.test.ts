import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Product, startProduct } from '../support/product.ts';
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
  SAVE_TELEMETRY,
  saveChain,
} from '../support/tenant.ts';

/** *In flight* and *pending* are counted from rows, never computed from the other terms: who removes a row behind the ledger's back is found out. */

const change = (product: Product, sql: string): number => {
  const file = new DatabaseSync(join(product.dataFolder, 'fieldbridge.db'));
  const { changes } = file.prepare(sql).run();
  file.close();
  return Number(changes);
};

async function plant(product: Product) {
  const uplink = await createUplinkConverter(
    product,
    'up',
    `const m = JSON.parse(String.fromCharCode.apply(String, payload)); return { deviceName: m.d, deviceType: 't', telemetry: { v: m.v } };`,
  );
  const downlink = await createDownlinkConverter(product, 'down', `return { contentType: 'TEXT', data: 'x', metadata: {} };`);
  const integration = await createInboundIntegration(product, { name: 'in', uplink, downlink });
  await saveChain(product, 'root', {
    switch: { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': 'save', 'Attributes Updated': 'push' } },
    save: SAVE_TELEMETRY,
    push: pushToIntegration(integration),
  });
  const send = (v: number) => product.request('POST', inboundPath(integration), { d: 'L-1', v }, { token: null });
  return { integration, send };
}

test('a pending downlink that vanishes is missed', async () => {
  const product = await startProduct();
  try {
    const { integration, send } = await plant(product);
    await send(1);
    const device = await deviceByName(product, 'L-1');
    await product.call('POST', `/api/plugins/telemetry/DEVICE/${device.id.id}/SHARED_SCOPE`, { period: 1 });
    await eventually('it waits', async () => (await ledgerOf(product, integration)).downlinks.pending === 1);
    assert.deepEqual(ledgerFaults(await ledgerOf(product, integration)), []);
    await product.stop();
    assert.equal(change(product, 'DELETE FROM downlinks'), 1);
    await product.start();
    assert.deepEqual(ledgerFaults(await ledgerOf(product, integration)), ['downlinks: 1 created, 0 accounted for']);
  } finally {
    await product.close();
  }
});

test('a message that vanishes from its lane is missed', async () => {
  const product = await startProduct();
  try {
    const { integration, send } = await plant(product);
    await product.stop();
    // Ended in the middle of the chain: the message is in its lane, and the peer has its answer or not.
    await product.start({ FIELDBRIDGE_KILL_AT: 'mid-chain:1' });
    await send(1).catch(() => {});
    assert.equal(await product.ended(), 'SIGKILL');
    assert.ok(change(product, 'DELETE FROM lane WHERE owner = (SELECT max(owner) FROM lane)') > 0);
    await product.start();
    const faults = await eventually('the rest is worked on', async () => {
      const ledger = await ledgerOf(product, integration);
      const tenant = await product.call('GET', '/api/ledger');
      return ledger.messages.inFlight + tenant.messages.inFlight === 0 && { of: [...ledgerFaults(ledger), ...ledgerFaults(tenant)] };
    });
    assert.equal(faults.of.length, 1, faults.of.join('; '));
    assert.match(faults.of[0]!, /^messages: \d+ created, \d+ accounted for$/);
  } finally {
    await product.close();
  }
});
