import { connectAsync } from 'mqtt';
import { connectPublisher } from '../../bench/load.ts';
import { type ProductCluster, startCluster } from '../support/cluster.ts';
import type { Answer } from '../support/product.ts';
import { startMosquitto } from '../support/servers.ts';
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
  scriptFilter,
  storedNumbers,
} from '../support/tenant.ts';

const DEVICES = 20;
/** Every so many messages the chain makes a downlink, and of every message of device 0, whose order is watched. */
const DOWNLINK_EVERY = 50;
const STUCK_MS = 60_000;
const QUIET_MS = 3000;

const DECODER = `
const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: 'K-' + (m.n % ${DEVICES}), deviceType: 'killed', attributes: { last: m.n }, telemetry: { ts: 1700000000000 + m.n, values: { n: m.n } } };`;
const ENCODER = `return { contentType: 'JSON', data: JSON.stringify(msg), metadata: { topic: 'down' } };`;

export interface ClusterVerdict {
  readonly sent: number;
  readonly lost: number;
  readonly lostDownlinks: number;
  /** Messages of one device that came out of the chain before an earlier one had come. */
  readonly disorder: number;
  /** What the ledgers say against each other; empty when they are exact. */
  readonly ledger: readonly string[];
}

/** A cluster under QoS 1 load, and what must be true of it in the end, whatever happened to it. */
export interface ClusterPlant {
  readonly cluster: ProductCluster;
  readonly integration: Answer;
  publish(count: number, perSecond?: number, signal?: AbortSignal): Promise<void>;
  /** Messages stored so far, by the ledger. */
  stored(): Promise<number>;
  verdict(log: (line: string) => void): Promise<ClusterVerdict>;
  close(): Promise<void>;
}

export interface PlantOptions {
  readonly integrations?: number;
  readonly fast?: boolean;
}

export async function startClusterPlant({ integrations = 2, fast = false }: PlantOptions = {}): Promise<ClusterPlant> {
  const broker = await startMosquitto({ conf: ['max_inflight_messages 10000'] });
  const cluster = await startCluster({ integrations, fast });
  /** In the order in which they came first. */
  const downlinks = new Set<number>();
  // Its session stays, so that no publish is missed.
  const listener = await connectAsync(broker.url, { clientId: 'fault-listener', clean: false });
  listener.on('message', (_topic, payload) => downlinks.add((JSON.parse(payload.toString()) as { n: number }).n));
  await listener.subscribeAsync('down', { qos: 1 });
  const publisher = await connectPublisher(broker.port, 'fault-publisher');
  let sent = 0;

  const uplink = await createUplinkConverter(cluster, 'fault up', DECODER);
  const downlink = await createDownlinkConverter(cluster, 'fault down', ENCODER);
  const integration = await createMqttIntegration(cluster, { name: 'fault', uplink, downlink, port: broker.port, filters: ['fault/up'] });
  await saveChain(cluster, 'fault', {
    switch: { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': ['save', 'some'] } },
    save: SAVE_TELEMETRY,
    some: { ...scriptFilter(`return msg.n % ${DOWNLINK_EVERY} === 0 || msg.n % ${DEVICES} === 0;`), to: { True: 'push' } },
    push: pushToIntegration(integration),
  });
  await activeIntegration(cluster, integration);

  /** Everything that the broker has for us is converted, and nothing is on its way any more; or nothing has moved for a minute. */
  async function drained(log: (line: string) => void): Promise<void> {
    let last = '';
    let movedAt = Date.now();
    for (;;) {
      const { messages, uplinks } = await ledgerOf(cluster, integration);
      const now = JSON.stringify([messages, uplinks]);
      if (now !== last) movedAt = Date.now();
      last = now;
      // Some come twice, so the number alone does not say that the broker has no more for us.
      if (uplinks.converted >= sent && messages.inFlight === 0 && Date.now() - movedAt > QUIET_MS) return;
      if (Date.now() - movedAt > STUCK_MS) return log(`not everything came: ${now}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async function verdict(log: (line: string) => void): Promise<ClusterVerdict> {
    await drained(log);
    const seen = new Set<number>();
    for (let d = 0; d < DEVICES; d++) for (const n of await storedNumbers(cluster, (await deviceByName(cluster, `K-${d}`)).id.id, 'n')) seen.add(n);
    const expected = Array.from({ length: sent }, (_, n) => n).filter((n) => n % DOWNLINK_EVERY === 0 || n % DEVICES === 0);
    await eventually('every downlink is published', () => expected.every((n) => downlinks.has(n)), { deadlineMs: 60_000 }).catch(() =>
      log('not every downlink came'),
    );
    const settled = await eventually(
      'the downlinks are counted',
      async () => {
        const now = await ledgerOf(cluster, integration);
        return now.downlinks.pending === 0 && now;
      },
      { deadlineMs: 60_000 },
    ).catch(() => ledgerOf(cluster, integration));
    const ledger = ledgerFaults(settled);
    if (settled.uplinks.converted < sent) ledger.push(`${settled.uplinks.converted} uplinks converted, ${sent} sent`);
    if (settled.uplinks.dead + settled.messages.dead > 0) {
      const { data } = await cluster.call('GET', `/api/deadLetters?integrationId=${integration.id.id}&pageSize=1000&page=0`);
      const reasons = new Set(data.map(({ stage, reason, node }: Answer) => `${stage}${node ? ` at ${node.nodeName}` : ''}: ${reason}`));
      ledger.push(`${settled.uplinks.dead} uplinks and ${settled.messages.dead} messages are dead (${[...reasons].slice(0, 5).join('; ')})`);
    }
    const ofFirst = [...downlinks].filter((n) => n % DEVICES === 0);
    return {
      sent,
      lost: sent - seen.size,
      lostDownlinks: expected.filter((n) => !downlinks.has(n)).length,
      disorder: ofFirst.filter((n, i) => i > 0 && n < ofFirst[i - 1]!).length,
      ledger,
    };
  }

  return {
    cluster,
    integration,
    async publish(count, perSecond, signal) {
      const first = sent;
      let next = first;
      await publisher.publish({
        count,
        perSecond,
        signal,
        make: (i) => {
          next = first + i + 1;
          return { topic: 'fault/up', payload: `{"n":${first + i}}` };
        },
      });
      sent = next;
    },
    stored: async () => (await ledgerOf(cluster, integration)).messages.stored,
    verdict,
    async close() {
      publisher.close();
      await listener.endAsync(true);
      await cluster.close();
      await broker.close();
    },
  };
}
