import { refuseLocalHosts } from '#engine/addresses.ts';
import type { Control } from '#engine/control.ts';
import { ConfigError, Timeout } from '#engine/errors.ts';
import type { AnyIntegration, IntegrationInfo } from '#engine/integration.ts';
import type { IntegrationRegistry } from '#engine/registry.ts';
import { validate, withDefaults } from '#engine/schema.ts';
import type { Secrets } from '#engine/secrets.ts';
import type { Store } from '#engine/store.ts';

const CHECK_TIMEOUT_MS = 10_000;

/** A stored configuration, complete and with its secrets open. @throws ConfigError listing every problem. */
export function openConfig({ config: schema }: AnyIntegration, secrets: Secrets, configuration: unknown): unknown {
  return validate(schema, withDefaults(schema, secrets.openConfig(schema, configuration ?? {})));
}

export interface CheckOptions {
  readonly store: Store;
  readonly types: IntegrationRegistry;
  readonly secrets: Secrets;
  readonly allowLocalHosts: boolean;
}

/** "Check connection" (specs: integrations §6.5) for an integration as a form has it: perhaps unsaved, its secrets in the open or left out. */
export function createCheck({ store, types, secrets, allowLocalHosts }: CheckOptions): Control['integrations']['check'] {
  return async (integration, tenantId) => {
    const type = String(integration['type']);
    const definition = types.get(type);
    if (!definition) throw new ConfigError([{ path: 'type', message: `the integration type ${type} is not available` }]);
    if (integration['remote'] === true) throw new ConfigError('A remote integration is checked where it runs');
    const id = (integration['id'] as { id?: string } | undefined)?.id;
    const info: IntegrationInfo = {
      id: id ?? 'new',
      tenantId,
      name: String(integration['name'] ?? ''),
      routingKey: String(integration['routingKey'] ?? ''),
    };
    const stored = id ? (await store.doc('INTEGRATION', tenantId, id))?.body['configuration'] : undefined;
    const given = (integration['configuration'] ?? {}) as Record<string, unknown>;
    const completed = definition.complete?.(given, { ...info, isNew: id === undefined }) ?? given;
    // Secrets that were not sent are the stored ones.
    const config = openConfig(definition, secrets, secrets.sealConfig(definition.config, completed, stored));
    if (!definition.check) return;
    if (!allowLocalHosts) await refuseLocalHosts(definition.hosts?.(config) ?? []);
    const limit = AbortSignal.timeout(CHECK_TIMEOUT_MS);
    const late = new Promise<never>((_, reject) => {
      limit.addEventListener('abort', () => reject(new Timeout(`The check took longer than ${CHECK_TIMEOUT_MS} ms`)), { once: true });
    });
    await Promise.race([definition.check(config, info, limit), late]);
  };
}
