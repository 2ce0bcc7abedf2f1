import { createHash } from 'node:crypto';
import { loadavg } from 'node:os';
import { type Product, startProduct } from '../test/support/product.ts';

/** What a workload hands back: rows of one table. */
export interface Row {
  readonly what: string;
  readonly values: Readonly<Record<string, string>>;
  /** What it must be by design §6, and whether it is. */
  readonly must?: { readonly text: string; readonly met: boolean };
}

export interface Result {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
}

export interface BenchOptions {
  /** Embedded unless it says otherwise. */
  readonly start?: () => Promise<Product>;
  /** Smaller counts: each workload under a minute, figures with more noise. */
  readonly short: boolean;
  /** Much smaller: a workload within another. */
  readonly brief?: boolean;
  /** Without the peer. */
  readonly alone: boolean;
  /** Flags for the product's node, `--cpu-prof`. */
  readonly nodeFlags: readonly string[];
  /** Largest count of unacknowledged messages of the broker; Mosquitto's default is 20. */
  readonly inFlight: number;
}

/** The product that a workload is run on. */
export const productOf = (options: BenchOptions): Promise<Product> => options.start?.() ?? startProduct({ nodeFlags: options.nodeFlags });

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export function latencyRow(what: string, milliseconds: readonly number[]): Row {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const show = (q: number) => `${quantile(sorted, q).toFixed(2)} ms`;
  return {
    what,
    values: { n: String(sorted.length), p50: show(0.5), p90: show(0.9), p99: show(0.99), max: `${(sorted.at(-1) ?? Number.NaN).toFixed(2)} ms` },
  };
}

export const mean = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
export const thousands = (n: number): string => Math.round(n).toLocaleString('en-US');
export const megabytes = (bytes: number): string => `${(bytes / 1048576).toFixed(0)} MB`;

/** The same piece of work several times: how far apart its times lie is what this machine adds to every figure. */
export function machineNoise(): string {
  const times: number[] = [];
  for (let run = 0; run < 9; run++) {
    const begin = performance.now();
    for (let i = 0; i < 20_000; i++) createHash('sha1').update(`${run}/${i}`).digest();
    times.push(performance.now() - begin);
  }
  const sorted = times.slice(1).toSorted((a, b) => a - b);
  const spread = ((sorted.at(-1)! - sorted[0]!) / sorted[0]!) * 100;
  return `the same loop ${sorted.length} times: ${sorted[0]!.toFixed(1)} to ${sorted.at(-1)!.toFixed(1)} ms (${spread.toFixed(0)} % apart); load ${loadavg()[0]!.toFixed(2)}`;
}

export function printResult({ title, rows, notes }: Result): void {
  console.log(`\n${title}`);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row.values)))];
  const table = [
    ['', ...columns, 'must'],
    ...rows.map((row) => [
      row.what,
      ...columns.map((c) => row.values[c] ?? ''),
      row.must ? `${row.must.text} ${row.must.met ? 'met' : 'MISSED'}` : '',
    ]),
  ];
  const widths = table[0]!.map((_, i) => Math.max(...table.map((line) => line[i]!.length)));
  for (const line of table)
    console.log(
      '  ' +
        line
          .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
          .join('  ')
          .trimEnd(),
    );
  for (const note of notes) console.log(`  ${note}`);
}
