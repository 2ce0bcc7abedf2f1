import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { listening } from './servers.ts';

/** A real server program on a loopback port, with its own folder: what fault tests do to it. */
export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  /** SIGTERM; its data stay. */
  stop(): Promise<void>;
  /** SIGKILL; what it had on disk stays. */
  kill(): Promise<void>;
  /** Again, on the same data and port. Resolves when it listens. */
  start(): Promise<void>;
  /** SIGSTOP: its connections stand and nobody answers. */
  pause(): void;
  /** SIGCONT */
  resume(): void;
  /** Ends it and removes its folder. */
  close(): Promise<void>;
}

export interface ServerCommand {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly port: number;
  readonly folder: string;
  readonly readyMs?: number;
  /** Beside our own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A test that breaks off must not leave them behind. */
const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export async function startServer({ name, file, args, port, folder, readyMs = 20_000, env = {} }: ServerCommand): Promise<ServerProcess> {
  let child: ChildProcess | null = null;
  const lives = () => child !== null && child.exitCode === null && child.signalCode === null;
  const start = async () => {
    const started = spawn(file, args, { stdio: 'ignore', cwd: folder, env: { ...process.env, ...env } });
    child = started;
    living.add(started);
    started.once('exit', () => living.delete(started));
    await Promise.race([
      listening(port, readyMs),
      once(started, 'exit').then(([code, signal]) => {
        throw new Error(`${name} ended at once with ${code ?? signal}`);
      }),
    ]);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (!child || !lives()) return;
    const ended = once(child, 'exit');
    // A stopped process takes no SIGTERM.
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  };
  await start();
  return {
    port,
    get pid() {
      return child?.pid ?? 0;
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async close() {
      await end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
