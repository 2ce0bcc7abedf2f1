import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
// As `npm start` runs it: with the flags of node that are there.
const START: string[] = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  .scripts.start.split(' ')
  .slice(1);

/** One process of the product, as a user starts it. */
export interface ProductProcess {
  readonly pid: number;
  readonly port: number;
  /** What it printed, standard output and error together (the last 64 KB). */
  output(): string;
  /** Time from the start of the process to the first 200 of /health, ms. */
  readonly startedInMs: number;
  readonly running: boolean;
  /** Resolves at its end with exit code or signal. */
  ended(): Promise<number | string>;
  /** SIGKILL at once; its children end by themselves. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the milliseconds that the end took. */
  stop(): Promise<number>;
  /** SIGSTOP, it and its children: it stands still and does not know. */
  pause(): void;
  /** SIGCONT */
  resume(): void;
  /** Resolves when it is healthy. @throws Error with its output when it ends or is not ready in time. */
  start(env?: Record<string, string>): Promise<void>;
  /** SIGTERM, and SIGKILL when that takes too long. */
  close(): Promise<void>;
  /** CPU time of the process and its children, microseconds. */
  cpuMicros(): number;
  /** Resident memory of the process alone, and of its children, bytes. */
  memory(): { main: number; children: number[] };
}

export interface ProcessOptions {
  readonly port: number;
  readonly dataFolder: string;
  readonly env?: Record<string, string>;
  /** Flags of node: `--cpu-prof`, … */
  readonly nodeFlags?: readonly string[];
  /** Put before the command: `bash -c 'ulimit …; exec "$@"' --`. */
  readonly wrapper?: readonly string[];
}

/** Not started yet. */
export function productProcess({ port, dataFolder, env: always = {}, nodeFlags = [], wrapper = [] }: ProcessOptions): ProductProcess {
  let child: ChildProcess | null = null;
  let output = '';
  let startedInMs = 0;
  const isRunning = () => child !== null && child.exitCode === null && child.signalCode === null;

  async function healthy(deadlineMs: number): Promise<void> {
    const end = Date.now() + deadlineMs;
    for (;;) {
      if (!isRunning()) throw new Error(`the product ended while starting:\n${output}`);
      try {
        const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(1000) });
        await response.arrayBuffer();
        if (response.status === 200) return;
      } catch {
        // not listening yet
      }
      if (Date.now() > end) throw new Error(`the product was not ready within ${deadlineMs} ms:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async function end(signal: NodeJS.Signals) {
    if (!child || !isRunning()) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  const signalAll = (signal: NodeJS.Signals): void => {
    for (const pid of processTree(child?.pid ?? 0)) {
      try {
        process.kill(pid, signal);
      } catch {
        // a child that has ended meanwhile
      }
    }
  };

  return {
    port,
    get pid() {
      return child?.pid ?? 0;
    },
    get startedInMs() {
      return startedInMs;
    },
    get running() {
      return isRunning();
    },
    output: () => output,
    async ended() {
      if (child && isRunning()) await once(child, 'exit');
      return child?.signalCode ?? child?.exitCode ?? -1;
    },
    kill: () => end('SIGKILL'),
    async stop() {
      const begin = performance.now();
      await end('SIGTERM');
      return performance.now() - begin;
    },
    pause: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
    async start(env = {}) {
      const begin = performance.now();
      const [command, ...rest] = [...wrapper, process.execPath, ...nodeFlags, ...START];
      child = spawn(command!, rest, {
        cwd: ROOT,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'] ?? '',
          HTTP_PORT: String(port),
          FIELDBRIDGE_DATA: dataFolder,
          DEMO: 'false',
          LOG_LEVEL: 'warn',
          ...always,
          ...env,
        },
      });
      const keep = (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-65_536);
      };
      child.stdout!.on('data', keep);
      child.stderr!.on('data', keep);
      await healthy(30_000);
      startedInMs = performance.now() - begin;
    },
    async close() {
      if (isRunning()) signalAll('SIGCONT');
      const clean = setTimeout(() => child?.kill('SIGKILL'), 10_000);
      await end('SIGTERM');
      clearTimeout(clean);
    },
    cpuMicros: () => processTree(child?.pid ?? 0).reduce((sum, pid) => sum + cpuMicrosOf(pid), 0),
    memory() {
      const [main = 0, ...children] = processTree(child?.pid ?? 0).map(residentBytes);
      return { main, children };
    },
  };
}

/** The process and its descendants that live, the process first. */
export function processTree(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = statOf(Number(entry))?.parent;
    if (parent !== undefined) parents.set(parent, [...(parents.get(parent) ?? []), Number(entry)]);
  }
  const tree = [pid];
  for (let i = 0; i < tree.length; i++) tree.push(...(parents.get(tree[i]!) ?? []));
  return tree;
}

// Fields of /proc/PID/stat (proc(5)) behind the name, which may hold blanks and parentheses.
function statOf(pid: number): { parent: number; ticks: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // utime, stime, and those of children that ended: a killed script host keeps counting.
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]) };
  } catch {
    return null;
  }
}

/** User and system time in microseconds; the kernel counts in ticks of 10 ms. */
export const cpuMicrosOf = (pid: number): number => (statOf(pid)?.ticks ?? 0) * 10_000;

export function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB/m)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
