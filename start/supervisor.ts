import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Supervised {
  readonly name: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface SupervisorOptions {
  /** What is run for each of them: file and arguments. */
  readonly command: readonly [string, ...string[]];
  /** At least one. */
  readonly processes: readonly Supervised[];
  /** In a line by which a process says that it is ready. */
  readonly ready: string;
  /** One line of `name`; without a name, of the supervisor. */
  readonly print: (line: string, name?: string) => void;
  readonly onAllReady: () => void;
  /** Before one that has ended is started again; doubled each time, until it has run for `calmMs`. */
  readonly firstPauseMs?: number;
  readonly longestPauseMs?: number;
  readonly calmMs?: number;
  /** So long a process may take to end. */
  readonly graceMs?: number;
}

export interface Supervisor {
  /** Ends all. */
  stop(): void;
  /** Exit code: 0 after `stop()`; that of the first process when it ended before it was ready. */
  readonly ended: Promise<number>;
}

/**
 * Runs several processes and starts each again that ends. The first goes ahead: when it refuses to start (a wrong setting, a server that is away), it has said why,
 * and the others need not say it again.
 */
export function supervise(options: SupervisorOptions): Supervisor {
  const { command, processes, print, firstPauseMs = 1000, longestPauseMs = 30_000, calmMs = 60_000, graceMs = 20_000 } = options;
  const [first, ...others] = processes;
  if (!first) throw new RangeError('there is nothing to run');
  const stopping = new AbortController();
  const running = new Set<ChildProcess>();
  const ready = new Set<string>();

  /** Resolves at its end. */
  async function runOnce({ name, env }: Supervised, onReady: () => void): Promise<string | number> {
    const [file, ...args] = command;
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (line.trim() !== '') print(line, name);
        if (line.includes(options.ready)) onReady();
      });
    }
    // `close` comes after its last line, which says why it ended.
    const [code, signal] = await once(child, 'close');
    running.delete(child);
    return signal ?? code;
  }

  /** Resolves when it is not to run any more: the code with which it refused to start at all, else 0. */
  async function keep(process: Supervised, { mayRefuse }: { mayRefuse: boolean }): Promise<number> {
    let pauseMs = firstPauseMs;
    for (;;) {
      const begin = Date.now();
      let wasReady = false;
      const end = await runOnce(process, () => {
        wasReady = true;
        onReady(process.name);
      });
      if (stopping.signal.aborted) return 0;
      if (mayRefuse && !wasReady) return Number(end) || 1;
      mayRefuse = false;
      if (Date.now() - begin > calmMs) pauseMs = firstPauseMs;
      print(`has ended (${typeof end === 'number' ? `exit code ${end}` : end}) and is started again in ${pauseMs / 1000} s`, process.name);
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return 0;
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  }

  const kept: Promise<number>[] = [];
  function onReady(name: string): void {
    if (ready.has(name)) return;
    ready.add(name);
    if (name === processes[0]!.name && !stopping.signal.aborted) kept.push(...others.map((each) => keep(each, { mayRefuse: false })));
    if (ready.size === processes.length) options.onAllReady();
  }

  async function run(): Promise<number> {
    const code = await keep(processes[0]!, { mayRefuse: true });
    await Promise.all(kept);
    return code;
  }

  return {
    ended: run(),
    stop() {
      if (stopping.signal.aborted) return;
      stopping.abort();
      for (const child of running) child.kill('SIGTERM');
      setTimeout(() => {
        for (const child of running) {
          print(`process ${child.pid} does not end and is killed`);
          child.kill('SIGKILL');
        }
      }, graceMs).unref();
    },
  };
}
