import { Type } from 'typebox';
import type { EntityRef, Message } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { GROUP_TYPES } from '#engine/seed.ts';
import type { Services } from '#engine/services.ts';
import { nullable } from '../../shared/fields.ts';
import { duplicatesToGroup, noGroup, ownerOf } from '../../shared/groups.ts';

/** The group is looked for at the originator's owner, then at the owner of that one, up to the tenant. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbDuplicateMsgToGroupByNameNode',
  version: 0,
  family: 'TRANSFORMATION',
  label: 'duplicate to group by name',
  summary: 'Makes a message of each member of a group that is found by its name.',
  relations: ['Success'],
  config: Config({
    groupType: nullable(Type.Enum([...GROUP_TYPES]), { title: 'Group type', description: 'Entity type of its members.' }),
    groupName: nullable(Type.String(), { title: 'Group name', description: 'Pattern.' }),
    searchEntityGroupForTenantOnly: Type.Boolean({ title: 'Only at the tenant', description: 'Groups of customers are not looked at.' }),
    considerMessageOriginatorAsAGroupOwner: Type.Boolean({
      title: 'Originator may own the group',
      description: 'A tenant or customer that is the originator is asked first; else its owner.',
    }),
  }),
  defaults: { groupType: 'DEVICE', groupName: '', searchEntityGroupForTenantOnly: false, considerMessageOriginatorAsAGroupOwner: false },
  needs: ['groups'],
  start({ config }) {
    if (config.groupType === null) throw new Error('Group type should be specified!');
  },
  async process(message, { config, node, groups }) {
    const type = config.groupType!;
    const name = fillPattern(config.groupName ?? '', message);
    const tenant: EntityRef = { entityType: 'TENANT', id: node.tenantId };
    let owner = config.searchEntityGroupForTenantOnly ? tenant : await firstOwner(message, config.considerMessageOriginatorAsAGroupOwner, groups);
    const asked = new Set<string>();
    for (;;) {
      const group = await groups.byName(owner, type, name);
      if (group) return duplicatesToGroup(message, group, groups);
      asked.add(owner.id);
      if (owner.entityType === 'TENANT') throw noGroup(type, name);
      const next = await groups.ownerOf(owner);
      owner = next && !asked.has(next.id) ? next : tenant;
    }
  },
});

const firstOwner = async ({ originator }: Message, mayOwn: boolean, groups: Services['groups']): Promise<EntityRef> =>
  mayOwn && (originator.entityType === 'TENANT' || originator.entityType === 'CUSTOMER') ? originator : ownerOf(originator, groups);
