import { Type } from 'typebox';
import type { EntityRef } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { tenantEntity } from '../../shared/tenant-entity.ts';

/** The relation type is compared literally. A direction that is not FROM is TO, also none. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbCheckRelationNode',
  version: 1,
  family: 'FILTER',
  label: 'check relation presence',
  summary: 'True when the originator is related to an entity, or to any.',
  relations: ['True', 'False'],
  config: Config({
    direction: nullable(Type.String(), { title: 'Direction', description: 'FROM the originator, or TO it.', examples: ['FROM', 'TO'] }),
    entityId: nullable(Type.String(), { title: 'Entity', description: 'Id of the one entity that is looked for.' }),
    entityType: nullable(Type.String(), { title: 'Entity type', description: 'Type of the one entity that is looked for.', examples: ['ASSET'] }),
    relationType: nullable(Type.String(), { title: 'Relation type', description: 'As the relation was saved, for example Contains.' }),
    checkForSingleEntity: Type.Boolean({ title: 'One entity', description: 'Off: a relation to any entity is enough.' }),
  }),
  defaults: { direction: 'FROM', entityId: null, entityType: null, relationType: 'Contains', checkForSingleEntity: true },
  // Up to version 0 the directions were the wrong way round.
  upgrades: [
    (config) => {
      if (!('direction' in config)) throw new Error("property to update: 'direction' doesn't exists in configuration!");
      const turned = { FROM: 'TO', TO: 'FROM' }[String(config['direction'])];
      return turned === undefined ? config : { ...config, direction: turned };
    },
  ],
  needs: ['relations'],
  start: async ({ config, node, entities }): Promise<EntityRef | null> =>
    config.checkForSingleEntity ? tenantEntity(config.entityType, config.entityId, { node, entities }) : null,
  async process({ originator }, { config: { direction, relationType: type }, state: other, relations }) {
    if (!type) throw new Error('Relation type should be specified!');
    const [from, to] = direction === 'FROM' ? [originator, other] : [other, originator];
    const found = await relations.find({ type, typeGroup: 'COMMON', ...(from && { from }), ...(to && { to }) });
    return found.length > 0 ? 'True' : 'False';
  },
});
