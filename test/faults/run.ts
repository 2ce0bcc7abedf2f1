/**
 * `npm run test:faults [-- NAME…] [--kills N] [--seed N] [--short]`: the faults at full size, one table at the end.
 * Names: kill, waiting, outage, disk, hostile, overload, cluster-kill, cluster-pause, cluster-outage; none: all. Those of the cluster use the fast MongoDB-compatible server
 * (`test/servers install mongo-fast`).
 */
import { parseArgs } from 'node:util';
import overload from '../../bench/overload.ts';
import { clusterKillRuns, plannedClusterKills } from './cluster-kill.ts';
import { clusterOutages, plannedOutages } from './cluster-outage.ts';
import { clusterPauses } from './cluster-pause.ts';
import type { ClusterVerdict } from './cluster-plant.ts';
import { fullDisk } from './disk.ts';
import { neighbours } from './hostile.ts';
import { killRuns, plannedKills } from './kill.ts';
import { outages } from './outage.ts';
import { waitingKills } from './waiting.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { kills: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' }, short: { type: 'boolean', default: false } },
});
const { short } = values;
const log = (line: string) => console.log(`  ${line}`);

interface Line {
  readonly what: string;
  readonly found: string;
  readonly must: string;
  readonly met: boolean;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s at the most`;

/** What holds of a cluster whatever happened to it. */
const verdictLines = (what: string, { sent, lost, lostDownlinks, disorder, ledger }: ClusterVerdict): Line[] => [
  { what: `${what}, ${sent} messages`, found: `lost ${lost}`, must: '0', met: lost === 0 },
  { what: 'downlinks of those', found: `lost ${lostDownlinks}`, must: '0', met: lostDownlinks === 0 },
  { what: 'order of one device', found: `${disorder} out of order`, must: '0', met: disorder === 0 },
  { what: 'ledger', found: ledger.join('; ') || 'exact', must: 'exact', met: ledger.length === 0 },
];

const RUNS: Readonly<Record<string, () => Promise<Line[]>>> = {
  async 'cluster-kill'() {
    const kills = plannedClusterKills(Number(values.kills), Number(values.seed));
    const report = await clusterKillRuns({ kills, backlog: short ? 1000 : 10_000, perSecond: 100, fast: true, log });
    return [
      ...verdictLines(`${report.kills} × kill -9 of a role or all`, report),
      { what: 'taken over', found: seconds(report.slowestTakeOverMs), must: '≤ 10 s', met: report.slowestTakeOverMs <= 10_000 },
      { what: 'points not reached', found: report.notReached.join(' ') || 'none', must: 'none', met: report.notReached.length === 0 },
    ];
  },
  async 'cluster-pause'() {
    const report = await clusterPauses({ awayMs: short ? 12_000 : 30_000, perSecond: 500, fast: true, log });
    return [
      ...verdictLines('holders of lanes and integration stand still and go on', report),
      { what: 'taken over', found: seconds(report.slowestTakeOverMs), must: '≤ 10 s', met: report.slowestTakeOverMs <= 10_000 },
    ];
  },
  async 'cluster-outage'() {
    const report = await clusterOutages({ outages: plannedOutages(short ? 9 : 10), awayMs: short ? 5000 : 30_000, perSecond: 500, fast: true, log });
    return [
      ...verdictLines(`${report.outages} × Redis, MongoDB or both away`, report),
      { what: 'every process tells', found: seconds(report.slowestNoticeMs), must: '≤ 10 s', met: report.slowestNoticeMs <= 10_000 },
      { what: 'recovers by itself', found: seconds(report.slowestRecoveryMs), must: '≤ 15 s', met: report.slowestRecoveryMs <= 15_000 },
      {
        what: 'memory of all processes meanwhile',
        found: `+${(report.grewBytes / 1048576).toFixed(0)} MB at the most`,
        must: '≤ 200 MB',
        met: report.grewBytes <= 200 * 1048576,
      },
    ];
  },
  async kill() {
    const kills = plannedKills(Number(values.kills), Number(values.seed));
    const report = await killRuns({ kills, backlog: short ? 2000 : 10_000, perSecond: 2000, log });
    return [
      { what: `${report.kills} × kill -9, ${report.sent} messages`, found: `lost ${report.lost}`, must: '0', met: report.lost === 0 },
      { what: 'downlinks of those', found: `lost ${report.lostDownlinks}`, must: '0', met: report.lostDownlinks === 0 },
      { what: 'ledger', found: report.ledger.join('; ') || 'exact', must: 'exact', met: report.ledger.length === 0 },
      { what: 'serving again', found: `${(report.slowestMs / 1000).toFixed(2)} s at the most`, must: '≤ 5 s', met: report.slowestMs <= 5000 },
      { what: 'points not reached', found: report.notReached.join(' ') || 'none', must: 'none', met: report.notReached.length === 0 },
    ];
  },
  async waiting() {
    const kills = Math.ceil(Number(values.kills) / 5);
    const report = await waitingKills({ kills, seed: Number(values.seed), messages: short ? 1000 : 3000, log });
    return [
      { what: `${kills} × kill -9 while ${report.sent} messages wait at nodes`, found: `lost ${report.lost}`, must: '0', met: report.lost === 0 },
      {
        what: 'the target of the outbox',
        found: `${report.unheard} unheard, ${report.again} heard again`,
        must: '0 unheard',
        met: report.unheard === 0,
      },
      { what: 'ledger', found: report.ledger.join('; ') || 'exact', must: 'exact', met: report.ledger.length === 0 },
    ];
  },
  async outage() {
    const report = await outages(short ? { times: 2, awayMs: 5000, log } : { times: 10, awayMs: 30_000, log });
    return [
      { what: `${report.outages} × broker away, ${report.sent} messages`, found: `lost ${report.lost}`, must: '0', met: report.lost === 0 },
      {
        what: 'status tells',
        found: `${(report.slowestNoticeMs / 1000).toFixed(1)} s at the most`,
        must: '≤ 10 s',
        met: report.slowestNoticeMs <= 10_000,
      },
      {
        what: 'recovers by itself',
        found: `${(report.slowestRecoveryMs / 1000).toFixed(1)} s at the most`,
        must: '≤ 15 s',
        met: report.slowestRecoveryMs <= 15_000,
      },
      { what: 'ledger', found: report.ledger.join('; ') || 'exact', must: 'exact', met: report.ledger.length === 0 },
    ];
  },
  async disk() {
    const report = await fullDisk({ log });
    if (!report) return [{ what: 'full disk', found: 'not run: this user may not mount a tmpfs', must: 'run', met: false }];
    const { refused, lost, lostBehindBroker, processLived, ledger } = report;
    return [
      {
        what: 'full disk: refused, then lost',
        found: `${refused} refused, ${lost} and ${lostBehindBroker} lost`,
        must: '0 lost',
        met: refused > 0 && lost + lostBehindBroker === 0,
      },
      { what: 'full disk: process', found: processLived ? 'lives' : 'ended', must: 'lives', met: processLived },
      { what: 'full disk: ledger', found: ledger.join('; ') || 'exact', must: 'exact', met: ledger.length === 0 },
    ];
  },
  async hostile() {
    const report = await neighbours({ hostile: 16, seconds: short ? 5 : 30, log });
    const factor = report.perSecondAlone / report.perSecondBeside;
    return [
      {
        what: 'neighbours of 16 hostile converters',
        found: `${factor.toFixed(2)}× slower, ${report.refused} refused`,
        must: '≤ 2×, 0',
        met: factor <= 2 && report.refused === 0,
      },
      { what: 'their ledgers', found: report.ledger.join('; ') || 'exact', must: 'exact', met: report.ledger.length === 0 },
    ];
  },
  async overload() {
    const { rows, notes } = await overload({ short, alone: true, nodeFlags: [], inFlight: 1000 });
    return rows.map(({ values: row, must }) => ({
      what: 'three times what it takes, offered',
      found: [...Object.entries(row).map(([name, value]) => `${name} ${value}`), ...notes].join(', '),
      must: must?.text ?? '',
      met: must?.met === true && notes.length === 0,
    }));
  },
};

const names = positionals.length > 0 ? positionals : Object.keys(RUNS);
const unknown = names.filter((name) => !(name in RUNS));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}; there are: ${Object.keys(RUNS).join(', ')}`);
  process.exit(2);
}
const lines: Line[] = [];
for (const name of names) {
  console.log(name);
  try {
    lines.push(...(await RUNS[name]!()));
  } catch (cause) {
    lines.push({ what: name, found: `did not come to its end: ${cause instanceof Error ? cause.message : cause}`, must: 'an end', met: false });
  }
}
const widths = [0, 1, 2].map((i) => Math.max(...lines.map((line) => [line.what, line.found, line.must][i]!.length)));
console.log('');
for (const { what, found, must, met } of lines)
  console.log(`${what.padEnd(widths[0]!)}  ${found.padEnd(widths[1]!)}  must: ${must.padEnd(widths[2]!)}  ${met ? 'met' : 'MISSED'}`);
const failed = lines.filter(({ met }) => !met).length;
console.log(`\n${lines.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
