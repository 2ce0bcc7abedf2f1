import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProduct } from '../support/product.ts';
import { freePort } from '../support/servers.ts';
import { deviceByName, eventually, latest, ledgerFaults } from '../support/tenant.ts';

test('npm start on a bare machine: a ready line with address and login, a demo device that talks, a setting that reaches it', async () => {
  const product = await startProduct({ env: { DEMO: 'true', DEMO_MQTT_PORT: String(await freePort()) } });
  try {
    const output = await eventually('the ready line', () => product.output().includes('Login') && product.output());
    assert.match(output, new RegExp(`http://localhost:${product.port}`));
    assert.match(output, /tenant@thingsboard\.org \/ tenant/);
    const device = await eventually('the demo device is there', () => deviceByName(product, 'Greenhouse 1'), { deadlineMs: 20_000 });
    const first = await eventually('it talks', async () => {
      const values = await product.call('GET', `/api/plugins/telemetry/DEVICE/${device.id.id}/values/timeseries`);
      return Object.keys(values).length > 0 && values;
    });
    const [key] = Object.keys(first);
    await product.call('POST', `/api/plugins/telemetry/DEVICE/${device.id.id}/SHARED_SCOPE`, { uploadPeriod: 1 });
    await eventually('the setting is delivered', async () => {
      const page = await product.call('GET', `/api/device/${device.id.id}/downlinks?pageSize=1&page=0`);
      return page.data[0]?.state === 'DELIVERED';
    });
    const { ts } = first[key!][0];
    await eventually('and it goes on talking', async () => {
      const now = await product.call('GET', `/api/plugins/telemetry/DEVICE/${device.id.id}/values/timeseries?keys=${key}`);
      return now[key!][0].ts > ts && (await latest(product, device.id.id, [key!]));
    });
    const took = await product.stop();
    assert.ok(took < 5000, `the end took ${took.toFixed(0)} ms`);
    await product.start();
    for (const { id } of (await product.call('GET', '/api/integrations?pageSize=10&page=0')).data) {
      const faults = await eventually('nothing is in flight', async () => {
        const ledger = await product.call('GET', `/api/integration/${id.id}/ledger`);
        return ledger.messages.inFlight === 0 && { of: ledgerFaults(ledger) };
      });
      assert.deepEqual(faults.of, []);
    }
  } finally {
    await product.close();
  }
});
