import type { Product } from '../test/support/product.ts';
import {
  createDownlinkConverter,
  createInboundIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  inboundPath,
  ledgerFaults,
  ledgerOf,
  pushToIntegration,
  SAVE_TELEMETRY,
  saveChain,
  storedNumbers,
} from '../test/support/tenant.ts';
import { HttpConnection, requestHead } from './load.ts';
import { type BenchOptions, mean, productOf, quantile, type Result, type Row, thousands } from './measure.ts';
import { answerFlow, installNodeRed, startNodeRed } from './node-red.ts';
import { DECODER, publication } from './plant.ts';

const CONNECTIONS = 64;

const ENCODER = `return { contentType: 'JSON', data: JSON.stringify({ period: 60, temperature: msg.temperature }), metadata: {} };`;

interface Turn {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p50: number;
  readonly p99: number;
  /** Answers that carried a downlink. */
  readonly answered: number;
}

/**
 * (b) HTTP uplink whose answer carries the downlink that the chain made of the device's uplink before; Node-RED: HTTP in → function → response.
 * 64 connections, a device each, the next request when the answer is there. Ours stores telemetry and downlink before it answers.
 */
export default async function answer(options: BenchOptions): Promise<Result> {
  const count = (options.brief ? 30 : options.short ? 240 : 960) * CONNECTIONS;
  const product = await productOf(options);
  let nodeRed: Awaited<ReturnType<typeof startNodeRed>> | null = null;
  try {
    const uplink = await createUplinkConverter(product, 'bench up', DECODER);
    const downlink = await createDownlinkConverter(product, 'bench down', ENCODER);
    const integration = await createInboundIntegration(product, { name: 'bench http', uplink, downlink });
    await saveChain(product, 'bench', {
      'message type switch': { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': ['save', 'answer'] } },
      save: SAVE_TELEMETRY,
      answer: pushToIntegration(integration),
    });
    if (!options.alone) {
      installNodeRed();
      nodeRed = await startNodeRed(answerFlow);
    }
    let sent = 0;
    const ours = (n: number) => {
      const first = sent;
      sent += n;
      return turn(product.port, inboundPath(integration), n, first, () => product.cpuMicros());
    };
    const theirs = (n: number) => turn(nodeRed!.port, '/uplink', n, 0, () => nodeRed!.cpuMicros());
    await ours(count / 4);
    if (nodeRed) await theirs(count / 4);
    const our: Turn[] = [];
    const their: Turn[] = [];
    for (const who of nodeRed ? ['ours', 'theirs', 'theirs', 'ours'] : ['ours', 'ours']) {
      if (who === 'ours') our.push(await ours(count));
      else their.push(await theirs(count));
    }
    const problems = await check(product, integration, sent);
    const rows = [row('Fieldbridge', our, count)];
    if (their.length > 0) {
      rows.push(row('Node-RED 5', their, count));
      const rate = mean(our.map((t) => t.perSecond)) / mean(their.map((t) => t.perSecond));
      const p99 = [our, their].map((turns) => mean(turns.map((t) => t.p99)));
      rows.push({
        what: 'ratio',
        values: { 'req/s': `${rate.toFixed(2)}×` },
        must: { text: '≥ 2×, p99 ≤ theirs', met: rate >= 2 && p99[0]! <= p99[1]! },
      });
    }
    return {
      title: `(b) HTTP uplink answered with a sync downlink: ${thousands(count)} requests a turn over ${CONNECTIONS} connections`,
      rows,
      notes: problems.length > 0 ? problems.map((each) => `WRONG: ${each}`) : ['sent = stored, by sequence number; the ledger adds up'],
    };
  } finally {
    await nodeRed?.close();
    await product.close();
  }
}

const row = (what: string, turns: readonly Turn[], count: number): Row => ({
  what,
  values: {
    'req/s': thousands(mean(turns.map((t) => t.perSecond))),
    'CPU µs/req': mean(turns.map((t) => t.cpuMicros)).toFixed(1),
    p50: `${mean(turns.map((t) => t.p50)).toFixed(2)} ms`,
    p99: `${mean(turns.map((t) => t.p99)).toFixed(2)} ms`,
    'with answer': `${((mean(turns.map((t) => t.answered)) / count) * 100).toFixed(1)} %`,
  },
});

async function turn(port: number, path: string, count: number, first: number, cpuMicros: () => number): Promise<Turn> {
  const head = requestHead('POST', path, { 'content-type': 'application/json' });
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpConnection.open(port)));
  const latencies: number[] = [];
  let answered = 0;
  let next = 0;
  const cpu = cpuMicros();
  const begin = performance.now();
  await Promise.all(
    connections.map(async (connection, c) => {
      // Request n belongs to device n % 64, and each device to one connection.
      for (let n = c; n < count; n += CONNECTIONS) {
        const sentAt = performance.now();
        const { status, body } = await connection.send(head, publication('http', first + n, CONNECTIONS).payload);
        latencies.push(performance.now() - sentAt);
        if (status !== 200 && status !== 204) throw new Error(`request ${n} was answered ${status}: ${body}`);
        if (body.length > 0) answered++;
        next++;
      }
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  for (const connection of connections) connection.close();
  const sorted = latencies.toSorted((a, b) => a - b);
  return { perSecond: next / seconds, cpuMicros: (cpuMicros() - cpu) / next, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), answered };
}

async function check(product: Product, integration: { id: { id: string } }, sent: number): Promise<string[]> {
  const ledger = await eventually(
    'every uplink is worked on',
    async () => {
      const now = await ledgerOf(product, integration);
      return now.messages.inFlight === 0 && now;
    },
    { deadlineMs: 60_000, everyMs: 100 },
  );
  const problems = ledgerFaults(ledger);
  if (ledger.uplinks.converted !== sent) problems.push(`${ledger.uplinks.converted} of ${sent} uplinks converted`);
  const seen = new Set<number>();
  for (let d = 0; d < CONNECTIONS; d++) {
    const device = await deviceByName(product, `T-${d}`);
    for (const n of await storedNumbers(product, device.id.id, 'n')) seen.add(n);
  }
  if (seen.size !== sent) problems.push(`${seen.size} of ${sent} messages are stored`);
  return problems;
}
