import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connectPublisher } from '../../bench/load.ts';
import { startProduct } from '../support/product.ts';
import { startMosquitto } from '../support/servers.ts';
import {
  activeIntegration,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  ledgerFaults,
  ledgerOf,
  SAVE_TELEMETRY,
  saveChain,
  storedNumbers,
} from '../support/tenant.ts';
import { seeded } from './kill.ts';

const DEVICES = 20;
const DECODER = `
const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: 'W-' + (m.n % ${DEVICES}), deviceType: 'waiting', telemetry: { ts: 1700000000000 + m.n, values: { n: m.n } } };`;

export interface WaitingOptions {
  readonly kills: number;
  readonly seed: number;
  /** Published before each life, and as many during it. */
  readonly messages: number;
  readonly log?: (line: string) => void;
}

export interface WaitingReport {
  readonly kills: number;
  readonly sent: number;
  /** Not stored at the end of the chain. */
  readonly lost: number;
  /** That the target never heard of. */
  readonly unheard: number;
  /** How often it heard of one again: a crash between a send and its commit, or a connection that broke behind the request. */
  readonly again: number;
  readonly ledger: readonly string[];
}

/** Every message waits in a delay node, then in the outbox for a target that breaks one connection in fifty, while the process is killed at random. */
export async function waitingKills({ kills, seed, messages, log = () => {} }: WaitingOptions): Promise<WaitingReport> {
  const random = seeded(seed);
  const heard = new Map<number, number>();
  const target = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => (text += chunk));
    request.on('end', () => {
      const { n } = JSON.parse(text) as { n: number };
      heard.set(n, (heard.get(n) ?? 0) + 1);
      if (random() < 0.02) request.socket.destroy();
      else response.end(text);
    });
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const broker = await startMosquitto({ conf: ['max_inflight_messages 10000'] });
  const product = await startProduct();
  const publisher = await connectPublisher(broker.port, 'waiting-publisher');
  let sent = 0;
  const publish = async (count: number): Promise<void> => {
    const first = sent;
    sent += count;
    await publisher.publish({ count, perSecond: 1000, make: (i) => ({ topic: 'wait/up', payload: `{"n":${first + i}}` }) });
  };
  try {
    const uplink = await createUplinkConverter(product, 'waiting up', DECODER);
    const integration = await createMqttIntegration(product, { name: 'waiting', uplink, port: broker.port, filters: ['wait/up'] });
    const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}/`;
    await saveChain(product, 'waiting', {
      switch: { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': 'delay' } },
      delay: {
        type: 'delay.TbMsgDelayNode',
        configuration: { periodInSeconds: 1, maxPendingMsgs: 100_000, useMetadataPeriodInSecondsPatterns: false, periodInSecondsPattern: null },
        to: { Success: 'call' },
      },
      call: { type: 'rest.TbRestApiCallNode', configurationVersion: 4, configuration: restCall(url), to: { Success: 'save' } },
      save: SAVE_TELEMETRY,
    });
    await activeIntegration(product, integration);
    await publish(messages);
    for (let kill = 1; kill <= kills; kill++) {
      const publishing = publish(messages);
      const afterMs = 300 + random() * 2500;
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await product.kill();
      await publishing;
      await product.start();
      log(`kill ${kill} of ${kills} after ${afterMs.toFixed(0)} ms: ${sent} sent, ${heard.size} heard of`);
    }
    const seen = new Set<number>();
    await eventually(
      'everything that was sent is stored',
      async () => {
        if ((await ledgerOf(product, integration)).messages.inFlight > 0) return false;
        seen.clear();
        for (let d = 0; d < DEVICES; d++)
          for (const n of await storedNumbers(product, (await deviceByName(product, `W-${d}`)).id.id, 'n')) seen.add(n);
        return seen.size >= sent;
      },
      { deadlineMs: 90_000, everyMs: 500 },
    ).catch(() => log('not everything came'));
    const settled = await ledgerOf(product, integration);
    const ledger = ledgerFaults(settled);
    if (settled.messages.dead > 0) ledger.push(`${settled.messages.dead} messages are dead`);
    return {
      ...{ kills, sent, lost: sent - seen.size, unheard: sent - heard.size, ledger },
      again: [...heard.values()].reduce((sum, times) => sum + times - 1, 0),
    };
  } finally {
    publisher.close();
    await product.close();
    await broker.close();
    target.closeAllConnections();
    target.close();
  }
}

const restCall = (restEndpointUrlPattern: string): Record<string, unknown> => ({
  ...{ restEndpointUrlPattern, requestMethod: 'POST', queryParams: [], headers: { 'Content-Type': 'application/json' }, readTimeoutMs: 5000 },
  ...{ maxParallelRequestsCount: 0, parseToPlainText: false, ignoreRequestBody: false, requestBodyTemplate: null, maxInMemoryBufferSizeInKb: 256 },
  ...{ enableProxy: false, useSystemProxyProperties: false, credentials: { type: 'anonymous' } },
});
