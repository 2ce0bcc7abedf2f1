import { rmSync } from 'node:fs';
import { startProduct } from '../test/support/product.ts';
import { temporaryFolder } from '../test/support/servers.ts';
import { type BenchOptions, megabytes, type Result } from './measure.ts';
import { startPlant } from './plant.ts';

const DEVICES = 10_000;

/** Time from the start of the process to the first 200 of /health, and what it holds when nothing happens. */
export default async function idle(options: BenchOptions): Promise<Result> {
  const dataFolder = temporaryFolder('idle');
  try {
    const plant = await startPlant(options, { product: { dataFolder } });
    const fresh = plant.product.startedInMs;
    await plant.run(DEVICES, DEVICES);
    const busy = plant.product.memory();
    await plant.close();

    const product = await startProduct({ dataFolder, nodeFlags: options.nodeFlags });
    const again = product.startedInMs;
    // Long enough for what start-up leaves behind to be collected; nothing is waited for here, the figure is a time's.
    await new Promise((resolve) => setTimeout(resolve, options.short ? 5000 : 30_000));
    const memory = product.memory();
    await product.close();
    const hostLimit = 90 * 1048576;
    return {
      title: `start and idle, ${DEVICES.toLocaleString('en-US')} devices`,
      rows: [
        { what: 'start, empty folder', values: { value: `${(fresh / 1000).toFixed(2)} s` }, must: { text: '≤ 3 s', met: fresh <= 3000 } },
        { what: 'start, with the devices', values: { value: `${(again / 1000).toFixed(2)} s` }, must: { text: '≤ 3 s', met: again <= 3000 } },
        { what: 'idle RSS, main process', values: { value: megabytes(memory.main) }, must: { text: '≤ 250 MB', met: memory.main <= 250 * 1048576 } },
        {
          what: 'idle RSS, script hosts',
          values: { value: memory.children.map(megabytes).join(' ') || 'none' },
          must: { text: '≤ 90 MB each', met: memory.children.every((each) => each <= hostLimit) },
        },
        { what: 'RSS after the devices came, main process', values: { value: megabytes(busy.main) } },
      ],
      notes: [],
    };
  } finally {
    rmSync(dataFolder, { recursive: true, force: true });
  }
}
