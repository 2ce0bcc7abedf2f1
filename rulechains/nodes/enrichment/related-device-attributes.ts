import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkFetchTo, checkTarget } from '../../shared/enrich.ts';
import { ATTRIBUTE_DEFAULTS, attributeFields, attributesToVersion1, fetchAttributes } from '../../shared/fetch-attributes.ts';
import { direction, nullable, texts } from '../../shared/fields.ts';
import { relatedDevice } from '../../shared/relations.ts';

/** Only the first device that the search finds counts. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetDeviceAttrNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'related device attributes',
  summary: 'Adds attributes and latest telemetry of a device that is related to the originator to the message.',
  relations: ['Success'],
  config: Config({
    ...attributeFields,
    deviceRelationsQuery: nullable(
      Type.Object({
        direction,
        maxLevel: Type.Integer({ title: 'Levels', description: 'How far the search goes; 0 has no limit.' }),
        fetchLastLevelOnly: Type.Boolean({ title: 'Last level only', description: 'Leaves out what is found on the way.' }),
        relationType: nullable(Type.String(), { title: 'Relation type', description: 'As the relation was saved; empty: every type.' }),
        deviceTypes: texts({ title: 'Device types', description: 'Names of device profiles; a device of another one is left out.' }),
      }),
      { title: 'Related device', description: 'Where the device is looked for; the first one found is taken.' },
    ),
  }),
  defaults: {
    ...ATTRIBUTE_DEFAULTS,
    deviceRelationsQuery: { direction: 'FROM', maxLevel: 1, relationType: 'Contains', deviceTypes: ['default'], fetchLastLevelOnly: false },
  },
  upgrades: [attributesToVersion1],
  needs: ['attributes', 'telemetry', 'relations', 'entities'],
  start: ({ config }) => checkFetchTo(config.fetchTo),
  async process(message, { config, ...services }) {
    checkTarget(message, config.fetchTo);
    const device = await relatedDevice(message.originator, config.deviceRelationsQuery, services);
    if (!device) throw new Error('Failed to find related device to message originator using relation query specified in the configuration!');
    return fetchAttributes(message, device, config, services);
  },
});
