import { eventually } from '../test/support/tenant.ts';
import { connectPublisher } from './load.ts';
import { type BenchOptions, mean, type Result, type Row, thousands } from './measure.ts';
import { installNodeRed, type NodeRed, startNodeRed, uplinkFlow } from './node-red.ts';
import { publication, type RunFigures, startPlant } from './plant.ts';

const DEVICES = 100;

/** (a) MQTT QoS 1 → converter in JS → root chain (type switch, script filter, save) → durable; Node-RED: MQTT → function → switch → file without fsync. */
export default async function uplink(options: BenchOptions): Promise<Result> {
  const count = options.brief ? 8000 : options.short ? 20_000 : 100_000;
  const plant = await startPlant(options);
  let peer: { nodeRed: NodeRed; run(): Promise<RunFigures>; check(): string[]; close(): Promise<void> } | null = null;
  try {
    peer = options.alone ? null : await startPeerFlow(plant.brokerPort, count);
    await plant.run(count / 4, DEVICES);
    const ours: RunFigures[] = [];
    const theirs: RunFigures[] = [];
    for (const turn of peer ? ['ours', 'theirs', 'theirs', 'ours'] : ['ours', 'ours']) {
      if (turn === 'ours') ours.push(await plant.run(count, DEVICES));
      else theirs.push(await peer!.run());
    }
    const lost = [...(await plant.check(DEVICES)), ...(peer?.check() ?? [])];
    const rows = [row('Fieldbridge', ours)];
    if (theirs.length > 0) {
      rows.push(row('Node-RED 5', theirs));
      const rate = mean(ours.map((r) => r.perSecond)) / mean(theirs.map((r) => r.perSecond));
      const cost = mean(ours.map((r) => r.cpuMicrosPerMessage)) / mean(theirs.map((r) => r.cpuMicrosPerMessage));
      rows.push({
        what: 'ratio',
        values: { 'msg/s': `${rate.toFixed(2)}×`, 'CPU µs/msg': `${cost.toFixed(2)}×` },
        must: { text: '≥ 2× at ≤ 0.5×', met: rate >= 2 && cost <= 0.5 },
      });
    }
    return {
      title: `(a) uplink: ${thousands(count)} messages of ${DEVICES} devices a turn, in flight ${options.inFlight}`,
      rows,
      notes: lost.length > 0 ? lost.map((each) => `LOST: ${each}`) : ['sent = stored, by sequence number'],
    };
  } finally {
    await peer?.close();
    await plant.close();
  }
}

const row = (what: string, runs: readonly RunFigures[]): Row => ({
  what,
  values: {
    'msg/s': thousands(mean(runs.map((r) => r.perSecond))),
    'CPU µs/msg': mean(runs.map((r) => r.cpuMicrosPerMessage)).toFixed(1),
    'main process': runs[0]?.mainMicrosPerMessage === undefined ? '' : mean(runs.map((r) => r.mainMicrosPerMessage ?? 0)).toFixed(1),
    turns: runs.map((r) => thousands(r.perSecond)).join(' '),
  },
});

async function startPeerFlow(brokerPort: number, count: number) {
  installNodeRed();
  const nodeRed = await startNodeRed((file) => uplinkFlow(brokerPort, 'theirs/+/up', file));
  const publisher = await connectPublisher(brokerPort, 'bench-load-peer');
  let sent = 0;
  const run = async (messages: number): Promise<RunFigures> => {
    const before = nodeRed.lines();
    const cpu = nodeRed.cpuMicros();
    const begin = performance.now();
    const first = sent;
    sent += messages;
    await publisher.publish({ count: messages, make: (i) => publication('theirs', first + i, DEVICES) });
    await eventually(`${messages} lines`, () => nodeRed.lines() - before >= messages, { deadlineMs: 300_000, everyMs: 50 });
    return { perSecond: messages / ((performance.now() - begin) / 1000), cpuMicrosPerMessage: (nodeRed.cpuMicros() - cpu) / messages };
  };
  // Its subscription is there when a message comes through.
  await eventually(
    'Node-RED takes messages',
    async () => {
      await publisher.publish({ count: 1, make: () => publication('theirs', 0, DEVICES) });
      return nodeRed.lines() > 0;
    },
    { deadlineMs: 20_000, everyMs: 100 },
  );
  await run(count / 4);
  return {
    nodeRed,
    run: () => run(count),
    check() {
      const seen = new Set(nodeRed.readLines().map((line) => (JSON.parse(line) as { n: number }).n));
      return seen.size === sent ? [] : [`Node-RED wrote ${seen.size} of ${sent} messages`];
    },
    async close() {
      publisher.close();
      await nodeRed.close();
    },
  };
}
