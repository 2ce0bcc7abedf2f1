import type { Accepted, RawUplink } from '#engine/integration.ts';
import { createIntegrationEvents } from '#engine/integration-events.ts';
import type { Message } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { Script, ScriptArgs, ScriptEngine, ScriptResult } from '#engine/script.ts';
import { createStatistics } from '#engine/statistics.ts';
import { type AcceptDeps, createAccept, type UplinkTarget } from '#engine/uplink/accept.ts';
import { createResolver } from '#engine/uplink/resolve.ts';
import { takeNow } from './backend.ts';
import { TENANT } from './message.ts';

export const INTEGRATION = '5b2f394c-42b6-11ec-8d3d-0242ac130003';
export const CONVERTER = '6b2f394c-42b6-11ec-8d3d-0242ac130003';
export const NOW = 1_700_000_000_000;

export const script: Script = { kind: 'uplink', language: 'JS', body: 'echo' };

/** What the payload says is what the converter returned; `throw …` is what it threw. Metadata of the call is kept. */
export function echoScripts(): Pick<ScriptEngine, 'run'> & { readonly batches: (readonly ScriptArgs[])[] } {
  const batches: (readonly ScriptArgs[])[] = [];
  return {
    batches,
    async run(_script, calls) {
      batches.push(calls);
      return calls.map(([payload]): ScriptResult => {
        const text = typeof payload === 'string' ? payload : Buffer.from(payload).toString();
        if (text.startsWith('throw ')) return { ok: false, fault: { reason: 'thrown', message: text.slice(6) } };
        return { ok: true, json: text === 'undefined' ? undefined : text };
      });
    },
  };
}

export const target = (fields: Partial<UplinkTarget> = {}): UplinkTarget => ({
  info: { id: INTEGRATION, tenantId: TENANT, name: 'Plant', routingKey: 'key' },
  allowCreate: true,
  debug: null,
  metadata: { integrationName: 'Plant', siteId: 'HAM-1' },
  converter: { id: CONVERTER, script, updateOnlyKeys: [], debug: null },
  ...fields,
});

export const uplink = (output: unknown, fields: Partial<RawUplink> = {}): RawUplink => ({
  payload: Buffer.from(typeof output === 'string' ? output : JSON.stringify(output)),
  contentType: 'JSON',
  metadata: { topic: 'a/b' },
  receivedAt: NOW,
  ...fields,
});

/** The accept stage over a backend, with an echo for a converter. */
export function openAccept(backend: Backend, deps: Partial<AcceptDeps> = {}) {
  const spoke: string[] = [];
  const errors: string[] = [];
  const scripts = echoScripts();
  const resolver = createResolver(backend, () => NOW);
  const accept = createAccept({
    backend,
    scripts,
    resolver,
    events: createIntegrationEvents('test'),
    statistics: createStatistics(() => NOW),
    activity: (_tenantId, deviceId) => spoke.push(deviceId),
    now: () => NOW,
    log: { error: (_fields, text) => errors.push(text) },
    ...deps,
  });
  return { accept, scripts, spoke, errors, resolver };
}

/** Every message that waits in the lanes, those of one originator in order. */
export async function waiting(backend: Backend): Promise<Message[]> {
  const messages: Message[] = [];
  for (let lane = 0; lane < backend.queue.lanes; lane++) {
    const batch = await takeNow(backend, lane, 10_000);
    if (!batch) continue;
    messages.push(...batch.messages);
    backend.queue.giveBack(batch);
  }
  return messages;
}

export const entityOf = (accepted: Accepted, at = 0) => (accepted.outcome === 'converted' ? accepted.entities[at]! : assertConverted(accepted));

function assertConverted(accepted: Accepted): never {
  throw new Error(`not converted: ${JSON.stringify(accepted)}`);
}
