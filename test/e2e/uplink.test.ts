import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import { type Broker, missing, mosquittoPub, startMosquitto } from '../support/servers.ts';
import {
  activeIntegration,
  attributes,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  latest,
  ledgerFaults,
  ledgerOf,
} from '../support/tenant.ts';

/** A payload of its own becomes telemetry and attributes of a device that was created for it, over a real broker. */

const skip = missing('mosquitto');

// Two bytes of temperature, one of humidity, one of firmware; the serial number is in the topic.
const DECODER = `
if (payload.length !== 4) throw new Error('a frame has 4 bytes, this one has ' + payload.length);
const sn = metadata.topic.split('/')[1];
return {
  deviceName: sn, deviceType: 'TH1', customerName: 'Nordic Foods', groupName: 'Cold store',
  attributes: { firmware: payload[3], site: metadata.site },
  telemetry: { ts: 1767225600000, values: { temperature: int16(payload, 0) / 10, humidity: payload[2] } }
};
function int16(bytes, at) { return ((bytes[at] << 24) | (bytes[at + 1] << 16)) >> 16; }`;

let product: Product;
let broker: Broker;
let converter: Answer;
let integration: Answer;

before(async () => {
  if (skip) return;
  broker = await startMosquitto();
  product = await startProduct();
  converter = await createUplinkConverter(product, 'TH1 uplink', DECODER);
  integration = await createMqttIntegration(product, {
    name: 'Plant',
    uplink: converter,
    port: broker.port,
    filters: ['plant/+/up'],
    metadata: { site: 'HAM-1' },
  });
  await activeIntegration(product, integration);
});
after(async () => {
  await product?.close();
  await broker?.close();
});

test('a converter is tested before anything is stored', { skip }, async () => {
  const payload = Buffer.from([0xff, 0x9c, 0x07, 0x05]).toString('base64');
  const answer = await product.call('POST', '/api/converter/testUpLink?scriptLang=JS', {
    metadata: { topic: 'plant/TH-1/up', site: 'X' },
    payload,
    decoder: DECODER,
  });
  assert.equal(answer.error, '');
  assert.deepEqual(JSON.parse(answer.output), {
    deviceName: 'TH-1',
    deviceType: 'TH1',
    customerName: 'Nordic Foods',
    groupName: 'Cold store',
    attributes: { firmware: 5, site: 'X' },
    telemetry: { ts: 1767225600000, values: { temperature: -10, humidity: 7 } },
  });
  const short = await product.call('POST', '/api/converter/testUpLink', { metadata: { topic: 'plant/TH-1/up' }, payload: 'AA==', decoder: DECODER });
  assert.match(short.error, /a frame has 4 bytes, this one has 1/);
});

test('an uplink creates device, profile, customer and group, and stores what the converter says', { skip }, async () => {
  await mosquittoPub(broker, 'plant/TH-0042/up', '\u0000\u00292\u0007');
  const device = await eventually('the device is there', () => deviceByName(product, 'TH-0042'));
  assert.equal(device.type, 'TH1');
  assert.deepEqual(
    await eventually('telemetry is stored', async () => {
      const values = await latest(product, device.id.id, ['temperature', 'humidity']);
      return values['humidity'] !== null && values;
    }),
    { temperature: 4.1, humidity: 50 },
  );
  assert.deepEqual(
    await eventually('attributes are stored', async () => {
      const values = await attributes(product, device.id.id, 'CLIENT_SCOPE');
      return 'firmware' in values && values;
    }),
    { firmware: 7, site: 'HAM-1' },
  );

  const profiles = await product.call('GET', '/api/deviceProfileInfos?pageSize=10&page=0&textSearch=TH1');
  assert.deepEqual(
    profiles.data.map((each: Answer) => each.name),
    ['TH1'],
  );
  const customers = await product.call('GET', '/api/customers?pageSize=10&page=0&textSearch=Nordic');
  assert.deepEqual(
    customers.data.map((each: Answer) => each.title),
    ['Nordic Foods'],
  );
  assert.equal(device.customerId.id, customers.data[0].id.id);
  const groups = await product.call('GET', `/api/entityGroups/CUSTOMER/${customers.data[0].id.id}/DEVICE`);
  const group = groups.find((each: Answer) => each.name === 'Cold store');
  assert.ok(group, 'the group is there');
  const members = await product.call('GET', `/api/entityGroup/${group.id.id}/entities?pageSize=10&page=0`);
  assert.deepEqual(
    members.data.map((each: Answer) => each.name),
    ['TH-0042'],
  );
});

test('a payload that the converter refuses is a dead letter: seen, requeued with another payload, deleted', { skip }, async () => {
  const mine = `/api/deadLetters?integrationId=${integration.id.id}&pageSize=10&page=0`;
  await mosquittoPub(broker, 'plant/TH-0043/up', 'nonsense');
  const page = await eventually('the dead letter is there', async () => {
    const answer = await product.call('GET', mine);
    return answer.totalElements === 1 && answer;
  });
  const [letter] = page.data;
  assert.equal(letter.integrationId, integration.id.id);
  assert.equal(letter.stage, 'uplink');
  assert.match(letter.reason, /a frame has 4 bytes, this one has 8/);
  assert.equal(Buffer.from(letter.payload, 'base64').toString(), 'nonsense');
  assert.equal(letter.metadata.topic, 'plant/TH-0043/up');
  assert.equal((await ledgerOf(product, integration)).uplinks.dead, 1);

  await product.call('POST', `/api/deadLetter/${letter.id}/requeue`, { payload: Buffer.from([0, 40, 50, 7]).toString('base64') });
  const device = await eventually('the requeued uplink made its device', () => deviceByName(product, 'TH-0043'));
  await eventually('its telemetry is stored', async () => (await latest(product, device.id.id, ['temperature']))['temperature'] === 4);
  assert.equal((await product.call('GET', mine)).totalElements, 0);

  await mosquittoPub(broker, 'plant/TH-0044/up', 'other nonsense');
  const again = await eventually('the next dead letter is there', async () => (await product.call('GET', mine)).data[0]);
  await product.call('DELETE', `/api/deadLetter/${again.id}`);
  assert.equal((await product.call('GET', mine)).totalElements, 0);
});

test('the ledger adds up, the tenant has one of its own, and reading it is cheap', { skip }, async () => {
  const ledger = await eventually('nothing is in flight', async () => {
    const now = await ledgerOf(product, integration);
    return now.messages.inFlight === 0 && now.uplinks.inFlight === 0 && now;
  });
  assert.deepEqual(ledgerFaults(ledger), []);
  // Two frames were good, each with attributes and telemetry.
  assert.equal(ledger.uplinks.converted, 2);
  assert.equal(ledger.messages.stored, 4);
  assert.deepEqual(ledgerFaults(await product.call('GET', '/api/ledger')), []);

  const times: number[] = [];
  for (let i = 0; i < 50; i++) {
    const begin = performance.now();
    await ledgerOf(product, integration);
    times.push(performance.now() - begin);
  }
  const median = times.toSorted((a, b) => a - b)[25]!;
  assert.ok(median <= 5, `a ledger took ${median.toFixed(1)} ms over HTTP`);
});

test('a converter in use can not be deleted, and the answer names who uses it', { skip }, async () => {
  const { status, json } = await product.request('DELETE', `/api/converter/${converter.id.id}`);
  assert.equal(status, 400);
  assert.match(json.message, /Plant/);
});
