import type { Logger } from 'pino';
import type { Backend } from '#engine/queue.ts';
import type { Settings } from '#engine/settings.ts';
import { welcome } from '../demo/welcome.ts';

export interface ReadyFacts {
  readonly settings: Settings;
  readonly backend: Backend;
  /** Null: it listens nowhere. */
  readonly port: number | null;
  readonly brokerPort: number | null;
}

/** What whoever started it reads when it is ready; loudly what would lose acknowledged work. */
export function announce({ settings, backend, port, brokerPort }: ReadyFacts, log: Logger): void {
  const { httpHost: host, dataFolder, roles, servers, tenantPassword } = settings;
  if (port !== null && roles.has('api')) {
    const keptIn = servers ? 'MongoDB and Redis' : dataFolder;
    process.stdout.write(welcome({ host, port, brokerPort, demoPassword: tenantPassword === 'tenant', dataFolder: keptIn }));
  } else {
    const at = port === null ? '' : `, http://${host}:${port}/health`;
    process.stdout.write(`\nFieldbridge is ready: ${[...roles].join(', ')} (process ${backend.cluster.id()}${at})\n\n`);
  }
  const health = backend.health();
  for (const warning of health.ok ? (health.warnings ?? []) : []) {
    log.warn(warning);
    process.stdout.write(`WARNING: ${warning}\n`);
  }
}
