import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Product, startProduct } from '../support/product.ts';
import { processTree } from '../support/product-process.ts';
import { createInboundIntegration, createUplinkConverter, deviceByName, eventually, inboundPath, latest } from '../support/tenant.ts';

/** What a restart keeps, and how fast it is back. */

let product: Product;
before(async () => {
  product = await startProduct();
});
after(() => product?.close());

test('login, users, converters, routing keys and data survive kill -9; it is ready again within 5 s', async () => {
  const uplink = await createUplinkConverter(
    product,
    'up',
    `const m = JSON.parse(String.fromCharCode.apply(String, payload)); return { deviceName: m.d, deviceType: 't', telemetry: { v: m.v } };`,
  );
  const integration = await createInboundIntegration(product, { name: 'in', uplink });
  const send = (v: number) => product.request('POST', inboundPath(integration), { d: 'D-1', v }, { token: null });
  assert.equal((await send(1)).status, 204);
  const device = await deviceByName(product, 'D-1');
  await product.kill();
  await product.start();
  assert.ok(product.startedInMs < 5000, `it took ${product.startedInMs.toFixed(0)} ms`);

  // The token of before the kill.
  assert.equal((await product.call('GET', '/api/auth/user')).email, 'tenant@thingsboard.org');
  assert.deepEqual(
    await eventually('the value is stored', async () => {
      const values = await latest(product, device.id.id, ['v']);
      return values['v'] !== null && values;
    }),
    { v: 1 },
  );
  assert.equal((await send(2)).status, 204);
  await eventually('the next value is stored', async () => (await latest(product, device.id.id, ['v']))['v'] === 2);
});

test('SIGTERM ends it in under 5 s, with everything it started', async () => {
  const children = processTree(product.pid).slice(1);
  const took = await product.stop();
  assert.ok(took < 5000, `it took ${took.toFixed(0)} ms`);
  assert.equal(await product.ended(), 0);
  for (const pid of children) await eventually(`child ${pid} is gone`, () => !alive(pid), { deadlineMs: 2000 });
  await product.start();
});

test('kill -9 leaves no script host behind', async () => {
  const children = processTree(product.pid).slice(1);
  assert.ok(children.length > 0, 'there is a script host');
  await product.kill();
  for (const pid of children) await eventually(`child ${pid} is gone`, () => !alive(pid), { deadlineMs: 2000 });
  await product.start();
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
