import { parseArgs } from 'node:util';
import { lintChains } from './chain-lint.ts';
import { testChains } from './chain-test.ts';
import { CliError, connect, EXIT } from './client.ts';
import { copyInstallation } from './copy.ts';
import { listDeadLetters, requeueDeadLetters } from './dead-letters.ts';
import { tail } from './tail.ts';
import { testConverters } from './test.ts';
import { exportChain, exportConverter, importChain, importConverter } from './transfer.ts';

const HELP = `fieldbridge: the command line of Fieldbridge

  fieldbridge chain import FILE [--root]        a rule chain file becomes a new chain; --root makes it the root chain
  fieldbridge chain export ID|NAME [--out FILE]
  fieldbridge chain lint FILE|DIR [--strict]    what can not run or will surprise, without a server; --url looks the entities up there; --strict: warnings fail too
  fieldbridge chain test DIR                    walks every chain's cases below DIR and compares what would happen; needs no server, does nothing
  fieldbridge converter import FILE
  fieldbridge converter export ID|NAME [--out FILE]
  fieldbridge test DIR                          runs every converter's cases below DIR; needs no server
  fieldbridge dead-letters list [--integration ID]
  fieldbridge dead-letters requeue ID|--all [--integration ID]
  fieldbridge copy --from ./data --to mongodb://HOST/NAME --redis redis://HOST
  fieldbridge copy --from mongodb://HOST/NAME --to ./data
                                                carries a whole installation that is not running over, and back; goes on where a run before ended
  fieldbridge tail DEVICE                       prints a device's telemetry and attributes as they change

  --url URL            the server (FIELDBRIDGE_URL, default http://localhost:8080)
  --user, --password   who you are (FIELDBRIDGE_USER, FIELDBRIDGE_PASSWORD, default the demo login of a server on this machine)
  --json               answers as JSON
  --help

Exit codes: 0 good, 1 failed or refused, 2 usage, 3 server unreachable.
`;

const OPTIONS = {
  url: { type: 'string' },
  user: { type: 'string' },
  password: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  root: { type: 'boolean' },
  out: { type: 'string' },
  integration: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  redis: { type: 'string' },
  all: { type: 'boolean' },
  strict: { type: 'boolean' },
} as const;

/** Commands of one word; what follows is their subject. */
const ALONE = new Set(['test', 'tail', 'copy']);

const usage = (text: string): CliError => new CliError(`${text}\nSee fieldbridge --help.`, EXIT.usage);

async function run(argv: string[]): Promise<number> {
  let parsed: ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: argv, options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause));
  }
  const { values, positionals } = parsed;
  const command = positionals.slice(0, ALONE.has(positionals[0]!) ? 1 : 2).join(' ');
  const [subject, ...extra] = positionals.slice(command.split(' ').length);
  if (values.help || positionals.length === 0) {
    process.stdout.write(HELP);
    return values.help ? EXIT.good : EXIT.usage;
  }
  if (extra.length > 0) throw usage(`"${extra[0]}" is one word too many`);
  const need = (what: string): string => {
    if (subject === undefined) throw usage(`${command} needs ${what}`);
    return subject;
  };
  const client = () =>
    connect({
      url: values.url ?? process.env['FIELDBRIDGE_URL'] ?? 'http://localhost:8080',
      user: values.user ?? process.env['FIELDBRIDGE_USER'] ?? 'tenant@thingsboard.org',
      password: values.password ?? process.env['FIELDBRIDGE_PASSWORD'] ?? 'tenant',
    });
  const print = (text: string, value: unknown) => process.stdout.write(`${values.json ? JSON.stringify(value) : text}\n`);

  switch (command) {
    case 'chain import': {
      const file = need('a FILE');
      const chain = await importChain(await client(), file, { root: values.root ?? false });
      const notes = chain.problems.map(({ node, reason }) => `\n  node "${node}" can not run: ${reason}`).join('');
      print(`Imported "${chain.name}" as ${chain.id}${values.root ? ', now the root chain' : ''}${notes}`, chain);
      return EXIT.good;
    }
    case 'chain export':
      await exportChain(await client(), need('an ID or NAME'), values.out);
      return EXIT.good;
    case 'chain lint': {
      const path = need('a FILE or DIR');
      const { json = false, strict = false } = values;
      return lintChains(path, { json, strict, client: values.url === undefined ? null : await client() });
    }
    case 'chain test':
      return testChains(need('a DIR'), { json: values.json ?? false });
    case 'converter import': {
      const file = need('a FILE');
      const converter = await importConverter(await client(), file);
      print(`Imported "${converter.name}" as ${converter.id}`, converter);
      return EXIT.good;
    }
    case 'converter export':
      await exportConverter(await client(), need('an ID or NAME'), values.out);
      return EXIT.good;
    case 'test':
      return testConverters(need('a DIR'), { json: values.json ?? false });
    case 'copy': {
      const { from, to, redis, json = false } = values;
      if (subject !== undefined) throw usage(`"${subject}" is one word too many`);
      if (from === undefined || to === undefined) throw usage('copy needs --from and --to');
      return copyInstallation({ from, to, redis, json });
    }
    case 'dead-letters list':
      await listDeadLetters(await client(), { integration: values.integration, json: values.json ?? false });
      return EXIT.good;
    case 'dead-letters requeue':
      return requeueDeadLetters(await client(), { id: values.all ? undefined : need('an ID, or --all'), integration: values.integration, print });
    case 'tail':
      await tail(await client(), need('a DEVICE (name or id)'), { json: values.json ?? false });
      return EXIT.good;
    default:
      throw usage(`There is no command "${command}"`);
  }
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CliError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
