import { newDoc } from '#engine/entities.ts';
import { NULL_ID } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import { Work } from '#engine/work.ts';
import { startBroker } from './broker.ts';
import { startDevice } from './device.ts';
import { type Call, DEMO_INTEGRATION, installDemo } from './install.ts';

export interface DemoOptions {
  readonly backend: Backend;
  readonly port: number;
  readonly call: Call;
  readonly now: () => number;
}

export interface Demo {
  readonly port: number;
  close(): Promise<void>;
}

const INSTALLED = 'demo installed';

/** A broker, an integration on it and a device that talks. Installed once: what a user deletes stays deleted. */
export async function startDemo({ backend, port, call, now }: DemoOptions): Promise<Demo> {
  const broker = await startBroker(port);
  if (await backend.store.docByKey('ADMIN_SETTINGS', INSTALLED)) await followPort(backend, broker.port);
  else {
    await installDemo(call, broker.port);
    const work = new Work();
    work.docs.push({ doc: newDoc({ collection: 'ADMIN_SETTINGS', tenantId: NULL_ID, name: INSTALLED, uniqueKey: INSTALLED, body: {} }, now()) });
    await backend.commit(work);
  }
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
