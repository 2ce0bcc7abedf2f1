import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Product, startProduct } from '../support/product.ts';
import { createInboundIntegration, createUplinkConverter, deviceByName, eventually, inboundPath, latest } from '../support/tenant.ts';
import { neighbours } from './hostile.ts';
import { HOSTILE } from './hostile-scripts.ts';

let product: Product;
before(async () => {
  product = await startProduct();
});
after(() => product?.close());

const GOOD = `const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: m.d, deviceType: 'good', telemetry: { v: [m.v].map(function (x) { return x * 2; })[0] } };`;

// What hurts nobody may also succeed: some of these give a result, or nothing to store.
const HARMLESS = new Set(['redefines what others use', 'an endless microtask', 'a thenable that never answers', 'a huge array']);

for (const [name, decoder] of Object.entries(HOSTILE)) {
  test(`the test dialog answers within 6 s: ${name}`, async () => {
    const begin = performance.now();
    const answer = await product.call('POST', '/api/converter/testUpLink', { metadata: {}, payload: 'AQI=', decoder });
    assert.ok(performance.now() - begin <= 6000, `it took ${(performance.now() - begin).toFixed(0)} ms`);
    if (!HARMLESS.has(name)) assert.notEqual(answer.error, '', 'a text says what is wrong');
  });

  test(`an uplink ends, and the next of another converter is served: ${name}`, async () => {
    const bad = await createInboundIntegration(product, {
      name: `bad: ${name}`,
      uplink: await createUplinkConverter(product, `bad: ${name}`, decoder),
    });
    const good = await createInboundIntegration(product, {
      name: `good beside: ${name}`,
      uplink: await createUplinkConverter(product, `good beside: ${name}`, GOOD),
    });
    const [hurt] = await Promise.all([
      product.request('POST', inboundPath(bad), '{}', { token: null }),
      product.request('POST', inboundPath(good), { d: `beside ${name}`, v: 20 }, { token: null }),
    ]);
    assert.ok(hurt.status === 400 || HARMLESS.has(name), `the hostile one was answered ${hurt.status}: ${hurt.text}`);
    const { status } = await product.request('POST', inboundPath(good), { d: `beside ${name}`, v: 21 }, { token: null });
    assert.equal(status, 204);
    const device = await deviceByName(product, `beside ${name}`);
    await eventually('its value is right', async () => (await latest(product, device.id.id, ['v']))['v'] === 42);
  });
}

test('neighbours of hostile converters go on', async (t) => {
  const report = await neighbours({ hostile: 6, seconds: 4, log: (line) => t.diagnostic(line) });
  assert.deepEqual({ refused: report.refused, ledger: report.ledger }, { refused: 0, ledger: [] });
  // The full run holds the factor of 2; here the other files of the suite want the cores too.
  assert.ok(
    report.perSecondBeside >= report.perSecondAlone / 4,
    `${report.perSecondBeside.toFixed(0)}/s beside, ${report.perSecondAlone.toFixed(0)}/s alone`,
  );
});
