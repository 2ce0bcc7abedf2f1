import { Type } from 'typebox';
import { isAll } from '#engine/groups.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { noGroup, ownerOfMember } from '../../shared/groups.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbAddToGroupNode',
  version: 0,
  family: 'ACTION',
  label: 'add to group',
  summary: 'Puts the originator into a group of its owner, by the name of the group.',
  relations: ['Success'],
  effect: true,
  config: Config({
    groupNamePattern: nullable(Type.String(), { title: 'Group name', description: 'Pattern; a group of the type and the owner of the originator.' }),
    createGroupIfNotExists: Type.Boolean({ title: 'Create the group', description: 'When there is none of this name; else the message fails.' }),
    removeFromCurrentGroups: Type.Boolean({ title: 'Leave other groups', description: 'Afterwards it is in this group and in All only.' }),
    groupCacheExpiration: Type.Integer({ title: 'Cache time', description: 'Kept for files; groups are always read.', unit: 's', advanced: true }),
  }),
  defaults: { groupNamePattern: '', createGroupIfNotExists: false, removeFromCurrentGroups: false, groupCacheExpiration: 300 },
  needs: ['groups'],
  async process(message, { config, node, groups }) {
    const { originator } = message;
    const owner = await ownerOfMember(message, groups);
    const name = fillPattern(config.groupNamePattern ?? '', message);
    const found = await groups.byName(owner, originator.entityType, name);
    if (!found && !config.createGroupIfNotExists) throw noGroup(originator.entityType, name);
    const group = found ?? groups.create(owner, originator.entityType, name);
    if (config.removeFromCurrentGroups)
      for (const other of await groups.containing(originator)) if (other.id !== group.id) await groups.remove(other, originator, node);
    // In the group All it is anyway.
    if (!isAll(group)) await groups.add(group, originator, node);
    return 'Success';
  },
});
