import { startProduct } from '../test/support/product.ts';
import {
  activeIntegration,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  ledgerFaults,
  ledgerOf,
  storedNumbers,
} from '../test/support/tenant.ts';
import { type BenchOptions, megabytes, type Result, thousands } from './measure.ts';
import { startPeer } from './peer.ts';
import { DECODER, publication, uplinkChain } from './plant.ts';

const DEVICES = 100;

/** A peer that offers three times what the product can take, without an end: memory stays, nothing acknowledged is lost. */
export default async function overload(options: BenchOptions): Promise<Result> {
  const seconds = options.short ? 20 : 300;
  const peer = await startPeer();
  const product = await startProduct({ nodeFlags: options.nodeFlags });
  try {
    await uplinkChain(product);
    const uplink = await createUplinkConverter(product, 'bench up', DECODER);
    const integration = await createMqttIntegration(product, { name: 'bench', uplink, port: peer.port, filters: ['ours/+/up'] });
    await peer.subscribed();
    await activeIntegration(product, integration);

    let sent = 0;
    let acknowledged = 0;
    const offer = () => peer.publish(publication('ours', sent, DEVICES), () => acknowledged++) && ++sent;
    /** Writes at `perSecond`, or all that socket and packet ids take. */
    const push = async (milliseconds: number, perSecond = Number.POSITIVE_INFINITY) => {
      const begin = performance.now();
      const first = sent;
      while (performance.now() - begin < milliseconds) {
        const due = first + ((performance.now() - begin) / 1000) * perSecond;
        for (let i = 0; i < 200 && sent < due; i++) if (!offer()) break;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await push(5000);
    await eventually('the warm-up is acknowledged', () => acknowledged === sent, { deadlineMs: 60_000 });
    const capacityBegin = performance.now();
    const capacityFrom = acknowledged;
    await push(5000);
    const capacity = (acknowledged - capacityFrom) / ((performance.now() - capacityBegin) / 1000);
    await eventually('the rest is acknowledged', () => acknowledged === sent, { deadlineMs: 60_000 });

    const before = product.memory().main;
    let most = 0;
    const sampler = setInterval(() => {
      most = Math.max(most, product.memory().main);
    }, 250);
    const from = acknowledged;
    const begin = performance.now();
    await push(seconds * 1000, 3 * capacity);
    const rate = (acknowledged - from) / ((performance.now() - begin) / 1000);
    await eventually('everything that was taken is acknowledged', () => acknowledged === sent, { deadlineMs: 120_000 });
    await eventually('everything is worked on', async () => (await ledgerOf(product, integration)).messages.inFlight === 0, {
      deadlineMs: 120_000,
      everyMs: 200,
    });
    clearInterval(sampler);

    const problems = ledgerFaults(await ledgerOf(product, integration));
    const seen = new Uint8Array(sent);
    for (let d = 0; d < DEVICES; d++) {
      const device = await deviceByName(product, `T-${d}`);
      for (const n of await storedNumbers(product, device.id.id, 'n')) seen[n] = 1;
    }
    const lost = seen.reduce((sum, each) => sum + (each === 0 ? 1 : 0), 0);
    if (lost > 0) problems.push(`${lost} of ${sent} acknowledged messages are not stored`);
    const grown = most - before;
    return {
      title: `overload: ${thousands(3 * capacity)} messages a second offered for ${seconds} s`,
      rows: [
        {
          what: 'Fieldbridge',
          values: {
            taken: `${thousands(rate)}/s`,
            messages: thousands(sent),
            lost: String(lost),
            'RSS before': megabytes(before),
            most: megabytes(most),
            grown: megabytes(grown),
          },
          must: { text: '+200 MB, 0 lost', met: grown <= 200 * 1048576 && lost === 0 },
        },
      ],
      notes: problems.map((each) => `WRONG: ${each}`),
    };
  } finally {
    peer.close();
    await product.close();
  }
}
