import { type Product, type ProductOptions, startProduct } from '../test/support/product.ts';
import { cpuMicrosOf } from '../test/support/product-process.ts';
import { startMosquitto } from '../test/support/servers.ts';
import {
  activeIntegration,
  type ChainStep,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  ledgerOf,
  SAVE_TELEMETRY,
  saveChain,
  scriptFilter,
  storedNumbers,
} from '../test/support/tenant.ts';
import { connectPublisher, type Publication } from './load.ts';
import { type BenchOptions, productOf } from './measure.ts';

/** What all uplink workloads share: messages of thermometers, the converter that decodes them, the chain that stores them. */

export const DECODER = `
const m = JSON.parse(String.fromCharCode.apply(String, payload));
const b = [];
for (let i = 0; i < m.data.length; i += 2) b.push(parseInt(m.data.substr(i, 2), 16));
return {
  deviceName: m.sn, deviceType: 'thermometer',
  telemetry: { ts: m.at, values: { n: m.n, temperature: ((b[0] << 24 >> 16) | b[1]) / 10, humidity: b[2], battery: ((b[3] << 8) | b[4]) / 1000 } }
};`;

const START_TS = 1_700_000_000_000;

/** Message n of a run; `at` differs for every n, so that no sample of a device replaces another. */
export function publication(prefix: string, n: number, devices: number): Publication {
  const sn = `T-${n % devices}`;
  const data = (200 + (n % 64)).toString(16).padStart(4, '0') + '2b0ce4';
  return { topic: `${prefix}/${sn}/up`, payload: `{"sn":"${sn}","n":${n},"at":${START_TS + n},"data":"${data}"}` };
}

export const switchSteps = (filter: ChainStep, extra: Record<string, ChainStep> = {}): Record<string, ChainStep> => ({
  'message type switch': { type: 'filter.TbMsgTypeSwitchNode', to: { 'Post telemetry': 'plausible' } },
  plausible: filter,
  ...extra,
  save: SAVE_TELEMETRY,
});

/** Message type switch → script filter → save, as root chain. */
export const uplinkChain = (product: Product, { debug = false } = {}) => {
  const steps = switchSteps({ ...scriptFilter('return msg.temperature > -40;'), to: { True: 'save' } });
  return saveChain(product, 'bench', debug ? Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, { ...step, debug }])) : steps);
};

export interface Plant {
  readonly product: Product;
  readonly brokerPort: number;
  /** Publishes `count` messages as fast as the broker takes them; resolves when all are stored. Checks sent = stored by the ledger. */
  run(count: number, devices: number): Promise<RunFigures>;
  /** The same without waiting for what becomes of them. */
  publish(count: number, devices: number): Promise<void>;
  /** Messages that are on their way or kept at a node. */
  inFlight(): Promise<number>;
  /** Every number sent so far is stored once, and no other. @returns what is wrong. */
  check(devices: number): Promise<string[]>;
  close(): Promise<void>;
}

export interface RunFigures {
  readonly perSecond: number;
  readonly cpuMicrosPerMessage: number;
  /** Of that, the main process without its script hosts. */
  readonly mainMicrosPerMessage?: number;
}

export const brokerConf = (options: BenchOptions): string[] => [`max_inflight_messages ${options.inFlight}`];

export interface PlantOptions {
  readonly debug?: boolean;
  readonly chain?: (product: Product) => Promise<unknown>;
  readonly product?: ProductOptions;
  /** Of integration and converter, where a data folder has some already. */
  readonly name?: string;
}

/** Product, broker, MQTT integration and chain. */
export async function startPlant(
  options: BenchOptions,
  { debug = false, chain, product: settings, name = 'bench' }: PlantOptions = {},
): Promise<Plant> {
  const broker = await startMosquitto({ conf: brokerConf(options) });
  const product = settings ? await startProduct({ nodeFlags: options.nodeFlags, ...settings }) : await productOf(options);
  await (chain ? chain(product) : uplinkChain(product, { debug }));
  const uplink = await createUplinkConverter(product, `${name} up`, DECODER);
  const integration = await createMqttIntegration(product, { name, uplink, port: broker.port, filters: ['ours/+/up'] });
  await activeIntegration(product, integration);
  const publisher = await connectPublisher(broker.port, 'bench-load');
  let sent = 0;

  return {
    product,
    brokerPort: broker.port,
    async run(count, devices) {
      const before = (await ledgerOf(product, integration)).messages;
      const cpu = product.cpuMicros();
      const main = cpuMicrosOf(product.pid);
      const begin = performance.now();
      const first = sent;
      sent += count;
      await publisher.publish({ count, make: (i) => publication('ours', first + i, devices) });
      await eventually(
        `${count} messages are stored`,
        async () => {
          const { stored, dead, filtered } = (await ledgerOf(product, integration)).messages;
          if (dead > before.dead || filtered > before.filtered) throw new Error('messages were filtered or ended as dead letters');
          return stored - before.stored >= count;
        },
        { deadlineMs: 300_000, everyMs: 50 },
      );
      const seconds = (performance.now() - begin) / 1000;
      return {
        perSecond: count / seconds,
        cpuMicrosPerMessage: (product.cpuMicros() - cpu) / count,
        mainMicrosPerMessage: (cpuMicrosOf(product.pid) - main) / count,
      };
    },
    async publish(count, devices) {
      const first = sent;
      sent += count;
      await publisher.publish({ count, make: (i) => publication('ours', first + i, devices) });
    },
    inFlight: async () => (await ledgerOf(product, integration)).messages.inFlight,
    async check(devices) {
      const seen = new Uint8Array(sent);
      for (let d = 0; d < devices; d++) {
        const device = await deviceByName(product, `T-${d}`);
        for (const n of await storedNumbers(product, device.id.id, 'n')) {
          if (n < sent) seen[n] = 1;
        }
      }
      const lost = seen.reduce((sum, each) => sum + (each === 0 ? 1 : 0), 0);
      return lost === 0 ? [] : [`${lost} of ${sent} messages are not stored`];
    },
    async close() {
      publisher.close();
      await product.close();
      await broker.close();
    },
  };
}
