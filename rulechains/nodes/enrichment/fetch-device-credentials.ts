import { type Json, parseJson } from '#engine/json.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { DeviceCredentials } from '#engine/services.ts';
import { checkFetchTo, checkTarget, enriched, type FetchTo, toFetchTo } from '../../shared/enrich.ts';
import { fetchTo } from '../../shared/fields.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbFetchDeviceCredentialsNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'fetch device credentials',
  summary: 'Adds credentialsType and credentials of the device to the message.',
  relations: ['Success'],
  config: Config({ fetchTo }),
  anyKey: true,
  defaults: { fetchTo: 'METADATA' },
  upgrades: [(config) => toFetchTo(config, 'fetchToMetadata', 'METADATA', 'DATA')],
  needs: ['credentials'],
  start: ({ config }) => checkFetchTo(config.fetchTo),
  async process(message, { config, credentials }) {
    checkTarget(message, config.fetchTo);
    const { entityType, id } = message.originator;
    if (entityType !== 'DEVICE') throw new Error(`Unsupported originator type: ${entityType}!`);
    const found = await credentials.ofDevice(id);
    if (!found) throw new Error(`Failed to get Device Credentials for device: ${id}!`);
    const values = [['credentialsType', found.type] as const, ['credentials', secretOf(found)] as const];
    return { to: 'Success', message: enriched(message, config.fetchTo as FetchTo, values) };
  },
});

/** A token, a certificate, or the JSON that the type stands for. */
function secretOf({ type, id, value }: DeviceCredentials): Json {
  if (type === 'ACCESS_TOKEN') return id;
  return type === 'X509_CERTIFICATE' || value === null ? value : parseJson(value);
}
