import { HttpConnection, requestHead } from '../../bench/load.ts';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import {
  createInboundIntegration,
  createUplinkConverter,
  eventually,
  inboundPath,
  ledgerFaults,
  ledgerOf,
  SAVE_TELEMETRY,
  saveChain,
} from '../support/tenant.ts';
import { HOSTILE } from './hostile-scripts.ts';

const GOOD = `const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: m.d, deviceType: 'good', telemetry: { n: m.n } };`;

export interface NeighbourReport {
  readonly perSecondAlone: number;
  readonly perSecondBeside: number;
  /** Answers other than 204 that the good one got. */
  readonly refused: number;
  readonly hostileSent: number;
  readonly ledger: readonly string[];
}

/** Good uplinks at full speed, alone and then beside hostile converters that get one message a second each. */
export async function neighbours({
  hostile,
  seconds,
  log = () => {},
}: {
  hostile: number;
  seconds: number;
  log?: (line: string) => void;
}): Promise<NeighbourReport> {
  const product = await startProduct();
  try {
    await saveChain(product, 'neighbours', { save: SAVE_TELEMETRY });
    const good = await createInboundIntegration(product, { name: 'good', uplink: await createUplinkConverter(product, 'good', GOOD) });
    const bad: Answer[] = [];
    const scripts = Object.entries(HOSTILE);
    for (let i = 0; i < hostile; i++) {
      const [name, decoder] = scripts[i % scripts.length]!;
      bad.push(
        await createInboundIntegration(product, { name: `bad ${i}`, uplink: await createUplinkConverter(product, `bad ${i}: ${name}`, decoder) }),
      );
    }
    await load(product, good, 1000);
    const alone = await load(product, good, (seconds * 1000) / 2);
    let hostileSent = 0;
    const answers: Promise<unknown>[] = [];
    const timer = setInterval(() => {
      for (const each of bad) {
        hostileSent++;
        answers.push(product.request('POST', inboundPath(each), '{}', { token: null }).catch(() => null));
      }
    }, 1000);
    const beside = await load(product, good, seconds * 1000);
    clearInterval(timer);
    await Promise.all(answers);
    log(`alone ${alone.perSecond.toFixed(0)}/s, beside ${hostile} hostile ones ${beside.perSecond.toFixed(0)}/s`);
    await eventually('everything has its end', async () => (await ledgerOf(product, good)).messages.inFlight === 0);
    const ledger = ledgerFaults(await ledgerOf(product, good));
    for (const each of bad) ledger.push(...ledgerFaults(await ledgerOf(product, each)).map((fault) => `${each.name}: ${fault}`));
    return { perSecondAlone: alone.perSecond, perSecondBeside: beside.perSecond, refused: alone.refused + beside.refused, hostileSent, ledger };
  } finally {
    await product.close();
  }
}

async function load(product: Product, integration: Answer, milliseconds: number): Promise<{ perSecond: number; refused: number }> {
  const head = requestHead('POST', inboundPath(integration), { 'content-type': 'application/json' });
  const end = performance.now() + milliseconds;
  let done = 0;
  let refused = 0;
  await Promise.all(
    Array.from({ length: 8 }, async (_, c) => {
      const connection = await HttpConnection.open(product.port);
      for (let n = 0; performance.now() < end; n++) {
        const { status } = await connection.send(head, `{"d":"G-${c}","n":${n}}`);
        done++;
        if (status !== 204) refused++;
      }
      connection.close();
    }),
  );
  return { perSecond: done / (milliseconds / 1000), refused };
}
