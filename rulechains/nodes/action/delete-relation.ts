import { Type } from 'typebox';
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

/** A relation that is not there is no failure; an entity that is not there is one. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbDeleteRelationNode',
  version: 1,
  family: 'ACTION',
  label: 'delete relation',
  summary: 'Deletes relations of the originator.',
  relations: ['Success'],
  effect: true,
  config: Config({
    deleteForSingleEntity: Type.Boolean({ title: 'One entity', description: 'Off: all relations with this type and direction.' }),
    ...targetFields,
  }),
  defaults: { deleteForSingleEntity: false, ...TARGET_DEFAULTS },
  upgrades: [turned],
  needs: ['entities', 'inventory', 'messages', 'relations'],
  start({ config }) {
    if (config.deleteForSingleEntity) checkTargetType(config.entityType);
  },
  async process(message, context) {
    const { config, relations } = context;
    if (!config.deleteForSingleEntity) {
      return { to: 'Success', effect: await removeAll(message, typeOf(config, message), config, relations) };
    }
    const target = await targetOf(message, false, context);
    const relation = relationTo(message, target, typeOf(config, message), config);
    const isThere = await exists(relation, relations);
    if (isThere) relations.remove(relation);
    return { to: 'Success', effect: isThere };
  },
});
