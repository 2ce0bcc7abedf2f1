import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkDetails, detailsFields, withDetails } from '../../shared/details.ts';
import { checkTarget, toFetchTo } from '../../shared/enrich.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetTenantDetailsNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'tenant details',
  summary: 'Adds title and contact data of the tenant to the message.',
  relations: ['Success'],
  config: Config(detailsFields),
  defaults: { detailsList: [], fetchTo: 'DATA' },
  upgrades: [(config) => toFetchTo(config, 'addToMetadata', 'METADATA', 'DATA')],
  needs: ['entities'],
  start: ({ config }) => checkDetails(config),
  async process(message, { config, entities }) {
    checkTarget(message, config.fetchTo);
    const tenant = await entities.find({ entityType: 'TENANT', id: message.tenantId });
    return tenant ? { to: 'Success', message: withDetails(message, tenant, 'tenant', config) } : 'Success';
  },
});
