import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProduct } from '../support/product.ts';
import { missing, mosquittoPub, startMosquitto } from '../support/servers.ts';
import { activeIntegration, createMqttIntegration, createUplinkConverter, deviceByName, eventually, integrationStatus } from '../support/tenant.ts';
import { outages } from './outage.ts';

const skip = missing('mosquitto');

test('the broker is away for 5 s: the status tells, it recovers by itself, nothing is lost', { skip }, async (t) => {
  const report = await outages({ times: 1, awayMs: 5000, log: (line) => t.diagnostic(line) });
  assert.ok(report.slowestNoticeMs <= 10_000, `the status told after ${report.slowestNoticeMs.toFixed(0)} ms`);
  assert.ok(report.slowestRecoveryMs <= 15_000, `it recovered after ${report.slowestRecoveryMs.toFixed(0)} ms`);
  assert.deepEqual({ lost: report.lost, ledger: report.ledger }, { lost: 0, ledger: [] });
});

test('a start while the broker is away: ready all the same, and connected when it comes', { skip }, async () => {
  const broker = await startMosquitto();
  const product = await startProduct();
  try {
    const uplink = await createUplinkConverter(product, 'up', `return { deviceName: 'late', deviceType: 't', telemetry: { v: payload[0] } };`);
    const integration = await createMqttIntegration(product, { name: 'late', uplink, port: broker.port, filters: ['late/up'] });
    await activeIntegration(product, integration);
    await product.kill();
    await broker.stop();
    await product.start();
    assert.ok(product.startedInMs < 5000, `it took ${product.startedInMs.toFixed(0)} ms`);
    const status = await eventually('the status says that the broker is away', async () => {
      const now = await integrationStatus(product, integration);
      return now?.success === false && now;
    });
    assert.match(status.error ?? '', /127\.0\.0\.1/);
    await broker.start();
    await activeIntegration(product, integration, 15_000);
    await mosquittoPub(broker, 'late/up', 'x');
    await eventually('its messages come', () => deviceByName(product, 'late'));
  } finally {
    await product.close();
    await broker.close();
  }
});
