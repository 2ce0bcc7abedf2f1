import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import {
  createInboundIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  inboundPath,
  latest,
  ledgerFaults,
  ledgerOf,
} from '../support/tenant.ts';

/** Payloads and converter results that are wrong in every way: the sender is told, a dead letter keeps it, the neighbours do not notice. */

let product: Product;
let echo: Answer;
let parsing: Answer;
before(async () => {
  product = await startProduct();
  // The payload is the result, or a word for one that JSON can not say.
  echo = await createInboundIntegration(product, {
    name: 'echo',
    uplink: await createUplinkConverter(
      product,
      'echo',
      `const text = decodeToString(payload);
if (text === 'throw') throw new Error('out of order');
if (text === 'undefined') return undefined;
if (text === 'function') return function () {};
if (text === 'NaN') return NaN;
return JSON.parse(text);`,
    ),
  });
  parsing = await createInboundIntegration(product, {
    name: 'parsing',
    uplink: await createUplinkConverter(
      product,
      'parsing',
      `const m = decodeToJson(payload); return { deviceName: String(m.d), deviceType: 'parsed', telemetry: { v: m.v } };`,
    ),
  });
});
after(() => product?.close());

const send = (integration: Answer, body: string | Uint8Array, type = 'application/json') =>
  product.request('POST', inboundPath(integration), body, { token: null, headers: { 'content-type': type } });

async function newestDeadLetter(integration: Answer): Promise<Answer> {
  return (await product.call('GET', `/api/deadLetters?integrationId=${integration.id.id}&pageSize=1&page=0`)).data[0];
}

const D = '"deviceName":"E-1","deviceType":"e"';
// The error table of specs/integrations.md §2.2.
const WRONG: readonly { result: string; error: string | RegExp }[] = [
  { result: 'throw', error: /out of order/ },
  { result: '5', error: 'Converter must return an object or an array of objects' },
  { result: '"text"', error: 'Converter must return an object or an array of objects' },
  { result: 'true', error: 'Converter must return an object or an array of objects' },
  { result: `[{${D}},7]`, error: "Can't parse value: 7" },
  { result: `[{${D}},null]`, error: "Can't parse value: null" },
  { result: '{"deviceType":"e"}', error: "Either 'deviceName' or 'assetName' must be specified" },
  { result: '{"telemetry":{"a":1}}', error: "Either 'deviceName' or 'assetName' must be specified" },
  { result: '{"deviceName":"  ","deviceType":"e"}', error: "Either 'deviceName' or 'assetName' must be specified" },
  { result: '{"deviceName":{"a":1},"deviceType":"e"}', error: "Either 'deviceName' or 'assetName' must be specified" },
  { result: '{"deviceName":"E-1"}', error: "'deviceType' must be specified" },
  { result: '{"assetName":"E-1"}', error: "'assetType' must be specified" },
  { result: '{"deviceName":"E-1","deviceType":""}', error: "'deviceType' must be specified" },
  { result: `{${D},"assetName":"A","assetType":"a"}`, error: "Only one of 'deviceName' and 'assetName' may be specified" },
  { result: `{${D},"telemetry":5}`, error: "Can't parse value: 5" },
  { result: `{${D},"telemetry":[5]}`, error: "Can't parse value: 5" },
  { result: `{${D},"attributes":[1]}`, error: "Can't parse value: [1]" },
  { result: `{${D},"telemetry":{"ts":1,"values":7}}`, error: "Can't parse value: 7" },
  { result: `{${D},"telemetry":{"ts":"yesterday","values":{"a":1}}}`, error: 'Invalid timestamp: yesterday' },
  { result: `{${D},"telemetry":{"ts":0,"values":{"a":1}}}`, error: 'Invalid timestamp: 0' },
  { result: `{${D},"telemetry":{"ts":-5,"values":{"a":1}}}`, error: 'Invalid timestamp: -5' },
  { result: `{${D},"telemetry":{"":1}}`, error: 'Invalid key: ' },
  { result: `{${D},"telemetry":{"${'k'.repeat(256)}":1}}`, error: `Invalid key: ${'k'.repeat(256)}` },
  { result: `{${D},"attributes":{"${'k'.repeat(256)}":1}}`, error: `Invalid key: ${'k'.repeat(256)}` },
];

for (const { result, error } of WRONG) {
  test(`a converter returns ${result.length > 70 ? `${result.slice(0, 70)}…` : result}`, async () => {
    const { status, json } = await send(echo, result);
    assert.equal(status, 400);
    assert.equal(json.status, 400);
    const letter = await newestDeadLetter(echo);
    for (const text of [json.message, letter.reason]) {
      if (typeof error === 'string') assert.equal(text, error);
      else assert.match(text, error);
    }
    assert.equal(letter.stage, 'uplink');
    assert.equal(Buffer.from(letter.payload, 'base64').toString(), result);
  });
}

for (const result of ['undefined', 'null', '{}', '[]']) {
  test(`a converter returns ${result}: nothing to store, and no error`, async () => {
    const before = (await ledgerOf(product, echo)).uplinks;
    assert.equal((await send(echo, result)).status, 204);
    const { uplinks } = await ledgerOf(product, echo);
    assert.deepEqual(uplinks, { ...before, received: before.received + 1, empty: before.empty + 1 });
  });
}

test('one wrong object in an array stores nothing of it', async () => {
  assert.equal((await send(echo, `[{"deviceName":"never","deviceType":"e","telemetry":{"a":1}},{"deviceName":"E-2"}]`)).status, 400);
  assert.equal((await product.request('GET', '/api/tenant/devices?deviceName=never')).status, 404);
});

const DEEP = '['.repeat(10_000) + ']'.repeat(10_000);
const PAYLOADS: readonly { name: string; body: string | Uint8Array; status: number }[] = [
  { name: 'empty', body: '', status: 400 },
  { name: 'broken JSON', body: '{"d":"P-1","v":', status: 400 },
  { name: 'broken UTF-8', body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0xc0, 0x80]), status: 400 },
  { name: '10,000 levels deep', body: `{"d":"P-deep","v":${DEEP}}`, status: 204 },
  { name: '__proto__ as a key', body: '{"d":"P-proto","v":1,"__proto__":{"d":"stolen"}}', status: 204 },
  {
    name: '__proto__ as a value with keys of its own',
    body: '{"d":"P-proto","v":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}',
    status: 204,
  },
  { name: 'NUL bytes', body: '{"d":"P-\\u0000nul","v":"a\\u0000b"}', status: 204 },
  { name: 'raw NUL bytes', body: Buffer.alloc(64), status: 400 },
  { name: '10 MB and one byte', body: Buffer.alloc(10 * 1024 * 1024 + 1, 0x20), status: 413 },
];

for (const { name, body, status } of PAYLOADS) {
  test(`payload: ${name}`, async () => {
    const answer = await send(parsing, body);
    // Whether a deep or strange text is stored or refused is the converter's and the limits' affair; that it ends is ours.
    assert.ok(answer.status === status || (status === 204 && answer.status === 400), `it was answered ${answer.status}: ${answer.text}`);
    const good = await send(parsing, '{"d":"P-good","v":1}');
    assert.equal(good.status, 204);
  });
}

test('after all that the ledgers add up, what was good is stored, and nothing was polluted', async () => {
  const device = await deviceByName(product, 'P-good');
  await eventually('the good value is stored', async () => (await latest(product, device.id.id, ['v']))['v'] === 1);
  for (const integration of [echo, parsing]) {
    const ledger = await eventually('nothing is in flight', async () => {
      const now = await ledgerOf(product, integration);
      return now.messages.inFlight === 0 && now;
    });
    assert.deepEqual(ledgerFaults(ledger), []);
  }
  assert.equal((await product.request('GET', '/api/tenant/devices?deviceName=stolen')).status, 404);
});
