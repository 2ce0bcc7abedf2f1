import { nameKey, newCustomer } from '../entities.ts';
import { addOwnerGroups } from '../seed.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import type { ApiContext, Caller } from './context.ts';
import { save } from './save.ts';

const TITLE = 'Public';

/** The customer of everybody: what it owns can be seen without a login. Made when first needed. */
export async function publicCustomer(context: ApiContext, caller: Caller): Promise<Doc> {
  const known = await context.backend.store.docByKey('CUSTOMER', nameKey(caller.tenantId, TITLE));
  if (known) return known;
  const doc = newCustomer(caller.tenantId, TITLE, context.now(), { additionalInfo: { isPublic: true } });
  const work = new Work();
  addOwnerGroups(work, caller.tenantId, { entityType: 'CUSTOMER', id: doc.id }, context.now());
  return save({ context, caller, doc, work });
}
