import { connectPublisher } from '../../bench/load.ts';
import { startProduct } from '../support/product.ts';
import { startMosquitto } from '../support/servers.ts';
import {
  activeIntegration,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  integrationStatus,
  ledgerFaults,
  ledgerOf,
  SAVE_TELEMETRY,
  saveChain,
  storedNumbers,
} from '../support/tenant.ts';

export interface OutageReport {
  readonly outages: number;
  readonly sent: number;
  readonly lost: number;
  readonly slowestNoticeMs: number;
  readonly slowestRecoveryMs: number;
  readonly ledger: readonly string[];
}

const DECODER = `const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: 'O-1', deviceType: 'patient', telemetry: { ts: 1700000000000 + m.n, values: { n: m.n } } };`;

/** The broker goes away with messages of our session in it, and comes back. */
export async function outages({
  times,
  awayMs,
  log = () => {},
}: {
  times: number;
  awayMs: number;
  log?: (line: string) => void;
}): Promise<OutageReport> {
  const broker = await startMosquitto({ persistent: true });
  const product = await startProduct();
  let sent = 0;
  let slowestNoticeMs = 0;
  let slowestRecoveryMs = 0;
  const publish = async (count: number) => {
    const publisher = await connectPublisher(broker.port, 'outage-publisher');
    await publisher.publish({ count, make: (i) => ({ topic: 'outage/up', payload: `{"n":${sent + i}}` }) });
    sent += count;
    publisher.close();
  };
  try {
    await saveChain(product, 'outage', { save: SAVE_TELEMETRY });
    const uplink = await createUplinkConverter(product, 'outage up', DECODER);
    const integration = await createMqttIntegration(product, { name: 'outage', uplink, port: broker.port, filters: ['outage/up'] });
    await activeIntegration(product, integration);
    for (let i = 0; i < times; i++) {
      await publish(2000);
      const begin = performance.now();
      await broker.stop();
      const status = await eventually(
        'the status says that the broker is away',
        async () => {
          const now = await integrationStatus(product, integration);
          return now && !now.success && now;
        },
        { deadlineMs: 15_000 },
      );
      const noticedMs = performance.now() - begin;
      if (!status.error) throw new Error('the status does not say why');
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, awayMs - noticedMs)));
      await broker.start();
      const back = performance.now();
      await activeIntegration(product, integration, 30_000);
      const recoveredMs = performance.now() - back;
      slowestNoticeMs = Math.max(slowestNoticeMs, noticedMs);
      slowestRecoveryMs = Math.max(slowestRecoveryMs, recoveredMs);
      log(`outage ${i + 1} of ${times}: noticed after ${noticedMs.toFixed(0)} ms ("${status.error}"), recovered after ${recoveredMs.toFixed(0)} ms`);
    }
    await publish(1000);
    const device = await eventually('the device is there', () => deviceByName(product, 'O-1'));
    const seen = new Set<number>();
    await eventually(
      'everything is stored',
      async () => {
        for (const n of await storedNumbers(product, device.id.id, 'n')) seen.add(n);
        return seen.size >= sent;
      },
      { deadlineMs: 30_000, everyMs: 200 },
    ).catch(() => log('not everything came'));
    return {
      outages: times,
      sent,
      lost: sent - seen.size,
      slowestNoticeMs,
      slowestRecoveryMs,
      ledger: ledgerFaults(await ledgerOf(product, integration)),
    };
  } finally {
    await product.close();
    await broker.close();
  }
}
