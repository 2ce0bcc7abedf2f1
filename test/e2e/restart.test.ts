import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { onThisMachine } from '#test/support/wait.ts';
import { type Product, startProduct } from '../support/product.ts';
import { processTree } from '../support/product-process.ts';
import {
  createDownlinkConverter,
  createInboundIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  inboundPath,
  latest,
  ledgerOf,
  pushToIntegration,
  saveChain,
} from '../support/tenant.ts';

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
  assert.ok(product.startedInMs < onThisMachine(5000), `it took ${product.startedInMs.toFixed(0)} ms`);

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
  assert.ok(took < onThisMachine(5000), `it took ${took.toFixed(0)} ms`);
  assert.equal(await product.ended(), 0);
  for (const pid of children) await eventually(`child ${pid} is gone`, () => !alive(pid), { deadlineMs: 2000 });
  await product.start();
});

test('a clean end in the midst of messages loses no downlink of theirs', async () => {
  const uplink = await createUplinkConverter(
    product,
    'stop up',
    `const m = JSON.parse(String.fromCharCode.apply(String, payload)); return { deviceName: 'S-' + m.n, deviceType: 't', telemetry: { n: m.n } };`,
  );
  const downlink = await createDownlinkConverter(product, 'stop down', `return { contentType: 'JSON', data: JSON.stringify(msg), metadata: {} };`);
  const integration = await createInboundIntegration(product, { name: 'stop', uplink });
  const target = await createInboundIntegration(product, { name: 'stop target', uplink, downlink });
  // Slow enough that much waits in the lanes when the end comes.
  const slow = {
    type: 'filter.TbJsFilterNode',
    configuration: { scriptLang: 'JS', jsScript: 'let x = 0; for (let i = 0; i < 2e5; i++) x += i; return x > 0;' },
  };
  await saveChain(product, 'stop', {
    switch: { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': 'slow' } },
    slow: { ...slow, to: { True: 'push' } },
    push: pushToIntegration(target),
  });
  const answers = await Promise.all(
    Array.from({ length: 600 }, (_, n) => product.request('POST', inboundPath(integration), { n }, { token: null }).then(({ status }) => status)),
  );
  assert.deepEqual(new Set(answers), new Set([204]));
  assert.ok((await ledgerOf(product, integration)).messages.inFlight > 0, 'something waits in the lanes');
  await product.stop();
  await product.start();
  const { messages } = await eventually('all is worked on', async () => {
    const ledger = await ledgerOf(product, integration);
    return ledger.messages.inFlight === 0 && ledger;
  });
  const { downlinks } = await ledgerOf(product, target);
  assert.deepEqual([messages.dead, downlinks.created, downlinks.pending], [0, 600, 600]);
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
