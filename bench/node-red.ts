import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuMicrosOf, residentBytes } from '../test/support/product-process.ts';
import { freePort, listening } from '../test/support/servers.ts';

const FOLDER = join(import.meta.dirname, '../.bench/node-red');
const VERSION = '5.0.7';

/** The peer of the comparison. Installed by itself, outside the project's dependencies. */
export function installNodeRed(): void {
  if (existsSync(join(FOLDER, 'node_modules/node-red/red.js'))) return;
  console.log(`installing node-red@${VERSION} into .bench/ …`);
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, 'package.json'), '{"private":true}\n');
  execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', `node-red@${VERSION}`], {
    cwd: FOLDER,
    stdio: 'inherit',
  });
}

export interface NodeRed {
  readonly port: number;
  /** Lines that the file node wrote so far. */
  lines(): number;
  readLines(): string[];
  cpuMicros(): number;
  residentBytes(): number;
  close(): Promise<void>;
}

type Flow = readonly Record<string, unknown>[];

const SCRIPT_DECODE = `
const m = JSON.parse(msg.payload);
const b = [];
for (let i = 0; i < m.data.length; i += 2) b.push(parseInt(m.data.substr(i, 2), 16));
msg.payload = { device: m.sn, ts: m.at, n: m.n, temperature: ((b[0] << 24 >> 16) | b[1]) / 10, humidity: b[2], battery: ((b[3] << 8) | b[4]) / 1000 };
return msg;`;

/** Workload (a): MQTT in → function → switch → JSON → file without fsync. */
export const uplinkFlow = (brokerPort: number, filter: string, file: string): Flow => [
  { id: 'tab', type: 'tab', label: 'bench' },
  {
    id: 'broker',
    type: 'mqtt-broker',
    broker: '127.0.0.1',
    port: String(brokerPort),
    clientid: 'node-red-bench',
    autoConnect: true,
    usetls: false,
    protocolVersion: '4',
    keepalive: '60',
    cleansession: false,
  },
  {
    id: 'in',
    type: 'mqtt in',
    z: 'tab',
    topic: filter,
    qos: '1',
    datatype: 'utf8',
    broker: 'broker',
    nl: false,
    rap: true,
    rh: 0,
    inputs: 0,
    wires: [['decode']],
  },
  { id: 'decode', type: 'function', z: 'tab', func: SCRIPT_DECODE, outputs: 1, wires: [['filter']] },
  {
    id: 'filter',
    type: 'switch',
    z: 'tab',
    property: 'payload.temperature',
    propertyType: 'msg',
    rules: [{ t: 'gt', v: '-40', vt: 'num' }],
    checkall: 'false',
    outputs: 1,
    wires: [['json']],
  },
  { id: 'json', type: 'json', z: 'tab', property: 'payload', action: 'str', pretty: false, wires: [['file']] },
  {
    id: 'file',
    type: 'file',
    z: 'tab',
    filename: file,
    filenameType: 'str',
    appendNewline: true,
    createDir: false,
    overwriteFile: 'false',
    encoding: 'none',
    wires: [[]],
  },
];

/** Workload (b): HTTP in → function → HTTP response. */
export const answerFlow = (): Flow => [
  { id: 'tab', type: 'tab', label: 'bench' },
  { id: 'in', type: 'http in', z: 'tab', url: '/uplink', method: 'post', upload: false, wires: [['decode']] },
  {
    id: 'decode',
    type: 'function',
    z: 'tab',
    outputs: 1,
    wires: [['out']],
    func: `
const m = msg.payload;
const b = [];
for (let i = 0; i < m.data.length; i += 2) b.push(parseInt(m.data.substr(i, 2), 16));
msg.payload = { period: 60, temperature: ((b[0] << 24 >> 16) | b[1]) / 10 };
return msg;`,
  },
  { id: 'out', type: 'http response', z: 'tab', statusCode: '200', headers: {}, wires: [] },
];

export async function startNodeRed(makeFlow: (file: string) => Flow): Promise<NodeRed> {
  const port = await freePort();
  const user = join(FOLDER, `user-${port}`);
  mkdirSync(user, { recursive: true });
  const file = join(user, 'out.jsonl');
  // A node without a place on the canvas would be taken for a configuration node.
  const flow = makeFlow(file).map((node, i) => ('z' in node ? { x: 100 + 120 * i, y: 100, ...node } : node));
  writeFileSync(join(user, 'flows.json'), JSON.stringify(flow));
  const settings = {
    uiHost: '127.0.0.1',
    uiPort: port,
    flowFile: 'flows.json',
    credentialSecret: false,
    disableEditor: true,
    httpAdminRoot: false,
    telemetry: { enabled: false, updateNotification: false },
    diagnostics: { enabled: false, ui: false },
    logging: { console: { level: 'warn', metrics: false, audit: false } },
  };
  writeFileSync(join(user, 'settings.js'), `module.exports = ${JSON.stringify(settings)};\n`);
  const child: ChildProcess = spawn(
    process.execPath,
    [join(FOLDER, 'node_modules/node-red/red.js'), '--userDir', user, '--settings', join(user, 'settings.js')],
    {
      cwd: user,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { PATH: process.env['PATH'] ?? '', HOME: user, NODE_ENV: 'production' },
    },
  );
  await Promise.race([
    listening(port, 30_000),
    once(child, 'exit').then(([code]) => {
      throw new Error(`Node-RED ended at once with code ${code}`);
    }),
  ]);

  // Counted from where the last look ended: a file of 100,000 lines is not read again at every look.
  let seen = 0;
  let offset = 0;
  const chunk = Buffer.allocUnsafe(1 << 20);
  const lines = () => {
    if (!existsSync(file)) return 0;
    const size = statSync(file).size;
    const handle = openSync(file, 'r');
    while (offset < size) {
      const read = readSync(handle, chunk, 0, chunk.length, offset);
      for (let i = 0; i < read; i++) if (chunk[i] === 10) seen++;
      offset += read;
    }
    closeSync(handle);
    return seen;
  };
  return {
    port,
    lines,
    readLines() {
      if (!existsSync(file)) return [];
      const size = statSync(file).size;
      const all = Buffer.allocUnsafe(size);
      const handle = openSync(file, 'r');
      readSync(handle, all, 0, size, 0);
      closeSync(handle);
      return all.toString().split('\n').filter(Boolean);
    },
    cpuMicros: () => cpuMicrosOf(child.pid!),
    residentBytes: () => residentBytes(child.pid!),
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      rmSync(user, { recursive: true, force: true });
    },
  };
}
