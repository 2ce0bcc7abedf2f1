import { Type } from 'typebox';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import {
  checkTargetType,
  exists,
  relationTo,
  removeAll,
  TARGET_DEFAULTS,
  targetFields,
  targetOf,
  turned,
  typeOf,
} from '../../shared/relation-target.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbCreateRelationNode',
  version: 1,
  family: 'ACTION',
  label: 'create relation',
  summary: 'Relates the originator to an entity that is known by its name.',
  relations: ['Success'],
  effect: true,
  config: Config({
    ...targetFields,
    createEntityIfNotExists: Type.Boolean({ title: 'Create the entity', description: 'A device, asset or customer that is not there.' }),
    removeCurrentRelations: Type.Boolean({
      title: 'Remove the others first',
      description: 'All relations of the originator with this type and direction: it is in one place at a time.',
    }),
    changeOriginatorToRelatedEntity: Type.Boolean({ title: 'Change originator', description: 'The message goes on as one of the other entity.' }),
  }),
  defaults: { ...TARGET_DEFAULTS, createEntityIfNotExists: false, removeCurrentRelations: false, changeOriginatorToRelatedEntity: false },
  upgrades: [turned],
  needs: ['entities', 'inventory', 'messages', 'relations'],
  start: ({ config }) => checkTargetType(config.entityType),
  async process(message, context) {
    const { config, relations } = context;
    const target = await targetOf(message, config.createEntityIfNotExists, context);
    const type = typeOf(config, message);
    const relation = relationTo(message, target, type, config);
    const isCleared = config.removeCurrentRelations && (await removeAll(message, type, config, relations));
    const isThere = await exists(relation, relations);
    if (!isThere) relations.save(relation);
    const changed = config.changeOriginatorToRelatedEntity ? { message: withChanges(message, { originator: target }) } : {};
    return { to: 'Success', ...changed, effect: isCleared || !isThere };
  },
});
