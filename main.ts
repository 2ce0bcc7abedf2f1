import { hostname } from 'node:os';
import { type Logger, pino } from 'pino';
import { createChains } from '#actors/chains.ts';
import { createDevices } from '#actors/devices.ts';
import { createIntegrations } from '#actors/integrations.ts';
import { createSystem } from '#actors/system.ts';
import { buildOperationServer } from '#engine/api/operation.ts';
import { buildServer } from '#engine/api/server.ts';
import { createObservation } from '#engine/capture/observation.ts';
import { newId } from '#engine/id.ts';
import { setOutboundPolicy } from '#engine/outbound.ts';
import { killAt } from '#engine/points.ts';
import { Registry } from '#engine/registry.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import { seed, TENANT_ADMIN } from '#engine/seed.ts';
import { openAlarmAbsence } from '#engine/services/alarm-absence.ts';
import { openBatchServices } from '#engine/services/batch.ts';
import { openEntityCache } from '#engine/services/entities.ts';
import { openLimits } from '#engine/services/limits.ts';
import { notificationService } from '#engine/services/notifications.ts';
import { openQueuePolicies } from '#engine/services/queues.ts';
import { settingsService } from '#engine/services/settings.ts';
import { openEntityViews } from '#engine/services/views.ts';
import { readSettings, type Settings } from '#engine/settings.ts';
import { createWaiting } from '#engine/waiting.ts';
import { overProcesses } from '#engine/waiting-shared.ts';
import { workLane } from '#engine/walk/lane.ts';
import { createOutbox } from '#engine/walk/outbox.ts';
import { createRunner } from '#engine/walk/run.ts';
import { integrations as integrationTypes } from '#integrations/index.ts';
import { nodes as nodeTypes } from '#rulechains/index.ts';
import { startDemo } from './demo/index.ts';
import rootChain from './rulechains/chains/root.json' with { type: 'json' };
import { openGround, openSegments } from './start/backend.ts';
import { callAs } from './start/call-as.ts';
import { announce } from './start/ready.ts';
import { refusalText } from './start/refusal.ts';

const MAX_UPLINK_BYTES = 10 * 1024 * 1024;

/** The composition root: every part is made here and handed to those that need it. Resolves to the end of it all. */
async function start(settings: Settings, log: Logger): Promise<() => Promise<void>> {
  const now = Date.now;
  const onPoint = killAt(process.env['FIELDBRIDGE_KILL_AT']);
  const { backend, secrets } = await openGround(settings, { now, onPoint, log });
  setOutboundPolicy({ allowLocal: settings.allowLocalHosts, allowed: settings.allowedHosts });
  const { store, queue, cluster } = backend;
  const { roles, tenantPassword, sysadminPassword } = settings;
  const server = cluster.shared ? `${hostname()}-${process.pid}` : 'fieldbridge';
  await seed(backend, { tenantPassword, sysadminPassword, rootChain, now: now() });

  const scripts = openScriptEngine({ hosts: settings.scriptHosts });
  const nodes = new Registry(nodeTypes);
  const types = new Registry(integrationTypes);
  const waiting = cluster.shared ? overProcesses(createWaiting({ shared: true }), cluster) : createWaiting();
  const entities = openEntityCache({ store, onChange: backend.onChange, secrets });
  const limits = openLimits({ entities, onChange: backend.onChange });
  const views = openEntityViews({ store, onChange: backend.onChange });
  const noAlarms = openAlarmAbsence(backend.onChange);
  const policies = openQueuePolicies({ store, onChange: backend.onChange, log });
  const system = createSystem({ cluster, lanes: queue.lanes });
  const leaseOf = cluster.shared ? { leaseOf: system.leaseOf } : {};

  const observation = createObservation({
    segments: await openSegments(settings, backend, { now, log }),
    ...{ cluster, onChange: backend.onChange, ringBytes: settings.capture?.ringBytes ?? 0, newId, now, log },
  });
  const { capture, trace } = observation;
  const onMade = capture ? { created: capture.made } : {};

  const devices = createDevices({ backend, system, inactivityMs: settings.deviceInactivityMs, now, log });
  const integrations = createIntegrations({
    ...{ backend, scripts, types, secrets, devices, observation, server, now, log, onPoint },
    allowLocalHosts: settings.allowLocalHosts,
    maxUplinkBytes: MAX_UPLINK_BYTES,
  });
  const chains = createChains({ backend, entities, compile: { nodes, scripts, newId, now, server, log, ...leaseOf }, now });
  const downlinkTarget = integrations.findDownlinkTarget.bind(integrations);
  const commit = backend.commit.bind(backend);
  const outbox = createOutbox({
    services(tenantId) {
      const of = entities.of(tenantId);
      return {
        settings: settingsService(store, tenantId, secrets),
        entities: of,
        notifications: notificationService(tenantId, { store, entities: of, commit }),
      };
    },
    ...{ queue, store, chains, commit, newId, now, server, log, ...leaseOf, ...onMade },
    onSent: observation.sent,
  });
  const runner = createRunner({
    toSend: outbox.added,
    ...{ trace, ...onMade },
    policy(message) {
      const name = chains.queueOf(message);
      return name instanceof Promise ? name.then((found) => policies.of(message.tenantId, found)) : policies.of(message.tenantId, name);
    },
    services: openBatchServices({ store, entities, views, noAlarms, devices, limits, scripts, waiting, chains, downlinkTarget, newId, now, log }),
    ...{ chains, limits, lanes: queue.lanes, commit, newId, now, server, log },
  });

  cluster.describe(() => queue.depth().oldestMs);
  // The API shows which nodes can not be used, so it needs the chains too.
  if (roles.has('rules') || roles.has('api')) await Promise.all([chains.start(), policies.start()]);
  // Before the lanes are worked: a downlink node must know the integration that it names.
  await integrations.start();
  const lane = {
    ...{ queue, commit, newId, now, log },
    runner: {
      async run(batch: Parameters<typeof runner.run>[0]) {
        const work = await runner.run(batch);
        onPoint('mid-chain');
        return work;
      },
    },
  };
  if (roles.has('rules')) system.start({ work: (index) => workLane(index, lane), followers: [devices, outbox] });

  const lanesWorked = roles.has('rules') ? system.worked : () => true;
  const { httpHost: host, httpPort } = settings;
  const context = {
    ...{ backend, scripts, nodes, integrations: types, waiting, secrets, rootChain, serviceId: server, maxUplinkBytes: MAX_UPLINK_BYTES, now },
    ...{ observation, outbox },
    control: { integrations, chains, devices },
    jwtKey: secrets.derive('jwt', 64),
    baseUrl: `http://${host}:${httpPort}`,
    lanesWorked,
  };
  const api = roles.has('api') ? await buildServer(context, log) : null;
  const app = api ?? (httpPort === null ? null : await buildOperationServer(context, log));
  if (app && httpPort !== null) await app.listen({ host, port: httpPort });
  devices.start();

  const call = api && settings.demo ? await callAs(api, store, TENANT_ADMIN) : null;
  const demo = call ? await startDemo({ backend, port: settings.demoMqttPort, now, call }) : null;
  const port = app ? (app.server.address() as { port: number }).port : null;
  announce({ settings, backend, port, brokerPort: demo?.port ?? null }, log);

  // What is under way ends, nothing new comes, then its ground is taken away. The lanes first: a chain must not find its integrations gone. What still comes waits in them.
  return async () => {
    await demo?.close();
    await system.stop();
    await outbox.stop();
    await integrations.stop();
    await app?.close();
    waiting.close();
    await observation.close();
    await devices.stop();
    chains.stop();
    limits.close();
    policies.close();
    views.close();
    entities.close();
    await scripts.close();
    await backend.close();
  };
}

const log = pino({ level: 'warn' }, pino.destination(2));

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
  process.stderr.write(refusalText(cause));
  process.exit(1);
}
