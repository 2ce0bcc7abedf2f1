import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, temporaryFolder } from './servers.ts';

const ROOT = join(import.meta.dirname, '../..');
// As `npm start` runs it: with the flags of node that are there.
const START: string[] = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  .scripts.start.split(' ')
  .slice(1);

export interface Ledger {
  uplinks: { received: number; converted: number; empty: number; dead: number; inFlight: number };
  messages: { created: number; stored: number; filtered: number; dead: number; inFlight: number };
  downlinks: { created: number; sent: number; pending: number; replaced: number; expired: number; failed: number };
}

/** JSON as the API gives it; the tests look into it freely. */
// biome-ignore lint/suspicious/noExplicitAny: answers of REST, checked by the test that reads them
export type Answer = any;

export interface ProductOptions {
  env?: Record<string, string>;
  /** Flags of node: `--cpu-prof`, … */
  nodeFlags?: readonly string[];
  /** Default: a fresh one that `close()` removes. */
  dataFolder?: string;
  port?: number;
  /** Put before the command: `bash -c 'ulimit …; exec "$@"' --`. */
  wrapper?: readonly string[];
}

/** The product as a user runs it: its own process, its own data folder, spoken to over HTTP only. */
export interface Product {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataFolder: string;
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
  /** Starts it again on the same folder and port; the login goes on. */
  start(env?: Record<string, string>): Promise<void>;
  /** Stops it and removes the folder. */
  close(): Promise<void>;

  /** One request with the tenant's login. @throws Error with status and body unless the status is 2xx. */
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The same, whatever the status. `token: null` sends no login. */
  request(
    method: string,
    path: string,
    body?: unknown,
    options?: { token?: string | null; headers?: Record<string, string> },
  ): Promise<{ status: number; headers: Headers; text: string; json: Answer }>;
  login(user?: string, password?: string): Promise<string>;
  readonly token: string;

  /** CPU time of the process and its children, microseconds. */
  cpuMicros(): number;
  /** Resident memory of the process alone, and of its children, bytes. */
  memory(): { main: number; children: number[] };
}

export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const dataFolder = options.dataFolder ?? temporaryFolder('data');
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  let output = '';
  let token = '';
  let startedInMs = 0;
  const isRunning = () => child !== null && child.exitCode === null && child.signalCode === null;

  async function request(
    method: string,
    path: string,
    body?: unknown,
    { token: as, headers = {} }: { token?: string | null; headers?: Record<string, string> } = {},
  ) {
    const login = as === undefined ? token : as;
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(login ? { 'X-Authorization': `Bearer ${login}` } : {}),
        ...(body === undefined || 'content-type' in headers ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    let json: unknown = null;
    try {
      json = JSON.parse(text);
    } catch {
      // an empty or plain answer
    }
    return { status: response.status, headers: response.headers, text, json };
  }

  async function call(method: string, path: string, body?: unknown) {
    const { status, text, json } = await request(method, path, body);
    if (status < 200 || status > 299) throw new Error(`${method} ${path} answered ${status}: ${text}`);
    return json;
  }

  async function login(user = 'tenant@thingsboard.org', password = 'tenant') {
    const { status, text, json } = await request('POST', '/api/auth/login', { username: user, password }, { token: null });
    if (status !== 200) throw new Error(`login of ${user} answered ${status}: ${text}`);
    return (json as { token: string }).token;
  }

  async function healthy(deadlineMs: number): Promise<void> {
    const end = Date.now() + deadlineMs;
    for (;;) {
      if (!isRunning()) throw new Error(`the product ended while starting:\n${output}`);
      try {
        const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) });
        await response.arrayBuffer();
        if (response.status === 200) return;
      } catch {
        // not listening yet
      }
      if (Date.now() > end) throw new Error(`the product was not ready within ${deadlineMs} ms:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async function start(env: Record<string, string> = {}) {
    const begin = performance.now();
    const [command, ...rest] = [...(options.wrapper ?? []), process.execPath, ...(options.nodeFlags ?? []), ...START];
    child = spawn(command!, rest, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        HTTP_PORT: String(port),
        FIELDBRIDGE_DATA: dataFolder,
        DEMO: 'false',
        LOG_LEVEL: 'warn',
        ...options.env,
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
    if (!token) token = await login();
  }

  async function end(signal: NodeJS.Signals) {
    if (!child || !isRunning()) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  const product: Product = {
    url,
    port,
    dataFolder,
    get pid() {
      return child?.pid ?? 0;
    },
    get token() {
      return token;
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
    start,
    async close() {
      const clean = setTimeout(() => child?.kill('SIGKILL'), 10_000);
      await end('SIGTERM');
      clearTimeout(clean);
      if (!options.dataFolder) rmSync(dataFolder, { recursive: true, force: true });
    },
    call,
    request,
    login,
    cpuMicros: () => processTree(child?.pid ?? 0).reduce((sum, pid) => sum + cpuMicrosOf(pid), 0),
    memory() {
      const [main = 0, ...children] = processTree(child?.pid ?? 0).map(residentBytes);
      return { main, children };
    },
  };
  try {
    await start();
  } catch (cause) {
    await product.close();
    throw cause;
  }
  return product;
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
