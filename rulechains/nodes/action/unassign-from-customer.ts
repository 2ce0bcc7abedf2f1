import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkOwned, customerNamePattern, withoutCache } from '../../shared/customers.ts';
import { foundOrMade } from '../../shared/found-or-made.ts';
import { fillRequired } from '../../shared/required-pattern.ts';

/** Only a dashboard may be with several customers, so only it needs to be told which one. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbUnassignFromCustomerNode',
  version: 1,
  family: 'ACTION',
  label: 'unassign from customer',
  summary: 'Takes the originator back from its customer.',
  relations: ['Success'],
  effect: true,
  config: Config({ customerNamePattern: customerNamePattern('Pattern; looked at for dashboards only.') }),
  defaults: { customerNamePattern: '' },
  upgrades: [withoutCache],
  needs: ['entities', 'inventory', 'messages'],
  async process(message, context) {
    const { config, inventory } = context;
    const { originator } = message;
    checkOwned(message);
    if (originator.entityType !== 'DASHBOARD') return { to: 'Success', effect: await inventory.unassign(originator, null) };
    if (!config.customerNamePattern) {
      throw new Error(`Failed to unassign dashboard with id '${originator.id}' from customer! Customer title should be specified!`);
    }
    const customer = await foundOrMade({ type: 'CUSTOMER', name: fillRequired(config.customerNamePattern, message) }, context);
    return { to: 'Success', effect: await inventory.unassign(originator, customer.id) };
  },
});
