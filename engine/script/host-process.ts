import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, setPriority } from 'node:os';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Frame, FrameReader, READY } from './frame.ts';
import type { HostLimits } from './host.ts';
import { hostSource } from './host-source.ts';

const APP = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
/** Where isolated-vm really is; `node_modules` may be a link, or belong to whoever installed this program. */
const PACKAGES = createRequire(import.meta.url)
  .resolve('isolated-vm')
  .replace(/([\\/]node_modules)[\\/].*$/, '$1');
/** Packages, and not the program's folder: by default the data, with its keys, is in there. isolated-vm's loader asks whether this is Alpine. */
const READABLE = [...new Set([PACKAGES, resolve(APP, 'node_modules')]), resolve(APP, 'package.json'), '/etc/alpine-release'];
const MAX_STDERR_CHARS = 4000;

const firstThatIs = (paths: readonly string[]): string | undefined => paths.find((path) => existsSync(path));
const NICE = firstThatIs(['/usr/bin/nice', '/bin/nice']);
let setpriv: string | null | undefined;

/** util-linux has the option, BusyBox has not. */
function setprivPath(): string | null {
  if (setpriv === undefined) {
    const path = firstThatIs(['/usr/bin/setpriv', '/bin/setpriv']);
    setpriv = path !== undefined && spawnSync(path, ['--pdeathsig', 'KILL', 'true']).status === 0 ? path : null;
  }
  return setpriv;
}

/**
 * The command line of a host. `nice` for the whole process, as setting the priority later reaches its main thread only; `setpriv` has the kernel end a host
 * whose parent is gone, also one that is stuck in a script. Where one is missing the host does with less.
 */
export function hostCommand(limits: HostLimits, isLow: boolean): [command: string, ...args: string[]] {
  const readable = READABLE.map((path) => `--allow-fs-read=${path}`);
  const node = [
    process.execPath,
    '--permission',
    '--allow-addons',
    ...readable,
    '--no-warnings',
    '--input-type=module',
    '--eval',
    hostSource(),
    JSON.stringify(limits),
  ];
  const endsWithParent = setprivPath();
  return [
    ...(isLow && NICE !== undefined ? [NICE, '-n', '19'] : []),
    ...(endsWithParent === null ? [] : [endsWithParent, '--pdeathsig', 'KILL']),
    ...node,
  ] as [string];
}

export interface HostEvents {
  onReady(): void;
  onFrame(frame: Frame): void;
  /** Once, however it ended. `stderr`: what it said last. */
  onExit(stderr: string): void;
}

/** One script host as its parent sees it: frames in, frames out, and the time it was heard last. */
export class HostProcess {
  readonly #child: ChildProcess;
  readonly #reader = new FrameReader();
  isReady = false;
  hasEnded = false;
  heardAt = performance.now();
  /** Scripts that it has been told. */
  readonly defined = new Set<number>();
  /** It has the runtime of TBEL. */
  hasLibrary = false;

  constructor(limits: HostLimits, isLow: boolean, events: HostEvents) {
    const [command, ...args] = hostCommand(limits, isLow);
    // In our process group (not detached), with its two pipes and nothing else.
    this.#child = spawn(command, args, { env: {}, stdio: ['pipe', 'pipe', 'pipe'], cwd: APP });
    if (isLow && this.#child.pid !== undefined) lowerPriority(this.#child.pid);
    let stderr = '';
    this.#child.stderr!.on('data', (text: Buffer) => {
      stderr = (stderr + text.toString()).slice(-MAX_STDERR_CHARS);
    });
    this.#child.stdout!.on('data', (piece: Buffer) => {
      this.heardAt = performance.now();
      for (const frame of this.#reader.push(piece)) {
        if (this.hasEnded) return;
        if (frame.type === READY) {
          this.isReady = true;
          events.onReady();
        } else events.onFrame(frame);
      }
    });
    // A host that died with frames unread: 'close' tells it, this only keeps EPIPE from being an uncaught error.
    this.#child.stdin!.on('error', () => {});
    const end = (): void => {
      if (this.hasEnded) return;
      this.hasEnded = true;
      this.isReady = false;
      events.onExit(stderr);
    };
    this.#child.on('error', end);
    // After 'exit' and with the pipes read to their end: no result that it still sent is lost.
    this.#child.on('close', end);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(frames: readonly Buffer[]): void {
    const stdin = this.#child.stdin!;
    stdin.cork();
    for (const frame of frames) stdin.write(frame);
    stdin.uncork();
  }

  /** CPU time of the process so far, in ms; undefined where the system does not tell (proc(5), in hundredths of a second). */
  cpuMs(): number | undefined {
    try {
      const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').replace(/^.*\)/, '').split(' ');
      return (Number(fields[12]) + Number(fields[13])) * 10;
    } catch {
      return undefined;
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // Not allowed or gone already: `nice` did it, or it is not to be had here.
  }
}
