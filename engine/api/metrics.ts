import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { isPassing } from '../errors.ts';
import { NULL_ID } from '../message.ts';
import type { JobCounts } from '../queue.ts';
import type { Doc, Ledger } from '../store.ts';
import type { ApiContext } from './context.ts';
import { watchIntegrations, watchNodes } from './node-metrics.ts';

/** For Prometheus, without login: counts and times, no names of devices, no payloads. */
export default async function metrics(app: FastifyInstance, context: ApiContext): Promise<void> {
  const register = watchProcess(context);
  watchLedgers(register, context);
  watchHttp(register, app);
  app.get('/metrics', { config: { who: 'open' }, schema: { hide: true } }, async (_request, reply) =>
    reply.type(register.contentType).send(await register.metrics()),
  );
}

/** Of this process alone. */
export function watchProcess(context: Pick<ApiContext, 'backend' | 'scripts' | 'observation'>): Registry {
  const register = new Registry();
  collectDefaultMetrics({ register });
  watchEngine(register, context);
  watchNodes(register, context.observation, context.backend.store);
  watchIntegrations(register, context.observation);
  return register;
}

function watchEngine(register: Registry, { backend, scripts }: Pick<ApiContext, 'backend' | 'scripts'>): void {
  const registers = [register];
  const depth = (name: string, help: string, read: (depth: ReturnType<typeof backend.queue.depth>) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(backend.queue.depth()));
      },
    });
  new Gauge({
    name: 'fieldbridge_healthy',
    help: '1: work can be made durable, 0: not; /health says why.',
    registers,
    collect() {
      this.set(backend.health().ok ? 1 : 0);
    },
  });
  depth('fieldbridge_lane_messages', 'Messages that wait in lanes.', (queue) => queue.messages);
  depth('fieldbridge_held_messages', 'Messages that wait for another try, with those behind them.', (queue) => queue.held);
  depth('fieldbridge_delayed_messages', 'Messages that are not due yet.', (queue) => queue.delayed);
  depth('fieldbridge_kept_messages', 'Messages that stay at a rule node: what it waits with, and what is to be sent.', (queue) => queue.kept);
  depth('fieldbridge_oldest_message_seconds', 'Age of the oldest message that waits.', (queue) => queue.oldestMs / 1000);
  if (backend.queue.jobs) watchJobs(register, () => backend.queue.jobs!());

  const script = (name: string, help: string, read: (stats: ReturnType<typeof scripts.stats>) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(scripts.stats()));
      },
    });
  script('fieldbridge_script_hosts', 'Script hosts that run.', (stats) => stats.hosts);
  script('fieldbridge_script_penalty_hosts', 'Script hosts for scripts that overran.', (stats) => stats.penaltyHosts);
  script('fieldbridge_script_kills', 'Script hosts killed since the start.', (stats) => stats.kills);
  script('fieldbridge_script_queued', 'Calls that wait for a host.', (stats) => stats.queued);
}

function watchJobs(register: Registry, read: () => JobCounts): void {
  const counter = (name: string, help: string, unit: 'jobs' | 'messages') =>
    new Counter({
      name,
      help,
      labelNames: ['step'],
      registers: [register],
      collect() {
        this.reset();
        for (const [step, counts] of Object.entries(read())) this.inc({ step }, counts[unit]);
      },
    });
  counter('fieldbridge_queue_jobs_total', 'Jobs of the lanes that this process has added, and done.', 'jobs');
  counter('fieldbridge_queue_job_messages_total', 'Messages in them.', 'messages');
}

/** Ledger terms of tenants and integrations, read when somebody asks. */
function watchLedgers(register: Registry, { backend, control }: ApiContext): void {
  const terms = new Gauge({
    name: 'fieldbridge_ledger',
    help: 'Terms of the ledgers of tenants (owner = tenant id) and integrations (owner = integration id).',
    labelNames: ['owner', 'type', 'kind', 'term'],
    registers: [register],
    async collect() {
      this.reset();
      await unlessAway(async () => {
        for await (const { id } of backend.store.everyDoc('TENANT')) if (id !== NULL_ID) put(id, 'TENANT', await backend.store.ledger(id, id));
        for await (const doc of backend.store.everyDoc('INTEGRATION')) put(doc.id, doc.kind ?? '', await backend.store.ledger(doc.tenantId, doc.id));
      });
    },
  });
  function put(owner: string, type: string, ledger: Ledger): void {
    for (const [kind, counts] of Object.entries(ledger)) {
      for (const [term, count] of Object.entries(counts as Record<string, number>)) terms.set({ owner, type, kind, term }, count);
    }
  }

  new Gauge({
    name: 'fieldbridge_integration_up',
    help: '1: active, 0: enabled and not active. Disabled ones are absent.',
    labelNames: ['integration', 'type'],
    registers: [register],
    async collect() {
      this.reset();
      const every: Doc[] = [];
      await unlessAway(async () => {
        for await (const doc of backend.store.everyDoc('INTEGRATION')) every.push(doc);
      });
      for (const { id, kind } of every) {
        const state = control.integrations.status(id)?.state;
        if (state !== undefined && state !== 'disabled') this.set({ integration: id, type: kind ?? '' }, state === 'active' ? 1 : 0);
      }
    },
  });
}

/** What can not be read now is left out: the rest is what somebody wants to see while the store is away. */
async function unlessAway(read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (cause) {
    if (!isPassing(cause)) throw cause;
  }
}

/** Of the whole server: this plugin's hooks would see its own route alone. */
function watchHttp(register: Registry, app: FastifyInstance): void {
  const registers = [register];
  const requests = new Counter({ name: 'fieldbridge_http_requests_total', help: 'Answered requests.', labelNames: ['method', 'status'], registers });
  const seconds = new Histogram({
    name: 'fieldbridge_http_request_seconds',
    help: 'Time to the end of the answer, long polls included.',
    buckets: SECONDS,
    registers,
  });
  app.server.on('request', (request, response) => {
    const begin = performance.now();
    response.once('finish', () => {
      requests.inc({ method: request.method ?? '', status: response.statusCode });
      seconds.observe((performance.now() - begin) / 1000);
    });
  });
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60];
