import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkFetchTo, checkTarget } from '../../shared/enrich.ts';
import { ATTRIBUTE_DEFAULTS, attributeFields, attributesToVersion1, fetchAttributes } from '../../shared/fetch-attributes.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetAttributesNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'originator attributes',
  summary: 'Adds attributes and latest telemetry of the originator to the message.',
  relations: ['Success'],
  config: Config(attributeFields),
  defaults: ATTRIBUTE_DEFAULTS,
  upgrades: [attributesToVersion1],
  needs: ['attributes', 'telemetry'],
  start: ({ config }) => checkFetchTo(config.fetchTo),
  process(message, { config, ...services }) {
    checkTarget(message, config.fetchTo);
    return fetchAttributes(message, message.originator, config, services);
  },
});
