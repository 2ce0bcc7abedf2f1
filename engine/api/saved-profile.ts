import type { Doc } from '../store.ts';
import type { Work } from '../work.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { defaultProfile, type ProfileKind, profileByName } from './profiles.ts';

/** The profile that a device or asset is saved with: its id wins, then its type (made when there is none), then the default. */
export async function profileOf(
  context: ApiContext,
  caller: Caller,
  kind: ProfileKind,
  id: { readonly id: string } | null | undefined,
  type: string | null | undefined,
  work: Work,
): Promise<Doc> {
  if (id) {
    const profile = await context.backend.store.doc(kind.collection, caller.tenantId, id.id);
    const what = kind.users === 'DEVICE' ? 'Device' : 'Asset';
    if (!profile) throw badRequest(`${what} is referencing non existing ${what.toLowerCase()} profile!`);
    return profile;
  }
  if (type) return profileByName(context, caller.tenantId, kind, type, work);
  return defaultProfile(context, caller.tenantId, kind);
}

/** A customer user may not give its things to others. @throws HttpError 400 */
export async function customerExists(context: ApiContext, caller: Caller, customerId: string | null, what: string): Promise<void> {
  if (customerId === null) return;
  const customer = await context.backend.store.doc('CUSTOMER', caller.tenantId, customerId);
  if (!customer || (caller.authority === 'CUSTOMER_USER' && customerId !== caller.customerId))
    throw badRequest(`Can't assign ${what} to non-existent customer!`);
}
