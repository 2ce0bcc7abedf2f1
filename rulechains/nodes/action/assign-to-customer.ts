import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkOwned, customerNamePattern, withoutCache } from '../../shared/customers.ts';
import { foundOrMade } from '../../shared/found-or-made.ts';
import { fillRequired } from '../../shared/required-pattern.ts';

/** Nobody is told of it but by the message that goes on: there is no ENTITY_ASSIGNED. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbAssignToCustomerNode',
  version: 1,
  family: 'ACTION',
  label: 'assign to customer',
  summary: 'Gives the originator to a customer.',
  relations: ['Success'],
  effect: true,
  config: Config({
    customerNamePattern: customerNamePattern('Pattern.'),
    createCustomerIfNotExists: Type.Boolean({ title: 'Create the customer', description: 'When there is none of this title.' }),
  }),
  defaults: { customerNamePattern: '', createCustomerIfNotExists: false },
  upgrades: [withoutCache],
  needs: ['entities', 'inventory', 'messages'],
  async process(message, context) {
    const { config, inventory } = context;
    checkOwned(message);
    const name = fillRequired(config.customerNamePattern, message);
    const customer = await foundOrMade({ type: 'CUSTOMER', name, ...(config.createCustomerIfNotExists && { profile: () => '' }) }, context);
    return { to: 'Success', effect: await inventory.assign(message.originator, customer) };
  },
});
