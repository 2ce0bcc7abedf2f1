import type { EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { EntitySummary, Services } from '#engine/services.ts';
import type { Collection, Doc, Store } from '#engine/store.ts';

const MOST_DOCS = 20_000;

/** Collections that hold entities; the other entity types have no document of their own here. */
const COLLECTIONS: ReadonlySet<string> = new Set<Collection>([
  ...(['TENANT', 'TENANT_PROFILE', 'CUSTOMER', 'USER', 'DEVICE', 'ASSET', 'DEVICE_PROFILE', 'ASSET_PROFILE', 'ENTITY_GROUP', 'ENTITY_VIEW'] as const),
  ...(['DASHBOARD', 'EDGE', 'RULE_CHAIN', 'CONVERTER', 'INTEGRATION', 'ALARM', 'QUEUE', 'RPC', 'API_KEY', 'ADMIN_SETTINGS'] as const),
]);

/** Documents that messages ask for again and again, kept until a commit changes them. */
export interface EntityCache {
  get(collection: Collection, tenantId: string, id: string): Promise<Doc | null>;
  of(tenantId: string): Services['entities'];
  /** Default rule chain of a device's or asset's profile. */
  defaultChain(tenantId: string, entity: EntityRef): Promise<string | null>;
  /** The same for one that is gone, by the body it had. */
  defaultChainOf(tenantId: string, entity: EntityRef, body: Readonly<Record<string, unknown>>): Promise<string | null>;
  close(): void;
}

export function openEntityCache({
  store,
  onChange,
}: {
  readonly store: Pick<Store, 'doc' | 'docByName'>;
  onChange: Backend['onChange'];
}): EntityCache {
  // What is kept is the promise: a change while the read is under way takes it out, and what it then gives is not kept.
  const docs = new Map<string, Promise<Doc | null>>();
  const close = onChange((changes) => {
    for (const { collection, tenantId, id } of changes) docs.delete(`${collection}/${tenantId}/${id}`);
  });

  const get: EntityCache['get'] = (collection, tenantId, id) => {
    const key = `${collection}/${tenantId}/${id}`;
    let found = docs.get(key);
    if (!found) {
      found = store.doc(collection, tenantId, id);
      const reading = found;
      found.catch(() => docs.get(key) === reading && docs.delete(key));
      if (docs.size >= MOST_DOCS) docs.delete(docs.keys().next().value!);
      docs.set(key, found);
    }
    return found;
  };

  const find = (tenantId: string, { entityType, id }: EntityRef): Promise<Doc | null> => {
    return COLLECTIONS.has(entityType) ? get(entityType as Collection, tenantId, id) : Promise.resolve(null);
  };

  const defaultChainOf: EntityCache['defaultChainOf'] = async (tenantId, entity, body) => {
    const profileId = profileOf({ body });
    if (!profileId) return null;
    const profile = await get(entity.entityType === 'DEVICE' ? 'DEVICE_PROFILE' : 'ASSET_PROFILE', tenantId, profileId);
    return idIn(profile?.body['defaultRuleChainId']);
  };

  return {
    get,
    close,
    async defaultChain(tenantId, entity) {
      const doc = entity.entityType === 'DEVICE' || entity.entityType === 'ASSET' ? await find(tenantId, entity) : null;
      return doc && defaultChainOf(tenantId, entity, doc.body);
    },
    defaultChainOf,
    of: (tenantId) => ({
      find: (entity) => find(tenantId, entity),
      byName: (type, name) => (COLLECTIONS.has(type) ? store.docByName(type as Collection, tenantId, name) : Promise.resolve(null)),
      async summary(entity): Promise<EntitySummary | null> {
        const doc = await find(tenantId, entity);
        if (!doc) return null;
        return {
          ref: entity,
          name: doc.name,
          type: doc.kind ?? '',
          label: doc.label ?? null,
          profileId: profileOf(doc),
          customerId: doc.customerId ?? null,
        };
      },
      customerOf: async (entity) => (await find(tenantId, entity))?.customerId ?? null,
    }),
  };
}

const profileOf = ({ body }: Pick<Doc, 'body'>): string | null => idIn(body['deviceProfileId']) ?? idIn(body['assetProfileId']);

const idIn = (ref: unknown): string | null => {
  const id = typeof ref === 'object' && ref !== null ? (ref as { id?: unknown }).id : null;
  return typeof id === 'string' ? id : null;
};
