import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROLES, type Role } from '#engine/cluster.ts';
import { ConfigError } from '#engine/errors.ts';
import { openSecrets } from '#engine/secrets-aes.ts';
import { refusalText } from './refusal.ts';
import { type Supervised, supervise } from './supervisor.ts';

const HELP = `npm run start:cluster [-- --api 1 --integrations 1 --rules 2]

Runs Fieldbridge as several processes of this machine, on a Redis and a MongoDB that are running:
  MONGODB_URL   default mongodb://127.0.0.1:27017/fieldbridge?directConnection=true (started with --replSet; one server is enough)
  REDIS_URL     default redis://127.0.0.1:6379
The first api process listens on HTTP_PORT (8080), further ones on the ports behind it; the others on free ones, with /health and /metrics.
They share the key of FIELDBRIDGE_KEY, or the one in the file secrets.key of the data folder, which is made at the first start.
A process that ends is started again; Ctrl-C ends them all.
`;
const SERVERS = { MONGODB_URL: 'mongodb://127.0.0.1:27017/fieldbridge?directConnection=true', REDIS_URL: 'redis://127.0.0.1:6379' };
const SHAPE: Readonly<Record<Role, number>> = { api: 1, integrations: 1, rules: 2 };
const MOST = 64;
const ROOT = join(import.meta.dirname, '..');

type Counts = Readonly<Record<Role, number>>;

/** @throws ConfigError naming the option. */
function countsOf(args: readonly string[]): Counts | 'help' {
  const count = { type: 'string' } as const;
  const options = { api: count, integrations: count, rules: count, help: { type: 'boolean', short: 'h' } } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    values = parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new ConfigError(`${(cause as Error).message}\n\n${HELP}`, { cause });
  }
  if (values.help) return 'help';
  const counts = { ...SHAPE };
  for (const role of ROLES) {
    const text = values[role];
    if (text === undefined) continue;
    const least = role === 'api' ? 1 : 0;
    if (!/^\d+$/.test(text) || Number(text) < least || Number(text) > MOST)
      throw new ConfigError([{ path: `--${role}`, message: `${JSON.stringify(text)} is not allowed; give a whole number from ${least} to ${MOST}` }]);
    counts[role] = Number(text);
  }
  return counts;
}

function processesOf(counts: Counts, env: NodeJS.ProcessEnv): Supervised[] {
  const firstPort = Number(env['HTTP_PORT'] || 8080);
  return ROLES.flatMap((role) =>
    Array.from({ length: counts[role] }, (_, index) => {
      // A wrong one is left as it is: the process says what is allowed.
      const ofApi = firstPort > 0 ? String(firstPort + index) : (env['HTTP_PORT'] ?? '0');
      return { name: `${role}-${index + 1}`, env: { ...SERVERS, ...env, ROLES: role, HTTP_PORT: role === 'api' ? ofApi : '0' } };
    }),
  );
}

async function main(): Promise<number> {
  const counts = countsOf(process.argv.slice(2));
  if (counts === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const env = Object.fromEntries(Object.entries(process.env).filter(([, text]) => text !== ''));
  if (!env['FIELDBRIDGE_KEY']) await openSecrets({ folder: env['FIELDBRIDGE_DATA'] ?? './data' });
  const processes = processesOf(counts, env);
  const width = Math.max(...processes.map(({ name }) => name.length));
  const { start } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts as { start: string };
  const [, ...args] = start.split(' ').map((each) => each.replace(/^bin\//, `${ROOT}/bin/`));
  const supervisor = supervise({
    command: [process.execPath, ...args],
    processes,
    ready: 'Fieldbridge is ready',
    print: (line, name = '') => process.stdout.write(`${name.padEnd(width)} | ${line}\n`),
    onAllReady: () => process.stdout.write(`\nAll ${processes.length} processes are ready. Ctrl-C ends them.\n\n`),
  });
  // A terminal sends Ctrl-C to the processes too, and npm passes it on once more: any number of them is one.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => supervisor.stop());
  const code = await supervisor.ended;
  if (code !== 0) process.stdout.write('\nWhat several processes need: "More than one process" in README.md, or npm run start:cluster -- --help\n');
  return code;
}

try {
  process.exitCode = await main();
} catch (cause) {
  process.stderr.write(refusalText(cause));
  process.exitCode = 1;
}
