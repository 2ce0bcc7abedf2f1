import { activeIntegration, createMqttIntegration, createUplinkConverter } from '../test/support/tenant.ts';
import { type BenchOptions, latencyRow, productOf, quantile, type Result } from './measure.ts';
import { startPeer } from './peer.ts';
import { DECODER, publication, uplinkChain } from './plant.ts';

const PER_SECOND = 1000;

/** (a) at 1,000 messages a second, open loop: from the write of the PUBLISH to the PUBACK, which leaves when the message is durable. */
export default async function latency(options: BenchOptions): Promise<Result> {
  const seconds = options.short ? 10 : 60;
  const peer = await startPeer();
  const product = await productOf(options);
  try {
    await uplinkChain(product);
    const uplink = await createUplinkConverter(product, 'bench up', DECODER);
    const integration = await createMqttIntegration(product, { name: 'bench', uplink, port: peer.port, filters: ['ours/+/up'] });
    await peer.subscribed();
    await activeIntegration(product, integration);
    const times: number[] = [];
    const warmUp = 3 * PER_SECOND;
    const total = warmUp + seconds * PER_SECOND;
    const cpu = product.cpuMicros();
    await new Promise<void>((resolve, reject) => {
      const begin = performance.now();
      let n = 0;
      let done = 0;
      const timer = setInterval(() => {
        const due = Math.min(total, Math.floor(((performance.now() - begin) / 1000) * PER_SECOND));
        while (n < due) {
          const sentAt = performance.now();
          const measured = n >= warmUp;
          if (
            !peer.publish(publication('ours', n, 100), (at) => {
              if (measured) times.push(at - sentAt);
              if (++done === total) resolve();
            })
          )
            return;
          n++;
        }
        if (n === total) {
          clearInterval(timer);
          setTimeout(() => reject(new Error(`${total - done} of ${total} messages were not acknowledged within 10 s`)), 10_000).unref();
        }
      }, 1);
    });
    const sorted = times.toSorted((a, b) => a - b);
    const met = quantile(sorted, 0.5) <= 2 && quantile(sorted, 0.99) <= 12;
    return {
      title: `(a) at ${PER_SECOND} messages a second, open loop for ${seconds} s: PUBLISH to PUBACK (durable)`,
      rows: [{ ...latencyRow('receive → durable', times), must: { text: 'p50 ≤ 2 ms, p99 ≤ 12 ms', met } }],
      notes: [`CPU ${((product.cpuMicros() - cpu) / total).toFixed(0)} µs a message at this rate`],
    };
  } finally {
    peer.close();
    await product.close();
  }
}
