import { connectAsync } from 'mqtt';
import { connectPublisher } from '../../bench/load.ts';
import { type Answer, startProduct } from '../support/product.ts';
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

/** The named points of `FIELDBRIDGE_KILL_AT`: where a batch has just become durable or is about to. */
export const POINTS = ['after-append', 'before-commit', 'after-commit', 'before-ack', 'mid-chain', 'mid-downlink'] as const;
export type Kill = { readonly at: 'random'; readonly afterMs: number } | { readonly at: (typeof POINTS)[number]; readonly nth: number };

const DEVICES = 20;
/** Every so many messages the chain makes a downlink. */
const DOWNLINK_EVERY = 50;

const DECODER = `
const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: 'K-' + (m.n % ${DEVICES}), deviceType: 'killed', attributes: { last: m.n }, telemetry: { ts: 1700000000000 + m.n, values: { n: m.n } } };`;
const ENCODER = `return { contentType: 'JSON', data: JSON.stringify(msg), metadata: { topic: 'down' } };`;

export interface KillOptions {
  readonly kills: readonly Kill[];
  /** Messages that the broker holds for us when each life begins. */
  readonly backlog: number;
  /** While it lives. */
  readonly perSecond: number;
  readonly log?: (line: string) => void;
}

export interface KillReport {
  readonly kills: number;
  readonly sent: number;
  readonly lost: number;
  readonly lostDownlinks: number;
  /** What the ledgers say against each other; empty when they are exact. */
  readonly ledger: readonly string[];
  /** Slowest return, from the start of the process to /health 200, ms. */
  readonly slowestMs: number;
  /** Named points that did not come within the deadline of a life. */
  readonly notReached: readonly string[];
}

/** Reproducible randomness: the same seed gives the same kills (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Every point in turn, and a random moment after each round. */
export function plannedKills(count: number, seed: number): Kill[] {
  const random = seeded(seed);
  const ways = [...POINTS, 'random'] as const;
  return Array.from({ length: count }, (_, i) => {
    const at = ways[i % ways.length]!;
    // Appends, commits and batches come by the hundred in a second of load, downlinks a few.
    return at === 'random' ? { at, afterMs: 200 + random() * 1500 } : { at, nth: 1 + Math.floor(random() * (at === 'mid-downlink' ? 8 : 30)) };
  });
}

/** The product dies again and again under QoS 1 load; in the end everything that was published is stored, and the ledger agrees. */
export async function killRuns({ kills, backlog, perSecond, log = () => {} }: KillOptions): Promise<KillReport> {
  const broker = await startMosquitto({ conf: ['max_inflight_messages 10000'] });
  const product = await startProduct();
  const downlinks = new Set<number>();
  // Its session stays, so that no publish is missed.
  const listener = await connectAsync(broker.url, { clientId: 'kill-listener', clean: false });
  listener.on('message', (_topic, payload) => downlinks.add((JSON.parse(payload.toString()) as { n: number }).n));
  await listener.subscribeAsync('down', { qos: 1 });
  const publisher = await connectPublisher(broker.port, 'kill-publisher');
  let sent = 0;
  const publish = async (count: number, rate?: number, signal?: AbortSignal) => {
    const first = sent;
    let next = first;
    await publisher.publish({
      count,
      perSecond: rate,
      signal,
      make: (i) => {
        next = first + i + 1;
        return { topic: 'kill/up', payload: `{"n":${first + i}}` };
      },
    });
    sent = next;
  };
  const notReached: string[] = [];
  let slowestMs = 0;
  try {
    const uplink = await createUplinkConverter(product, 'kill up', DECODER);
    const downlink = await createDownlinkConverter(product, 'kill down', ENCODER);
    const integration = await createMqttIntegration(product, { name: 'kill', uplink, downlink, port: broker.port, filters: ['kill/up'] });
    await saveChain(product, 'kill', {
      switch: { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': ['save', 'some'] } },
      save: SAVE_TELEMETRY,
      some: { ...scriptFilter(`return msg.n % ${DOWNLINK_EVERY} === 0;`), to: { True: 'push' } },
      push: pushToIntegration(integration),
    });
    await activeIntegration(product, integration);
    await publish(200, perSecond);
    await product.kill();

    for (const [i, kill] of kills.entries()) {
      // Published at the broker's pace while nobody listens: cut at full speed, Mosquitto only sends more of it twice.
      await publish(backlog);
      const load = new AbortController();
      const loading = publish(1_000_000, perSecond, load.signal);
      try {
        await product.start(kill.at === 'random' ? {} : { FIELDBRIDGE_KILL_AT: `${kill.at}:${kill.nth}` }).catch((cause: unknown) => {
          // It may reach its point before it answers.
          if (product.running) throw cause;
        });
        if (kill.at === 'random') {
          await new Promise((resolve) => setTimeout(resolve, kill.afterMs));
          await product.kill();
        } else if (!(await within(15_000, product.ended()))) {
          notReached.push(`${kill.at}:${kill.nth}`);
          await product.kill();
        }
      } finally {
        load.abort();
        await loading;
      }
      await product.start();
      slowestMs = Math.max(slowestMs, product.startedInMs);
      log(
        `kill ${i + 1} of ${kills.length} at ${kill.at}${kill.at === 'random' ? ` after ${kill.afterMs.toFixed(0)} ms` : `:${kill.nth}`}: back in ${product.startedInMs.toFixed(0)} ms, ${sent} sent`,
      );
      await product.kill();
    }

    await product.start();
    slowestMs = Math.max(slowestMs, product.startedInMs);
    const seen = new Set<number>();
    await eventually(
      'everything that was sent is stored',
      async () => {
        const { messages, uplinks } = await ledgerOf(product, integration);
        if (messages.inFlight > 0 || uplinks.inFlight > 0) return false;
        seen.clear();
        for (let d = 0; d < DEVICES; d++)
          for (const n of await storedNumbers(product, (await deviceByName(product, `K-${d}`)).id.id, 'n')) seen.add(n);
        return seen.size >= sent;
      },
      { deadlineMs: 60_000, everyMs: 500 },
    ).catch(() => log('not everything came'));
    const expected = Array.from({ length: Math.ceil(sent / DOWNLINK_EVERY) }, (_, i) => i * DOWNLINK_EVERY);
    await eventually('every downlink is published', () => expected.every((n) => downlinks.has(n)), { deadlineMs: 15_000 }).catch(() =>
      log('not every downlink came'),
    );
    const settled = await eventually(
      'the downlinks are counted',
      async () => {
        const now = await ledgerOf(product, integration);
        return now.downlinks.pending === 0 && now;
      },
      { deadlineMs: 30_000 },
    ).catch(() => ledgerOf(product, integration));

    const ledger = ledgerFaults(settled);
    // Each converted uplink made two messages, telemetry and attributes, and one message in 50 a copy for the downlink; duplicates are converted again.
    if (settled.uplinks.converted < sent) ledger.push(`${settled.uplinks.converted} uplinks converted, ${sent} sent`);
    if (settled.uplinks.dead + settled.messages.dead > 0) {
      const { data } = await product.call('GET', `/api/deadLetters?integrationId=${integration.id.id}&pageSize=1000&page=0`);
      const reasons = new Set(data.map(({ stage, reason, node }: Answer) => `${stage}${node ? ` at ${node.nodeName}` : ''}: ${reason}`));
      ledger.push(`${settled.uplinks.dead} uplinks and ${settled.messages.dead} messages are dead (${[...reasons].slice(0, 5).join('; ')})`);
    }
    if (settled.messages.created < 2 * settled.uplinks.converted)
      ledger.push(`${settled.uplinks.converted} converted made ${settled.messages.created} messages`);
    return {
      kills: kills.length,
      sent,
      lost: sent - seen.size,
      lostDownlinks: expected.filter((n) => !downlinks.has(n)).length,
      ledger,
      slowestMs,
      notReached,
    };
  } finally {
    publisher.close();
    await listener.endAsync(true);
    await product.close();
    await broker.close();
  }
}

/** Whether the promise resolves in that time. */
async function within(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  const timer = Promise.withResolvers<false>();
  const handle = setTimeout(() => timer.resolve(false), milliseconds);
  const inTime = await Promise.race([promise.then(() => true), timer.promise]);
  clearTimeout(handle);
  return inTime;
}
