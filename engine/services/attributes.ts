import type { AttributeScope, EntityRef } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import type { Attribute, Store } from '#engine/store.ts';
import type { AttributeRemoval, AttributeWrite, Work } from '#engine/work.ts';

/** Attributes of one batch: what it wrote so far lies over the store. Read from the work itself, so that writing costs nothing and taking back is safe. */
export class PendingAttributes {
  private readonly work: Work;
  private readonly byEntity = new Map<string, Map<string, Attribute | null>>();
  private seen = 0;

  constructor(work: Work) {
    this.work = work;
  }

  forget(): void {
    this.byEntity.clear();
    this.seen = 0;
  }

  /** Key → value, null where the batch removed it. */
  of(entity: EntityRef, scope: AttributeScope): ReadonlyMap<string, Attribute | null> | undefined {
    for (; this.seen < this.work.attributes.length; this.seen++) this.add(this.work.attributes[this.seen]!);
    return this.byEntity.get(entity.id + scope);
  }

  private add(change: AttributeWrite | AttributeRemoval): void {
    const place = change.entity.id + change.scope;
    let keys = this.byEntity.get(place);
    if (!keys) {
      keys = new Map();
      this.byEntity.set(place, keys);
    }
    if ('keys' in change) for (const key of change.keys) keys.set(key, null);
    else keys.set(change.key, { key: change.key, value: change.value, lastUpdateTs: change.lastUpdateTs });
  }
}

export function attributeServices(
  tenantId: string,
  work: Work,
  pending: PendingAttributes,
  store: Pick<Store, 'attributes'>,
  notifyDevice: Services['attributes']['notifyDevice'],
): Services['attributes'] {
  return {
    async find(entity, scope, keys) {
      const changed = pending.of(entity, scope);
      const stored = await store.attributes(tenantId, entity, scope, keys);
      if (!changed) return stored;
      const asked = keys && new Set(keys);
      const found = stored.filter(({ key }) => !changed.has(key));
      for (const [key, attribute] of changed) if (attribute && (!asked || asked.has(key))) found.push(attribute);
      return found;
    },
    save(entity, scope, values, ts) {
      for (const [key, value] of values) work.attributes.push({ tenantId, entity, scope, key, value, lastUpdateTs: ts });
    },
    remove(entity, scope, keys) {
      if (keys.length > 0) work.attributes.push({ tenantId, entity, scope, keys });
    },
    notifyDevice,
  };
}
