import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ServerProcess, startServer } from './server-process.ts';
import { freePort, program, temporaryFolder } from './servers.ts';

export interface RabbitServer extends ServerProcess {
  /** Runs `rabbitmqctl`, gives what it printed. */
  control(...args: string[]): string;
}

const FOLDER = '/usr/lib/rabbitmq/bin';

/** RabbitMQ on loopback, user guest, with a name service of its own (epmd), which is ended with it. */
export async function startRabbit(): Promise<RabbitServer> {
  const file = program(`${FOLDER}/rabbitmq-server`);
  const epmd = program('epmd');
  const port = await freePort();
  const folder = temporaryFolder('rabbitmq');
  mkdirSync(join(folder, 'mnesia'));
  writeFileSync(join(folder, 'rabbitmq.conf'), `listeners.tcp.1 = 127.0.0.1:${port}\n`);
  writeFileSync(join(folder, 'plugins'), '[].\n');
  const env = {
    HOME: folder,
    // So the script becomes the server, and a signal to our child is one to it.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_NODENAME: `fieldbridge${port}@localhost`,
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_DIST_PORT: String(await freePort()),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(await freePort()),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
  };
  const server = await startServer({ name: 'rabbitmq-server', file, args: [], port, folder, env, readyMs: 90_000 });
  const { close } = server;
  return Object.assign(server, {
    control: (...args: string[]) =>
      execFileSync(`${FOLDER}/rabbitmqctl`, ['-q', '-n', env.RABBITMQ_NODENAME, ...args], { env: { ...process.env, ...env }, encoding: 'utf8' }),
    async close() {
      await close();
      execFileSync(epmd, ['-port', env.ERL_EPMD_PORT, '-kill'], { stdio: 'ignore', env: { ...process.env, ...env } });
    },
  });
}
