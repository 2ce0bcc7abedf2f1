import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { duplicatesToGroup } from '../../shared/groups.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbDuplicateMsgToGroupNode',
  version: 0,
  family: 'TRANSFORMATION',
  label: 'duplicate to group',
  summary: 'Makes a message of each member of a group, with the member as originator.',
  relations: ['Success'],
  config: Config({
    entityGroupId: nullable(
      Type.Object({
        entityType: nullable(Type.Literal('ENTITY_GROUP'), { title: 'Entity type', description: 'ENTITY_GROUP.' }),
        id: nullable(Type.String(), { title: 'Group', description: 'Id of the group.' }),
      }),
      { title: 'Group', description: 'Whose members get the message, unless it is the originator.' },
    ),
    entityGroupIsMessageOriginator: Type.Boolean({
      title: 'The originator is the group',
      description: 'Messages of other originators fail.',
    }),
  }),
  defaults: { entityGroupId: null, entityGroupIsMessageOriginator: false },
  needs: ['groups'],
  start({ config }) {
    if (!config.entityGroupIsMessageOriginator && !config.entityGroupId?.id) throw new Error('Entity group must be set!');
  },
  async process(message, { config, groups }) {
    const { originator } = message;
    if (config.entityGroupIsMessageOriginator && originator.entityType !== 'ENTITY_GROUP')
      throw new Error(`Message originator is not an entity group: ${originator.entityType}`);
    const id = config.entityGroupIsMessageOriginator ? originator.id : config.entityGroupId!.id!;
    const group = await groups.find(id);
    if (!group) throw new Error(`ENTITY_GROUP with id [${id}] is not found`);
    return duplicatesToGroup(message, group, groups);
  },
});
