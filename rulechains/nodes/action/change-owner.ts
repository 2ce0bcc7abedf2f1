import { Type } from 'typebox';
import { entityRef } from '#engine/entities.ts';
import { OWNED } from '#engine/groups.ts';
import type { EntityRef, Message } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { ownerOf } from '../../shared/groups.ts';

/** The originator leaves the groups of its old owner. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbChangeOwnerNode',
  version: 0,
  family: 'ACTION',
  label: 'change owner',
  summary: 'Gives the originator to the tenant, or to a customer by its title.',
  relations: ['Success'],
  effect: true,
  config: Config({
    ownerType: nullable(Type.Enum(['TENANT', 'CUSTOMER']), { title: 'Owner', description: 'The tenant, or a customer.' }),
    ownerNamePattern: nullable(Type.String(), { title: 'Customer title', description: 'Pattern; without meaning for the tenant.' }),
    createOwnerIfNotExists: Type.Boolean({ title: 'Create the customer', description: 'When there is none of this title; else the message fails.' }),
    createOwnerOnOriginatorLevel: Type.Boolean({
      title: 'On the level of the originator',
      description: 'A customer that is created belongs to the present owner of the originator, and not to the tenant.',
    }),
    ownerCacheExpiration: Type.Integer({
      title: 'Cache time',
      description: 'Kept for old files; owners are always read.',
      unit: 's',
      advanced: true,
    }),
  }),
  defaults: {
    ownerType: 'TENANT',
    ownerNamePattern: null,
    createOwnerIfNotExists: false,
    createOwnerOnOriginatorLevel: false,
    ownerCacheExpiration: 0,
  },
  needs: ['groups'],
  start({ config }) {
    if (config.ownerType === null) throw new Error('Owner type should be specified!');
  },
  async process(message, { config, node, groups }) {
    const { originator } = message;
    if (!(OWNED as readonly string[]).includes(originator.entityType))
      throw new Error(`Unsupported originator type '${originator.entityType}'! Only [${OWNED.join(', ')}] types are allowed.`);
    const present = await ownerOf(originator, groups);
    const customer = async (of: Message): Promise<EntityRef> => {
      const title = fillPattern(config.ownerNamePattern ?? '', of);
      const found = await groups.customer(title);
      if (found) return entityRef(found);
      if (!config.createOwnerIfNotExists) throw new Error(`Customer with title '${title}' doesn't exist!`);
      const parent: EntityRef = config.createOwnerOnOriginatorLevel ? present : { entityType: 'TENANT', id: node.tenantId };
      return entityRef(await groups.createCustomer(title, parent, node));
    };
    const owner: EntityRef = config.ownerType === 'TENANT' ? { entityType: 'TENANT', id: node.tenantId } : await customer(message);
    await groups.changeOwner(originator, owner, node);
    return 'Success';
  },
});
