import { connectAsync } from 'mqtt';
import { startMosquitto } from '../test/support/servers.ts';
import {
  activeIntegration,
  createDownlinkConverter,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  ledgerFaults,
  ledgerOf,
  pushToIntegration,
  SAVE_TELEMETRY,
  saveChain,
} from '../test/support/tenant.ts';
import { connectPublisher, HttpConnection, requestHead } from './load.ts';
import { type BenchOptions, latencyRow, productOf, quantile, type Result } from './measure.ts';
import { DECODER, publication } from './plant.ts';

const ENCODER = `return { contentType: 'JSON', data: JSON.stringify(msg), metadata: { topic: 'bench/' + metadata.deviceName + '/config' } };`;

/** (c) shared attribute set by REST → ATTRIBUTES_UPDATED → root chain → downlink converter → PUBLISH seen at the broker, one after the other. */
export default async function downlink(options: BenchOptions): Promise<Result> {
  const count = options.brief ? 200 : options.short ? 500 : 3000;
  const broker = await startMosquitto();
  const product = await productOf(options);
  try {
    const uplink = await createUplinkConverter(product, 'bench up', DECODER);
    const down = await createDownlinkConverter(product, 'bench down', ENCODER);
    const integration = await createMqttIntegration(product, { name: 'bench', uplink, downlink: down, port: broker.port, filters: ['ours/+/up'] });
    await saveChain(product, 'bench', {
      'message type switch': { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': 'save', 'Attributes Updated': 'name' } },
      save: SAVE_TELEMETRY,
      name: { type: 'metadata.TbGetOriginatorFieldsNode', configuration: { fieldsMapping: { name: 'deviceName' } }, to: { Success: 'push' } },
      push: pushToIntegration(integration),
    });
    await activeIntegration(product, integration);
    const publisher = await connectPublisher(broker.port, 'bench-load');
    await publisher.publish({ count: 1, make: () => publication('ours', 0, 1) });
    publisher.close();
    const device = await eventually('the device is there', () => deviceByName(product, 'T-0'));

    const arrivals = new Map<number, (at: number) => void>();
    const listener = await connectAsync(broker.url, { clientId: 'bench-listener' });
    listener.stream.on('connect', () => {});
    (listener.stream as unknown as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
    await listener.subscribeAsync('bench/+/config', { qos: 1 });
    listener.on('message', (_topic, payload) => {
      const at = performance.now();
      arrivals.get((JSON.parse(payload.toString()) as { n: number }).n)?.(at);
    });

    const connection = await HttpConnection.open(product.port);
    const head = requestHead('POST', `/api/plugins/telemetry/DEVICE/${device.id.id}/SHARED_SCOPE`, {
      'content-type': 'application/json',
      'x-authorization': `Bearer ${product.token}`,
    });
    const seen: number[] = [];
    const answered: number[] = [];
    const warmUp = 200;
    for (let n = 0; n < warmUp + count; n++) {
      const arrived = Promise.withResolvers<number>();
      const deadline = setTimeout(() => arrived.reject(new Error(`publish ${n} was not seen within 10 s`)), 10_000);
      arrivals.set(n, arrived.resolve);
      const sentAt = performance.now();
      const { status, body } = await connection.send(head, `{"n":${n}}`);
      const answeredAt = performance.now();
      if (status !== 200) throw new Error(`attribute update ${n} was answered ${status}: ${body}`);
      const seenAt = await arrived.promise;
      clearTimeout(deadline);
      arrivals.delete(n);
      if (n < warmUp) continue;
      seen.push(seenAt - sentAt);
      answered.push(answeredAt - sentAt);
      // Real settings are not sent without a pause: each finds an idle system.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    connection.close();
    await listener.endAsync();
    const faults = await eventually('the ledger has every downlink', async () => {
      const ledger = await ledgerOf(product, integration);
      return ledger.downlinks.sent === warmUp + count && { faults: ledgerFaults(ledger) };
    });
    const sorted = seen.toSorted((a, b) => a - b);
    const met = quantile(sorted, 0.5) <= 1 && quantile(sorted, 0.99) <= 5;
    return {
      title: `(c) attribute by REST → chain → downlink converter → publish seen, ${count} in a row`,
      rows: [
        { ...latencyRow('REST call to publish seen', seen), must: { text: 'p50 ≤ 1 ms, p99 ≤ 5 ms', met } },
        latencyRow('REST call to its answer', answered),
      ],
      notes: faults.faults.length > 0 ? faults.faults.map((each) => `WRONG: ${each}`) : ['every downlink was seen once and is in the ledger'],
    };
  } finally {
    await product.close();
    await broker.close();
  }
}
