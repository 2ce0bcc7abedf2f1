import { entityLabel } from '#engine/entities.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkDetails, detailsFields, withDetails } from '../../shared/details.ts';
import { checkTarget, toFetchTo } from '../../shared/enrich.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['DEVICE', 'ASSET', 'ENTITY_VIEW', 'USER', 'EDGE']);

/** An originator that is gone changes nothing: the message goes on as it is. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetCustomerDetailsNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'customer details',
  summary: "Adds title and contact data of the originator's customer to the message.",
  relations: ['Success'],
  config: Config(detailsFields),
  defaults: { detailsList: [], fetchTo: 'DATA' },
  upgrades: [(config) => toFetchTo(config, 'addToMetadata', 'METADATA', 'DATA')],
  needs: ['entities'],
  start: ({ config }) => checkDetails(config),
  async process(message, { config, entities }) {
    checkTarget(message, config.fetchTo);
    const { entityType } = message.originator;
    if (!SUPPORTED.has(entityType)) throw new Error(`Entity with entityType '${entityType}' is not supported.`);
    const originator = await entities.find(message.originator);
    if (!originator) return 'Success';
    const id = await entities.customerOf(message.originator);
    if (id === null) throw new Error(`${entityLabel(entityType)} with name '${originator.name}' is not assigned to Customer!`);
    const customer = await entities.find({ entityType: 'CUSTOMER', id });
    return customer ? { to: 'Success', message: withDetails(message, customer, 'customer', config) } : 'Success';
  },
});
