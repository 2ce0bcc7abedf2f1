import { Type } from 'typebox';
import { ENTITY_TYPES } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbOriginatorTypeFilterNode',
  version: 0,
  family: 'FILTER',
  label: 'entity type filter',
  summary: 'True when the originator is of one of the types.',
  relations: ['True', 'False'],
  config: Config({
    originatorTypes: nullable(Type.Array(Type.Enum([...ENTITY_TYPES])), { title: 'Entity types', description: 'None: every message is False.' }),
  }),
  defaults: { originatorTypes: ['DEVICE'] },
  process(message, { config }) {
    if (!config.originatorTypes) throw new Error('Entity types are not set!');
    return config.originatorTypes.includes(message.originator.entityType) ? 'True' : 'False';
  },
});
