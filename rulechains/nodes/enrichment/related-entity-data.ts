import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkTarget } from '../../shared/enrich.ts';
import { DEFAULT_RELATIONS_QUERY, relationsQuery } from '../../shared/fields.ts';
import { checkMapped, mappedFields, mappedToVersion1, withMappedData } from '../../shared/mapped-data.ts';
import { toRelationsQuery } from '../../shared/relations.ts';

/** Only the first entity that the search finds counts. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetRelatedAttributeNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'related entity data',
  summary: 'Adds server attributes, latest telemetry or fields of an entity that is related to the originator to the message.',
  relations: ['Success'],
  config: Config({
    ...mappedFields,
    relationsQuery: relationsQuery({ title: 'Related entity', description: 'Where it is looked for; the first one found is taken.' }),
  }),
  defaults: {
    fetchTo: 'METADATA',
    dataMapping: { serialNumber: 'sn' },
    dataToFetch: 'ATTRIBUTES',
    relationsQuery: DEFAULT_RELATIONS_QUERY,
  },
  upgrades: [mappedToVersion1],
  needs: ['attributes', 'telemetry', 'entities', 'relations'],
  start: ({ config }) => checkMapped(config, ['ATTRIBUTES', 'LATEST_TELEMETRY', 'FIELDS']),
  async process(message, { config, ...services }) {
    checkTarget(message, config.fetchTo);
    if (config.relationsQuery === null) throw new Error('Relations query should be specified!');
    const [related] = await services.relations.search(message.originator, toRelationsQuery(config.relationsQuery));
    if (!related) throw new Error('Failed to find related entity to message originator using relation query specified in the configuration!');
    return { to: 'Success', message: await withMappedData(message, related, config, services) };
  },
});
