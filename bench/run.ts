/**
 * `npm run bench [-- NAME…] [--short] [--alone] [--in-flight N] [--cpu-prof]`: the workloads of the speed table, each against Node-RED where it has a peer.
 * Names: see WORKLOADS; none: all.
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import answer from './answer.ts';
import cluster, { clusterNeeds } from './cluster.ts';
import downlink from './downlink.ts';
import growth from './growth.ts';
import idle from './idle.ts';
import latency from './latency.ts';
import { type BenchOptions, machineNoise, megabytes, printResult, type Result } from './measure.ts';
import overload from './overload.ts';
import { capture, chains, deduplication, reload, tbel } from './rules.ts';
import uplink from './uplink.ts';

const WORKLOADS: Readonly<Record<string, (options: BenchOptions) => Promise<Result | Result[]>>> = {
  a: uplink,
  b: answer,
  c: downlink,
  latency,
  growth,
  tbel,
  capture,
  chains,
  reload,
  deduplication,
  idle,
  overload,
  cluster,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
    'in-flight': { type: 'string', default: '1000' },
    'cpu-prof': { type: 'string' },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(WORKLOADS).filter((name) => name !== 'cluster' || !clusterNeeds());
if (positionals.length === 0 && clusterNeeds()) console.log(`cluster: not run, ${clusterNeeds()}`);
const unknown = names.filter((name) => !(name in WORKLOADS));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; there are: ${Object.keys(WORKLOADS).join(', ')}`);
  process.exit(2);
}
const options: BenchOptions = {
  short: values.short,
  alone: values.alone,
  inFlight: Number(values['in-flight']),
  nodeFlags: values['cpu-prof'] === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values['cpu-prof']}`],
};

console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${megabytes(totalmem())}, Node ${process.version}`);
console.log(machineNoise());
let missed = 0;
for (const name of names) {
  try {
    const results = [await WORKLOADS[name]!(options)].flat();
    for (const result of results) printResult(result);
    for (const { rows, notes } of results)
      missed += rows.filter((row) => row.must && !row.must.met).length + notes.filter((note) => /^(LOST|WRONG)/.test(note)).length;
  } catch (cause) {
    missed++;
    console.log(`\n${name} did not come to its end: ${cause instanceof Error ? cause.message : cause}`);
  }
}
console.log(`\n${machineNoise()}`);
console.log(missed === 0 ? 'everything that must be met is met' : `${missed} missed`);
process.exitCode = missed === 0 ? 0 : 1;
