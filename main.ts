import { mkdir } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';
import { type Logger, pino } from 'pino';
import { createChains } from '#actors/chains.ts';
import { createDevices } from '#actors/devices.ts';
import { createIntegrations } from '#actors/integrations.ts';
import { startSystem } from '#actors/system.ts';
import { buildServer } from '#engine/api/server.ts';
import { AppError, ConfigError } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { workLane } from '#engine/lane.ts';
import { killAt } from '#engine/points.ts';
import { Registry } from '#engine/registry.ts';
import { createRunner } from '#engine/run.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import { openSecrets } from '#engine/secrets-aes.ts';
import { seed, TENANT_ADMIN } from '#engine/seed.ts';
import { openBatchServices } from '#engine/services/batch.ts';
import { openEntityCache } from '#engine/services/entities.ts';
import { openLimits } from '#engine/services/limits.ts';
import { readSettings, type Settings } from '#engine/settings.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import type { Store } from '#engine/store.ts';
import { createWaiting } from '#engine/waiting.ts';
import { integrations as integrationTypes } from '#integrations/index.ts';
import { nodes as nodeTypes } from '#rulechains/index.ts';
import { startDemo } from './demo/index.ts';
import type { Call } from './demo/install.ts';
import { welcome } from './demo/welcome.ts';
import rootChain from './rulechains/chains/root.json' with { type: 'json' };

const SERVICE_ID = 'fieldbridge';
const MAX_UPLINK_BYTES = 10 * 1024 * 1024;

/** The composition root: every part is made here and handed to those that need it. Resolves to the end of it all. */
async function start(settings: Settings, log: Logger): Promise<() => Promise<void>> {
  const now = Date.now;
  const onPoint = killAt(process.env['FIELDBRIDGE_KILL_AT']);
  await mkdir(settings.dataFolder, { recursive: true });
  const secrets = await openSecrets({ folder: settings.dataFolder, key: settings.key });
  const backend = await openSqliteBackend({ folder: settings.dataFolder, lanes: settings.lanes, now, onPoint });
  const { tenantPassword, sysadminPassword } = settings;
  await seed(backend, { tenantPassword, sysadminPassword, rootChain, now: now() });

  const scripts = openScriptEngine({ hosts: settings.scriptHosts });
  const nodes = new Registry(nodeTypes);
  const types = new Registry(integrationTypes);
  const waiting = createWaiting();
  const entities = openEntityCache({ store: backend.store, onChange: backend.onChange });
  const limits = openLimits({ entities, onChange: backend.onChange });

  const devices = createDevices({ backend, inactivityMs: settings.deviceInactivityMs, now, log });
  const integrations = createIntegrations({
    ...{ backend, scripts, types, secrets, devices, server: SERVICE_ID, now, log, onPoint },
    allowLocalHosts: settings.allowLocalHosts,
    maxUplinkBytes: MAX_UPLINK_BYTES,
  });
  const chains = createChains({ backend, entities, compile: { nodes, scripts, newId, now, server: SERVICE_ID, log }, now });
  const { downlinkTarget } = integrations;
  const runner = createRunner({
    services: openBatchServices({ store: backend.store, entities, limits, scripts, waiting, chains, downlinkTarget, newId, now, log }),
    ...{ chains, limits, lanes: backend.queue.lanes, commit: (work) => backend.commit(work), newId, now, server: SERVICE_ID, log },
  });

  await chains.start();
  // Before the lanes are worked: a downlink node must know the integration that it names.
  await integrations.start();
  const lane = {
    ...{ queue: backend.queue, commit: backend.commit.bind(backend), newId, now, log },
    runner: {
      async run(batch: Parameters<typeof runner.run>[0]) {
        const work = await runner.run(batch);
        onPoint('mid-chain');
        return work;
      },
    },
  };
  const system = startSystem({ lanes: Array.from({ length: backend.queue.lanes }, (_, index) => index), work: (index) => workLane(index, lane) });

  const app = await buildServer(
    {
      ...{ backend, scripts, nodes, integrations: types, waiting, secrets, rootChain, serviceId: SERVICE_ID, maxUplinkBytes: MAX_UPLINK_BYTES, now },
      control: { integrations, chains, devices },
      jwtKey: secrets.derive('jwt', 64),
      baseUrl: `http://${settings.httpHost}:${settings.httpPort}`,
      lanesWorked: system.worked,
    },
    log,
  );
  await app.listen({ host: settings.httpHost, port: settings.httpPort });
  devices.start();

  const { port } = app.server.address() as { port: number };
  const call = settings.demo ? await callAs(app, backend.store, TENANT_ADMIN) : null;
  const demo = call ? await startDemo({ backend, port: settings.demoMqttPort, now, call }) : null;
  process.stdout.write(
    welcome({
      host: settings.httpHost,
      port,
      brokerPort: demo?.port ?? null,
      demoPassword: tenantPassword === 'tenant',
      dataFolder: settings.dataFolder,
    }),
  );

  // From the outside in: nothing new comes, what is under way ends, then its ground is taken away.
  return async () => {
    await demo?.close();
    await integrations.stop();
    await app.close();
    await system.stop();
    await devices.stop();
    chains.stop();
    limits.close();
    entities.close();
    await scripts.close();
    await backend.close();
  };
}

/** REST calls inside the process as a user, whatever the password is by now. Null: there is no such user any more. */
async function callAs(app: FastifyInstance, store: Store, email: string): Promise<Call | null> {
  const user = await store.docByKey('USER', email);
  if (!user) return null;
  const headers = { 'x-authorization': `Bearer ${app.tokens.pair(user).token}` };
  return async (method, url, body) => {
    const response = await app.inject({ method, url, headers, payload: body as object | undefined });
    if (response.statusCode !== 200) throw new Error(`${method} ${url} answered ${response.statusCode}: ${response.body}`);
    return response.body === '' ? null : response.json();
  };
}

const log = pino({ level: 'warn' }, pino.destination(2));

function refuse(cause: unknown): never {
  const known = cause instanceof AppError || (cause as NodeJS.ErrnoException).syscall !== undefined;
  process.stderr.write(`Fieldbridge does not start: ${known ? explain(cause as Error) : ((cause as Error).stack ?? String(cause))}\n`);
  process.exit(1);
}

function explain(cause: Error): string {
  const { code, port } = cause as NodeJS.ErrnoException & { port?: number };
  if (code === 'EADDRINUSE') return `port ${port} is taken by another program; set HTTP_PORT or DEMO_MQTT_PORT to a free one, or DEMO=false`;
  if (cause instanceof ConfigError) return cause.problems.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('\n  ');
  return cause.message;
}

// A bug somewhere must not take the others' messages with it: what was acknowledged is durable, the rest comes again.
process.on('unhandledRejection', (cause) => log.error({ err: cause }, 'unhandled rejection'));
try {
  const settings = readSettings(process.env);
  log.level = settings.logLevel;
  const stop = await start(settings, log);
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      stop().then(
        () => process.exit(0),
        (cause) => {
          log.error({ err: cause }, 'not ended cleanly');
          process.exit(1);
        },
      );
    });
  }
} catch (cause) {
  refuse(cause);
}
