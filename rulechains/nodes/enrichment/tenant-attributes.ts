import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkTarget } from '../../shared/enrich.ts';
import { checkMapped, mappedFields, mappedToVersion1, withMappedData } from '../../shared/mapped-data.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetTenantAttributeNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'tenant attributes',
  summary: 'Adds server attributes or latest telemetry of the tenant to the message.',
  relations: ['Success'],
  config: Config(mappedFields),
  defaults: { fetchTo: 'METADATA', dataMapping: { alarmThreshold: 'threshold' }, dataToFetch: 'ATTRIBUTES' },
  upgrades: [mappedToVersion1],
  needs: ['attributes', 'telemetry', 'entities'],
  start: ({ config }) => checkMapped(config, ['ATTRIBUTES', 'LATEST_TELEMETRY']),
  async process(message, { config, ...services }) {
    checkTarget(message, config.fetchTo);
    return { to: 'Success', message: await withMappedData(message, { entityType: 'TENANT', id: message.tenantId }, config, services) };
  },
});
