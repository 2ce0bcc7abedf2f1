import type { Backend } from '#engine/queue.ts';
import { Work } from '#engine/work.ts';
import { startBroker } from './broker.ts';
import { startDevice } from './device.ts';
import { DEMO_INTEGRATION, installDemo } from './install.ts';

export interface DemoOptions {
  readonly backend: Backend;
  readonly port: number;
  /** A data folder that was just made: the demo is installed once and never again, so that what a user deletes stays deleted. */
  readonly fresh: boolean;
  /** A REST call with the tenant's login. */
  readonly post: (path: string, body?: unknown) => Promise<unknown>;
}

export interface Demo {
  readonly port: number;
  close(): Promise<void>;
}

/** A broker, an integration on it and a device that talks. */
export async function startDemo({ backend, port, fresh, post }: DemoOptions): Promise<Demo> {
  const broker = await startBroker(port);
  if (fresh) await installDemo(post, broker.port);
  else await followPort(backend, broker.port);
  const device = await startDevice(broker.port);
  return {
    port: broker.port,
    async close() {
      await device.close();
      await broker.close();
    },
  };
}

/** The demo's integration follows the broker when DEMO_MQTT_PORT was changed. */
async function followPort(backend: Backend, port: number): Promise<void> {
  for await (const doc of backend.store.everyDoc('INTEGRATION')) {
    const configuration = doc.body['configuration'] as { clientConfiguration?: { host?: string; port?: number } } | undefined;
    const client = configuration?.clientConfiguration;
    if (doc.name !== DEMO_INTEGRATION || client?.host !== '127.0.0.1' || client.port === port) continue;
    const work = new Work();
    work.docs.push({ doc: { ...doc, body: { ...doc.body, configuration: { ...configuration, clientConfiguration: { ...client, port } } } } });
    await backend.commit(work);
  }
}
