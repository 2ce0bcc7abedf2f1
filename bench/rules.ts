import { rmSync } from 'node:fs';
import { type Answer, type Product, startProduct } from '../test/support/product.ts';
import { temporaryFolder } from '../test/support/servers.ts';
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
import { type BenchOptions, latencyRow, mean, megabytes, productOf, quantile, type Result, type Row, thousands } from './measure.ts';
import { startPeer } from './peer.ts';
import { DECODER, type Plant, publication, type RunFigures, startPlant, switchSteps } from './plant.ts';

/** What the rule engine's own parts cost: TBEL beside JS, capture, many chains, a chain saved under load, many originators that wait. */

const cost = (runs: readonly RunFigures[]): number => mean(runs.map((run) => run.cpuMicrosPerMessage));
const values = (runs: readonly RunFigures[]) => ({
  'msg/s': thousands(mean(runs.map((run) => run.perSecond))),
  'CPU µs/msg': cost(runs).toFixed(1),
});

const FILTERS = 10;
const BODY = 'return msg.temperature > -40 && msg.humidity < 101;';

/** The bench's chain with a row of script filters before the save. */
function filterChain(product: Product, script: ChainStep | null): Promise<unknown> {
  const filters: Record<string, ChainStep> = {};
  for (let i = 0; i < FILTERS && script; i++) filters[`filter ${i}`] = { ...script, to: { True: i + 1 < FILTERS ? `filter ${i + 1}` : 'save' } };
  return saveChain(product, 'bench', switchSteps({ ...scriptFilter(BODY), to: { True: script ? 'filter 0' : 'save' } }, filters));
}

export async function tbel(options: BenchOptions): Promise<Result> {
  const count = options.short ? 10_000 : 40_000;
  const js = scriptFilter(BODY);
  const ofTbel: ChainStep = { ...js, configuration: { scriptLang: 'TBEL', jsScript: '', tbelScript: BODY } };
  const plants: Plant[] = [];
  for (const script of [null, js, ofTbel]) plants.push(await startPlant(options, { chain: (product) => filterChain(product, script) }));
  try {
    const runs: RunFigures[][] = [[], [], []];
    for (const plant of plants) await plant.run(count / 4, 100);
    for (const place of [0, 1, 2, 2, 1, 0]) runs[place]!.push(await plants[place]!.run(count, 100));
    const [none, inJs, inTbel] = runs.map(cost) as [number, number, number];
    const ratio = (inTbel - none) / (inJs - none);
    const rows = [
      { what: 'no more filters', values: values(runs[0]!) },
      { what: `${FILTERS} filters in JS`, values: { ...values(runs[1]!), 'µs a filter': ((inJs - none) / FILTERS).toFixed(2) } },
      {
        what: `${FILTERS} filters in TBEL`,
        values: { ...values(runs[2]!), 'µs a filter': ((inTbel - none) / FILTERS).toFixed(2) },
        must: { text: `≤ 1.3 × JS: ${ratio.toFixed(2)}`, met: ratio <= 1.3 },
      },
    ];
    return { title: `script filters: ${thousands(count)} messages a turn`, rows, notes: [] };
  } finally {
    for (const plant of plants) await plant.close();
  }
}

export async function capture(options: BenchOptions): Promise<Result> {
  const count = options.short ? 20_000 : 60_000;
  const off = await startPlant(options, { product: { env: { CAPTURE_NODE_BYTES: '0' } } });
  const on = await startPlant(options);
  try {
    for (const plant of [off, on]) await plant.run(count / 4, 100);
    const without: RunFigures[] = [];
    const within: RunFigures[] = [];
    for (const turn of ['off', 'on', 'on', 'off', 'off', 'on', 'on', 'off']) {
      if (turn === 'off') without.push(await off.run(count, 100));
      else within.push(await on.run(count, 100));
    }
    const more = (cost(within) / cost(without) - 1) * 100;
    const rows: Row[] = [
      { what: 'journeys and capture off', values: values(without) },
      { what: 'journeys and capture on', values: values(within), must: { text: `≤ 8 % more CPU: ${more.toFixed(1)} %`, met: more <= 8 } },
    ];
    return { title: `journeys and capture: ${thousands(count)} messages a turn`, rows, notes: [] };
  } finally {
    await off.close();
    await on.close();
  }
}

const CHAINS = 1000;
const NODES = 20;

export async function chains(options: BenchOptions): Promise<Result> {
  const count = options.short ? CHAINS / 5 : CHAINS;
  const dataFolder = temporaryFolder('chains');
  try {
    const first = await startProduct({ dataFolder, nodeFlags: options.nodeFlags });
    const empty = await rest(first, options);
    for (let at = 0; at < count; at += 50) await first.call('POST', '/api/ruleChains/import', exported(at, Math.min(50, count - at)));
    await first.close();
    const product = await startProduct({ dataFolder, nodeFlags: options.nodeFlags });
    const memory = await rest(product, options);
    await product.close();
    // Of fewer chains the time of all is reckoned.
    const seconds = (first.startedInMs + (product.startedInMs - first.startedInMs) * (CHAINS / count)) / 1000;
    const rows: Row[] = [
      { what: 'without chains', values: { value: megabytes(empty), start: `${(first.startedInMs / 1000).toFixed(2)} s` } },
      {
        what: `${thousands(count)} chains of ${NODES} nodes`,
        values: { value: megabytes(memory), start: `${(product.startedInMs / 1000).toFixed(2)} s` },
        must: { text: '≤ 250 MB and ≤ 5 s', met: memory <= 250 * 1048576 && seconds <= 5 },
      },
    ];
    return { title: 'many chains, half of their nodes scripts', rows, notes: [] };
  } finally {
    rmSync(dataFolder, { recursive: true, force: true });
  }
}

/** Main process, when what start-up leaves behind is collected; nothing is waited for here, the figure is a time's. */
async function rest(product: Product, options: BenchOptions): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, options.short ? 3000 : 15_000));
  return product.memory().main;
}

function exported(from: number, count: number): Answer {
  const id = (chain: number): Answer => ({ entityType: 'RULE_CHAIN', id: `00000000-0000-1000-8000-${String(chain).padStart(12, '0')}` });
  const numbers = Array.from({ length: count }, (_, place) => from + place);
  return {
    ruleChains: numbers.map((chain) => ({ id: id(chain), name: `chain ${chain}`, type: 'CORE' })),
    metadata: numbers.map((chain) => ({
      ruleChainId: id(chain),
      firstNodeIndex: 0,
      nodes: Array.from({ length: NODES }, (_, node) => stepOf(chain, node)),
      connections: Array.from({ length: NODES - 1 }, (_, node) => ({
        fromIndex: node,
        toIndex: node + 1,
        type: node % 2 === 0 ? 'True' : 'Success',
      })),
    })),
  };
}

/** Every second node is a script of its own text, the others plain. */
function stepOf(chain: number, node: number): Answer {
  const name = `node ${node}`;
  const additionalInfo = { layoutX: 100, layoutY: 100 };
  if (node % 2 === 0) {
    const jsScript = `return msg.temperature > ${chain} + ${node};`;
    const configuration = { scriptLang: 'JS', jsScript, tbelScript: '' };
    return { type: 'org.thingsboard.rule.engine.filter.TbJsFilterNode', name, configuration, additionalInfo };
  }
  const configuration = { renameIn: 'METADATA', renameKeysMapping: { [`old ${chain}`]: `new ${node}` } };
  return { type: 'org.thingsboard.rule.engine.transform.TbRenameKeysNode', name, configuration, configurationVersion: 2, additionalInfo };
}

const RELOAD_RATE = 5000;

/** The chain is saved once a second, each time with another script, while messages come at a fixed rate. */
export async function reload(options: BenchOptions): Promise<Result> {
  const seconds = options.short ? 6 : 20;
  const peer = await startPeer();
  const product = await productOf(options);
  try {
    const chain = (revision: number) =>
      saveChain(product, 'bench', switchSteps({ ...scriptFilter(`return msg.temperature > -${40 + revision};`), to: { True: 'save' } }));
    const { id } = await chain(0);
    const uplink = await createUplinkConverter(product, 'bench up', DECODER);
    const integration = await createMqttIntegration(product, { name: 'bench', uplink, port: peer.port, filters: ['ours/+/up'] });
    await peer.subscribed();
    await activeIntegration(product, integration);
    const times: number[] = [];
    const total = seconds * RELOAD_RATE;
    let acknowledged = 0;
    let n = 0;
    const begin = performance.now();
    let saves = 0;
    let saving: Promise<unknown> = Promise.resolve();
    await new Promise<void>((resolve, reject) => {
      const timer = setInterval(() => {
        const elapsed = (performance.now() - begin) / 1000;
        const due = Math.min(total, Math.floor(elapsed * RELOAD_RATE));
        while (n < due) {
          const sentAt = performance.now();
          const measured = n >= RELOAD_RATE;
          const taken = peer.publish(publication('ours', n, 100), (at) => {
            if (measured) times.push(at - sentAt);
            if (++acknowledged === total) resolve();
          });
          if (!taken) return;
          n++;
        }
        if (elapsed > saves + 1 && saves < seconds - 1) {
          saves++;
          saving = saving.then(() => resave(product, id, saves));
          saving.catch(reject);
        }
        if (n === total) {
          clearInterval(timer);
          setTimeout(() => reject(new Error(`${total - acknowledged} of ${total} messages were not acknowledged within 20 s`)), 20_000).unref();
        }
      }, 1);
    });
    await saving;
    await eventually('all are stored', async () => (await ledgerOf(product, integration)).messages.stored >= total, {
      deadlineMs: 60_000,
      everyMs: 50,
    });
    const { messages } = await ledgerOf(product, integration);
    const lost = total - messages.stored;
    const sorted = times.toSorted((a, b) => a - b);
    const p99 = quantile(sorted, 0.99);
    return {
      title: 'hot reload',
      rows: [
        {
          ...latencyRow(`a chain saved ${saves} times under ${thousands(RELOAD_RATE)} msg/s`, times),
          must: { text: `p99 ≤ 50 ms: ${p99.toFixed(1)} ms, lost 0: ${lost}`, met: p99 <= 50 && lost === 0 },
        },
      ],
      notes: lost > 0 ? [`LOST: ${lost} of ${total} messages under hot reload`] : [],
    };
  } finally {
    peer.close();
    await product.close();
  }
}

/** Another threshold in its script: the node is stopped and started anew. */
async function resave(product: Product, { id }: { id: string }, revision: number): Promise<void> {
  const graph = await product.call('GET', `/api/ruleChain/${id}/metadata`);
  for (const node of graph.nodes) {
    if (node.type.endsWith('TbJsFilterNode')) node.configuration.jsScript = `return msg.temperature > -${40 + revision};`;
  }
  await product.call('POST', '/api/ruleChain/metadata', graph);
}

const ORIGINATORS = 100_000;

export async function deduplication(options: BenchOptions): Promise<Result> {
  const originators = options.short ? ORIGINATORS / 5 : ORIGINATORS;
  const configuration = { interval: 86_400, strategy: 'LAST', outMsgType: null, maxPendingMsgs: 100, maxRetries: 3 };
  const chain = (product: Product) =>
    saveChain(product, 'bench', {
      'message type switch': { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': 'deduplicate' } },
      deduplicate: { type: 'deduplication.TbMsgDeduplicationNode', configuration, to: { Success: 'save' } },
      save: {
        type: 'telemetry.TbMsgTimeseriesNode',
        configuration: { defaultTTL: 0, useServerTs: false, processingSettings: { type: 'ON_EVERY_MESSAGE' } },
      },
    });
  const dataFolder = temporaryFolder('deduplication');
  try {
    const plant = await startPlant(options, { chain, product: { dataFolder } });
    // The devices are created by it too, which takes more memory than the waiting.
    await plant.publish(originators, originators);
    await eventually('all of them are kept', async () => (await plant.inFlight()) >= originators, { deadlineMs: 300_000, everyMs: 100 });
    const creating = plant.product.memory().main;
    await plant.close();
    const again = await startPlant(options, { chain, product: { dataFolder }, name: 'bench again' });
    const resting = await rest(again.product, options);
    await again.publish(originators, originators);
    const waiting = await rest(again.product, options);
    await again.close();
    const rows: Row[] = [
      { what: `${thousands(originators)} devices created, each with a message pending`, values: { value: megabytes(creating) } },
      { what: 'the same after a restart', values: { value: megabytes(resting) } },
      {
        what: 'and with another message of each',
        values: { value: megabytes(waiting) },
        must: { text: '≤ 300 MB', met: waiting <= 300 * 1048576 },
      },
    ];
    return { title: `deduplication with ${thousands(originators)} originators pending`, rows, notes: [] };
  } finally {
    rmSync(dataFolder, { recursive: true, force: true });
  }
}
