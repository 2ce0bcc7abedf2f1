import assert from 'node:assert/strict';
import type { DownlinkDeps, DownlinkRoute } from '#engine/downlinks.ts';
import { newId } from '#engine/id.ts';
import { createIntegrationEvents } from '#engine/integration-events.ts';
import type { Backend } from '#engine/queue.ts';
import type { ScriptEngine, ScriptResult } from '#engine/script.ts';
import { createStatistics } from '#engine/statistics.ts';
import type { Downlink, Ledger } from '#engine/store.ts';
import { INTEGRATION, NOW, target } from './accept.ts';
import { commit, downlink as downlinkOf, message, offBy } from './backend.ts';
import { TENANT } from './message.ts';

export const DOWN_CONVERTER = '9b2f394c-42b6-11ec-8d3d-0242ac130003';
export const DEVICES = { a: newId(), b: newId() };
const all = { failuresEnabled: false, allEnabled: true, allEnabledUntil: 0 };

export const route: DownlinkRoute = {
  info: target().info,
  debug: all,
  metadata: { integrationName: 'Plant' },
  converter: { id: DOWN_CONVERTER, script: { kind: 'downlink', language: 'JS', body: 'echo' }, debug: all },
};

/** The message's data is what the converter returns; `throw …` is what it throws. */
export const downlinkScripts = (seen: (readonly unknown[])[] = []): Pick<ScriptEngine, 'run'> => ({
  run: async (_script, calls) =>
    calls.map((args): ScriptResult => {
      seen.push(args);
      const text = String(args[0]);
      return text.startsWith('throw ') ? { ok: false, fault: { reason: 'thrown', message: text.slice(6) } } : { ok: true, json: text };
    }),
});

export const downlinkDeps = (backend: Backend, fields: Partial<DownlinkDeps> = {}): DownlinkDeps => ({
  backend,
  scripts: downlinkScripts(),
  events: createIntegrationEvents('test'),
  statistics: createStatistics(() => NOW),
  now: () => NOW,
  log: { error: () => {} },
  ...fields,
});

/** Puts a downlink into the store, as the rule node does. */
export async function push(backend: Backend, output: unknown, fields: Partial<Downlink> = {}): Promise<Downlink> {
  const entity = fields.entity ?? ({ entityType: 'DEVICE', id: DEVICES.a } as const);
  const data = typeof output === 'string' ? output : JSON.stringify(output);
  const made = downlinkOf({
    tenantId: TENANT,
    integrationId: INTEGRATION,
    entity,
    delivery: 'now',
    policy: 'fifo',
    message: message(TENANT, entity, data, { type: 'ATTRIBUTES_UPDATED' }),
    ...fields,
  });
  await commit(backend, (work) => {
    work.downlinks.push(made);
    work.count(TENANT, INTEGRATION, 'downlinks.created');
  });
  return made;
}

export async function stateOf(backend: Backend, { id }: Downlink): Promise<{ state: string; steps: string[]; reason: string | null }> {
  const { state, history } = (await backend.store.downlink(TENANT, id))!;
  return { state, steps: history.map((step) => step.state), reason: history.at(-1)!.reason };
}

/** Fails when it does not add up. */
export async function downlinkLedger(backend: Backend): Promise<Ledger['downlinks']> {
  const found = await backend.store.ledger(TENANT, INTEGRATION);
  assert.equal(offBy(found).downlinks, 0);
  return found.downlinks;
}

export const ended =
  (backend: Backend, ...list: Downlink[]) =>
  async (): Promise<boolean> => {
    for (const one of list) if (['QUEUED', 'CONVERTED'].includes((await stateOf(backend, one)).state)) return false;
    return true;
  };
