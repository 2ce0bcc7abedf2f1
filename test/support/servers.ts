import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chownSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

/** Servers that npm cannot bring: who needs what, and how it gets there. `test/servers` installs them. */
const SERVERS: Readonly<Record<ServerName, readonly string[]>> = {
  mosquitto: ['mosquitto', 'mosquitto_pub', 'mosquitto_sub'],
  redis: ['redis-server'],
  mongo: ['secantusd-py'],
  kafka: ['java', 'kafka-java'],
  // The command in /usr/sbin changes to the service's user and folders.
  rabbitmq: ['/usr/lib/rabbitmq/bin/rabbitmq-server', 'epmd'],
  aws: ['moto_server'],
  pubsub: ['pubsub-fake'],
};
export type ServerName = 'mosquitto' | 'redis' | 'mongo' | 'kafka' | 'rabbitmq' | 'aws' | 'pubsub';

// Debian keeps daemons in /usr/sbin, which a user's PATH leaves out; what test/servers fetches from elsewhere is in .servers/.
const FETCHED = join(import.meta.dirname, '../../.servers');
const PATH = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  ...['/usr/sbin', '/usr/local/sbin', ...['mongo', 'mongo-fast', 'kafka', 'aws', 'pubsub'].map((name) => join(FETCHED, name, 'bin'))],
];

export function findProgram(name: string): string | null {
  for (const folder of PATH) {
    const file = resolve(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this folder
    }
  }
  return null;
}

export function program(name: string): string {
  const file = findProgram(name);
  if (!file) throw new Error(`${name} is not installed: run test/servers install`);
  return file;
}

/** For `test(name, { skip: missing('mosquitto') }, …)`: false when it is there, else what to do. Under CI=true nothing is skipped: the test fails. */
export function missing(name: ServerName): string | false {
  if (process.env['CI'] === 'true' || SERVERS[name].every((each) => findProgram(each))) return false;
  return `not run: ${name} is missing, install it with: test/servers install ${name}`;
}

/** The servers that are not there, for the runner's loud lines. */
export const missingServers = (): ServerName[] =>
  (Object.keys(SERVERS) as ServerName[]).filter((name) => !SERVERS[name].every((each) => findProgram(each)));

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when something listens on the port. @throws Error after the deadline. */
export async function listening(port: number, deadlineMs = 10_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const [event] = await Promise.race([once(socket, 'connect').then(() => ['connect']), once(socket, 'error').then(() => ['error'])]).catch(() => [
      'error',
    ]);
    socket.destroy();
    if (event === 'connect') return;
    if (Date.now() > end) throw new Error(`nothing listens on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export interface Broker {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  /** SIGTERM; with `persistent`, sessions and queued messages are there again after `start()`. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops and removes its folder. */
  close(): Promise<void>;
}

export interface BrokerOptions {
  /** Default: a free one. */
  port?: number;
  /** Keeps sessions over `stop()` and `start()`. */
  persistent?: boolean;
  /** Lines for the end of its configuration. */
  conf?: readonly string[];
}

/** Mosquitto on loopback, with the settings that measurements and kill tests need: no delay, no limit of its queues. */
export async function startMosquitto({ port, persistent = false, conf = [] }: BrokerOptions = {}): Promise<Broker> {
  const file = program('mosquitto');
  const listen = port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'fieldbridge-mosquitto-'));
  // As root it runs as user mosquitto, who has to write here.
  if (process.getuid?.() === 0) {
    const entry = readFileSync('/etc/passwd', 'utf8').match(/^mosquitto:[^:]*:(\d+):(\d+)/m);
    if (entry) chownSync(folder, Number(entry[1]), Number(entry[2]));
  }
  const lines = [`listener ${listen} 127.0.0.1`, 'allow_anonymous true', 'set_tcp_nodelay true', 'max_queued_messages 0', ...conf];
  if (persistent) lines.push('persistence true', `persistence_location ${folder}/`);
  writeFileSync(join(folder, 'mosquitto.conf'), lines.join('\n') + '\n');
  let child: ChildProcess | null = null;

  const start = async () => {
    child = spawn(file, ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' });
    await Promise.race([
      listening(listen),
      once(child, 'exit').then(([code]) => {
        throw new Error(`mosquitto ended at once with code ${code}`);
      }),
    ]);
  };
  const stop = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  await start();
  return {
    port: listen,
    url: `mqtt://127.0.0.1:${listen}`,
    get pid() {
      return child?.pid ?? 0;
    },
    stop,
    start,
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** `mosquitto_pub`, as a user would call it. @throws Error with what it printed. */
export async function mosquittoPub(broker: Broker, topic: string, payload: string, qos: 0 | 1 | 2 = 1): Promise<void> {
  const child = spawn(program('mosquitto_pub'), ['-h', '127.0.0.1', '-p', String(broker.port), '-t', topic, '-q', String(qos), '-s'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let problem = '';
  child.stderr.on('data', (chunk: Buffer) => {
    problem += chunk.toString();
  });
  child.stdin.end(payload);
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}: ${problem}`);
}

export interface Subscription {
  /** The next message that was not asked for yet. @throws Error after the deadline. */
  next(deadlineMs?: number): Promise<{ topic: string; payload: string }>;
  close(): Promise<void>;
}

/** `mosquitto_sub`, as a user would call it; resolves when the broker confirmed the subscription. */
export async function mosquittoSub(broker: Broker, filter: string): Promise<Subscription> {
  const options = ['-h', '127.0.0.1', '-p', String(broker.port), '-t', filter, '-q', '1', '-d', '-F', 'MESSAGE %t %p'];
  // Into a pipe it would keep its lines back until a block is full.
  const child = spawn(program('stdbuf'), ['-oL', program('mosquitto_sub'), ...options], { stdio: ['ignore', 'pipe', 'ignore'] });
  const queue: { topic: string; payload: string }[] = [];
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const each of waiting.splice(0)) each();
  };
  let subscribed = false;
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('Subscribed')) subscribed = true;
      const [, topic, payload] = line.match(/^MESSAGE (\S+) (.*)$/) ?? [];
      if (topic !== undefined && payload !== undefined) queue.push({ topic, payload });
    }
    wake();
  });
  const until = async (ready: () => boolean, what: string, deadlineMs: number) => {
    const end = Date.now() + deadlineMs;
    while (!ready()) {
      const left = end - Date.now();
      if (left <= 0) throw new Error(`${what} did not come within ${deadlineMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  };
  await until(() => subscribed, `the subscription to ${filter}`, 5000);
  return {
    async next(deadlineMs = 10_000) {
      await until(() => queue.length > 0, `a message on ${filter}`, deadlineMs);
      return queue.shift()!;
    },
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

export const temporaryFolder = (name: string): string => {
  const folder = mkdtempSync(join(tmpdir(), `fieldbridge-${name}-`));
  mkdirSync(folder, { recursive: true });
  return folder;
};
