import { type Answer, type Product, startProduct } from '../test/support/product.ts';
import { startMosquitto } from '../test/support/servers.ts';
import {
  activeIntegration,
  type ChainStep,
  createMqttIntegration,
  createUplinkConverter,
  eventually,
  ledgerOf,
  saveChain,
  scriptFilter,
} from '../test/support/tenant.ts';
import { connectPublisher } from './load.ts';
import { type BenchOptions, mean, type Result, type Row, thousands } from './measure.ts';
import { brokerConf, DECODER, type Plant, publication, type RunFigures, startPlant, switchSteps, uplinkChain } from './plant.ts';

/** What more devices, converters, nodes and debugging cost: each pair in one run, A B B A. */
export default async function growth(options: BenchOptions): Promise<Result> {
  const count = options.short ? 20_000 : 60_000;
  const rows: Row[] = [];
  rows.push(
    ...(await devices(options, count)),
    ...(await nodes(options, count)),
    ...(await debug(options, count)),
    ...(await converters(options, count)),
  );
  return { title: `growth: ${thousands(count)} messages a turn, A B B A`, rows, notes: [] };
}

const values = (runs: readonly RunFigures[]) => ({
  'msg/s': thousands(mean(runs.map((r) => r.perSecond))),
  'CPU µs/msg': mean(runs.map((r) => r.cpuMicrosPerMessage)).toFixed(1),
});
const rateOf = (runs: readonly RunFigures[]) => mean(runs.map((r) => r.perSecond));
const slower = (few: readonly RunFigures[], many: readonly RunFigures[]) => (1 - rateOf(many) / rateOf(few)) * 100;

async function abba(a: () => Promise<RunFigures>, b: () => Promise<RunFigures>): Promise<[RunFigures[], RunFigures[]]> {
  const first: RunFigures[] = [];
  const second: RunFigures[] = [];
  first.push(await a());
  second.push(await b(), await b());
  first.push(await a());
  return [first, second];
}

async function devices(options: BenchOptions, count: number): Promise<Row[]> {
  const plant = await startPlant(options);
  try {
    // The devices are created before the clock runs.
    await plant.run(10_000, 10_000);
    const [few, many] = await abba(
      () => plant.run(count, 10),
      () => plant.run(count, 10_000),
    );
    const cost = slower(few, many);
    return [
      { what: '10 devices', values: values(few) },
      { what: '10,000 devices', values: values(many), must: { text: `≤ 10 % slower: ${cost.toFixed(1)} %`, met: cost <= 10 } },
    ];
  } finally {
    await plant.close();
  }
}

async function twoPlants(count: number, makeA: () => Promise<Plant>, makeB: () => Promise<Plant>): Promise<[RunFigures[], RunFigures[]]> {
  const a = await makeA();
  const b = await makeB();
  try {
    await a.run(count / 4, 100);
    await b.run(count / 4, 100);
    return await abba(
      () => a.run(count, 100),
      () => b.run(count, 100),
    );
  } finally {
    await a.close();
    await b.close();
  }
}

const PLAIN_NODES = 50;

async function nodes(options: BenchOptions, count: number): Promise<Row[]> {
  const [few, many] = await twoPlants(
    count,
    () => startPlant(options),
    () => startPlant(options, { chain: longChain }),
  );
  const perNode = (mean(many.map((r) => r.cpuMicrosPerMessage)) - mean(few.map((r) => r.cpuMicrosPerMessage))) / PLAIN_NODES;
  return [
    { what: 'no plain nodes', values: values(few) },
    { what: `${PLAIN_NODES} plain nodes`, values: values(many), must: { text: `≤ 2 µs a node: ${perNode.toFixed(2)} µs`, met: perNode <= 2 } },
  ];
}

/** The bench's chain with a row of message type filters before the save. */
function longChain(product: Product): Promise<unknown> {
  const plain: Record<string, ChainStep> = {};
  for (let i = 0; i < PLAIN_NODES; i++) {
    plain[`plain ${i}`] = {
      type: 'filter.TbMsgTypeFilterNode',
      configuration: { messageTypes: ['POST_TELEMETRY_REQUEST'] },
      to: { True: i + 1 < PLAIN_NODES ? `plain ${i + 1}` : 'save' },
    };
  }
  return saveChain(product, 'bench', switchSteps({ ...scriptFilter('return msg.temperature > -40;'), to: { True: 'plain 0' } }, plain));
}

async function debug(options: BenchOptions, count: number): Promise<Row[]> {
  const [off, on] = await twoPlants(
    count,
    () => startPlant(options),
    () => startPlant(options, { debug: true }),
  );
  const cost = slower(off, on);
  return [
    { what: 'debug off', values: values(off) },
    { what: 'debug on every node', values: values(on), must: { text: `≤ 15 % slower: ${cost.toFixed(1)} %`, met: cost <= 15 } },
  ];
}

/** The same messages through one integration, or spread over 200 with a converter each. */
async function converters(options: BenchOptions, count: number): Promise<Row[]> {
  const many = 200;
  const broker = await startMosquitto({ conf: brokerConf(options) });
  const product = await startProduct({ nodeFlags: options.nodeFlags });
  try {
    await uplinkChain(product);
    const integrations: Answer[] = [];
    for (let i = 0; i < many; i++) {
      // Each text differs, so that no cache by text makes one of them.
      const uplink = await createUplinkConverter(product, `up ${i}`, `// ${i}\n${DECODER}`);
      integrations.push(await createMqttIntegration(product, { name: `bench ${i}`, uplink, port: broker.port, filters: [`in${i}/+/up`] }));
    }
    for (const each of integrations) await activeIntegration(product, each, 60_000);
    const publisher = await connectPublisher(broker.port, 'bench-load');
    let sent = 0;
    const stored = async (over: number) => {
      let sum = 0;
      for (const each of integrations.slice(0, over)) sum += (await ledgerOf(product, each)).messages.stored;
      return sum;
    };
    const run = async (over: number, messages: number): Promise<RunFigures> => {
      const before = await stored(over);
      const cpu = product.cpuMicros();
      const begin = performance.now();
      const first = sent;
      sent += messages;
      await publisher.publish({ count: messages, make: (i) => publication(`in${i % over}`, first + i, 100) });
      await eventually(`${messages} messages are stored`, async () => (await stored(over)) - before >= messages, {
        deadlineMs: 300_000,
        everyMs: 100,
      });
      return { perSecond: messages / ((performance.now() - begin) / 1000), cpuMicrosPerMessage: (product.cpuMicros() - cpu) / messages };
    };
    await run(many, count / 4);
    const [one, spread] = await abba(
      () => run(1, count),
      () => run(many, count),
    );
    publisher.close();
    const cost = slower(one, spread);
    return [
      { what: '1 converter', values: values(one) },
      { what: `${many} converters`, values: values(spread), must: { text: `≤ 25 % slower: ${cost.toFixed(1)} %`, met: cost <= 25 } },
    ];
  } finally {
    await product.close();
    await broker.close();
  }
}
