import {
  entityRef,
  isAssigned,
  nameKey,
  nameProblem,
  newAsset,
  newAssetProfile,
  newCustomer,
  newDevice,
  newDeviceProfile,
  newDeviceState,
  withCustomer,
  withoutCustomer,
} from '#engine/entities.ts';
import { Rejected } from '#engine/errors.ts';
import type { EntityRef } from '#engine/message.ts';
import { addOwnerGroups } from '#engine/seed.ts';
import type { Services } from '#engine/services.ts';
import type { Collection, Doc, Store } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import type { TenantLimits } from './limits.ts';
import type { PendingDocs } from './pending-docs.ts';

interface InventoryDeps {
  readonly store: Pick<Store, 'doc' | 'docByKey' | 'docs'>;
  readonly limits: () => TenantLimits;
  now(): number;
}

type Created = 'DEVICE' | 'ASSET' | 'CUSTOMER';
const WORDS = { DEVICE: ['Device', 'name'], ASSET: ['Asset', 'name'], CUSTOMER: ['Customer', 'title'] } as const;
const PROFILES = { DEVICE: 'DEVICE_PROFILE', ASSET: 'ASSET_PROFILE' } as const;

/**
 * Entities as the API makes and assigns them, in the batch's unit of work. What is based on a stored document says on which version: where somebody else was faster,
 * the commit refuses the batch and it runs again.
 */
export function inventoryServices(tenantId: string, work: Work, pending: PendingDocs, deps: InventoryDeps): Services['inventory'] {
  const put = (doc: Doc, before?: Doc): Doc => {
    const saved = before ? { ...doc, version: before.version + 1 } : doc;
    work.docs.push({ doc: saved, expects: before?.version ?? 0 });
    return saved;
  };

  /** From the store, never from what is kept in memory: what is based on an old version would be refused over and over. */
  const stored = async ({ entityType, id }: EntityRef): Promise<Doc> => {
    const own = pending.find(entityType as Collection, tenantId, id);
    const doc = own === undefined ? await deps.store.doc(entityType as Collection, tenantId, id) : own;
    if (!doc) throw new Rejected(`${entityType} with id [${id}] is not found`);
    return doc;
  };

  const checkLimit = async (type: Created): Promise<void> => {
    const most = deps.limits().maxEntities[type];
    if (most <= 0) return;
    const { totalElements } = await deps.store.docs(type, tenantId, { pageSize: 1 });
    if (totalElements + pending.created(type, tenantId) >= most) throw new Rejected(`${WORDS[type][0]}s limit reached`);
  };

  const profileOf = async (type: 'DEVICE' | 'ASSET', name: string): Promise<Doc> => {
    const collection = PROFILES[type];
    if (name === '') {
      const [byDefault] = (await deps.store.docs(collection, tenantId, { states: ['DEFAULT'], pageSize: 1 })).data;
      if (!byDefault) throw new Rejected(`There is no default ${WORDS[type][0].toLowerCase()} profile`);
      return byDefault;
    }
    const key = nameKey(tenantId, name);
    const known = pending.byKey(collection, key) ?? (await deps.store.docByKey(collection, key));
    if (known) return known;
    const problem = nameProblem(`${WORDS[type][0]} profile`, name, 'type');
    if (problem !== null) throw new Rejected(problem);
    return put((type === 'DEVICE' ? newDeviceProfile : newAssetProfile)(tenantId, name, deps.now()));
  };

  return {
    async create(type, name, profileName = '') {
      const problem = nameProblem(WORDS[type][0], name, WORDS[type][1]);
      if (problem !== null) throw new Rejected(problem);
      await checkLimit(type);
      const now = deps.now();
      if (type === 'CUSTOMER') {
        const customer = put(newCustomer(tenantId, name, now));
        addOwnerGroups(work, tenantId, entityRef(customer), now);
        return customer;
      }
      const profile = await profileOf(type, profileName);
      const fields = { tenantId, name, type: profile.name, profileId: profile.id };
      if (type === 'ASSET') return put(newAsset(fields, now));
      const { device, credentials } = newDevice(fields, now);
      put(credentials);
      work.attributes.push(newDeviceState(device));
      return put(device);
    },
    async assign(entity, customer) {
      const doc = await stored(entity);
      if (doc.collection === 'DASHBOARD') {
        if (isAssigned(doc, customer.id)) return false;
        put(withCustomer(doc, customer), doc);
      } else {
        if (doc.customerId === customer.id) return false;
        put({ ...doc, customerId: customer.id }, doc);
      }
      return true;
    },
    async unassign(entity, customerId) {
      const doc = await stored(entity);
      if (doc.collection === 'DASHBOARD') {
        if (customerId === null || !isAssigned(doc, customerId)) return false;
        put(withoutCustomer(doc, customerId), doc);
      } else {
        if (!doc.customerId) return false;
        put({ ...doc, customerId: null }, doc);
      }
      return true;
    },
  };
}
