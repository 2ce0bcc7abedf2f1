import { AI_PROVIDERS, isAiProvider } from '#engine/ai-models.ts';
import { nameKey } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { Secrets } from '#engine/secrets.ts';
import type { EntitySummary, Services } from '#engine/services.ts';
import type { Collection, Doc, Store } from '#engine/store.ts';
import type { PendingDocs } from './pending-docs.ts';

const MOST_DOCS = 20_000;

/** Collections that hold entities; the other entity types have no document of their own here. */
const COLLECTIONS: ReadonlySet<string> = new Set<Collection>([
  ...(['TENANT', 'TENANT_PROFILE', 'CUSTOMER', 'USER', 'DEVICE', 'ASSET', 'DEVICE_PROFILE', 'ASSET_PROFILE', 'ENTITY_GROUP', 'ENTITY_VIEW'] as const),
  ...(['DASHBOARD', 'EDGE', 'RULE_CHAIN', 'CONVERTER', 'INTEGRATION', 'ALARM', 'QUEUE', 'RPC', 'API_KEY', 'ADMIN_SETTINGS', 'AI_MODEL'] as const),
  ...(['NOTIFICATION_TARGET', 'NOTIFICATION_TEMPLATE'] as const),
]);

/** null: the root chain; Main. */
export interface ProfileDefaults {
  readonly chainId: string | null;
  readonly queueName: string | null;
}
export const NO_DEFAULTS: ProfileDefaults = { chainId: null, queueName: null };

/** Documents that messages ask for again and again, kept until a commit changes them. */
export interface EntityCache {
  get(collection: Collection, tenantId: string, id: string): Promise<Doc | null>;
  /** @param pending what a batch has written: its own reads see it. */
  of(tenantId: string, pending?: PendingDocs): Services['entities'];
  /** Where messages of a device or asset begin, by its profile. @param body of one that is gone, or not stored yet */
  defaultsOf(tenantId: string, entity: EntityRef, body?: Readonly<Record<string, unknown>>): Promise<ProfileDefaults>;
  close(): void;
}

export function openEntityCache({
  store,
  onChange,
  secrets,
}: {
  readonly store: Pick<Store, 'doc' | 'docByName'>;
  onChange: Backend['onChange'];
  /** Opens the keys of AI models for the node that uses them; without it they stay sealed. */
  readonly secrets?: Pick<Secrets, 'openConfig'>;
}): EntityCache {
  // What is kept is the promise: a change while the read is under way takes it out, and what it then gives is not kept.
  const docs = new Map<string, Promise<Doc | null>>();
  const close = onChange((changes) => {
    for (const { collection, tenantId, id } of changes) docs.delete(`${collection}/${tenantId}/${id}`);
  });

  const opened = (doc: Doc | null): Doc | null => {
    const configuration = doc?.body['configuration'] as { provider?: unknown } | undefined;
    if (!doc || !secrets || !isAiProvider(configuration?.provider)) return doc;
    return { ...doc, body: { ...doc.body, configuration: secrets.openConfig(AI_PROVIDERS[configuration.provider], configuration) } };
  };

  const get: EntityCache['get'] = (collection, tenantId, id) => {
    const key = `${collection}/${tenantId}/${id}`;
    let found = docs.get(key);
    if (!found) {
      found = collection === 'AI_MODEL' ? store.doc(collection, tenantId, id).then(opened) : store.doc(collection, tenantId, id);
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

  const defaultsOf: EntityCache['defaultsOf'] = async (tenantId, entity, body) => {
    if (entity.entityType !== 'DEVICE' && entity.entityType !== 'ASSET') return NO_DEFAULTS;
    const profileId = profileOf({ body: body ?? (await find(tenantId, entity))?.body ?? {} });
    const profile = profileId && (await get(entity.entityType === 'DEVICE' ? 'DEVICE_PROFILE' : 'ASSET_PROFILE', tenantId, profileId));
    if (!profile) return NO_DEFAULTS;
    const queueName = profile.body['defaultQueueName'];
    return { chainId: idIn(profile.body['defaultRuleChainId']), queueName: typeof queueName === 'string' && queueName !== '' ? queueName : null };
  };

  return {
    get,
    close,
    defaultsOf,
    of(tenantId, pending) {
      const seen = async (entity: EntityRef): Promise<Doc | null> => {
        const own = pending?.find(entity.entityType as Collection, tenantId, entity.id);
        return own === undefined ? find(tenantId, entity) : own;
      };
      return {
        find: seen,
        async byName(type, name) {
          if (!COLLECTIONS.has(type)) return null;
          const own = pending?.byKey(type as Collection, nameKey(tenantId, name));
          if (own) return own;
          const doc = await store.docByName(type as Collection, tenantId, name);
          const now = doc && pending?.find(doc.collection, tenantId, doc.id);
          return now === undefined ? doc : now;
        },
        async summary(entity): Promise<EntitySummary | null> {
          const doc = await seen(entity);
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
        customerOf: async (entity) => (await seen(entity))?.customerId ?? null,
      };
    },
  };
}

const profileOf = ({ body }: Pick<Doc, 'body'>): string | null => idIn(body['deviceProfileId']) ?? idIn(body['assetProfileId']);

const idIn = (ref: unknown): string | null => {
  const id = typeof ref === 'object' && ref !== null ? (ref as { id?: unknown }).id : null;
  return typeof id === 'string' ? id : null;
};
