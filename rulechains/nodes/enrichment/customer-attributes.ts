import type { EntityRef } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Services } from '#engine/services.ts';
import { checkTarget } from '../../shared/enrich.ts';
import { checkMapped, mappedFields, mappedToVersion1, withMappedData } from '../../shared/mapped-data.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetCustomerAttributeNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'customer attributes',
  summary: "Adds server attributes or latest telemetry of the originator's customer to the message.",
  relations: ['Success'],
  config: Config(mappedFields),
  defaults: { fetchTo: 'METADATA', dataMapping: { alarmThreshold: 'threshold' }, dataToFetch: 'ATTRIBUTES' },
  upgrades: [mappedToVersion1],
  needs: ['attributes', 'telemetry', 'entities'],
  start: ({ config }) => checkMapped(config, ['ATTRIBUTES', 'LATEST_TELEMETRY']),
  async process(message, { config, ...services }) {
    checkTarget(message, config.fetchTo);
    const customer = await customerOf(message.originator, services.entities);
    return { to: 'Success', message: await withMappedData(message, customer, config, services) };
  },
});

/** A customer is its own. */
async function customerOf(originator: EntityRef, entities: Services['entities']): Promise<EntityRef> {
  if (originator.entityType === 'CUSTOMER') return originator;
  const id = await entities.customerOf(originator);
  if (id !== null) return { entityType: 'CUSTOMER', id };
  throw new Error((await entities.find(originator)) ? 'Originator is not assigned to any customer' : 'Originator not found');
}
