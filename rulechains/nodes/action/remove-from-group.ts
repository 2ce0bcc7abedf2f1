import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { noGroup, ownerOfMember } from '../../shared/groups.ts';

/** Out of the group All nothing is taken: the message goes on as if it had not been in. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbRemoveFromGroupNode',
  version: 0,
  family: 'ACTION',
  label: 'remove from group',
  summary: 'Takes the originator out of a group of its owner, by the name of the group.',
  relations: ['Success'],
  effect: true,
  config: Config({
    groupNamePattern: nullable(Type.String(), { title: 'Group name', description: 'Pattern; a group of the type and the owner of the originator.' }),
    groupCacheExpiration: Type.Integer({ title: 'Cache time', description: 'Kept for files; groups are always read.', unit: 's', advanced: true }),
  }),
  defaults: { groupNamePattern: '', groupCacheExpiration: 300 },
  needs: ['groups'],
  async process(message, { config, node, groups }) {
    const { originator } = message;
    const owner = await ownerOfMember(message, groups);
    const name = fillPattern(config.groupNamePattern ?? '', message);
    const group = await groups.byName(owner, originator.entityType, name);
    if (!group) throw noGroup(originator.entityType, name);
    await groups.remove(group, originator, node);
    return 'Success';
  },
});
