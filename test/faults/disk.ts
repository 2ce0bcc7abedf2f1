import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectPublisher } from '../../bench/load.ts';
import { startProduct } from '../support/product.ts';
import { startMosquitto, temporaryFolder } from '../support/servers.ts';
import {
  activeIntegration,
  createInboundIntegration,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  inboundPath,
  ledgerFaults,
  ledgerOf,
  SAVE_TELEMETRY,
  saveChain,
  storedNumbers,
} from '../support/tenant.ts';

const DECODER = `const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: m.d, deviceType: 'full', telemetry: { ts: 1700000000000 + m.n, values: { n: m.n, text: m.text || '' } } };`;

export interface DiskReport {
  readonly refused: number;
  readonly lost: number;
  readonly lostBehindBroker: number;
  readonly processLived: boolean;
  readonly healthWhileFull: number;
  readonly ledger: readonly string[];
}

/** A file system of its own for the data folder. Null: this user may not mount one. */
export function smallDisk(megabytes: number): { folder: string; close(): void } | null {
  const folder = temporaryFolder('disk');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    rmSync(folder, { recursive: true, force: true });
    return null;
  }
  return {
    folder,
    close() {
      execFileSync('umount', [folder], { stdio: 'ignore' });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The disk fills up under HTTP and MQTT uplinks, and has room again later. */
export async function fullDisk({ log = () => {} }: { log?: (line: string) => void } = {}): Promise<DiskReport | null> {
  const disk = smallDisk(64);
  if (!disk) return null;
  const broker = await startMosquitto({ conf: ['max_inflight_messages 100'] });
  const product = await startProduct({ dataFolder: disk.folder });
  try {
    await saveChain(product, 'full', { save: SAVE_TELEMETRY });
    const uplink = await createUplinkConverter(product, 'full up', DECODER);
    const http = await createInboundIntegration(product, { name: 'full http', uplink });
    const mqtt = await createMqttIntegration(product, { name: 'full mqtt', uplink, port: broker.port, filters: ['full/up'] });
    await activeIntegration(product, mqtt);
    const text = 'x'.repeat(2000);
    let n = 0;
    const accepted: number[] = [];
    const send = async () => {
      const mine = n++;
      const { status } = await product.request('POST', inboundPath(http), { d: 'F-1', n: mine, text }, { token: null });
      if (status === 204) accepted.push(mine);
      return status;
    };
    for (let i = 0; i < 20; i++) await send();

    const filler = join(disk.folder, 'filler');
    const { bavail, bsize } = statfsSync(disk.folder);
    writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - 512 * 1024)));
    let refused = 0;
    for (let i = 0; i < 3000 && refused < 5; i++) {
      const status = await send();
      if (status === 503) refused++;
      else if (status !== 204) throw new Error(`with a full disk an uplink was answered ${status}`);
    }
    const publisher = await connectPublisher(broker.port, 'full-publisher');
    const published = 500;
    await publisher.publish({ count: published, make: (i) => ({ topic: 'full/up', payload: JSON.stringify({ d: 'F-2', n: i, text }) }) });
    publisher.close();
    const processLived = product.running;
    const healthWhileFull = (await product.request('GET', '/health', undefined, { token: null })).status;
    log(`${accepted.length} accepted, ${refused} refused, health ${healthWhileFull}`);

    rmSync(filler);
    await eventually('uplinks are taken again', async () => (await send()) === 204, { deadlineMs: 30_000, everyMs: 200 });
    const numbers = async (name: string) => {
      const device = await deviceByName(product, name);
      return new Set(await storedNumbers(product, device.id.id, 'n'));
    };
    await eventually('everything is worked on', async () => (await ledgerOf(product, http)).messages.inFlight === 0, { deadlineMs: 30_000 });
    const stored = await numbers('F-1');
    const behind = await eventually(
      'the broker delivered again',
      async () => {
        const all = await numbers('F-2');
        return all.size === published && all;
      },
      { deadlineMs: 30_000, everyMs: 200 },
    ).catch(() => numbers('F-2').catch(() => new Set<number>()));
    return {
      refused,
      lost: accepted.filter((each) => !stored.has(each)).length,
      lostBehindBroker: published - behind.size,
      processLived,
      healthWhileFull,
      ledger: [...ledgerFaults(await ledgerOf(product, http)), ...ledgerFaults(await ledgerOf(product, mqtt))],
    };
  } finally {
    await product.close();
    await broker.close();
    disk.close();
  }
}
